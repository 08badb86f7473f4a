//! Tests of `anthropic`.

use std::sync::Arc;

use aosk_abi::{Body, CallId, Content, Message, Pid, ThinkOptions, Tokens, ToolUse};

use super::*;

fn rendered(messages: Vec<Message>, version: Version, cache_marks: bool) -> String {
    let request = Request {
        call: CallId { pid: Pid(1), number: 1 },
        attempt: 1,
        process: String::new(),
        label: String::new(),
        options: Arc::new(ThinkOptions {
            model: "test:m".into(),
            output_max: Tokens(9),
            tools: vec![],
            temperature_milli: Some(1500),
            window: None,
        }),
        messages: messages.into_iter().map(Body::new).collect(),
        tools: Arc::new([]),
    };
    let dialect = Dialect { version, cache_marks };
    let bytes = request::render(&request, "m", dialect, false).expect("renders");
    let text = String::from_utf8(bytes).expect("UTF-8");
    let _: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    text
}

fn calling(id: &str, arguments: &str) -> Message {
    Message::Assistant {
        content: None,
        reasoning: None,
        tool_calls: vec![ToolUse {
            id: id.into(),
            name: "look".into(),
            arguments: arguments.into(),
        }],
    }
}

#[test]
fn turns_alternate_and_results_come_first() {
    let messages = vec![
        Message::system("One."),
        Message::user("a"),
        Message::user("b"),
        calling("functions.look:0", r#"{"path": "."}"#),
        Message::user("stop!"),
        Message::Tool {
            tool_call_id: "functions.look:0".into(),
            name: None,
            content: Content::Text("none".into()),
            is_error: true,
        },
        Message::system("Two."),
        Message::assistant("  "),
    ];
    assert_eq!(
        rendered(messages, Version::V2023, false),
        concat!(
            r#"{"model":"m","max_tokens":9,"temperature":1.500,"#,
            r#""system":[{"type":"text","text":"One."},{"type":"text","text":"Two."}],"messages":["#,
            r#"{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},"#,
            r#"{"role":"assistant","content":[{"type":"tool_use","id":"functions_look_0","name":"look","input":{"path": "."}}]},"#,
            r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"functions_look_0","content":[{"type":"text","text":"none"}],"is_error":true},{"type":"text","text":"stop!"}]}]}"#,
        )
    );
}

#[test]
fn the_newer_version_gets_no_temperature() {
    let text = rendered(vec![Message::user("a")], Version::V2026, false);
    assert!(!text.contains("temperature"), "{text}");
}

#[test]
fn arguments_are_always_an_object() {
    let input = |arguments: &str| {
        let text = rendered(vec![calling("c", arguments)], Version::V2026, false);
        let (_, input) = text.split_once("\"input\":").expect("has it");
        input.strip_suffix("}]}]}").expect("ends so").to_owned()
    };
    assert_eq!(input(r#" {"a":1} "#), r#"{"a":1}"#);
    assert_eq!(input(""), "{}");
    assert_eq!(input(r#"{"a":"#), r#"{"arguments":"{\"a\":"}"#);
    assert_eq!(input("[1]"), r#"{"arguments":"[1]"}"#);
}

#[test]
fn signed_reasoning_goes_back_as_it_came_and_other_reasoning_does_not() {
    let thinking = |reasoning: &str| Message::Assistant {
        content: Some(Content::Text("x".into())),
        reasoning: Some(reasoning.into()),
        tool_calls: vec![],
    };
    let signed = r#"[{"type":"thinking","thinking":"hm","signature":"c2ln"}]"#;
    let text = rendered(vec![Message::user("a"), thinking(signed)], Version::V2026, false);
    let expected = concat!(
        r#"{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"c2ln"},"#,
        r#"{"type":"text","text":"x"}]}"#,
    );
    assert!(text.contains(expected), "{text}");
    let text = rendered(vec![Message::user("a"), thinking("hm")], Version::V2026, false);
    assert!(!text.contains("hm"), "{text}");
}

#[test]
fn the_ends_of_instructions_and_conversation_are_marked() {
    let mark = r#","cache_control":{"type":"ephemeral"}"#;
    let messages = vec![
        Message::system("One."),
        Message::user("a"),
        calling("c", "{}"),
        Message::tool("c", ""),
    ];
    let plain = rendered(messages.clone(), Version::V2026, false);
    let marked = rendered(messages, Version::V2026, true);
    assert_eq!(marked.replace(mark, ""), plain);
    assert_eq!(marked.matches(mark).count(), 2);
    assert!(marked.contains(r#""text":"One.","cache_control""#), "{marked}");
    assert!(marked.ends_with(&format!(r#""tool_use_id":"c"{mark}}}]}}]}}"#)), "{marked}");
}

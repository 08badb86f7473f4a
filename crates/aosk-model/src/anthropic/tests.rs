//! Tests of `anthropic`.

use std::sync::Arc;

use aosk_abi::{
    Body, CallId, Content, Message, PageId, Part, Pid, ThinkOptions, Tokens, ToolSpec, ToolUse,
};

use super::*;
use crate::CacheHints;

fn asked(messages: Vec<Message>) -> Request {
    Request {
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
        begun: None,
        tools: Arc::new([]),
        cache: CacheHints::default(),
        wishes: Arc::default(),
        answers: 0,
        on_rates: crate::OnRates::default(),
    }
}

fn rendered(messages: Vec<Message>, version: Version, cache_marks: bool) -> String {
    let dialect = Dialect { version, cache_marks, continuing: Continuing::NEVER };
    let bytes = request::render(&asked(messages), "m", dialect, false).expect("renders");
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

const MARK: &str = r#","cache_control":{"type":"ephemeral"}"#;

/// The request of these messages with these hints, at Anthropic.
fn hinted(messages: &[Message], tools: usize, cache: CacheHints) -> String {
    let tool = |index: usize| ToolSpec {
        name: format!("tool{index}"),
        description: String::new(),
        parameters: serde_json::json!({}),
    };
    let request =
        Request { tools: (0..tools).map(tool).collect(), cache, ..asked(messages.to_vec()) };
    let dialect =
        Dialect { version: Version::V2026, cache_marks: true, continuing: Continuing::NEVER };
    let bytes = request::render(&request, "m", dialect, false).expect("renders");
    String::from_utf8(bytes).expect("UTF-8")
}

fn behind(breakpoints: &[usize]) -> CacheHints {
    CacheHints { breakpoints: breakpoints.to_vec(), ..CacheHints::default() }
}

/// Checks what stands right before each mark.
#[track_caller]
fn assert_marks(rendered: &str, expected: &[&str]) {
    let mut before: Vec<&str> = rendered.split(MARK).collect();
    before.pop();
    assert_eq!(before.len(), expected.len(), "{rendered}");
    for (before, expected) in before.iter().zip(expected) {
        assert!(before.ends_with(expected), "{expected} is not marked: {rendered}");
    }
}

#[test]
fn a_mark_is_on_the_last_block_of_its_message() {
    let messages = [
        Message::system("One."),
        Message::system("Two."),
        Message::user("ask"),
        Message::Assistant {
            content: Some(Content::Text("says".into())),
            reasoning: None,
            tool_calls: calling("use", "{}").tool_calls().to_vec(),
        },
        Message::user("stop"),
        Message::tool("res", "done"),
        Message::user("on"),
    ];
    let check = |breakpoints: &[usize], expected: &[&str]| {
        assert_marks(&hinted(&messages, 1, behind(breakpoints)), expected);
    };
    check(&[0], &[r#"text":"One.""#]);
    check(&[1, 2], &[r#"text":"Two.""#, r#""text":"ask""#]);
    check(&[3], &[r#"","input":{}"#]);
    // Results are sorted to the front of their turn: message 5 ends before message 4.
    check(&[4], &[r#"text":"stop""#]);
    check(&[5], &[r#"t":"done"}]"#]);
    check(&[4, 5, 6], &[r#"t":"done"}]"#, r#"text":"stop""#, r#""text":"on""#]);
    // Where there is nothing, there is no mark.
    check(&[99], &[]);
}

#[test]
fn what_cannot_carry_a_mark_leaves_it_to_what_stands_before() {
    let thinking = Message::Assistant {
        content: None,
        reasoning: Some(r#"[{"type":"thinking","thinking":"hm","signature":"c2ln"}]"#.into()),
        tool_calls: vec![],
    };
    let check = |messages: &[Message], tools, breakpoints: &[usize], expected: &[&str]| {
        assert_marks(&hinted(messages, tools, behind(breakpoints)), expected);
    };
    let messages =
        [Message::system("One."), Message::user("ask"), thinking.clone(), Message::user(" ")];
    check(&messages, 1, &[2], &[r#""text":"ask""#]);
    // A message that says nothing is left out, and so is a second mark on the same block.
    check(&messages, 1, &[1, 2, 3], &[r#""text":"ask""#]);
    let messages = [Message::system(" "), thinking, Message::user("ask")];
    check(&messages, 1, &[0], &[r#"_schema":{}"#]);
    check(&messages, 2, &[1], &[r#"_schema":{}"#]);
    check(&messages, 0, &[0, 1], &[]);
    let text = hinted(&messages, 2, behind(&[0]));
    assert!(text.contains(r#""name":"tool1","input_schema":{},"cache_control""#), "{text}");
}

#[test]
fn no_request_has_more_than_four_marks() {
    let own = serde_json::json!({"type": "image", "cache_control": {"type": "ephemeral"}});
    let seen = || Message::User {
        content: Content::Parts(vec![Part::Other { json: own.clone() }]),
        name: None,
    };
    let mut messages = vec![Message::system("One.")];
    for index in 0..8 {
        messages.push(Message::user(format!("u{index}")));
        messages.push(seen());
    }
    let every: Vec<usize> = (0..messages.len()).collect();
    let text = hinted(&messages, 1, behind(&every));
    assert_marks(&text, &[r#""text":"u6""#, r#"pe":"image""#, r#""text":"u7""#, r#"pe":"image""#]);
    assert_eq!(text.matches("cache_control").count(), 4);
    // Marks of others are theirs no more, and none is added unasked.
    assert_eq!(hinted(&messages, 1, behind(&[1])).matches("cache_control").count(), 1);
}

#[test]
fn all_marks_of_a_request_live_equally_long() {
    let messages = [Message::system("One."), Message::user("a"), Message::user("b")];
    let long = |breakpoints: &[usize]| CacheHints { long_lived: true, ..behind(breakpoints) };
    let hour = r#""cache_control":{"type":"ephemeral","ttl":"1h"}"#;
    for (hints, marks) in [(long(&[0, 1, 2]), 3), (long(&[]), 2)] {
        let text = hinted(&messages, 0, hints);
        assert_eq!(
            (text.matches(hour).count(), text.matches("cache_control").count()),
            (marks, marks)
        );
    }
}

#[test]
fn marks_move_and_the_bytes_before_them_stay() {
    let mut messages = vec![Message::system("One."), Message::user("task")];
    let mut before = String::new();
    for turn in 0..6 {
        let last = messages.len() - 1;
        let marked = hinted(&messages, 1, behind(&[0, turn, last]));
        assert!(marked.contains(MARK));
        let stripped = marked.replace(MARK, "");
        let head = stripped.strip_suffix("]}]}").expect("ends so").to_owned();
        assert!(head.starts_with(&before), "{before}\n{head}");
        before = head;
        messages.push(calling(&format!("c{turn}"), "{}"));
        messages.push(Message::tool(format!("c{turn}"), "ok"));
        messages.push(Message::user("and?"));
    }
}

#[test]
fn a_provider_that_wants_no_marks_gets_none() {
    let request = Request { cache: behind(&[0]), ..asked(vec![Message::user("a")]) };
    let dialect =
        Dialect { version: Version::V2023, cache_marks: false, continuing: Continuing::NEVER };
    let bytes = request::render(&request, "m", dialect, false).expect("renders");
    assert!(!String::from_utf8_lossy(&bytes).contains("cache_control"));
}

#[test]
fn a_page_that_was_brought_back_is_text() {
    let page = Part::Page { page: PageId(7), text: "old".into() };
    let messages = [Message::User { content: Content::Parts(vec![page]), name: None }];
    let text = hinted(&messages, 0, CacheHints::default());
    assert!(text.contains(r#""content":[{"type":"text","text":"old","cache_control""#), "{text}");
}

/// The model may think between what it says and what it calls; what it thought goes back in its place.
#[test]
fn thoughts_go_back_where_they_stood() {
    let block = |index: usize, block: &str| {
        format!(r#"{{"type":"content_block_start","index":{index},"content_block":{block}}}"#)
    };
    let thought =
        |text: &str| format!(r#"{{"type":"thinking","thinking":"{text}","signature":"s-{text}"}}"#);
    let used =
        |id: &str| format!(r#"{{"type":"tool_use","id":"{id}","name":"look","input":{{}}}}"#);
    let blocks = [
        thought("one"),
        r#"{"type":"text","text":"First"}"#.to_owned(),
        r#"{"type":"redacted_thinking","data":"xyz"}"#.to_owned(),
        r#"{"type":"text","text":", then"}"#.to_owned(),
        used("a"),
        thought("two"),
        used("b"),
    ];
    let events: Vec<_> = blocks.iter().enumerate().map(|(at, one)| block(at, one)).collect();
    let events: Vec<_> = events.iter().map(String::as_str).collect();
    let reply = crate::testing::assemble::<Assembly>(&events);
    assert_eq!(reply.body.message().text(), "First, then");
    let asked = vec![Message::user("go"), reply.body.message().as_ref().clone()];
    let sent = rendered(asked, Version::V2026, false);
    let turn = format!(r#"{{"role":"assistant","content":[{}]}}"#, blocks.join(","));
    // The order of the keys within a block of text or use is this format's own.
    assert!(sent.ends_with(&format!("{turn}]}}")), "{sent}\n{turn}");
}

#[test]
fn a_picture_is_a_block_in_whichever_form_it_came() {
    let parts = |json: &str| -> Vec<Part> { serde_json::from_str(json).expect("parts") };
    let source = r#""source":{"type":"base64","media_type":"image/png","data":"iVBO"}"#;
    for form in [
        r#"{"type":"image","media_type":"image/png","data":"iVBO"}"#,
        r#"{"type":"other","json":{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBO"}}}"#,
    ] {
        let content = Content::Parts(parts(&format!("[{form}]")));
        let message = Message::User { content, name: None };
        let sent = rendered(vec![message], Version::V2026, true);
        let block =
            format!(r#"{{"type":"image",{source},"cache_control":{{"type":"ephemeral"}}}}"#);
        assert!(sent.contains(&block), "{sent}");
    }
}

//! Tests of `messages`.

use aosk_abi::{Content, FinishReason, Message, Part, Tokens, ToolSpec};
use serde_json::json;

use crate::client::{Asked, Format, Writer, understand};
use crate::driver::Delta;
use crate::testing::{answered, call, streamed};
use crate::wishes::{Thinking, ToolChoice, Wishes};

fn asked(body: &str) -> Asked {
    understand(Format::Messages, body.as_bytes()).unwrap_or_else(|error| panic!("{body}: {error}"))
}

fn with(more: &str) -> Asked {
    asked(&format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}],{more}}}"#))
}

fn writer() -> Writer {
    Writer::new(Format::Messages, "m", "msg_1", 1_700_000_000, &with(r#""max_tokens":9"#))
}

#[test]
fn all_that_is_asked_is_understood() {
    let body = r#"{"model":"deep","max_tokens":9,"system":"Be brief.","messages":[
        {"role":"user","content":"look"},
        {"role":"assistant","content":[
            {"type":"thinking","signature":"sig","thinking":"hm"},
            {"type":"text","text":"I look.","citations":null},
            {"type":"tool_use","id":"t1","name":"look","input":{ "at": 1.0 },"cache_control":{"type":"ephemeral"}}]},
        {"role":"user","content":[
            {"type":"text","text":"and?"},
            {"type":"tool_result","tool_use_id":"t1","is_error":true,"content":[
                {"type":"text","text":"nothing"},
                {"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBO"}}]},
            {"type":"image","source":{"type":"url","url":"https://x/y.png"}}]},
        {"role":"system","content":"Be kind."}],
        "tools":[{"type":"custom","name":"look","description":"Looks.","input_schema":{"type":"object"}}],
        "stream":true,"metadata":{"user_id":"ann"},"temperature":0.5,"top_k":4,"stop_sequences":["END"],
        "tool_choice":{"type":"any","disable_parallel_tool_use":true},"thinking":{"type":"adaptive"},
        "output_config":{"effort":"max"},"service_tier":"auto"}"#;
    let text = |text: &str| Part::Text { text: text.into() };
    let image = Part::Image { media_type: "image/png".into(), data: "iVBO".into() };
    let there = json!({"type": "image", "source": {"type": "url", "url": "https://x/y.png"}});
    let said = vec![text("and?"), Part::Other { json: there }];
    let expected = Asked {
        model: "deep".into(),
        messages: vec![
            Message::system("Be brief."),
            Message::user("look"),
            Message::Assistant {
                content: Some(Content::Text("I look.".into())),
                reasoning: Some(
                    r#"[{"type":"thinking","thinking":"hm","signature":"sig"}]"#.into(),
                ),
                tool_calls: vec![call("t1", r#"{ "at": 1.0 }"#)],
            },
            // Results come before what else is said in their turn.
            Message::Tool {
                tool_call_id: "t1".into(),
                name: Some("look".into()),
                content: Content::Parts(vec![text("nothing"), image]),
                is_error: true,
            },
            Message::User { content: Content::Parts(said), name: None },
            Message::system("Be kind."),
        ],
        tools: vec![ToolSpec {
            name: "look".into(),
            description: "Looks.".into(),
            parameters: json!({"type": "object"}),
        }],
        provider_tools: false,
        translated: false,
        output_max: Some(Tokens(9)),
        stream: true,
        stream_usage: true,
        choices: 1,
        user: Some("ann".into()),
        wishes: Wishes {
            temperature: Some(0.5),
            top_k: Some(4),
            stop: vec!["END".into()],
            tool_choice: Some(ToolChoice::Required),
            parallel_tools: Some(false),
            reasoning_effort: Some("max".into()),
            thinking: Some(Thinking::Adaptive),
            ..Wishes::default()
        },
    };
    assert_eq!(asked(body), expected);
}

#[test]
fn what_only_the_provider_can_do_is_told() {
    for bound in [
        r#""tools":[{"type":"web_search_20260318","name":"web_search"}]"#,
        r#""tools":[{"type":"computer_toolset_20260801","name":"computer"}]"#,
        r#""mcp_servers":[{"type":"url","url":"https://x"}]"#,
        r#""container":"c""#,
    ] {
        assert!(with(bound).provider_tools, "{bound}");
    }
    let document =
        r#"{"type":"document","source":{"type":"text","media_type":"text/plain","data":"x"}}"#;
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":[{document}]}}]}}"#);
    assert!(asked(&body).provider_tools);
    for free in [
        r#""mcp_servers":[],"cache_control":{"type":"ephemeral"}"#,
        r#""context_management":{"edits":[{"type":"clear_thinking_20251015"}]}"#,
    ] {
        assert!(!with(free).provider_tools, "{free}");
    }
}

#[test]
fn thoughts_without_a_signature_are_words() {
    let thought = |signature: &str| {
        let body = format!(
            r#"{{"model":"m","messages":[{{"role":"assistant","content":[{{"type":"thinking","thinking":"hm"{signature}}},{{"type":"text","text":"a"}}]}}]}}"#
        );
        let asked = asked(&body);
        let reasoning = match asked.messages.into_iter().next() {
            Some(Message::Assistant { reasoning, .. }) => reasoning,
            other => panic!("{other:?}"),
        };
        (reasoning, asked.translated)
    };
    assert_eq!(thought(""), (Some("hm".into()), false));
    assert_eq!(thought(r#","signature":"""#), (Some("hm".into()), false));
    assert_eq!(thought(r#","signature":"aosk1:""#), (Some("hm".into()), true));
}

const USAGE: &str = r#""usage":{"input_tokens":10,"cache_creation_input_tokens":2,"cache_read_input_tokens":5,"output_tokens":7,"output_tokens_details":{"thinking_tokens":3}}"#;

#[test]
fn a_whole_answer() {
    let whole = |reply| String::from_utf8(writer().whole(&reply)).expect("UTF-8");
    let framed = |content: &str, stop: &str| {
        format!(
            r#"{{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{content}],"stop_reason":"{stop}","stop_sequence":null,{USAGE}}}"#
        )
    };
    let said = r#"{"type":"text","text":"Hi"}"#;
    assert_eq!(whole(answered("Hi", None, vec![], FinishReason::Stop)), framed(said, "end_turn"));
    let cut = whole(answered("Hi", None, vec![], FinishReason::Length));
    assert_eq!(cut, framed(said, "max_tokens"));
    let refused = whole(answered("Hi", None, vec![], FinishReason::Refused));
    assert_eq!(refused, framed(said, "refusal"));
    let calls = || vec![call("c1", r#"{ "at":1 }"#), call("c2", ""), call("c3", "{\"a")];
    let called = concat!(
        r#"{"type":"tool_use","id":"c1","name":"look","input":{ "at":1 }},"#,
        r#"{"type":"tool_use","id":"c2","name":"look","input":{}},"#,
        r#"{"type":"tool_use","id":"c3","name":"look","input":{"arguments":"{\"a"}}"#,
    );
    let thought = whole(answered("Hi", Some("hm"), calls(), FinishReason::ToolCalls));
    let plain = r#"{"type":"thinking","thinking":"hm","signature":"aosk1:"}"#;
    assert_eq!(thought, framed(&format!("{plain},{said},{called}"), "tool_use"));
    // What was signed in this format stands where it stood.
    let blocks =
        r#"[{"type":"said","bytes":1},{"type":"thinking","thinking":"hm","signature":"s"}]"#;
    let signed = whole(answered("Hi", Some(blocks), vec![], FinishReason::Stop));
    let expected = r#"{"type":"text","text":"H"},{"type":"thinking","thinking":"hm","signature":"s"},{"type":"text","text":"i"}"#;
    assert_eq!(signed, framed(expected, "end_turn"));
}

#[test]
fn a_streamed_answer() {
    let pieces = [
        Delta::Reasoning("h".into()),
        Delta::Reasoning("m".into()),
        Delta::Text("Hel".into()),
        Delta::ToolCall { index: 0, name: "look".into() },
    ];
    let calls = vec![call("c1", "{\"at\":1}")];
    let reply = answered("Hello", Some("hm"), calls, FinishReason::ToolCalls);
    let expected = [
        r#"message_start {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0,"output_tokens_details":{"thinking_tokens":0}}}}"#,
        r#"content_block_start {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
        r#"content_block_delta {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"h"}}"#,
        r#"content_block_delta {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"m"}}"#,
        r#"content_block_delta {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"aosk1:"}}"#,
        r#"content_block_stop {"type":"content_block_stop","index":0}"#,
        r#"content_block_start {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}"#,
        r#"content_block_delta {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Hel"}}"#,
        r#"content_block_delta {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"lo"}}"#,
        r#"content_block_stop {"type":"content_block_stop","index":1}"#,
        r#"content_block_start {"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"c1","name":"look","input":{}}}"#,
        r#"content_block_delta {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"at\":1}"}}"#,
        r#"content_block_stop {"type":"content_block_stop","index":2}"#,
    ];
    let end = [
        format!(
            r#"message_delta {{"type":"message_delta","delta":{{"stop_reason":"tool_use","stop_sequence":null}},{USAGE}}}"#
        ),
        r#"message_stop {"type":"message_stop"}"#.to_owned(),
    ];
    let expected: Vec<String> = expected.iter().map(ToString::to_string).chain(end).collect();
    assert_eq!(streamed(writer(), &pieces, &reply), expected);
}

#[test]
fn an_answer_that_was_not_streamed_is_told_at_the_end() {
    let reply = answered("Hello", Some("hm"), vec![], FinishReason::Stop);
    let told = streamed(writer(), &[], &reply);
    let deltas = told.iter().filter_map(|line| line.split_once(r#""delta":"#));
    let deltas: Vec<&str> = deltas.map(|(_, delta)| delta.trim_end_matches('}')).collect();
    let end = format!(r#"{{"stop_reason":"end_turn","stop_sequence":null}},{USAGE}"#);
    let expected = [
        r#"{"type":"thinking_delta","thinking":"hm""#,
        r#"{"type":"signature_delta","signature":"aosk1:""#,
        r#"{"type":"text_delta","text":"Hello""#,
        end.trim_end_matches('}'),
    ];
    assert_eq!(deltas, expected);
}

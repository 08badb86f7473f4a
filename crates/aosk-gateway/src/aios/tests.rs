//! Queries of AIOS in other words, and answers in theirs.

use std::sync::Arc;

use aosk_abi::{Body, FinishReason, ToolUse, Usage};
use aosk_runtime::kernel::Route;

use super::*;

fn equipment() -> Equipment {
    let routes = [("test:m".to_owned(), Route::to("x"))];
    Equipment { models: Vec::new(), routes: routes.into(), tools: Arc::default() }
}

fn asked(query: Value) -> Result<Value, ErrorCode> {
    let query = serde_json::from_value(query).expect("a query");
    completion((&equipment(), "usual"), "agent", query).map_err(|error| error.code)
}

#[test]
fn a_query_with_all_that_there_is() {
    let tool = json!({ "type": "function", "function": { "name": "a/b", "parameters": {} } });
    let query = json!({
        "query_class": "llm", "llms": [{ "name": "m", "backend": "test" }, { "name": "other" }],
        "messages": [{ "role": "user", "content": "x" }], "tools": [tool, { "name": "bare/tool" }],
        "action_type": "chat_with_tool_call_output", "temperature": 0.2, "max_new_tokens": 100,
        "message_return_type": "json", "response_format": { "type": "json_schema" },
    });
    let expected = json!({
        "model": "test:m", "user": "agent", "messages": [{ "role": "user", "content": "x" }],
        "tools": [
            { "type": "function", "function": { "name": "a__b", "parameters": {} } },
            { "type": "function", "function": { "name": "bare__tool" } },
        ],
        "temperature": 0.2, "max_completion_tokens": 100,
        "response_format": { "type": "json_schema" },
    });
    assert_eq!(asked(query), Ok(expected));
}

#[test]
fn a_query_with_what_must_be_there() {
    let query = json!({
        "messages": [], "llms": null, "tools": [], "temperature": 1.0, "message_return_type": "text",
    });
    assert_eq!(asked(query), Ok(json!({ "model": "usual", "user": "agent", "messages": [] })));
}

#[test]
fn models_by_their_names() {
    for (llm, name) in [
        (json!({ "name": "m", "provider": "test" }), "test:m"),
        // A provider that is called otherwise here.
        (json!({ "name": "m", "provider": "sglang" }), "m"),
        (json!({ "name": "test:m" }), "test:m"),
    ] {
        let asked = asked(json!({ "messages": [], "llms": [llm] })).expect("asked");
        assert_eq!(asked["model"], name, "{llm}");
    }
}

#[test]
fn an_answer_that_is_to_be_json_without_a_form() {
    let query = json!({ "messages": [], "message_return_type": "json", "response_format": null });
    assert_eq!(asked(query).expect("asked")["response_format"], json!({ "type": "json_object" }));
}

#[test]
fn what_aios_does_by_itself_is_refused() {
    for action in ["call_tool", "operate_file"] {
        let query = json!({ "messages": [], "action_type": action });
        assert_eq!(asked(query), Err(ErrorCode::ApiBadRequest), "{action}");
    }
}

fn reply(content: Option<&str>, calls: &[(&str, &str)]) -> ModelReply {
    let tool_calls = calls.iter().enumerate().map(|(at, (name, arguments))| ToolUse {
        id: format!("t{at}"),
        name: (*name).to_owned(),
        arguments: (*arguments).to_owned(),
    });
    let message = Message::Assistant {
        content: content.map(|text| Content::Text(text.to_owned())),
        reasoning: Some("hm".to_owned()),
        tool_calls: tool_calls.collect(),
    };
    let body = Body::new(message);
    ModelReply { body, usage: Usage::default(), finish: FinishReason::Stop }
}

#[test]
fn an_answer_as_aios_has_it() {
    let expected = |text: Value, calls: Value| {
        json!({
            "response_class": "llm", "response_message": text, "tool_calls": calls,
            "finished": true, "error": null, "status_code": 200,
        })
    };
    assert_eq!(response(&reply(Some("b"), &[])), expected(json!("b"), Value::Null));
    let calls = [("a__b", r#"{"x":1}"#), ("plain", "{\"x\":")];
    let shown = json!([
        { "name": "a/b", "parameters": { "x": 1 }, "id": "t0" },
        { "name": "plain", "parameters": "{\"x\":", "id": "t1" },
    ]);
    assert_eq!(response(&reply(None, &calls)), expected(Value::Null, shown));
}

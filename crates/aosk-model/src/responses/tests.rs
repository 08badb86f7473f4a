//! Tests of `responses`.

use std::sync::Arc;

use aosk_abi::{Content, ErrorCode, FailureClass, FinishReason, Message, Part, Tokens, Usage};
use serde_json::{Value, json};

use super::*;
use crate::testing::{asked, assemble, call, outcome, tool};

const OPENAI: Dialect = Dialect { keeps_reasoning: true, cache_key: true };
const OTHER: Dialect = Dialect { keeps_reasoning: false, cache_key: false };

fn rendered(request: &Request, dialect: Dialect) -> Value {
    let render = || request::render(request, "m", dialect, false).expect("renders");
    assert_eq!(render(), render(), "the same every time");
    serde_json::from_slice(&render()).expect("JSON")
}

fn input(messages: Vec<Message>) -> Value {
    rendered(&asked(messages), OTHER)["input"].take()
}

#[test]
fn a_whole_request() {
    let mut request = asked(vec![Message::system("Be brief."), Message::user("go")]);
    let mut options = aosk_abi::ThinkOptions::clone(&request.options);
    (options.temperature_milli, options.output_max) = (Some(500), Tokens(5));
    request.options = Arc::new(options);
    request.tools = Arc::new([tool("look")]);
    request.cache.key = "k".into();
    let schema = json!({"type": "object", "properties": {"at": {"type": "string"}}});
    let tool = json!({
        "type": "function", "name": "look", "description": "Looks.", "parameters": schema,
        "strict": false,
    });
    let all = json!({
        "model": "m",
        "input": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "go"},
        ],
        "max_output_tokens": 16,
        "temperature": 0.5,
        "prompt_cache_key": "k",
        "tools": [tool],
        "store": false,
        "include": ["reasoning.encrypted_content"],
    });
    assert_eq!(rendered(&request, OPENAI), all);
    let mut fewer = all;
    fewer
        .as_object_mut()
        .expect("an object")
        .retain(|key, _| !matches!(key.as_str(), "prompt_cache_key" | "include"));
    assert_eq!(rendered(&request, OTHER), fewer);
    request.cache.key.clear();
    let stream = request::render(&request, "m", OPENAI, true).expect("renders");
    let stream: Value = serde_json::from_slice(&stream).expect("JSON");
    assert_eq!((&stream["stream"], &stream["prompt_cache_key"]), (&json!(true), &Value::Null));
}

#[test]
fn a_message_becomes_its_items() {
    let png = Part::Image { media_type: "image/png".into(), data: "iVBO".into() };
    let see = Content::Parts(vec![Part::Text { text: "see".into() }, png]);
    let messages = vec![
        Message::User { content: see.clone(), name: Some("Bob".into()) },
        Message::Assistant {
            content: Some(Content::Text("Looking.".into())),
            reasoning: Some("in plain words".into()),
            tool_calls: vec![call("a", "{\"at\": 1}"), call("b", "oops")],
        },
        Message::tool("a", "one"),
        Message::Tool { tool_call_id: "b".into(), name: None, content: see, is_error: true },
    ];
    let parts = json!([
        {"type": "input_text", "text": "see"},
        {"type": "input_image", "image_url": "data:image/png;base64,iVBO"},
    ]);
    assert_eq!(
        input(messages),
        json!([
            {"role": "user", "content": parts},
            {
                "type": "message", "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": "Looking."}],
            },
            {"type": "function_call", "call_id": "a", "name": "look", "arguments": "{\"at\": 1}"},
            {
                "type": "function_call", "call_id": "b", "name": "look",
                "arguments": "{\"arguments\":\"oops\"}",
            },
            {"type": "function_call_output", "call_id": "a", "output": "one"},
            {"type": "function_call_output", "call_id": "b", "output": parts},
        ])
    );
}

/// As OpenAI sends it: a thought, a text, another thought and two calls at once.
const STREAM: [&str; 17] = [
    r#"{"type":"response.created","response":{"id":"resp_1","status":"in_progress","output":[],"error":null,"usage":null},"sequence_number":0}"#,
    r#"{"type":"response.output_item.added","output_index":0,"item":{"id":"rs_1","type":"reasoning","summary":[],"encrypted_content":"half"}}"#,
    r#"{"type":"response.reasoning_summary_text.delta","item_id":"rs_1","output_index":0,"summary_index":0,"delta":"hm"}"#,
    r#"{"type":"response.output_item.done","output_index":0,"item":{"id":"rs_1","type":"reasoning","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":"gAAA=="}}"#,
    r#"{"type":"response.output_item.added","output_index":1,"item":{"id":"msg_1","type":"message","status":"in_progress","content":[],"role":"assistant"}}"#,
    r#"{"type":"response.content_part.added","item_id":"msg_1","output_index":1,"content_index":0,"part":{"type":"output_text","text":""}}"#,
    r#"{"type":"response.output_text.delta","item_id":"msg_1","output_index":1,"content_index":0,"delta":"日"}"#,
    r#"{"type":"response.output_text.delta","item_id":"msg_1","output_index":1,"content_index":0,"delta":"本"}"#,
    r#"{"type":"response.output_item.done","output_index":1,"item":{"id":"msg_1","type":"message","status":"completed","content":[{"type":"output_text","text":"日本"}],"role":"assistant"}}"#,
    r#"{"type":"response.output_item.done","output_index":2,"item":{"id":"rs_2","type":"reasoning","summary":[],"encrypted_content":"gBBB"}}"#,
    r#"{"type":"response.output_item.added","output_index":3,"item":{"id":"fc_1","type":"function_call","status":"in_progress","arguments":"","call_id":"call_1","name":"look"}}"#,
    r#"{"type":"response.output_item.added","output_index":4,"item":{"id":"fc_2","type":"function_call","status":"in_progress","arguments":"","call_id":"call_2","name":"look"}}"#,
    r#"{"type":"response.function_call_arguments.delta","item_id":"fc_1","output_index":3,"delta":"{\"at\""}"#,
    r#"{"type":"response.function_call_arguments.delta","item_id":"fc_2","output_index":4,"delta":"{}"}"#,
    r#"{"type":"response.function_call_arguments.delta","item_id":"fc_1","output_index":3,"delta":": 1}"}"#,
    r#"{"type":"response.output_item.done","output_index":3,"item":{"id":"fc_1","type":"function_call","status":"completed","arguments":"{\"at\": 1}","call_id":"call_1","name":"look"}}"#,
    r#"{"type":"response.completed","response":{"id":"resp_1","status":"completed","incomplete_details":null,"error":null,"output":[{"id":"msg_1","type":"message","content":[{"type":"output_text","text":"日本"}]}],"usage":{"input_tokens":20,"input_tokens_details":{"cached_tokens":8,"cache_write_tokens":2},"output_tokens":12,"output_tokens_details":{"reasoning_tokens":7},"total_tokens":32}}}"#,
];

#[test]
fn an_answer_goes_back_as_it_came() {
    let deltas = std::sync::Mutex::new(Vec::new());
    let on_delta = |delta| deltas.lock().expect("not poisoned").push(delta);
    let reply = outcome::<Assembly>(&STREAM, Some(&on_delta)).expect("answers");
    assert_eq!(
        (reply.finish, reply.usage),
        (
            FinishReason::ToolCalls,
            Usage {
                input_uncached: Tokens(10),
                cache_read: Tokens(8),
                cache_write: Tokens(2),
                output: Tokens(12),
                reasoning: Tokens(7),
                estimated: false,
            }
        )
    );
    let message = reply.body.message().as_ref().clone();
    assert_eq!(message.text(), "日本");
    assert_eq!(message.tool_calls(), [call("call_1", "{\"at\": 1}"), call("call_2", "{}")]);
    use crate::Delta::{Arguments, Reasoning, Text, ToolCall};
    let tool = |index| ToolCall { index, name: "look".into() };
    let of = |more: &str| Arguments(more.into());
    assert_eq!(
        deltas.into_inner().expect("not poisoned"),
        [
            Reasoning("hm".into()),
            Text("日".into()),
            Text("本".into()),
            tool(0),
            tool(1),
            of("{\"at\""),
            of("{}"),
            of(": 1}")
        ]
    );
    assert_eq!(
        input(vec![message]),
        json!([
            {
                "type": "reasoning", "id": "rs_1", "encrypted_content": "gAAA==",
                "summary": [{"type": "summary_text", "text": "hm"}],
            },
            {
                "type": "message", "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": "日本"}],
            },
            {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gBBB"},
            {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{\"at\": 1}"},
            {"type": "function_call", "call_id": "call_2", "name": "look", "arguments": "{}"},
        ])
    );
}

/// As llama.cpp's server sends it: without indexes, and what was cut off is complete.
#[test]
fn a_call_that_was_cut_off_is_not_complete() {
    let events = |arguments: &str, output: u64| {
        [
            r#"{"type":"response.output_item.added","item":{"id":"fc_1","arguments":"","call_id":"c","name":"look","type":"function_call"}}"#.to_owned(),
            format!(
                r#"{{"type":"response.function_call_arguments.delta","delta":{},"item_id":"fc_1"}}"#,
                json!(arguments)
            ),
            format!(
                r#"{{"type":"response.completed","response":{{"status":"completed","output":[],"usage":{{"input_tokens":9,"output_tokens":{output}}}}}}}"#
            ),
        ]
    };
    let finish = |arguments, output| {
        let events = events(arguments, output);
        let events: Vec<_> = events.iter().map(String::as_str).collect();
        assemble::<Assembly>(&events).finish
    };
    assert_eq!(finish("{\"at\":", 256), FinishReason::Length);
    assert_eq!(finish("{\"at\":1}", 256), FinishReason::ToolCalls);
    // The model itself may write what is no JSON.
    assert_eq!(finish("{\"at\":", 255), FinishReason::ToolCalls);
}

#[test]
fn every_way_to_end() {
    let whole = |status: &str, details: &str, content: &str| {
        let event = format!(
            r#"{{"type":"response.{status}","response":{{"status":"{status}","incomplete_details":{details},"output":[{{"type":"message","id":"m","content":[{content}]}}],"usage":{{"input_tokens":9,"output_tokens":2}}}}}}"#
        );
        outcome::<Assembly>(&[&event], None)
    };
    let finish = |status: &str, details: &str, content: &str| {
        whole(status, details, content).map(|reply| reply.finish)
    };
    let text = r#"{"type":"output_text","text":"x"}"#;
    let refusal = r#"{"type":"refusal","refusal":"I will not"}"#;
    let because = |reason: &str| format!(r#"{{"reason":"{reason}"}}"#);
    assert_eq!(finish("completed", "null", text), Ok(FinishReason::Stop));
    assert_eq!(finish("completed", "null", refusal), Ok(FinishReason::Refused));
    let refused = whole("completed", "null", refusal).expect("is one");
    assert_eq!(refused.body.message().text(), "I will not");
    assert_eq!(finish("incomplete", &because("max_output_tokens"), text), Ok(FinishReason::Length));
    assert_eq!(finish("incomplete", &because("content_filter"), ""), Ok(FinishReason::Refused));
    let failure = finish("incomplete", "null", text).expect_err("incomplete");
    assert_eq!((failure.class, failure.code), (FailureClass::Transient, ErrorCode::ModelServer));
    let failure = finish("completed", "null", "").expect_err("empty");
    assert_eq!(failure.code, ErrorCode::ModelMalformed);
}

#[test]
fn errors_in_the_midst_of_a_stream() {
    let cases = [
        (
            r#"{"type":"error","code":"rate_limit_exceeded","message":"slow down","param":null}"#,
            FailureClass::RateLimited,
            ErrorCode::ModelRateLimited,
        ),
        (
            r#"{"error":{"code":500,"message":"slow down","type":"server_error"}}"#,
            FailureClass::Transient,
            ErrorCode::ModelServer,
        ),
        (
            r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"insufficient_quota","message":"slow down"},"usage":null,"output":[]}}"#,
            FailureClass::Final,
            ErrorCode::ModelQuota,
        ),
    ];
    for (event, class, code) in cases {
        let failure = outcome::<Assembly>(&[STREAM[4], STREAM[6], event], None).expect_err(event);
        assert_eq!((failure.class, failure.code), (class, code), "{event}");
        assert!(failure.message.ends_with("slow down"), "{}", failure.message);
        assert!(failure.usage.is_some(), "it had begun");
    }
}

/// Servers leave ids out, or items.
#[test]
fn pieces_find_their_items() {
    let done = r#"{"type":"response.completed","response":{"status":"completed"}}"#;
    let text = |id: &str| format!(r#"{{"type":"response.output_text.delta"{id},"delta":"x"}}"#);
    let item = r#"{"type":"response.output_item.added","item":{"type":"message"}}"#;
    let named = r#"{"type":"response.output_item.added","item":{"type":"message","id":"m"}}"#;
    let id = r#","item_id":"m""#;
    for (added, id) in
        [(item, ""), (item, id), (named, ""), (named, id), ("{\"type\":\"ping\"}", id)]
    {
        let (one, two) = (text(id), text(id));
        let reply = assemble::<Assembly>(&[added, &one, &two, done]);
        assert_eq!(reply.body.message().text(), "xx", "{added} {id}");
    }
}

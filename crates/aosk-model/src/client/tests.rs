//! Tests of `client`.

use aosk_abi::{FinishReason, Message};
use proptest::prelude::*;
use proptest::{collection, option, sample};
use serde_json::{Value, json};

use super::*;
use crate::testing::{answered, call};

const FORMATS: [Format; 3] = [Format::Chat, Format::Responses, Format::Messages];

/// What is said of a body that makes no sense.
fn wrong(format: Format, body: &[u8]) -> String {
    let error = understand(format, body).expect_err("no sense");
    assert_eq!(error.code, ErrorCode::ApiBadRequest);
    error.message.strip_prefix("reading the request: ").expect("how it begins").to_owned()
}

/// A body of each format with one message of this content.
fn saying(format: Format, content: &str) -> String {
    let list = match format {
        Format::Chat | Format::Messages | Format::Embeddings => "messages",
        Format::Responses => "input",
    };
    format!(r#"{{"model":"m","{list}":[{{"role":"user","content":{content}}}]}}"#)
}

#[test]
fn what_is_no_object_in_json_is_told_so() {
    for format in FORMATS {
        let cases: [(&[u8], &str); 6] = [
            (b"", "it is no JSON: EOF while parsing a value at line 1 column 0"),
            (b"hello", "it is no JSON: expected value at line 1 column 1"),
            (b"{\"model\":\"m\"", "it is no JSON: EOF while parsing an object at line 1 column 12"),
            (b"[1]", "expected an object, found a list"),
            (b"\"\xff\"", "it is no UTF-8: invalid utf-8 sequence of 1 bytes from index 1"),
            (b"{}", "model: it is missing or empty"),
        ];
        for (body, expected) in cases {
            assert_eq!(wrong(format, body), expected, "{format:?}");
        }
        let many: Vec<String> = (0..300).map(|index| format!(r#""f{index}":1"#)).collect();
        let many = format!("{{{}}}", many.join(","));
        assert_eq!(wrong(format, many.as_bytes()), "it has more than 256 fields");
    }
}

#[test]
fn the_field_that_is_wrong_is_named() {
    use Format::{Chat, Messages, Responses};
    let hi = r#"{"role":"user","content":"hi"}"#;
    let chat = |messages: &str, more: &str| {
        wrong(Chat, format!(r#"{{"model":"m","messages":[{messages}]{more}}}"#).as_bytes())
    };
    let of = |format, body: &str| wrong(format, body.as_bytes());
    let told = [
        of(Chat, r#"{"model":7,"messages":[]}"#),
        of(Chat, r#"{"model":"m"}"#),
        of(Chat, r#"{"model":"m","messages":"hi"}"#),
        chat("7", ""),
        chat(&format!(r#"{hi},{{"role":"robot"}}"#), ""),
        chat(r#"{"role":"user","content":7}"#, ""),
        chat(r#"{"role":"user","content":[{"text":"x"}]}"#, ""),
        chat(r#"{"role":"assistant","tool_calls":[{"id":"a","function":{}}]}"#, ""),
        chat(r#"{"role":"tool","tool_call_id":"a","content":"x"}"#, ""),
        chat(
            hi,
            r#","tools":[{"type":"function","function":{"name":"a"}},{"type":"function","function":{"name":"a"}}]"#,
        ),
        chat(hi, r#","tools":[{"type":"function","function":{"name":"a","parameters":[]}}]"#),
        chat(hi, r#","temperature":"hot""#),
        chat(hi, r#","max_tokens":1.5"#),
        chat(hi, r#","n":0"#),
        chat(hi, r#","stop":["a",7]"#),
        chat(hi, r#","tool_choice":"perhaps""#),
        chat(hi, r#","response_format":{"type":"json_schema","json_schema":{"name":"n"}}"#),
        of(Responses, r#"{"model":"m"}"#),
        of(
            Responses,
            r#"{"model":"m","input":[{"type":"function_call_output","call_id":"a","output":"x"}]}"#,
        ),
        of(Responses, r#"{"model":"m","input":[{"role":"robot","content":"x"}]}"#),
        of(Responses, r#"{"model":"m","input":"x","text":{"format":{"type":"xml"}}}"#),
        of(Messages, r#"{"model":"m","messages":[]}"#),
        of(Messages, r#"{"model":"m","messages":[{"role":"user"}]}"#),
        of(
            Messages,
            r#"{"model":"m","messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"a"}]}]}"#,
        ),
        of(
            Messages,
            r#"{"model":"m","messages":[{"role":"user","content":"x"}],"metadata":{"user_id":7}}"#,
        ),
    ];
    let expected = [
        "model: expected a string, found a number",
        "messages: it is missing or empty",
        "messages: expected a list, found a string",
        "messages[0]: expected an object, found a number",
        r#"messages[1].role: there is no role "robot""#,
        "messages[0].content: expected a string or a list of parts, found a number",
        "messages[0].content[0].type: it is missing or empty",
        "messages[0].tool_calls[0].function.name: it is missing or empty",
        r#"messages[0].tool_call_id: no earlier message calls a tool as "a""#,
        r#"tools[1].function.name: another tool is called "a" too"#,
        "tools[0].function.parameters: expected an object, found a list",
        "temperature: expected a number, found a string",
        "max_tokens: expected a whole number from 0, found 1.5",
        "n: expected a number from 1 to 4294967295",
        "stop[1]: expected a string, found a number",
        r#"tool_choice: there is no choice "perhaps""#,
        "response_format.json_schema.schema: it is missing",
        "input: it is missing or empty",
        r#"input[0].call_id: no earlier message calls a tool as "a""#,
        r#"input[0].role: there is no role "robot""#,
        r#"text.format.type: there is no form "xml""#,
        "messages: it is missing or empty",
        "messages[0].content: it is missing",
        r#"messages[0].content[0].tool_use_id: no earlier message calls a tool as "a""#,
        "metadata.user_id: expected a string, found a number",
    ];
    assert_eq!(told.as_slice(), expected);
}

#[test]
fn long_texts_and_halves_of_characters_are_taken() {
    for format in FORMATS {
        let long = "é\\n".repeat(2_500_000);
        let asked = understand(format, saying(format, &format!("\"{long}\"")).as_bytes());
        let said = asked.expect("understood").messages.first().map(Message::text);
        assert_eq!(said.map(|text| text.len()), Some(7_500_000));
        let half = understand(format, saying(format, r#""a\ud83d b\ud83d\ude00""#).as_bytes());
        assert_eq!(half.expect("understood").messages, [Message::user("a\u{fffd} b\u{1f600}")]);
    }
}

#[test]
fn what_is_nested_too_deep_is_refused_and_does_not_overflow() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for format in FORMATS {
        let part = format!(r#"[{{"type":"unknown","deep":{deep}}}]"#);
        let told = wrong(format, saying(format, &part).as_bytes());
        assert!(told.ends_with("content[0]: recursion limit exceeded"), "{told}");
        // What is not read may be as it likes.
        let body = saying(format, r#""hi""#).replacen('{', &format!(r#"{{"deep":{deep},"#), 1);
        understand(format, body.as_bytes()).expect("understood");
    }
}

/// Reasoning as drivers keep it, with what the text and the calls of its answer are.
const SIGNED: [(&str, &str, usize); 4] = [
    (
        r#"[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"said","bytes":2},{"type":"redacted_thinking","data":"r"}]"#,
        "Hi",
        1,
    ),
    (
        r#"[{"type":"thought","text":"hm","signature":null},{"type":"called","signature":"g"}]"#,
        "",
        2,
    ),
    (
        r#"[{"type":"reasoning","id":"rs_9","summary":[{"text":"hm","type":"summary_text"}],"encrypted_content":"e"}]"#,
        "Hi",
        1,
    ),
    (r#"[{"type":"think","text":"<think>hm</think>\n"}]"#, "Hi", 0),
];

/// What a client of this format sends back of an answer, as its SDK has it at the end.
fn sent_back(format: Format, whole: &[u8]) -> Value {
    let whole: Value = serde_json::from_slice(whole).expect("JSON");
    match format {
        Format::Chat | Format::Embeddings => {
            json!({"model": "m", "messages": [whole["choices"][0]["message"]]})
        }
        Format::Responses => json!({"model": "m", "input": whole["output"]}),
        Format::Messages => {
            json!({"model": "m", "messages": [{"role": "assistant", "content": whole["content"]}]})
        }
    }
}

/// The last answer of a conversation that is sent back, as a stream had it: the response at its end, or
/// what the pieces make.
fn accumulated(format: Format, frames: &[Frame]) -> Value {
    let data = |frame: &Frame| serde_json::from_str::<Value>(&frame.data).ok();
    let events: Vec<Value> = frames.iter().filter_map(data).collect();
    match format {
        Format::Responses => {
            let last = events.last().expect("an end");
            json!({"model": "m", "input": last["response"]["output"]})
        }
        Format::Chat | Format::Embeddings => {
            let mut message = json!({"role": "assistant", "tool_calls": []});
            for delta in events.iter().map(|event| &event["choices"][0]["delta"]) {
                for (name, value) in delta.as_object().into_iter().flatten() {
                    match (name.as_str(), &message[name], value) {
                        ("role", ..) => {}
                        ("tool_calls", ..) => {
                            let calls = message["tool_calls"].as_array_mut().expect("calls");
                            calls.extend(value.as_array().expect("calls").iter().cloned());
                        }
                        (_, Value::String(said), Value::String(more)) => {
                            message[name] = json!(format!("{said}{more}"));
                        }
                        (_, _, value) => message[name] = value.clone(),
                    }
                }
            }
            json!({"model": "m", "messages": [message]})
        }
        Format::Messages => {
            let mut blocks: Vec<Value> = Vec::new();
            for event in &events {
                if event["type"] == "content_block_start" {
                    blocks.push(event["content_block"].clone());
                }
                for (field, piece) in
                    [("text", "text"), ("thinking", "thinking"), ("signature", "signature")]
                {
                    if let (Some(more), Some(block)) =
                        (event["delta"][piece].as_str(), blocks.last_mut())
                    {
                        let said = block[field].as_str().unwrap_or_default().to_owned();
                        block[field] = json!(said + more);
                    }
                }
            }
            json!({"model": "m", "messages": [{"role": "assistant", "content": blocks}]})
        }
    }
}

#[test]
fn what_a_provider_signed_comes_back_through_a_client_of_any_format() {
    for format in FORMATS {
        let asked = understand(format, saying(format, r#""hi""#).as_bytes()).expect("understood");
        for (reasoning, text, calls) in SIGNED {
            let calls: Vec<_> = (0..calls).map(|index| call(&format!("c{index}"), "{}")).collect();
            let reply = answered(text, Some(reasoning), calls, FinishReason::Stop);
            let expected = reply.body.message().as_ref();
            let writer = || Writer::new(format, "m", "resp_1", 1, &asked);
            let mut told = writer();
            let thought = told.delta(&Delta::Reasoning("hm".into()));
            let said = told.delta(&Delta::Text(text.to_owned()));
            let said = if text.is_empty() { Vec::new() } else { said };
            let streamed = [thought, said, told.finish(&reply)].concat();
            let bodies = [
                sent_back(format, &writer().whole(&reply)),
                accumulated(format, &writer().finish(&reply)),
                accumulated(format, &streamed),
            ];
            for body in bodies {
                let back = understand(format, body.to_string().as_bytes()).expect("understood");
                let [message] = back.messages.as_slice() else { panic!("{body}: {back:?}") };
                let Message::Assistant { reasoning: kept, tool_calls, .. } = message else {
                    panic!("{message:?}")
                };
                let told = (kept.as_deref(), message.text(), tool_calls.as_slice());
                assert_eq!(
                    told,
                    (Some(reasoning), text.to_owned(), expected.tool_calls()),
                    "{body}"
                );
            }
        }
    }
}

#[test]
fn errors_have_the_shape_of_their_format() {
    let body = |format, status, code| {
        String::from_utf8(error_body(format, status, code, "why")).expect("UTF-8")
    };
    let openai = |kind: &str, word: &str, code: &str| {
        format!(
            r#"{{"error":{{"message":"why","type":"{kind}","param":null,"code":"{word}","kernel_code":"{code}"}}}}"#
        )
    };
    for format in [Format::Chat, Format::Responses] {
        let context = body(format, 400, ErrorCode::ModelContextLength);
        let expected =
            openai("invalid_request_error", "context_length_exceeded", "model.context_length");
        assert_eq!(context, expected);
        let quota = body(format, 429, ErrorCode::ModelQuota);
        assert_eq!(quota, openai("insufficient_quota", "insufficient_quota", "model.quota"));
        let failed = body(format, 502, ErrorCode::ModelServer);
        assert_eq!(failed, openai("server_error", "model.server", "model.server"));
    }
    let kinds = [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (413, "request_too_large"),
        (422, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ];
    for (status, kind) in kinds {
        let expected = format!(
            r#"{{"type":"error","error":{{"type":"{kind}","message":"why","kernel_code":"io.failed"}}}}"#
        );
        assert_eq!(body(Format::Messages, status, ErrorCode::Io), expected);
        let event = error_event(Format::Messages, status, ErrorCode::Io, "why");
        assert_eq!(event, Frame { event: Some("error"), data: expected });
    }
    let event = error_event(Format::Chat, 502, ErrorCode::ModelServer, "why");
    let data = openai("server_error", "model.server", "model.server");
    assert_eq!(event, Frame { event: None, data });
}

/// Words that the formats know, so that what is made of them goes deep.
const WORDS: &[&str] = &[
    "model",
    "messages",
    "input",
    "role",
    "content",
    "type",
    "text",
    "user",
    "assistant",
    "system",
    "tool",
    "tool_calls",
    "tool_call_id",
    "id",
    "function",
    "name",
    "arguments",
    "tools",
    "tool_choice",
    "auto",
    "tool_use",
    "tool_result",
    "tool_use_id",
    "thinking",
    "signature",
    "aosk1:[{\"type\":1}]",
    "reasoning",
    "encrypted_content",
    "summary",
    "function_call",
    "function_call_output",
    "call_id",
    "output",
    "response_format",
    "json_schema",
    "schema",
    "stop",
    "n",
    "stream",
    "max_tokens",
    "input_text",
    "output_text",
    "image_url",
    "url",
    "source",
    "message",
    "instructions",
    "data",
    "\u{1f600}",
    "",
];

fn any_json() -> impl Strategy<Value = Value> {
    let word = || sample::select(WORDS).prop_map(str::to_owned);
    let leaf = prop_oneof![
        4 => word().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            collection::btree_map(word(), inner, 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Bodies that make sense, one of each format.
fn sensible() -> [(Format, Value); 3] {
    let tool = json!({"type": "object"});
    [
        (
            Format::Chat,
            json!({"model": "m", "n": 1, "stop": ["x"], "tools": [{"type": "function", "function": {"name": "a", "parameters": tool}}],
            "messages": [{"role": "assistant", "content": [{"type": "text", "text": "a"}], "tool_calls": [{"id": "c", "function": {"name": "a", "arguments": "{}"}}]},
                {"role": "tool", "tool_call_id": "c", "content": "x"}]}),
        ),
        (
            Format::Responses,
            json!({"model": "m", "tools": [{"type": "function", "name": "a", "parameters": tool}],
            "input": [{"type": "reasoning", "summary": [], "encrypted_content": "e"}, {"role": "assistant", "content": "a"},
                {"type": "function_call", "call_id": "c", "name": "a", "arguments": "{}"}, {"type": "function_call_output", "call_id": "c", "output": "x"}]}),
        ),
        (
            Format::Messages,
            json!({"model": "m", "max_tokens": 9, "tools": [{"name": "a", "input_schema": tool}],
            "messages": [{"role": "assistant", "content": [{"type": "thinking", "thinking": "a", "signature": "s"}, {"type": "tool_use", "id": "c", "name": "a", "input": {}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "x"}]}]}),
        ),
    ]
}

/// Puts `other` in the place of the `at`-th value in `json`, counted from the outside.
fn replace(json: &mut Value, at: &mut usize, other: &Value) {
    if *at == 0 {
        *json = other.clone();
    }
    *at = at.wrapping_sub(1);
    match json {
        Value::Array(list) => list.iter_mut().for_each(|json| replace(json, at, other)),
        Value::Object(fields) => fields.values_mut().for_each(|json| replace(json, at, other)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Whatever is asked is refused with its code, or can be answered.
fn check(format: Format, body: &[u8]) {
    let asked = match understand(format, body) {
        Ok(asked) => asked,
        Err(error) => return assert_eq!(error.code, ErrorCode::ApiBadRequest),
    };
    assert!(!asked.model.is_empty() && asked.choices > 0);
    let reply = answered("a", None, vec![call("c", "{")], FinishReason::ToolCalls);
    let writer = || Writer::new(format, &asked.model, "id", 0, &asked);
    serde_json::from_slice::<Value>(&writer().whole(&reply)).expect("JSON");
    for frame in writer().finish(&reply) {
        assert!(frame.data == "[DONE]" || serde_json::from_str::<Value>(&frame.data).is_ok());
        assert!(!frame.data.contains('\n'));
    }
}

proptest! {
    #[test]
    fn any_json_is_refused_or_answered(json in any_json()) {
        for format in FORMATS {
            check(format, json.to_string().as_bytes());
        }
    }

    #[test]
    fn sense_with_one_value_replaced_is_refused_or_answered(
        at in 0_usize..40,
        other in any_json(),
        cut in option::weighted(0.2, 0_usize..300),
    ) {
        for (format, mut body) in sensible() {
            replace(&mut body, &mut at.clone(), &other);
            let bytes = body.to_string().into_bytes();
            check(format, bytes.get(..cut.unwrap_or(bytes.len())).unwrap_or(&bytes));
        }
    }
}

#[test]
fn what_is_sensible_is_understood() {
    for (format, body) in sensible() {
        let asked = understand(format, body.to_string().as_bytes()).expect("understood");
        assert_eq!(asked.messages.len(), 2, "{format:?}");
        assert_eq!(asked.messages.first().map(|message| message.tool_calls().len()), Some(1));
    }
}

#[test]
fn what_is_asked_of_an_embedder_is_one_message() {
    let asked = |input: &str| {
        let body = format!(r#"{{"model":"m","input":{input},"dimensions":4,"user":"u"}}"#);
        understand(Format::Embeddings, body.as_bytes())
    };
    for (input, text) in
        [(r#""one""#, "one"), (r#"["one"," two"]"#, "one two"), ("[[1,2],[3]]", "")]
    {
        let asked = asked(input).expect("understood");
        assert_eq!(asked.messages.len(), 1);
        assert_eq!(asked.messages[0].text(), text);
        assert_eq!((asked.provider_tools, asked.user.as_deref()), (true, Some("u")));
    }
    for input in ["1", "{}", "null", "true"] {
        assert_eq!(asked(input).expect_err("no sense").code, ErrorCode::ApiBadRequest, "{input}");
    }
}

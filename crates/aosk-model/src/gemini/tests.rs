//! Tests of `gemini`.

use std::sync::Arc;

use aosk_abi::{Content, ErrorCode, FailureClass, FinishReason, Message, Part, Tokens, Usage};
use serde_json::{Value, json};

use super::*;
use crate::testing::{asked, assemble, call, outcome, tool};

const PLAIN: Dialect =
    Dialect { shows_thoughts: false, wants_signatures: false, takes_temperature: false };
const SIGNED: Dialect =
    Dialect { shows_thoughts: true, wants_signatures: true, takes_temperature: true };

fn rendered(request: &Request, dialect: Dialect) -> Value {
    let bytes = request::render(request, dialect).expect("renders");
    assert_eq!(bytes, request::render(request, dialect).expect("renders"), "the same every time");
    serde_json::from_slice(&bytes).expect("JSON")
}

fn contents(messages: Vec<Message>, dialect: Dialect) -> Value {
    rendered(&asked(messages), dialect)["contents"].take()
}

fn calling(reasoning: Option<&str>, calls: Vec<aosk_abi::ToolUse>) -> Message {
    Message::Assistant { content: None, reasoning: reasoning.map(str::to_owned), tool_calls: calls }
}

#[test]
fn what_a_model_is_comes_from_its_name() {
    let of = |model| {
        let dialect = Dialect::of_model(model, None);
        assert!(dialect.takes_temperature);
        (dialect.shows_thoughts, dialect.wants_signatures)
    };
    assert_eq!(of("gemini-3.8-flash"), (true, true));
    assert_eq!(of("gemini-3.1-pro-preview"), (true, true));
    assert_eq!(of("gemini-flash-latest"), (true, true));
    assert_eq!(of("gemini-2.5-flash-lite"), (true, false));
    assert_eq!(of("gemini-2.0-flash"), (false, false));
    assert_eq!(of("gemini-2.5-flash-image"), (false, false));
    assert_eq!(of("gemma-3-27b-it"), (false, false));
    let catalogue = crate::Catalogue::default();
    let known = catalogue.find("gemini", "gemini-3.8-flash");
    assert!(!Dialect::of_model("gemini-3.8-flash", known).takes_temperature);
}

#[test]
fn a_whole_request() {
    let mut request = asked(vec![
        Message::system("One."),
        Message::user("a"),
        Message::system("Two."),
        Message::user("b"),
        Message::user(""),
    ]);
    let mut options = aosk_abi::ThinkOptions::clone(&request.options);
    options.temperature_milli = Some(1500);
    request.options = Arc::new(options);
    let nothing = aosk_abi::ToolSpec {
        parameters: json!({"type": "object", "properties": {}}),
        ..tool("now")
    };
    request.tools = Arc::new([tool("look"), nothing]);
    let schema = json!({"type": "object", "properties": {"at": {"type": "string"}}});
    assert_eq!(
        rendered(&request, SIGNED),
        json!({
            "systemInstruction": {"parts": [{"text": "One."}, {"text": "Two."}]},
            "contents": [{"role": "user", "parts": [{"text": "a"}, {"text": "b"}]}],
            "tools": [{"functionDeclarations": [
                {"name": "look", "description": "Looks.", "parametersJsonSchema": schema},
                {"name": "now", "description": "Looks."},
            ]}],
            "generationConfig": {
                "maxOutputTokens": 256,
                "temperature": 1.5,
                "thinkingConfig": {"includeThoughts": true},
            },
        })
    );
    assert_eq!(rendered(&request, PLAIN)["generationConfig"], json!({"maxOutputTokens": 256}));
}

#[test]
fn results_stand_together_right_behind_their_calls() {
    let messages = vec![
        Message::user("go"),
        calling(None, vec![call("a", r#"{"at": "x"}"#), call("b", "oops")]),
        Message::tool("b", "two"),
        Message::user("stop!"),
        Message::failed("a", "look", ErrorCode::ToolFailed, "no"),
    ];
    assert_eq!(
        contents(messages, PLAIN),
        json!([
            {"role": "user", "parts": [{"text": "go"}]},
            {"role": "model", "parts": [
                {"functionCall": {"id": "a", "name": "look", "args": {"at": "x"}}},
                {"functionCall": {"id": "b", "name": "look", "args": {"arguments": "oops"}}},
            ]},
            {"role": "user", "parts": [
                {"functionResponse": {"id": "b", "name": "look", "response": {"output": "two"}}},
                {"functionResponse": {
                    "id": "a", "name": "look", "response": {"error": "tool.failed: no"},
                }},
            ]},
            {"role": "user", "parts": [{"text": "stop!"}]},
        ])
    );
}

/// As documented: of calls at once the first is signed; a text may be too, or be followed by an empty
/// part that has its signature.
const SIGNED_STREAM: [&str; 4] = [
    r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"hm","thought":true}]}}],"usageMetadata":{"promptTokenCount":9,"totalTokenCount":9}}"#,
    r#"{"candidates":[{"content":{"parts":[{"text":"日"},{"text":"本"},{"text":"","thoughtSignature":"c0"}]}}]}"#,
    r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"look","args":{"at": "x"}},"thoughtSignature":"c1=="},{"functionCall":{"id":"f7","name":"look","args":{}}}]}}]}"#,
    r#"{"candidates":[{"content":{"parts":[]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":20,"cachedContentTokenCount":16,"candidatesTokenCount":5,"thoughtsTokenCount":7,"toolUsePromptTokenCount":2,"totalTokenCount":34}}"#,
];

#[test]
fn an_answer_goes_back_with_its_signatures_in_their_places() {
    let deltas = std::sync::Mutex::new(Vec::new());
    let on_delta = |delta| deltas.lock().expect("not poisoned").push(delta);
    let reply = outcome::<Assembly>(&SIGNED_STREAM, Some(&on_delta)).expect("answers");
    assert_eq!(reply.finish, FinishReason::ToolCalls);
    assert_eq!(
        reply.usage,
        Usage {
            input_uncached: Tokens(6),
            cache_read: Tokens(16),
            cache_write: Tokens(0),
            output: Tokens(12),
            reasoning: Tokens(7),
            estimated: false,
        }
    );
    let message = reply.body.message().as_ref().clone();
    assert_eq!(message.text(), "日本");
    assert_eq!(message.tool_calls(), [call("call_p7_3_0", r#"{"at": "x"}"#), call("f7", "{}")]);
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
            of(r#"{"at": "x"}"#),
            tool(1),
            of("{}")
        ]
    );
    assert_eq!(
        contents(vec![Message::user("go"), message], SIGNED)[1]["parts"],
        json!([
            {"text": "日本"},
            {"text": "", "thoughtSignature": "c0"},
            {
                "functionCall": {"id": "call_p7_3_0", "name": "look", "args": {"at": "x"}},
                "thoughtSignature": "c1==",
            },
            {"functionCall": {"id": "f7", "name": "look", "args": {}}},
        ])
    );
}

#[test]
fn a_signed_thought_goes_back_and_another_does_not() {
    let chunk = r#"{"candidates":[{"content":{"parts":[{"text":"h","thought":true},{"text":"m","thought":true,"thoughtSignature":"s"},{"text":"so","thought":true},{"text":"Yes."}]},"finishReason":"STOP"}]}"#;
    let reply = assemble::<Assembly>(&[chunk]);
    let sent = contents(vec![reply.body.message().as_ref().clone()], SIGNED);
    assert_eq!(
        sent[0]["parts"],
        json!([{"text": "hm", "thought": true, "thoughtSignature": "s"}, {"text": "Yes."}])
    );
    let unsigned = chunk.replace(r#","thoughtSignature":"s""#, "");
    let reply = assemble::<Assembly>(&[&unsigned]);
    let message = reply.body.message().as_ref().clone();
    let Message::Assistant { reasoning, .. } = &message else { panic!("{message:?}") };
    assert_eq!(reasoning.as_deref(), Some("hmso"));
    assert_eq!(contents(vec![message], SIGNED)[0]["parts"], json!([{"text": "Yes."}]));
}

#[test]
fn calls_of_another_model_have_what_stands_for_a_signature() {
    let anthropic = r#"[{"type":"thinking","thinking":"hm","signature":"c2ln"}]"#;
    let calls = || vec![call("a", "{}"), call("b", "{}")];
    for reasoning in [None, Some("I thought so."), Some(anthropic)] {
        let signature = |dialect| {
            let parts = contents(vec![calling(reasoning, calls())], dialect)[0]["parts"].take();
            let parts = parts.as_array().expect("a list").clone();
            assert_eq!(parts.len(), 2, "{parts:?}");
            parts.iter().map(|part| part["thoughtSignature"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(signature(SIGNED), [json!("skip_thought_signature_validator"), Value::Null]);
        assert_eq!(signature(PLAIN), [Value::Null, Value::Null]);
    }
}

#[test]
fn pictures_go_along_and_those_of_a_result_stand_behind_it() {
    let png = || Part::Image { media_type: "image/png".into(), data: "iVBO".into() };
    let text = |text: &str| Part::Text { text: text.into() };
    let other = |json| Part::Other { json };
    let messages = vec![
        Message::User { content: Content::Parts(vec![text("see"), png()]), name: None },
        calling(None, vec![call("a", "{}")]),
        Message::Tool {
            tool_call_id: "a".into(),
            name: None,
            content: Content::Parts(vec![text("a picture"), png()]),
            is_error: false,
        },
        Message::User {
            content: Content::Parts(vec![
                other(json!({"type": "image_url", "image_url": {"url": "https://x/y.png"}})),
                other(json!({"videoMetadata": {}})),
                other(json!(7)),
            ]),
            name: None,
        },
    ];
    let inline = json!({"inlineData": {"mimeType": "image/png", "data": "iVBO"}});
    assert_eq!(
        contents(messages, PLAIN),
        json!([
            {"role": "user", "parts": [{"text": "see"}, inline]},
            {"role": "model", "parts": [{"functionCall": {"id": "a", "name": "look", "args": {}}}]},
            {"role": "user", "parts": [
                {"functionResponse": {
                    "id": "a", "name": "look", "response": {"output": "a picture"},
                }},
            ]},
            {"role": "user", "parts": [
                inline, {"fileData": {"fileUri": "https://x/y.png"}}, {"videoMetadata": {}},
            ]},
        ])
    );
}

#[test]
fn every_way_to_end() {
    let finish = |reason: &str, parts: &str| {
        let chunk = format!(
            r#"{{"candidates":[{{"content":{{"parts":[{parts}]}},"finishReason":"{reason}"}}]}}"#
        );
        outcome::<Assembly>(&[&chunk], None)
    };
    let text = r#"{"text":"x"}"#;
    let ends = |reason, parts| finish(reason, parts).map(|reply| reply.finish);
    assert_eq!(ends("STOP", text), Ok(FinishReason::Stop));
    assert_eq!(ends("SOMETHING_NEW", text), Ok(FinishReason::Stop));
    assert_eq!(ends("MAX_TOKENS", ""), Ok(FinishReason::Length));
    assert_eq!(ends("SAFETY", text), Ok(FinishReason::Refused));
    let withheld = finish("PROHIBITED_CONTENT", "").expect("is one");
    assert_eq!(withheld.body.message().text(), "the answer was withheld: PROHIBITED_CONTENT");
    for reason in ["MALFORMED_FUNCTION_CALL", "OTHER"] {
        let failure = finish(reason, text).expect_err(reason);
        assert_eq!(
            (failure.class, failure.code),
            (FailureClass::Transient, ErrorCode::ModelServer)
        );
    }
    let failure = finish("STOP", "").expect_err("empty");
    assert_eq!(failure.code, ErrorCode::ModelMalformed);
}

#[test]
fn a_prompt_that_is_blocked_is_refused() {
    let chunk = r#"{"promptFeedback":{"blockReason":"SAFETY","safetyRatings":[]},"usageMetadata":{"promptTokenCount":4}}"#;
    let reply = assemble::<Assembly>(&[chunk]);
    assert_eq!(reply.finish, FinishReason::Refused);
    assert_eq!(reply.body.message().text(), "the prompt was blocked: SAFETY");
    assert_eq!(reply.usage.input_uncached, Tokens(4));
}

#[test]
fn an_error_in_the_midst_of_a_stream_is_the_answer() {
    let error = r#"{"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}}"#;
    let failure = outcome::<Assembly>(&[SIGNED_STREAM[1], error], None).expect_err("an error");
    assert_eq!((failure.class, failure.code), (FailureClass::Transient, ErrorCode::ModelServer));
    assert!(failure.message.ends_with("overloaded"), "{}", failure.message);
    assert!(failure.usage.is_some(), "it had begun");
}

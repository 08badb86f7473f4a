//! Tests of `wishes`: what a client asks goes out again in this format.

use serde_json::{Value, json};

use crate::client::{Asked, Format, understand};
use crate::continuing::Continuing;
use crate::openai::prefix::Prefixes;
use crate::openai::{Breakpoints, Dialect, LengthField, ReasoningField, Words, request};
use crate::testing::request_of;

/// The bytes that the driver sends.
fn sent(asked: Asked, words: Words) -> String {
    let dialect = Dialect {
        length: LengthField::MaxCompletionTokens,
        reasoning: ReasoningField::ReasoningContent,
        stream_usage: false,
        cache_key: false,
        breakpoints: Breakpoints::Nowhere,
        continuing: Continuing::NEVER,
        words,
    };
    let bytes = request::render(&request_of(asked), "m", dialect, false, &Prefixes::default());
    String::from_utf8(bytes.expect("renders")).expect("UTF-8")
}

fn asked(body: &Value) -> Asked {
    understand(Format::Chat, body.to_string().as_bytes()).expect("understood")
}

/// The fields that are sent beside the conversation.
fn fields(body: &Value, words: Words) -> Value {
    let mut sent: Value = serde_json::from_str(&sent(asked(body), words)).expect("JSON");
    let fields = sent.as_object_mut().expect("an object");
    for name in ["model", "messages", "max_completion_tokens", "tools"] {
        fields.remove(name);
    }
    sent
}

#[test]
fn a_conversation_goes_out_as_it_came_in() {
    let body = concat!(
        r#"{"model":"m","messages":[{"role":"system","content":"Be brief."},"#,
        r#"{"role":"user","name":"ann","content":"look \u00e9 twice"},"#,
        r#"{"role":"user","content":[{"type":"text","text":"see"},{"image_url":{"detail":"low","url":"https://x/y.png"},"type":"image_url"}]},"#,
        r#"{"role":"assistant","content":null,"reasoning_content":"hm","tool_calls":[{"id":"c1","type":"function","function":{"name":"look","arguments":"{ \"at\": 1.0 }"}},{"id":"c:2","type":"function","function":{"name":"look","arguments":"{}"}}]},"#,
        r#"{"role":"tool","tool_call_id":"c1","content":"one"},"#,
        r#"{"role":"tool","tool_call_id":"c:2","content":"two"},"#,
        r#"{"role":"assistant","content":"Both."}],"#,
        r#""max_completion_tokens":99,"temperature":0.3,"#,
        r#""tools":[{"type":"function","function":{"name":"look","description":"Looks.","parameters":{"properties":{"at":{"type":"number"}},"type":"object"},"strict":true}}],"#,
        r#""top_p":0.9,"frequency_penalty":0.25,"presence_penalty":-0.5,"stop":["\n\n","END"],"seed":-7,"#,
        r#""tool_choice":{"type":"function","function":{"name":"look"}},"parallel_tool_calls":false,"#,
        r#""response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"z":1,"a":[ 2 ]},"strict":true}},"#,
        r#""reasoning_effort":"low","verbosity":"high"}"#,
    );
    let understood = understand(Format::Chat, body.as_bytes()).expect("understood");
    assert!(!understood.provider_tools);
    assert_eq!(sent(understood, Words::OpenAi), body.replace(r"\u00e9", "é"));
}

#[test]
fn each_provider_is_told_what_it_knows() {
    let body = json!({
        "model": "m", "messages": [{"role": "user", "content": "hi"}],
        "top_k": 40, "seed": 3, "reasoning_effort": "high", "verbosity": "low", "stop": "x",
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
    });
    let form =
        json!({"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}});
    let object = json!({"type": "json_object"});
    let cases = [
        (
            Words::OpenAi,
            json!({"stop": ["x"], "seed": 3, "response_format": form, "reasoning_effort": "high", "verbosity": "low"}),
        ),
        (
            Words::Open,
            json!({"top_k": 40, "stop": ["x"], "seed": 3, "response_format": form, "reasoning_effort": "high"}),
        ),
        (
            Words::Common,
            json!({"stop": ["x"], "seed": 3, "response_format": form, "reasoning_effort": "high"}),
        ),
        (Words::Mistral, json!({"stop": ["x"], "random_seed": 3, "response_format": form})),
        (Words::Objects, json!({"stop": ["x"], "seed": 3, "response_format": object})),
    ];
    for (words, expected) in cases {
        assert_eq!(fields(&body, words), expected, "{words:?}");
    }
}

#[test]
fn a_schema_that_a_provider_does_not_know_is_told_in_words() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "number"}}});
    let body = json!({
        "model": "m", "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}},
    });
    let roles = |words| {
        let sent: Value = serde_json::from_str(&sent(asked(&body), words)).expect("JSON");
        let messages = sent["messages"].as_array().expect("messages").clone();
        messages
            .iter()
            .map(|message| message["content"].as_str().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(roles(Words::Common), ["Be brief.", "hi"]);
    let told = roles(Words::Objects);
    assert_eq!(told.get(1..), Some(["Be brief.".to_owned(), "hi".to_owned()].as_slice()));
    let first = told.first().expect("an instruction");
    assert!(first.contains("JSON") && first.ends_with(&schema.to_string()), "{first}");
}

#[test]
fn without_tools_there_is_nothing_to_choose() {
    let mut body = json!({
        "model": "m", "messages": [{"role": "user", "content": "hi"}],
        "tool_choice": "required", "parallel_tool_calls": true,
    });
    assert_eq!(fields(&body, Words::OpenAi), json!({}));
    body["tools"] = json!([{"type": "function", "function": {"name": "look"}}]);
    let chosen = json!({"tool_choice": "required", "parallel_tool_calls": true});
    assert_eq!(fields(&body, Words::OpenAi), chosen);
}

#[test]
fn a_form_without_a_name_is_given_one() {
    let body = json!({
        "model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}],
        "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
    });
    let asked = understand(Format::Messages, body.to_string().as_bytes()).expect("understood");
    let sent: Value = serde_json::from_str(&sent(asked, Words::OpenAi)).expect("JSON");
    let expected = json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": true}});
    assert_eq!(sent["response_format"], expected);
}

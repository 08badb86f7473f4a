//! Tests of `wishes`: what a client asks goes out in this format.

use serde_json::{Value, json};

use crate::client::{Format, understand};
use crate::gemini::{Dialect, request};
use crate::testing::request_of;

const THREE: Dialect =
    Dialect { shows_thoughts: true, wants_signatures: true, takes_temperature: true };
const TWO: Dialect = Dialect { wants_signatures: false, ..THREE };

/// What the driver sends of these fields of a request.
fn sent(format: Format, more: &Value, dialect: Dialect) -> Value {
    let mut body =
        json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9});
    for (name, value) in more.as_object().expect("fields") {
        body[name] = value.clone();
    }
    let asked = understand(format, body.to_string().as_bytes()).expect("understood");
    let bytes = request::render(&request_of(asked), dialect).expect("renders");
    serde_json::from_slice(&bytes).expect("JSON")
}

#[test]
fn wishes_are_said_in_its_words() {
    let asked = json!({
        "temperature": 0.5, "top_p": 0.9, "top_k": 4, "frequency_penalty": 0.5, "presence_penalty": 0.25,
        "stop": ["x"], "seed": 3, "reasoning_effort": "max", "tool_choice": {"type": "function", "function": {"name": "look"}},
        "tools": [{"type": "function", "function": {"name": "look"}}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
    });
    let told = sent(Format::Chat, &asked, THREE);
    let expected = json!({
        "maxOutputTokens": 9, "temperature": 0.5, "topP": 0.9, "topK": 4, "frequencyPenalty": 0.5,
        "presencePenalty": 0.25, "stopSequences": ["x"], "seed": 3,
        "responseMimeType": "application/json", "responseJsonSchema": {"type": "object"},
        "thinkingConfig": {"includeThoughts": true, "thinkingLevel": "high"},
    });
    assert_eq!(told["generationConfig"], expected);
    let calling =
        json!({"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["look"]}});
    assert_eq!(told["toolConfig"], calling);
    // A model that takes no temperature takes none of the like.
    let told = sent(Format::Chat, &asked, Dialect { takes_temperature: false, ..THREE });
    let expected = json!({
        "maxOutputTokens": 9, "stopSequences": ["x"], "seed": 3,
        "responseMimeType": "application/json", "responseJsonSchema": {"type": "object"},
        "thinkingConfig": {"includeThoughts": true, "thinkingLevel": "high"},
    });
    assert_eq!(told["generationConfig"], expected);
}

#[test]
fn how_hard_it_thinks_is_said_as_the_model_wants_it() {
    let thinking = |format, more: &Value, dialect| {
        sent(format, more, dialect)["generationConfig"]["thinkingConfig"].clone()
    };
    let (chat, messages) = (Format::Chat, Format::Messages);
    let shown = json!({"includeThoughts": true});
    assert_eq!(thinking(chat, &json!({}), THREE), shown);
    let low = json!({"includeThoughts": true, "thinkingBudget": 1024});
    assert_eq!(thinking(chat, &json!({"reasoning_effort": "low"}), TWO), low);
    let budget = json!({"thinking": {"type": "enabled", "budget_tokens": 2000}});
    let expected = json!({"includeThoughts": true, "thinkingBudget": 2000});
    assert_eq!(thinking(messages, &budget, TWO), expected);
    assert_eq!(thinking(messages, &budget, THREE), shown);
    let never = Dialect { shows_thoughts: false, ..TWO };
    assert_eq!(thinking(chat, &json!({"reasoning_effort": "low"}), never), Value::Null);
    assert_eq!(thinking(chat, &json!({"reasoning_effort": "of its own"}), TWO), shown);
}

#[test]
fn any_json_has_no_schema_and_no_tools_no_choice() {
    let asked = json!({"response_format": {"type": "json_object"}, "tool_choice": "required"});
    let told = sent(Format::Chat, &asked, TWO);
    let expected = json!({
        "maxOutputTokens": 9, "responseMimeType": "application/json",
        "thinkingConfig": {"includeThoughts": true},
    });
    assert_eq!(told["generationConfig"], expected);
    assert_eq!(told.get("toolConfig"), None);
}

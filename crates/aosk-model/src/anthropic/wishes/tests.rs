//! Tests of `wishes`: what a client asks goes out again in this format.

use serde_json::{Value, json};

use crate::anthropic::{Dialect, Version, request};
use crate::client::{Format, understand};
use crate::continuing::Continuing;
use crate::testing::request_of;

/// What the driver sends.
fn sent(format: Format, body: &str, version: Version) -> String {
    let asked = understand(format, body.as_bytes()).expect("understood");
    let dialect = Dialect { version, cache_marks: false, continuing: Continuing::NEVER };
    let bytes = request::render(&request_of(asked), "m", dialect, false).expect("renders");
    String::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn a_conversation_goes_out_as_it_came_in() {
    let body = concat!(
        r#"{"model":"m","max_tokens":99,"stop_sequences":["END"],"#,
        r#""tool_choice":{"type":"tool","name":"look","disable_parallel_tool_use":true},"#,
        r#""thinking":{"type":"enabled","budget_tokens":2000},"#,
        r#""output_config":{"effort":"xhigh","format":{"type":"json_schema","schema":{"z":1,"a":[ 2 ]}}},"#,
        r#""tools":[{"name":"look","description":"Looks.","input_schema":{"properties":{},"type":"object"},"strict":true}],"#,
        r#""system":[{"type":"text","text":"Be brief."},{"type":"text","text":"Be kind."}],"#,
        r#""messages":[{"role":"user","content":[{"type":"text","text":"see"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBO"}}]},"#,
        r#"{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"sig=="},{"type":"text","text":"I look."},{"type":"redacted_thinking","data":"red=="},"#,
        r#"{"type":"tool_use","id":"c1","name":"look","input":{"at": 1.0}},{"type":"tool_use","id":"c2","name":"look","input":{}}]},"#,
        r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":[{"type":"text","text":"one"}]},"#,
        r#"{"type":"tool_result","tool_use_id":"c2","content":[{"type":"text","text":"no such place"}],"is_error":true},{"type":"text","text":"and?"}]}]}"#,
    );
    assert_eq!(sent(Format::Messages, body, Version::V2026), body);
}

#[test]
fn each_version_is_told_what_it_knows() {
    let body = json!({
        "model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}],
        "temperature": 0.5, "top_p": 0.9, "top_k": 4, "thinking": {"type": "disabled"},
        "output_config": {"effort": "max", "format": {"type": "json_schema", "schema": {"type": "object"}}},
        "tools": [{"name": "look", "input_schema": {"type": "object"}, "strict": true}],
        "tool_choice": {"type": "any"},
    });
    let told = |version| -> Value {
        let sent = sent(Format::Messages, &body.to_string(), version);
        serde_json::from_str(&sent).expect("JSON")
    };
    assert_eq!(
        told(Version::V2026),
        json!({
            "model": "m", "max_tokens": 9,
            "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
            "thinking": {"type": "disabled"}, "tool_choice": {"type": "any"},
            "output_config": {"effort": "max", "format": {"type": "json_schema", "schema": {"type": "object"}}},
            "tools": [{"name": "look", "input_schema": {"type": "object"}, "strict": true}],
        })
    );
    let mut older = told(Version::V2023);
    let system = older.as_object_mut().and_then(|fields| fields.remove("system"));
    let system = system.expect("an instruction")[0]["text"].as_str().map(str::to_owned);
    assert!(system.as_deref().is_some_and(|text| text.ends_with(r#"{"type":"object"}"#)));
    assert_eq!(
        older,
        json!({
            "model": "m", "max_tokens": 9,
            "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
            "temperature": 0.5, "top_p": 0.9, "top_k": 4,
            "thinking": {"type": "disabled"}, "tool_choice": {"type": "any"},
            "tools": [{"name": "look", "input_schema": {"type": "object"}}],
        })
    );
}

#[test]
fn what_another_format_asks_is_said_as_far_as_this_one_knows_it() {
    let told = |more: Value| -> Value {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9,
            "tools": [{"type": "function", "function": {"name": "look"}}]});
        for (name, value) in more.as_object().expect("fields") {
            body[name] = value.clone();
        }
        let sent = sent(Format::Chat, &body.to_string(), Version::V2026);
        let mut sent: Value = serde_json::from_str(&sent).expect("JSON");
        for name in ["model", "messages", "max_tokens", "tools"] {
            sent.as_object_mut().expect("an object").remove(name);
        }
        sent
    };
    assert_eq!(told(json!({"seed": 3, "frequency_penalty": 0.5, "verbosity": "low"})), json!({}));
    let one_by_one = json!({"tool_choice": {"type": "auto", "disable_parallel_tool_use": true}});
    assert_eq!(told(json!({"parallel_tool_calls": false})), one_by_one);
    assert_eq!(told(json!({"parallel_tool_calls": true})), json!({}));
    let none = json!({"tool_choice": {"type": "none"}});
    assert_eq!(told(json!({"parallel_tool_calls": false, "tool_choice": "none"})), none);
    let low = json!({"output_config": {"effort": "low"}});
    assert_eq!(told(json!({"reasoning_effort": "minimal"})), low);
    assert_eq!(told(json!({"reasoning_effort": "low"})), low);
    // Any JSON has no word, nor has a schema that is a hint.
    for form in [
        json!({"type": "json_object"}),
        json!({"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}),
    ] {
        let told = told(json!({"response_format": form}));
        let text = told["system"][0]["text"].as_str().expect("an instruction");
        assert!(text.contains("JSON"), "{told}");
        assert_eq!(told.as_object().map(serde_json::Map::len), Some(1), "{told}");
    }
}

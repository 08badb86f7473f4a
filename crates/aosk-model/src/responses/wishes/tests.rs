//! Tests of `wishes`: what a client asks goes out again in this format.

use serde_json::{Value, json};

use crate::client::{Format, understand};
use crate::responses::{Dialect, request};
use crate::testing::request_of;

/// What the driver sends.
fn sent(format: Format, body: &str) -> String {
    let asked = understand(format, body.as_bytes()).expect("understood");
    let dialect = Dialect { keeps_reasoning: false, cache_key: false };
    let bytes = request::render(&request_of(asked), "m", dialect, false).expect("renders");
    String::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn a_conversation_goes_out_as_it_came_in() {
    let body = concat!(
        r#"{"model":"m","input":[{"role":"system","content":"Be brief."},"#,
        r#"{"role":"user","content":[{"type":"input_text","text":"see"},{"detail":"low","image_url":"https://x/y.png","type":"input_image"}]},"#,
        r#"{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":"enc=="},"#,
        r#"{"type":"message","role":"assistant","status":"completed","content":[{"type":"output_text","text":"I look."}]},"#,
        r#"{"type":"function_call","call_id":"c1","name":"look","arguments":"{ \"at\": 1.0 }"},"#,
        r#"{"type":"reasoning","id":"rs_2","summary":[],"encrypted_content":"more=="},"#,
        r#"{"type":"function_call","call_id":"c2","name":"look","arguments":"{}"},"#,
        r#"{"type":"function_call_output","call_id":"c1","output":"one"},"#,
        r#"{"type":"function_call_output","call_id":"c2","output":"two"},"#,
        r#"{"role":"user","content":"and?"}],"#,
        r#""max_output_tokens":99,"temperature":0.3,"#,
        r#""tools":[{"type":"function","name":"look","description":"Looks.","parameters":{"properties":{},"type":"object"},"strict":true}],"#,
        r#""store":false,"top_p":0.9,"tool_choice":{"type":"function","name":"look"},"parallel_tool_calls":false,"#,
        r#""text":{"format":{"type":"json_schema","name":"n","schema":{"z":1,"a":[ 2 ]},"strict":true},"verbosity":"low"},"#,
        r#""reasoning":{"effort":"high"}}"#,
    );
    assert_eq!(sent(Format::Responses, body), body);
}

#[test]
fn what_another_format_asks_is_said_as_far_as_this_one_knows_it() {
    let body = json!({
        "model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 99,
        "stop": ["x"], "seed": 3, "top_k": 4, "frequency_penalty": 0.5,
        "response_format": {"type": "json_object"}, "tool_choice": "none",
    });
    let sent: Value = serde_json::from_str(&sent(Format::Chat, &body.to_string())).expect("JSON");
    let expected = json!({
        "model": "m", "input": [{"role": "user", "content": "hi"}], "max_output_tokens": 99,
        "store": false, "text": {"format": {"type": "json_object"}},
    });
    assert_eq!(sent, expected);
}

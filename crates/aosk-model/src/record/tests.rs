//! Tests of `record`.

use super::*;

#[test]
fn what_is_plain_is_understood() {
    let line = r#"{"reward": 1, "messages": [
        {"role": "developer", "content": "rules", "extra": {}},
        {"role": "user", "content": ["a", {"type": "text", "text": "b"}, {"type": "image_url", "image_url": {}}]},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "x", "type": "function", "function": {"name": "f", "arguments": {"n": 1}}},
            {"function": {"name": "g"}}]},
        {"role": "tool", "tool_call_id": "x", "name": "f", "content": "1"},
        {"role": "tool", "content": null},
        {"role": "assistant", "tool_calls": null, "function_call": {"name": "h", "arguments": "{}"}},
        {"role": "function", "name": "h", "content": "2"},
        {"role": "assistant", "content": "done", "tool_calls": []}]}"#;
    let call = |id: &str, name: &str, arguments: &str| ToolUse {
        id: id.into(),
        name: name.into(),
        arguments: arguments.into(),
    };
    let calling = |tool_calls| Message::Assistant { content: None, reasoning: None, tool_calls };
    let tool = |id: &str, name: Option<&str>, text: &str| Message::Tool {
        tool_call_id: id.into(),
        name: name.map(str::to_owned),
        content: Content::Text(text.into()),
        is_error: false,
    };
    let text = |text: &str| Part::Text { text: text.into() };
    let image = serde_json::json!({"type": "image_url", "image_url": {}});
    assert_eq!(
        parse_line(line),
        Ok(Record {
            id: String::new(),
            messages: vec![
                Message::system("rules"),
                Message::User {
                    content: Content::Parts(vec![
                        text("a"),
                        text("b"),
                        Part::Other { json: image }
                    ]),
                    name: None
                },
                calling(vec![call("x", "f", r#"{"n":1}"#), call("call_2_1", "g", "")]),
                tool("x", Some("f"), "1"),
                tool("call_2_1", None, ""),
                calling(vec![call("call_5_0", "h", "{}")]),
                tool("call_5_0", Some("h"), "2"),
                Message::assistant("done"),
            ],
            times: vec![None; 8],
            tools: vec![],
        })
    );
    assert_eq!(parse_line(r#"{"id": 7, "messages": []}"#).map(|record| record.id), Ok("7".into()));
}

#[test]
fn what_is_wrong_is_named() {
    let cases = [
        ("", "not JSON: EOF while parsing"),
        ("[]", "the line is not a JSON object"),
        ("{}", "field `messages` is not a list"),
        (r#"{"messages": ["x"]}"#, "message 0: it is not a JSON object"),
        (r#"{"messages": [{"role": "user"}, {}]}"#, "message 1: field `role` is not a text"),
        (r#"{"messages": [{"role": "judge"}]}"#, "message 0: field `role`: judge is not known"),
        (
            r#"{"messages": [{"role": "user", "content": 5}]}"#,
            "message 0: field `content` is neither",
        ),
        (
            r#"{"messages": [{"role": "user", "content": ["a", 5]}]}"#,
            "message 0: field `content[1]` is not a part",
        ),
        (
            r#"{"messages": [{"role": "assistant", "tool_calls": {}}]}"#,
            "message 0: field `tool_calls` is not a list",
        ),
        (
            r#"{"messages": [{"role": "assistant", "tool_calls": [{"id": "x"}]}]}"#,
            "message 0: field `tool_calls[0].function.name` is not a text",
        ),
    ];
    for (line, what) in cases {
        let error = parse_line(line).expect_err(line);
        assert_eq!(error.code, ErrorCode::TraceInvalid);
        let expected = format!("reading a recorded conversation: {what}");
        assert!(error.message.starts_with(&expected), "{}", error.message);
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_line() {
    let line = "{\"id\":\"a\",\"messages\":[]}";
    let read = parse_line(line);
    assert!(read.is_ok());
    assert_eq!(parse_line(&format!("\u{feff}{line}")), read);
    assert!(parse_line(&format!("\u{feff}\u{feff}{line}")).is_err());
}

/// Python's `json.dumps` writes them.
#[test]
fn half_a_surrogate_pair_costs_one_character_and_not_the_record() {
    let record = parse_line(
        r#"{"id":"\ud800","messages":[{"role":"user","content":"a\udfff \\ud800 \ud83d\ude00"}]}"#,
    )
    .expect("a conversation");
    assert_eq!(record.id, "\u{fffd}");
    assert_eq!(record.messages, [Message::user("a\u{fffd} \\ud800 😀")]);
}

#[test]
fn times_are_read_in_whichever_form_they_stand() {
    let line = r#"{"messages": [
        {"role": "user", "content": "", "timestamp": 1763772000},
        {"role": "user", "content": "", "created_at": 1763772000.25},
        {"role": "user", "content": "", "created": 1763772000250},
        {"role": "user", "content": "", "timestamp": "2025-11-22T01:40:00+01:00"},
        {"role": "user", "content": "", "time": "2025-11-22T00:40:00.250"},
        {"role": "user", "content": "", "timestamp": "late in May", "created": 7},
        {"role": "user", "content": "", "timestamp": -1},
        {"role": "user", "content": "", "time": "2:10 pm on 3 May, 2023"}]}"#;
    let expected = [
        Some(1_763_772_000_000),
        Some(1_763_772_000_250),
        Some(1_763_772_000_250),
        Some(1_763_772_000_000),
        Some(1_763_772_000_250),
        Some(7_000),
        None,
        None,
    ];
    assert_eq!(parse_line(line).unwrap().times, expected.map(|time| time.map(Timestamp)));
}

#[test]
fn tools_are_read_in_whichever_form_they_stand() {
    let schema = serde_json::json!({"type": "object"});
    let spec =
        ToolSpec { name: "f".into(), description: "does it".into(), parameters: schema.clone() };
    let function = serde_json::json!({"name": "f", "description": "does it", "parameters": schema});
    let messages =
        serde_json::json!({"name": "f", "description": "does it", "input_schema": schema});
    for (field, tools) in [
        ("tools", serde_json::json!([{"type": "function", "function": function}])),
        ("functions", serde_json::json!([function])),
        ("tools", serde_json::json!([messages, {"type": "web_search"}, 7])),
    ] {
        let line = serde_json::json!({"messages": [], field: tools}).to_string();
        assert_eq!(parse_line(&line).unwrap().tools, std::slice::from_ref(&spec), "{line}");
    }
    let bare = r#"{"messages": [], "tools": [{"function": {"name": "g"}}]}"#;
    let [bare] = &parse_line(bare).unwrap().tools[..] else { panic!("one tool") };
    assert_eq!((bare.description.as_str(), bare.parameters.to_string()), ("", "{}".to_owned()));
    assert_eq!(parse_line(r#"{"messages": [], "tools": "none"}"#).unwrap().tools, []);
}

//! Tests of `responses`.

use aosk_abi::{Content, ErrorCode, FinishReason, Message, Part, Tokens, ToolSpec};
use serde_json::{Value, json};

use crate::client::{Asked, Format, Frame, Writer, understand};
use crate::driver::Delta;
use crate::testing::{answered, call, streamed};
use crate::wishes::{ToolChoice, Wishes};

fn asked(body: &str) -> Asked {
    understand(Format::Responses, body.as_bytes()).unwrap_or_else(|error| panic!("{body}: {error}"))
}

fn with(more: &str) -> Asked {
    asked(&format!(r#"{{"model":"m","input":"hi",{more}}}"#))
}

fn writer() -> Writer {
    Writer::new(Format::Responses, "m", "resp_1", 1_700_000_000, &with(r#""max_output_tokens":9"#))
}

#[test]
fn all_that_is_asked_is_understood() {
    let body = r#"{"model":"deep","instructions":"Be brief.","input":[
        {"role":"developer","content":"Be kind."},
        {"type":"message","role":"user","content":[
            {"type":"input_text","text":"see"},
            {"type":"input_image","detail":"auto","image_url":"data:image/png;base64,iVBO"}]},
        {"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"hm"}]},
        {"type":"message","id":"msg_1","role":"assistant","status":"completed","content":[{"type":"output_text","text":"I look.","annotations":[]}]},
        {"type":"function_call","id":"fc_1","call_id":"c1","name":"look","arguments":"{}","status":"completed"},
        {"type":"function_call","call_id":"c2","name":"look","arguments":"{}"},
        {"type":"function_call_output","call_id":"c1","output":"one"},
        {"type":"function_call_output","call_id":"c2","output":[{"type":"input_text","text":"two"}]},
        {"role":"assistant","content":"Both."},
        {"role":"assistant","content":[{"type":"refusal","refusal":"No more."}]}],
        "tools":[{"type":"function","name":"look","description":null,"parameters":null,"strict":true}],
        "max_output_tokens":9,"stream":true,"safety_identifier":"ann","temperature":0.5,"tool_choice":"required",
        "parallel_tool_calls":false,"reasoning":{"effort":"low","summary":"auto"},"text":{"verbosity":"low"},
        "store":false,"include":["reasoning.encrypted_content"],"truncation":"auto","metadata":{}}"#;
    let text = |text: &str| Part::Text { text: text.into() };
    let image = Part::Image { media_type: "image/png".into(), data: "iVBO".into() };
    let parameters = json!({"type": "object", "properties": {}});
    let expected = Asked {
        model: "deep".into(),
        messages: vec![
            Message::system("Be brief."),
            Message::system("Be kind."),
            Message::User { content: Content::Parts(vec![text("see"), image]), name: None },
            Message::Assistant {
                content: Some(Content::Text("I look.".into())),
                reasoning: Some("hm".into()),
                tool_calls: vec![call("c1", "{}"), call("c2", "{}")],
            },
            Message::returned("c1", "look", "one"),
            Message::Tool {
                tool_call_id: "c2".into(),
                name: Some("look".into()),
                content: Content::Parts(vec![text("two")]),
                is_error: false,
            },
            Message::assistant("Both."),
            Message::assistant("No more."),
        ],
        tools: vec![ToolSpec { name: "look".into(), description: String::new(), parameters }],
        provider_tools: false,
        translated: false,
        output_max: Some(Tokens(9)),
        stream: true,
        stream_usage: true,
        choices: 1,
        user: Some("ann".into()),
        wishes: Wishes {
            temperature: Some(0.5),
            tool_choice: Some(ToolChoice::Required),
            parallel_tools: Some(false),
            strict_tools: vec!["look".into()],
            reasoning_effort: Some("low".into()),
            verbosity: Some("low".into()),
            ..Wishes::default()
        },
    };
    assert_eq!(asked(body), expected);
}

#[test]
fn what_only_the_provider_can_do_is_told() {
    for bound in [
        r#""tools":[{"type":"web_search"}]"#,
        r#""tools":[{"type":"custom","name":"sh"}]"#,
        r#""previous_response_id":"resp_0""#,
        r#""conversation":{"id":"conv_1"}"#,
    ] {
        assert!(with(bound).provider_tools, "{bound}");
    }
    assert!(!with(r#""background":false,"previous_response_id":null"#).provider_tools);
    let later = r#"{"model":"m","input":"hi","background":true}"#;
    let error = understand(Format::Responses, later.as_bytes()).expect_err("nobody could fetch it");
    assert!(error.message.contains("background"), "{error}");
    // What the provider has is not missed here.
    let result = r#"{"type":"function_call_output","call_id":"c1","output":"one"}"#;
    let kept =
        asked(&format!(r#"{{"model":"m","previous_response_id":"resp_0","input":[{result}]}}"#));
    assert_eq!(kept.messages, [Message::tool("c1", "one")]);
    let item = json!({"type": "item_reference", "id": "msg_1"});
    let unknown = asked(&json!({"model": "m", "input": [item]}).to_string());
    assert!(unknown.provider_tools);
    let content = Content::Parts(vec![Part::Other { json: item }]);
    assert_eq!(unknown.messages, [Message::User { content, name: None }]);
}

#[test]
fn thoughts_that_were_given_out_here_are_known_again() {
    let thought = |encrypted: &str| {
        let body = format!(
            r#"{{"model":"m","input":[{{"type":"reasoning","id":"rs_1","summary":[{{"type":"summary_text","text":"hm"}}]{encrypted}}},{{"role":"assistant","content":"a"}}]}}"#
        );
        let asked = asked(&body);
        let reasoning = match asked.messages.into_iter().next() {
            Some(Message::Assistant { reasoning, .. }) => reasoning,
            other => panic!("{other:?}"),
        };
        (reasoning, asked.translated)
    };
    assert_eq!(thought(""), (Some("hm".into()), false));
    assert_eq!(thought(r#","encrypted_content":"aosk1:""#), (Some("hm".into()), true));
}

/// A response with this status and output, as everything is said of it that was not asked.
fn response(status: &str, why: &str, output: &str, usage: &str) -> String {
    format!(
        concat!(
            r#"{{"id":"resp_1","object":"response","created_at":1700000000,"status":"{}","error":null,"#,
            r#""incomplete_details":{},"model":"m","output":[{}],"usage":{},"background":false,"instructions":null,"#,
            r#""max_output_tokens":9,"metadata":{{}},"parallel_tool_calls":true,"previous_response_id":null,"#,
            r#""reasoning":{{"effort":null,"summary":null}},"store":false,"temperature":null,"text":{{"format":{{"type":"text"}}}},"#,
            r#""tool_choice":"auto","tools":[],"top_p":null,"truncation":"disabled","user":null}}"#,
        ),
        status, why, output, usage
    )
}

const USAGE: &str = r#"{"input_tokens":17,"input_tokens_details":{"cached_tokens":5,"cache_write_tokens":2},"output_tokens":7,"output_tokens_details":{"reasoning_tokens":3},"total_tokens":24}"#;

#[test]
fn a_whole_answer() {
    let whole = |reply| String::from_utf8(writer().whole(&reply)).expect("UTF-8");
    let message = |id: &str, status: &str, text: &str| {
        format!(
            r#"{{"type":"message","id":"{id}","status":"{status}","role":"assistant","content":[{{"type":"output_text","text":"{text}","annotations":[],"logprobs":[]}}]}}"#
        )
    };
    let said = message("msg_1_0", "completed", "Hi");
    let stopped = whole(answered("Hi", None, vec![], FinishReason::Stop));
    assert_eq!(stopped, response("completed", "null", &said, USAGE));
    let said = message("msg_1_0", "incomplete", "Hi");
    let cut = whole(answered("Hi", None, vec![], FinishReason::Length));
    let why = r#"{"reason":"max_output_tokens"}"#;
    assert_eq!(cut, response("incomplete", why, &said, USAGE));
    let refused = whole(answered("Hi", None, vec![], FinishReason::Refused));
    let why = r#"{"reason":"content_filter"}"#;
    assert_eq!(refused, response("incomplete", why, &said, USAGE));
    let calls = vec![call("c1", "{\"at\":1}"), call("c2", "")];
    let called = whole(answered("", Some("hm"), calls, FinishReason::ToolCalls));
    let output = concat!(
        r#"{"type":"reasoning","id":"rs_1_0","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":"aosk1:"},"#,
        r#"{"type":"function_call","id":"fc_1_1","status":"completed","call_id":"c1","name":"look","arguments":"{\"at\":1}"},"#,
        r#"{"type":"function_call","id":"fc_1_2","status":"completed","call_id":"c2","name":"look","arguments":"{}"}"#,
    );
    assert_eq!(called, response("completed", "null", output, USAGE));
    // What was encrypted in this format stands where it stood.
    let blocks = r#"[{"type":"said","bytes":1},{"type":"reasoning","id":"rs_9","summary":[],"encrypted_content":"e"}]"#;
    let signed = whole(answered("Hi", Some(blocks), vec![], FinishReason::Stop));
    let own = r#"{"type":"reasoning","id":"rs_9","summary":[],"encrypted_content":"e"}"#;
    let (first, last) =
        (message("msg_1_0", "completed", "H"), message("msg_1_2", "completed", "i"));
    assert_eq!(signed, response("completed", "null", &format!("{first},{own},{last}"), USAGE));
}

#[test]
fn a_streamed_answer() {
    let pieces = [
        Delta::Reasoning("h".into()),
        Delta::Reasoning("m".into()),
        Delta::Text("Hel".into()),
        Delta::ToolCall { index: 0, name: "look".into() },
    ];
    let reply = answered("Hello", Some("hm"), vec![call("c1", "{}")], FinishReason::ToolCalls);
    let begun = response("in_progress", "null", "", "null");
    let thought = r#"{"type":"reasoning","id":"rs_1_0","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":"aosk1:"}"#;
    let part = r#"{"type":"output_text","text":"Hello","annotations":[],"logprobs":[]}"#;
    let said = format!(
        r#"{{"type":"message","id":"msg_1_1","status":"completed","role":"assistant","content":[{part}]}}"#
    );
    let called = r#"{"type":"function_call","id":"fc_1_2","status":"completed","call_id":"c1","name":"look","arguments":"{}"}"#;
    let over = response("completed", "null", &format!("{thought},{said},{called}"), USAGE);
    let events = [
        ("response.created", format!(r#""response":{begun}"#)),
        ("response.in_progress", format!(r#""response":{begun}"#)),
        ("response.output_item.added", r#""output_index":0,"item":{"type":"reasoning","id":"rs_1_0","summary":[]}"#.into()),
        ("response.reasoning_summary_part.added", r#""item_id":"rs_1_0","output_index":0,"summary_index":0,"part":{"type":"summary_text","text":""}"#.into()),
        ("response.reasoning_summary_text.delta", r#""item_id":"rs_1_0","output_index":0,"summary_index":0,"delta":"h""#.into()),
        ("response.reasoning_summary_text.delta", r#""item_id":"rs_1_0","output_index":0,"summary_index":0,"delta":"m""#.into()),
        ("response.reasoning_summary_text.done", r#""item_id":"rs_1_0","output_index":0,"summary_index":0,"text":"hm""#.into()),
        ("response.reasoning_summary_part.done", r#""item_id":"rs_1_0","output_index":0,"summary_index":0,"part":{"type":"summary_text","text":"hm"}"#.into()),
        ("response.output_item.done", format!(r#""output_index":0,"item":{thought}"#)),
        ("response.output_item.added", r#""output_index":1,"item":{"type":"message","id":"msg_1_1","status":"in_progress","role":"assistant","content":[]}"#.into()),
        ("response.content_part.added", r#""item_id":"msg_1_1","output_index":1,"content_index":0,"part":{"type":"output_text","text":"","annotations":[],"logprobs":[]}"#.into()),
        ("response.output_text.delta", r#""item_id":"msg_1_1","output_index":1,"content_index":0,"delta":"Hel","logprobs":[]"#.into()),
        ("response.output_text.delta", r#""item_id":"msg_1_1","output_index":1,"content_index":0,"delta":"lo","logprobs":[]"#.into()),
        ("response.output_text.done", r#""item_id":"msg_1_1","output_index":1,"content_index":0,"text":"Hello","logprobs":[]"#.into()),
        ("response.content_part.done", format!(r#""item_id":"msg_1_1","output_index":1,"content_index":0,"part":{part}"#)),
        ("response.output_item.done", format!(r#""output_index":1,"item":{said}"#)),
        ("response.output_item.added", r#""output_index":2,"item":{"type":"function_call","id":"fc_1_2","status":"in_progress","call_id":"c1","name":"look","arguments":""}"#.into()),
        ("response.function_call_arguments.delta", r#""item_id":"fc_1_2","output_index":2,"delta":"{}""#.into()),
        ("response.function_call_arguments.done", r#""item_id":"fc_1_2","output_index":2,"name":"look","arguments":"{}""#.into()),
        ("response.output_item.done", format!(r#""output_index":2,"item":{called}"#)),
        ("response.completed", format!(r#""response":{over}"#)),
    ];
    let lines = events.iter().enumerate().map(|(number, (name, fields))| {
        format!(r#"{name} {{"type":"{name}",{fields},"sequence_number":{number}}}"#)
    });
    assert_eq!(streamed(writer(), &pieces, &reply), lines.collect::<Vec<_>>());
}

#[test]
fn what_was_asked_is_said_again() {
    let asked = with(
        r#""tools":[{"type":"function","name":"look","description":"Looks.","parameters":{"type":"object"},"strict":true}],
        "tool_choice":{"type":"function","name":"look"},"text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object"}}},
        "reasoning":{"effort":"high"},"temperature":0.5,"top_p":0.9,"parallel_tool_calls":false,"user":"ann""#,
    );
    let writer = Writer::new(Format::Responses, "m", "resp_1", 1, &asked);
    let whole = writer.whole(&answered("{}", None, vec![], FinishReason::Stop));
    let whole: Value = serde_json::from_slice(&whole).expect("JSON");
    let expected = json!({
        "tools": [{"type": "function", "name": "look", "description": "Looks.", "parameters": {"type": "object"}, "strict": true}],
        "tool_choice": {"type": "function", "name": "look"},
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": null}},
        "reasoning": {"effort": "high", "summary": null},
        "temperature": 0.5, "top_p": 0.9, "parallel_tool_calls": false, "user": "ann",
    });
    for (name, value) in expected.as_object().expect("fields") {
        assert_eq!(&whole[name], value, "{name}");
    }
}

#[test]
fn a_failure_has_the_next_number() {
    let mut writer = writer();
    let told = writer.delta(&Delta::Text("a".into())).len();
    let Frame { event, data } = writer.failed(529, ErrorCode::ModelRateLimited, "too many");
    assert_eq!(event, Some("error"));
    let expected = json!({
        "type": "error", "sequence_number": told, "code": "rate_limit_exceeded", "message": "too many", "param": null,
        "error": {"message": "too many", "type": "server_error", "param": null, "code": "rate_limit_exceeded", "kernel_code": "model.rate_limited"},
    });
    assert_eq!(serde_json::from_str::<Value>(&data).expect("JSON"), expected);
}

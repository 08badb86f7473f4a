//! Tests of `chat`.

use aosk_abi::{Content, FinishReason, Message, Part, Tokens, ToolSpec, ToolUse};
use serde_json::json;

use crate::client::{Asked, Format, Writer, understand};
use crate::driver::Delta;
use crate::testing::{answered, call, streamed};
use crate::wishes::{AnswerForm, ToolChoice, Wishes};

fn asked(body: &str) -> Asked {
    understand(Format::Chat, body.as_bytes()).unwrap_or_else(|error| panic!("{body}: {error}"))
}

fn with(more: &str) -> Asked {
    asked(&format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}],{more}}}"#))
}

fn writer(more: &str) -> Writer {
    Writer::new(Format::Chat, "m", "chatcmpl-1", 1_700_000_000, &with(more))
}

#[test]
fn all_that_is_asked_is_understood() {
    let body = r#"{"model":"fast","messages":[
        {"role":"developer","content":[{"type":"text","text":"Be "},{"type":"text","text":"brief."}]},
        {"role":"user","content":[
            {"type":"text","text":"see","prompt_cache_breakpoint":{"mode":"explicit"}},
            {"type":"image_url","image_url":{"url":"data:image/png;base64,iVBO","detail":"auto"}},
            {"type":"image_url","image_url":{"url":"data:image/png;base64,iVBO","detail":"low"}}]},
        {"role":"assistant","content":"I look.","reasoning_content":"hm","tool_calls":[
            {"id":"c1","type":"function","function":{"name":"look","arguments":"{\"at\":"}}]},
        {"role":"tool","tool_call_id":"c1","content":[{"type":"text","text":"nothing"}]},
        {"role":"assistant","content":null,"refusal":"I cannot."}],
        "tools":[{"type":"function","function":{"name":"look","strict":true}}],
        "max_tokens":7,"max_completion_tokens":9,"stream":true,"stream_options":{"include_usage":true},"n":2,
        "user":"ann","temperature":0,"top_p":1,"stop":"END","seed":5,"tool_choice":"auto","parallel_tool_calls":true,
        "response_format":{"type":"text"},"reasoning_effort":"high","verbosity":null,"logprobs":false,"made_up":{"a":[]}}"#;
    let text = |text: &str| Part::Text { text: text.into() };
    let image = Part::Image { media_type: "image/png".into(), data: "iVBO".into() };
    let detailed = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO", "detail": "low"}});
    let user = vec![text("see"), image, Part::Other { json: detailed }];
    let parameters = json!({"type": "object", "properties": {}});
    let expected = Asked {
        model: "fast".into(),
        messages: vec![
            Message::System { content: Content::Parts(vec![text("Be "), text("brief.")]) },
            Message::User { content: Content::Parts(user), name: None },
            Message::Assistant {
                content: Some(Content::Text("I look.".into())),
                reasoning: Some("hm".into()),
                tool_calls: vec![call("c1", "{\"at\":")],
            },
            Message::Tool {
                tool_call_id: "c1".into(),
                name: Some("look".into()),
                content: Content::Parts(vec![text("nothing")]),
                is_error: false,
            },
            Message::assistant("I cannot."),
        ],
        tools: vec![ToolSpec { name: "look".into(), description: String::new(), parameters }],
        provider_tools: false,
        translated: false,
        output_max: Some(Tokens(9)),
        stream: true,
        stream_usage: true,
        choices: 2,
        user: Some("ann".into()),
        wishes: Wishes {
            temperature: Some(0.0),
            top_p: Some(1.0),
            stop: vec!["END".into()],
            seed: Some(5),
            tool_choice: Some(ToolChoice::Auto),
            parallel_tools: Some(true),
            strict_tools: vec!["look".into()],
            reasoning_effort: Some("high".into()),
            ..Wishes::default()
        },
    };
    assert_eq!(asked(body), expected);
}

#[test]
fn the_older_forms_of_calls_are_understood() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"},
        {"role":"assistant","content":null,"function_call":{"name":"look","arguments":"{}"}},
        {"role":"function","name":"look","content":"nothing"},
        {"role":"assistant","tool_calls":[{"id":"x","function":{"name":"look","arguments":{"at": 1}}}]},
        {"role":"tool","tool_call_id":"x","content":"one"}]}"#;
    let asked = asked(body);
    let calls: Vec<&ToolUse> = asked.messages.iter().flat_map(Message::tool_calls).collect();
    assert_eq!(calls, [&call("call_1", "{}"), &call("x", r#"{"at": 1}"#)]);
    assert_eq!(asked.messages.get(2), Some(&Message::returned("call_1", "look", "nothing")));
}

#[test]
fn what_only_the_provider_can_do_is_told() {
    for bound in [
        r#""tools":[{"type":"web_search"}]"#,
        r#""tools":[{"type":"custom","custom":{"name":"sh"}}]"#,
        r#""functions":[{"name":"look"}]"#,
        r#""logprobs":true"#,
        r#""web_search_options":{"search_context_size":"low"}"#,
        r#""modalities":["text","audio"]"#,
        r#""tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[]}}"#,
    ] {
        assert!(with(bound).provider_tools, "{bound}");
    }
    for free in [
        r#""tools":[]"#,
        r#""functions":null"#,
        r#""logit_bias":{}"#,
        r#""modalities":["text"]"#,
        r#""metadata":{"a":"b"},"store":true,"service_tier":"auto""#,
    ] {
        assert!(!with(free).provider_tools, "{free}");
    }
    let said = |part: &str| {
        asked(&format!(r#"{{"model":"m","messages":[{{"role":"user","content":[{part}]}}]}}"#))
    };
    let sound = json!({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}});
    let asked = said(&sound.to_string());
    assert!(asked.provider_tools);
    let content = Content::Parts(vec![Part::Other { json: sound }]);
    assert_eq!(asked.messages, [Message::User { content, name: None }]);
    let there = r#"{"type":"image_url","image_url":{"url":"https://x/y.png"}}"#;
    assert!(!said(there).provider_tools);
}

#[test]
fn a_schema_stays_as_it_was_written() {
    let asked = with(
        r#""response_format":{"type":"json_schema","json_schema":{"name":"n","strict":false,"schema":{ "b":1, "a":1e2 }}}"#,
    );
    let Some(AnswerForm::JsonSchema { name, schema, strict }) = asked.wishes.answer else {
        panic!("no schema")
    };
    let read = (name.as_str(), schema.json().get(), strict);
    assert_eq!(read, ("n", r#"{ "b":1, "a":1e2 }"#, Some(false)));
}

#[test]
fn a_whole_answer() {
    let whole = |reply| String::from_utf8(writer(r#""n":1"#).whole(&reply)).expect("UTF-8");
    let usage = r#""usage":{"prompt_tokens":17,"completion_tokens":7,"total_tokens":24,"prompt_tokens_details":{"cached_tokens":5,"cache_write_tokens":2},"completion_tokens_details":{"reasoning_tokens":3}}"#;
    let framed = |message: &str, finish: &str| {
        format!(
            r#"{{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"m","choices":[{{"index":0,"message":{{"role":"assistant",{message}}},"logprobs":null,"finish_reason":"{finish}"}}],{usage}}}"#
        )
    };
    let said = r#""content":"Hi","refusal":null"#;
    assert_eq!(whole(answered("Hi", None, vec![], FinishReason::Stop)), framed(said, "stop"));
    assert_eq!(whole(answered("Hi", None, vec![], FinishReason::Length)), framed(said, "length"));
    let refused = whole(answered("Hi", None, vec![], FinishReason::Refused));
    assert_eq!(refused, framed(said, "content_filter"));
    let calls = vec![call("c1", "{\"at\":1}"), call("c2", "")];
    let called = whole(answered("", Some("hm"), calls, FinishReason::ToolCalls));
    let expected = concat!(
        r#""content":null,"refusal":null,"reasoning_content":"hm","tool_calls":["#,
        r#"{"id":"c1","type":"function","function":{"name":"look","arguments":"{\"at\":1}"}},"#,
        r#"{"id":"c2","type":"function","function":{"name":"look","arguments":"{}"}}]"#,
    );
    assert_eq!(called, framed(expected, "tool_calls"));
}

#[test]
fn a_streamed_answer() {
    let chunk = |choices: &str, usage: &str| {
        format!(
            r#"{{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":[{choices}]{usage}}}"#
        )
    };
    let piece = |delta: &str, finish: &str, usage: &str| {
        let choice = format!(
            r#"{{"index":0,"delta":{{{delta}}},"logprobs":null,"finish_reason":{finish}}}"#
        );
        chunk(&choice, usage)
    };
    let reply = answered("Hello", Some("hm"), vec![call("c1", "{}")], FinishReason::ToolCalls);
    let expected = |usage: &str, last: Option<&str>| {
        let begin = [
            piece(r#""role":"assistant","content":"""#, "null", usage),
            piece(r#""reasoning_content":"hm""#, "null", usage),
            piece(r#""content":"Hel""#, "null", usage),
            piece(r#""content":"lo""#, "null", usage),
            piece(
                r#""tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"look","arguments":"{}"}}]"#,
                "null",
                usage,
            ),
            piece("", r#""tool_calls""#, usage),
        ];
        let last = last.map(|last| chunk("", last));
        begin.into_iter().chain(last).chain(["[DONE]".to_owned()]).collect::<Vec<_>>()
    };
    let pieces = [
        Delta::Reasoning("hm".into()),
        Delta::Text("Hel".into()),
        Delta::ToolCall { index: 0, name: "look".into() },
        Delta::Arguments("{}".into()),
    ];
    // What was not told in pieces comes at the end.
    assert_eq!(streamed(writer(r#""stream":true"#), &pieces, &reply), expected("", None));
    let counting = writer(r#""stream":true,"stream_options":{"include_usage":true}"#);
    let usage = r#","usage":{"prompt_tokens":17,"completion_tokens":7,"total_tokens":24,"prompt_tokens_details":{"cached_tokens":5,"cache_write_tokens":2},"completion_tokens_details":{"reasoning_tokens":3}}"#;
    let counted = expected(r#","usage":null"#, Some(usage));
    assert_eq!(streamed(counting, &pieces, &reply), counted);
}

#[test]
fn an_answer_that_was_not_streamed_is_told_at_the_end() {
    let reply = answered("Hello", Some("hm"), vec![], FinishReason::Stop);
    let told = streamed(writer(r#""stream":true"#), &[], &reply);
    let deltas: Vec<&str> = told
        .iter()
        .filter_map(|line| line.split_once(r#""delta":"#)?.1.split_once(r#","logprobs""#))
        .map(|(delta, _)| delta)
        .collect();
    let expected = [
        r#"{"role":"assistant","content":""}"#,
        r#"{"reasoning_content":"hm"}"#,
        r#"{"content":"Hello"}"#,
        "{}",
    ];
    assert_eq!(deltas, expected);
}

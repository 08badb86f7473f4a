//! Tests of `openai`.

use std::sync::{Arc, Mutex};

use aosk_abi::{
    Body, CallId, Content, ErrorCode, FailureClass, FinishReason, Message, ModelReply, PageId,
    Part, Pid, ThinkOptions, Tokens, ToolUse, Usage,
};
use reqwest::header::HeaderMap;

use super::*;
use crate::CacheHints;
use crate::driver::Delta;
use crate::endpoint::Bounds;
use crate::exchange::{Assembly as _, Context};

fn asked(messages: Vec<Message>) -> Request {
    Request {
        call: CallId { pid: Pid(7), number: 3 },
        attempt: 1,
        process: String::new(),
        label: String::new(),
        options: Arc::new(ThinkOptions {
            model: "test:m".into(),
            output_max: Tokens(256),
            tools: vec![],
            temperature_milli: Some(70),
            window: None,
        }),
        messages: messages.into_iter().map(Body::new).collect(),
        begun: None,
        tools: Arc::new([]),
        cache: CacheHints::default(),
        wishes: Arc::default(),
        answers: 0,
        on_rates: crate::OnRates::default(),
    }
}

fn endpoint() -> Endpoint {
    Endpoint::new("test:m", "http://127.0.0.1:1", PATH, None, Bounds::default())
        .expect("an address")
}

/// What comes of these chunks of a stream.
fn outcome(chunks: &[&str], on_delta: OnDelta<'_>) -> Result<ModelReply, Failure> {
    let (endpoint, request) = (endpoint(), asked(vec![Message::user("hi")]));
    let mut assembly = Assembly::default();
    let headers = HeaderMap::new();
    let cx = Context { endpoint: &endpoint, request: &request, headers: &headers, on_delta };
    let read = chunks.iter().try_for_each(|chunk| assembly.take_event(chunk.as_bytes(), &cx));
    exchange::conclude(assembly, (read, b""), 100, &endpoint, &request, None)
}

/// The answer that these chunks of a stream make.
fn assemble(chunks: &[&str]) -> ModelReply {
    outcome(chunks, None).unwrap_or_else(|failure| panic!("{chunks:?}: {}", failure.message))
}

fn calls(chunks: &[&str]) -> Vec<(String, String, String)> {
    let reply = assemble(chunks);
    let calls = reply.body.message().tool_calls().iter();
    calls.map(|call| (call.id.clone(), call.name.clone(), call.arguments.clone())).collect()
}

fn triples(expected: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    expected.iter().map(|(a, b, c)| (a.to_string(), b.to_string(), c.to_string())).collect()
}

/// A chunk with these tool calls.
fn delta(calls: &str) -> String {
    format!(r#"{{"choices":[{{"delta":{{"tool_calls":[{calls}]}}}}]}}"#)
}

#[test]
fn the_request_is_the_same_bytes_every_time() {
    let call = ToolUse { id: "c1".into(), name: "look".into(), arguments: String::new() };
    let parts = vec![Part::Text { text: "a".into() }, Part::Text { text: "b\n".into() }];
    let image = serde_json::json!({"type": "image_url", "image_url": {"url": "data:,"}});
    let seen = vec![Part::Text { text: "see".into() }, Part::Other { json: image }];
    let messages = vec![
        Message::system("Be brief."),
        Message::User { content: Content::Parts(parts), name: Some("ann".into()) },
        Message::User { content: Content::Parts(seen), name: Some("no name".into()) },
        Message::Assistant { content: None, reasoning: Some("hm".into()), tool_calls: vec![call] },
        Message::tool("c1", "ok"),
    ];
    let dialect = Dialect {
        length: LengthField::MaxCompletionTokens,
        reasoning: ReasoningField::ReasoningContent,
        stream_usage: false,
        cache_key: false,
        breakpoints: Breakpoints::Nowhere,
        continuing: Continuing::NEVER,
        words: Words::OpenAi,
    };
    let render = |dialect| {
        let bytes =
            request::render(&asked(messages.clone()), "m", dialect, true, &Prefixes::default())
                .expect("renders");
        String::from_utf8(bytes).expect("UTF-8")
    };
    let expected = concat!(
        r#"{"model":"m","messages":[{"role":"system","content":"Be brief."},"#,
        r#"{"role":"user","name":"ann","content":"ab\n"},"#,
        r#"{"role":"user","content":[{"type":"text","text":"see"},{"image_url":{"url":"data:,"},"type":"image_url"}]},"#,
        r#"{"role":"assistant","content":null,"reasoning_content":"hm","tool_calls":[{"id":"c1","type":"function","function":{"name":"look","arguments":"{}"}}]},"#,
        r#"{"role":"tool","tool_call_id":"c1","content":"ok"}],"#,
        r#""max_completion_tokens":256,"temperature":0.070,"stream":true}"#,
    );
    assert_eq!(render(dialect), expected);
    assert_eq!(render(dialect), expected);
    let _: serde_json::Value = serde_json::from_str(expected).expect("JSON");
    let cut = ToolUse { id: "c".into(), name: "f".into(), arguments: "{\"a".into() };
    let cut = Message::Assistant { content: None, reasoning: None, tool_calls: vec![cut] };
    let bytes = request::render(&asked(vec![cut]), "m", dialect, false, &Prefixes::default())
        .expect("renders");
    let text = String::from_utf8(bytes).expect("UTF-8");
    assert!(text.contains(r#""arguments":"{\"arguments\":\"{\\\"a\"}""#), "{text}");
    let elsewhere = Dialect { reasoning: ReasoningField::Nowhere, ..dialect };
    assert_eq!(render(elsewhere), expected.replace(r#""reasoning_content":"hm","#, ""));
}

#[test]
fn tool_calls_in_every_vendors_way() {
    // By the book.
    let chunks = [
        delta(
            r#"{"index":0,"id":"a","function":{"name":"x","arguments":""}},{"index":1,"id":"b","function":{"name":"y"}}"#,
        ),
        delta(
            r#"{"index":1,"function":{"arguments":"{}"}},{"index":0,"function":{"arguments":"{1"}}"#,
        ),
        delta(r#"{"index":0,"function":{"arguments":"}"}}"#),
    ];
    let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
    assert_eq!(calls(&chunks), triples(&[("a", "x", "{1}"), ("b", "y", "{}")]));
    // Id and name in every fragment.
    let again = delta(r#"{"index":0,"id":"a","function":{"name":"x","arguments":"1"}}"#);
    assert_eq!(calls(&[&again, &again]), triples(&[("a", "x", "11")]));
    // Whole calls that all have index 0.
    let other = delta(r#"{"index":0,"id":"b","function":{"name":"x","arguments":"2"}}"#);
    assert_eq!(calls(&[&again, &other]), triples(&[("a", "x", "1"), ("b", "x", "2")]));
    // No index and no id; the second goes on from the first.
    let begun = delta(r#"{"id":"","function":{"name":"x","arguments":"{"}}"#);
    let more = delta(r#"{"id":null,"function":{"name":null,"arguments":"}"}}"#);
    assert_eq!(
        calls(&[&begun, &more, &begun]),
        triples(&[("call_p7_3_0", "x", "{}"), ("call_p7_3_1", "x", "{")])
    );
    // Whole in a plain answer, with arguments that are no text, and one id for two.
    let whole = r#"{"choices":[{"message":{"content":"","tool_calls":[{"id":"a","function":{"name":"x","arguments":{"text":"v"}}},{"id":"a","function":{"name":"x","arguments":null}}]},"finish_reason":"stop"}]}"#;
    assert_eq!(
        calls(&[whole]),
        triples(&[("a", "x", r#"{"text":"v"}"#), ("call_p7_3_1", "x", "")])
    );
    assert_eq!(assemble(&[whole]).finish, FinishReason::ToolCalls);
}

#[test]
fn usage_in_every_vendors_way() {
    let check = |usage: &str, expected: [u64; 5]| {
        let chunk = format!(r#"{{"choices":[{{"message":{{"content":"x"}}}}],"usage":{usage}}}"#);
        let [uncached, read, write, output, reasoning] = expected.map(Tokens);
        let expected = Usage {
            input_uncached: uncached,
            cache_read: read,
            cache_write: write,
            output,
            reasoning,
            estimated: false,
        };
        assert_eq!(assemble(&[&chunk]).usage, expected, "{usage}");
    };
    check(
        r#"{"prompt_tokens":100,"completion_tokens":9,"prompt_tokens_details":{"cached_tokens":64,"cache_write_tokens":20},"completion_tokens_details":{"reasoning_tokens":4}}"#,
        [16, 64, 20, 9, 4],
    );
    check(
        r#"{"prompt_tokens":100,"completion_tokens":9,"prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":36}"#,
        [36, 64, 0, 9, 0],
    );
    check(r#"{"prompt_tokens":100,"completion_tokens":9,"cached_tokens":64}"#, [36, 64, 0, 9, 0]);
    check(
        r#"{"prompt_tokens":100,"completion_tokens":9,"prompt_tokens_details":{"cached_tokens":0,"cache_creation_input_tokens":50}}"#,
        [50, 0, 50, 9, 0],
    );
    check(r#"{"prompt_tokens":100,"prompt_tokens_details":null}"#, [100, 0, 0, 0, 0]);
    // More cached than there was: nobody's figures may go below zero.
    check(r#"{"prompt_tokens":10,"cached_tokens":64}"#, [0, 10, 0, 0, 0]);
    for none in ["null", "{}", r#"{"prompt_tokens":0}"#, r#"{"prompt_tokens":"many"}"#] {
        let chunk = format!(r#"{{"choices":[{{"message":{{"content":"x"}}}}],"usage":{none}}}"#);
        assert!(assemble(&[&chunk]).usage.estimated, "{none}");
    }
    // Older Moonshot models.
    let inside = r#"{"choices":[{"delta":{"content":"x"},"finish_reason":"stop","usage":{"prompt_tokens":7}}]}"#;
    assert_eq!(assemble(&[inside]).usage.input_uncached, Tokens(7));
}

#[test]
fn finish_reasons() {
    let finish = |reason: &str, said: &str| {
        let chunk = format!(r#"{{"choices":[{{"message":{{{said}}},"finish_reason":{reason}}}]}}"#);
        assemble(&[&chunk]).finish
    };
    assert_eq!(finish("\"stop\"", r#""content":"x""#), FinishReason::Stop);
    assert_eq!(finish("null", r#""content":"x""#), FinishReason::Stop);
    assert_eq!(finish("\"length\"", r#""content":"x""#), FinishReason::Length);
    assert_eq!(finish("\"content_filter\"", r#""content":"x""#), FinishReason::Refused);
    assert_eq!(finish("\"stop\"", r#""refusal":"I will not""#), FinishReason::Refused);
    let busy = r#"{"choices":[{"message":{"content":""},"finish_reason":"insufficient_system_resource"}]}"#;
    let failure = outcome(&[busy], None).expect_err("it gave up");
    assert_eq!(failure.class, FailureClass::Transient);
}

#[test]
fn content_in_parts_is_joined_and_shown() {
    let chunk = r#"{"choices":[{"delta":{"content":[{"type":"thinking","thinking":[]},{"type":"text","text":"a"},{"type":"text","text":"b"}],"reasoning":"r"}}]}"#;
    let deltas = Mutex::new(Vec::new());
    let on_delta = |delta| deltas.lock().expect("not poisoned").push(delta);
    outcome(&[chunk], Some(&on_delta)).expect("an answer");
    let shown = deltas.into_inner().expect("not poisoned");
    assert_eq!(shown, [Delta::Reasoning("r".into()), Delta::Text("ab".into())]);
}

#[test]
fn the_older_form_of_a_call_is_one_call() {
    let chunks = [
        r#"{"choices":[{"delta":{"role":"assistant","content":null,"function_call":{"name":"look","arguments":""}}}]}"#,
        r#"{"choices":[{"delta":{"function_call":{"arguments":"{\"a\":"}}}]}"#,
        r#"{"choices":[{"delta":{"function_call":{"arguments":"1}"}}}]}"#,
        r#"{"choices":[{"delta":{},"finish_reason":"function_call"}]}"#,
    ];
    assert_eq!(calls(&chunks), triples(&[("call_p7_3_0", "look", r#"{"a":1}"#)]));
    assert_eq!(assemble(&chunks).finish, FinishReason::ToolCalls);
    let deltas = Mutex::new(Vec::new());
    let on_delta = |delta| deltas.lock().expect("not poisoned").push(delta);
    outcome(&chunks, Some(&on_delta)).expect("an answer");
    let shown = deltas.into_inner().expect("not poisoned");
    let arguments = |piece: &str| Delta::Arguments(piece.into());
    let look = Delta::ToolCall { index: 0, name: "look".into() };
    assert_eq!(shown, [look, arguments(r#"{"a":"#), arguments("1}")]);
    // Whole.
    let whole = r#"{"choices":[{"message":{"content":null,"function_call":{"name":"look","arguments":"{}"}},"finish_reason":"function_call"}]}"#;
    assert_eq!(calls(&[whole]), triples(&[("call_p7_3_0", "look", "{}")]));
    // Beside the newer form it is the same call.
    let both = r#"{"choices":[{"message":{"tool_calls":[{"id":"a","function":{"name":"look","arguments":"{}"}}],"function_call":{"name":"look","arguments":"{}"}}}]}"#;
    assert_eq!(calls(&[both]), triples(&[("a", "look", "{}")]));
    // And nothing is none.
    for nothing in ["null", "{}", "\"auto\"", r#"{"name":null,"arguments":""}"#] {
        let chunk =
            format!(r#"{{"choices":[{{"message":{{"content":"x","function_call":{nothing}}}}}]}}"#);
        assert_eq!(assemble(&[&chunk]).finish, FinishReason::Stop, "{nothing}");
    }
}

#[test]
fn an_answer_without_substance_is_none() {
    let cases = [
        (r#""content":"""#, "stop", "it is empty: neither text nor a tool call"),
        (r#""content":" \n""#, "stop", "it is empty: neither text nor a tool call"),
        (r#""content":null,"reasoning":"hm""#, "stop", "it is empty: neither text nor a tool call"),
        (r#""content":"x","tool_calls":[]"#, "tool_calls", "it ends to call tools and calls none"),
        (r#""content":null"#, "function_call", "it ends to call tools and calls none"),
    ];
    for (said, reason, what) in cases {
        let chunk = format!(
            r#"{{"choices":[{{"message":{{{said}}},"finish_reason":"{reason}"}}],"usage":{{"prompt_tokens":7,"completion_tokens":2}}}}"#
        );
        let failure = outcome(&[&chunk], None).expect_err(said);
        assert_eq!(
            (failure.class, failure.code),
            (FailureClass::Transient, ErrorCode::ModelMalformed)
        );
        assert!(failure.message.ends_with(what), "{}", failure.message);
        let used = failure.usage.expect("it was counted");
        assert_eq!((used.input(), used.output), (Tokens(7), Tokens(2)));
    }
}

#[test]
fn each_of_many_calls_gets_its_fragments() {
    let mut chunks = Vec::new();
    for index in 0..20_000 {
        chunks.push(delta(&format!(
            r#"{{"index":{index},"id":"c{index}","function":{{"name":"x","arguments":""}}}}"#
        )));
    }
    for index in 0..20_000 {
        chunks.push(delta(&format!(r#"{{"index":{index},"function":{{"arguments":"1"}}}}"#)));
    }
    let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
    let calls = calls(&chunks);
    assert_eq!(calls.len(), 20_000);
    assert!(calls.iter().all(|(_, _, arguments)| arguments == "1"));
}

const OPENAI: Dialect = Dialect {
    length: LengthField::MaxCompletionTokens,
    reasoning: ReasoningField::Nowhere,
    stream_usage: true,
    cache_key: true,
    breakpoints: Breakpoints::PromptCache,
    continuing: Continuing::NEVER,
    words: Words::OpenAi,
};

const BREAKPOINT: &str = r#","prompt_cache_breakpoint":{"mode":"explicit"}"#;

/// The request of these messages with these breakpoints, and what is kept for the next.
fn hinted(
    messages: &[Message],
    breakpoints: &[usize],
    dialect: Dialect,
    prefixes: &Prefixes,
) -> String {
    let cache = CacheHints { breakpoints: breakpoints.to_vec(), ..CacheHints::default() };
    let request = Request { cache, ..asked(messages.to_vec()) };
    let bytes = request::render(&request, "m", dialect, false, prefixes).expect("renders");
    String::from_utf8(bytes).expect("UTF-8")
}

fn talk() -> Vec<Message> {
    let call = ToolUse { id: "c".into(), name: "look".into(), arguments: "{}".into() };
    vec![
        Message::system("Be brief."),
        Message::user("ask"),
        Message::Assistant { content: None, reasoning: None, tool_calls: vec![call] },
        Message::tool("c", ""),
        Message::assistant("said"),
        Message::user("on"),
    ]
}

#[test]
fn a_breakpoint_is_on_the_text_of_its_message() {
    let text = hinted(&talk(), &[0, 4, 5], OPENAI, &Prefixes::default());
    let expected = concat!(
        r#"{"model":"m","messages":["#,
        r#"{"role":"system","content":[{"type":"text","text":"Be brief.","prompt_cache_breakpoint":{"mode":"explicit"}}]},"#,
        r#"{"role":"user","content":"ask"},"#,
        r#"{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"look","arguments":"{}"}}]},"#,
        r#"{"role":"tool","tool_call_id":"c","content":""},"#,
        r#"{"role":"assistant","content":[{"type":"text","text":"said","prompt_cache_breakpoint":{"mode":"explicit"}}]},"#,
        r#"{"role":"user","content":[{"type":"text","text":"on","prompt_cache_breakpoint":{"mode":"explicit"}}]}],"#,
        r#""max_completion_tokens":256,"temperature":0.070,"prompt_cache_options":{"mode":"explicit"}}"#,
    );
    assert_eq!(text, expected);
    let control = Dialect { breakpoints: Breakpoints::CacheControl, ..OPENAI };
    let options = r#","prompt_cache_options":{"mode":"explicit"}"#;
    assert_eq!(
        hinted(&talk(), &[0, 4, 5], control, &Prefixes::default()),
        expected
            .replace(BREAKPOINT, r#","cache_control":{"type":"ephemeral"}"#)
            .replace(options, "")
    );
    let nowhere = Dialect { breakpoints: Breakpoints::Nowhere, ..OPENAI };
    let plain = hinted(&talk(), &[], nowhere, &Prefixes::default());
    assert!(!plain.contains("cache"), "{plain}");
    assert_eq!(hinted(&talk(), &[0, 4, 5], nowhere, &Prefixes::default()), plain);
    // Without breakpoints of ours the provider sets its own.
    assert_eq!(hinted(&talk(), &[], OPENAI, &Prefixes::default()), plain);
}

#[test]
fn what_cannot_carry_a_breakpoint_leaves_it_to_what_stands_before() {
    let marked = |messages: &[Message], breakpoints: &[usize]| -> Vec<usize> {
        let text = hinted(messages, breakpoints, OPENAI, &Prefixes::default());
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let messages = value["messages"].as_array().expect("a list").iter();
        let marked = messages.enumerate().filter(|(_, message)| {
            message["content"].to_string().contains("prompt_cache_breakpoint")
        });
        marked.map(|(index, _)| index).collect()
    };
    // Neither calls nor an empty result can carry one; a second one in one place is none.
    assert_eq!(marked(&talk(), &[2]), [1]);
    assert_eq!(marked(&talk(), &[1, 2, 3, 5]), [1, 5]);
    assert_eq!(marked(&[Message::user("")], &[0]), [0; 0]);
    assert_eq!(marked(&talk(), &[6, usize::MAX]), [0; 0]);
    let many: Vec<_> = (0..9).map(|index| Message::user(format!("u{index}"))).collect();
    assert_eq!(marked(&many, &[0, 1, 2, 3, 4, 8]), [2, 3, 4, 8]);

    let image = serde_json::json!({"type": "image_url", "image_url": {"url": "data:,"}});
    let parts = vec![Part::Text { text: "see".into() }, Part::Other { json: image }];
    let seen = Message::User { content: Content::Parts(parts), name: None };
    let text = hinted(&[seen], &[0], OPENAI, &Prefixes::default());
    assert!(text.contains(&format!(r#"[{{"type":"text","text":"see"{BREAKPOINT}}},"#)), "{text}");
}

#[test]
fn breakpoints_move_and_what_the_model_reads_stays() {
    let prefixes = Prefixes::default();
    let read = |text: &str| -> Vec<String> {
        let value: serde_json::Value = serde_json::from_str(text).expect("JSON");
        let messages = value["messages"].as_array().expect("a list").iter();
        let plain = messages.map(|message| {
            let content = &message["content"];
            content[0]["text"].as_str().or(content.as_str()).unwrap_or_default().to_owned()
        });
        plain.collect()
    };
    let mut messages = talk();
    for turn in 0..6 {
        let breakpoints = [0, 1 + turn, messages.len() - 1];
        // What was kept of the call before is not taken where a breakpoint has come or gone.
        let kept = hinted(&messages, &breakpoints, OPENAI, &prefixes);
        assert_eq!(kept, hinted(&messages, &breakpoints, OPENAI, &Prefixes::default()));
        let texts: Vec<_> = messages.iter().map(Message::text).collect();
        assert_eq!(read(&kept), texts);
        messages.push(Message::assistant(format!("a{turn}")));
        messages.push(Message::user(format!("u{turn}")));
    }
}

#[test]
fn a_cache_key_is_sent_where_it_is_taken() {
    let keyed = |key: &str, dialect: Dialect| {
        let cache = CacheHints { key: key.into(), ..CacheHints::default() };
        let request = Request { cache, ..asked(vec![Message::user("hi")]) };
        let bytes = request::render(&request, "m", dialect, false, &Prefixes::default());
        let text = String::from_utf8(bytes.expect("renders")).expect("UTF-8");
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        value.get("prompt_cache_key").map(|key| key.as_str().expect("a text").to_owned())
    };
    assert_eq!(keyed("p7", OPENAI).as_deref(), Some("p7"));
    assert_eq!(keyed("", OPENAI), None);
    assert_eq!(keyed("p7", Dialect { cache_key: false, ..OPENAI }), None);
    assert_eq!(keyed(&"é".repeat(64), OPENAI), Some("é".repeat(64)));
    let (a, b) = (keyed(&"a".repeat(65), OPENAI), keyed(&"b".repeat(65), OPENAI));
    assert_eq!(a.as_deref().map(str::len), Some(64));
    assert_ne!(a, b);
}

#[test]
fn a_page_that_was_brought_back_is_text() {
    let page = || Part::Page { page: PageId(7), text: "old".into() };
    let text = |parts: Vec<Part>, breakpoints: &[usize]| {
        let message = Message::User { content: Content::Parts(parts), name: None };
        hinted(&[message], breakpoints, OPENAI, &Prefixes::default())
    };
    let alone = text(vec![page(), Part::Text { text: "!".into() }], &[]);
    assert!(alone.contains(r#""content":"old!"}"#), "{alone}");
    let other = Part::Other { json: serde_json::json!({"type": "image_url"}) };
    let beside = text(vec![other, page()], &[0]);
    let part = format!(r#"{{"type":"text","text":"old"{BREAKPOINT}}}]}}"#);
    assert!(beside.contains(&part), "{beside}");
}

#[test]
fn a_picture_is_a_part_in_whichever_form_it_came() {
    let form = |part: Part| {
        let text = Part::Text { text: "see".into() };
        let message = Message::User { content: Content::Parts(vec![text, part]), name: None };
        let mut out = Vec::new();
        request::render_message(&message, ReasoningField::Nowhere, None, &mut out).expect("writes");
        String::from_utf8(out).expect("UTF-8")
    };
    let sent = |url: &str| {
        format!(
            r#"{{"role":"user","content":[{{"type":"text","text":"see"}},{{"type":"image_url","image_url":{url}}}]}}"#
        )
    };
    let other = |json: &str| Part::Other { json: serde_json::from_str(json).expect("JSON") };
    let inline = sent(r#"{"url":"data:image/png;base64,iVBO"}"#);
    assert_eq!(form(Part::Image { media_type: "image/png".into(), data: "iVBO".into() }), inline);
    assert_eq!(form(other(r#"{"inlineData":{"mimeType":"image/png","data":"iVBO"}}"#)), inline);
    // Of a picture in this format's own form nothing is lost.
    let own = r#"{"image_url":{"detail":"low","url":"https://x/y.png"},"type":"image_url"}"#;
    assert!(form(other(own)).contains(own));
}

#[test]
fn reasoning_goes_back_where_it_is_wanted() {
    let written = |reasoning: Option<&str>, field| {
        let message = Message::Assistant {
            content: Some(Content::Text("x".into())),
            reasoning: reasoning.map(str::to_owned),
            tool_calls: vec![],
        };
        let mut out = Vec::new();
        request::render_message(&message, field, None, &mut out).expect("writes");
        let json: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
        let field = |name: &str| json.get(name).map(|text| text.as_str().expect("text").to_owned());
        (field("reasoning_content"), field("reasoning"))
    };
    let there = |text: &str| Some(text.to_owned());
    let signed = r#"[{"type":"thinking","thinking":"hm","signature":"c2ln"}]"#;
    for (field, of_some, of_none) in [
        (ReasoningField::Nowhere, (None, None), (None, None)),
        (ReasoningField::Reasoning, (None, there("hm")), (None, None)),
        (ReasoningField::ReasoningContent, (there("hm"), None), (None, None)),
        (ReasoningField::AlwaysReasoningContent, (there("hm"), None), (there(" "), None)),
    ] {
        assert_eq!(written(Some("hm"), field), of_some, "{field:?}");
        assert_eq!(written(None, field), of_none, "{field:?}");
        assert_eq!(written(Some(signed), field), of_none, "{field:?}");
    }
}

/// MiniMax does so, and servers that are not told how a model thinks.
#[test]
fn reasoning_in_the_text_is_parted_from_it_and_goes_back_in_it() {
    let chunks = ["<th", "ink>2*2", " is 4</thi", "nk>\\n\\nFour", "."]
        .map(|text| format!(r#"{{"choices":[{{"delta":{{"content":"{text}"}}}}]}}"#));
    let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
    let deltas = Mutex::new(Vec::new());
    let on_delta = |delta| deltas.lock().expect("not poisoned").push(delta);
    let reply = outcome(&chunks, Some(&on_delta)).expect("answers");
    let message = reply.body.message();
    assert_eq!(message.text(), "Four.");
    let (thought, said) = (|t: &str| Delta::Reasoning(t.into()), |t: &str| Delta::Text(t.into()));
    assert_eq!(
        deltas.into_inner().expect("not poisoned"),
        [thought("2*2"), thought(" is 4"), said("Four"), said(".")]
    );
    let mut out = Vec::new();
    request::render_message(message, ReasoningField::ReasoningContent, None, &mut out)
        .expect("writes");
    assert_eq!(
        String::from_utf8(out).expect("UTF-8"),
        r#"{"role":"assistant","content":"<think>2*2 is 4</think>\n\nFour."}"#
    );
    // Where reasoning has a field of its own, the text is the text.
    let both =
        r#"{"choices":[{"delta":{"reasoning_content":"hm","content":"<think>x</think>y"}}]}"#;
    let reply = assemble(&[both]);
    assert_eq!(reply.body.message().text(), "<think>x</think>y");
}

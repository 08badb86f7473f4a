//! The chat-completions driver on the wire.

use std::time::Duration;

use aosk_abi::{
    Body, Content, ErrorCode, Failure, FailureClass, FinishReason, Message, Millis, ModelReply,
    Tokens, ToolUse, Usage,
};
use aosk_model::endpoint::{Bounds, Endpoint, KeyHeader};
use aosk_model::openai::{Breakpoints, Dialect, LengthField, OpenAi, PATH, ReasoningField, Words};
use aosk_model::{Delta, Driver};
use secrecy::SecretString;

use tokio::io::AsyncWriteExt;

use crate::server::{
    Act, Server, ask_streaming, calculator, chunk, json, read_request, request, stream_head,
};

const KEY: &str = "sk-very-secret-0123456789";

fn driver_bounded(base_url: &str, bounds: Bounds) -> OpenAi {
    let key = Some((KeyHeader::Bearer, SecretString::from(KEY)));
    let endpoint = Endpoint::new("test:m", base_url, PATH, key, bounds).expect("an address");
    let dialect = Dialect {
        length: LengthField::MaxTokens,
        reasoning: ReasoningField::ReasoningContent,
        stream_usage: true,
        cache_key: false,
        breakpoints: Breakpoints::Nowhere,
        continuing: aosk_model::continuing::Continuing::NEVER,
        words: Words::Common,
    };
    OpenAi::new(endpoint, "m", dialect)
}

fn driver(base_url: &str) -> OpenAi {
    driver_bounded(base_url, Bounds::default())
}

fn hello() -> aosk_model::Request {
    request(vec![Message::user("hello")], vec![])
}

/// The failure of a streaming call that is answered with these events.
async fn broken_stream(events: &str) -> Failure {
    let server = Server::events(events, 1000).await;
    ask_streaming(&driver(&server.base_url), hello()).await.0.expect_err("it fails")
}

async fn ask(server: &Server) -> Result<ModelReply, Failure> {
    driver(&server.base_url).complete(hello(), None).await
}

const PLAIN: &str = r#"{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Hi \u00e9 日本"},"finish_reason":"stop"}],"usage":{"prompt_tokens":20,"completion_tokens":8,"prompt_tokens_details":{"cached_tokens":16}}}"#;

#[tokio::test]
async fn a_plain_exchange_byte_for_byte() {
    let server = Server::json(200, PLAIN).await;
    let reply = ask(&server).await.expect("answers");
    assert_eq!(
        reply,
        ModelReply {
            body: Body::new(Message::assistant("Hi é 日本")),
            usage: Usage {
                input_uncached: Tokens(4),
                cache_read: Tokens(16),
                output: Tokens(8),
                ..Usage::default()
            },
            finish: FinishReason::Stop,
        }
    );
    let asked = server.request().await;
    let (head, body) = asked.split_once("\r\n\r\n").expect("head and body");
    assert!(head.starts_with("POST /chat/completions HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("authorization: Bearer {KEY}")), "{head}");
    assert_eq!(
        body,
        r#"{"model":"m","messages":[{"role":"user","content":"hello"}],"max_tokens":256}"#
    );
}

const TOOL_STREAM: &str = concat!(
    ": keep-alive\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":null,\"reasoning_content\":\"hm\"}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"日\"}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"本\"}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"calculator\",\"arguments\":\"{\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"\",\"function\":{\"name\":\"calculator\",\"arguments\":\"\\\"expression\\\":\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":1,\"id\":\"a\",\"function\":{\"name\":\"calculator\",\"arguments\":\"{}\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"\\\"1+1\\\"}\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":5}}\n\n",
    "data: [DONE]\n\n",
);

#[tokio::test]
async fn a_stream_is_the_same_however_it_is_cut() {
    for bytes in [1, 7, 100_000] {
        let server = Server::events(TOOL_STREAM, bytes).await;
        let asked = request(vec![Message::user("1+1")], vec![calculator()]);
        let (reply, deltas) = ask_streaming(&driver(&server.base_url), asked).await;
        let call = |id: &str, arguments: &str| ToolUse {
            id: id.into(),
            name: "calculator".into(),
            arguments: arguments.into(),
        };
        assert_eq!(
            reply.expect("answers"),
            ModelReply {
                body: Body::new(Message::Assistant {
                    content: Some(Content::Text("日本".into())),
                    reasoning: Some("hm".into()),
                    tool_calls: vec![
                        call("a", r#"{"expression":"1+1"}"#),
                        // The model used the id twice.
                        call("call_p7_3_1", "{}"),
                    ],
                }),
                usage: Usage { input_uncached: Tokens(9), output: Tokens(5), ..Usage::default() },
                finish: FinishReason::ToolCalls,
            }
        );
        let tool = |index| Delta::ToolCall { index, name: "calculator".into() };
        let arguments = |piece: &str| Delta::Arguments(piece.into());
        assert_eq!(
            deltas,
            [
                Delta::Reasoning("hm".into()),
                Delta::Text("日".into()),
                Delta::Text("本".into()),
                tool(0),
                arguments("{"),
                arguments("\"expression\":"),
                tool(1),
                arguments("{}"),
                arguments("\"1+1\"}"),
            ]
        );
        let body = server.request().await;
        assert!(
            body.ends_with(r#""stream":true,"stream_options":{"include_usage":true}}"#),
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_stream_may_end_without_done_but_not_without_a_reason() {
    let whole = TOOL_STREAM.replace("data: [DONE]\n\n", "");
    let server = Server::events(&whole, 1000).await;
    let (reply, _) = ask_streaming(&driver(&server.base_url), hello()).await;
    assert_eq!(reply.expect("answers").finish, FinishReason::ToolCalls);

    let (cut, _) =
        TOOL_STREAM.split_once("data: {\"choices\":[{\"index\":0,\"delta\":{},").expect("has it");
    let server = Server::events(cut, 1000).await;
    let (reply, _) = ask_streaming(&driver(&server.base_url), hello()).await;
    let failure = reply.expect_err("the stream broke off");
    assert_eq!((failure.class, failure.code), (FailureClass::Transient, ErrorCode::ModelMalformed));
}

#[tokio::test]
async fn a_connection_that_breaks_is_transient() {
    // In the midst of a chunked body.
    let server = Server::answer(
        [stream_head(), chunk(b"data: {\"choices\":[{\"delta\":{}}]}\n\n")].concat(),
    )
    .await;
    let (reply, _) = ask_streaming(&driver(&server.base_url), hello()).await;
    let failure = reply.expect_err("broke off");
    assert_eq!(
        (failure.class, failure.code),
        (FailureClass::Transient, ErrorCode::ModelUnreachable)
    );
    // Before the head.
    let failure = ask(&Server::answer("").await).await.expect_err("broke off");
    assert_eq!(
        (failure.class, failure.code),
        (FailureClass::Transient, ErrorCode::ModelUnreachable)
    );
    // In the midst of a body of known length.
    let half = String::from_utf8(json(200, "", PLAIN)).expect("UTF-8").replace("\"}}]", "");
    let half = half.get(..half.len() - 40).expect("long enough").to_owned();
    let failure = ask(&Server::answer(half).await).await.expect_err("broke off");
    assert_eq!(
        (failure.class, failure.code),
        (FailureClass::Transient, ErrorCode::ModelUnreachable)
    );
}

/// llama-server does so after every stream, although it says that it keeps the connection.
#[tokio::test]
async fn a_kept_connection_that_is_closed_is_replaced() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let base_url = format!("http://{}", listener.local_addr().expect("has an address"));
    let driver = driver(&base_url);
    let server = async {
        let (mut first, _) = listener.accept().await.expect("accepts");
        read_request(&mut first).await;
        first.write_all(&json(200, "", PLAIN)).await.expect("writes");
        read_request(&mut first).await;
        drop(first);
        let (mut second, _) = listener.accept().await.expect("accepts");
        read_request(&mut second).await;
        second.write_all(&json(200, "", PLAIN)).await.expect("writes");
    };
    let client = async {
        driver.complete(hello(), None).await.expect("answers");
        driver.complete(hello(), None).await.expect("answers on another connection");
    };
    tokio::join!(server, client);
}

#[tokio::test]
async fn nobody_listening_is_unreachable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = listener.local_addr().expect("has an address");
    drop(listener);
    let failure =
        driver(&format!("http://{address}")).complete(hello(), None).await.expect_err("refused");
    assert_eq!(
        (failure.class, failure.code),
        (FailureClass::Transient, ErrorCode::ModelUnreachable)
    );
    let attempted = format!("connecting to test:m at {address}: ");
    assert!(failure.message.starts_with(&attempted), "{}", failure.message);
    assert!(!failure.hint.is_empty());
}

#[tokio::test]
async fn dropping_the_call_closes_the_connection() {
    let head_only =
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    for written in [Vec::new(), [head_only.to_vec(), chunk(b": thinking\n\n")].concat()] {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let server =
            Server::start(vec![Act::Write(written), Act::Tell(sender), Act::AwaitHangUp]).await;
        let driver = driver(&server.base_url);
        tokio::select! {
            (reply, _) = ask_streaming(&driver, hello()) => panic!("it answered: {reply:?}"),
            told = receiver => told.expect("the server runs"),
        }
        // Ends only when the server has seen the hang-up. The driver and its pool are still alive.
        server.request().await;
        drop(driver);
    }
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_given_up() {
    let server = Server::start(vec![Act::Write(stream_head()), Act::AwaitHangUp]).await;
    let bounds = Bounds { idle: Duration::from_millis(20), ..Bounds::default() };
    let driver = driver_bounded(&server.base_url, bounds);
    let (reply, _) = ask_streaming(&driver, hello()).await;
    let failure = reply.expect_err("silent");
    assert_eq!((failure.class, failure.code), (FailureClass::Transient, ErrorCode::ModelTimeout));
    server.request().await;
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let text = "x".repeat(60_000);
    let event = format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n");
    let endless = [
        // A text without end, a line without end, comments without end.
        chunk(event.as_bytes()),
        chunk(text.as_bytes()),
        chunk(format!(": {text}\n\n").as_bytes()),
    ];
    for piece in endless {
        let server = Server::start(vec![Act::Write(stream_head()), Act::Forever(piece)]).await;
        let bounds =
            Bounds { answer_bytes_max: 500_000, stream_bytes_max: 1_000_000, ..Bounds::default() };
        let (reply, deltas) =
            ask_streaming(&driver_bounded(&server.base_url, bounds), hello()).await;
        let failure = reply.expect_err("endless");
        assert_eq!((failure.class, failure.code), (FailureClass::Final, ErrorCode::ModelMalformed));
        let shown: usize = deltas
            .iter()
            .map(|delta| match delta {
                Delta::Text(text) => text.len(),
                Delta::Reasoning(_) | Delta::ToolCall { .. } | Delta::Arguments(_) => 0,
            })
            .sum();
        assert!(shown <= 560_000, "{shown}");
        server.request().await;
    }
    // A plain answer.
    let head =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let acts = vec![Act::Write(head.to_vec()), Act::Forever(chunk(text.as_bytes()))];
    let failure = ask(&Server::start(acts).await).await.expect_err("endless");
    assert_eq!((failure.class, failure.code), (FailureClass::Final, ErrorCode::ModelMalformed));
}

#[tokio::test]
async fn what_is_no_answer_is_malformed() {
    let cases = [
        (r#"{"choices":[]}"#, FailureClass::Transient),
        (r#"{"object":"chat.completion"}"#, FailureClass::Transient),
        (r#"{"choices":[{"mess"#, FailureClass::Transient),
        ("", FailureClass::Transient),
        ("<!doctype html><title>Log in</title>", FailureClass::Final),
    ];
    for (body, class) in cases {
        let failure = ask(&Server::json(200, body).await).await.expect_err(body);
        assert_eq!((failure.class, failure.code), (class, ErrorCode::ModelMalformed), "{body}");
        let (reply, _) =
            ask_streaming(&driver(&Server::json(200, body).await.base_url), hello()).await;
        assert_eq!(reply.expect_err(body).class, class, "{body} to a streaming call");
    }
    let html = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>";
    let (reply, _) = ask_streaming(&driver(&Server::answer(html).await.base_url), hello()).await;
    let failure = reply.expect_err("HTML");
    assert_eq!((failure.class, failure.code), (FailureClass::Final, ErrorCode::ModelMalformed));
    assert!(failure.hint.contains("base URL"));
}

#[tokio::test]
async fn a_server_that_does_not_stream_is_understood() {
    let server = Server::json(200, PLAIN).await;
    let (reply, deltas) = ask_streaming(&driver(&server.base_url), hello()).await;
    assert_eq!(reply.expect("answers").finish, FinishReason::Stop);
    assert_eq!(deltas, [Delta::Text("Hi é 日本".into())]);
}

#[tokio::test]
async fn errors_inside_a_success_are_errors() {
    let events = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: {\"error\":{\"message\":\"gone\",\"type\":\"server_error\"}}\n\n";
    let (reply, _) =
        ask_streaming(&driver(&Server::events(events, 1000).await.base_url), hello()).await;
    let failure = reply.expect_err("an error event");
    assert_eq!((failure.class, failure.code), (FailureClass::Transient, ErrorCode::ModelServer));
    assert!(failure.message.contains("gone"), "{}", failure.message);

    let minimax =
        r#"{"choices":null,"base_resp":{"status_code":1008,"status_msg":"insufficient balance"}}"#;
    let failure = ask(&Server::json(200, minimax).await).await.expect_err("an error");
    assert_eq!((failure.class, failure.code), (FailureClass::Final, ErrorCode::ModelQuota));

    let router = r#"{"error":{"message":"upstream is busy","code":429}}"#;
    let failure = ask(&Server::json(200, router).await).await.expect_err("an error");
    assert_eq!(
        (failure.class, failure.code),
        (FailureClass::RateLimited, ErrorCode::ModelRateLimited)
    );
}

#[tokio::test]
async fn a_rate_limit_says_when_to_come_back() {
    let body =
        r#"{"error":{"message":"slow down","type":"requests","code":"rate_limit_exceeded"}}"#;
    let failure = ask(&Server::answer(json(429, "retry-after: 7\r\n", body)).await).await;
    assert_eq!(
        failure,
        Err(Failure {
            class: FailureClass::RateLimited,
            code: ErrorCode::ModelRateLimited,
            message: "asked test:m: HTTP 429: slow down".into(),
            hint: "wait, run fewer agents at once with `--slots`, or use another model".into(),
            retry_after: Some(Millis(7000)),
            usage: None,
        })
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let moved = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n";
    let failure = ask(&Server::answer(moved).await).await.expect_err("a redirect");
    assert_eq!((failure.class, failure.code), (FailureClass::Final, ErrorCode::ModelBadRequest));
}

#[tokio::test]
async fn the_key_shows_nowhere() {
    let body = format!(r#"{{"error":{{"message":"Incorrect API key: {KEY}"}}}}"#);
    let server = Server::json(401, &body).await;
    let driver = driver(&server.base_url);
    let failure = driver.complete(hello(), None).await.expect_err("refused");
    assert_eq!(failure.message, "asked test:m: HTTP 401: Incorrect API key: [redacted]");
    assert!(!format!("{failure:?} {driver:?} {driver:#?}").contains("very-secret"));
    // The other side did get it.
    assert!(server.request().await.contains(KEY));

    let bad = Some((KeyHeader::Bearer, SecretString::from("very-secret\nkey")));
    let error = Endpoint::new("test:m", "http://127.0.0.1/", PATH, bad, Bounds::default());
    let error = error.expect_err("a key of two lines");
    assert!(!format!("{error} {error:?}").contains("very-secret"));
}

/// A text of 4,000 words in 40 events.
fn long_text() -> String {
    let words = "word ".repeat(100);
    format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{words}\"}}}}]}}\n\n").repeat(40)
}

#[tokio::test]
async fn an_attempt_that_breaks_off_says_what_it_used() {
    // As the provider counted it.
    let counted = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4100,\"prompt_tokens_details\":{\"cached_tokens\":5}}}\n\n";
    let failure = broken_stream(&(long_text() + counted)).await;
    let usage = Usage {
        input_uncached: Tokens(4),
        cache_read: Tokens(5),
        output: Tokens(4100),
        ..Usage::default()
    };
    assert_eq!((failure.class, failure.usage), (FailureClass::Transient, Some(usage)));
    // Estimated by what has come, also when what breaks off is the connection or the sense.
    let nonsense = "data: {\"choices\":[{\"del\n\n";
    let error = "data: {\"error\":{\"message\":\"gone\",\"type\":\"server_error\"}}\n\n";
    for end in ["", nonsense, error] {
        let usage = broken_stream(&(long_text() + end)).await.usage.expect("it had begun");
        assert!(usage.estimated);
        assert!((4000..8000).contains(&usage.output.0), "{usage:?}");
        assert!((1..100).contains(&usage.input().0), "{usage:?}");
    }
    let cut = [stream_head(), chunk(long_text().as_bytes())].concat();
    let (reply, _) = ask_streaming(&driver(&Server::answer(cut).await.base_url), hello()).await;
    let usage = reply.expect_err("broke off").usage.expect("it had begun");
    assert!(usage.output > Tokens(4000), "{usage:?}");
}

#[tokio::test]
async fn a_plain_answer_that_breaks_off_is_estimated() {
    let body = PLAIN.replace("Hi", &"word ".repeat(4000));
    let whole = String::from_utf8(json(200, "", &body)).expect("UTF-8");
    let half = whole.get(..whole.len() - 90).expect("long enough");
    let failure = ask(&Server::answer(half).await).await.expect_err("broke off");
    assert_eq!(failure.code, ErrorCode::ModelUnreachable);
    let usage = failure.usage.expect("it had begun");
    assert!(usage.estimated && usage.output > Tokens(4000), "{usage:?}");
    // One that is whole and makes no sense to its end.
    let cut = body.get(..body.len() - 90).expect("long enough");
    let failure = ask(&Server::json(200, cut).await).await.expect_err("cut");
    assert!(failure.usage.expect("it had begun").output > Tokens(4000));
}

#[tokio::test]
async fn what_never_began_used_nothing() {
    let refused = r#"{"error":{"message":"upstream is busy","code":429}}"#;
    for (status, body) in
        [(429, refused), (500, ""), (200, refused), (200, r#"{"choices":[]}"#), (200, "<html>")]
    {
        let failure = ask(&Server::json(status, body).await).await.expect_err(body);
        assert_eq!(failure.usage, None, "{status} {body}");
    }
    assert_eq!(broken_stream(": thinking\n\n").await.usage, None);
    assert_eq!(broken_stream("data: [DONE]\n\n").await.usage, None);
    assert_eq!(broken_stream(&format!("data: {refused}\n\n")).await.usage, None);
}

#[tokio::test]
async fn an_answer_of_a_wrong_shape_is_asked_for_once_more() {
    let deep = format!(
        r#"{{"choices":[{{"message":{{"content":{}{}}}}}]}}"#,
        "[".repeat(200),
        "]".repeat(200)
    );
    let shapes = [
        "[]",
        r#"{"choices":[null]}"#,
        r#"{"choices":[]}"#,
        r#"{"choices":[{"message":{"content":""},"finish_reason":"stop"}]}"#,
        r#"{"choices":[{"message":{"content":"x"},"finish_reason":"tool_calls"}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":-1}]}}]}"#,
        &deep,
    ];
    for body in shapes {
        for (attempt, class) in [(1, FailureClass::Transient), (2, FailureClass::Final)] {
            let asked = aosk_model::Request { attempt, ..hello() };
            let whole = Server::json(200, body).await;
            let whole = driver(&whole.base_url).complete(asked.clone(), None).await;
            let events = Server::events(&format!("data: {body}\n\ndata: [DONE]\n\n"), 1000).await;
            let (streamed, _) = ask_streaming(&driver(&events.base_url), asked).await;
            for reply in [whole, streamed] {
                let failure = reply.expect_err(body);
                assert_eq!(
                    (failure.class, failure.code),
                    (class, ErrorCode::ModelMalformed),
                    "{body}, attempt {attempt}"
                );
            }
        }
    }
    // What was cut on the way is asked for as often as anything that failed on the way.
    let asked = aosk_model::Request { attempt: 2, ..hello() };
    let server = Server::json(200, r#"{"choices":[{"mess"#).await;
    let failure = driver(&server.base_url).complete(asked, None).await.expect_err("cut");
    assert_eq!(failure.class, FailureClass::Transient);
}

#[tokio::test]
async fn half_a_surrogate_pair_costs_one_character_and_not_the_answer() {
    let whole =
        r#"{"choices":[{"message":{"content":"a\ud800b\ud83d\ude00"},"finish_reason":"stop"}]}"#;
    let reply = ask(&Server::json(200, whole).await).await.expect("answers");
    assert_eq!(reply.body.message().text(), "a\u{fffd}b😀");
    let events = concat!(
        "data: {\"choices\":[{\"delta\":{\"content\":\"a\\udc00\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"x\",\"arguments\":\"\\\\ud800\\ud800\"}}]}}]}\n\n",
        "data: [DONE]\n\n"
    );
    let server = Server::events(events, 1000).await;
    let (reply, _) = ask_streaming(&driver(&server.base_url), hello()).await;
    let reply = reply.expect("answers");
    assert_eq!(reply.body.message().text(), "a\u{fffd}");
    let calls = reply.body.message().tool_calls();
    assert_eq!(calls[0].arguments, "\\ud800\u{fffd}", "what the model wrote as escape is its own");
    // In an error too.
    let body = r#"{"error":{"message":"no \ud800"}}"#;
    let failure = ask(&Server::json(400, body).await).await.expect_err("refused");
    assert_eq!(failure.message, "asked test:m: HTTP 400: no \u{fffd}");
}

#[tokio::test]
async fn figures_that_cannot_be_are_estimated() {
    let body = PLAIN.replace(r#""prompt_tokens":20"#, r#""prompt_tokens":18446744073709551615"#);
    let reply = ask(&Server::json(200, &body).await).await.expect("answers");
    assert!(reply.usage.estimated);
    assert!(reply.usage.input() < Tokens(100), "{:?}", reply.usage);
}

#[tokio::test]
async fn a_short_key_is_no_reason_to_garble_messages() {
    let key = Some((KeyHeader::Bearer, SecretString::from("k")));
    let server = Server::json(400, r#"{"error":{"message":"unknown key k"}}"#).await;
    let endpoint =
        Endpoint::new("test:m", &server.base_url, PATH, key, Bounds::default()).expect("made");
    let dialect = Dialect {
        length: LengthField::MaxTokens,
        reasoning: ReasoningField::Nowhere,
        stream_usage: true,
        cache_key: false,
        breakpoints: Breakpoints::Nowhere,
        continuing: aosk_model::continuing::Continuing::NEVER,
        words: Words::Common,
    };
    let failure =
        OpenAi::new(endpoint, "m", dialect).complete(hello(), None).await.expect_err("refused");
    assert_eq!(failure.message, "asked test:m: HTTP 400: unknown key k");
}

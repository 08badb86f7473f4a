//! Everything that a server can do wrong, done to every wire format alike.

use std::time::Duration;

use aosk_abi::{ErrorCode, Failure, FailureClass, Message, Millis, ModelReply};
use aosk_model::continuing::Continuing;
use aosk_model::endpoint::{Bounds, Endpoint, KeyHeader};
use aosk_model::openai::{Breakpoints, LengthField, ReasoningField};
use aosk_model::{Delta, Driver, anthropic, gemini, openai, responses};
use secrecy::SecretString;

use crate::server::{Act, Server, ask_streaming, chunk, json, request, stream_head};

/// A wire format: its driver, an answer in it, whole and in events, and an event of more text. All of
/// them say `日本`.
struct Format {
    name: &'static str,
    driver: fn(&str, Bounds) -> Box<dyn Driver>,
    whole: &'static str,
    events: &'static [&'static str],
    more: fn(&str) -> String,
}

const FORMATS: [Format; 4] = [
    Format {
        name: "chat completions",
        driver: |base, bounds| {
            let dialect = openai::Dialect {
                length: LengthField::MaxTokens,
                reasoning: ReasoningField::Nowhere,
                stream_usage: true,
                cache_key: false,
                breakpoints: Breakpoints::Nowhere,
                continuing: Continuing::NEVER,
                words: openai::Words::Common,
            };
            let endpoint = endpoint(base, openai::PATH, KeyHeader::Bearer, bounds);
            Box::new(openai::OpenAi::new(endpoint, "m", dialect))
        },
        whole: r#"{"choices":[{"message":{"content":"日本"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2}}"#,
        events: &[
            r#"{"choices":[{"delta":{"role":"assistant","content":"日"}}]}"#,
            r#"{"choices":[{"delta":{"content":"本"}}]}"#,
            r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2}}"#,
            "[DONE]",
        ],
        more: |text| format!(r#"{{"choices":[{{"delta":{{"content":"{text}"}}}}]}}"#),
    },
    Format {
        name: "Responses",
        driver: |base, bounds| {
            let dialect = responses::Dialect { keeps_reasoning: true, cache_key: false };
            let endpoint = endpoint(base, responses::PATH, KeyHeader::Bearer, bounds);
            Box::new(responses::Responses::new(endpoint, "m", dialect))
        },
        whole: r#"{"status":"completed","output":[{"type":"message","id":"m","content":[{"type":"output_text","text":"日本"}]}],"usage":{"input_tokens":9,"output_tokens":2}}"#,
        events: &[
            r#"{"type":"response.created","response":{"status":"in_progress","output":[]}}"#,
            r#"{"type":"response.output_text.delta","item_id":"m","delta":"日"}"#,
            r#"{"type":"response.output_text.delta","item_id":"m","delta":"本"}"#,
            r#"{"type":"response.completed","response":{"status":"completed","output":[],"usage":{"input_tokens":9,"output_tokens":2}}}"#,
        ],
        more: |text| {
            format!(r#"{{"type":"response.output_text.delta","item_id":"m","delta":"{text}"}}"#)
        },
    },
    Format {
        name: "Messages",
        driver: |base, bounds| {
            let dialect = anthropic::Dialect {
                version: anthropic::Version::V2026,
                cache_marks: true,
                continuing: Continuing::NEVER,
            };
            let endpoint = endpoint(base, anthropic::PATH, KeyHeader::XApiKey, bounds);
            Box::new(anthropic::Anthropic::new(endpoint, "m", dialect))
        },
        whole: r#"{"content":[{"type":"text","text":"日本"}],"stop_reason":"end_turn","usage":{"input_tokens":9,"output_tokens":2}}"#,
        events: &[
            r#"{"type":"message_start","message":{"usage":{"input_tokens":9,"output_tokens":1}}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"日"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"本"}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}"#,
            r#"{"type":"message_stop"}"#,
        ],
        more: |text| {
            format!(
                r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{text}"}}}}"#
            )
        },
    },
    Format {
        name: "Gemini",
        driver: |base, bounds| {
            let endpoint = endpoint(base, gemini::PATH, KeyHeader::XGoogApiKey, bounds);
            let dialect = gemini::Dialect::of_model("gemini-3.8-flash", None);
            Box::new(gemini::Gemini::new(&endpoint, "gemini-3.8-flash", dialect))
        },
        whole: r#"{"candidates":[{"content":{"parts":[{"text":"日本"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":2}}"#,
        events: &[
            r#"{"candidates":[{"content":{"parts":[{"text":"日"}]}}],"usageMetadata":{"promptTokenCount":9}}"#,
            r#"{"candidates":[{"content":{"parts":[{"text":"本"}]}}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":2}}"#,
            r#"{"candidates":[{"content":{"parts":[]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":2}}"#,
        ],
        more: |text| {
            format!(r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{text}"}}]}}}}]}}"#)
        },
    },
];

fn endpoint(base: &str, path: &str, header: KeyHeader, bounds: Bounds) -> Endpoint {
    let key = Some((header, SecretString::from("sk-very-secret-0123456789")));
    Endpoint::new("test:m", base, path, key, bounds).expect("an address")
}

impl Format {
    /// The events as they are sent.
    fn stream(&self) -> String {
        self.events.iter().map(|event| format!("data: {event}\n\n")).collect()
    }

    async fn ask(&self, server: &Server, bounds: Bounds) -> Result<ModelReply, Failure> {
        let driver = (self.driver)(&server.base_url, bounds);
        driver.complete(request(vec![Message::user("hello")], vec![]), None).await
    }

    async fn ask_streaming(
        &self,
        server: &Server,
        bounds: Bounds,
    ) -> (Result<ModelReply, Failure>, Vec<Delta>) {
        let driver = (self.driver)(&server.base_url, bounds);
        ask_streaming(&*driver, request(vec![Message::user("hello")], vec![])).await
    }

    /// The failure of an attempt, which says nothing secret.
    async fn fails(&self, server: &Server, is_stream: bool, what: &str) -> Failure {
        let bounds = Bounds::default();
        let came = if is_stream {
            self.ask_streaming(server, bounds).await.0
        } else {
            self.ask(server, bounds).await
        };
        let failure = came.expect_err(what);
        assert!(!format!("{failure:?}").contains("very-secret"), "{failure:?}");
        failure
    }
}

#[tokio::test]
async fn slow_is_not_wrong() {
    for format in &FORMATS {
        let server = Server::json(200, format.whole).await;
        let whole = format.ask(&server, Bounds::default()).await.expect(format.name);
        assert_eq!(whole.body.message().text(), "日本", "{}", format.name);
        // Every byte comes by itself.
        let server = Server::events(&format.stream(), 1).await;
        let (slow, deltas) = format.ask_streaming(&server, Bounds::default()).await;
        assert_eq!(slow.expect(format.name), whole, "{}", format.name);
        assert_eq!(deltas, ["日", "本"].map(|text| Delta::Text(text.into())), "{}", format.name);
    }
}

/// Wherever a stream is cut, it is either the whole answer or a failure that may be tried again.
#[tokio::test]
async fn a_stream_that_is_cut_is_never_half_an_answer() {
    for format in &FORMATS {
        let stream = format.stream();
        let mut wholes = 0;
        for at in (0..=stream.len()).filter(|at| at % 3 == 0 || at + 40 > stream.len()) {
            let cut = String::from_utf8_lossy(&stream.as_bytes()[..at]);
            // The half of a character that is left is no character, and not that of the stream.
            let server = if stream.is_char_boundary(at) {
                Server::events(&cut, 10_000).await
            } else {
                let body = chunk(&stream.as_bytes()[..at]);
                Server::answer([stream_head(), body, b"0\r\n\r\n".to_vec()].concat()).await
            };
            match format.ask_streaming(&server, Bounds::default()).await.0 {
                Ok(reply) => {
                    assert_eq!(reply.body.message().text(), "日本", "{} at {at}", format.name);
                    wholes += 1;
                }
                Err(failure) => assert_eq!(
                    (failure.class, failure.code),
                    (FailureClass::Transient, ErrorCode::ModelMalformed),
                    "{} at {at}: {}",
                    format.name,
                    failure.message
                ),
            }
        }
        assert!(wholes > 0, "{}: the whole stream is one", format.name);
    }
}

#[tokio::test]
async fn half_a_character_costs_the_answer_and_not_the_program() {
    for format in &FORMATS {
        // The first two of the three bytes, and then the end of the text.
        let half = |text: &str| {
            let (before, after) = text.split_once('本').expect("has it");
            [before.as_bytes(), b"\xe6\x9c", after.as_bytes()].concat()
        };
        let body = half(format.whole);
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let server = Server::answer([head.into_bytes(), body].concat()).await;
        let failure = format.fails(&server, false, format.name).await;
        assert_eq!(failure.code, ErrorCode::ModelMalformed, "{}", format.name);
        let body = chunk(&half(&format.stream()));
        let server = Server::answer([stream_head(), body, b"0\r\n\r\n".to_vec()].concat()).await;
        let failure = format.fails(&server, true, format.name).await;
        assert_eq!(
            (failure.class, failure.code),
            (FailureClass::Transient, ErrorCode::ModelMalformed),
            "{}",
            format.name
        );
    }
}

#[tokio::test]
async fn a_refusal_is_told_by_its_status() {
    use ErrorCode::{ModelRateLimited, ModelServer, ModelTimeout, ModelUnauthorized};
    use FailureClass::{Final, RateLimited, Transient};
    let html = "<!doctype html><title>Bad gateway</title>";
    let cases = [
        (429, "retry-after: 7\r\n", "{}", RateLimited, ModelRateLimited, Some(Millis(7_000))),
        (429, "", "{}", RateLimited, ModelRateLimited, None),
        (529, "", "{}", RateLimited, ModelRateLimited, None),
        (500, "", "{}", Transient, ModelServer, None),
        (502, "", html, Transient, ModelServer, None),
        (504, "", "", Transient, ModelTimeout, None),
        (401, "retry-after: 7\r\n", "{}", Final, ModelUnauthorized, None),
    ];
    for format in &FORMATS {
        for (status, headers, body, class, code, wait) in cases {
            for is_stream in [false, true] {
                let server = Server::answer(json(status, headers, body)).await;
                let failure = format.fails(&server, is_stream, format.name).await;
                assert_eq!(
                    (failure.class, failure.code, failure.retry_after),
                    (class, code, wait),
                    "{} {status}: {}",
                    format.name,
                    failure.message
                );
            }
        }
    }
}

#[tokio::test]
async fn a_page_is_no_answer() {
    let page = "<html><title>Log in</title></html>";
    let head = |kind: &str| {
        let length = page.len();
        format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{page}")
    };
    for format in &FORMATS {
        for kind in ["text/html", "application/json"] {
            for is_stream in [false, true] {
                let server = Server::answer(head(kind)).await;
                let failure = format.fails(&server, is_stream, format.name).await;
                assert_eq!(
                    (failure.class, failure.code),
                    (FailureClass::Final, ErrorCode::ModelMalformed),
                    "{}",
                    format.name
                );
                assert!(failure.hint.contains("base URL"), "{}", failure.hint);
            }
        }
    }
}

#[tokio::test]
async fn an_endless_stream_is_cut_off() {
    let bounds =
        Bounds { answer_bytes_max: 200_000, stream_bytes_max: 400_000, ..Bounds::default() };
    let long = "x".repeat(30_000);
    for format in &FORMATS {
        let more = format!("data: {}\n\n", (format.more)(&long));
        let comments = format!(": {long}\n\n");
        for piece in [more, comments] {
            let acts = vec![Act::Write(stream_head()), Act::Forever(chunk(piece.as_bytes()))];
            let server = Server::start(acts).await;
            let (came, deltas) = format.ask_streaming(&server, bounds).await;
            let failure = came.expect_err(format.name);
            assert_eq!(
                (failure.class, failure.code),
                (FailureClass::Final, ErrorCode::ModelMalformed),
                "{}",
                format.name
            );
            let shown = deltas.iter().map(|delta| match delta {
                Delta::Text(text) | Delta::Reasoning(text) | Delta::Arguments(text) => text.len(),
                Delta::ToolCall { .. } => 0,
            });
            assert!(shown.sum::<usize>() <= 240_000, "{}", format.name);
            server.request().await;
        }
    }
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_given_up() {
    let bounds = Bounds { idle: Duration::from_millis(20), ..Bounds::default() };
    for format in &FORMATS {
        let begun = format!("data: {}\n\n", (format.more)("a beginning"));
        let begun = [stream_head(), chunk(begun.as_bytes())].concat();
        let server = Server::start(vec![Act::Write(begun), Act::AwaitHangUp]).await;
        let failure = format.ask_streaming(&server, bounds).await.0.expect_err(format.name);
        assert_eq!(
            (failure.class, failure.code),
            (FailureClass::Transient, ErrorCode::ModelTimeout),
            "{}",
            format.name
        );
        assert!(
            failure.usage.is_some_and(|usage| usage.estimated),
            "{}: it had begun",
            format.name
        );
        server.request().await;
    }
}

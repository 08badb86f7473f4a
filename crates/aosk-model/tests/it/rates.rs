//! What providers say of their rates, on answers and on refusals.

use std::sync::{Arc, Mutex};

use aosk_abi::{Gauge, Message, Millis, RateReport};
use aosk_model::{OnRates, Request, resolve};

use crate::server::{Act, Server, chunk, json, request, stream_head};

const CHAT: &str = r#"{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}"#;
const MESSAGES: &str = r#"{"type":"message","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}"#;

const OPENAI: &str = "x-ratelimit-limit-requests: 60\r\nx-ratelimit-remaining-requests: 59\r\nx-ratelimit-reset-requests: 1s\r\n";
const ANTHROPIC: &str = "date: Sat, 21 Nov 2026 17:00:00 GMT\r\nanthropic-ratelimit-tokens-limit: 40000\r\nanthropic-ratelimit-tokens-remaining: 0\r\nanthropic-ratelimit-tokens-reset: 2026-11-21T17:00:20Z\r\n";

fn gauge(limit: u64, remaining: u64, reset: u64) -> Option<Gauge> {
    Some(Gauge { limit: Some(limit), remaining, reset: Millis(reset) })
}

/// What is heard of an exchange in the format of this provider, in a stream or not.
async fn heard(provider: &str, answer: Vec<Act>, is_stream: bool) -> Vec<RateReport> {
    let server = Server::start(answer).await;
    let env = |name: &str| name.ends_with("_API_KEY").then(|| "k".to_owned());
    // The model is one whose window is known, so that the server is asked nothing else.
    let model = if provider == "openai" { "gpt-5.4-mini" } else { "claude-haiku-4-5" };
    let spec = format!("{provider}:{model}");
    let resolved = resolve(Some(&spec), Some(&server.base_url), &env).await.expect("resolves");
    let heard = Arc::<Mutex<Vec<RateReport>>>::default();
    let hears = heard.clone();
    let on_rates = OnRates::new(move |report| hears.lock().expect("not poisoned").push(report));
    let asked = Request { on_rates, ..request(vec![Message::user("hello")], vec![]) };
    let unseen = |_| {};
    // However it ends.
    drop(resolved.driver.complete(asked, if is_stream { Some(&unseen) } else { None }).await);
    server.request().await;
    let heard = heard.lock().expect("not poisoned");
    heard.clone()
}

#[tokio::test]
async fn answers_and_refusals_tell_of_rates_in_both_styles() {
    let chat = RateReport { requests: gauge(60, 59, 1_000), tokens: None };
    let messages = RateReport { requests: None, tokens: gauge(40_000, 0, 20_000) };
    for (provider, headers, body, report) in
        [("openai", OPENAI, CHAT, chat), ("anthropic", ANTHROPIC, MESSAGES, messages)]
    {
        for (status, is_stream) in [(200, false), (200, true), (429, false), (529, true)] {
            let answer = vec![Act::Write(json(status, headers, body))];
            let heard = heard(provider, answer, is_stream).await;
            assert_eq!(heard, [report], "{provider} {status} {is_stream}");
        }
    }
}

/// The head says it, so nobody waits for the end of the answer.
#[tokio::test]
async fn a_stream_tells_of_rates_before_it_ends() {
    let head = String::from_utf8(stream_head())
        .expect("text")
        .replace("200 OK\r\n", &format!("200 OK\r\n{OPENAI}"));
    // The stream breaks off behind its first event.
    let event = chunk(b"data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n");
    let answer = vec![Act::Write(head.into_bytes()), Act::Write(event)];
    let chat = RateReport { requests: gauge(60, 59, 1_000), tokens: None };
    assert_eq!(heard("openai", answer, true).await, [chat]);
}

#[tokio::test]
async fn headers_that_say_nothing_are_not_heard() {
    let odd = "x-ratelimit-remaining-requests: lots\r\nx-ratelimit-reset-requests: -1s\r\n";
    for headers in ["", odd] {
        let answer = vec![Act::Write(json(200, headers, CHAT))];
        assert_eq!(heard("openai", answer, false).await, []);
    }
}

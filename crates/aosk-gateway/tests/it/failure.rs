//! What goes wrong at the provider and on the way, as clients hear it.

use aosk_runtime::abi::{Bounds, Limits};
use aosk_server::access::Role;
use serde_json::Value;

use crate::provider::{Act, Provider, chat, chat_events, chunk, end, json, stream_head};
use crate::scene::{KEY, Plan, Scene, chat_model, messages_model};

const ASKED: &str = r#"{"model":"test:m","messages":[{"role":"user","content":"a"}]}"#;
const STREAMED: &str = r#"{"model":"test:m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"a"}]}"#;

const ROLE: &str =
    "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
const WORD: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"word\"}}]}\n\n";

#[tokio::test]
async fn a_provider_that_wants_time_is_given_it() {
    let provider = Provider::start().await;
    let scene = Scene::chat(&provider).await;
    let busy = json(429, "retry-after-ms: 1\r\n", r#"{"error":{"message":"slow down"}}"#);
    provider.then(vec![Act::Write(busy)]).json(200, &chat("b"));
    let answer = scene.client().await.chat(ASKED).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, chat("b").as_str()));
    assert_eq!(provider.all().len(), 2);
}

#[tokio::test]
async fn a_stream_that_ends_before_the_first_word_is_asked_for_again() {
    let provider = Provider::start().await;
    let scene = Scene::chat(&provider).await;
    provider.then(vec![Act::Write(stream_head()), Act::Write(chunk(ROLE)), Act::Close]);
    provider.events(&chat_events("b"));
    let answer = scene.client().await.chat(STREAMED).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, chat_events("b").as_str()));
    assert_eq!(provider.all().len(), 2);
    assert_eq!(provider.bodies()[0], provider.bodies()[1]);
}

#[tokio::test]
async fn a_stream_that_ends_after_it_is_not() {
    let provider = Provider::start().await;
    let scene = Scene::chat(&provider).await;
    provider.then(vec![Act::Write(stream_head()), Act::Write(chunk(WORD)), Act::Close]);
    let answer = scene.client().await.chat(STREAMED).await;
    let (said, error) = answer.text.split_at(WORD.len());
    assert_eq!(said, WORD);
    let error: Value = serde_json::from_str(error.strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(error["error"]["kernel_code"], "model.unreachable", "{error}");
    assert_eq!(error["error"]["type"], "server_error", "{error}");
    assert_eq!(provider.all().len(), 1);
    assert!(!answer.text.contains("[DONE]"), "{answer:?}");
}

/// A client ends at the first error, so there is one, and it is the kernel's: what the provider says may
/// be of the kernel's account.
#[tokio::test]
async fn an_error_in_the_midst_of_a_stream_is_told_once() {
    let provider = Provider::start().await;
    let scene = Plan::of(vec![messages_model("test:a", &provider)]).start().await;
    let begun = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"word\"}}\n\n";
    let broken = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    let text = format!("{begun}{broken}");
    provider.then(vec![Act::Write(stream_head()), Act::Write(chunk(&text)), Act::Write(end())]);
    let asked = r#"{"model":"test:a","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"a"}]}"#;
    let answer = scene.client().await.messages(asked).await;
    let error = answer.text.strip_prefix(begun).unwrap_or_else(|| panic!("{answer:?}"));
    let data = error.strip_prefix("event: error\ndata: ").unwrap_or_else(|| panic!("{answer:?}"));
    let data: Value = serde_json::from_str(data).unwrap();
    assert_eq!(data["error"]["kernel_code"], "model.rate_limited", "{answer:?}");
    assert_eq!(provider.all().len(), 1);
}

#[tokio::test]
async fn what_the_provider_finds_wrong_with_the_request_is_told_as_it_said_it() {
    let provider = Provider::start().await;
    let scene = Scene::chat(&provider).await;
    let said = "{ \"error\":{\"message\":\"no such field\", \"mine\":[1 ]}}";
    provider.json(400, said).json(422, said);
    let mut client = scene.client().await;
    for status in [400, 422] {
        let answer = client.chat(ASKED).await;
        assert_eq!((answer.status, answer.text.as_str()), (status, said));
    }
    assert_eq!(provider.all().len(), 2);
}

#[tokio::test]
async fn what_the_provider_says_of_the_kernels_key_is_not() {
    let provider = Provider::start().await;
    let scene = Scene::chat(&provider).await;
    let body = format!(r#"{{"error":{{"message":"bad key {KEY}","code":"invalid_api_key"}}}}"#);
    provider.json(401, &body).json(403, &body);
    let mut client = scene.client().await;
    for _ in 0..2 {
        let answer = client.chat(ASKED).await;
        assert_eq!(answer.status, 502, "{answer:?}");
        assert_eq!(answer.json()["error"]["type"], "server_error");
        assert!(!answer.text.contains(KEY), "{answer:?}");
    }
}

#[tokio::test]
async fn without_money_nothing_is_sent() {
    let provider = Provider::start().await;
    let none = Limits { calls: Some(0), ..Limits::default() };
    let models = vec![chat_model("test:m", &provider), messages_model("test:a", &provider)];
    let scene = Plan::of(models).group("acme", none).start().await;
    let mut client = scene.with("t", Role::Operator, Some("acme")).await;
    let answer = client.chat(ASKED).await;
    assert_eq!(answer.status, 402, "{answer:?}");
    assert_eq!(answer.json()["error"]["kernel_code"], "budget.exceeded");
    let asked = r#"{"model":"test:a","max_tokens":9,"messages":[{"role":"user","content":"a"}]}"#;
    let answer = client.messages(asked).await;
    assert_eq!(answer.status, 402, "{answer:?}");
    assert_eq!(answer.json()["error"]["type"], "billing_error");
    assert!(provider.all().is_empty(), "{:?}", provider.all());
}

/// A client would be gone long before the hour is over.
#[tokio::test]
async fn a_client_is_told_when_a_bound_of_an_hour_has_room_again() {
    let provider = Provider::start().await;
    provider.json(200, &chat("yes"));
    let per_hour = Bounds { calls: Some(1), ..Bounds::default() };
    let hourly = Limits { per_hour, ..Limits::default() };
    let models = vec![chat_model("test:m", &provider)];
    let scene = Plan::of(models).group("acme", hourly).start().await;
    let mut client = scene.with("t", Role::Operator, Some("acme")).await;
    assert_eq!(client.chat(ASKED).await.status, 200);
    let answer = client.chat(ASKED).await;
    assert_eq!(answer.status, 429, "{answer:?}");
    assert_eq!(answer.json()["error"]["type"], "rate_limit_error", "{answer:?}");
    let after: u64 = answer.header("retry-after").parse().unwrap();
    assert!((3_500..=3_660).contains(&after), "{answer:?}");
    assert_eq!(answer.header("x-should-retry"), "");
    assert_eq!(provider.all().len(), 1);
}

#[tokio::test]
async fn a_model_that_there_is_not_is_not_found() {
    let provider = Provider::start().await;
    let scene = Scene::chat(&provider).await;
    let mut client = scene.client().await;
    let answer = client.chat(&ASKED.replace("test:m", "gpt-9")).await;
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (404, &"model_not_found".into()));
    assert!(answer.text.contains("test:m"), "{answer:?}");
    let asked = r#"{"model":"claude-9","max_tokens":9,"messages":[{"role":"user","content":"a"}]}"#;
    let answer = client.messages(asked).await;
    assert_eq!((answer.status, &answer.json()["error"]["type"]), (404, &"not_found_error".into()));
    let answer = client.post("/v1/responses", r#"{"model":"gpt-9","input":"a"}"#).await;
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (404, &"model_not_found".into()));
    assert_eq!(scene.handle().live_count(), 0);
}

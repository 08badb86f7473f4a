//! Names that several models answer to, and models that are asked in another format.

use aosk_runtime::ModelDevice;
use aosk_runtime::abi::Ability;
use aosk_runtime::kernel::Route;
use serde_json::{Value, json};

use crate::provider::{Act, Provider, chat, chunk, end, message, stream_head};
use crate::scene::{Plan, chat_model, messages_model, responses_model};

fn route(names: &[&str]) -> Route {
    let backends = names.iter().map(|name| ((*name).to_owned(), 1)).collect();
    Route { backends, ..Route::default() }
}

const ASKED: &str = r#"{"model":"any","messages":[{"role":"user","content":"a"}]}"#;

#[tokio::test]
async fn what_is_down_is_passed_over() {
    let provider = Provider::start().await;
    let down = Provider::down().await;
    let models = vec![chat_model("down:m", &down), chat_model("test:m", &provider)];
    let scene = Plan::of(models).route("any", route(&["down:m", "test:m"])).start().await;
    provider.json(200, &chat("b"));
    let answer = scene.client().await.chat(ASKED).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, chat("b").as_str()));
    // The name of the route is the client's; each model has its own.
    assert_eq!(provider.bodies(), [ASKED.replace("any", "its-m")]);
}

/// What a request needs is read from it, and a model that cannot do it is passed over.
#[tokio::test]
async fn a_picture_goes_to_a_model_that_sees() {
    let (blind, seeing) = (Provider::start().await, Provider::start().await);
    let can = |abilities: &[Ability], model| ModelDevice {
        abilities: Some(abilities.iter().copied().collect()),
        ..model
    };
    let models = vec![
        can(&[Ability::Tools], chat_model("blind:m", &blind)),
        can(&[Ability::Images], chat_model("seeing:m", &seeing)),
    ];
    let scene = Plan::of(models).route("any", route(&["blind:m", "seeing:m"])).start().await;
    let mut client = scene.client().await;
    blind.json(200, &chat("words"));
    assert_eq!(client.chat(ASKED).await.text, chat("words"));
    let picture = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}});
    let mut asked = json!({"model": "any", "messages": [{"role": "user", "content": [picture]}]});
    seeing.json(200, &chat("a cat"));
    assert_eq!(client.chat(&asked.to_string()).await.text, chat("a cat"));
    // No model of the route can do both.
    let tool = json!({"name": "look", "parameters": {"type": "object", "properties": {}}});
    asked["tools"] = json!([{"type": "function", "function": tool}]);
    let answer = client.chat(&asked.to_string()).await;
    assert_eq!(answer.json()["error"]["code"], "model.unable", "{answer:?}");
    assert!(answer.status >= 400 && !answer.text.contains("a cat"), "{answer:?}");
}

#[tokio::test]
async fn a_client_of_chat_completions_is_answered_by_a_model_of_messages() {
    let provider = Provider::start().await;
    let models = vec![messages_model("test:a", &provider)];
    let scene = Plan::of(models).route("any", route(&["test:a"])).start().await;
    let mut client = scene.client().await;
    provider.json(200, &message("b"));
    let answer = client.chat(ASKED).await;
    let body = answer.json();
    assert_eq!((answer.status, &body["object"]), (200, &json!("chat.completion")), "{answer:?}");
    assert_eq!(body["choices"][0]["message"]["content"], "b");
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_eq!(body["usage"]["total_tokens"], 12);
    assert_eq!(body["model"], "any");
    let asked: Value = serde_json::from_str(&provider.bodies()[0]).unwrap();
    assert_eq!(asked["model"], "its-a");
    assert_eq!(asked["messages"][0]["role"], "user");
    assert!(asked["max_tokens"].is_u64(), "{asked}");

    let event = |name: &str, data: &str| format!("event: {name}\ndata: {data}\n\n");
    let events = [
        event(
            "message_start",
            r#"{"type":"message_start","message":{"usage":{"input_tokens":9,"output_tokens":1}}}"#,
        ),
        event(
            "content_block_start",
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        ),
        event(
            "content_block_delta",
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"d"}}"#,
        ),
        event("content_block_stop", r#"{"type":"content_block_stop","index":0}"#),
        event(
            "message_delta",
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":3}}"#,
        ),
        event("message_stop", r#"{"type":"message_stop"}"#),
    ];
    let events = events.concat();
    provider.then(vec![Act::Write(stream_head()), Act::Write(chunk(&events)), Act::Write(end())]);
    let streamed = client.chat(r#"{"model":"any","stream":true,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}]}"#).await;
    assert_eq!(streamed.pid(), answer.pid());
    assert!(streamed.text.ends_with("data: [DONE]\n\n"), "{streamed:?}");
    let chunks: Vec<Value> = streamed
        .text
        .lines()
        .filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
        .collect();
    let said: String = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(said, "d");
    assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], "stop");
}

/// What was thought in another format goes back in that of the model, however its body would look.
#[tokio::test]
async fn reasoning_that_was_given_out_in_a_translation_is_not_passed_on_as_it_is() {
    let provider = Provider::start().await;
    let scene = Plan::of(vec![messages_model("test:a", &provider)]).start().await;
    provider.json(200, &message("d"));
    let asked = r#"{"model":"test:a","max_tokens":9,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"aosk1:"},{"type":"text","text":"b"}]},{"role":"user","content":"c"}]}"#;
    let answer = scene.client().await.messages(asked).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(!provider.bodies()[0].contains("aosk1:"), "{:?}", provider.bodies());
    assert!(provider.bodies()[0].contains(r#""text":"b""#), "{:?}", provider.bodies());
}

#[tokio::test]
async fn what_only_the_own_format_can_do_is_refused_in_another() {
    let provider = Provider::start().await;
    let models = vec![messages_model("test:a", &provider), responses_model("test:r", &provider)];
    let scene = Plan::of(models).start().await;
    let mut client = scene.client().await;
    let asked = r#"{"model":"test:a","n":2,"messages":[{"role":"user","content":"a"}]}"#;
    let answer = client.chat(asked).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
    let asked = r#"{"model":"test:r","max_tokens":9,"tools":[{"type":"web_search_20250305","name":"web_search"}],"messages":[{"role":"user","content":"a"}]}"#;
    let answer = client.messages(asked).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(provider.all().is_empty(), "{:?}", provider.all());
}

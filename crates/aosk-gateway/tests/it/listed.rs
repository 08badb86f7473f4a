//! The list of models, and counts of tokens.

use aosk_runtime::kernel::Route;
use serde_json::json;

use crate::provider::Provider;
use crate::scene::{Plan, chat_model, messages_model};

#[tokio::test]
async fn every_name_that_is_answered_is_listed() {
    let provider = Provider::start().await;
    let models = vec![chat_model("test:m", &provider), messages_model("other:a", &provider)];
    let scene = Plan::of(models).route("any", Route::to("test:m")).start().await;
    let mut client = scene.client().await;
    let list = client.get("/v1/models").await.json();
    let ids: Vec<&str> =
        list["data"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["any", "test:m", "other:a"]);
    assert_eq!(list["object"], "list");
    let last = &list["data"][2];
    assert_eq!((&last["owned_by"], &last["object"]), (&json!("other"), &json!("model")));
    assert_eq!((&list["first_id"], &list["last_id"]), (&json!("any"), &json!("other:a")));
    let aios = client.get("/core/llms/list").await.json();
    let named = json!({ "name": "a", "provider": "other", "backend": "other" });
    assert_eq!((&aios["status"], &aios["llms"][2]), (&json!("success"), &named));
}

#[tokio::test]
async fn one_model_is_shown_by_its_name() {
    let provider = Provider::start().await;
    let scene = Plan::of(vec![chat_model("test:org/m", &provider)]).start().await;
    let mut client = scene.client().await;
    for path in ["/v1/models/test:org/m", "/v1/models/test%3Aorg%2Fm"] {
        let answer = client.get(path).await;
        assert_eq!((answer.status, &answer.json()["id"]), (200, &json!("test:org/m")), "{path}");
    }
    let answer = client.get("/v1/models/none").await;
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (404, &json!("model_not_found")));
    let mut anthropic = client.with("anthropic-version", "2023-06-01");
    let answer = anthropic.get("/v1/models/none").await;
    assert_eq!((answer.status, &answer.json()["error"]["type"]), (404, &json!("not_found_error")));
}

#[tokio::test]
async fn tokens_are_counted_without_asking_anybody() {
    let provider = Provider::start().await;
    let scene = Plan::of(vec![messages_model("test:a", &provider)]).start().await;
    let mut client = scene.client().await;
    let mut count = async |text: &str, tools: &str| {
        let body = format!(
            r#"{{"model":"test:a","messages":[{{"role":"user","content":"{text}"}}]{tools}}}"#
        );
        let answer = client.post("/v1/messages/count_tokens", body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["input_tokens"].as_u64().unwrap()
    };
    let short = count("word", "").await;
    let long = count(&"word ".repeat(400), "").await;
    assert!(short > 0 && long >= short + 300, "{short} {long}");
    let tool =
        r#","tools":[{"name":"look","description":"Looks.","input_schema":{"type":"object"}}]"#;
    assert!(count("word", tool).await > short);
    let unknown = r#"{"model":"none","messages":[{"role":"user","content":"a"}]}"#;
    let answer = client.post("/v1/messages/count_tokens", unknown).await;
    assert_eq!((answer.status, &answer.json()["error"]["type"]), (404, &json!("not_found_error")));
    assert!(provider.all().is_empty());
    assert_eq!(scene.handle().live_count(), 0);
}

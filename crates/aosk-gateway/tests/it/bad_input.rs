//! Requests that make no sense.

use crate::provider::Provider;
use crate::scene::Scene;

const ROUTES: [&str; 4] =
    ["/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/messages/count_tokens"];

#[tokio::test]
async fn bodies_that_cannot_be_read() {
    let provider = Provider::start().await;
    let scene = Scene::chat(&provider).await;
    let mut client = scene.client().await;
    let bodies: [&[u8]; 8] = [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b"\xff\xfe{}",
        b"{\"model\":\"test:m\",\"messages\":[{\"role\":\"user\",\"content\":\"\xc3\"}]}",
        b"{\"model\":\"test:m\",\"messages\":{},\"input\":7}",
    ];
    for route in ROUTES {
        for body in bodies {
            let answer = client.post(route, body).await;
            let shown = String::from_utf8_lossy(body);
            assert_eq!(answer.status, 400, "{route} {shown}: {answer:?}");
            let error = &answer.json()["error"];
            assert_eq!(error["type"], "invalid_request_error", "{route} {shown}: {answer:?}");
            assert_eq!(error["kernel_code"], "api.bad_request", "{route} {shown}: {answer:?}");
        }
    }
    assert!(provider.all().is_empty());
}

#[tokio::test]
async fn a_body_that_is_too_large() {
    let provider = Provider::start().await;
    let scene = Scene::chat(&provider).await;
    let text = "a".repeat(32 * 1024 * 1024);
    let body = format!(r#"{{"model":"test:m","messages":[{{"role":"user","content":"{text}"}}]}}"#);
    let answer = scene.client().await.chat(&body).await;
    assert_eq!(answer.status, 413, "{}", answer.text);
    assert_eq!(answer.json()["error"]["kernel_code"], "api.too_large");
    let answer = scene.client().await.messages(&body).await;
    assert_eq!(answer.json()["error"]["type"], "request_too_large");
    assert!(provider.all().is_empty());
}

#[tokio::test]
async fn headers_that_make_no_sense() {
    let provider = Provider::start().await;
    let scene = Scene::chat(&provider).await;
    let asked = r#"{"model":"test:m","messages":[{"role":"user","content":"a"}]}"#;
    for (name, value) in [
        ("x-aosk-priority", "101"),
        ("x-aosk-priority", "-1"),
        ("x-aosk-priority", "soon"),
        ("x-aosk-context", "kept"),
        ("x-aosk-window", "1000"),
        ("x-aosk-session", &*"s".repeat(129)),
        ("x-aosk-session", "é"),
    ] {
        let answer = scene.client().await.with(name, value).chat(asked).await;
        assert_eq!(answer.status, 400, "{name}: {value}: {answer:?}");
        assert!(answer.text.contains(name), "{name}: {value}: {answer:?}");
    }
    assert!(provider.all().is_empty());
}

#[tokio::test]
async fn paths_and_methods_that_there_are_not() {
    let provider = Provider::start().await;
    let scene = Scene::chat(&provider).await;
    let mut client = scene.client().await;
    let answer = client.post("/v1/completions", "{}").await;
    assert_eq!(answer.status, 404, "{answer:?}");
    assert_eq!(answer.json()["error"]["type"], "invalid_request_error", "{answer:?}");
    let answer = client.get("/v1/messages").await;
    assert_eq!(answer.status, 405, "{answer:?}");
    assert_eq!(answer.json()["type"], "error", "{answer:?}");
    // What is not of the gateway keeps the shape that the server has for it.
    let answer = client.get("/api/v1/nothing").await;
    assert_eq!(answer.header("content-type"), "application/problem+json");
}

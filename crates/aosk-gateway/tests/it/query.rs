//! AIOS's way of asking.

use serde_json::{Value, json};

use crate::provider::{Provider, chat};
use crate::scene::Scene;

fn query(data: &Value) -> String {
    json!({ "query_type": "llm", "agent_name": "demo/agent", "query_data": data }).to_string()
}

#[tokio::test]
async fn a_query_is_asked_and_answered_as_aios_does() {
    let provider = Provider::start().await;
    let scene = Scene::chat(&provider).await;
    let mut client = scene.client().await;
    provider.json(200, &chat("b"));
    let data = json!({
        "query_class": "llm", "llms": [{ "name": "m", "backend": "test" }], "tools": null,
        "messages": [{ "role": "user", "content": "a" }], "action_type": "chat",
        "temperature": 1.0, "max_new_tokens": 77, "message_return_type": "text",
        "response_format": null,
    });
    let answer = client.post("/query", query(&data)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    let expected = json!({
        "response_class": "llm", "response_message": "b", "tool_calls": null,
        "finished": true, "error": null, "status_code": 200,
    });
    assert_eq!(body["response"], expected);
    for times in ["start_times", "end_times", "waiting_times", "turnaround_times"] {
        assert!(body[times][0].is_number(), "{body}");
    }
    let asked: Value = serde_json::from_str(&provider.bodies()[0]).unwrap();
    assert_eq!((&asked["model"], &asked["max_tokens"]), (&json!("its-m"), &json!(77)));
    assert_eq!(asked["messages"], json!([{ "role": "user", "content": "a" }]));
    let names: Vec<String> =
        scene.handle().processes().iter().map(|one| one.spec.name.clone()).collect();
    assert_eq!(names, ["demo/agent"]);
}

#[tokio::test]
async fn names_of_tools_come_back_as_they_went() {
    let provider = Provider::start().await;
    let scene = Scene::chat(&provider).await;
    let called = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"t1","type":"function","function":{"name":"demo__arxiv","arguments":"{\"q\":\"x\"}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":9,"completion_tokens":3}}"#;
    provider.json(200, called);
    let data = json!({
        "messages": [{ "role": "user", "content": "a" }],
        "tools": [{ "type": "function", "function": { "name": "demo/arxiv", "description": "d",
            "parameters": { "type": "object" } } }],
        "action_type": "chat_with_tool_call_output",
    });
    let body = scene.client().await.post("/query", query(&data)).await.json();
    let expected = json!([{ "name": "demo/arxiv", "parameters": { "q": "x" }, "id": "t1" }]);
    assert_eq!(body["response"]["tool_calls"], expected, "{body}");
    let asked: Value = serde_json::from_str(&provider.bodies()[0]).unwrap();
    assert_eq!(asked["tools"][0]["function"]["name"], "demo__arxiv");
}

#[tokio::test]
async fn what_cannot_be_done_is_said_in_its_words() {
    let provider = Provider::start().await;
    let scene = Scene::chat(&provider).await;
    let mut client = scene.client().await;
    let message = json!([{ "role": "user", "content": "a" }]);
    let storage = json!({ "query_type": "storage", "agent_name": "a", "query_data": {} });
    let none = query(&json!({ "messages": message, "llms": [{ "name": "none" }] }));
    let tools = query(&json!({ "messages": message, "action_type": "call_tool" }));
    for (body, status) in [
        (storage.to_string(), 400),
        ("{".to_owned(), 400),
        (query(&json!({ "messages": [] })), 400),
        (none, 404),
        (tools, 400),
    ] {
        let answer = client.post("/query", body.clone()).await;
        assert_eq!(answer.status, status, "{body}: {answer:?}");
        assert!(!answer.json()["detail"].as_str().unwrap().is_empty(), "{body}: {answer:?}");
    }
    provider.json(401, "{}");
    let answer = client.post("/query", query(&json!({ "messages": message }))).await;
    assert_eq!(answer.status, 500, "{answer:?}");
}

//! Whatever makes no sense is answered as a problem, and says what is wrong.

use aosk_server::limits::{BODY_BYTES_MAX, HEAD_BYTES_MAX};
use serde_json::json;

use crate::scene::Scene;

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

#[tokio::test]
async fn bodies_that_are_no_request() {
    let scene = Scene::new().await;
    let mut client = scene.client().await;
    let spawn = ("POST", "/api/v1/processes");
    for (body, says) in [
        ("", "EOF"),
        ("{", "EOF"),
        ("[]", "invalid"),
        (r#"{"task":1}"#, "expected a string"),
        (r#"{"task":"say a","tusk":"b"}"#, "unknown field `tusk`"),
        (r#"{"task":"say a","priority":-1}"#, "invalid value"),
        (r#"{"task":"say a","permission":"root"}"#, "unknown variant"),
        (r#"{"task":" "}"#, "says nothing"),
        (r#"{"task":"say a","window":10}"#, "no room"),
        (r#"{"task":"say a","max_output":0}"#, "no tokens"),
        (r#"{"task":"say a","tools":["rm"]}"#, "rm"),
        (r#"{"task":"say a","workspace":"/no/such"}"#, "/no/such"),
        (r#"{"task":"say a","limits":{"toks":1}}"#, "unknown field `toks`"),
        ("\"\\ud800\"", "hex escape"),
    ] {
        let answer = client.raw(spawn, &JSON, body).await;
        answer.is_problem(400, "api.bad_request");
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{body}: {detail}");
    }
    let no_type = client.raw(spawn, &[], r#"{"task":"say a"}"#).await;
    no_type.is_problem(415, "api.media_type");
    let model = client.post(spawn.1, &json!({ "task": "say a", "model": "none:such" })).await;
    model.is_problem(400, "model.unknown");
    assert_eq!(model.body["hint"], "models: m");
    let priority = client.post(spawn.1, &json!({ "task": "say a", "priority": 101 })).await;
    assert_eq!(priority.status, 400, "{priority:?}");
    assert_eq!(scene.handle().processes().len(), 0, "nothing was started");
}

#[tokio::test]
async fn not_even_the_owner_has_agents_work_where_the_tokens_are() {
    let scene = Scene::new().await;
    let mut client = scene.client().await;
    let other = tempfile::TempDir::new().unwrap();
    let spawn = |dir: &std::path::Path| json!({ "task": "say a", "workspace": dir });
    for bad in [scene.dir.path(), scene.dir.path().parent().unwrap()] {
        let answer = client.post("/api/v1/processes", &spawn(bad)).await;
        answer.is_problem(400, "api.bad_request");
    }
    let answer = client.post("/api/v1/processes", &spawn(other.path())).await;
    assert_eq!(answer.status, 201, "{answer:?}");
}

#[tokio::test]
async fn a_head_may_be_so_long_and_no_longer() {
    let scene = Scene::new().await;
    // A read may bring somewhat more than the bound before it is looked at.
    for (bytes, status) in [(HEAD_BYTES_MAX / 2, 200), (HEAD_BYTES_MAX * 3, 431)] {
        let mut client = scene.client().await;
        let long = "a".repeat(bytes);
        let answer = client.raw(("GET", "/api/v1/version"), &[("x-long", &long)], "").await;
        assert_eq!(answer.status, status, "{bytes} bytes");
    }
}

#[tokio::test]
async fn a_body_may_be_so_long_and_no_longer() {
    let scene = Scene::new().await;
    let mut client = scene.client().await;
    let frame = r#"{"task":""}"#.len();
    let body = |length: usize| format!(r#"{{"task":"{}"}}"#, " ".repeat(length - frame));
    let spawn = ("POST", "/api/v1/processes");
    // It is read, and says nothing.
    client.raw(spawn, &JSON, body(BODY_BYTES_MAX)).await.is_problem(400, "api.bad_request");
    let mut client = scene.client().await;
    client.raw(spawn, &JSON, body(BODY_BYTES_MAX + 1)).await.is_problem(413, "api.too_large");
}

#[tokio::test]
async fn paths_and_parameters_that_are_none() {
    let scene = Scene::new().await;
    let mut client = scene.client().await;
    for path in ["/", "/api/v1", "/api/v1/processes/1/nothing", "/api/v2/health", "/api/v1/health/"]
    {
        client.get(path).await.is_problem(404, "api.not_found");
    }
    let wrong = client.post("/api/v1/health", &json!({})).await;
    wrong.is_problem(405, "api.method_not_allowed");
    assert_eq!(wrong.header("allow"), "GET,HEAD");
    for path in [
        "/api/v1/processes/x",
        "/api/v1/processes/-1",
        "/api/v1/processes/18446744073709551616",
        "/api/v1/processes/%FF",
        "/api/v1/processes?cursor=x",
        "/api/v1/processes?limit=x",
        "/api/v1/processes?colour=red",
        "/api/v1/journal?kind=none",
        "/api/v1/journal?pid=x",
        "/api/v1/journal/follow?from=x",
    ] {
        client.get(path).await.is_problem(400, "api.bad_request");
    }
    for path in ["/api/v1/processes/1", "/api/v1/processes/p7/wait", "/api/v1/processes/0/events"] {
        client.get(path).await.is_problem(404, "kernel.no_such_process");
    }
    let last = [("last-event-id", "x")];
    let answer = client.raw(("GET", "/api/v1/journal/follow"), &last, "").await;
    answer.is_problem(400, "api.bad_request");
    // Of another journal: this one would be silent until it is as long.
    let last = [("last-event-id", "1000000")];
    let pid = scene.spawn("say a").await;
    for path in ["/api/v1/journal/follow", &format!("/api/v1/processes/{pid}/events")] {
        let answer = client.raw(("GET", path), &last, "").await;
        answer.is_problem(400, "api.bad_request");
        assert!(answer.body["detail"].as_str().unwrap().contains("1000000"), "{answer:?}");
    }
    let bound = client.put("/api/v1/budgets/77/limits", &json!({})).await;
    bound.is_problem(404, "api.not_found");
    client.put("/api/v1/budgets/1/limits", &json!({})).await.is_problem(400, "api.bad_request");
    let policy = client.put("/api/v1/policies/scheduler", &json!({ "policy": "none" })).await;
    assert_eq!(policy.status, 400);
}

//! Why a process is not running, and which node it would run on.

use aosk_runtime::ModelDevice;
use aosk_runtime::store::Memory;
use aosk_server::access::Role;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::scene::{Scene, pid};

/// A kernel whose model answers one at a time.
async fn narrow() -> Scene {
    let one = |device: ModelDevice| ModelDevice { slots: 1, ..device };
    Scene::with_device(Memory::new(), TempDir::new().unwrap(), one).await
}

#[tokio::test]
async fn the_reason_is_told_in_a_sentence_and_for_programs() {
    let scene = narrow().await;
    let mut client = scene.client().await;
    let first = scene.spawn("hold").await;
    let second = scene.spawn("hold").await;
    let third = scene.spawn("hold").await;
    let mut why = async |pid: u64| client.get(&format!("/api/v1/processes/{pid}/why")).await.body;
    let runs = why(first).await;
    assert_eq!((&runs["reason"], &runs["state"]), (&json!("running"), &json!("running")));
    let said = runs["sentence"].as_str().unwrap();
    assert!(said.starts_with("p1 (agent) is running: m has worked on its call c1"), "{said}");
    assert!(runs["until_ms"].as_u64().unwrap() > 0);
    let waits = why(third).await;
    assert_eq!((&waits["reason"], &waits["model"]), (&json!("slot"), &json!("m")));
    assert_eq!(waits["ahead"], json!([second]));
    assert_eq!(
        waits["sentence"],
        "p3 (agent) waits for a slot of m, behind 1 other, the first of which is p2 (agent); p1 (agent) \
         runs there."
    );
    scene.let_go();
    client.get(&format!("/api/v1/processes/{third}/wait")).await;
    let ended = client.get(&format!("/api/v1/processes/{third}/why")).await.body;
    assert_eq!(
        (&ended["reason"], &ended["sentence"]),
        (&json!("ended"), &json!("p3 (agent) has ended: finished."))
    );
    client.get("/api/v1/processes/9/why").await.is_problem(404, "kernel.no_such_process");
}

#[tokio::test]
async fn one_that_asks_a_person_says_how_to_answer() {
    let scene = Scene::new().await;
    let mut client = scene.client().await;
    let wanted = json!({ "task": "say a", "limits": { "tokens": 10, "when_over": "ask" } });
    let pid = pid(&client.post("/api/v1/processes", &wanted).await);
    let why = client.get(&format!("/api/v1/processes/{pid}/why")).await.body;
    assert_eq!(why["reason"], "person");
    let said = why["sentence"].as_str().unwrap();
    assert!(said.ends_with("(0 of 10 used): `aosk approve 1 --budget-tokens N`."), "{said}");
}

#[tokio::test]
async fn a_tenant_learns_nothing_of_others_before_it() {
    let scene = narrow().await;
    let mut acme = scene.with(Role::Operator, Some("acme")).await;
    let mut zeta = scene.with(Role::Operator, Some("zeta")).await;
    let hold = |name: &str| json!({ "task": "hold", "name": name });
    pid(&zeta.post("/api/v1/processes", &hold("secret-one")).await);
    pid(&zeta.post("/api/v1/processes", &hold("secret-two")).await);
    let own = pid(&acme.post("/api/v1/processes", &hold("own")).await);
    // Behind everybody, whose turn ever it is.
    let set = json!({ "policy": "fifo" });
    scene.client().await.put("/api/v1/policies/scheduler", &set).await;
    let why = acme.get(&format!("/api/v1/processes/{own}/why")).await.body;
    assert_eq!(why["ahead"], json!([]), "{why}");
    let said = why["sentence"].as_str().unwrap();
    assert!(said.contains("the first of which is a process of another tenant"), "{said}");
    assert!(!said.contains("secret") && !said.contains("p1") && !said.contains("p2"), "{said}");
    let whole = scene.client().await.get(&format!("/api/v1/processes/{own}/why")).await.body;
    assert_eq!(whole["ahead"], json!([2]), "{whole}");
}

#[tokio::test]
async fn the_node_is_told_and_keeps_its_id() {
    let scene = narrow().await;
    let mut client = scene.client().await;
    scene.spawn("hold").await;
    scene.spawn("hold").await;
    let all = client.get("/api/v1/nodes").await.body;
    let node = all["nodes"][0].clone();
    assert_eq!(all["nodes"].as_array().unwrap().len(), 1);
    assert_eq!((&node["store"], &node["live"]), (&json!("memory"), &json!(2)));
    assert_eq!(node["slots"], json!({ "total": 1, "used": 1 }));
    assert_eq!(node["version"], env!("CARGO_PKG_VERSION"));
    assert!(node["started_ms"].as_u64().unwrap() > 0);
    let id = node["id"].as_str().unwrap().to_owned();
    assert_eq!(client.get(&format!("/api/v1/nodes/{id}")).await.body, node);
    client.get("/api/v1/nodes/n0").await.is_problem(404, "api.not_found");
    // The next kernel of the directory is the same node.
    let Scene { dir, node, server, .. } = scene;
    server.close();
    node.shutdown().await.unwrap();
    server.finish().await;
    let next = Scene::on(Memory::new(), dir).await;
    let again = next.client().await.get("/api/v1/nodes").await.body;
    assert_eq!(
        (&again["nodes"][0]["id"], &again["nodes"][0]["live"]),
        (&json!(id), &Value::from(0))
    );
}

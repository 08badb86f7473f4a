//! What is there to be read, page by page.

use aosk_runtime::abi::Timestamp;
use aosk_server::access::Role;
use aosk_server::limits::{BODY_BYTES_MAX, PART_BYTES_MAX, UNREAD_BYTES_MAX};
use serde_json::{Value, json};

use crate::client::Client;
use crate::scene::{Scene, field, pid};

#[tokio::test]
async fn processes_come_in_pages_and_by_filters() {
    let scene = Scene::new().await;
    let mut client = scene.client().await;
    for (task, name, group) in [
        ("hold", "a", "acme/x"),
        ("say 1", "b", "acme"),
        ("hold", "a", "acmex"),
        ("hold", "b", "acme"),
        ("say 2", "a", ""),
    ] {
        let wanted = json!({ "task": task, "name": name, "group": group });
        let pid = pid(&client.post("/api/v1/processes", &wanted).await);
        if task != "hold" {
            client.get(&format!("/api/v1/processes/{pid}/wait")).await;
        }
    }
    let mut pids = async |query: &str| {
        let answer = client.get(&format!("/api/v1/processes{query}")).await;
        let pids = field(&answer.body["processes"], "pid");
        (
            pids.iter().map(|pid| pid.as_u64().unwrap()).collect::<Vec<_>>(),
            answer.body["next"].clone(),
        )
    };
    assert_eq!(pids("").await, (vec![1, 3, 4], Value::Null));
    assert_eq!(pids("?all=true").await, (vec![1, 2, 3, 4, 5], Value::Null));
    assert_eq!(pids("?all=true&limit=2").await, (vec![1, 2], json!("2")));
    assert_eq!(pids("?all=true&limit=2&cursor=2").await, (vec![3, 4], json!("4")));
    assert_eq!(pids("?all=true&limit=2&cursor=4").await, (vec![5], Value::Null));
    assert_eq!(pids("?all=true&group=acme").await, (vec![1, 2, 4], Value::Null));
    assert_eq!(pids("?all=true&group=acme/x").await, (vec![1], Value::Null));
    assert_eq!(pids("?name=a").await, (vec![1, 3], Value::Null));
    assert_eq!(pids("?name=a&limit=1").await, (vec![1], json!("1")));
    assert_eq!(pids("?all=true&state=exited").await, (vec![2, 5], Value::Null));
}

#[tokio::test]
async fn a_log_comes_in_pages_and_its_page_table_whole() {
    let scene = Scene::new().await;
    let mut client = scene.client().await;
    let pid = scene.spawn("calculate 1").await;
    client.get(&format!("/api/v1/processes/{pid}/wait")).await;
    let at = |what: &str| format!("/api/v1/processes/{pid}/{what}");
    let whole = client.get(&at("messages")).await.body;
    let roles: Vec<_> =
        field(&whole["messages"], "message").iter().map(|one| one["role"].clone()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool", "assistant"]);
    assert_eq!((&whole["length"], &whole["next"]), (&json!(5), &Value::Null));
    assert_eq!(whole["messages"][3]["message"]["content"], "1");
    let part = client.get(&at("messages?from=1&limit=2")).await.body;
    assert_eq!(part["messages"], json!([whole["messages"][1], whole["messages"][2]]));
    assert_eq!(part["next"], 3);
    let beyond = client.get(&at("messages?from=9")).await.body;
    assert_eq!((&beyond["messages"], &beyond["next"]), (&json!([]), &Value::Null));

    let pages = client.get(&at("pages")).await.body;
    assert_eq!((&pages["messages"], &pages["taken"]), (&json!(5), &json!(4)));
    let kinds = field(&pages["pages"], "kind");
    assert_eq!(kinds, ["system", "user", "assistant", "tool_result"]);
    assert!(field(&pages["pages"], "residency").iter().all(|at| at == "resident"));
}

#[tokio::test]
async fn the_journal_comes_in_pages_and_by_filters() {
    let scene = Scene::new().await;
    let mut client = scene.client().await;
    for _ in 0..2 {
        let pid = scene.spawn("calculate 2").await;
        client.get(&format!("/api/v1/processes/{pid}/wait")).await;
    }
    let whole = client.get("/api/v1/journal").await.body;
    let all = whole["entries"].as_array().unwrap().clone();
    assert_eq!(whole["length"], all.len());
    let seqs: Vec<_> = (1..=all.len()).map(|seq| json!(seq)).collect();
    assert_eq!(field(&whole["entries"], "seq"), seqs);
    let (mut from, mut read) = (json!(1), Vec::new());
    while from != Value::Null {
        let page = client.get(&format!("/api/v1/journal?from={from}&limit=4")).await.body;
        let entries = page["entries"].as_array().unwrap();
        assert!(entries.len() <= 4);
        read.extend(entries.iter().cloned());
        from = page["next"].clone();
    }
    assert_eq!(read, all);
    let mut only = async |query: &str, is_meant: &dyn Fn(&Value) -> bool| {
        let found = client.get(&format!("/api/v1/journal?{query}")).await.body;
        let meant: Vec<_> = all.iter().filter(|entry| is_meant(entry)).cloned().collect();
        assert!(!meant.is_empty());
        assert_eq!(found["entries"], json!(meant), "{query}");
    };
    only("pid=p2", &|entry| entry["pid"] == 2).await;
    only("kind=tool.called", &|entry| entry["kind"] == "tool.called").await;
    only("kind=tool.called&pid=1", &|e| e["kind"] == "tool.called" && e["pid"] == 1).await;
}

#[tokio::test]
async fn what_the_kernel_has_is_told() {
    let scene = Scene::new().await;
    let mut client = scene.client().await;
    assert_eq!(client.get("/api/v1/health").await.body, json!({ "status": "ok", "live": 0 }));
    assert_eq!(client.get("/api/v1/version").await.body["name"], "aosk");
    let models = client.get("/api/v1/models").await.body;
    assert_eq!(models["default"], "m");
    assert_eq!(
        (&models["models"][0]["name"], &models["models"][0]["slots"]),
        (&json!("m"), &json!(64))
    );
    let tools = client.get("/api/v1/tools").await.body;
    let names = field(&tools["tools"], "name");
    assert!(names.contains(&json!("calculator")) && names.contains(&json!("spawn_agent")));
    let at = names.iter().position(|name| name == "calculator").unwrap();
    let calculator = &tools["tools"][at];
    assert_eq!(calculator["traits"]["risk"], "safe");
    assert_eq!(calculator["parameters"]["type"], "object");
    assert_eq!(client.get("/api/v1/openapi.json").await.body["openapi"], "3.1.0");
}

/// A process of a tenant whose log has this many messages of a megabyte, two a turn.
async fn long_log(scene: &Scene, client: &mut Client, turns: u64) -> u64 {
    let follow = "/api/v1/journal/follow?from=1&kind=model.answered";
    let mut answers = scene.client().await.events(follow, None).await;
    let text = format!("say {}", "x".repeat(BODY_BYTES_MAX - 100));
    let wanted = json!({ "task": "say a", "chat": true });
    let pid = pid(&client.post("/api/v1/processes", &wanted).await);
    answers.next().await.unwrap();
    for _ in 0..turns {
        let (to, message) = (format!("/api/v1/processes/{pid}/messages"), json!({ "text": text }));
        assert_eq!(client.post(&to, &message).await.status, 204);
        answers.next().await.unwrap();
    }
    pid
}

#[tokio::test]
async fn a_log_of_long_messages_comes_in_pages_that_are_bounded() {
    let scene = Scene::new().await;
    let mut client = scene.with(Role::Operator, Some("acme")).await;
    let pid = long_log(&scene, &mut client, 4).await;
    let at = |from: u64| format!("/api/v1/processes/{pid}/messages?from={from}&limit=1000");
    let (mut from, mut pages, mut indices) = (Some(0), 0, Vec::new());
    while let Some(first) = from {
        let page = client.get(&at(first)).await;
        let bytes: u64 = page.header("content-length").parse().unwrap();
        assert!(bytes < (PART_BYTES_MAX + BODY_BYTES_MAX) as u64 + 10_000, "{bytes}");
        pages += 1;
        indices.extend(field(&page.body["messages"], "index"));
        from = page.body["next"].as_u64();
    }
    let length = client.get(&at(0)).await.body["length"].as_u64().unwrap();
    assert_eq!(indices, (0..length).map(|index| json!(index)).collect::<Vec<_>>());
    assert_eq!(pages, 2, "eight messages of a megabyte, five of them on the first");

    // Who asks for much and reads nothing of it is told to read first, and keeps no one else waiting.
    let token = scene.access().create(("slow", Timestamp(0)), Role::Viewer, Some("acme")).unwrap();
    let mut slow = Vec::new();
    let refused = loop {
        let mut client = scene.over_tcp(Some(&token.text)).await;
        let answer = client.send(("GET", &at(0)), &[], "").await;
        if answer.status() != 200 {
            break answer.status();
        }
        slow.push((client, answer));
        assert!(slow.len() * PART_BYTES_MAX <= UNREAD_BYTES_MAX, "there is no bound");
    };
    assert_eq!(refused, 503);
    assert!(slow.len() > 8, "{}", slow.len());
    client.get(&at(0)).await.is_problem(503, "kernel.busy");
    assert_eq!(client.get(&format!("/api/v1/processes/{pid}")).await.status, 200);
    let mut other = scene.with(Role::Viewer, None).await;
    assert_eq!(other.get(&at(0)).await.status, 200);
    drop(slow);
    // As soon as the server has seen it.
    while client.get(&at(0)).await.status != 200 {}
}

//! What can be done to processes, and what they do then.

use serde_json::json;

use crate::scene::{Scene, pid};

#[tokio::test]
async fn an_agent_is_started_waited_for_and_seen() {
    let scene = Scene::new().await;
    let mut client = scene.client().await;
    let wanted = json!({
        "task": "calculate 2", "name": "adder", "label": "sums", "priority": 30,
        "permission": "restricted", "tools": ["calculator"], "group": "acme",
        "limits": { "tokens": 5000, "when_over": "stop" },
    });
    let started = client.post("/api/v1/processes", &wanted).await;
    let pid = pid(&started);
    assert_eq!(started.header("location"), format!("/api/v1/processes/{pid}"));
    let ended = client.get(&format!("/api/v1/processes/{pid}/wait")).await;
    assert_eq!(ended.status, 200);
    let process = &ended.body;
    assert_eq!(process["status"], "finished");
    assert_eq!(process["result"], "done");
    assert_eq!(process["used"]["tool_calls"], 2);
    assert_eq!(process["used"]["steps"], 3);
    let said = ["name", "label", "group", "program"].map(|name| process[name].as_str().unwrap());
    assert_eq!(said, ["adder", "sums", "acme", "react"]);
    assert_eq!(process["priority"], 30);
    let spec = &scene.handle().process(aosk_runtime::abi::Pid(pid)).unwrap().spec;
    assert!(spec.capabilities.tools.allows("calculator"));
    assert!(!spec.capabilities.tools.allows("send_message"));
    // The same whether it is asked for lately or read from the store.
    assert_eq!(client.get(&format!("/api/v1/processes/{pid}")).await.body, *process);
}

#[tokio::test]
async fn a_wait_ends_when_its_time_is_up() {
    let scene = Scene::new().await;
    let pid = scene.spawn("hold").await;
    let mut client = scene.client().await;
    let path = format!("/api/v1/processes/{pid}/wait?timeout_ms=1");
    let waited = client.get(&path).await;
    assert_eq!((waited.status, &waited.body["ended"]), (200, &json!(false)));
}

#[tokio::test]
async fn signals_priorities_and_messages_reach_the_process() {
    let scene = Scene::new().await;
    let mut client = scene.client().await;
    let held = scene.spawn("hold").await;
    let at = |what: &str| format!("/api/v1/processes/{held}{what}");
    let stop = client.post(&at("/signal"), &json!({ "signal": "STOP" })).await;
    assert_eq!(stop.status, 204);
    assert_eq!(client.get(&at("")).await.body["state"], "stopped");
    assert_eq!(client.post(&at("/signal"), &json!({ "signal": "CONT" })).await.status, 204);
    assert_eq!(client.get(&at("")).await.body["state"], "running");
    assert_eq!(client.put(&at("/priority"), &json!({ "priority": 5 })).await.status, 204);
    assert_eq!(client.get(&at("")).await.body["priority"], 5);
    let high = client.put(&at("/priority"), &json!({ "priority": 101 })).await;
    assert_eq!(high.status, 400, "{high:?}");
    assert_eq!(client.post(&at("/signal"), &json!({ "signal": "KILL" })).await.status, 204);
    assert_eq!(client.get(&at("/wait")).await.body["status"], "killed");
    let late = client.post(&at("/signal"), &json!({ "signal": "TERM" })).await;
    late.is_problem(404, "kernel.no_such_process");

    let chat = json!({ "task": "say first", "chat": true });
    let chat = pid(&client.post("/api/v1/processes", &chat).await);
    let mail = format!("/api/v1/processes/{chat}/messages");
    let said = client.post(&mail, &json!({ "text": "say second" })).await;
    assert_eq!(said.status, 204);
    let mut events =
        scene.client().await.events(&format!("/api/v1/processes/{chat}/events"), None).await;
    let mut answers = 0;
    while answers < 2 {
        let event = events.next().await.unwrap();
        answers += u32::from(event.data["kind"] == "model.answered");
    }
    let log = client.get(&format!("/api/v1/processes/{chat}/messages")).await;
    let texts: Vec<_> = log.body["messages"]
        .as_array()
        .unwrap()
        .iter()
        .skip(1)
        .map(|one| one["message"]["content"].clone())
        .collect();
    assert_eq!(texts, ["say first", "first", "say second", "second"]);
}

#[tokio::test]
async fn the_policy_is_shown_and_changed() {
    let scene = Scene::new().await;
    let mut client = scene.client().await;
    let before = client.get("/api/v1/policies").await.body;
    assert_eq!(before["scheduler"]["current"], "fair");
    let all = json!(["fair", "priority", "round-robin", "fifo"]);
    assert_eq!(before["scheduler"]["available"], all);
    let set = client.put("/api/v1/policies/scheduler", &json!({ "policy": "fifo" })).await;
    assert_eq!((set.status, &set.body["scheduler"]["current"]), (200, &json!("fifo")));
    assert_eq!(scene.handle().policy(), "fifo");
}

#[tokio::test]
async fn a_budget_that_is_raised_lets_its_process_go_on() {
    let scene = Scene::new().await;
    let mut client = scene.client().await;
    let wanted = json!({ "task": "say hello", "limits": { "tokens": 10, "when_over": "ask" } });
    let pid = pid(&client.post("/api/v1/processes", &wanted).await);
    let process = client.get(&format!("/api/v1/processes/{pid}")).await.body;
    assert_eq!(process["asks"], process["budget"], "{process}");
    let path = format!("/api/v1/budgets/{}/limits", process["budget"]);
    let set = client.put(&path, &json!({ "tokens": 100_000 })).await;
    assert_eq!(set.body["limits"]["tokens"], 100_000, "{set:?}");
    let ended = client.get(&format!("/api/v1/processes/{pid}/wait")).await;
    assert_eq!(ended.body["result"], "hello", "{ended:?}");
}

//! A tenant sees and touches its own processes, as if there were no others.

use aosk_server::access::Role;
use serde_json::{Value, json};

use crate::scene::{Scene, field, pid};

#[tokio::test]
async fn a_tenant_sees_and_touches_only_its_own() {
    let scene = Scene::new().await;
    let mut acme = scene.with(Role::Admin, Some("acme")).await;
    let mut other = scene.with(Role::Admin, Some("acme2")).await;
    let started = acme.post("/api/v1/processes", &json!({ "task": "hold" })).await;
    assert_eq!(started.body["group"], "acme", "{started:?}");
    let own = pid(&started);
    let of_group = json!({ "task": "say x", "group": "acme/research" });
    let ended = pid(&acme.post("/api/v1/processes", &of_group).await);
    let path = format!("/api/v1/processes/{ended}/wait");
    assert_eq!(acme.get(&path).await.body["result"], "x");
    let foreign = pid(&other.post("/api/v1/processes", &json!({ "task": "hold" })).await);
    let of_nobody = scene.spawn("hold").await;

    let all = acme.get("/api/v1/processes?all=true").await;
    assert_eq!(field(&all.body["processes"], "pid"), [json!(own), json!(ended)]);
    let hers = other.get("/api/v1/processes?all=true").await;
    assert_eq!(field(&hers.body["processes"], "pid"), [json!(foreign)]);
    for pid in [foreign, of_nobody, 999] {
        let at = |what: &str| format!("/api/v1/processes/{pid}{what}");
        for what in ["", "/wait", "/messages", "/pages", "/events"] {
            acme.get(&at(what)).await.is_problem(404, "kernel.no_such_process");
        }
        let kill = json!({ "signal": "KILL" });
        acme.post(&at("/signal"), &kill).await.is_problem(404, "kernel.no_such_process");
        let text = json!({ "text": "psst" });
        acme.post(&at("/messages"), &text).await.is_problem(404, "kernel.no_such_process");
        let priority = json!({ "priority": 100 });
        acme.put(&at("/priority"), &priority).await.is_problem(404, "kernel.no_such_process");
    }
    let answers = [
        acme.post("/api/v1/processes", &json!({ "task": "say a", "group": "acme2" })).await,
        acme.post("/api/v1/processes", &json!({ "task": "say a", "group": "" })).await,
        acme.post("/api/v1/processes", &json!({ "task": "say a", "workspace": "/" })).await,
        acme.put("/api/v1/policies/scheduler", &json!({ "policy": "fifo" })).await,
    ];
    for answer in answers {
        answer.is_problem(403, "kernel.forbidden");
    }
    // Nothing of that has touched anybody.
    let mut owner = scene.client().await;
    for pid in [foreign, of_nobody] {
        let process = owner.get(&format!("/api/v1/processes/{pid}")).await;
        assert_eq!(
            (&process.body["state"], &process.body["priority"]),
            (&json!("running"), &json!(50))
        );
    }
}

#[tokio::test]
async fn journal_and_budgets_show_a_tenant_its_part() {
    let scene = Scene::new().await;
    let mut acme = scene.with(Role::Admin, Some("acme")).await;
    let mut owner = scene.client().await;
    let own = pid(&acme.post("/api/v1/processes", &json!({ "task": "hold" })).await);
    let foreign = json!({ "task": "hold", "group": "zeta" });
    let foreign = pid(&owner.post("/api/v1/processes", &foreign).await);

    let entries = acme.get("/api/v1/journal").await;
    let pids = field(&entries.body["entries"], "pid");
    assert!(!pids.is_empty() && pids.iter().all(|pid| *pid == own), "{entries:?}");
    let none = acme.get(&format!("/api/v1/journal?pid={foreign}")).await;
    assert_eq!(none.body["entries"], json!([]));
    let all = field(&owner.get("/api/v1/journal").await.body["entries"], "pid");
    assert!(all.contains(&json!(foreign)) && all.contains(&Value::Null), "{all:?}");

    let budget = |answer: &crate::client::Answer| answer.body["budget"].as_u64().unwrap();
    let own = budget(&acme.get(&format!("/api/v1/processes/{own}")).await);
    let foreign = budget(&owner.get(&format!("/api/v1/processes/{foreign}")).await);
    let seen = acme.get("/api/v1/budgets").await;
    let names = field(&seen.body["budgets"], "name");
    assert_eq!(names, [json!("acme"), Value::Null], "its group, and its process: {seen:?}");
    let bound = json!({ "steps": 7 });
    let set = acme.put(&format!("/api/v1/budgets/{own}/limits"), &bound).await;
    assert_eq!((set.status, &set.body["limits"]["steps"]), (200, &json!(7)));
    let refused = acme.put(&format!("/api/v1/budgets/{foreign}/limits"), &bound).await;
    refused.is_problem(404, "api.not_found");
}

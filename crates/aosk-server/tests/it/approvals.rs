//! Processes that wait for a person, and what becomes of an answer.

use aosk_server::access::Role;
use serde_json::{Value, json};

use crate::client::Client;
use crate::scene::{Scene, field, pid};

/// An agent whose first call has no room until a person makes some.
async fn asking(client: &mut Client, name: &str) -> u64 {
    let limits = json!({ "tokens": 10, "steps": 7, "when_over": "ask" });
    let wanted = json!({ "task": "say hello", "name": name, "limits": limits });
    pid(&client.post("/api/v1/processes", &wanted).await)
}

fn grant(tokens: u64) -> Value {
    json!({ "verdict": "grant", "limits": { "tokens": tokens, "when_over": "ask" }, "note": "go on" })
}

/// The facts of a process of this kind.
async fn facts(client: &mut Client, pid: u64, kind: &str) -> Vec<Value> {
    let path = format!("/api/v1/journal?pid={pid}&kind={kind}");
    field(&client.get(&path).await.body["entries"], "data")
}

#[tokio::test]
async fn what_waits_for_a_person_is_listed_and_goes_on_when_it_is_granted() {
    let scene = Scene::new().await;
    let mut client = scene.client().await;
    assert_eq!(
        client.get("/api/v1/approvals").await.body,
        json!({ "approvals": [], "next": null })
    );
    scene.spawn("hold").await;
    let one = asking(&mut client, "one").await;
    let two = asking(&mut client, "two").await;
    let all = client.get("/api/v1/approvals").await.body;
    assert_eq!(field(&all["approvals"], "pid"), [json!(one), json!(two)]);
    let seen = &all["approvals"][0];
    assert_eq!(seen["id"], format!("p{one}.c1"));
    assert_eq!((&seen["name"], &seen["model"]), (&json!("one"), &json!("m")));
    assert_eq!((&seen["resource"], &seen["scope"]), (&json!("tokens"), &json!("all")));
    assert_eq!((&seen["limits"]["tokens"], &seen["grantable"]), (&json!(10), &json!(true)));
    assert!(seen["amount"].as_u64().unwrap() > 10, "{seen}");
    assert!(seen["needs"].as_str().unwrap().ends_with("tokens (0 of 10 used)"), "{seen}");
    let page = client.get("/api/v1/approvals?limit=1").await.body;
    assert_eq!((field(&page["approvals"], "pid"), &page["next"]), (vec![json!(one)], &json!("2")));
    let page = client.get("/api/v1/approvals?limit=1&cursor=2").await.body;
    assert_eq!((field(&page["approvals"], "pid"), &page["next"]), (vec![json!(two)], &Value::Null));

    let path = format!("/api/v1/approvals/p{one}.c1");
    assert_eq!(client.post(&path, &grant(100_000)).await.status, 204);
    let ended = client.get(&format!("/api/v1/processes/{one}/wait")).await.body;
    assert_eq!((&ended["status"], &ended["result"]), (&json!("finished"), &json!("hello")));
    let expected = json!({
        "call": { "pid": one, "number": 1 }, "budget": ended["budget"], "granted": true, "by": "local",
        "note": "go on",
    });
    assert_eq!(facts(&mut client, one, "budget.answered").await, [expected]);
    assert_eq!(
        field(&client.get("/api/v1/approvals").await.body["approvals"], "pid"),
        [json!(two)]
    );
}

#[tokio::test]
async fn a_grant_that_makes_no_room_leaves_it_waiting() {
    let scene = Scene::new().await;
    let mut client = scene.client().await;
    let pid = asking(&mut client, "a").await;
    let path = format!("/api/v1/approvals/p{pid}.c1");
    assert_eq!(client.post(&path, &grant(11)).await.status, 204);
    let waits = client.get("/api/v1/approvals").await.body;
    assert_eq!(waits["approvals"][0]["limits"]["tokens"], 11, "{waits}");
    assert_eq!(client.post(&path, &grant(100_000)).await.status, 204);
    let ended = client.get(&format!("/api/v1/processes/{pid}/wait")).await.body;
    assert_eq!(ended["result"], "hello");
}

#[tokio::test]
async fn one_that_is_denied_is_told_and_ends() {
    let scene = Scene::new().await;
    let mut client = scene.client().await;
    let pid = asking(&mut client, "a").await;
    let path = format!("/api/v1/approvals/p{pid}.c1");
    let deny = json!({ "verdict": "deny", "note": "too dear" });
    assert_eq!(client.post(&path, &deny).await.status, 204);
    let ended = client.get(&format!("/api/v1/processes/{pid}/wait")).await.body;
    assert_eq!(ended["finished"], false, "{ended}");
    assert!(ended["status"].as_str().unwrap().contains("budget"), "{ended}");
    assert_eq!(ended["used"]["model_calls"], 0);
    let said = facts(&mut client, pid, "budget.answered").await;
    assert_eq!((&said[0]["granted"], &said[0]["note"]), (&json!(false), &json!("too dear")));
    // Whoever comes later is told so, though the process is gone.
    client.post(&path, &deny).await.is_problem(409, "kernel.not_asking");
    client.post(&path, &grant(100_000)).await.is_problem(409, "kernel.not_asking");
}

#[tokio::test]
async fn of_two_who_answer_at_once_one_wins() {
    let scene = Scene::new().await;
    let mut owner = scene.client().await;
    for round in 0..16 {
        let pid = asking(&mut owner, "a").await;
        let path = format!("/api/v1/approvals/p{pid}.c1");
        let (mut one, mut two) = (scene.client().await, scene.client().await);
        let (bodies, deny) = (grant(100_000), json!({ "verdict": "deny" }));
        let other = if round % 2 == 0 { &bodies } else { &deny };
        let (one, two) = tokio::join!(one.post(&path, &bodies), two.post(&path, other));
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [204, 409], "{one:?} {two:?}");
        assert_eq!(facts(&mut owner, pid, "budget.answered").await.len(), 1);
    }
}

#[tokio::test]
async fn an_answer_must_make_sense() {
    let scene = Scene::new().await;
    let mut client = scene.client().await;
    let pid = asking(&mut client, "a").await;
    let path = format!("/api/v1/approvals/p{pid}.c1");
    for bad in [
        json!({ "verdict": "grant" }),
        json!({ "verdict": "deny", "limits": {} }),
        json!({ "verdict": "perhaps" }),
        json!({}),
        json!({ "verdict": "deny", "note": "x".repeat(5_000) }),
        json!({ "verdict": "deny", "why": "x" }),
    ] {
        client.post(&path, &bad).await.is_problem(400, "api.bad_request");
    }
    let deny = json!({ "verdict": "deny" });
    let other = format!("/api/v1/approvals/p{pid}.c2");
    client.post(&other, &deny).await.is_problem(409, "kernel.not_asking");
    client.post("/api/v1/approvals/p99.c1", &deny).await.is_problem(404, "kernel.no_such_process");
    client.post("/api/v1/approvals/7", &deny).await.is_problem(400, "api.bad_request");
    let held = scene.spawn("hold").await;
    let held = format!("/api/v1/approvals/p{held}.c1");
    client.post(&held, &deny).await.is_problem(409, "kernel.not_asking");
    // None of that was an answer.
    assert_eq!(
        field(&client.get("/api/v1/approvals").await.body["approvals"], "pid"),
        [json!(pid)]
    );
}

#[tokio::test]
async fn only_an_admin_grants_and_no_tenant_answers_for_another() {
    let scene = Scene::new().await;
    let mut acme = scene.with(Role::Admin, Some("acme")).await;
    let mut operator = scene.with(Role::Operator, Some("acme")).await;
    let mut other = scene.with(Role::Admin, Some("zeta")).await;
    let own = asking(&mut operator, "a").await;
    let path = format!("/api/v1/approvals/p{own}.c1");
    assert_eq!(other.get("/api/v1/approvals").await.body["approvals"], json!([]));
    other.post(&path, &grant(100_000)).await.is_problem(404, "kernel.no_such_process");
    operator.post(&path, &grant(100_000)).await.is_problem(403, "kernel.forbidden");
    let listed = operator.get("/api/v1/approvals").await.body;
    assert_eq!(field(&listed["approvals"], "pid"), [json!(own)]);
    assert_eq!(acme.post(&path, &grant(100_000)).await.status, 204);
    let second = asking(&mut operator, "b").await;
    let path = format!("/api/v1/approvals/p{second}.c1");
    assert_eq!(operator.post(&path, &json!({ "verdict": "deny" })).await.status, 204);
}

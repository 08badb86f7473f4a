//! Streams of events: in order, taken up where they were cut, and bounded.

use serde_json::{Value, json};

use crate::client::{Client, Event};
use crate::scene::Scene;

/// The entries of the journal of a process, as events should tell of them.
async fn facts_of(client: &mut Client, pid: u64) -> Vec<Value> {
    let page = client.get(&format!("/api/v1/journal?pid={pid}&limit=1000")).await;
    page.body["entries"].as_array().unwrap().clone()
}

fn facts(events: &[Event]) -> Vec<Value> {
    let facts = events.iter().filter(|event| event.name == "fact");
    let seen = |event: &Event| {
        assert_eq!(event.id, event.data["seq"].as_u64());
        event.data.clone()
    };
    facts.map(seen).collect()
}

#[tokio::test]
async fn a_process_is_watched_from_its_beginning_to_its_end() {
    let scene = Scene::new().await;
    let pid = scene.spawn("hold").await;
    let mut events =
        scene.client().await.events(&format!("/api/v1/processes/{pid}/events"), None).await;
    let mut seen = Vec::new();
    while seen.last().is_none_or(|event: &Event| event.data["state"] != "running") {
        seen.push(events.next().await.unwrap());
    }
    scene.let_go();
    seen.extend(events.rest().await);
    let mut client = scene.client().await;
    assert_eq!(facts(&seen), facts_of(&mut client, pid).await);
    let end = seen.last().unwrap();
    assert_eq!((end.name.as_str(), end.id), ("end", None));
    assert_eq!(end.data["result"], "let go");
    assert_eq!(end.data, client.get(&format!("/api/v1/processes/{pid}")).await.body);
    let facts_end = seen.iter().rposition(|event| event.name == "fact").unwrap();
    assert_eq!(facts_end, seen.len() - 2, "the end comes after all facts");
}

#[tokio::test]
async fn a_watch_that_is_cut_again_and_again_sees_every_fact_once() {
    let scene = Scene::new().await;
    let pid = scene.spawn("calculate 20").await;
    let path = format!("/api/v1/processes/{pid}/events");
    let (mut seen, mut last) = (Vec::new(), None);
    'ended: loop {
        let Some(mut events) = scene.client().await.watch(&path, last).await else { break };
        // Cut after two facts, with what the server has sent beyond them lost.
        let mut facts = 0;
        while facts < 2 {
            let Some(event) = events.next().await else { break };
            if event.name == "end" {
                break 'ended;
            }
            facts += u32::from(event.name == "fact");
            last = event.id.or(last);
            seen.push(event);
        }
    }
    let mut client = scene.client().await;
    let all = facts_of(&mut client, pid).await;
    assert!(all.len() > 60, "{}", all.len());
    assert_eq!(facts(&seen), all);
    // Who has seen all is told that there is no more, so that it does not ask for ever.
    let last = last.unwrap().to_string();
    let more = client.raw(("GET", &path), &[("last-event-id", &last)], "").await;
    assert_eq!((more.status, more.body), (204, Value::Null));
}

#[tokio::test]
async fn the_journal_is_followed_without_loss_or_duplicates() {
    let scene = Scene::new().await;
    let path = "/api/v1/journal/follow";
    let mut events = scene.client().await.events(&format!("{path}?from=1"), None).await;
    let mut seen = Vec::new();
    let mut pids = Vec::new();
    for _ in 0..4 {
        pids.push(scene.spawn("calculate 5").await);
        for _ in 0..7 {
            seen.push(events.next().await.unwrap());
        }
        let last = seen.last().and_then(|event| event.id);
        events = scene.client().await.events(path, last).await;
    }
    let mut client = scene.client().await;
    for pid in pids {
        client.get(&format!("/api/v1/processes/{pid}/wait")).await;
    }
    let all = client.get("/api/v1/journal?limit=1000").await.body;
    let all = all["entries"].as_array().unwrap();
    while seen.len() < all.len() {
        seen.push(events.next().await.unwrap());
    }
    assert_eq!(facts(&seen), *all);
}

#[tokio::test]
async fn a_follower_gets_what_its_filter_lets_pass() {
    let scene = Scene::new().await;
    let first = scene.spawn("say a").await;
    let mut client = scene.client().await;
    client.get(&format!("/api/v1/processes/{first}/wait")).await;
    // Without a place to begin, what comes from now on.
    let path = "/api/v1/journal/follow?kind=process.exited";
    let mut events = scene.client().await.events(path, None).await;
    let second = scene.spawn("calculate 3").await;
    let event = events.next().await.unwrap();
    assert_eq!(
        (&event.data["pid"], &event.data["kind"]),
        (&json!(second), &json!("process.exited"))
    );
}

#[tokio::test]
async fn answers_are_seen_while_they_are_written() {
    let scene = Scene::new().await;
    let wanted = json!({ "task": "say ready", "chat": true });
    let mut client = scene.client().await;
    let pid = client.post("/api/v1/processes", &wanted).await.body["pid"].clone();
    let path = format!("/api/v1/processes/{pid}/events");
    let mut events = scene.client().await.events(&path, None).await;
    let mut quiet = scene.client().await.events(&format!("{path}?tokens=false"), None).await;
    while events.next().await.unwrap().data["state"] != "message" {}
    let message = json!({ "text": "stream 3" });
    client.post(&format!("/api/v1/processes/{pid}/messages"), &message).await;
    let mut pieces = Vec::new();
    loop {
        let event = events.next().await.unwrap();
        if event.name == "token" {
            assert_eq!((event.id, &event.data["of"]), (None, &json!("text")));
            pieces.push(event.data["text"].as_str().unwrap().to_owned());
        } else if event.data["kind"] == "model.answered" {
            break;
        }
    }
    assert_eq!(pieces.concat(), "0 1 2 ");
    let mut answered = 0;
    while answered < 2 {
        let event = quiet.next().await.unwrap();
        assert_ne!(event.name, "token");
        answered += u32::from(event.data["kind"] == "model.answered");
    }
}

#[tokio::test]
async fn a_watcher_that_falls_behind_is_told_how_much_it_missed() {
    let scene = Scene::new().await;
    let mut client = scene.client().await;
    let wanted = json!({ "task": "say ready", "chat": true });
    let pid = client.post("/api/v1/processes", &wanted).await.body["pid"].clone();
    let path = format!("/api/v1/processes/{pid}/events");
    let mut events = scene.client().await.events(&path, None).await;
    while events.next().await.unwrap().data["state"] != "message" {}
    // The model writes all of it before anybody else has a turn.
    let message = json!({ "text": "stream 3000" });
    client.post(&format!("/api/v1/processes/{pid}/messages"), &message).await;
    let (mut missed, mut pieces) = (0, 0);
    loop {
        let event = events.next().await.unwrap();
        match event.name.as_str() {
            "missed" => missed += event.data["pieces"].as_u64().unwrap(),
            "token" => pieces += 1,
            "fact" if event.data["kind"] == "model.answered" => break,
            _ => {}
        }
    }
    assert!(missed > 0);
    assert_eq!(missed + pieces, 3000, "what was missed is counted, and the rest was seen");
}

//! What is counted, and that it stays within bounds.

use std::collections::BTreeSet;
use std::time::Duration;

use aosk_runtime::ModelDevice;
use aosk_runtime::abi::{MicroUsd, Price, Rates};
use aosk_runtime::store::Memory;
use aosk_server::access::Role;
use serde_json::json;
use tempfile::TempDir;

use crate::exposition::Exposition;
use crate::scene::{Scene, pid};

async fn metrics(scene: &Scene) -> Exposition {
    Exposition::read(&scene.client().await.text("/metrics").await.1)
}

/// A scene whose model has so many slots, and costs two dollars for a million tokens.
async fn priced(slots: u32) -> Scene {
    let million = MicroUsd(2_000_000);
    let price = Price::flat(Rates { input: million, output: million, ..Rates::default() });
    let change = |device| ModelDevice { price, slots, ..device };
    Scene::with_device(Memory::new(), TempDir::new().unwrap(), change).await
}

async fn ends(scene: &Scene, task: &str) {
    let pid = scene.spawn(task).await;
    scene.handle().wait(aosk_runtime::abi::Pid(pid)).await.unwrap();
}

#[tokio::test]
async fn calls_tokens_money_and_tools_are_counted_from_zero() {
    let scene = priced(64).await;
    let before = metrics(&scene).await;
    let counted = [
        ("aosk_model_calls_total device=m outcome=answered", 5.0),
        ("aosk_model_calls_total device=m outcome=failed", 0.0),
        ("aosk_model_tokens_total class=input device=m", 50.0),
        ("aosk_model_tokens_total class=output device=m", 25.0),
        ("aosk_model_tokens_total class=cached device=m", 0.0),
        ("aosk_model_tokens_total class=reasoning device=m", 0.0),
        ("aosk_model_cost_micro_usd_total device=m", 150.0),
        ("aosk_model_duration_seconds_count device=m", 5.0),
        ("aosk_model_wait_seconds_count model=m", 5.0),
        // One of them streamed.
        ("aosk_model_first_token_seconds_count device=m", 1.0),
        ("aosk_tool_calls_total outcome=returned tool=calculator", 1.0),
        ("aosk_tool_calls_total outcome=failed tool=calculator", 0.0),
        ("aosk_tool_calls_total outcome=failed tool=unknown", 1.0),
        ("aosk_tool_duration_seconds_count tool=calculator", 1.0),
    ];
    for (series, _) in counted {
        assert_eq!(before.value(series), 0.0, "{series}");
    }
    ends(&scene, "stream 3").await;
    ends(&scene, "calculate 1").await;
    ends(&scene, "invent /etc/p17/no_such_tool").await;
    let after = metrics(&scene).await;
    for (series, value) in counted {
        assert_eq!(after.value(series), value, "{series}");
    }
    let commits = "aosk_commit_duration_seconds_count";
    assert!(after.value(commits) > before.value(commits), "each agent took some");
    let entries = *scene.handle().journal().borrow();
    assert!(entries > 10);
    assert_eq!(after.value("aosk_journal_entries"), entries as f64);
    let version = format!("aosk_build_info version={}", env!("CARGO_PKG_VERSION"));
    assert_eq!(after.value(&version), 1.0);
    assert!(after.value("aosk_start_time_seconds") > 1.7e9);
}

#[tokio::test]
async fn slots_and_waits_are_seen_while_they_last() {
    let scene = priced(1).await;
    let (first, second) = (scene.spawn("hold").await, scene.spawn("hold").await);
    let full = metrics(&scene).await;
    for (series, value) in [
        ("aosk_model_slots device=m", 1.0),
        ("aosk_model_slots_in_use device=m", 1.0),
        ("aosk_model_calls_waiting model=m", 1.0),
        ("aosk_processes state=running", 1.0),
        ("aosk_processes state=ready", 1.0),
        ("aosk_processes state=stopped", 0.0),
        ("aosk_model_wait_seconds_count model=m", 1.0),
    ] {
        assert_eq!(full.value(series), value, "{series}");
    }
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(20)).await;
    tokio::time::resume();
    scene.let_go();
    for pid in [first, second] {
        scene.handle().wait(aosk_runtime::abi::Pid(pid)).await.unwrap();
    }
    let empty = metrics(&scene).await;
    for (series, value) in [
        ("aosk_model_slots_in_use device=m", 0.0),
        ("aosk_model_calls_waiting model=m", 0.0),
        ("aosk_processes state=running", 0.0),
        ("aosk_processes state=ready", 0.0),
        ("aosk_model_wait_seconds_count model=m", 2.0),
        ("aosk_model_wait_seconds_bucket le=10.0 model=m", 1.0),
        ("aosk_model_duration_seconds_bucket device=m le=10.0", 1.0),
    ] {
        assert_eq!(empty.value(series), value, "{series}");
    }
    for series in
        ["aosk_model_wait_seconds_sum model=m", "aosk_model_duration_seconds_sum device=m"]
    {
        assert!(empty.value(series) >= 20.0, "{series}");
    }
}

#[tokio::test]
async fn failures_retries_and_circuits_are_counted() {
    let scene = Scene::new().await;
    let closed = metrics(&scene).await;
    assert_eq!(closed.value("aosk_model_circuit device=m state=closed"), 1.0);
    assert_eq!(closed.value("aosk_model_circuit device=m state=open"), 0.0);
    let mut journal = scene.handle().journal();
    for _ in 0..8 {
        scene.spawn("break").await;
    }
    let mut after = metrics(&scene).await;
    while after.value("aosk_model_circuit device=m state=open") == 0.0 {
        journal.changed().await.unwrap();
        after = metrics(&scene).await;
    }
    assert_eq!(after.value("aosk_model_circuit device=m state=closed"), 0.0);
    assert_eq!(after.value("aosk_model_circuit device=m state=half_open"), 0.0);
    let failed = after.value("aosk_model_calls_total device=m outcome=failed");
    assert!(failed >= 8.0, "each of them has failed once: {failed}");
    assert_eq!(after.value("aosk_model_retries_total class=transient device=m"), failed);
    assert_eq!(after.value("aosk_model_retries_total class=final device=m"), 0.0);
    assert_eq!(after.value("aosk_model_slots_in_use device=m"), 0.0);
}

#[tokio::test]
async fn a_call_that_is_cut_off_gives_its_slot_back() {
    let scene = Scene::new().await;
    let held = scene.spawn("hold").await;
    scene
        .client()
        .await
        .post(&format!("/api/v1/processes/{held}/signal"), &json!({ "signal": "KILL" }))
        .await;
    scene.handle().wait(aosk_runtime::abi::Pid(held)).await.unwrap();
    let after = metrics(&scene).await;
    assert_eq!(after.value("aosk_model_calls_total device=m outcome=cancelled"), 1.0);
    assert_eq!(after.value("aosk_model_slots_in_use device=m"), 0.0);
}

#[tokio::test]
async fn requests_and_streams_are_counted_by_route() {
    let scene = Scene::new().await;
    let pid = scene.spawn("hold").await;
    let mut client = scene.client().await;
    for path in ["/api/v1/processes/1", "/api/v1/processes/99", "/nowhere/1", "/nowhere/2"] {
        client.get(path).await;
    }
    client.raw(("BREW", "/api/v1/processes/1"), &[], "").await;
    scene.over_tcp(None).await.get("/api/v1/health").await;
    let mut events = client.events(&format!("/api/v1/processes/{pid}/events"), None).await;
    events.next().await.unwrap();
    let seen = metrics(&scene).await;
    let one = "route=/api/v1/processes/{pid}";
    for (series, value) in [
        (format!("aosk_http_requests_total method=GET {one} status=200"), 1.0),
        (format!("aosk_http_requests_total method=GET {one} status=404"), 1.0),
        (format!("aosk_http_requests_total method=other {one} status=405"), 1.0),
        ("aosk_http_requests_total method=GET route=none status=404".to_owned(), 2.0),
        ("aosk_http_requests_total method=GET route=/api/v1/health status=401".to_owned(), 1.0),
        ("aosk_http_requests_total method=POST route=/api/v1/processes status=201".to_owned(), 1.0),
        (format!("aosk_http_request_duration_seconds_count method=GET {one}"), 2.0),
        ("aosk_event_streams".to_owned(), 1.0),
    ] {
        assert_eq!(seen.value(&series), value, "{series}");
    }
    scene.let_go();
    events.rest().await;
    assert_eq!(metrics(&scene).await.value("aosk_event_streams"), 0.0);
}

#[tokio::test]
async fn a_thousand_processes_make_no_series_more() {
    let scene = Scene::new().await;
    let mut client = scene.client().await;
    let mut ten = async |first: u32| {
        let mut pids = Vec::new();
        for number in first..first + 10 {
            let (task, name) = (format!("invent tool{number}"), format!("n{number}"));
            let wanted = json!({ "task": task, "name": name, "group": format!("g{}", number % 5) });
            pids.push(pid(&client.post("/api/v1/processes", &wanted).await));
        }
        for pid in pids {
            client.get(&format!("/api/v1/processes/{pid}/wait")).await;
        }
    };
    ten(0).await;
    metrics(&scene).await;
    let before = metrics(&scene).await;
    for tens in 1..100 {
        ten(tens * 10).await;
    }
    let after = metrics(&scene).await;
    assert_eq!(after.names(), before.names());
    assert_eq!(after.value("aosk_tool_calls_total outcome=failed tool=unknown"), 1_000.0);
}

#[tokio::test]
async fn figures_of_all_are_for_those_who_see_all() {
    let scene = Scene::new().await;
    scene.over_tcp(None).await.get("/metrics").await.is_problem(401, "api.unauthorized");
    let mut tenant = scene.with(Role::Admin, Some("acme")).await;
    tenant.get("/metrics").await.is_problem(403, "kernel.forbidden");
    let (headers, text) = scene.with(Role::Viewer, None).await.text("/metrics").await;
    assert!(headers["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    let seen = Exposition::read(&text);
    assert_eq!(seen.value("aosk_http_requests_total method=GET route=/metrics status=403"), 1.0);
}

#[tokio::test]
async fn the_guide_has_every_figure_and_no_other() {
    let guide = include_str!("../../../../docs/guide/metrics.md");
    let rows = guide.lines().filter(|line| line.starts_with("| `aosk_"));
    let names = rows.filter_map(|row| row.split('|').nth(1)).flat_map(|cell| cell.split(", "));
    let told: BTreeSet<String> = names.map(|name| name.trim().replace('`', "")).collect();
    let scene = Scene::new().await;
    // Requests have a figure once there was one.
    metrics(&scene).await;
    let (_, text) = scene.client().await.text("/metrics").await;
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let made = types.map(|line| match line.split_once(' ').unwrap() {
        (name, "counter") => format!("{name}_total"),
        (name, _) => name.to_owned(),
    });
    assert_eq!(told, made.collect());
}

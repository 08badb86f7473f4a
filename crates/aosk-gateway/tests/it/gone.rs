//! Clients that go away: the provider is no longer asked, and nothing of it is left.

use std::collections::BTreeMap;

use aosk_runtime::abi::{BudgetId, ExitStatus, Signal, Spend};
use aosk_runtime::{ModelDevice, inspect};
use tokio::task::JoinSet;

use crate::provider::{Act, Gate, Provider, chat, chunk, json, stream_head};
use crate::scene::{Plan, Scene, chat_model};

const ASKED: &str = r#"{"model":"test:m","messages":[{"role":"user","content":"a"}]}"#;
const STREAMED: &str =
    r#"{"model":"test:m","stream":true,"messages":[{"role":"user","content":"a"}]}"#;

/// A kernel whose only model takes one call at a time.
async fn narrow(provider: &Provider) -> Scene {
    let model = ModelDevice { slots: 1, ..chat_model("test:m", provider) };
    Plan::of(vec![model]).start().await
}

/// Checks that the slot and all that was held for calls is free again.
async fn nothing_is_held(scene: &Scene, provider: &Provider) {
    provider.json(200, &chat("b"));
    let answer = scene.client().await.chat(ASKED).await;
    assert_eq!((answer.status, answer.text), (200, chat("b")));
    scene.until_live(1).await;
    let held = || -> BTreeMap<BudgetId, Spend> {
        let all = inspect::budgets(scene.handle().reader().as_ref()).unwrap();
        let held = all.into_iter().map(|(id, node)| (id, node.reserved));
        held.filter(|(_, held)| *held != Spend::default()).collect()
    };
    let handle = scene.handle();
    let mut journal = handle.journal();
    while !held().is_empty() {
        journal.changed().await.unwrap();
    }
}

#[tokio::test]
async fn before_the_head_of_the_answer() {
    let provider = Provider::start().await;
    let scene = narrow(&provider).await;
    let hung_up = Gate::new();
    provider.then(vec![Act::HungUp(hung_up.clone())]);
    let mut client = scene.client().await;
    let mut asking = JoinSet::new();
    asking.spawn(async move { client.chat(ASKED).await });
    provider.until_asked(1).await;
    let pid = scene.handle().processes()[0].pid;
    asking.shutdown().await;
    hung_up.passed().await;
    let ended = scene.ended(pid.0).await;
    assert_eq!(ended.status, Some(ExitStatus::Signalled(Signal::Kill)));
    nothing_is_held(&scene, &provider).await;
}

#[tokio::test]
async fn in_the_midst_of_a_stream() {
    let provider = Provider::start().await;
    let scene = narrow(&provider).await;
    let hung_up = Gate::new();
    let word = "data: {\"choices\":[{\"delta\":{\"content\":\"word\"}}]}\n\n";
    provider.then(vec![
        Act::Write(stream_head()),
        Act::Write(chunk(word)),
        Act::HungUp(hung_up.clone()),
    ]);
    let mut stream = scene.client().await.stream(STREAMED).await;
    stream.until("word").await;
    let pid = scene.handle().processes()[0].pid;
    drop(stream);
    hung_up.passed().await;
    let ended = scene.ended(pid.0).await;
    assert_eq!(ended.status, Some(ExitStatus::Signalled(Signal::Kill)));
    // What it said until then is paid for.
    assert!(ended.stats.spend.tokens.0 > 0, "{ended:?}");
    nothing_is_held(&scene, &provider).await;
}

#[tokio::test]
async fn while_its_call_waits_for_a_slot() {
    let provider = Provider::start().await;
    let scene = narrow(&provider).await;
    let gate = Gate::new();
    provider.then(vec![Act::Wait(gate.clone()), Act::Write(json(200, "", &chat("b")))]);
    let mut first = scene.client().await;
    let mut holding = JoinSet::new();
    holding.spawn(async move { first.chat(ASKED).await });
    provider.until_asked(1).await;
    let mut second = scene.client().await;
    let mut waiting = JoinSet::new();
    waiting.spawn(async move { second.chat(STREAMED).await });
    scene.until_live(2).await;
    let pid = scene.handle().processes()[1].pid;
    waiting.shutdown().await;
    let ended = scene.ended(pid.0).await;
    assert_eq!(ended.status, Some(ExitStatus::Signalled(Signal::Kill)));
    gate.open();
    assert_eq!(holding.join_next().await.unwrap().unwrap().status, 200);
    assert_eq!(provider.all().len(), 1);
}

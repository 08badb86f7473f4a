//! Ends that others bring about: the operator, the server, the kernel.

use aosk_runtime::abi::{ErrorCode, ExitStatus, Pid, Signal};
use tokio::task::JoinSet;

use crate::provider::{Act, Gate, Provider, chat, json};
use crate::scene::{Plan, Scene, chat_model};

const FIRST: &str = r#"{"model":"test:m","messages":[{"role":"user","content":"a"}]}"#;
const SECOND: &str = r#"{"model":"test:m","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}]}"#;

/// Waits until the answer is kept and the process waits for its client.
async fn rested(scene: &Scene, pid: u64) {
    let handle = scene.handle();
    let mut journal = handle.journal();
    while handle.process(Pid(pid)).unwrap().state != "program" {
        journal.changed().await.unwrap();
    }
}

#[tokio::test]
async fn a_process_that_is_killed_between_turns_is_replaced() {
    let provider = Provider::start().await;
    let scene = Scene::chat(&provider).await;
    let mut client = scene.client().await;
    provider.json(200, &chat("b")).json(200, &chat("d"));
    let first = client.chat(FIRST).await.pid();
    rested(&scene, first).await;
    scene.handle().signal(Pid(first), Signal::Kill).await.unwrap();
    let second = client.chat(SECOND).await;
    assert_ne!(second.pid(), first);
    assert_eq!(second.text, chat("d"));
}

#[tokio::test]
async fn a_process_that_is_asked_to_end_between_turns_is_replaced() {
    let provider = Provider::start().await;
    let scene = Scene::chat(&provider).await;
    let mut client = scene.client().await;
    provider.json(200, &chat("b")).json(200, &chat("d"));
    let first = client.chat(FIRST).await.pid();
    rested(&scene, first).await;
    scene.handle().signal(Pid(first), Signal::Term).await.unwrap();
    let ended = scene.ended(first).await;
    assert_eq!(ended.status, Some(ExitStatus::Signalled(Signal::Term)));
    assert_ne!(client.chat(SECOND).await.pid(), first);
}

#[tokio::test]
async fn a_client_whose_process_is_killed_hears_so() {
    let provider = Provider::start().await;
    let scene = Scene::chat(&provider).await;
    let mut client = scene.client().await;
    let gate = Gate::new();
    provider.then(vec![Act::Wait(gate.clone()), Act::Write(json(200, "", &chat("b")))]);
    let mut asking = JoinSet::new();
    asking.spawn(async move { client.chat(FIRST).await });
    provider.until_asked(1).await;
    let pid = scene.handle().processes()[0].pid;
    scene.handle().signal(pid, Signal::Kill).await.unwrap();
    let answer = asking.join_next().await.unwrap().unwrap();
    assert_eq!(answer.status, 502, "{answer:?}");
    assert_eq!(answer.json()["error"]["kernel_code"], "model.cancelled", "{answer:?}");
    gate.open();
}

#[tokio::test]
async fn a_process_that_is_stopped_keeps_its_client_waiting() {
    let provider = Provider::start().await;
    let scene = Scene::chat(&provider).await;
    let mut client = scene.client().await;
    provider.json(200, &chat("b")).json(200, &chat("d"));
    let first = client.chat(FIRST).await.pid();
    rested(&scene, first).await;
    scene.handle().signal(Pid(first), Signal::Stop).await.unwrap();
    let mut asking = JoinSet::new();
    asking.spawn(async move { client.chat(SECOND).await });
    // The request is in its log, and nobody is asked.
    let handle = scene.handle();
    let mut journal = handle.journal();
    while scene.log(first).len() < 3 {
        journal.changed().await.unwrap();
    }
    assert_eq!(provider.all().len(), 1);
    scene.handle().signal(Pid(first), Signal::Cont).await.unwrap();
    assert_eq!(asking.join_next().await.unwrap().unwrap().pid(), first);
}

#[tokio::test]
async fn a_server_that_stops_ends_those_who_wait_in_order() {
    let provider = Provider::start().await;
    let scene = Scene::chat(&provider).await;
    provider.json(200, &chat("b"));
    let pid = scene.client().await.chat(FIRST).await.pid();
    scene.server.close();
    let ended = scene.ended(pid).await;
    assert_eq!(ended.status, Some(ExitStatus::Finished));
    scene.server.finish().await;
    scene.node.shutdown().await.unwrap();
}

/// The kernel was gone before it could end them: nobody knows them in its next life.
#[tokio::test]
async fn a_kernel_that_begins_again_ends_those_of_its_former_life() {
    let provider = Provider::start().await;
    let scene = Scene::chat(&provider).await;
    provider.json(200, &chat("b"));
    let waits = scene.client().await.chat(FIRST).await.pid();
    rested(&scene, waits).await;
    provider.then(vec![Act::Wait(Gate::new())]);
    let mut client = scene.client().await;
    let mut asking = JoinSet::new();
    asking.spawn(async move {
        client.chat(r#"{"model":"test:m","messages":[{"role":"user","content":"y"}]}"#).await
    });
    provider.until_asked(2).await;
    let asks = scene.handle().processes().last().unwrap().pid.0;
    // What a crash leaves is what is committed.
    let plan = Plan::of(vec![chat_model("test:m", &provider)]);
    let scene = Plan { store: scene.store.snapshot(), ..plan }.start().await;
    assert_eq!(scene.ended(waits).await.status, Some(ExitStatus::Finished));
    let interrupted = ExitStatus::Failed(ErrorCode::Interrupted);
    assert_eq!(scene.ended(asks).await.status, Some(interrupted));
    scene.until_live(0).await;
    provider.json(200, &chat("d"));
    assert_eq!(scene.client().await.chat(SECOND).await.text, chat("d"));
}

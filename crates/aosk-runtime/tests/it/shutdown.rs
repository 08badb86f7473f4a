//! The end of a node: in order, by neglect, and what the next one makes of it.

use std::sync::Arc;

use aosk_runtime::abi::{ErrorCode, ExitStatus, Millis};
use aosk_runtime::model::Request;
use aosk_runtime::store::fault::CommitFault;
use aosk_runtime::store::{Faults, Faulty, StoreError};

use crate::scene::{
    Do, Gate, Running, Say, Scene, advance, agent, code, facts, freeze, text, tool,
};

/// Another node on the store of one that has ended.
fn again(memory: &aosk_runtime::store::Memory, script: fn(&Request) -> Say) -> Running {
    Scene::on(memory.clone(), crate::scene::Trace::new(), Arc::new(script)).start()
}

/// Calls in flight may end, what came of them is kept, and the model is not asked anew.
#[tokio::test]
async fn calls_in_flight_may_end() {
    let gate = Gate::new();
    let answers = gate.clone();
    let scene =
        Scene::new(move |_| Say::After(answers.clone(), Box::new(tool("think_hard", "{}"))));
    let node = scene.start();
    let pid = node.agent("a").await;
    node.trace.until("ask a.1").await;
    let (memory, trace) = (node.memory.clone(), node.trace.clone());
    let (down, ()) = tokio::join!(biased; node.shutdown(), async { gate.open() });
    down.unwrap();
    let commit = "commit: model.answered tool.called tool.returned model.called";
    assert_eq!((trace.count(commit), trace.count("ask a.1")), (1, 1));
    assert_eq!(trace.all().last().unwrap(), "store closed");

    let node = again(&memory, |request| text(&format!("after {}", request.messages.len())));
    assert_eq!(node.end(pid).await, (ExitStatus::Finished, "after 3".to_owned()));
    node.shutdown().await.unwrap();
}

/// What takes longer than the drain time is cut off, and made again by the next node.
#[tokio::test]
async fn what_takes_too_long_is_cut_off_and_made_again() {
    let _frozen = freeze();
    let node = Scene::new(|_| Say::Hang).start();
    let pid = node.agent("a").await;
    node.trace.until("ask a.1").await;
    let (memory, trace) = (node.memory.clone(), node.trace.clone());
    let mut down = Box::pin(node.shutdown());
    let mut waited = Millis::ZERO;
    loop {
        tokio::select! {
            biased;
            down = &mut down => break down.unwrap(),
            () = advance(Millis(100)) => waited += Millis(100),
        }
    }
    assert!(waited >= Millis::from_secs(30), "it was cut off after {waited}");
    assert_eq!(trace.count("dropped ask a"), 1);

    let node = again(&memory, |request| text(&format!("attempt {}", request.attempt)));
    assert_eq!(node.end(pid).await, (ExitStatus::Finished, "attempt 2".to_owned()));
    node.shutdown().await.unwrap();
}

/// A call that was decided on while the node winds down is made, or not reported as one that may
/// have been: a shutdown in order leaves no doubt.
#[tokio::test]
async fn an_orderly_end_interrupts_no_tool() {
    let gate = Gate::new();
    let answers = gate.clone();
    let scene = Scene::new(move |_| Say::After(answers.clone(), Box::new(tool("write", "{}"))));
    let node = scene.start();
    let pid = node.agent("a").await;
    node.trace.until("ask a.1").await;
    let (memory, trace) = (node.memory.clone(), node.trace.clone());
    let (down, ()) = tokio::join!(biased; node.shutdown(), async { gate.open() });
    down.unwrap();
    let node = again(&memory, |_| text("done"));
    assert_eq!(node.end(pid).await.0, ExitStatus::Finished);
    let calls = trace.count("call write {}") + node.trace.count("call write {}");
    node.shutdown().await.unwrap();
    assert_eq!(calls, 1);
    let facts = facts(&memory).remove(&pid).unwrap();
    let returned = facts.iter().find(|fact| fact.starts_with("tool.returned")).unwrap();
    assert!(returned.contains(r#""is_error":false"#), "{returned}");
}

/// A tool in flight may end too.
#[tokio::test]
async fn a_tool_in_flight_may_end() {
    let gate = Gate::new();
    let mut scene = Scene::new(|_| tool("slow", "{}"));
    scene.tool("slow", Do::After(gate.clone()), |_| {});
    let node = scene.start();
    node.agent("a").await;
    node.trace.until("call slow {}").await;
    let trace = node.trace.clone();
    let (down, ()) = tokio::join!(biased; node.shutdown(), async { gate.open() });
    down.unwrap();
    assert_eq!(trace.count("commit: tool.returned model.called"), 1);
}

/// A node that nobody keeps ends in order by itself.
#[tokio::test]
async fn a_node_that_is_dropped_ends_in_order() {
    let node = Scene::new(|_| text("done")).start();
    let pid = node.agent("a").await;
    node.end(pid).await;
    let Running { node, trace, .. } = node;
    drop(node);
    trace.until("store closed").await;
}

#[tokio::test]
async fn a_store_that_fails_while_the_node_winds_down_is_told() {
    let faults = Faults::none();
    let gate = Gate::new();
    let answers = gate.clone();
    let mut scene = Scene::new(move |_| Say::After(answers.clone(), Box::new(text("done"))));
    scene.wrap_store(|store| Box::new(Faulty::new(store, &faults)));
    let node = scene.start();
    node.agent("a").await;
    node.trace.until("ask a.1").await;
    let error = StoreError::Io { attempted: "commit", reason: "pulled out".to_owned() };
    faults.on_next_commit(CommitFault::Refused(error));
    let (down, ()) = tokio::join!(biased; node.shutdown(), async { gate.open() });
    assert_eq!(code(down), Some(ErrorCode::StoreIo));
}

/// A handle outlives its node and says so, without letting anybody wait for ever.
#[tokio::test]
async fn a_handle_says_that_the_node_is_gone() {
    let gate = Gate::new();
    let answers = gate.clone();
    let scene = Scene::new(move |_| {
        Say::After(answers.clone(), Box::new(tool("sleep", r#"{"seconds":9}"#)))
    });
    let node = scene.start();
    let pid = node.agent("a").await;
    gate.open();
    node.state(pid, "timer").await;
    let handle = node.handle.clone();
    let waiting = handle.wait(pid);
    node.shutdown().await.unwrap();
    assert_eq!(code(waiting.await), Some(ErrorCode::Interrupted));
    assert_eq!(code(handle.wait(pid).await), Some(ErrorCode::Interrupted));
    assert_eq!(code(handle.spawn(agent("b")).await), Some(ErrorCode::Interrupted));
    handle.changed(pid).await;
    assert_eq!(handle.process(pid).unwrap().state, "timer", "what was known is still there");
}

/// What ended under an earlier node is in the store alone, and known as well.
#[tokio::test]
async fn an_end_under_an_earlier_node_is_told() {
    let node = Scene::new(|_| text("done")).start();
    let pid = node.agent("a").await;
    let end = node.end(pid).await;
    let memory = node.memory.clone();
    node.shutdown().await.unwrap();

    let node = again(&memory, |_| text("never asked"));
    assert_eq!(node.end(pid).await, end);
    let unknown = node.handle.wait(aosk_runtime::abi::Pid(99)).await;
    assert_eq!(code(unknown), Some(ErrorCode::NoSuchProcess));
    node.shutdown().await.unwrap();
}

/// What has ended but was not waited for when the node went down is still there for its parent.
#[tokio::test]
async fn a_zombie_is_waited_for_by_the_next_node() {
    let scene = Scene::new(|request| match (request.process.as_str(), request.messages.len()) {
        ("boss", 1) => tool("spawn_agent", r#"{"name":"kid","task":"t"}"#),
        ("boss", 3) => tool("receive_message", "{}"),
        _ => text("kid is done"),
    });
    let node = scene.start();
    let boss = node.agent("boss").await;
    node.state(boss, "message").await;
    let kid = aosk_runtime::abi::Pid(boss.0 + 1);
    assert_eq!(node.end(kid).await.1, "kid is done");
    let memory = node.memory.clone();
    node.shutdown().await.unwrap();

    let node = again(&memory, |request| match request.messages.len() {
        5 => tool("wait_agent", "{}"),
        _ => text(&crate::scene::last(request)),
    });
    assert_eq!(node.end(kid).await.1, "kid is done", "readers know it as ended");
    node.handle.send(boss, aosk_runtime::abi::Message::user("go on")).await.unwrap();
    let said = r#"{"pid":"p2","result":"kid is done","status":"finished"}"#;
    assert_eq!(node.end(boss).await, (ExitStatus::Finished, said.to_owned()));
    node.shutdown().await.unwrap();
}

//! Decide, commit, act: what leaves the kernel has been committed before, and nothing else waits
//! for a commit.

use aosk_runtime::abi::{ExitStatus, Millis};

use crate::scene::{Gate, Say, Scene, advance, agent, freeze, settle, text, tool};

/// A whole life, in order: each model call, tool call and end comes after the commit that holds it,
/// and the commit before comes after what led to it.
#[tokio::test]
async fn nothing_leaves_before_its_commit() {
    let scene = Scene::new(|request| match request.messages.len() {
        1 => tool("think_hard", "{}"),
        3 => tool("write", "{}"),
        _ => text("done"),
    });
    let node = scene.start();
    let pid = node.agent("a").await;
    assert_eq!(node.end(pid).await, (ExitStatus::Finished, "done".to_owned()));
    let trace = node.trace.clone();
    node.shutdown().await.unwrap();
    let mut happened = trace.all();
    happened.retain(|what| what != "commit begins");
    assert_eq!(
        happened,
        [
            "commit: node.booted",
            "commit: process.spawned model.called",
            "ask a.1",
            "dropped ask a",
            // An inline tool is pure: it runs at once and shares the commit of the answer.
            "call think_hard {}",
            "commit: model.answered tool.called tool.returned model.called",
            "ask a.1",
            "dropped ask a",
            "commit: model.answered tool.called",
            "call write {}",
            "dropped call write",
            "commit: tool.returned model.called",
            "ask a.1",
            "dropped ask a",
            "commit: model.answered process.exited",
            "store closed",
        ]
    );
}

/// While a commit is under way nothing of it leaves, and what comes meanwhile shares the next one.
#[tokio::test]
async fn what_comes_during_a_commit_shares_the_next() {
    let node = Scene::new(|_| text("done")).start();
    node.trace.until("commit: node.booted").await;
    node.hold.set(true);
    let first = tokio::join!(async { node.agent("first").await }, async {
        node.trace.until_times("commit begins", 2).await;
        let begun = node.trace.all().len();
        // Four more requests come while the commit of the first hangs.
        let more = async {
            tokio::join!(node.agent("b"), node.agent("c"), node.agent("d"), node.agent("e"))
        };
        let release = async {
            settle().await;
            assert_eq!(node.trace.all().len(), begun, "something left before the commit");
            assert_eq!(node.handle.live_count(), 0, "readers see what is not committed");
            node.hold.set(false);
        };
        tokio::join!(more, release).0
    });
    let (pid, (b, c, d, e)) = first;
    for pid in [pid, b, c, d, e] {
        node.end(pid).await;
    }
    let happened = node.trace.all();
    let spawned = "process.spawned model.called";
    assert_eq!(happened.iter().filter(|what| **what == format!("commit: {spawned}")).count(), 1);
    let shared = happened.iter().find(|what| what.matches("process.spawned").count() == 4);
    assert!(shared.is_some(), "four requests did not share a commit: {happened:#?}");
    node.shutdown().await.unwrap();
}

/// What nothing leaves for shares the commit of what comes next, or is committed after a while.
#[tokio::test]
async fn what_nothing_leaves_for_waits_for_company() {
    let _frozen = freeze();
    let mut scene = Scene::new(|_| text("done"));
    scene.config.linger = Millis(10);
    let node = scene.start();
    node.agent("first").await;
    node.trace.until("dropped ask first").await;
    settle().await;
    let second = node.agent("second").await;
    node.trace.until("dropped ask second").await;
    settle().await;
    let begun = "process.spawned model.called";
    let shared = [
        format!("commit: node.booted {begun}"),
        format!("commit: model.answered process.exited {begun}"),
    ];
    let commits = || {
        let mut all = node.trace.all();
        all.retain(|what| what.starts_with("commit: "));
        all
    };
    assert_eq!(commits(), shared);
    advance(Millis(8)).await;
    settle().await;
    assert_eq!(commits(), shared, "it did not wait for company");
    // Timers are true to a millisecond.
    advance(Millis(3)).await;
    assert_eq!(node.end(second).await.0, ExitStatus::Finished);
    assert_eq!(commits().last().map(String::as_str), Some("commit: model.answered process.exited"));
    node.shutdown().await.unwrap();
}

/// A node that is stopped waits for nothing, although time stands still.
#[tokio::test]
async fn nothing_waits_for_company_at_the_end() {
    let _frozen = freeze();
    let mut scene = Scene::new(|_| text("done"));
    scene.config.linger = Millis(10);
    let node = scene.start();
    node.agent("a").await;
    node.trace.until("dropped ask a").await;
    settle().await;
    let trace = node.trace.clone();
    node.shutdown().await.unwrap();
    assert_eq!(trace.count("commit: model.answered process.exited"), 1);
}

/// A reply says that it is done, so it waits for the disk, a refusal too.
#[tokio::test]
async fn a_reply_waits_for_its_commit() {
    let node = Scene::new(|_| text("done")).start();
    node.trace.until("commit: node.booted").await;
    node.hold.set(true);
    let handle = node.handle.clone();
    let mut spawn = std::pin::pin!(handle.spawn(agent("a")));
    tokio::select! {
        biased;
        _ = &mut spawn => panic!("it was acknowledged before the commit"),
        () = node.trace.until_times("commit begins", 2) => {}
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
        tokio::select! { biased;
            _ = &mut spawn => panic!("it was acknowledged before the commit"),
            () = std::future::ready(()) => {}
        }
    }
    node.hold.set(false);
    let pid = spawn.await.unwrap();
    node.end(pid).await;
    node.shutdown().await.unwrap();
}

/// Strict durability: the model is not asked again before the last step is committed.
#[tokio::test]
async fn the_next_model_call_waits_for_the_last_step() {
    let gate = Gate::new();
    let answers = gate.clone();
    let scene = Scene::new(move |request| match request.messages.len() {
        1 => Say::After(answers.clone(), Box::new(tool("think_hard", "{}"))),
        _ => text("done"),
    });
    let node = scene.start();
    let pid = node.agent("a").await;
    node.trace.until("ask a.1").await;
    node.hold.set(true);
    gate.open();
    node.trace.until("call think_hard {}").await;
    node.trace.until_times("commit begins", 3).await;
    settle().await;
    assert_eq!(node.trace.count("ask a.1"), 1, "it was asked before the commit");
    node.hold.set(false);
    node.end(pid).await;
    assert_eq!(node.trace.count("ask a.1"), 2);
    node.shutdown().await.unwrap();
}

/// What readers and the store have is the same at the moment an end is told.
#[tokio::test]
async fn an_end_that_is_told_is_in_the_store() {
    let node = Scene::new(|_| text("done")).start();
    let pid = node.agent("a").await;
    let (_, said) = node.end(pid).await;
    assert_eq!(said, "done", "its result was read from the store");
    assert_eq!(node.handle.process(pid).unwrap().state, "exited");
    node.shutdown().await.unwrap();
}

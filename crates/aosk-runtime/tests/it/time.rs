//! Deadlines, with time that moves only when the test says so.

use aosk_runtime::abi::{ErrorCode, ExitStatus, FailureClass, Millis, limits};

use crate::scene::{Do, Say, Scene, advance, failure, freeze, last, settle, text, tool};

/// The last moment before `span` is over, and the first after it: timers are exact to a few
/// milliseconds.
async fn just_before(span: Millis) {
    advance(Millis(span.0 - 5)).await;
    settle().await;
}

async fn just_after() {
    advance(Millis(10)).await;
}

#[tokio::test]
async fn a_sleep_ends_on_time() {
    let _frozen = freeze();
    let scene = Scene::new(|request| match request.messages.len() {
        1 => tool("sleep", r#"{"seconds":30}"#),
        _ => text(&last(request)),
    });
    let node = scene.start();
    let pid = node.agent("a").await;
    node.state(pid, "timer").await;
    just_before(Millis::from_secs(30)).await;
    assert_eq!(node.handle.process(pid).unwrap().state, "timer");
    just_after().await;
    assert_eq!(node.end(pid).await, (ExitStatus::Finished, r#"{"slept":true}"#.to_owned()));
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_receive_times_out() {
    let _frozen = freeze();
    let scene = Scene::new(|request| match request.messages.len() {
        1 => tool("receive_message", r#"{"timeout_s":5}"#),
        _ => text(&last(request)),
    });
    let node = scene.start();
    let pid = node.agent("a").await;
    node.state(pid, "message").await;
    just_before(Millis::from_secs(5)).await;
    assert_eq!(node.handle.process(pid).unwrap().state, "message");
    just_after().await;
    assert_eq!(node.end(pid).await.1, r#"{"timed_out":true}"#);
    node.shutdown().await.unwrap();
}

/// An attempt that takes too long is cut off, which drops the driver's future, and made again.
#[tokio::test]
async fn a_model_call_that_hangs_is_cut_off_and_made_again() {
    let _frozen = freeze();
    let mut scene = Scene::new(|request| match request.attempt {
        1 => Say::Hang,
        _ => text("done"),
    });
    scene.config.models[0].timeout = Millis::from_secs(60);
    let node = scene.start();
    let pid = node.agent("a").await;
    node.trace.until("ask a.1").await;
    just_before(Millis::from_secs(60)).await;
    assert_eq!(node.trace.count("dropped ask a"), 0);
    just_after().await;
    node.trace.until("dropped ask a").await;
    node.state(pid, "backoff").await;
    advance(limits::RETRY_WAIT_BASE).await;
    node.trace.until("ask a.2").await;
    assert_eq!(node.end(pid).await, (ExitStatus::Finished, "done".to_owned()));
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_provider_is_left_alone_for_as_long_as_it_asks() {
    let _frozen = freeze();
    let asked = Millis::from_secs(30);
    let scene = Scene::new(move |request| match request.attempt {
        1 => Say::Fail(failure(FailureClass::RateLimited, Some(asked))),
        _ => text("done"),
    });
    let node = scene.start();
    let pid = node.agent("a").await;
    node.state(pid, "backoff").await;
    just_before(asked).await;
    assert_eq!(node.trace.count("ask a.2"), 0);
    just_after().await;
    node.trace.until("ask a.2").await;
    assert_eq!(node.end(pid).await.0, ExitStatus::Finished);
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_model_that_fails_again_and_again_fails_the_agent() {
    let _frozen = freeze();
    let scene = Scene::new(|_| Say::Fail(failure(FailureClass::Transient, None)));
    let node = scene.start();
    let pid = node.agent("a").await;
    for attempt in 1..limits::MODEL_ATTEMPTS_MAX {
        node.trace.until(&format!("ask a.{attempt}")).await;
        node.state(pid, "backoff").await;
        advance(limits::RETRY_WAIT_MAX).await;
    }
    let (status, said) = node.end(pid).await;
    assert_eq!(status, ExitStatus::Failed(ErrorCode::ModelServer));
    assert_eq!(said, "model.server: it broke");
    assert_eq!(node.trace.count("ask a.7"), 0);
    node.shutdown().await.unwrap();
}

/// A tool has its own time; the model reads that it took too long.
#[tokio::test]
async fn a_tool_that_hangs_is_cut_off() {
    let _frozen = freeze();
    let mut scene = Scene::new(|request| match request.messages.len() {
        1 => tool("hang", "{}"),
        _ => text(&last(request)),
    });
    scene.tool("hang", Do::Hang, |traits| traits.timeout = Millis::from_secs(20));
    let node = scene.start();
    let pid = node.agent("a").await;
    node.trace.until("call hang {}").await;
    just_before(Millis::from_secs(20)).await;
    assert_eq!(node.trace.count("dropped call hang"), 0);
    just_after().await;
    node.trace.until("dropped call hang").await;
    assert_eq!(node.end(pid).await.1, "tool.timeout: did not finish within 20.0 s");
    node.shutdown().await.unwrap();
}

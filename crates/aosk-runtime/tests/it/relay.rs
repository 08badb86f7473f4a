//! Clients outside that ask models through processes of their own.

use std::sync::Arc;

use aosk_runtime::abi::{
    Abilities, Body, ErrorCode, ExitStatus, Limits, Message, PermissionLevel, Pid, ProgramSpec,
    Signal, SpawnSpec, ThinkOptions, Tokens,
};
use aosk_runtime::foreign::{Answers, Ask, Asker, FOREIGN, Said};
use aosk_runtime::model::client::Format;
use aosk_runtime::model::{Passage, Wishes};
use aosk_runtime::{Handle, inspect};

use crate::scene::{Gate, Running, Say, Scene, text};

fn spec(name: &str) -> SpawnSpec {
    SpawnSpec {
        name: name.to_owned(),
        label: String::new(),
        program: ProgramSpec { name: FOREIGN.to_owned(), param: "{}".into() },
        priority: 50,
        capabilities: PermissionLevel::Restricted.capabilities(),
        limits: Limits::default(),
        group: String::new(),
        fork: false,
        pages: Vec::new(),
    }
}

/// Asks the model `m`; the log gets `append`.
async fn ask(handle: &Handle, asker: Asker, append: &[&str]) -> Answers {
    let append: Vec<Body> = append.iter().map(|text| Body::new(Message::user(*text))).collect();
    let options = ThinkOptions {
        model: "m".to_owned(),
        output_max: Tokens(10),
        tools: Vec::new(),
        temperature_milli: None,
        window: None,
    };
    let ask = |on_passed| Ask {
        options,
        input: Tokens(10),
        needs: Abilities::NONE,
        tool_tokens: Tokens::ZERO,
        messages: append.clone(),
        append,
        tools: Arc::new([]),
        wishes: Arc::<Wishes>::default(),
        passage: Passage {
            format: Format::Chat,
            body: "{}".into(),
            headers: Default::default(),
            stream: false,
            stream_usage: false,
            on_passed,
        },
        cache_key: String::new(),
        passes: false,
        own_format_only: false,
        parent: None,
        paged: false,
    };
    handle.relay(asker, ask).await.unwrap()
}

fn new(name: &str) -> Asker {
    Asker::New(Box::new(spec(name)))
}

async fn next(answers: &mut Answers) -> Option<Said> {
    std::future::poll_fn(|cx| answers.poll_next(cx)).await
}

async fn process(answers: &mut Answers) -> Pid {
    match next(answers).await {
        Some(Said::Process(pid)) => pid,
        other => panic!("{other:?}"),
    }
}

async fn answered(answers: &mut Answers) -> String {
    match next(answers).await {
        Some(Said::Answered(reply)) => reply.body.message().text(),
        other => panic!("{other:?}"),
    }
}

async fn failed(answers: &mut Answers) -> ErrorCode {
    match next(answers).await {
        Some(Said::Failed { error, .. }) => error.code,
        other => panic!("{other:?}"),
    }
}

fn log(running: &Running, pid: Pid) -> Vec<String> {
    let log = inspect::log(&running.memory, pid).unwrap();
    log.iter().map(|body| body.message().text()).collect()
}

async fn status(running: &Running, pid: Pid) -> ExitStatus {
    running.handle.wait(pid).await.unwrap().status.unwrap()
}

/// An answer is heard before it is kept, and clients ask at once.
#[tokio::test]
async fn the_next_request_may_come_before_the_last_answer_is_kept() {
    let gate = Gate::new();
    let held = gate.clone();
    let running = Scene::new(move |asked| {
        let answer = text(&format!("to {}", asked.messages[0].message().text()));
        if asked.call.number == 1 { Say::After(held.clone(), Box::new(answer)) } else { answer }
    })
    .start();
    let mut first = ask(&running.handle, new("client"), &["a"]).await;
    let pid = process(&mut first).await;
    running.trace.until("ask client.1").await;
    running.hold.set(true);
    gate.open();
    assert_eq!(answered(&mut first).await, "to a");
    let mut second = ask(&running.handle, Asker::Process(pid), &["b"]).await;
    assert_eq!(process(&mut second).await, pid);
    // A third has nothing that it could go on with.
    let mut third = ask(&running.handle, Asker::Process(pid), &["c"]).await;
    assert_eq!(failed(&mut third).await, ErrorCode::Busy);
    running.hold.set(false);
    assert_eq!(answered(&mut second).await, "to b");
    running.handle.leave(pid).unwrap();
    assert_eq!(status(&running, pid).await, ExitStatus::Finished);
    assert_eq!(log(&running, pid), ["a", "to a", "b", "to b"]);
}

#[tokio::test]
async fn a_client_that_leaves_before_its_answer_is_kept_ends_its_process() {
    let gate = Gate::new();
    let held = gate.clone();
    let running = Scene::new(move |_| Say::After(held.clone(), Box::new(text("b")))).start();
    let mut answers = ask(&running.handle, new("client"), &["a"]).await;
    let pid = process(&mut answers).await;
    running.trace.until("ask client.1").await;
    running.hold.set(true);
    gate.open();
    assert_eq!(answered(&mut answers).await, "b");
    running.handle.leave(pid).unwrap();
    running.hold.set(false);
    assert_eq!(status(&running, pid).await, ExitStatus::Finished);
    assert_eq!(log(&running, pid), ["a", "b"]);
}

#[tokio::test]
async fn a_client_that_went_away_before_its_call_began_leaves_nothing() {
    let gate = Gate::new();
    let held = gate.clone();
    let mut scene = Scene::new(move |_| Say::After(held.clone(), Box::new(text("b"))));
    scene.config.models[0].slots = 1;
    let running = scene.start();
    let mut first = ask(&running.handle, new("first"), &["a"]).await;
    let _waits = process(&mut first).await;
    running.trace.until("ask first.1").await;
    let mut second = ask(&running.handle, new("second"), &["a"]).await;
    let pid = process(&mut second).await;
    let mut journal = running.handle.journal();
    while running.handle.process(pid).is_none() {
        journal.changed().await.unwrap();
    }
    drop(second);
    gate.open();
    assert_eq!(answered(&mut first).await, "b");
    assert_eq!(status(&running, pid).await, ExitStatus::Finished);
    assert_eq!(running.trace.count("ask second.1"), 0);
}

#[tokio::test]
async fn a_client_that_is_abandoned_is_no_longer_paid_for() {
    let running = Scene::new(|_| Say::Hang).start();
    let mut answers = ask(&running.handle, new("client"), &["a"]).await;
    let pid = process(&mut answers).await;
    running.trace.until("ask client.1").await;
    running.handle.abandon(pid).unwrap();
    assert_eq!(failed(&mut answers).await, ErrorCode::ModelCancelled);
    running.trace.until("dropped ask client").await;
    assert_eq!(status(&running, pid).await, ExitStatus::Signalled(Signal::Kill));
}

#[tokio::test]
async fn a_process_that_waits_for_its_client_ends_when_it_is_asked_to() {
    let running = Scene::new(|_| text("b")).start();
    let mut answers = ask(&running.handle, new("client"), &["a"]).await;
    let pid = process(&mut answers).await;
    assert_eq!(answered(&mut answers).await, "b");
    loop {
        let changed = running.handle.changed(pid);
        if running.handle.process(pid).unwrap().state == "program" {
            break;
        }
        changed.await;
    }
    running.handle.signal(pid, Signal::Term).await.unwrap();
    assert_eq!(status(&running, pid).await, ExitStatus::Signalled(Signal::Term));
    let mut again = ask(&running.handle, Asker::Process(pid), &["c"]).await;
    assert_eq!(failed(&mut again).await, ErrorCode::NoSuchProcess);
}

/// A failure that tells of no word heard is made good by another attempt, and no other is.
#[tokio::test]
async fn what_nobody_has_heard_is_asked_again() {
    use crate::scene::failure;
    use aosk_runtime::abi::{FailureClass, Usage};
    let running = Scene::new(|asked| {
        if asked.attempt > 1 {
            return text("b");
        }
        let mut failure = failure(FailureClass::Transient, None);
        failure.usage = Some(Usage { output: Tokens(4), estimated: true, ..Usage::default() });
        Say::Fail(failure)
    })
    .start();
    let mut answers = ask(&running.handle, new("client"), &["a"]).await;
    process(&mut answers).await;
    assert_eq!(answered(&mut answers).await, "b");
}

//! What an operator can do to a running node, and what devices that misbehave do to it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use aosk_runtime::abi::{ErrorCode, ExitStatus, Message, Pid, Signal, limits};
use aosk_runtime::inspect;
use aosk_runtime::model::{Delta, Tokenizer};

use crate::scene::{Do, Gate, Say, Scene, agent, code, last, settle, text, tool};

#[tokio::test]
async fn an_end_can_be_waited_for_before_and_after() {
    let gate = Gate::new();
    let answers = gate.clone();
    let node = Scene::new(move |_| Say::After(answers.clone(), Box::new(text("done")))).start();
    let pid = node.agent("a").await;
    let (before, ()) = tokio::join!(node.end(pid), async {
        node.trace.until("ask a.1").await;
        gate.open();
    });
    assert_eq!(before, (ExitStatus::Finished, "done".to_owned()));
    assert_eq!(node.end(pid).await, before);
    assert_eq!(code(node.handle.wait(Pid(99)).await), Some(ErrorCode::NoSuchProcess));
    node.shutdown().await.unwrap();
}

/// The driver's future is dropped, which closes the connection, and the slot is free again.
#[tokio::test]
async fn a_kill_cancels_the_call_and_frees_the_slot() {
    let mut scene = Scene::new(|request| match request.process.as_str() {
        "a" => Say::Hang,
        _ => text("done"),
    });
    scene.config.models[0].slots = 1;
    let node = scene.start();
    let a = node.agent("a").await;
    node.trace.until("ask a.1").await;
    let b = node.agent("b").await;
    node.state(b, "ready").await;
    assert_eq!(node.trace.count("ask b.1"), 0);
    node.handle.signal(a, Signal::Kill).await.unwrap();
    node.trace.until("dropped ask a").await;
    assert_eq!(node.end(a).await.0, ExitStatus::Signalled(Signal::Kill));
    assert_eq!(node.end(b).await.0, ExitStatus::Finished);
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_kill_cancels_the_tool() {
    let mut scene = Scene::new(|_| tool("hang", "{}"));
    scene.tool("hang", Do::Hang, |_| {});
    let node = scene.start();
    let pid = node.agent("a").await;
    node.trace.until("call hang {}").await;
    node.handle.signal(pid, Signal::Kill).await.unwrap();
    node.trace.until("dropped call hang").await;
    assert_eq!(node.end(pid).await.0, ExitStatus::Signalled(Signal::Kill));
    let late = node.handle.signal(pid, Signal::Term).await;
    assert_eq!(code(late), Some(ErrorCode::NoSuchProcess));
    node.shutdown().await.unwrap();
}

/// A stopped process keeps the answer that comes, and does nothing with it before CONT.
#[tokio::test]
async fn a_stopped_process_goes_on_after_cont() {
    let gate = Gate::new();
    let answers = gate.clone();
    let scene = Scene::new(move |request| match request.messages.len() {
        1 => Say::After(answers.clone(), Box::new(tool("think_hard", "{}"))),
        _ => text("done"),
    });
    let node = scene.start();
    let pid = node.agent("a").await;
    node.trace.until("ask a.1").await;
    node.handle.signal(pid, Signal::Stop).await.unwrap();
    gate.open();
    node.trace.until("commit: model.answered").await;
    settle().await;
    assert_eq!(node.handle.process(pid).unwrap().state, "stopped");
    assert_eq!(node.trace.count("call think_hard {}"), 0);
    node.handle.signal(pid, Signal::Cont).await.unwrap();
    assert_eq!(node.end(pid).await.0, ExitStatus::Finished);
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn term_ends_one_that_waits() {
    let node = Scene::new(|_| tool("receive_message", "{}")).start();
    let pid = node.agent("a").await;
    node.state(pid, "message").await;
    node.handle.signal(pid, Signal::Term).await.unwrap();
    assert_eq!(node.end(pid).await.0, ExitStatus::Signalled(Signal::Term));
    node.shutdown().await.unwrap();
}

/// A model that is slow to answer does not use up the grace time.
#[tokio::test]
async fn term_ends_one_that_is_being_answered() {
    let node = Scene::new(|_| Say::Hang).start();
    let pid = node.agent("a").await;
    node.trace.until("ask a.1").await;
    node.handle.signal(pid, Signal::Term).await.unwrap();
    assert_eq!(node.end(pid).await.0, ExitStatus::Signalled(Signal::Term));
    assert_eq!(node.trace.count("dropped ask a"), 1);
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_message_from_the_operator_arrives() {
    let node = Scene::new(|request| match request.messages.len() {
        1 => tool("receive_message", "{}"),
        _ => text(&last(request)),
    })
    .start();
    let pid = node.agent("a").await;
    node.handle.send(pid, Message::user("hello")).await.unwrap();
    assert_eq!(node.end(pid).await.1, r#"{"from":"operator","text":"hello"}"#);
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused() {
    let node = Scene::new(|_| Say::Hang).start();
    let pid = node.agent("a").await;
    assert_eq!(code(node.handle.renice(pid, 101).await), Some(ErrorCode::BadSyscall));
    assert_eq!(code(node.handle.renice(Pid(9), 1).await), Some(ErrorCode::NoSuchProcess));
    assert_eq!(code(node.handle.set_policy("luck").await), Some(ErrorCode::Usage));
    node.handle.renice(pid, 7).await.unwrap();
    node.handle.set_policy("fifo").await.unwrap();
    assert_eq!(node.handle.process(pid).unwrap().priority, 7);
    node.handle.signal(pid, Signal::Kill).await.unwrap();
    node.end(pid).await;
    node.shutdown().await.unwrap();
}

/// Whoever follows the journal is woken by each commit, finds what it tells of in the store, and holds
/// nobody up if it does not come.
#[tokio::test]
async fn the_journal_is_followed_as_it_is_committed() {
    let node = Scene::new(|_| text("done")).start();
    let mut journal = node.handle.journal();
    let mut idle = node.handle.journal();
    let from = *journal.borrow_and_update();
    let pid = node.agent("a").await;
    node.end(pid).await;
    let reader = node.handle.reader();
    let head = reader.head().unwrap().length;
    assert_eq!(*journal.wait_for(|length| *length >= head).await.unwrap(), head);
    assert!(from < head, "{from} {head}");
    assert_eq!(*idle.borrow_and_update(), head, "one that slept finds it all");
    node.shutdown().await.unwrap();
}

/// The policy is told as it is after each commit, and what there is as it was given.
#[tokio::test]
async fn what_a_kernel_has_and_goes_by_is_told() {
    let node = Scene::new(|_| text("done")).start();
    assert_eq!(node.handle.policy(), "priority");
    node.handle.set_policy("fifo").await.unwrap();
    assert_eq!(node.handle.policy(), "fifo");
    let equipment = node.handle.equipment();
    assert!(equipment.answers("m") && !equipment.answers("n"));
    assert!(equipment.tools.names().any(|name| name == "calculator"));
    node.shutdown().await.unwrap();
}

/// Whoever asks may go away; what was asked is done all the same.
#[tokio::test]
async fn a_request_outlives_the_one_who_asked() {
    let node = Scene::new(|_| text("done")).start();
    let handle = node.handle.clone();
    let mut spawn = Box::pin(handle.spawn(agent("a")));
    assert!(poll(&mut spawn).is_pending());
    drop(spawn);
    node.trace.until("ask a.1").await;
    assert_eq!(node.end(Pid(1)).await.0, ExitStatus::Finished);
    node.shutdown().await.unwrap();
}

fn poll<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// While the store is slow the loop takes in only so much, then the queue fills, then callers get
/// `busy`. What was taken is answered once the store has caught up.
#[tokio::test]
async fn a_slow_store_slows_down_who_asks() {
    let node = Scene::new(|_| Say::Hang).start();
    let pid = node.agent("a").await;
    node.hold.set(true);
    let mut waiting = Vec::new();
    let refused = loop {
        let handle = node.handle.clone();
        let mut asked = Box::pin(async move { handle.renice(pid, 7).await });
        match poll(&mut asked) {
            Poll::Pending => waiting.push(asked),
            Poll::Ready(outcome) => break outcome,
        }
        // The loop takes in what it will.
        if waiting.len() % 512 == 0 {
            settle().await;
        }
        assert!(waiting.len() < 100_000, "nothing slows down who asks");
    };
    assert_eq!(code(refused), Some(ErrorCode::Busy));
    assert!(waiting.len() >= limits::BATCH_MAX * 4, "{} were taken", waiting.len());
    assert!(waiting.len() <= limits::BATCH_MAX * 6, "{} were taken", waiting.len());
    node.hold.set(false);
    for asked in waiting {
        asked.await.unwrap();
    }
    node.handle.renice(pid, 8).await.unwrap();
    node.handle.signal(pid, Signal::Kill).await.unwrap();
    node.end(pid).await;
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn answers_can_be_watched_while_they_are_written() {
    let node = Scene::new(|_| Say::Pieces(vec!["to ", "be"])).start();
    let mut growth = node.handle.growth();
    let pid = node.agent("a").await;
    for piece in ["to ", "be"] {
        let growth = growth.recv().await.unwrap();
        assert_eq!((growth.pid, growth.delta), (pid, Delta::Text(piece.to_owned())));
    }
    assert_eq!(node.end(pid).await.1, "to be");
    node.shutdown().await.unwrap();
}

/// What a provider had written is paid for, whatever it was, although its own count never comes.
#[tokio::test]
async fn what_had_come_of_an_answer_is_charged_when_it_is_cut_off() {
    let pieces = [
        Delta::Text("I shall read it. ".to_owned()),
        Delta::Reasoning("Where is it? Under docs, I think.".to_owned()),
        Delta::ToolCall { index: 0, name: "read".to_owned() },
        Delta::Arguments(r#"{"path": "docs/a "#.to_owned()),
        Delta::Arguments(r#"file that is rather long.md"#.to_owned()),
    ];
    let others =
        "Where is it? Under docs, I think.read{\"path\": \"docs/a file that is rather long.md";
    let count = |text| Tokenizer::ESTIMATE.of_text(text);
    let output = count("I shall read it. ") + count(others);
    let node = Scene::new(move |_| Say::Begin(pieces.to_vec())).start();
    let mut ended = Vec::new();
    for (name, signal) in [("a", Signal::Term), ("b", Signal::Kill)] {
        let pid = node.agent(name).await;
        node.trace.until(&format!("ask {name}.1")).await;
        node.handle.signal(pid, signal).await.unwrap();
        node.end(pid).await;
        ended.push(pid);
    }
    let memory = node.memory.clone();
    node.shutdown().await.unwrap();
    for pid in ended {
        assert_eq!(inspect::process(&memory, pid).unwrap().stats.output, output, "{pid}");
    }
}

#[tokio::test]
async fn a_driver_that_panics_fails_its_agent_only() {
    let scene = Scene::new(|request| match request.process.as_str() {
        "a" => Say::Panic,
        _ => text("done"),
    });
    let node = scene.start();
    let (a, b) = (node.agent("a").await, node.agent("b").await);
    let (status, said) = node.end(a).await;
    assert_eq!(status, ExitStatus::Failed(ErrorCode::ModelServer));
    assert!(said.contains("the driver failed"), "{said}");
    assert_eq!(node.end(b).await.0, ExitStatus::Finished);
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_tool_that_panics_is_a_failed_call() {
    for name in ["burn", "burn_inline"] {
        let mut scene = Scene::new(move |request| match request.messages.len() {
            1 => tool(name, "{}"),
            _ => text(&last(request)),
        });
        scene.tool("burn", Do::Panic, |_| {});
        scene.tool("burn_inline", Do::Panic, |traits| traits.inline = true);
        let node = scene.start();
        let pid = node.agent("a").await;
        let said = "tool.failed: the tool panicked: the tool is told to panic";
        assert_eq!(node.end(pid).await, (ExitStatus::Finished, said.to_owned()));
        node.shutdown().await.unwrap();
    }
}

/// A call for a tool that nobody has is answered as a failed call, and the agent goes on.
#[tokio::test]
async fn an_unknown_tool_is_a_failed_call() {
    let node = Scene::new(|request| match request.messages.len() {
        1 => tool("nope", "{}"),
        _ => text(&last(request)),
    })
    .start();
    let pid = node.agent("a").await;
    assert_eq!(node.end(pid).await.1, r#"tool.unknown: no tool is named "nope""#);
    node.shutdown().await.unwrap();
}

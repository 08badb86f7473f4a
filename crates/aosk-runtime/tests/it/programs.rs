//! Programs of the user's own in a node: their calls, their peers, their mistakes.

use std::collections::BTreeMap;
use std::sync::Arc;

use aosk_runtime::abi::{
    Body, Error, ErrorCode, ExitStatus, Message, Millis, Peer, Pid, Signal, SpawnSpec, limits,
};
use aosk_runtime::model::{Replay, parse_line};
use aosk_runtime::{Action, Call, Event, ProcessView, Program, inspect};
use serde::{Deserialize, Serialize};

use crate::scene::{Running, Scene, Trace, advance, facts, freeze, options, process, settle, text};

/// A program that takes the steps its parameter lists and leaves what it heard.
struct Steps;

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Do {
    Think,
    Spawn(String, Vec<Do>),
    Wait(Option<String>),
    Send(String),
    Receive(Option<String>),
    Sleep(u64),
    Panic,
    /// Calls that are refused, again and again.
    Spin,
    /// Names that nobody has, again and again.
    CallOut,
    /// Sleeps whatever it is told.
    Ignore,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Heard {
    at: usize,
    heard: Vec<String>,
}

fn hear(event: &Event) -> String {
    let said = |error: &Error| error.code.to_string();
    match event {
        Event::Started => "started".to_owned(),
        Event::Answered { message, .. } => format!("answered {}", message.text()),
        Event::ModelFailed(failure) => format!("failed {}", failure.code),
        Event::ToolsReturned(results) => format!("returned {}", results.len()),
        Event::Spawned(pid) => format!("spawned {pid}"),
        Event::ChildExited { pid, status, .. } => format!("{pid} {status}"),
        Event::Recalled(pages) => format!("recalled {}", pages.len()),
        Event::Pinned => "pinned".to_owned(),
        Event::Forgotten(freed) => format!("forgotten {freed}"),
        Event::TaskBegun(task) => format!("begun {}", task.0),
        Event::TaskEnded { task, .. } => format!("ended {}", task.0),
        Event::Sent => "sent".to_owned(),
        Event::Received { from, message } => format!("{from:?} says {}", message.text()),
        Event::Slept => "slept".to_owned(),
        Event::TimedOut => "timed out".to_owned(),
        Event::Refused(error) => said(error),
        Event::OutOfBudget(resource) => format!("out of {resource:?}"),
        Event::Terminated => "terminated".to_owned(),
    }
}

impl Program for Steps {
    type State = Heard;

    fn name(&self) -> &'static str {
        "steps"
    }

    fn next(&self, state: &mut Heard, process: &ProcessView<'_>, event: Event) -> Action {
        let steps: Vec<Do> = serde_json::from_str(process.param).unwrap();
        let step = steps.get(state.at).cloned();
        if !matches!(step, Some(Do::Spin | Do::CallOut | Do::Ignore)) || state.heard.len() < 3 {
            state.heard.push(hear(&event));
        }
        if !matches!(step, Some(Do::Spin | Do::CallOut | Do::Ignore)) {
            state.at += 1;
        }
        let named = |name: Option<String>| name.map(Peer::Name);
        Action::call(match step {
            Some(Do::Think) => Call::Think(options()),
            Some(Do::Spawn(name, steps)) => Call::Spawn(Box::new(stepping(&name, &steps))),
            Some(Do::Wait(child)) => Call::Wait { child: named(child), timeout: None },
            Some(Do::Send(to)) => {
                let message = Message::user(format!("hi from {}", process.name));
                Call::Send { to: Peer::Name(to), message }
            }
            Some(Do::Receive(from)) => Call::Receive { from: named(from), timeout: None },
            Some(Do::Sleep(millis)) => Call::Sleep(Millis(millis)),
            Some(Do::Panic) => panic!("the program is told to panic"),
            Some(Do::Spin) => Call::Wait { child: Some(Peer::Pid(Pid(999))), timeout: None },
            Some(Do::CallOut) => {
                Call::Receive { from: Some(Peer::Name("nobody".to_owned())), timeout: None }
            }
            Some(Do::Ignore) => Call::Sleep(Millis::from_secs(3600)),
            None => Call::Exit {
                status: ExitStatus::Finished,
                result: Some(Message::assistant(state.heard.join(", "))),
            },
        })
    }
}

fn stepping(name: &str, steps: &[Do]) -> SpawnSpec {
    process(name, "steps", &serde_json::to_string(steps).unwrap())
}

fn start() -> Running {
    let mut scene = Scene::new(|_| text("42"));
    scene.config.programs.add(Steps);
    scene.start()
}

async fn run(node: &Running, steps: &[Do]) -> (ExitStatus, String) {
    let pid = node.handle.spawn(stepping("top", steps)).await.unwrap();
    node.end(pid).await
}

fn name(name: &str) -> String {
    name.to_owned()
}

#[tokio::test]
async fn a_program_of_the_users_own_runs() {
    let node = start();
    let kid = vec![Do::Think, Do::Send(name("top"))];
    let steps = [Do::Spawn(name("kid"), kid), Do::Receive(None), Do::Wait(None), Do::Sleep(0)];
    let (status, heard) = run(&node, &steps).await;
    assert_eq!(status, ExitStatus::Finished);
    assert_eq!(heard, "started, spawned p2, Some(p2) says hi from kid, p2 finished, slept");
    node.shutdown().await.unwrap();
}

/// Names are looked for among the parent, the children and the siblings; one that nobody has is
/// told to the program, which may go on.
#[tokio::test]
async fn peers_are_found_by_name() {
    let node = start();
    let left = vec![
        Do::Send(name("top")),
        Do::Send(name("nobody")),
        Do::Receive(Some(name("top"))),
        Do::Receive(Some(name("right"))),
    ];
    let right = vec![Do::Send(name("left")), Do::Send(name("right"))];
    let steps = [
        Do::Spawn(name("left"), left),
        Do::Receive(Some(name("left"))),
        Do::Spawn(name("right"), right),
        Do::Send(name("left")),
        Do::Wait(Some(name("left"))),
        Do::Wait(Some(name("right"))),
        Do::Wait(Some(name("right"))),
    ];
    let (_, heard) = run(&node, &steps).await;
    let expected = "started, spawned p2, Some(p2) says hi from left, spawned p3, sent, \
                    p2 finished, p3 finished, kernel.no_such_process";
    assert_eq!(heard, expected);
    let said = |pid| {
        let result = node.handle.process(Pid(pid)).unwrap().result.unwrap();
        inspect::body(&node.memory, result).unwrap().message().text()
    };
    assert_eq!(
        said(2),
        "started, sent, kernel.no_such_process, Some(p1) says hi from top, Some(p3) says hi from right"
    );
    assert_eq!(said(3), "started, sent, kernel.no_such_process", "nobody is his own sibling");
    node.shutdown().await.unwrap();
}

/// A panic fails its process. The kernel and everybody else go on.
#[tokio::test]
async fn a_program_that_panics_fails_its_process_only() {
    let node = start();
    let kid = vec![Do::Sleep(0), Do::Panic];
    let steps = [Do::Spawn(name("kid"), kid), Do::Wait(None), Do::Think];
    let (status, heard) = run(&node, &steps).await;
    assert_eq!(status, ExitStatus::Finished);
    assert_eq!(heard, "started, spawned p2, p2 failed (program.failed), answered 42");
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_program_that_never_waits_is_ended() {
    let node = start();
    for steps in [[Do::Spin], [Do::CallOut]] {
        let (status, said) = run(&node, &steps).await;
        assert_eq!(status, ExitStatus::Failed(ErrorCode::ProgramFailed), "{said}");
    }
    // As often as that, and no more often.
    let facts = facts(&node.memory).remove(&Pid(1)).unwrap();
    let refused = facts.iter().filter(|fact| fact.starts_with("syscall.refused"));
    assert_eq!(refused.count(), limits::STEPS_PER_BATCH_MAX as usize);
    node.shutdown().await.unwrap();
}

/// However much follows from one input, the loop goes back to its commits in between.
#[tokio::test]
async fn a_program_that_never_waits_does_not_hold_up_commits() {
    let node = start();
    run(&node, &[Do::Spin]).await;
    let trace = node.trace.all();
    let commits = trace.iter().filter(|told| told.starts_with("commit: "));
    let facts = |commit: &String| commit.split(' ').count();
    let longest = commits.map(facts).max().unwrap();
    // What a commit in flight lets in, what follows from the last of it, and what comes with it.
    let most = limits::BATCH_MAX * 5 + 10;
    assert!(longest <= most, "{longest} facts in one commit");
    node.shutdown().await.unwrap();
}

/// The operator is heard in between, too, and whoever is stopped does not go on.
#[tokio::test]
async fn a_program_that_never_waits_can_be_stopped() {
    let node = start();
    let (spawned, stopped) = tokio::join!(
        biased;
        node.handle.spawn(stepping("top", &[Do::Spin])),
        node.handle.signal(Pid(1), Signal::Stop),
    );
    let pid = spawned.unwrap();
    stopped.unwrap();
    node.handle.renice(pid, 7).await.unwrap();
    assert_eq!(node.handle.process(pid).unwrap().state, "stopped");
    let facts = facts(&node.memory).remove(&pid).unwrap();
    let refused = facts.iter().filter(|fact| fact.starts_with("syscall.refused"));
    assert_eq!(refused.count(), limits::BATCH_MAX);
    node.handle.signal(pid, Signal::Cont).await.unwrap();
    assert_eq!(node.end(pid).await.0, ExitStatus::Failed(ErrorCode::ProgramFailed));
    node.shutdown().await.unwrap();
}

/// A node that is told to stop does so, and what it had still to do is done by the next one.
#[tokio::test]
async fn what_a_node_had_still_to_do_is_done_by_the_next() {
    let node = start();
    node.hold.set(true);
    let (memory, trace, hold) = (node.memory.clone(), node.trace.clone(), node.hold.clone());
    let handle = node.handle.clone();
    let (_, down) = tokio::join!(handle.spawn(stepping("top", &[Do::Spin])), async {
        // While the first commit is held up, no more is done than may wait for it.
        trace.until("commit begins").await;
        settle().await;
        let (down, ()) = tokio::join!(biased; node.shutdown(), async { hold.set(false) });
        down
    });
    down.unwrap();
    assert!(!inspect::process(&memory, Pid(1)).unwrap().has_ended);

    let mut scene = Scene::on(memory, Trace::new(), Arc::new(|_: &_| text("42")));
    scene.config.programs.add(Steps);
    let node = scene.start();
    assert_eq!(node.end(Pid(1)).await.0, ExitStatus::Failed(ErrorCode::ProgramFailed));
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_program_that_ignores_term_is_killed_after_its_grace() {
    let _frozen = freeze();
    let node = start();
    let pid = node.handle.spawn(stepping("top", &[Do::Ignore])).await.unwrap();
    node.state(pid, "timer").await;
    node.handle.signal(pid, Signal::Term).await.unwrap();
    advance(Millis(limits::TERM_GRACE.0 - 5)).await;
    settle().await;
    assert_eq!(node.handle.process(pid).unwrap().state, "timer");
    advance(Millis(10)).await;
    assert_eq!(node.end(pid).await.0, ExitStatus::Signalled(Signal::Kill));
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn an_unknown_program_fails_its_process() {
    let node = start();
    let pid = node.handle.spawn(process("a", "nope", "null")).await.unwrap();
    let (status, said) = node.end(pid).await;
    assert_eq!(status, ExitStatus::Failed(ErrorCode::ProgramInvalid));
    assert_eq!(said, "program.invalid: running p1: no such program: nope");
    node.shutdown().await.unwrap();
}

/// A program whose state is larger than a process may have.
struct Hoarder;

impl Program for Hoarder {
    type State = String;

    fn name(&self) -> &'static str {
        "hoarder"
    }

    fn next(&self, state: &mut String, _: &ProcessView<'_>, event: Event) -> Action {
        if let Event::Refused(_) = event {
            return Action::give_up(&event);
        }
        *state = "x".repeat(limits::PROGRAM_STATE_BYTES_MAX);
        Action::call(Call::Sleep(Millis(1)))
    }
}

/// The state that a program left, read by a later version of it that has another.
struct Later;

impl Program for Later {
    type State = Vec<u8>;

    fn name(&self) -> &'static str {
        "steps"
    }

    fn next(&self, _: &mut Vec<u8>, _: &ProcessView<'_>, event: Event) -> Action {
        Action::give_up(&event)
    }
}

#[tokio::test]
async fn a_state_that_is_too_large_is_refused() {
    let mut scene = Scene::new(|_| text("42"));
    scene.config.programs.add(Hoarder);
    let node = scene.start();
    let pid = node.handle.spawn(process("a", "hoarder", "null")).await.unwrap();
    assert_eq!(node.end(pid).await.0, ExitStatus::Failed(ErrorCode::BadSyscall));
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_state_that_does_not_load_fails_its_process() {
    let node = start();
    let pid = node.handle.spawn(stepping("top", &[Do::Receive(None)])).await.unwrap();
    node.state(pid, "message").await;
    let memory = node.memory.clone();
    node.shutdown().await.unwrap();

    let mut scene = Scene::on(memory, Trace::new(), Arc::new(|_: &_| text("42")));
    scene.config.programs.add(Later);
    let node = scene.start();
    node.handle.send(pid, Message::user("hi")).await.unwrap();
    assert_eq!(node.end(pid).await.0, ExitStatus::Failed(ErrorCode::ProgramInvalid));
    node.shutdown().await.unwrap();
}

/// A recorded conversation is played from its first message to its last, and ends as it did.
#[tokio::test]
async fn a_record_is_replayed() {
    let line = r#"{"id":"L","messages":[
        {"role":"user","content":"how much?"},
        {"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function",
            "function":{"name":"write","arguments":"{}"}}]},
        {"role":"tool","tool_call_id":"c","content":"7"},
        {"role":"assistant","content":"seven"},
        {"role":"user","content":"sure?"},
        {"role":"assistant","content":"yes"}]}"#;
    let record = parse_line(line).unwrap();
    let messages = record.messages.clone();
    let replay = Replay::new(BTreeMap::from([("L".to_owned(), record)]));
    let mut scene = Scene::new(|_| text("never asked"));
    scene.config.models[0].driver = Arc::new(replay.clone());
    scene.config.recorded = Some(Arc::new(replay));
    let node = scene.start();
    let options = serde_json::to_string(&options()).unwrap();
    let param = format!(r#"{{"options":{options},"turns":["a",{{"t":[0]}},"a","u","a"]}}"#);
    let mut spec = process("r", "replay", &param);
    spec.label = "L".to_owned();
    spec.pages = vec![Body::new(messages[0].clone())];
    let pid = node.handle.spawn(spec).await.unwrap();
    node.handle.send(pid, Message::user("sure?")).await.unwrap();
    assert_eq!(node.end(pid).await.0, ExitStatus::Finished);
    let log = inspect::log(&node.memory, pid).unwrap();
    let log: Vec<_> = log.iter().map(|body| body.message().as_ref().clone()).collect();
    assert_eq!(log, messages);
    assert_eq!(node.trace.count("call write {}"), 0, "the record answers for the tool");
    node.shutdown().await.unwrap();
}

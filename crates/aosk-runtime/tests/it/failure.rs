//! A store that fails and a kernel that panics.

use std::sync::Arc;

use aosk_runtime::abi::{ErrorCode, ExitStatus, Image, Message, Pid, Signal};
use aosk_runtime::inspect;
use aosk_runtime::kernel::{Candidate, Policy, Rank};
use aosk_runtime::store::fault::CommitFault;
use aosk_runtime::store::{Batch, Faults, Faulty, Head, Reader, Store, StoreError};

use crate::scene::{Flag, Gate, Say, Scene, agent, code, text, tool};

fn full() -> CommitFault {
    CommitFault::Refused(StoreError::Full { attempted: "commit", reason: "no room".to_owned() })
}

#[tokio::test]
async fn a_store_that_is_full_for_a_moment_is_tried_again() {
    let faults = Faults::none();
    let mut scene = Scene::new(|_| text("done"));
    scene.wrap_store(|store| Box::new(Faulty::new(store, &faults)));
    let node = scene.start();
    faults.on_next_commit(full());
    let pid = node.agent("a").await;
    assert_eq!(node.end(pid).await.0, ExitStatus::Finished);
    node.shutdown().await.unwrap();
}

/// A store that stays full ends the node, and everything that was acknowledged is in it.
#[tokio::test]
async fn a_store_that_stays_full_ends_the_node() {
    let faults = Faults::none();
    let mut scene = Scene::new(|_| Say::Hang);
    scene.wrap_store(|store| Box::new(Faulty::new(store, &faults)));
    let mut node = scene.start();
    let mut acknowledged = Vec::new();
    for name in ["a", "b", "c"] {
        acknowledged.push(node.agent(name).await);
    }
    let next = faults.commits() + 1;
    (next..next + 20).for_each(|number| faults.on_commit(number, full()));
    assert_eq!(code(node.handle.spawn(agent("d")).await), Some(ErrorCode::Interrupted));
    assert_eq!(code(node.node.failed().await), Some(ErrorCode::StoreFull));
    for pid in acknowledged {
        inspect::process(&node.memory, pid).unwrap();
        assert_eq!(code(node.handle.wait(pid).await), Some(ErrorCode::Interrupted));
    }
    assert!(inspect::process(&node.memory, Pid(4)).is_err(), "it was never acknowledged");
    assert_eq!(node.trace.count("dropped ask a"), 1, "calls in flight are cut off");
    // Its end may be asked for again.
    assert_eq!(code(node.shutdown().await), Some(ErrorCode::StoreFull));
}

#[tokio::test]
async fn a_node_does_not_start_on_a_store_that_cannot_be_read() {
    let faults = Faults::none();
    let error = StoreError::Corrupt { attempted: "load", reason: "worms".to_owned() };
    faults.on_load(1, error);
    let mut scene = Scene::new(|_| text("done"));
    scene.wrap_store(|store| Box::new(Faulty::new(store, &faults)));
    let started = aosk_runtime::Node::start(scene.config);
    assert_eq!(started.err().map(|error| error.code), Some(ErrorCode::StoreCorrupt));
}

/// A store that panics in a commit.
struct Explosive(Box<dyn Store>, Arc<Flag>);

impl Store for Explosive {
    fn load(&mut self) -> Result<Image, StoreError> {
        self.0.load()
    }

    fn commit(&mut self, batches: &[Batch]) -> Result<Head, StoreError> {
        assert!(!self.1.take(), "the store is told to panic");
        self.0.commit(batches)
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.0.reader()
    }
}

/// Nobody knows what a store holds that panicked in a commit, so the node ends, and says why.
#[tokio::test]
async fn a_store_that_panics_ends_the_node() {
    let flag = Arc::new(Flag::default());
    let mut scene = Scene::new(|_| Say::Hang);
    let raised = flag.clone();
    scene.wrap_store(|store| Box::new(Explosive(store, raised)));
    let mut node = scene.start();
    let pid = node.agent("a").await;
    flag.raise();
    assert_eq!(code(node.handle.spawn(agent("b")).await), Some(ErrorCode::Interrupted));
    let error = node.node.failed().await.unwrap_err();
    assert_eq!(error.code, ErrorCode::StoreIo);
    assert_eq!(error.message, "commit: the store failed: the store panicked");
    assert_eq!(code(node.handle.wait(pid).await), Some(ErrorCode::Interrupted));
    inspect::process(&node.memory, pid).unwrap();
    assert!(inspect::process(&node.memory, Pid(2)).is_err(), "it was never acknowledged");
}

/// A policy that makes the kernel panic when a flag is raised: the only code of others that the
/// kernel runs. Who came last goes first.
#[derive(Debug)]
struct Trap(Arc<Flag>);

impl Policy for Trap {
    fn name(&self) -> &'static str {
        "trap"
    }

    fn rank(&self, candidate: &Candidate) -> Rank {
        assert!(!self.0.take(), "the policy is told to panic");
        Rank(u64::MAX - candidate.since, 0)
    }
}

/// A scene whose kernel panics as often as `times` says, when the agent `a` wants the model again.
fn trapped(times: usize) -> Scene {
    let flag = Arc::new(Flag::default());
    let raised = flag.clone();
    let left = std::sync::atomic::AtomicUsize::new(times);
    let mut scene = Scene::new(move |request| match request.messages.len() {
        1 => {
            let take = |left: usize| left.checked_sub(1);
            let order = std::sync::atomic::Ordering::SeqCst;
            if left.fetch_update(order, order, take).is_ok() {
                raised.raise();
            }
            tool("think_hard", "{}")
        }
        _ => text("done"),
    });
    scene.config.policy = Box::leak(Box::new(Trap(flag)));
    scene
}

#[tokio::test]
async fn a_kernel_that_panics_goes_on_from_what_is_committed() {
    let reports = tempfile::tempdir().unwrap();
    let mut scene = trapped(1);
    scene.config.reports = Some(reports.path().to_owned());
    let node = scene.start();
    let pid = node.agent("a").await;
    assert_eq!(node.end(pid).await, (ExitStatus::Finished, "done".to_owned()));
    assert_eq!(node.trace.count("call think_hard {}"), 2, "the answer was not committed");
    node.shutdown().await.unwrap();
    let report = std::fs::read_dir(reports.path()).unwrap().next().unwrap().unwrap().path();
    let report = std::fs::read_to_string(report).unwrap();
    let last = report.lines().last().unwrap();
    assert!(last.ends_with("think p1 3"), "{report}");
    assert!(!report.contains("you are"), "what was said is not in it");
}

/// What is checked of a commit before it is handed over panics like any other part of the kernel. In
/// release builds nothing is.
#[cfg(debug_assertions)]
#[tokio::test]
async fn a_kernel_that_panics_while_it_commits_goes_on_too() {
    let flag = Arc::new(Flag::default());
    let gate = Gate::new();
    let answers = gate.clone();
    let mut scene = Scene::new(move |_| Say::After(answers.clone(), Box::new(text("done"))));
    scene.config.models[0].slots = 1;
    scene.config.policy = Box::leak(Box::new(Trap(flag.clone())));
    let node = scene.start();
    let (asks, waits) = (node.agent("asks").await, node.agent("waits").await);
    node.trace.until("ask asks.1").await;
    node.state(waits, "ready").await;
    // To send it a message moves nobody in the queue; to build the queue anew asks the policy.
    flag.raise();
    let sent = node.handle.send(asks, Message::user("hello")).await;
    assert_eq!(code(sent), Some(ErrorCode::KernelPanic));
    gate.open();
    assert_eq!(node.end(asks).await.0, ExitStatus::Finished);
    assert_eq!(node.end(waits).await.0, ExitStatus::Finished);
    node.shutdown().await.unwrap();
}

/// The operator's choice of a policy outlives the kernel that it was told to.
#[cfg(debug_assertions)]
#[tokio::test]
async fn a_kernel_that_begins_anew_keeps_the_policy() {
    let flag = Arc::new(Flag::default());
    let gate = Gate::new();
    let answers = gate.clone();
    let mut scene = Scene::new(move |_| Say::After(answers.clone(), Box::new(text("done"))));
    scene.config.models[0].slots = 1;
    scene.config.policy = Box::leak(Box::new(Trap(flag.clone())));
    let node = scene.start();
    let mut agents = vec![node.agent("a").await];
    node.trace.until("ask a.1").await;
    for name in ["b", "c"] {
        agents.push(node.agent(name).await);
    }
    node.handle.set_policy("fifo").await.unwrap();
    flag.raise();
    let sent = node.handle.send(agents[0], Message::user("hello")).await;
    assert_eq!(code(sent), Some(ErrorCode::KernelPanic));
    node.trace.until("dropped ask a").await;
    gate.open();
    for agent in agents {
        assert_eq!(node.end(agent).await.0, ExitStatus::Finished);
    }
    let mut asked = node.trace.all();
    asked.retain(|told| told.starts_with("ask "));
    // The one that is called trap would have begun with the last.
    assert_eq!(asked, ["ask a.1", "ask a.2", "ask b.1", "ask c.1"]);
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_process_that_makes_it_panic_twice_is_killed() {
    let node = trapped(2).start();
    let pid = node.agent("a").await;
    assert_eq!(node.end(pid).await.0, ExitStatus::Signalled(Signal::Kill));
    // The kernel serves the others.
    let other = node.agent("b").await;
    assert_eq!(node.end(other).await.0, ExitStatus::Finished);
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_kernel_that_panics_for_ever_is_given_up() {
    #[derive(Debug)]
    struct Broken;
    impl Policy for Broken {
        fn name(&self) -> &'static str {
            "broken"
        }
        fn rank(&self, _: &Candidate) -> Rank {
            panic!("always")
        }
    }
    let mut scene = Scene::new(|_| text("done"));
    scene.config.policy = &Broken;
    let mut node = scene.start();
    // A request that makes it panic is not done, and the next one makes it panic anew.
    while code(node.handle.spawn(agent("a")).await) == Some(ErrorCode::KernelPanic) {
        let ended = node.handle.spawn(agent("b")).await;
        assert!(matches!(code(ended), Some(ErrorCode::KernelPanic | ErrorCode::Interrupted)));
        if node.trace.count("store closed") > 0 {
            break;
        }
    }
    assert_eq!(code(node.node.failed().await), Some(ErrorCode::KernelPanic));
}

/// A process that ended in the very commit that was under way when the kernel panicked: whoever
/// waits for it is told.
#[tokio::test]
async fn an_end_that_was_committed_while_the_kernel_panicked_is_told() {
    let flag = Arc::new(Flag::default());
    let (first, second) = (Gate::new(), Gate::new());
    let gates = (first.clone(), second.clone());
    let mut scene = Scene::new(move |request| match request.process.as_str() {
        "ends" => Say::After(gates.0.clone(), Box::new(text("done"))),
        _ if request.messages.len() > 1 => text("done"),
        _ => Say::After(gates.1.clone(), Box::new(tool("think_hard", "{}"))),
    });
    scene.config.policy = Box::leak(Box::new(Trap(flag.clone())));
    let node = scene.start();
    let (ends, panics) = (node.agent("ends").await, node.agent("panics").await);
    node.trace.until("ask ends.1").await;
    node.trace.until("ask panics.1").await;
    node.hold.set(true);
    let begun = node.trace.count("commit begins");
    first.open();
    node.trace.until_times("commit begins", begun + 1).await;
    flag.raise();
    second.open();
    // The driver is cut off or done; either way the kernel has panicked when it is asked no more.
    node.trace.until("call think_hard {}").await;
    node.hold.set(false);
    assert_eq!(node.end(ends).await, (ExitStatus::Finished, "done".to_owned()));
    assert_eq!(node.end(panics).await.0, ExitStatus::Finished);
    node.shutdown().await.unwrap();
}

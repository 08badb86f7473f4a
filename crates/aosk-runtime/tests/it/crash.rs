//! A node that dies at any commit goes on where it was: the same facts, and nothing that cannot be
//! undone done twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use aosk_runtime::abi::{ErrorCode, ExitStatus, Pid};
use aosk_runtime::model::Request;
use aosk_runtime::store::fault::CommitFault;
use aosk_runtime::store::{Faults, Faulty, JournalQuery, Memory, StoreError, verify};
use aosk_runtime::{Handle, inspect};

use crate::scene::{Running, Say, Scene, Trace, agent, facts, text};

/// Two agents: one starts the other, works, sends it a message and waits for it.
fn script(request: &Request) -> Say {
    let wants = |calls: &[(&'static str, &str)]| {
        Say::Tools(calls.iter().map(|(name, arguments)| (*name, (*arguments).to_owned())).collect())
    };
    match (request.process.as_str(), request.messages.len()) {
        ("boss", 1) => wants(&[("spawn_agent", r#"{"name":"kid","task":"wait for word"}"#)]),
        ("boss", 3) => wants(&[
            ("think_hard", r#"{"n":1}"#),
            ("write", r#"{"n":2}"#),
            ("read", r#"{"n":3}"#),
            ("send_message", r#"{"to":"kid","text":"go"}"#),
            ("calculator", r#"{"expression":"6*7"}"#),
        ]),
        ("boss", 9) => wants(&[("wait_agent", "{}")]),
        ("boss", _) => text("all done"),
        ("kid", 2) => wants(&[("receive_message", "{}")]),
        ("kid", 4) => wants(&[("write", r#"{"n":4}"#)]),
        _ => wants(&[("finish", r#"{"result":"kid is done"}"#)]),
    }
}

fn start(memory: &Memory, trace: &Trace, faults: &Faults) -> Running {
    let mut scene = Scene::on(memory.clone(), trace.clone(), Arc::new(script));
    scene.wrap_store(|store| Box::new(Faulty::new(store, faults)));
    scene.start()
}

/// Starts the boss unless it was started, and waits for its end.
async fn life(handle: &Handle, memory: &Memory) -> Result<(), ErrorCode> {
    let boss = Pid(1);
    if inspect::process(memory, boss).is_err() {
        handle.spawn(agent("boss")).await.map_err(|error| error.code)?;
    }
    match inspect::process(memory, boss) {
        Ok(ended) if ended.has_ended => Ok(()),
        _ => handle.wait(boss).await.map(|_| ()).map_err(|error| error.code),
    }
}

/// The facts of each process, in an order that does not depend on who was faster.
fn outcome(memory: &Memory) -> BTreeMap<Pid, Vec<String>> {
    let mut facts = facts(memory);
    facts.values_mut().for_each(|facts| facts.sort());
    facts
}

/// The calls that were reported as interrupted.
fn interrupted(memory: &Memory) -> usize {
    let mut count = 0;
    let each = |entry: aosk_runtime::store::StoredEntry| {
        if entry.kind == "node.booted" {
            let booted: serde_json::Value = serde_json::from_str(&entry.data).unwrap();
            count += booted["interrupted"].as_array().unwrap().len();
        }
        true
    };
    inspect::journal(memory, &JournalQuery::default(), each).unwrap();
    count
}

/// Calls of the tool that is not idempotent, by their arguments.
fn writes(trace: &Trace) -> BTreeMap<String, usize> {
    let mut writes = BTreeMap::new();
    for what in trace.all() {
        if what.starts_with("call write") {
            *writes.entry(what).or_default() += 1;
        }
    }
    writes
}

/// Runs the scene with this fault, and again after it until it is through. Gives back how often the
/// node died.
async fn run(memory: &Memory, trace: &Trace, faults: &Faults) -> usize {
    let mut deaths = 0;
    loop {
        let mut node = start(memory, trace, faults);
        let handle = node.handle.clone();
        let through = tokio::select! {
            biased;
            failed = node.node.failed() => {
                assert_eq!(failed.unwrap_err().code, ErrorCode::StoreIo);
                false
            }
            lived = life(&handle, memory) => lived.is_ok(),
        };
        // The fault may also hit the commits after the boss has ended.
        let down = node.shutdown().await;
        if through && down.is_ok() {
            return deaths;
        }
        deaths += 1;
        assert!(deaths < 4, "one fault, many deaths");
    }
}

fn refused() -> CommitFault {
    CommitFault::Refused(StoreError::Io { attempted: "commit", reason: "pulled out".to_owned() })
}

async fn dies_at_every_commit(fault: CommitFault) {
    let (memory, trace, faults) = (Memory::new(), Trace::new(), Faults::none());
    assert_eq!(run(&memory, &trace, &faults).await, 0);
    let undisturbed = outcome(&memory);
    let kinds = |facts: &BTreeMap<Pid, Vec<String>>| -> Vec<Vec<String>> {
        let kind = |fact: &String| fact.split(' ').next().unwrap_or_default().to_owned();
        facts.values().map(|facts| facts.iter().map(kind).collect()).collect()
    };
    assert_eq!(undisturbed.len(), 2, "two agents lived");
    let (mut number, mut exact, mut in_doubt) = (0, 0, 0);
    loop {
        number += 1;
        let (memory, trace, faults) = (Memory::new(), Trace::new(), Faults::none());
        faults.on_commit(number, fault.clone());
        let deaths = run(&memory, &trace, &faults).await;
        let boss = inspect::process(&memory, Pid(1)).unwrap();
        assert_eq!(boss.status, Some(ExitStatus::Finished), "commit {number}");
        verify(&memory, None).unwrap();
        let facts = outcome(&memory);
        assert_eq!(kinds(&facts), kinds(&undisturbed), "commit {number}");
        let interrupted = interrupted(&memory);
        if interrupted == 0 {
            assert_eq!(facts, undisturbed, "commit {number}");
            assert_eq!(writes(&trace).len(), 2, "commit {number}");
            exact += 1;
        }
        in_doubt += interrupted;
        // Reported or not, nothing that is not idempotent is done twice.
        assert!(writes(&trace).values().all(|times| *times == 1), "{number}: {:?}", writes(&trace));
        if deaths == 0 {
            break;
        }
    }
    assert!(number > 8, "there are more commits than {number} in this life");
    assert!(exact > 5, "only {exact} of {number} runs left the same facts");
    assert!(in_doubt > 0, "no crash fell on a tool call");
}

#[tokio::test]
async fn a_node_that_dies_before_any_commit_goes_on() {
    dies_at_every_commit(refused()).await;
}

#[tokio::test]
async fn a_node_that_dies_after_any_commit_goes_on() {
    dies_at_every_commit(CommitFault::Unacknowledged).await;
}

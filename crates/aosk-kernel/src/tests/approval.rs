//! Processes that wait for a person, and the answers of persons.

use std::collections::BTreeMap;

use aosk_abi::{
    Answer, CallId, Command, ErrorCode, Limits, Pid, Reply, Signal, Verdict, WhenOver, limits,
};

use super::script::*;
use crate::{Config, ModelConfig};

fn config() -> Config {
    let model = ModelConfig { slots: 8, ..ModelConfig::default() };
    Config { models: BTreeMap::from([("m".to_owned(), model)]), ..Config::default() }
}

/// A process that has used 100 of 150 tokens and asks for 100 more.
fn asking() -> (Script, Pid) {
    let limits = Limits { when_over: WhenOver::Ask, ..tokens(150) };
    let mut s = Script::new(config());
    let pid = s.spawn(with_limits("a", limits));
    s.step(pid, think("m"));
    s.answer(pid, 10, 90);
    s.step(pid, think("m"));
    assert!(s.take().contains("budget.asked"));
    (s, pid)
}

fn answer(s: &mut Script, (pid, number): (Pid, u32), verdict: Verdict, note: &str) -> Reply {
    let call = CallId { pid, number };
    let (by, note) = ("ann".to_owned(), note.to_owned());
    s.operate("answer", Command::Answer(Box::new(Answer { call, verdict, by, note })))
}

fn granted(limits: Limits) -> Verdict {
    Verdict::Granted(Box::new(limits))
}

fn code(reply: &Reply) -> Option<ErrorCode> {
    match reply {
        Reply::Refused(error) => Some(error.code),
        Reply::Done | Reply::Spawned(_) => None,
    }
}

#[test]
fn a_grant_bounds_the_node_and_the_first_counts() {
    let (mut s, pid) = asking();
    s.crash();
    let grant = granted(tokens(200));
    assert_eq!(answer(&mut s, (pid, 2), grant.clone(), "go"), Reply::Done);
    let said = s.take();
    assert!(said.contains("budget.answered p1.c2 b2 granted by ann: go"), "{said}");
    assert!(said.contains("budget.set b2"), "{said}");
    assert_eq!((s.word(pid), s.budget(pid).limits), ("running", tokens(200)));
    for verdict in [grant, Verdict::Denied] {
        let late = answer(&mut s, (pid, 2), verdict, "");
        assert_eq!(code(&late), Some(ErrorCode::NotAsking));
    }
    assert_eq!((s.word(pid), s.budget(pid).limits), ("running", tokens(200)));
    assert!(!s.take().contains("budget.answered"));
}

#[test]
fn one_that_is_denied_is_told_that_its_budget_is_used_up() {
    let (mut s, pid) = asking();
    assert_eq!(answer(&mut s, (pid, 2), Verdict::Denied, "no"), Reply::Done);
    let said = s.take();
    assert!(said.contains("budget.answered p1.c2 b2 denied by ann: no"), "{said}");
    assert!(said.contains("out of budget: Tokens"), "{said}");
    assert_eq!(s.word(pid), "program");
    assert_eq!(s.budget(pid).limits.tokens, tokens(150).tokens, "its bounds are as before");
    let late = answer(&mut s, (pid, 2), Verdict::Denied, "");
    assert_eq!(code(&late), Some(ErrorCode::NotAsking));
    // It may ask for another call, to which answers for the first are none.
    s.step(pid, think("m"));
    assert_eq!(s.word(pid), "quota");
    let late = answer(&mut s, (pid, 2), granted(tokens(500)), "");
    assert_eq!(code(&late), Some(ErrorCode::NotAsking));
    assert_eq!((s.word(pid), s.budget(pid).limits.tokens), ("quota", tokens(150).tokens));
    assert_eq!(answer(&mut s, (pid, 3), granted(tokens(500)), ""), Reply::Done);
    assert_eq!(s.word(pid), "running");
}

#[test]
fn whoever_does_not_ask_is_not_answered() {
    let (mut s, pid) = asking();
    let long = "x".repeat(limits::NOTE_BYTES_MAX + 1);
    let refused = answer(&mut s, (pid, 2), Verdict::Denied, &long);
    assert_eq!(code(&refused), Some(ErrorCode::BadSyscall));
    let longest = "x".repeat(limits::NOTE_BYTES_MAX);
    s.operate("stop", Command::Signal { pid, signal: Signal::Stop });
    let refused = answer(&mut s, (pid, 2), Verdict::Denied, &longest);
    assert_eq!(code(&refused), Some(ErrorCode::NotAsking), "one that is stopped waits for CONT");
    s.operate("cont", Command::Signal { pid, signal: Signal::Cont });
    assert_eq!(answer(&mut s, (pid, 2), Verdict::Denied, &longest), Reply::Done);
    s.operate("kill", Command::Signal { pid, signal: Signal::Kill });
    for pid in [pid, Pid(99)] {
        let late = answer(&mut s, (pid, 2), Verdict::Denied, "");
        assert_eq!(code(&late), Some(ErrorCode::NotAsking));
    }
}

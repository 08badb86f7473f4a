//! Processes that do the same without end.

use aosk_abi::{ErrorCode, ExitStatus, Limits, limits};

use super::script::*;

#[test]
fn a_process_that_repeats_itself_is_told_and_then_ended() {
    let mut s = Script::new(config());
    let pid = s.spawn(spec("a"));
    for turn in 1..limits::REPEATS_MAX {
        s.step(pid, call_tools(&["read"]));
        s.tool_returns(pid, s.process(pid).calls, "the same");
        s.step(pid, think_of("n", 10, 500));
        let told = s.take().contains("told of Repeats");
        assert_eq!(told, turn >= limits::REPEATS_TOLD, "turn {turn}");
        s.answer(pid, 10, 1);
        if turn == limits::REPEATS_TOLD {
            s.crash();
        }
    }
    s.step(pid, call_tools(&["read"]));
    let number = s.process(pid).calls;
    s.tool_returns(pid, number, "the same");
    let status = ExitStatus::Failed(ErrorCode::Runaway);
    assert!(s.take().contains(&status.to_string()));
}

#[test]
fn a_process_that_polls_goes_on_when_something_changes() {
    let mut s = Script::new(config());
    let pid = s.spawn(spec("a"));
    for turn in 0..50 {
        s.step(pid, call_tools(&["read"]));
        let number = s.process(pid).calls;
        s.tool_returns(pid, number, &format!("line {}", turn / 3));
    }
    assert!(!s.take().contains("runaway"));
}

#[test]
fn two_that_only_exchange_messages_are_told_and_one_is_ended() {
    let mut s = Script::new(config());
    let (a, b) = (s.spawn(spec("a")), s.spawn(spec("b")));
    let mut told = false;
    for _ in 0..limits::EXCHANGES_MAX {
        for (from, to) in [(a, b), (b, a)] {
            if s.kernel.process(from).is_none() || s.kernel.process(to).is_none() {
                continue;
            }
            s.step(from, send(to, "over to you"));
            if s.kernel.process(from).is_some() {
                s.step(to, receive(Some(from), None));
            }
        }
        told |= s.take().contains("process.runaway Exchanges");
    }
    assert!(told);
    let left = [a, b].into_iter().filter(|pid| s.kernel.process(*pid).is_some()).count();
    assert_eq!(left, 1, "one is ended, and the other told that nobody answers");
}

#[test]
fn a_process_that_starts_others_in_vain_is_ended() {
    let mut s = Script::new(config());
    let pid = s.spawn(with_limits("a", Limits { children: Some(2), ..Limits::default() }));
    for _ in 0..2 {
        s.child(pid, spec("c"));
    }
    for _ in 1..limits::SPAWNS_REFUSED_MAX {
        s.step(pid, spawn(spec("c")));
        assert_eq!(s.word(pid), "program", "it is told");
    }
    s.step(pid, spawn(spec("c")));
    assert!(s.take().contains("Spawns x 8, ended"));
    assert!(matches!(s.word(pid), "exiting" | "zombie"));
}

#[test]
fn a_tree_is_counted_at_its_root_and_forgets_who_is_gone() {
    let mut s = Script::new(config());
    let root = s.spawn(spec("root"));
    let child = s.child(root, spec("child"));
    let grandchild = s.child(child, spec("grandchild"));
    assert_eq!(s.process(root).descendants, 2);
    s.crash();
    assert_eq!(s.process(root).descendants, 2);
    s.step(grandchild, exit());
    s.step(child, wait(None, None));
    assert_eq!((s.process(root).descendants, s.process(child).descendants), (1, 0));
}

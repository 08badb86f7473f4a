//! Waiting for children, and what becomes of them when their parent ends.

use aosk_abi::{ErrorCode, ExitStatus, Pid, Signal, ToolOutcome};
use expect_test::expect;

use super::script::*;

const PARENT: Pid = Pid(1);

/// A parent, p1, with the children p2 and p3.
fn family() -> (Script, Pid, Pid) {
    let mut s = Script::new(config());
    s.spawn(spec("parent"));
    let (b, c) = (s.child(PARENT, spec("b")), s.child(PARENT, spec("c")));
    s.forget();
    (s, b, c)
}

#[test]
fn a_zombie_is_handed_over_once() {
    let (mut s, b, c) = family();
    s.step(c, exit_with(ExitStatus::Failed(ErrorCode::ProgramFailed), "why"));
    assert_eq!(s.word(c), "zombie");
    s.step(PARENT, wait(None, None));
    s.step(PARENT, wait(Some(c), None)); // it is gone
    s.step(PARENT, wait(None, None)); // b still runs
    s.step(b, exit_with(ExitStatus::Finished, "42"));
    s.step(PARENT, wait(None, None)); // there is none left
    s.expect(&expect![[r#"
        0s p3#1 exit failed (program.failed) with a result
            * p3 process.exited failed (program.failed) with a result after 1 pages
        0s p1#3 wait any
            p1#4 <- child p3 failed (program.failed) "why"
        0s p1#4 wait p3
            * p1 syscall.refused wait kernel.no_such_process
            p1#5 <- refused: waiting for p3: not a child that is still to be waited for [kernel.no_such_process]
        0s p1#5 wait any
        0s p2#1 exit finished with a result
            * p2 process.exited finished with a result after 1 pages
            p1#6 <- child p2 finished "42"
        0s p1#6 wait any
            * p1 syscall.refused wait kernel.no_such_process
            p1#7 <- refused: waiting for a child: there is none [kernel.no_such_process]
    "#]]);
}

#[test]
fn a_wait_for_one_child_is_not_ended_by_another() {
    let (mut s, b, c) = family();
    s.step(PARENT, wait(Some(b), None));
    s.step(c, exit());
    assert_eq!(s.word(PARENT), "child");
    s.step(b, exit());
    assert_eq!(s.word(c), "zombie");
    s.step(PARENT, wait(Some(c), None));
    s.expect(&expect![[r#"
        0s p1#3 wait p2
        0s p3#1 exit finished
            * p3 process.exited finished after 1 pages
        0s p2#1 exit finished
            * p2 process.exited finished after 1 pages
            p1#4 <- child p2 finished
        0s p1#4 wait p3
            p1#5 <- child p3 finished
    "#]]);
}

#[test]
fn of_several_zombies_the_oldest_is_handed_over_first() {
    let (mut s, b, c) = family();
    s.step(c, exit());
    s.step(b, exit());
    s.forget();
    s.step(PARENT, wait(None, None));
    s.expect(&expect![[r#"
        0s p1#3 wait any
            p1#4 <- child p2 finished
    "#]]);
}

#[test]
fn a_wait_has_an_end() {
    let (mut s, b, _) = family();
    s.step(PARENT, wait(None, Some(5)));
    s.after(4_999);
    s.after(1);
    s.step(b, exit());
    s.expect(&expect![[r#"
        0s p1#3 wait any for 5.0 s
        4.999s tick
        5s tick
            p1#4 <- timed out
        5s p2#1 exit finished
            * p2 process.exited finished after 1 pages
    "#]]);
    assert_eq!(s.word(b), "zombie");
}

#[test]
fn only_children_can_be_waited_for() {
    let (mut s, b, c) = family();
    s.step(b, wait(Some(c), None));
    s.step(PARENT, wait(Some(PARENT), None));
    s.step(PARENT, wait(Some(Pid(9)), None));
    s.expect(&expect![[r#"
        0s p2#1 wait p3
            * p2 syscall.refused wait kernel.no_such_process
            p2#2 <- refused: waiting for p3: not a child that is still to be waited for [kernel.no_such_process]
        0s p1#3 wait p1
            * p1 syscall.refused wait kernel.no_such_process
            p1#4 <- refused: waiting for p1: not a child that is still to be waited for [kernel.no_such_process]
        0s p1#4 wait p9
            * p1 syscall.refused wait kernel.no_such_process
            p1#5 <- refused: waiting for p9: not a child that is still to be waited for [kernel.no_such_process]
    "#]]);
}

#[test]
fn a_process_that_exits_asks_its_children_to_end_and_waits_for_them() {
    let (mut s, b, c) = family();
    let d = s.child(b, spec("d"));
    s.step(c, sleep(100));
    s.step(d, think("m"));
    s.forget();
    s.step(PARENT, exit_with(ExitStatus::Finished, "42"));
    assert_eq!(s.word(PARENT), "exiting");
    s.step(c, exit()); // obeys
    s.step(b, sleep(100)); // is told, does not obey
    s.step(b, sleep(100));
    s.after(10_000); // b is killed, and d with it
    s.model_done_of(d, 1, 1, cancelled());
    s.expect(&expect![[r#"
        0s p1#3 exit finished with a result
            p3#2 <- terminated
        0s p3#2 exit finished
            * p3 process.exited finished after 1 pages
        0s p2#2 sleep 100.0 s
            p2#3 <- terminated
        0s p2#3 sleep 100.0 s
        10s tick
            * p4 model.failed p4.c1 model.cancelled: the process no longer wants the answer
            cancel p4.c1/1
        10s p4.c1/1 cancelled
            * p4 model.charged p4.c1 10 tokens, 1 calls, 10 micro-dollars, 1 steps
            * p4 process.exited killed after 1 pages
            * p2 process.exited killed after 1 pages
            * p1 process.exited finished with a result after 1 pages
    "#]]);
    assert_eq!(s.kernel.process_count(), 0);
}

#[test]
fn a_killed_process_takes_its_whole_tree_along() {
    let (mut s, b, c) = family();
    let d = s.child(b, spec("d"));
    s.step(c, exit());
    s.step(d, call_tools(&["shell"]));
    s.forget();
    s.signal(PARENT, Signal::Kill);
    assert_eq!([PARENT, b, d].map(|pid| s.word(pid)), ["exiting"; 3]);
    s.tool_done_of(d, 1, 1, ToolOutcome::Cancelled);
    s.expect(&expect![[r#"
        0s operator signals p1 Kill
            * p1 process.signalled Kill
            * p4 tool.returned p4.c1 an error
            cancel p4.c1/1
            reply: done
        0s p4.c1/1 cancelled
            * p4 process.exited killed after 1 pages
            * p2 process.exited killed after 1 pages
            * p1 process.exited killed after 1 pages
    "#]]);
    assert_eq!(s.kernel.process_count(), 0);
}

#[test]
fn zombies_go_with_their_parent() {
    let (mut s, b, c) = family();
    s.step(b, exit());
    s.step(c, exit());
    s.forget();
    s.step(PARENT, exit());
    s.expect(&expect![[r#"
        0s p1#3 exit finished
            * p1 process.exited finished after 1 pages
    "#]]);
    assert_eq!(s.kernel.process_count(), 0);
}

#[test]
fn a_child_of_the_operator_is_reaped_at_once() {
    let mut s = Script::new(config());
    let a = s.spawn(spec("a"));
    s.step(a, exit());
    assert_eq!(s.kernel.process_count(), 0);
    assert!(s.rows.keys().all(|key| key.pid().is_none()), "{:?}", s.rows);
    // A late step of it is nobody's.
    s.step_of(a, 1, aosk_abi::Step { append: Vec::new(), call: exit(), state: "null".into() });
    assert_eq!(s.kernel.ignored(), 1);
}

#[test]
fn pids_are_never_used_twice() {
    let mut s = Script::new(config());
    for expected in 1..5 {
        let pid = s.spawn(spec("a"));
        assert_eq!(pid, Pid(expected));
        s.signal(pid, Signal::Kill);
        s.crash();
    }
}

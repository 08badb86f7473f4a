//! A crash in every state: what is asked again, what is called again, what is told.

use aosk_abi::{Limits, Millis, ModelOutcome, Pid, Signal, ToolOutcome};
use expect_test::expect;

use super::scene::*;
use super::script::*;
use crate::Config;
use crate::process::State;

#[test]
fn every_state_goes_on_after_a_crash() {
    let went = in_each(&LIVING, scene, |s, word| {
        s.crash();
        assert!(!s.process(IT).state.is_over());
        if word == "tool" {
            s.tool_returns(IT, 2, "text");
            s.tool_returns(IT, 3, "text");
        } else {
            go_on(s, word);
        }
    });
    expect![[r#"
        -- program
        0s crash and boot
            * node node.booted after 1 boots with 2 processes, asked again [], called again [], interrupted []
            p1#1 <- started
            p2#1 <- started
        0s p2#1 sleep 1.0 s
        -- ready
        0s crash and boot
            * node node.booted after 1 boots with 2 processes, asked again [p1.c1], called again [], interrupted []
            think p1.c1/2 m with 1 pages
        0s p1.c1/2 answered
            * p1 model.answered p1.c1 @1 used 10+1 for $0.000012
            p1#2 <- answered @1 Stop
            think p2.c1/1 m with 1 pages
        -- running
        0s crash and boot
            * node node.booted after 1 boots with 2 processes, asked again [p2.c1], called again [], interrupted []
            p1#1 <- started
            think p2.c1/2 m with 1 pages
        0s p2.c1/2 answered
            * p2 model.answered p2.c1 @1 used 10+1 for $0.000012
            p2#2 <- answered @1 Stop
        -- backoff
        0s crash and boot
            * node node.booted after 1 boots with 2 processes, asked again [], called again [], interrupted []
            p1#1 <- started
        0.402s tick
            think p2.c1/2 m with 1 pages
        -- quota
        0s crash and boot
            * node node.booted after 1 boots with 2 processes, asked again [p1.c1], called again [], interrupted []
            think p1.c1/2 n with 1 pages
        0s p1.c1/2 answered
            * p1 model.answered p1.c1 @1 used 10+10 for $0.000000
            p1#2 <- answered @1 Stop
            think p2.c1/1 m with 1 pages
        -- tool
        0s crash and boot
            * p2 tool.returned p2.c1 an error
            * node node.booted after 1 boots with 2 processes, asked again [], called again [p2.c2], interrupted [p2.c1]
            p1#1 <- started
            tool p2.c2/2 read ordinal 1
            tool p2.c3/1 read ordinal 2
        0s p2.c2/2 returned
            * p2 tool.returned p2.c2
        0s p2.c3/1 returned
            * p2 tool.returned p2.c3
            p2#2 <- tools returned @1 x3
        -- child
        0s crash and boot
            * node node.booted after 1 boots with 3 processes, asked again [], called again [], interrupted []
            p1#1 <- started
            p3#1 <- started
        0s p3#1 exit finished with a result
            * p3 process.exited finished with a result after 1 pages
            p2#3 <- child p3 finished "found it"
        -- message
        0s crash and boot
            * node node.booted after 1 boots with 2 processes, asked again [], called again [], interrupted []
            p1#1 <- started
        0s p1#1 send p2 "hello"
            * p2 message.sent by p1
            * p2 message.received from p1
            p2#2 <- received "hello" from p1
            p1#2 <- sent
        -- timer
        0s crash and boot
            * node node.booted after 1 boots with 2 processes, asked again [], called again [], interrupted []
            p1#1 <- started
        100s tick
            p2#2 <- slept
    "#]].assert_eq(&went);
}

#[test]
fn the_answer_to_an_attempt_before_the_crash_is_nobodys() {
    let mut s = scene("running");
    let before = node(s.root());
    s.crash();
    s.forget();
    s.model_done_of(IT, 1, 1, answer(usage(10, 90)));
    assert_eq!(s.kernel.ignored(), 1);
    assert_eq!(s.word(IT), "running");
    // What was held for the lost attempt is held once, for the new one.
    assert_eq!(node(s.root()), before);
    s.answer(IT, 10, 5);
    s.expect(&expect![[r#"
        0s p2.c1/1 answered
        0s p2.c1/2 answered
            * p2 model.answered p2.c1 @1 used 10+5 for $0.000020
            p2#2 <- answered @1 Stop
    "#]]);
    // So is the result of a tool call that was made again.
    let mut s = scene("tool");
    s.crash();
    s.tool_done_of(IT, 2, 1, ToolOutcome::Returned(user("late")));
    assert_eq!(s.kernel.ignored(), 1);
    s.tool_returns(IT, 2, "text");
    s.tool_returns(IT, 3, "text");
    assert_eq!(
        s.log(IT)[1..],
        [
            "tool: tool.interrupted: the kernel stopped while this call ran; whether it took \
             effect is unknown",
            "tool: text",
            "tool: text"
        ]
    );
}

#[test]
fn an_attempt_lost_in_a_crash_is_no_failure() {
    let mut s = scene("running");
    for boots in 2..20 {
        s.crash();
        let State::Running { call, .. } = &s.process(IT).state else { panic!("asked again") };
        assert_eq!((call.attempt, call.failures), (boots, 0));
    }
    assert_eq!(s.process(IT).stats.model_retries, 0);
}

#[test]
fn a_turn_whose_only_call_was_interrupted_is_over() {
    let mut s = Script::new(config());
    let a = s.spawn(spec("a"));
    s.step(a, call_tools(&["shell"]));
    s.forget();
    s.crash();
    s.expect(&expect![[r#"
        0s crash and boot
            * p1 tool.returned p1.c1 an error
            * node node.booted after 1 boots with 1 processes, asked again [], called again [], interrupted [p1.c1]
            p1#2 <- tools returned @1 x1
    "#]]);
}

#[test]
fn a_process_that_was_ending_ends() {
    let mut s = scene("exiting");
    s.crash();
    s.expect(&expect![[r#"
        0s crash and boot
            * p2 process.exited killed after 1 pages
            * node node.booted after 1 boots with 1 processes, asked again [], called again [], interrupted []
            p1#1 <- started
    "#]]);
    assert_eq!(node(s.root()), "used 2 children; reserved nothing; overdraft nothing");
    // One that waits for its children goes on waiting for them.
    let mut s = scene("child");
    s.signal(IT, Signal::Cont);
    s.after(0);
    s.signal(IT, Signal::Term);
    s.step(IT, exit());
    s.crash();
    assert_eq!(s.word(IT), "exiting");
    s.step(CHILD, sleep(1)); // it is told
    s.step(CHILD, exit());
    assert_eq!(s.kernel.processes().map(|(pid, _)| pid).collect::<Vec<_>>(), [OTHER]);
}

#[test]
fn a_zombie_still_waits_for_its_parent() {
    let mut s = scene("zombie");
    s.crash();
    s.step(OTHER, wait(Some(IT), None));
    s.expect(&expect![[r#"
        0s crash and boot
            * node node.booted after 1 boots with 2 processes, asked again [], called again [], interrupted []
            p1#2 <- spawned p2
        0s p1#2 wait p2
            p1#3 <- child p2 finished
    "#]]);
}

#[test]
fn a_stopped_process_stays_stopped() {
    let woken = in_each(&LIVING, stopped, |s, word| {
        s.crash();
        assert_eq!(s.word(IT), "stopped");
        if word == "child" {
            s.forget(); // the child is not stopped
        }
        s.signal(IT, Signal::Cont);
        assert_ne!(s.word(IT), "stopped");
    });
    expect![[r#"
        -- program
        0s crash and boot
            * node node.booted after 1 boots with 2 processes, asked again [], called again [], interrupted []
            p1#1 <- started
        0s operator signals p2 Cont
            * p2 process.signalled Cont
            p2#1 <- started
            reply: done
        -- ready
        0s crash and boot
            * node node.booted after 1 boots with 2 processes, asked again [p1.c1], called again [], interrupted []
            think p1.c1/2 m with 1 pages
        0s operator signals p2 Cont
            * p2 process.signalled Cont
            reply: done
        -- running
        0s crash and boot
            * node node.booted after 1 boots with 2 processes, asked again [p2.c1], called again [], interrupted []
            p1#1 <- started
        0s operator signals p2 Cont
            * p2 process.signalled Cont
            reply: done
            think p2.c1/2 m with 1 pages
        -- backoff
        0s crash and boot
            * node node.booted after 1 boots with 2 processes, asked again [], called again [], interrupted []
            p1#1 <- started
        0s operator signals p2 Cont
            * p2 process.signalled Cont
            reply: done
        -- quota
        0s crash and boot
            * node node.booted after 1 boots with 2 processes, asked again [p1.c1], called again [], interrupted []
            think p1.c1/2 n with 1 pages
        0s operator signals p2 Cont
            * p2 process.signalled Cont
            reply: done
        -- tool
        0s crash and boot
            * p2 tool.returned p2.c1 an error
            * node node.booted after 1 boots with 2 processes, asked again [], called again [p2.c2], interrupted [p2.c1]
            p1#1 <- started
        0s operator signals p2 Cont
            * p2 process.signalled Cont
            reply: done
            tool p2.c2/2 read ordinal 1
            tool p2.c3/1 read ordinal 2
        -- child
        0s operator signals p2 Cont
            * p2 process.signalled Cont
            reply: done
        -- message
        0s crash and boot
            * node node.booted after 1 boots with 2 processes, asked again [], called again [], interrupted []
            p1#1 <- started
        0s operator signals p2 Cont
            * p2 process.signalled Cont
            reply: done
        -- timer
        0s crash and boot
            * node node.booted after 1 boots with 2 processes, asked again [], called again [], interrupted []
            p1#1 <- started
        0s operator signals p2 Cont
            * p2 process.signalled Cont
            reply: done
    "#]].assert_eq(&woken);
}

#[test]
fn who_waits_for_a_model_that_is_gone_goes_on_waiting() {
    let without_m = || {
        let mut config = config();
        config.models.remove("m");
        config
    };
    let told = in_each(&["ready", "running", "backoff", "quota"], scene, |s, word| {
        let limits = if word == "quota" { tokens(150) } else { Limits::default() };
        s.crash_into(Config { limits, ..without_m() });
    });
    expect![[r#"
        -- ready
        0s crash and boot
            * node node.booted after 1 boots with 2 processes, asked again [p1.c1], called again [], interrupted []
        -- running
        0s crash and boot
            * node node.booted after 1 boots with 2 processes, asked again [p2.c1], called again [], interrupted []
            p1#1 <- started
        -- backoff
        0s crash and boot
            * node node.booted after 1 boots with 2 processes, asked again [], called again [], interrupted []
            p1#1 <- started
        -- quota
        0s crash and boot
            * node node.booted after 1 boots with 2 processes, asked again [p1.c1], called again [], interrupted []
            think p1.c1/2 n with 1 pages
    "#]].assert_eq(&told);
    // A stopped one waits when it goes on.
    let mut s = stopped("running");
    s.crash_into(without_m());
    s.forget();
    s.signal(IT, Signal::Cont);
    s.expect(&expect![[r#"
        0s operator signals p2 Cont
            * p2 process.signalled Cont
            reply: done
    "#]]);
}

#[test]
fn a_call_of_a_tool_that_is_gone_was_interrupted() {
    let mut s = scene("tool");
    let mut config = config();
    config.tools.clear();
    s.crash_into(config);
    s.expect(&expect![[r#"
        0s crash and boot
            * p2 tool.returned p2.c1 an error
            * p2 tool.returned p2.c2 an error
            * node node.booted after 1 boots with 2 processes, asked again [], called again [], interrupted [p2.c1, p2.c2]
            p1#1 <- started
            inline p2.c3/1 read ordinal 2
    "#]]);
}

#[test]
fn deadlines_are_kept_over_a_crash() {
    let mut s = scene("timer");
    s.signal(OTHER, Signal::Term);
    s.now = s.now.after(Millis(9_000));
    s.crash();
    s.after(999);
    assert!(s.kernel.process(OTHER).is_some());
    s.after(1);
    assert!(s.kernel.process(OTHER).is_none(), "its grace time is over");
    s.after(89_999);
    assert_eq!(s.word(IT), "timer");
    s.after(1);
    assert_eq!(s.word(IT), "program");
}

#[test]
fn what_was_not_committed_never_was() {
    let mut s = Script::new(config());
    let a = s.spawn(spec("a"));
    s.step(a, think("m"));
    let rows = s.rows.clone();
    // The batch with the answer and a new process dies with the kernel.
    let mut fx = aosk_abi::Effects::default();
    let done =
        aosk_abi::Input::ModelDone { call: call(a, 1), attempt: 1, outcome: answer(usage(10, 10)) };
    s.kernel.apply(s.now, &done, &mut fx);
    assert_eq!(s.word(a), "program");
    assert_eq!(s.rows, rows);
    s.forget();
    s.crash();
    s.expect(&expect![[r#"
        0s crash and boot
            * node node.booted after 1 boots with 1 processes, asked again [p1.c1], called again [], interrupted []
            think p1.c1/2 m with 1 pages
    "#]]);
}

#[test]
fn the_wall_time_of_the_root_begins_at_each_boot() {
    let limits = Limits { wall: Some(Millis::from_secs(60)), ..Limits::default() };
    let mut s = Script::new(Config { limits, ..config() });
    let a = s.spawn(spec("a"));
    s.step(a, sleep(1_000));
    s.after(59_000);
    s.crash();
    s.after(59_999);
    assert_eq!(s.word(a), "timer");
    s.forget();
    s.after(1);
    s.expect(&expect![[r#"
        119s tick
            * node budget.expired b1
            p1#2 <- out of budget: Wall
    "#]]);
    // After that nothing more is started until the next boot.
    let refused = s.operate("operator spawns b", aosk_abi::Command::Spawn(Box::new(spec("b"))));
    assert!(matches!(refused, aosk_abi::Reply::Refused(_)));
    s.crash();
    assert_eq!(s.spawn(spec("b")), Pid(2));
}

#[test]
fn a_completion_that_comes_in_the_first_batch_after_a_crash_is_late() {
    for outcome in [cancelled(), ModelOutcome::Failed(transient())] {
        let mut s = scene("running");
        s.batch(|s| {
            s.crash();
            s.model_done_of(IT, 1, 1, outcome);
        });
        assert_eq!(s.kernel.ignored(), 1);
        assert_eq!(s.word(IT), "running");
    }
}

/// A process that was asked to end while its call ran is told, and its call not made again.
#[test]
fn a_call_that_term_cut_off_is_not_asked_again() {
    let mut s = scene("running");
    s.signal(IT, Signal::Term);
    s.forget();
    s.crash();
    s.expect(&expect![[r#"
        0s crash and boot
            * p2 model.failed p2.c1 model.cancelled: the process no longer wants the answer
            * node node.booted after 1 boots with 2 processes, asked again [], called again [], interrupted []
            p1#1 <- started
            p2#2 <- terminated
    "#]]);
}

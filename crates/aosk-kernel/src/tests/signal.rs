//! TERM, KILL, STOP and CONT in every state.

use aosk_abi::{Error, ErrorCode, ModelOutcome, Pid, Reply, Signal, Spend, Tokens, ToolOutcome};
use expect_test::expect;

use super::scene::*;
use super::script::*;
use crate::process::Termination;

#[test]
fn term_is_heard_where_a_process_can_hear() {
    let heard = in_each(&LIVING, scene, |s, word| {
        s.signal(IT, Signal::Term);
        // Those that have something in flight hear of it when that has ended.
        match word {
            "program" => s.step(IT, think("m")),
            "running" => s.model_done_of(IT, 1, 1, cancelled()),
            "tool" => {
                for number in 1..=3 {
                    s.tool_returns(IT, number, "ok");
                }
                s.step(IT, think("m"));
            }
            _ => {}
        }
        assert!(matches!(s.process(IT).termination, Termination::Told { .. }));
        // From then on its calls are as any other; it is told once.
        s.step(IT, sleep(1));
    });
    expect![[r#"
        -- program
        0s operator signals p2 Term
            * p2 process.signalled Term
            reply: done
        0s p2#1 think m 10+90
            p2#2 <- terminated
        0s p2#2 sleep 1.0 s
        -- ready
        0s operator signals p2 Term
            * p2 process.signalled Term
            * p2 model.failed p2.c1 model.cancelled: the process no longer wants the answer
            p2#2 <- terminated
            reply: done
        0s p2#2 sleep 1.0 s
        -- running
        0s operator signals p2 Term
            * p2 process.signalled Term
            cancel p2.c1/1
            reply: done
        0s p2.c1/1 cancelled
            * p2 model.charged p2.c1 10 tokens, 1 calls, 10 micro-dollars, 1 steps
            * p2 model.failed p2.c1 model.cancelled: the process no longer wants the answer
            p2#2 <- terminated
        0s p2#2 sleep 1.0 s
        -- backoff
        0s operator signals p2 Term
            * p2 process.signalled Term
            * p2 model.failed p2.c1 model.cancelled: the process no longer wants the answer
            p2#2 <- terminated
            reply: done
        0s p2#2 sleep 1.0 s
        -- quota
        0s operator signals p2 Term
            * p2 process.signalled Term
            * p2 model.failed p2.c1 model.cancelled: the process no longer wants the answer
            p2#2 <- terminated
            reply: done
        0s p2#2 sleep 1.0 s
        -- tool
        0s operator signals p2 Term
            * p2 process.signalled Term
            reply: done
        0s p2.c1/1 returned
            * p2 tool.returned p2.c1
            tool p2.c3/1 read ordinal 2
        0s p2.c2/1 returned
            * p2 tool.returned p2.c2
        0s p2.c3/1 returned
            * p2 tool.returned p2.c3
            p2#2 <- tools returned @1 x3
        0s p2#2 think m 10+90
            p2#3 <- terminated
        0s p2#3 sleep 1.0 s
        -- child
        0s operator signals p2 Term
            * p2 process.signalled Term
            p2#3 <- terminated
            reply: done
        0s p2#3 sleep 1.0 s
        -- message
        0s operator signals p2 Term
            * p2 process.signalled Term
            p2#2 <- terminated
            reply: done
        0s p2#2 sleep 1.0 s
        -- timer
        0s operator signals p2 Term
            * p2 process.signalled Term
            p2#2 <- terminated
            reply: done
        0s p2#2 sleep 1.0 s
    "#]]
    .assert_eq(&heard);
}

/// A call that is cut off at TERM costs what any cancelled call does.
#[test]
fn a_call_that_term_cuts_off_is_charged_for_its_input() {
    let mut s = scene("running");
    s.signal(IT, Signal::Term);
    s.model_done_of(IT, 1, 1, cancelled());
    let spend = s.process(IT).stats.spend;
    assert_eq!((spend.tokens, spend.calls, spend.steps), (Tokens(10), 1, 1));
    assert!(s.budget(IT).reserved == Spend::default());
}

/// A device may have answered before it heard that the call was cancelled.
#[test]
fn an_answer_that_comes_after_term_is_kept() {
    let mut s = scene("running");
    s.signal(IT, Signal::Term);
    s.answer(IT, 10, 1);
    s.step(IT, think("m"));
    s.expect(&expect![[r#"
        0s operator signals p2 Term
            * p2 process.signalled Term
            cancel p2.c1/1
            reply: done
        0s p2.c1/1 answered
            * p2 model.answered p2.c1 @1 used 10+1 for $0.000012
            p2#2 <- answered @1 Stop
        0s p2#2 think m 10+90
            p2#3 <- terminated
    "#]]);
}

#[test]
fn a_call_that_fails_after_term_is_not_made_again() {
    let mut s = scene("running");
    s.signal(IT, Signal::Term);
    s.fail(IT, transient());
    s.expect(&expect![[r#"
        0s operator signals p2 Term
            * p2 process.signalled Term
            cancel p2.c1/1
            reply: done
        0s p2.c1/1 failed
            * p2 model.retried p2.c1/1 model.server again in 402 ms
            * p2 model.failed p2.c1 model.cancelled: the process no longer wants the answer
            p2#2 <- terminated
    "#]]);
}

#[test]
fn whoever_does_not_obey_is_killed_after_the_grace_time() {
    for word in LIVING {
        let mut s = scene(word);
        s.signal(IT, Signal::Term);
        s.after(9_999);
        assert!(!s.process(IT).state.is_over(), "{word}");
        s.signal(IT, Signal::Term); // once more does not prolong it
        s.after(1);
        assert!(s.kernel.process(IT).is_none_or(|it| it.state.is_over()), "{word}");
        s.after(20_000);
        assert!(s.kernel.process(IT).is_none(), "{word}");
    }
}

#[test]
fn whoever_obeys_ends_as_it_says() {
    let mut s = scene("timer");
    s.signal(IT, Signal::Term);
    s.step(IT, exit_with(aosk_abi::ExitStatus::Signalled(Signal::Term), "half"));
    s.after(20_000);
    s.expect(&expect![[r#"
        0s operator signals p2 Term
            * p2 process.signalled Term
            p2#2 <- terminated
            reply: done
        0s p2#2 exit terminated with a result
            * p2 process.exited terminated with a result after 1 pages
        20s tick
    "#]]);
}

#[test]
fn kill_ends_at_once_but_for_calls_in_flight() {
    let killed = in_each(&LIVING, scene, |s, _| {
        s.signal(IT, Signal::Kill);
        // What is not confirmed in time is given up.
        if s.kernel.process(IT).is_some() {
            assert_eq!(s.word(IT), "exiting");
            s.after(4_999);
            assert_eq!(s.word(IT), "exiting");
            s.after(1);
        }
        assert!(s.kernel.process(IT).is_none());
    });
    expect![[r#"
        -- program
        0s operator signals p2 Kill
            * p2 process.signalled Kill
            * p2 process.exited killed after 1 pages
            reply: done
        -- ready
        0s operator signals p2 Kill
            * p2 process.signalled Kill
            * p2 model.failed p2.c1 model.cancelled: the process no longer wants the answer
            * p2 process.exited killed after 1 pages
            reply: done
        -- running
        0s operator signals p2 Kill
            * p2 process.signalled Kill
            * p2 model.failed p2.c1 model.cancelled: the process no longer wants the answer
            cancel p2.c1/1
            reply: done
        4.999s tick
        5s tick
            * p2 model.charged p2.c1 100 tokens, 1 calls, 190 micro-dollars, 1 steps
            * p2 process.exited killed after 1 pages
        -- backoff
        0s operator signals p2 Kill
            * p2 process.signalled Kill
            * p2 model.failed p2.c1 model.cancelled: the process no longer wants the answer
            * p2 process.exited killed after 1 pages
            reply: done
        -- quota
        0s operator signals p2 Kill
            * p2 process.signalled Kill
            * p2 model.failed p2.c1 model.cancelled: the process no longer wants the answer
            * p2 process.exited killed after 1 pages
            reply: done
        -- tool
        0s operator signals p2 Kill
            * p2 process.signalled Kill
            * p2 tool.returned p2.c1 an error
            * p2 tool.returned p2.c2 an error
            * p2 tool.returned p2.c3 an error
            cancel p2.c1/1
            cancel p2.c2/1
            reply: done
        4.999s tick
        5s tick
            * p2 process.exited killed after 1 pages
        -- child
        0s operator signals p2 Kill
            * p2 process.signalled Kill
            * p3 process.exited killed after 1 pages
            * p2 process.exited killed after 1 pages
            reply: done
        -- message
        0s operator signals p2 Kill
            * p2 process.signalled Kill
            * p2 process.exited killed after 1 pages
            reply: done
        -- timer
        0s operator signals p2 Kill
            * p2 process.signalled Kill
            * p2 process.exited killed after 1 pages
            reply: done
    "#]]
    .assert_eq(&killed);
}

#[test]
fn kill_ends_a_stopped_process_too() {
    for word in LIVING {
        let mut s = stopped(word);
        s.signal(IT, Signal::Kill);
        s.after(5_000);
        assert!(s.kernel.process(IT).is_none(), "{word}");
    }
}

#[test]
fn a_cancelled_model_call_is_charged_by_how_it_ends() {
    let held = "used 2 children; reserved 100 tokens, 1 calls, 190 micro-dollars, 1 steps; \
                overdraft nothing";
    let charged = |confirm: &dyn Fn(&mut Script)| {
        let mut s = scene("running");
        s.signal(IT, Signal::Kill);
        assert_eq!(node(s.root()), held);
        confirm(&mut s);
        assert!(s.kernel.process(IT).is_none());
        node(s.root())
    };
    let confirm = |outcome: ModelOutcome| {
        charged(&move |s: &mut Script| s.model_done_of(IT, 1, 1, outcome.clone()))
    };
    // Cut off: the input was read. Answered after all: what it used. Failed: nothing.
    assert_eq!(
        confirm(cancelled()),
        "used 10 tokens, 1 calls, 10 micro-dollars, 1 steps, 2 children; reserved nothing; \
         overdraft nothing"
    );
    assert_eq!(
        confirm(answer(usage(10, 30))),
        "used 40 tokens, 1 calls, 70 micro-dollars, 1 steps, 2 children; reserved nothing; \
         overdraft nothing"
    );
    assert_eq!(
        confirm(ModelOutcome::Failed(transient())),
        "used 2 children; reserved nothing; overdraft nothing"
    );
    // Failed when the answer had begun: what it used until then.
    assert_eq!(
        confirm(ModelOutcome::Failed(broke_off(usage(10, 20)))),
        "used 30 tokens, 1 calls, 50 micro-dollars, 1 steps, 2 children; reserved nothing; \
         overdraft nothing"
    );
    // Never heard of again: all that was held.
    assert_eq!(
        charged(&|s| s.after(5_000)),
        "used 100 tokens, 1 calls, 190 micro-dollars, 1 steps, 2 children; reserved nothing; \
         overdraft nothing"
    );
}

#[test]
fn an_ended_process_waits_for_the_last_confirmation() {
    let mut s = scene("tool");
    s.signal(IT, Signal::Kill);
    s.after(1_000);
    s.tool_done_of(IT, 2, 1, ToolOutcome::Cancelled);
    s.tool_done_of(IT, 1, 2, ToolOutcome::Cancelled); // an attempt that was not running
    assert_eq!(s.word(IT), "exiting");
    s.tool_done_of(IT, 1, 1, ToolOutcome::Returned(user("done after all")));
    s.expect(&expect![[r#"
        0s operator signals p2 Kill
            * p2 process.signalled Kill
            * p2 tool.returned p2.c1 an error
            * p2 tool.returned p2.c2 an error
            * p2 tool.returned p2.c3 an error
            cancel p2.c1/1
            cancel p2.c2/1
            reply: done
        1s tick
        1s p2.c2/1 cancelled
        1s p2.c1/2 cancelled
        1s p2.c1/1 returned
            * p2 process.exited killed after 1 pages
    "#]]);
    assert_eq!(s.kernel.ignored(), 1);
}

#[test]
fn a_stopped_process_does_nothing_until_cont() {
    let went = in_each(&LIVING, scene, |s, word| {
        s.signal(IT, Signal::Stop);
        s.signal(IT, Signal::Stop); // twice is once
        go_on(s, word);
        assert_eq!(s.word(IT), "stopped");
        s.signal(IT, Signal::Cont);
        assert_ne!(s.word(IT), "stopped");
    });
    expect![[r#"
        -- program
        0s operator signals p2 Stop
            * p2 process.signalled Stop
            reply: done
        0s operator signals p2 Stop
            * p2 process.signalled Stop
            reply: done
        0s p2#1 sleep 1.0 s
        0s operator signals p2 Cont
            * p2 process.signalled Cont
            reply: done
        -- ready
        0s operator signals p2 Stop
            * p2 process.signalled Stop
            reply: done
        0s operator signals p2 Stop
            * p2 process.signalled Stop
            reply: done
        0s p1.c1/1 answered
            * p1 model.answered p1.c1 @1 used 10+1 for $0.000012
            p1#2 <- answered @1 Stop
        0s operator signals p2 Cont
            * p2 process.signalled Cont
            reply: done
            think p2.c1/1 m with 1 pages
        -- running
        0s operator signals p2 Stop
            * p2 process.signalled Stop
            reply: done
        0s operator signals p2 Stop
            * p2 process.signalled Stop
            reply: done
        0s p2.c1/1 answered
            * p2 model.answered p2.c1 @1 used 10+1 for $0.000012
        0s operator signals p2 Cont
            * p2 process.signalled Cont
            p2#2 <- answered @1 Stop
            reply: done
        -- backoff
        0s operator signals p2 Stop
            * p2 process.signalled Stop
            reply: done
        0s operator signals p2 Stop
            * p2 process.signalled Stop
            reply: done
        0.402s tick
        0.402s operator signals p2 Cont
            * p2 process.signalled Cont
            reply: done
            think p2.c1/2 m with 1 pages
        -- quota
        0s operator signals p2 Stop
            * p2 process.signalled Stop
            reply: done
        0s operator signals p2 Stop
            * p2 process.signalled Stop
            reply: done
        0s p1.c1/1 answered
            * p1 model.answered p1.c1 @1 used 10+10 for $0.000000
            p1#2 <- answered @1 Stop
        0s operator signals p2 Cont
            * p2 process.signalled Cont
            reply: done
            think p2.c1/1 m with 1 pages
        -- tool
        0s operator signals p2 Stop
            * p2 process.signalled Stop
            reply: done
        0s operator signals p2 Stop
            * p2 process.signalled Stop
            reply: done
        0s p2.c1/1 returned
            * p2 tool.returned p2.c1
        0s p2.c2/1 returned
            * p2 tool.returned p2.c2
        0s operator signals p2 Cont
            * p2 process.signalled Cont
            reply: done
            tool p2.c3/1 read ordinal 2
        -- child
        0s operator signals p2 Stop
            * p2 process.signalled Stop
            reply: done
        0s operator signals p2 Stop
            * p2 process.signalled Stop
            reply: done
        0s p3#1 exit finished with a result
            * p3 process.exited finished with a result after 1 pages
        0s operator signals p2 Cont
            * p2 process.signalled Cont
            p2#3 <- child p3 finished "found it"
            reply: done
        -- message
        0s operator signals p2 Stop
            * p2 process.signalled Stop
            reply: done
        0s operator signals p2 Stop
            * p2 process.signalled Stop
            reply: done
        0s p1#1 send p2 "hello"
            * p2 message.sent by p1
            p1#2 <- sent
        0s operator signals p2 Cont
            * p2 process.signalled Cont
            * p2 message.received from p1
            p2#2 <- received "hello" from p1
            reply: done
        -- timer
        0s operator signals p2 Stop
            * p2 process.signalled Stop
            reply: done
        0s operator signals p2 Stop
            * p2 process.signalled Stop
            reply: done
        100s tick
        100s operator signals p2 Cont
            * p2 process.signalled Cont
            p2#2 <- slept
            reply: done
    "#]]
    .assert_eq(&went);
}

#[test]
fn cont_puts_a_process_back_where_it_was() {
    for word in LIVING {
        let mut s = stopped(word);
        s.signal(IT, Signal::Cont);
        assert_eq!(s.word(IT), word);
        s.forget();
        s.signal(IT, Signal::Cont); // of one that runs
        assert_eq!(
            s.take(),
            "0s operator signals p2 Cont\n    * p2 process.signalled Cont\n    \
                              reply: done\n"
        );
    }
}

#[test]
fn a_wait_goes_on_behind_a_stop() {
    let mut s = stopped("message");
    // The last message of a sender that has ended is read all the same.
    s.step(OTHER, send(IT, "last words"));
    s.step(OTHER, exit());
    s.signal(IT, Signal::Cont);
    s.expect(&expect![[r#"
        0s p1#1 send p2 "last words"
            * p2 message.sent by p1
            p1#2 <- sent
        0s p1#2 exit finished
            * p2 message.received from p1
            * p1 process.exited finished after 1 pages
        0s operator signals p2 Cont
            * p2 process.signalled Cont
            p2#2 <- received "last words" from p1
            reply: done
    "#]]);
}

#[test]
fn term_of_a_stopped_process_is_heard_at_cont() {
    let heard = in_each(&LIVING, stopped, |s, word| {
        s.signal(IT, Signal::Term);
        assert_eq!(s.word(IT), "stopped");
        s.after(9_000);
        s.signal(IT, Signal::Cont);
        let told = matches!(s.process(IT).termination, Termination::Told { .. });
        assert_eq!(told, !matches!(word, "program" | "running" | "tool"), "{word}");
    });
    expect![[r#"
        -- program
        0s operator signals p2 Term
            * p2 process.signalled Term
            reply: done
        9s tick
        9s operator signals p2 Cont
            * p2 process.signalled Cont
            p2#1 <- started
            reply: done
        -- ready
        0s operator signals p2 Term
            * p2 process.signalled Term
            reply: done
        9s tick
        9s operator signals p2 Cont
            * p2 process.signalled Cont
            * p2 model.failed p2.c1 model.cancelled: the process no longer wants the answer
            p2#2 <- terminated
            reply: done
        -- running
        0s operator signals p2 Term
            * p2 process.signalled Term
            reply: done
        9s tick
        9s operator signals p2 Cont
            * p2 process.signalled Cont
            cancel p2.c1/1
            reply: done
        -- backoff
        0s operator signals p2 Term
            * p2 process.signalled Term
            reply: done
        9s tick
        9s operator signals p2 Cont
            * p2 process.signalled Cont
            * p2 model.failed p2.c1 model.cancelled: the process no longer wants the answer
            p2#2 <- terminated
            reply: done
        -- quota
        0s operator signals p2 Term
            * p2 process.signalled Term
            reply: done
        9s tick
        9s operator signals p2 Cont
            * p2 process.signalled Cont
            * p2 model.failed p2.c1 model.cancelled: the process no longer wants the answer
            p2#2 <- terminated
            reply: done
        -- tool
        0s operator signals p2 Term
            * p2 process.signalled Term
            reply: done
        9s tick
        9s operator signals p2 Cont
            * p2 process.signalled Cont
            reply: done
        -- child
        0s operator signals p2 Term
            * p2 process.signalled Term
            reply: done
        9s tick
        9s operator signals p2 Cont
            * p2 process.signalled Cont
            p2#3 <- terminated
            reply: done
        -- message
        0s operator signals p2 Term
            * p2 process.signalled Term
            reply: done
        9s tick
        9s operator signals p2 Cont
            * p2 process.signalled Cont
            p2#2 <- terminated
            reply: done
        -- timer
        0s operator signals p2 Term
            * p2 process.signalled Term
            reply: done
        9s tick
        9s operator signals p2 Cont
            * p2 process.signalled Cont
            p2#2 <- terminated
            reply: done
    "#]]
    .assert_eq(&heard);
}

#[test]
fn a_stopped_process_that_was_asked_to_end_is_killed_in_time() {
    for word in LIVING {
        let mut s = stopped(word);
        s.signal(IT, Signal::Term);
        s.after(10_000);
        s.after(5_000);
        assert!(s.kernel.process(IT).is_none(), "{word}");
    }
}

#[test]
fn an_ended_process_cannot_be_signalled() {
    for word in ["exiting", "zombie"] {
        let mut s = scene(word);
        let before = s.kernel.rows();
        for signal in [Signal::Term, Signal::Kill, Signal::Stop, Signal::Cont] {
            let error = Error::new(ErrorCode::NoSuchProcess, "signalling p2: it has ended");
            assert_eq!(s.signal(IT, signal), Reply::Refused(error));
        }
        assert_eq!(s.kernel.rows(), before);
    }
    let mut s = scene("program");
    s.signal(Pid(9), Signal::Kill);
    s.expect(&expect![[r#"
        0s operator signals p9 Kill
            reply: refused: signalling p9: no such process [kernel.no_such_process]
    "#]]);
}

//! Failed model calls: when they are made again, when not, and when a device is left alone.

use aosk_abi::{
    ErrorCode, Failure, FailureClass, Millis, ModelOutcome, Pid, Signal, Timestamp, Tokens, Usage,
    limits,
};
use expect_test::expect;

use super::script::*;
use crate::device::{Circuit, backoff};

#[test]
fn the_wait_doubles_until_attempts_are_used_up() {
    let mut s = Script::new(config());
    let a = s.spawn(spec("a"));
    s.forget();
    s.step(a, think("m"));
    for _ in 1..limits::MODEL_ATTEMPTS_MAX {
        s.fail(a, transient());
        s.until_due();
    }
    s.fail(a, transient());
    s.expect(&expect![[r#"
        0s p1#1 think m 10+90
            * p1 model.called p1.c1 m with 1 pages 10+90
            think p1.c1/1 m with 1 pages
        0s p1.c1/1 failed
            * p1 model.retried p1.c1/1 model.server again in 477 ms
        0.477s tick
            think p1.c1/2 m with 1 pages
        0.477s p1.c1/2 failed
            * p1 model.retried p1.c1/2 model.server again in 865 ms
        1.342s tick
            think p1.c1/3 m with 1 pages
        1.342s p1.c1/3 failed
            * p1 model.retried p1.c1/3 model.server again in 1747 ms
        3.089s tick
            think p1.c1/4 m with 1 pages
        3.089s p1.c1/4 failed
            * p1 model.retried p1.c1/4 model.server again in 3945 ms
        7.034s tick
            think p1.c1/5 m with 1 pages
        7.034s p1.c1/5 failed
            * p1 model.retried p1.c1/5 model.server again in 6935 ms
        13.969s tick
            think p1.c1/6 m with 1 pages
        13.969s p1.c1/6 failed
            * p1 model.failed p1.c1 model.server: it broke
            p1#2 <- model failed: it broke [model.server]
    "#]]);
    // Only the call that failed for good is charged, as one step.
    assert_eq!(
        node(s.budget(a)),
        "used 1 calls, 1 steps, 1 children; reserved nothing; overdraft nothing"
    );
    assert_eq!(s.process(a).stats.model_retries, 5);
    assert_eq!(s.process(a).stats.model_calls, 0);
}

#[test]
fn waits_stay_within_their_bounds_and_differ_from_call_to_call() {
    for salt in [0, 1, 17, u64::MAX] {
        for failures in 1..40 {
            let full = 500_u64.saturating_mul(1 << (failures - 1).min(20)).min(60_000);
            let wait = backoff(&transient(), failures, salt).0;
            assert!(wait > full - full / 4 && wait <= full, "{failures} {salt}: {wait} of {full}");
        }
    }
    let waits: std::collections::BTreeSet<_> =
        (0..100).map(|salt| backoff(&transient(), 4, salt)).collect();
    assert!(waits.len() > 50, "calls that failed together come back together: {waits:?}");
    let asked = failure(FailureClass::RateLimited, ErrorCode::ModelRateLimited, Some(90));
    assert_eq!(backoff(&asked, 1, 0), Millis(90_000));
}

#[test]
fn retry_after_is_obeyed() {
    let mut s = Script::new(config());
    let a = s.spawn(spec("a"));
    s.step(a, think("m"));
    s.forget();
    s.fail(a, failure(FailureClass::RateLimited, ErrorCode::ModelRateLimited, Some(30)));
    s.after(29_999);
    s.after(1);
    // The longest that is obeyed.
    s.fail(a, failure(FailureClass::RateLimited, ErrorCode::ModelRateLimited, Some(600)));
    s.until_due();
    s.expect(&expect![[r#"
        0s p1.c1/1 failed
            * p1 model.retried p1.c1/1 model.rate_limited again in 30000 ms
        29.999s tick
        30s tick
            think p1.c1/2 m with 1 pages
        30s p1.c1/2 failed
            * p1 model.retried p1.c1/2 model.rate_limited again in 600000 ms
        630s tick
            think p1.c1/3 m with 1 pages
    "#]]);
}

#[test]
fn what_cannot_succeed_is_not_tried_again() {
    let mut s = Script::new(config());
    let a = s.spawn(spec("a"));
    s.forget();
    s.step(a, think("m"));
    s.fail(a, failure(FailureClass::Final, ErrorCode::ModelUnauthorized, None));
    s.step(a, think("m"));
    s.fail(a, failure(FailureClass::RateLimited, ErrorCode::ModelRateLimited, Some(601)));
    s.expect(&expect![[r#"
        0s p1#1 think m 10+90
            * p1 model.called p1.c1 m with 1 pages 10+90
            think p1.c1/1 m with 1 pages
        0s p1.c1/1 failed
            * p1 model.failed p1.c1 model.unauthorized: it broke
            p1#2 <- model failed: it broke [model.unauthorized]
        0s p1#2 think m 10+90
            * p1 model.called p1.c2 m with 1 pages 10+90
            think p1.c2/1 m with 1 pages
        0s p1.c2/1 failed
            * p1 model.failed p1.c2 model.rate_limited: it broke
            p1#3 <- model failed: it broke [model.rate_limited]
    "#]]);
}

#[test]
fn a_call_that_is_not_answered_in_time_is_cut_off_and_made_again() {
    let mut s = Script::new(config());
    let a = s.spawn(spec("a"));
    s.step(a, think("m"));
    s.forget();
    s.after(59_999);
    s.after(1);
    assert_eq!(s.word(a), "running", "it has its slot until its end is confirmed");
    s.after(20);
    s.model_done(a, ModelOutcome::Cancelled { output: Tokens(7) });
    // The provider has read the input and written this much, so it is charged.
    assert_eq!(
        node(s.budget(a)),
        "used 17 tokens, 24 micro-dollars, 1 children; reserved nothing; overdraft nothing"
    );
    s.until_due();
    // The first attempt ends after all; nobody listens.
    s.model_done_of(a, 1, 1, answer(usage(10, 5)));
    s.answer(a, 10, 20);
    s.expect(&expect![[r#"
        59.999s tick
        60s tick
            cancel p1.c1/1
        60.020s tick
        60.020s p1.c1/1 cancelled
            * p1 model.charged p1.c1 17 tokens, 24 micro-dollars
            * p1 model.retried p1.c1/1 model.timeout again in 477 ms
        60.497s tick
            think p1.c1/2 m with 1 pages
        60.497s p1.c1/1 answered
        60.497s p1.c1/2 answered
            * p1 model.answered p1.c1 @1 used 10+20 for $0.000050
            p1#2 <- answered @1 Stop
    "#]]);
    assert_eq!(s.kernel.ignored(), 1);
    assert_eq!(
        node(s.budget(a)),
        "used 47 tokens, 1 calls, 74 micro-dollars, 1 steps, 1 children; reserved nothing; \
         overdraft nothing"
    );
}

#[test]
fn a_late_call_is_given_up_if_nothing_is_heard_of_its_end() {
    let mut s = Script::new(config());
    let a = s.spawn(spec("a"));
    s.step(a, think("m"));
    s.after(60_000);
    s.crash();
    s.after(60_000);
    s.forget();
    s.after(limits::CANCEL_GRACE.0 - 1);
    s.after(1);
    s.expect(&expect![[r#"
        124.999s tick
        125s tick
            * p1 model.charged p1.c1 10 tokens, 10 micro-dollars
            * p1 model.retried p1.c1/1 model.timeout again in 477 ms
    "#]]);
    assert_eq!(s.word(a), "backoff");
    // What the last kernel's attempt used nobody knows.
    assert_eq!(s.process(a).stats.input, Tokens(10));
}

#[test]
fn an_answer_that_comes_before_the_end_of_a_late_call_is_taken() {
    let mut s = Script::new(config());
    let a = s.spawn(spec("a"));
    s.step(a, think("m"));
    s.after(60_000);
    s.answer(a, 10, 20);
    assert_eq!((s.word(a), s.process(a).stats.spend.calls), ("program", 1));
}

#[test]
fn a_late_call_is_cut_off_once_whatever_becomes_of_its_process() {
    for signal in [Signal::Term, Signal::Kill] {
        let mut s = Script::new(config());
        let a = s.spawn(spec("a"));
        s.step(a, think("m"));
        s.after(60_000);
        s.forget();
        s.signal(a, signal);
        assert!(!s.take().contains("cancel p1"), "{signal:?}");
        s.model_done_of(a, 1, 1, ModelOutcome::Cancelled { output: Tokens(7) });
        let used = "used 17 tokens, 1 calls, 24 micro-dollars, 1 steps, 1 children; reserved \
                    nothing; overdraft nothing";
        assert_eq!(node(s.root()), used, "{signal:?}");
    }
}

#[test]
fn what_a_failed_attempt_used_is_charged() {
    let mut s = Script::new(config());
    let a = s.spawn(spec("a"));
    s.step(a, think("m"));
    s.forget();
    s.fail(a, broke_off(Usage { cache_read: Tokens(4), ..usage(6, 5) }));
    // Calls and steps count what was asked, not how often it was tried.
    assert_eq!(
        node(s.budget(a)),
        "used 15 tokens, 17 micro-dollars, 1 children; reserved nothing; overdraft nothing"
    );
    s.until_due();
    s.fail(a, Failure { class: FailureClass::Final, ..broke_off(usage(10, 7)) });
    let used = "used 32 tokens, 1 calls, 41 micro-dollars, 1 steps, 1 children; reserved nothing; \
                overdraft nothing";
    assert_eq!([node(s.budget(a)), node(s.root())], [used, used]);
    let stats = &s.process(a).stats;
    assert_eq!((stats.input, stats.cached, stats.output), (Tokens(20), Tokens(4), Tokens(12)));
    // An attempt may use more than was held for it, as an answer may.
    s.step(a, think("m"));
    s.fail(a, broke_off(usage(300, 7)));
    assert_eq!(s.process(a).stats.input, Tokens(320));
}

#[test]
fn a_cancellation_nobody_asked_for_is_a_failure_on_the_way() {
    let mut s = Script::new(config());
    let a = s.spawn(spec("a"));
    s.step(a, think("m"));
    s.forget();
    s.model_done(a, cancelled());
    s.expect(&expect![[r#"
        0s p1.c1/1 cancelled
            * p1 model.retried p1.c1/1 model.cancelled again in 477 ms
    "#]]);
}

fn circuit(s: &Script) -> Circuit {
    s.kernel.devices.iter().find(|(_, device)| device.name == "n").expect("known").1.circuit
}

/// Two processes fail on `n` until its circuit opens at `s.now`; two more wait behind them.
fn open_circuit() -> Script {
    let mut s = Script::new(config());
    for name in ["a", "b", "c", "d"] {
        s.spawn(spec(name));
    }
    for pid in [1, 2] {
        s.step(Pid(pid), think("n"));
    }
    let mut failures = 0;
    while let Circuit::Closed { failures: counted } = circuit(&s) {
        assert_eq!(counted, failures);
        match s.running() {
            Some(pid) => {
                s.fail(pid, transient());
                failures += 1;
            }
            None => s.until_due(),
        }
    }
    assert_eq!(failures, limits::CIRCUIT_FAILURES_MAX);
    s
}

#[test]
fn a_device_that_keeps_failing_is_left_alone_and_then_tried_with_one_call() {
    let mut s = open_circuit();
    let opened = s.now;
    assert_eq!(circuit(&s), Circuit::Open { until: opened.after(limits::CIRCUIT_OPEN) });
    s.signal(Pid(1), Signal::Kill);
    s.signal(Pid(2), Signal::Kill);
    if s.kernel.process(Pid(2)).is_some() {
        s.model_done_of(Pid(2), 1, 4, cancelled());
    }
    s.step(Pid(3), think("n"));
    s.step(Pid(4), think("n"));
    s.forget();
    s.now = opened.after(Millis(14_999));
    s.after(0);
    s.after(1); // one of the two slots is used
    assert_eq!(circuit(&s), Circuit::HalfOpen);
    s.fail(Pid(3), transient());
    let reopened = s.now;
    assert_eq!(circuit(&s), Circuit::Open { until: reopened.after(limits::CIRCUIT_OPEN) });
    s.now = reopened.after(limits::CIRCUIT_OPEN);
    s.after(0);
    s.answer(Pid(3), 10, 1); // closes it: all slots are used again
    assert_eq!(circuit(&s), Circuit::Closed { failures: 0 });
    s.step(Pid(3), think("n"));
    s.expect(&expect![[r#"
        18.088s tick
        18.089s tick
            think p3.c1/1 n with 1 pages
        18.089s p3.c1/1 failed
            * p3 model.retried p3.c1/1 model.server again in 413 ms
        33.089s tick
            think p3.c1/2 n with 1 pages
        33.089s p3.c1/2 answered
            * p3 model.answered p3.c1 @1 used 10+1 for $0.000000
            p3#2 <- answered @1 Stop
            think p4.c1/1 n with 1 pages
        33.089s p3#2 think n 10+90
            * p3 model.called p3.c2 n with 2 pages 10+90
            think p3.c2/1 n with 2 pages
    "#]]);
}

/// A deadline that is wrong or lost would leave a device alone too long, or for ever.
#[test]
fn the_deadline_of_a_failed_device_is_checked() {
    let mut s = open_circuit();
    s.signal(Pid(1), Signal::Kill);
    s.signal(Pid(2), Signal::Kill);
    s.after(limits::CANCEL_GRACE.0);
    s.step(Pid(3), think("n"));
    assert_eq!(s.word(Pid(3)), "ready");
    let id = s.kernel.devices.find("n").expect("known");
    let until = circuit(&s).until();
    assert!(until.is_some());
    for (at, holds) in [(until, true), (Some(Timestamp::MAX), false), (None, false)] {
        let mut kernel = s.kernel.clone();
        kernel.index.set_device_deadline(id, at);
        assert_eq!(kernel.check().is_ok(), holds, "{at:?}");
    }
    let mut kernel = s.kernel.clone();
    let healthy = kernel.devices.find("m").expect("known");
    kernel.index.set_device_deadline(healthy, until);
    assert!(kernel.check().is_err(), "it never failed");
}

#[test]
fn a_call_that_was_in_flight_when_the_circuit_opened_does_not_prolong_it() {
    let mut s = Script::new(config());
    let (a, b) = (s.spawn(spec("a")), s.spawn(spec("b")));
    s.step(b, think("n"));
    s.step(a, think("n"));
    for _ in 0..limits::MODEL_ATTEMPTS_MAX {
        s.fail(a, transient());
        if s.word(a) == "backoff" {
            s.until_due();
        }
    }
    s.step(a, think("n"));
    s.fail(a, transient());
    s.until_due();
    s.fail(a, transient());
    let opened = circuit(&s);
    assert_eq!(opened, Circuit::Open { until: s.now.after(limits::CIRCUIT_OPEN) });
    s.after(5_000);
    s.fail(b, transient());
    assert_eq!(circuit(&s), opened);
    assert_eq!([a, b].map(|pid| s.word(pid)), ["ready", "backoff"]);
    // Both are ready when it is tried again, with one of them.
    s.after(10_000);
    assert_eq!([a, b].map(|pid| s.word(pid)), ["ready", "running"]);
}

#[test]
fn a_final_failure_shows_that_the_device_answers() {
    let mut s = Script::new(config());
    let a = s.spawn(spec("a"));
    s.step(a, think("n"));
    s.fail(a, transient());
    assert_eq!(circuit(&s), Circuit::Closed { failures: 1 });
    s.until_due();
    s.fail(a, failure(FailureClass::Final, ErrorCode::ModelBadRequest, None));
    assert_eq!(circuit(&s), Circuit::Closed { failures: 0 });
}

#[test]
fn a_probe_that_is_cancelled_lets_the_next_one_try() {
    let mut s = open_circuit();
    let Circuit::Open { until } = circuit(&s) else { panic!("open") };
    s.step(Pid(3), think("n"));
    s.step(Pid(4), think("n"));
    for pid in [1, 2] {
        s.signal(Pid(pid), Signal::Stop);
    }
    s.now = until.after(Millis(0));
    s.after(0);
    assert_eq!(circuit(&s), Circuit::HalfOpen);
    s.signal(Pid(3), Signal::Kill);
    assert_eq!(s.word(Pid(4)), "ready");
    s.model_done_of(Pid(3), 1, 1, cancelled());
    assert_eq!(s.word(Pid(4)), "running");
    assert_eq!(circuit(&s), Circuit::HalfOpen);
}

#[test]
fn after_a_restart_a_device_is_given_a_new_chance() {
    let mut s = open_circuit();
    s.crash();
    assert_eq!(circuit(&s), Circuit::Closed { failures: 0 });
    assert!(s.now > Timestamp::ZERO);
}

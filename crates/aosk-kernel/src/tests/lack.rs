//! What a process that waits for room says it waits for, and what one is told that gets none.

use aosk_abi::{Bounds, Lack, Limits, Resource, Scope, Tokens, WhenOver};

use super::script::*;
use crate::process::{State, Wait};

fn tokens(amount: u64) -> Bounds {
    Bounds { tokens: Some(Tokens(amount)), ..Bounds::default() }
}

/// What the second of two calls waits for, of 100 tokens each, and whether a person is asked.
#[track_caller]
fn waits_for(limits: Limits) -> (Lack, bool) {
    let mut s = Script::new(config());
    let pid = s.spawn(with_limits("a", limits));
    s.step(pid, think("m"));
    s.answer(pid, 10, 90);
    s.step(pid, think("m"));
    s.crash();
    let state = &s.process(pid).state;
    let State::Waiting { on: Wait::Quota { lack, asks, .. } } = state else {
        panic!("{state:?}");
    };
    (*lack, *asks)
}

#[test]
fn what_a_call_waits_for_is_named_with_its_bound() {
    let one = Bounds { calls: Some(1), ..Bounds::default() };
    let usual = Limits::default();
    for (limits, scope, resource, amount) in [
        (Limits { per_minute: tokens(150), ..usual }, Scope::Minute, Resource::Tokens, 100),
        (Limits { per_minute: one, ..usual }, Scope::Minute, Resource::Calls, 1),
        (Limits { per_day: tokens(150), ..usual }, Scope::Day, Resource::Tokens, 100),
        // The hour takes longer than the minute.
        (
            Limits { per_minute: one, per_hour: tokens(150), ..usual },
            Scope::Hour,
            Resource::Tokens,
            100,
        ),
    ] {
        let (lack, asks) = waits_for(limits);
        assert_eq!(
            (lack.scope, lack.resource, lack.amount, asks),
            (scope, resource, amount, false)
        );
    }
}

#[test]
fn what_a_person_is_asked_for_is_named_with_its_bound() {
    let ask = Limits { when_over: WhenOver::Ask, ..Limits::default() };
    let all = Limits { tokens: Some(Tokens(150)), ..ask };
    let (lack, asks) = waits_for(all);
    assert_eq!((lack.scope, lack.resource, lack.amount), (Scope::All, Resource::Tokens, 100));
    assert!(asks);
    let mut s = Script::new(config());
    let pid = s.spawn(with_limits("a", Limits { per_hour: tokens(99), ..ask }));
    s.step(pid, think("m"));
    let budget = s.process(pid).spec.budget;
    let lack = Lack { budget, scope: Scope::Hour, resource: Resource::Tokens, amount: 100 };
    let State::Waiting { on: Wait::Quota { lack: waits, asks: true, .. } } = s.process(pid).state
    else {
        panic!("{:?}", s.process(pid).state);
    };
    assert_eq!(waits, lack);
    assert!(s.take().contains("budget.asked b2 has no room for 100 tokens an hour"));
}

#[test]
fn what_ends_a_process_is_kept_with_its_bound() {
    let steps = Limits { steps: Some(1), ..Limits::default() };
    for (limits, scope, resource, amount) in [
        (Limits { per_call: tokens(99), ..Limits::default() }, Scope::Call, Resource::Tokens, 100),
        (steps, Scope::All, Resource::Steps, 1),
    ] {
        let mut s = Script::new(config());
        let pid = s.spawn(with_limits("a", limits));
        s.step(pid, think("m"));
        if resource == Resource::Steps {
            assert_eq!(s.process(pid).lack, None);
            s.answer(pid, 10, 90);
            s.step(pid, think("m"));
        }
        s.crash();
        let budget = s.process(pid).spec.budget;
        assert_eq!(s.process(pid).lack, Some(Lack { budget, scope, resource, amount }));
    }
}

#[test]
fn a_row_of_before_bounds_were_named_is_read() {
    let mut s = Script::new(config());
    let limits = Limits { per_minute: tokens(150), ..Limits::default() };
    let pid = s.spawn(with_limits("a", limits));
    s.step(pid, think("m"));
    s.answer(pid, 10, 90);
    s.step(pid, think("m"));
    let named = r#","scope":"minute","resource":"tokens","amount":100"#;
    let mut changed = 0;
    for text in s.rows.values_mut() {
        changed += text.matches(named).count();
        *text = text.replace(named, "");
    }
    assert_eq!(changed, 1);
    s.crash();
    assert_eq!(s.word(pid), "quota");
    s.after(60_500);
    assert_eq!(s.word(pid), "running");
}

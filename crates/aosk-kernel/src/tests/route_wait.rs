//! A cheaper device that is busy against a dearer one that is free.

use aosk_abi::{Choice, ErrorCode, Fact, FailureClass, Millis, Pid, Reason, limits};

use super::route::{device, on, route, the};
use super::script::*;
use crate::Config;

/// Two devices, of which calls wait for the cheaper for so long.
fn patient(wait: Millis) -> Config {
    let mut config = route(Choice::ByCost, &[("dear", device(9, 9)), ("cheap", device(1, 1))]);
    the(&mut config).wait = wait;
    config
}

/// Processes that ask the route one after another.
fn asked<const N: usize>(config: Config) -> (Script, [Pid; N]) {
    let mut s = Script::new(config);
    let pids = [(); N].map(|()| s.spawn(spec("p")));
    for pid in pids {
        s.step(pid, think("r"));
    }
    (s, pids)
}

fn where_all_are(s: &Script, pids: &[Pid]) -> Vec<String> {
    let place = |pid: &Pid| match s.word(*pid) {
        "running" => on(s, *pid),
        word => word.to_owned(),
    };
    pids.iter().map(place).collect()
}

#[test]
fn a_call_waits_for_the_cheaper_until_its_time_is_over() {
    let (mut s, pids) = asked::<2>(patient(Millis(5_000)));
    assert_eq!(where_all_are(&s, &pids), ["cheap", "ready"]);
    s.after(4_999);
    assert_eq!(where_all_are(&s, &pids), ["cheap", "ready"]);
    s.until_due();
    assert_eq!(
        (s.now.0, where_all_are(&s, &pids)),
        (5_000, ["cheap", "dear"].map(str::to_owned).to_vec())
    );
    let last = s.effects.iter().flat_map(|fx| &fx.journal).last();
    let Some(Fact::ModelRouted { waited, passed, .. }) = last.map(|entry| &entry.fact) else {
        panic!("{last:?}");
    };
    assert_eq!((*waited, passed[0].why), (Millis(5_000), Reason::Busy));
}

#[test]
fn a_call_has_the_cheaper_as_soon_as_it_is_free() {
    let (mut s, pids) = asked::<3>(patient(Millis(5_000)));
    s.after(1_000);
    s.answer(pids[0], 10, 1);
    assert_eq!(where_all_are(&s, &pids), ["program", "cheap", "ready"]);
    // Each waits from when it came.
    s.after(4_000);
    assert_eq!(where_all_are(&s, &pids), ["program", "cheap", "dear"]);
}

#[test]
fn without_a_wait_what_is_free_is_taken_at_once() {
    let (s, pids) = asked::<3>(patient(Millis::ZERO));
    assert_eq!(where_all_are(&s, &pids), ["cheap", "dear", "ready"]);
}

#[test]
fn nobody_waits_for_a_device_that_is_left_alone_or_asked_for_patience() {
    let (mut s, pids) = asked::<2>(patient(Millis(60_000)));
    s.fail(pids[0], failure(FailureClass::RateLimited, ErrorCode::ModelRateLimited, Some(30)));
    assert_eq!(where_all_are(&s, &pids), ["dear", "ready"]);
    let mut s = Script::new(patient(Millis(60_000)));
    for failure in 1..=limits::CIRCUIT_FAILURES_MAX {
        let other = s.spawn(spec("other"));
        s.step(other, think("cheap"));
        if failure < limits::CIRCUIT_FAILURES_MAX {
            s.fail(other, transient());
            continue;
        }
        let patient = s.spawn(spec("patient"));
        s.step(patient, think("r"));
        assert_eq!(where_all_are(&s, &[other, patient]), ["cheap", "ready"]);
        s.fail(other, transient());
        assert_eq!(where_all_are(&s, &[patient]), ["dear"]);
    }
}

#[test]
fn nothing_is_cut_off_for_a_call_that_waits_by_choice() {
    let mut config = patient(Millis(60_000));
    for model in config.models.values_mut() {
        model.continues = true;
    }
    let mut s = Script::new(config);
    let slow = s.spawn(with_priority("slow", 100));
    s.step(slow, think_of("r", 10, 4_000));
    let urgent = s.spawn(with_priority("urgent", 0));
    s.step(urgent, think_of("r", 10, 90));
    assert_eq!(where_all_are(&s, &[slow, urgent]), ["cheap", "ready"]);
    assert!(!s.take().contains("preempted"));
}

//! What can be seen of the scheduler: what the time of processes went to, and who is before whom.

use std::collections::BTreeMap;

use aosk_abi::{Bounds, Limits, Millis, Pid, Signal, SpawnSpec, Timestamp, WhenOver};

use super::script::*;
use crate::view::{BudgetView, line};
use crate::{Config, GroupConfig, ModelConfig, Phase, Rates, Times, policy};

fn one_slot() -> Config {
    let model = ModelConfig { slots: 1, ..ModelConfig::default() };
    Config { models: BTreeMap::from([("m".to_owned(), model)]), ..Config::default() }
}

/// Milliseconds waited, run and throttled, and the phase now.
fn times(s: &Script, pid: Pid) -> (u64, u64, u64, Option<Phase>) {
    let Times { waited, ran, throttled, phase, held: _ } = s.process(pid).stats.times;
    (waited.0, ran.0, throttled.0, phase.map(|(phase, _)| phase))
}

#[test]
fn time_goes_to_waiting_running_and_being_held_back() {
    let mut s = Script::new(one_slot());
    let (a, b) = (s.spawn(spec("a")), s.spawn(spec("b")));
    s.step(a, think("m"));
    s.step(b, think("m"));
    let began = s.now;
    assert_eq!(times(&s, a), (0, 0, 0, Some(Phase::Runs)));
    s.after(700);
    let ran = s.now.since(began);
    assert_eq!(s.process(a).stats.times.until(s.now).ran, ran);
    s.answer(a, 10, 10);
    let answered = s.now;
    assert_eq!(times(&s, a), (0, answered.since(began).0, 0, None));
    let (waited, ..) = times(&s, b);
    assert!(waited >= ran.0 && times(&s, b).3 == Some(Phase::Runs), "{waited}");
    s.fail(b, transient());
    assert_eq!(times(&s, b).3, Some(Phase::Throttled));
    let failed = s.now;
    s.until_due();
    assert_eq!(times(&s, b).2, s.now.since(failed).0);
    assert!(times(&s, b).2 >= 375, "{:?}", times(&s, b));
}

/// One call a minute: the first runs, and a slot stays free while the others wait.
#[test]
fn a_wait_for_rates_is_no_wait_for_a_slot() {
    let per_minute = Bounds { calls: Some(1), ..Bounds::default() };
    let rates = Rates { per_minute, ..Rates::default() };
    let model = ModelConfig { slots: 2, rates, ..ModelConfig::default() };
    let models = BTreeMap::from([("m".to_owned(), model)]);
    let mut s = Script::new(Config { models, ..Config::default() });
    let (a, b, c) = (s.spawn(spec("a")), s.spawn(spec("b")), s.spawn(spec("c")));
    for pid in [a, b, c] {
        s.step(pid, think("m"));
    }
    let asked = s.now;
    s.after(1_000);
    s.answer(a, 10, 10);
    assert_eq!(times(&s, b), (0, 0, 0, Some(Phase::Waits)), "it is under way");
    while times(&s, b).3 == Some(Phase::Waits) {
        s.until_due();
    }
    let first = s.now.since(asked).0;
    assert!(first >= 59_000, "{first}");
    let (waited, _, throttled, phase) = times(&s, b);
    assert_eq!((waited, throttled, phase), (0, first, Some(Phase::Runs)));
    // The other was behind it and waited for the same.
    s.answer(b, 10, 10);
    while times(&s, c).3 == Some(Phase::Waits) {
        s.until_due();
    }
    assert_eq!((times(&s, c).0, times(&s, c).2), (0, s.now.since(asked).0));
    // Whoever is killed meanwhile was held back until then.
    let d = s.spawn(spec("d"));
    s.step(d, think("m"));
    s.after(5_000);
    let kill = aosk_abi::Command::Signal { pid: d, signal: Signal::Kill };
    let kill = aosk_abi::Input::Operator { request: aosk_abi::RequestId(99), command: kill };
    let mut kernel = s.kernel.clone();
    kernel.take_ended();
    kernel.apply(s.now, &kill, &mut aosk_abi::Effects::default());
    let of = kernel.take_ended().first().expect("is reaped at once").1.stats.times;
    assert_eq!((of.waited, of.throttled >= Millis(5_000)), (Millis(0), true), "{of:?}");
}

/// A queue whose slots are all taken is not held back, whatever its rates say.
#[test]
fn a_wait_for_a_slot_is_no_wait_for_rates() {
    let per_minute = Bounds { calls: Some(2), ..Bounds::default() };
    let rates = Rates { per_minute, ..Rates::default() };
    let model = ModelConfig { slots: 1, rates, ..ModelConfig::default() };
    let models = BTreeMap::from([("m".to_owned(), model)]);
    let mut s = Script::new(Config { models, ..Config::default() });
    let (a, b) = (s.spawn(spec("a")), s.spawn(spec("b")));
    s.step(a, think("m"));
    s.step(b, think("m"));
    let asked = s.now;
    s.after(3_000);
    s.answer(a, 10, 10);
    assert_eq!(times(&s, b), (s.now.since(asked).0, 0, 0, Some(Phase::Runs)));
}

#[test]
fn a_stopped_process_waits_for_nothing_and_what_it_asked_goes_on() {
    let mut s = Script::new(one_slot());
    let (a, b) = (s.spawn(spec("a")), s.spawn(spec("b")));
    s.step(a, think("m"));
    s.step(b, think("m"));
    s.signal(a, Signal::Stop);
    s.signal(b, Signal::Stop);
    assert_eq!((times(&s, a).3, times(&s, b).3), (Some(Phase::Runs), None));
    let waited = times(&s, b).0;
    s.after(5_000);
    s.signal(b, Signal::Cont);
    assert_eq!(times(&s, b), (waited, 0, 0, Some(Phase::Waits)));
}

#[test]
fn time_without_a_kernel_is_not_counted() {
    let mut s = Script::new(one_slot());
    let (a, b) = (s.spawn(spec("a")), s.spawn(spec("b")));
    s.step(a, think("m"));
    s.step(b, think("m"));
    s.now = Timestamp(s.now.0 + 1_000_000);
    s.crash();
    let now = s.now;
    for pid in [a, b] {
        let counted = s.process(pid).stats.times.until(now);
        assert!(counted.waited.0 + counted.ran.0 < 1_000_000, "{counted:?}");
    }
}

#[test]
fn the_last_time_of_a_process_is_counted_when_it_is_killed() {
    let mut s = Script::new(one_slot());
    let (a, b) = (s.spawn(spec("a")), s.spawn(spec("b")));
    s.step(a, think("m"));
    s.step(b, think("m"));
    s.after(900);
    let kill = aosk_abi::Command::Signal { pid: b, signal: Signal::Kill };
    let kill = aosk_abi::Input::Operator { request: aosk_abi::RequestId(99), command: kill };
    let mut kernel = s.kernel.clone();
    kernel.take_ended();
    kernel.apply(s.now, &kill, &mut aosk_abi::Effects::default());
    let ended = kernel.take_ended();
    let times = ended.first().expect("is reaped at once").1.stats.times;
    assert!(times.waited >= Millis(900) && times.phase.is_none(), "{times:?}");
}

fn in_group(name: &str, group: &str) -> SpawnSpec {
    SpawnSpec { group: group.to_owned(), ..spec(name) }
}

/// The order in which the rows say that processes will start, and that in which they do.
fn orders(s: &mut Script) -> (Vec<Pid>, Vec<Pid>) {
    let ready = s.kernel.processes().map(|(pid, process)| (pid, process.clone())).collect();
    let nodes = s.kernel.budgets.iter();
    let nodes = nodes.map(|(id, node)| (id, BudgetView::of(node))).collect();
    let said = line(s.kernel.policy(), &ready, &nodes, "m").order;
    let mut seen = Vec::new();
    while let Some(pid) = s.running() {
        seen.push(pid);
        s.signal(pid, Signal::Stop);
        // As much as was expected, so that nothing is corrected.
        s.answer(pid, 10, 50 * pid.0);
    }
    (said, seen.split_off(1))
}

#[test]
fn the_rows_say_who_is_before_whom() {
    for name in ["fair", "priority", "round-robin", "fifo"] {
        let group = |priority| GroupConfig { priority, limits: Limits::default() };
        let groups = [("x", 40), ("y", 60), ("x/deep", 50)];
        let groups = groups.map(|(name, priority)| (name.to_owned(), group(priority)));
        let config = Config {
            policy: policy(name).expect("is there"),
            groups: BTreeMap::from(groups),
            ..one_slot()
        };
        let mut s = Script::new(config);
        let places = ["x", "y", "", "x/deep", "y", "x", "", "x/deep", "x", "y"];
        for (at, place) in (0_u8..).zip(places) {
            let spec = in_group("a", place);
            let pid = s.spawn(SpawnSpec { priority: 40 + at * 3 % 20, ..spec });
            s.step(pid, think_of("m", 10, 50 * pid.0));
        }
        let (said, seen) = orders(&mut s);
        assert_eq!(said.len(), places.len() - 1, "{name}: {said:?}");
        assert_eq!(said, seen, "{name}");
    }
}

#[test]
fn bounds_that_a_new_boot_raises_let_go_who_asks_for_that() {
    let ask = |limit| Limits { when_over: WhenOver::Ask, ..tokens(limit) };
    for group in ["", "acme"] {
        let config = |limit| match group {
            "" => Config { limits: ask(limit), ..one_slot() },
            name => {
                let group = GroupConfig { priority: 50, limits: ask(limit) };
                Config { groups: BTreeMap::from([(name.to_owned(), group)]), ..one_slot() }
            }
        };
        let mut s = Script::new(config(150));
        let pid = s.spawn(in_group("a", group));
        s.step(pid, think("m"));
        s.answer(pid, 10, 90);
        s.step(pid, think("m"));
        assert_eq!(s.word(pid), "quota", "{group}");
        s.crash_into(config(150));
        assert_eq!(s.word(pid), "quota", "{group}");
        s.crash_into(config(300));
        assert_eq!(s.word(pid), "running", "{group}");
    }
}

#[test]
fn a_wall_time_that_is_not_changed_goes_on() {
    let mut s = Script::new(one_slot());
    let limits = Limits { wall: Some(Millis::from_secs(60)), ..tokens(1_000) };
    let pid = s.spawn(with_limits("a", limits));
    let (budget, ends) = (s.process(pid).spec.budget, s.budget(pid).expires);
    s.after(30_000);
    let set = |limits| aosk_abi::Command::SetLimits { budget, limits: Box::new(limits) };
    s.operate("raise", set(Limits { tokens: None, ..limits }));
    assert_eq!(s.budget(pid).expires, ends);
    s.operate("more time", set(Limits { wall: Some(Millis::from_secs(90)), ..limits }));
    assert_eq!(s.budget(pid).expires, Some(s.now.after(Millis::from_secs(90))));
}

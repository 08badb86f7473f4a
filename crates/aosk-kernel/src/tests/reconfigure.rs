//! A configuration that changes while calls are in flight and others wait.

use aosk_abi::{
    Bounds, Change, Command, ErrorCode, Fact, Limits, Pid, Reply, SpawnSpec, Timestamp, Tokens,
    WhenOver,
};

use super::script::*;
use crate::{Config, GroupConfig, Kernel, ModelConfig, Rates, Route, policy};

/// Puts what `change` makes of the configuration in force.
fn reconfigure(s: &mut Script, change: impl FnOnce(&mut Config)) -> Reply {
    let mut config = s.kernel.config().clone();
    change(&mut config);
    s.kernel.offer(config);
    let change = Change { key: "slots".to_owned(), from: None, to: Some("1".to_owned()) };
    s.operate("reconfigure", Command::Reconfigure { changes: vec![change] })
}

fn state(s: &Script, pid: Pid) -> &'static str {
    s.process(pid).state.word()
}

fn states<const N: usize>(s: &Script, pids: [Pid; N]) -> [&'static str; N] {
    pids.map(|pid| state(s, pid))
}

/// So many processes that ask `model` in their order.
fn asking<const N: usize>(s: &mut Script, model: &str) -> [Pid; N] {
    let pids = std::array::from_fn(|_| s.spawn(spec("a")));
    for pid in pids {
        s.step(pid, think(model));
    }
    pids
}

#[test]
fn fewer_slots_hold_for_what_starts_next() {
    let mut s = Script::new(config());
    let all = asking::<4>(&mut s, "n");
    let [a, b, c, _] = all;
    assert_eq!(states(&s, all), ["running", "running", "ready", "ready"]);
    let slots = |config: &mut Config| config.models.get_mut("n").unwrap().slots = 1;
    assert_eq!(reconfigure(&mut s, slots), Reply::Done);
    assert_eq!(states(&s, all), ["running", "running", "ready", "ready"], "nothing is lost");
    s.answer(a, 10, 1);
    assert_eq!(state(&s, c), "ready", "one slot is in use, and there is one");
    s.answer(b, 10, 1);
    assert_eq!(states(&s, all)[2..], ["running", "ready"]);
}

#[test]
fn more_slots_are_given_to_who_waits() {
    let mut s = Script::new(config());
    let all = asking::<3>(&mut s, "m");
    assert_eq!(states(&s, all), ["running", "ready", "ready"]);
    let slots = |config: &mut Config| config.models.get_mut("m").unwrap().slots = 2;
    reconfigure(&mut s, slots);
    assert_eq!(states(&s, all), ["running", "running", "ready"]);
}

#[test]
fn what_rates_held_back_counts_on_where_models_are_numbered_anew() {
    let mut with = config();
    let per_minute = Bounds { calls: Some(1), ..Bounds::default() };
    with.models.get_mut("n").unwrap().rates = Rates { per_minute, ..Rates::default() };
    let mut s = Script::new(with);
    let [_, b] = asking::<2>(&mut s, "n");
    let asked = s.now;
    s.after(20_000);
    let more = |config: &mut Config| {
        config.models.insert("a".to_owned(), ModelConfig::default());
    };
    reconfigure(&mut s, more);
    while state(&s, b) == "ready" {
        s.until_due();
    }
    let times = s.process(b).stats.times;
    assert_eq!((times.waited.0, times.throttled), (0, s.now.since(asked)));
}

#[test]
fn a_new_model_is_asked_by_who_waited_for_it() {
    let more = |config: &mut Config| {
        config.models.insert("a".to_owned(), ModelConfig::default());
    };
    let mut with = config();
    more(&mut with);
    let mut s = Script::new(with);
    // One that sorts before the others, so that all of them have other numbers without it.
    let [early] = asking::<1>(&mut s, "a");
    s.crash_into(config());
    let all = asking::<3>(&mut s, "n");
    assert_eq!(state(&s, early), "ready", "this kernel has no such model");
    reconfigure(&mut s, more);
    assert_eq!(state(&s, early), "running");
    assert_eq!(states(&s, all), ["running", "running", "ready"]);
    s.answer(all[0], 10, 1);
    s.answer(early, 10, 1);
    assert_eq!(states(&s, all), ["program", "running", "running"]);
}

#[test]
fn a_budget_that_shrinks_is_not_overshot() {
    let group = |tokens| GroupConfig {
        limits: Limits {
            tokens: Some(Tokens(tokens)),
            when_over: WhenOver::Ask,
            ..Limits::default()
        },
        ..GroupConfig::default()
    };
    let groups = [("g".to_owned(), group(1_000))].into();
    let mut s = Script::new(Config { groups, ..config() });
    let in_group = || SpawnSpec { group: "g".to_owned(), ..spec("a") };
    let (a, b) = (s.spawn(in_group()), s.spawn(in_group()));
    s.step(a, think("n"));
    let bound = |tokens| {
        move |config: &mut Config| {
            config.groups.insert("g".to_owned(), group(tokens));
        }
    };
    reconfigure(&mut s, bound(150));
    s.step(b, think("n"));
    assert_eq!(states(&s, [a, b]), ["running", "quota"], "100 of 150 are held");
    // It takes 60 of the 100 that were held.
    s.answer(a, 40, 20);
    assert_eq!(state(&s, b), "quota", "60 and 100 are more than 150");
    reconfigure(&mut s, bound(160));
    assert_eq!(state(&s, b), "running");
}

#[test]
fn what_a_person_bounded_stays_where_nothing_else_is_said() {
    let groups = [("g".to_owned(), GroupConfig::default())].into();
    let mut s = Script::new(Config { groups, ..config() });
    let a = s.spawn(SpawnSpec { group: "g".to_owned(), ..spec("a") });
    let budget = s.process(a).spec.budget;
    let limits = Box::new(tokens(50));
    s.operate("bound", Command::SetLimits { budget, limits });
    s.operate("fifo", Command::SetPolicy { policy: "fifo".to_owned() });
    reconfigure(&mut s, |config| config.tool_slots = 1);
    assert_eq!(s.kernel.budget(budget).unwrap().limits, tokens(50));
    assert_eq!(s.kernel.policy().name(), "fifo");
    reconfigure(&mut s, |config| config.policy = policy("priority").unwrap());
    assert_eq!(s.kernel.policy().name(), "priority");
}

#[test]
fn rates_that_shrink_count_what_is_in_flight() {
    let mut s = Script::new(config());
    let all = asking::<2>(&mut s, "n");
    let calls = |calls| Rates {
        per_minute: Bounds { calls: Some(calls), ..Bounds::default() },
        ..Rates::default()
    };
    reconfigure(&mut s, |config| config.models.get_mut("n").unwrap().rates = calls(3));
    let [c, d] = asking::<2>(&mut s, "n");
    all.iter().for_each(|pid| s.answer(*pid, 10, 1));
    assert_eq!(states(&s, [c, d]), ["running", "ready"], "three in this minute");
    reconfigure(&mut s, |config| config.models.get_mut("n").unwrap().rates = calls(4));
    assert_eq!(states(&s, [c, d]), ["running", "running"]);
}

#[test]
fn what_was_learned_of_a_device_is_kept() {
    let mut s = Script::new(config());
    let [a, b] = asking::<2>(&mut s, "m");
    let patience =
        failure(aosk_abi::FailureClass::RateLimited, ErrorCode::ModelRateLimited, Some(30));
    s.fail(a, patience);
    assert_eq!(state(&s, b), "ready", "the device asks for patience");
    let slots = |config: &mut Config| config.models.get_mut("m").unwrap().slots = 4;
    reconfigure(&mut s, slots);
    assert_eq!(state(&s, b), "ready");
    assert_eq!(s.kernel.next_deadline(), Some(Timestamp(30_000)));
}

#[test]
fn a_route_leads_elsewhere() {
    let to = |config: &mut Config, model| {
        drop(config.routes.insert("fast".to_owned(), Route::to(model)));
    };
    let mut s = Script::new(config());
    reconfigure(&mut s, |config| to(config, "m"));
    let [a, b] = asking::<2>(&mut s, "fast");
    assert_eq!(states(&s, [a, b]), ["running", "ready"]);
    reconfigure(&mut s, |config| to(config, "n"));
    assert_eq!(states(&s, [a, b]), ["running", "running"]);
    assert_eq!(s.process(b).state.call().unwrap().device(), "n");
}

#[test]
fn a_model_that_calls_may_wait_for_does_not_go() {
    let mut s = Script::new(config());
    let before = s.kernel.clone();
    let refused = reconfigure(&mut s, |config| {
        config.models.remove("n");
        config.tool_slots = 1;
    });
    let Reply::Refused(error) = refused else { panic!("{refused:?}") };
    assert_eq!(error.code, ErrorCode::ConfigInvalid);
    assert!(error.message.contains(" n "), "{error:?}");
    assert_eq!(s.kernel.config().tool_slots, before.config().tool_slots);
    let nothing = s.operate("again", Command::Reconfigure { changes: Vec::new() });
    assert!(matches!(nothing, Reply::Refused(_)), "what was refused is not offered any more");
}

#[test]
fn the_journal_says_what_is_new() {
    let mut s = Script::new(config());
    reconfigure(&mut s, |config| config.policy = policy("fifo").unwrap());
    let facts: Vec<_> =
        s.effects.last().unwrap().journal.iter().map(|entry| entry.fact.clone()).collect();
    let change = Change { key: "slots".to_owned(), from: None, to: Some("1".to_owned()) };
    let expected = [
        Fact::PolicySet { policy: "fifo".to_owned() },
        Fact::Reconfigured { changes: vec![change] },
    ];
    assert_eq!(facts, expected);
    let kernel: &Kernel = &s.kernel;
    assert_eq!(kernel.check(), Ok(()));
}

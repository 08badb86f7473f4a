//! Those who wait for room in a budget are let go as the policy has it.

use std::collections::BTreeMap;

use aosk_abi::{Command, Limits, MicroUsd, Pid, Price, SpawnSpec, Tokens};

use super::script::*;
use crate::{Config, ModelConfig, Rates, policy};

/// One model with a slot for everyone: what is scarce is the budget.
fn config(name: &str) -> Config {
    let model = ModelConfig { slots: 100, ..ModelConfig::default() };
    let models = BTreeMap::from([("m".to_owned(), model)]);
    Config { models, policy: policy(name).expect("known"), ..Config::default() }
}

/// As much as one call may use at worst, and a little of what those before it used.
const ROOM: u64 = 1_000;

fn ask(s: &mut Script, pid: Pid) {
    s.step(pid, think_of("m", 10, 790));
}

/// Processes of these priorities, of which the first has taken all the room and the others wait for it
/// in their order.
fn waiting(s: &mut Script, priorities: &[u8]) -> Vec<Pid> {
    let parent = s.spawn(SpawnSpec { priority: 0, ..with_limits("all", tokens(ROOM)) });
    let pids: Vec<_> = priorities.iter().map(|p| s.child(parent, with_priority("a", *p))).collect();
    for pid in &pids {
        ask(s, *pid);
    }
    assert!(pids.iter().skip(1).all(|pid| s.word(*pid) == "quota"));
    pids
}

/// Answers whoever runs until nobody does. Returns who ran, by its place in the list.
fn order(s: &mut Script, pids: &[Pid]) -> Vec<usize> {
    let mut order = Vec::new();
    while let Some(pid) = s.running() {
        order.extend(pids.iter().position(|one| *one == pid));
        s.answer(pid, 5, 5);
    }
    order
}

#[test]
fn each_policy_has_its_order_of_those_who_wait_for_room() {
    for (name, expected) in [
        ("priority", [0, 2, 4, 3, 1]),
        ("round-robin", [0, 1, 2, 3, 4]),
        ("fifo", [0, 1, 2, 3, 4]),
        ("fair", [0, 2, 4, 3, 1]),
    ] {
        let mut s = Script::new(config(name));
        let pids = waiting(&mut s, &[50, 80, 10, 50, 30]);
        assert_eq!(order(&mut s, &pids), expected, "{name}");
    }
}

#[test]
fn whoever_was_served_less_is_let_go_first() {
    let mut s = Script::new(config("fair"));
    let parent = s.spawn(with_limits("all", tokens(5_000)));
    let pids: Vec<_> = (0..3).map(|_| s.child(parent, spec("a"))).collect();
    let [first, greedy, modest] = pids[..] else { panic!("there are three") };
    s.step(greedy, think_of("m", 10, 1_000));
    s.answer(greedy, 10, 900);
    s.step(first, think_of("m", 10, 3_000));
    s.step(greedy, think_of("m", 10, 3_000));
    s.step(modest, think_of("m", 10, 3_000));
    assert_eq!([greedy, modest].map(|pid| s.word(pid)), ["quota"; 2]);
    assert_eq!(order(&mut s, &pids), [0, 2, 1]);
}

#[test]
fn a_tenant_with_many_who_wait_holds_up_nobody_of_another() {
    let limits = Limits { tokens: Some(Tokens(ROOM)), ..Limits::default() };
    let mut s = Script::new(Config { limits, ..config("fair") });
    let groups = ["big", "big/team", "big", "small", "big/team", "small"];
    let specs = groups.map(|group| SpawnSpec { group: group.to_owned(), ..spec("a") });
    let pids = specs.map(|spec| s.spawn(spec));
    for pid in pids {
        ask(&mut s, pid);
    }
    // The tenants take turns, as they would for a slot.
    assert_eq!(order(&mut s, &pids), [0, 3, 1, 5, 4, 2]);
}

#[test]
fn who_waits_moves_when_its_priority_or_the_policy_does() {
    let mut s = Script::new(config("priority"));
    let pids = waiting(&mut s, &[50, 50, 50, 50]);
    s.operate("renice", Command::Renice { pid: pids[3], priority: 20 });
    s.operate("renice", Command::Renice { pid: pids[1], priority: 90 });
    assert_eq!(order(&mut s, &pids), [0, 3, 2, 1]);
    let mut s = Script::new(config("priority"));
    let pids = waiting(&mut s, &[50, 90, 50, 20]);
    s.operate("policy", Command::SetPolicy { policy: "round-robin".to_owned() });
    assert_eq!(order(&mut s, &pids), [0, 1, 2, 3]);
}

#[test]
fn the_order_of_those_who_wait_outlives_a_crash() {
    let mut s = Script::new(config("priority"));
    let pids = waiting(&mut s, &[50, 80, 10, 30]);
    s.answer(pids[0], 5, 5);
    assert_eq!(s.running(), Some(pids[2]));
    s.crash();
    assert_eq!(order(&mut s, &pids), [2, 3, 1]);
}

#[test]
fn room_at_a_device_is_passed_on_when_the_first_is_refused_elsewhere() {
    let output = MicroUsd(1_000_000);
    let mut config = config("fair");
    config.models.values_mut().for_each(|model| {
        model.price = Price::flat(aosk_abi::Rates { output, ..Default::default() });
        model.rates = Rates { per_day: Some(MicroUsd(1_000)), ..Rates::default() };
    });
    let mut s = Script::new(config);
    let spender = s.spawn(spec("spender"));
    let bounded = s.spawn(with_limits("bounded", tokens(10_000)));
    let other = s.spawn(spec("other"));
    s.step(spender, think_of("m", 10, 500));
    s.answer(spender, 10, 400);
    for pid in [bounded, other] {
        s.step(pid, think_of("m", 10, 800));
    }
    assert_eq!([bounded, other].map(|pid| s.word(pid)), ["quota"; 2]);
    let limits = Box::new(tokens(1));
    let budget = s.process(bounded).spec.budget;
    s.operate("bound", Command::SetLimits { budget, limits });
    assert_eq!(s.word(bounded), "quota", "nobody asks whether it would fit elsewhere");
    s.until_due();
    assert_eq!([bounded, other].map(|pid| s.word(pid)), ["program", "running"]);
}

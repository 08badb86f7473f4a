//! `aosk why`: the sentence for every state there is, from rows and journal.

use std::collections::BTreeMap;

use aosk::abi::{
    Bounds, Choice, Command, ExitStatus, FailureClass, Limits, MicroUsd, Millis, ModelOutcome,
    Peer, Pid, Price, Rates as Prices, Signal, Syscall, Tokens, Usage, WhenOver, limits,
};
use aosk::kernel::{Config, GroupConfig, ModelConfig, Rates, Route};
use expect_test::{Expect, expect};
use regex::Regex;

use crate::machine::Machine;
use crate::rows::{Rows, call_shell, in_group, spec, think, with_limits};

/// The sentence with its times taken out.
fn why(machine: &Machine, pid: Pid) -> String {
    let ran = machine.aosk(&["why", &pid.0.to_string()]).expect(0);
    assert_eq!(ran.stderr, "", "{ran:#?}");
    assert_eq!(ran.stdout.lines().count(), 1, "one sentence: {ran:#?}");
    let mut text = ran.stdout.trim_end().to_owned();
    for (pattern, with) in [
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", "[WHEN]"),
        (r"\d\d:\d\d:\d\d, in [\d.]+ m?s", "[WHEN]"),
        (r"\b[\d.]+ m?s\b", "[SPAN]"),
    ] {
        text = Regex::new(pattern).expect("a pattern").replace_all(&text, with).into_owned();
    }
    text
}

/// What it says for programs; the sentence must be the same.
fn reason(machine: &Machine, pid: Pid) -> serde_json::Value {
    let value = machine.aosk(&["why", &pid.to_string(), "--json"]).expect(0).json();
    assert_eq!(value["pid"], pid.0);
    value
}

#[track_caller]
fn check(machine: &Machine, pid: Pid, word: &str, expected: &Expect) {
    expected.assert_eq(&why(machine, pid));
    assert_eq!(reason(machine, pid)["reason"], word);
}

fn scene(config: Config) -> (Machine, Rows) {
    let machine = Machine::new();
    let rows = Rows::new(&machine, config);
    (machine, rows)
}

/// A process, and one that does something with it, both beside each other.
fn two() -> (Machine, Rows, Pid, Pid) {
    let (machine, mut rows) = scene(Rows::config());
    let other = rows.spawn(spec("other"));
    let it = rows.spawn(spec("it"));
    (machine, rows, other, it)
}

#[test]
fn one_that_runs_or_is_about_to() {
    let (machine, mut rows, other, it) = two();
    let _ = other;
    check(&machine, it, "program", &expect!["p2 (it) has its program take a step now."]);
    rows.step(it, think());
    check(
        &machine,
        it,
        "running",
        &expect![
            "p2 (it) is running: m has worked on its call c1 (attempt 1) for [SPAN], and is given up at [WHEN]."
        ],
    );
}

#[test]
fn one_that_waits_for_a_slot_says_behind_whom() {
    let (machine, mut rows, other, it) = two();
    let third = rows.spawn(spec("third"));
    rows.step(other, think());
    rows.step(third, think());
    rows.step(it, think());
    check(
        &machine,
        it,
        "slot",
        &expect![
            "p2 (it) waits for a slot of m, behind 1 other, the first of which is p3 (third); p1 (other) runs there."
        ],
    );
    assert_eq!(reason(&machine, it)["ahead"], serde_json::json!([third.0]));
    check(
        &machine,
        third,
        "slot",
        &expect!["p3 (third) waits for a slot of m; p1 (other) runs there."],
    );
}

#[test]
fn a_tenant_that_has_had_more_than_its_share() {
    let groups = ["acme", "beta"].map(|name| (name.to_owned(), GroupConfig::default()));
    let (machine, mut rows) = scene(Config { groups: BTreeMap::from(groups), ..Rows::config() });
    let holder = rows.spawn(spec("holder"));
    let acme = rows.spawn(in_group("a", "acme"));
    rows.step(acme, think());
    rows.answer(acme, 90);
    rows.step(holder, think());
    rows.step(acme, think());
    let beta = rows.spawn(in_group("b", "beta"));
    rows.step(beta, think());
    check(
        &machine,
        acme,
        "slot",
        &expect![
            "p2 (a) waits for a slot of m, behind 1 other, the first of which is p3 (b); its tenant acme has had more of m than its share, and the other is behind; p1 (holder) runs there."
        ],
    );
}

#[test]
fn a_rate_that_is_used_up() {
    let per_minute = Bounds { calls: Some(1), ..Bounds::default() };
    let model = ModelConfig {
        slots: 4,
        rates: Rates { per_minute, per_day: None },
        ..ModelConfig::default()
    };
    let models = BTreeMap::from([("m".to_owned(), model)]);
    let (machine, mut rows) = scene(Config { models, ..Rows::config() });
    let (first, second) = (rows.spawn(spec("first")), rows.spawn(spec("second")));
    rows.step(first, think());
    rows.answer(first, 10);
    rows.step(second, think());
    check(
        &machine,
        second,
        "rate",
        &expect![
            "p2 (second) waits for a slot of m: the rate of 1 request a minute of m is used up until [WHEN]."
        ],
    );
}

#[test]
fn one_that_runs_on_a_route_says_why_there() {
    let priced = |usd: u64| {
        let rate = MicroUsd(usd * 1_000_000);
        let price = Price::flat(Prices { input: rate, output: rate, ..Prices::default() });
        ModelConfig { price, ..ModelConfig::default() }
    };
    let models = [("m", priced(100)), ("spare", priced(900))];
    let models = models.map(|(name, model)| (name.to_owned(), model));
    let backends = ["spare", "m"].map(|name| (name.to_owned(), 1)).to_vec();
    let route = Route { backends, choice: Choice::ByCost, ..Route::default() };
    let routes = BTreeMap::from([("m".to_owned(), route)]);
    let (machine, mut rows) = scene(Config { models: models.into(), routes, ..Rows::config() });
    let pids = ["first", "second"].map(|name| rows.spawn(spec(name)));
    for pid in pids {
        rows.step(pid, think());
    }
    check(
        &machine,
        pids[0],
        "running",
        &expect![
            "p1 (first) is running: m has worked on its call c1 (attempt 1) for [SPAN], and is given up at [WHEN]; the route m chose it by cost $0.0100, not spare $0.0900 (later by the rule)."
        ],
    );
    check(
        &machine,
        pids[1],
        "running",
        &expect![
            "p2 (second) is running: spare has worked on its call c1 (attempt 1) for [SPAN], and is given up at [WHEN]; the route m chose it by cost $0.0900, not m $0.0100 (busy)."
        ],
    );
}

#[test]
fn a_model_that_refused_or_is_left_alone() {
    let (machine, mut rows, other, it) = two();
    rows.step(other, think());
    rows.fail(other, FailureClass::RateLimited, Some(60));
    rows.step(it, think());
    check(
        &machine,
        other,
        "backoff",
        &expect![
            "p1 (other) asks m again at [WHEN] after 1 failed attempt, the last with model.rate_limited: asking m: the server says 503."
        ],
    );
    check(
        &machine,
        it,
        "refused",
        &expect![
            "p2 (it) waits for a slot of m: it refused for its rates, and is asked again at [WHEN]."
        ],
    );

    let (machine, mut rows) = scene(Config {
        models: BTreeMap::from([(
            "m".to_owned(),
            ModelConfig { slots: 20, ..ModelConfig::default() },
        )]),
        ..Rows::config()
    });
    let many: Vec<Pid> =
        (0..limits::CIRCUIT_FAILURES_MAX).map(|_| rows.spawn(spec("fails"))).collect();
    for pid in &many {
        rows.step(*pid, think());
    }
    for pid in &many {
        rows.fail(*pid, FailureClass::Transient, None);
    }
    let it = rows.spawn(spec("it"));
    rows.step(it, think());
    check(
        &machine,
        it,
        "circuit",
        &expect![
            "p9 (it) waits for a slot of m: it failed too often and is left alone; one call tries it at [WHEN]."
        ],
    );
}

#[test]
fn a_budget_without_room() {
    let (machine, mut rows) = scene(Rows::config());
    let per_minute = Bounds { tokens: Some(Tokens(150)), ..Bounds::default() };
    let timed = rows.spawn(with_limits("timed", Limits { per_minute, ..Limits::default() }));
    rows.step(timed, think());
    rows.answer(timed, 90);
    rows.step(timed, think());
    check(
        &machine,
        timed,
        "budget",
        &expect![
            "p1 (timed) waits to ask m for room in budget b2, which has none for 100 tokens in a minute (150 at most) until [WHEN]."
        ],
    );
    let ask = Limits { tokens: Some(Tokens(150)), when_over: WhenOver::Ask, ..Limits::default() };
    let asks = rows.spawn(with_limits("asks", ask));
    rows.step(asks, think());
    rows.answer(asks, 90);
    rows.step(asks, think());
    check(
        &machine,
        asks,
        "person",
        &expect![
            "p2 (asks) waits for a person to raise budget b3, which has no room for 100 tokens (100 of 150 used): `aosk run --resume --budget-tokens N`."
        ],
    );
    let held = Limits { tokens: Some(Tokens(150)), ..Limits::default() };
    let parent = rows.spawn(with_limits("parent", held));
    rows.step(parent, Syscall::Spawn { spec: Box::new(spec("child")) });
    let child = Pid(parent.0 + 1);
    rows.step(parent, think());
    rows.step(child, think());
    check(
        &machine,
        child,
        "slot",
        &expect!["p4 (child) waits for a slot of m; p3 (parent) runs there."],
    );
}

#[test]
fn a_budget_whose_room_is_held_by_others() {
    let model = ModelConfig { slots: 2, ..ModelConfig::default() };
    let models = BTreeMap::from([("m".to_owned(), model)]);
    let ask = Limits { tokens: Some(Tokens(150)), ..Limits::default() };
    let group = GroupConfig { priority: 50, limits: ask };
    let groups = BTreeMap::from([("acme".to_owned(), group)]);
    let (machine, mut rows) = scene(Config { models, groups, ..Rows::config() });
    let first = rows.spawn(in_group("first", "acme"));
    let second = rows.spawn(in_group("second", "acme"));
    rows.step(first, think());
    rows.step(second, think());
    check(
        &machine,
        second,
        "budget",
        &expect![
            "p2 (second) waits to ask m for room in budget b2 of the group acme, which has none for 100 tokens (0 of 150 used): 100 tokens are held for calls under way, and what they do not use comes back."
        ],
    );
}

#[test]
fn one_that_was_preempted_says_by_whom() {
    let (machine, mut rows, other, it) = two();
    rows.operate(Command::Renice { pid: other, priority: 0 });
    rows.step(it, think());
    rows.step(other, think());
    check(
        &machine,
        it,
        "running",
        &expect!["p2 (it) gives up its slot of m for another, and goes on later."],
    );
    rows.done(it, ModelOutcome::Yielded { begun: None, usage: Usage::default() });
    check(
        &machine,
        it,
        "preempted",
        &expect![
            "p2 (it) was preempted [SPAN] ago by p1 (other), which is more urgent, and waits for a slot of m; p1 (other) runs there."
        ],
    );
}

#[test]
fn one_that_waits_for_others_or_for_time() {
    let (machine, mut rows, other, it) = two();
    let from = Some(Peer::Pid(it));
    rows.step(other, Syscall::Receive { from, timeout: Some(Millis::from_secs(600)) });
    check(
        &machine,
        other,
        "message",
        &expect!["p1 (other) waits for a message from p2 (it), and gives up at [WHEN]."],
    );
    rows.step(it, Syscall::Spawn { spec: Box::new(spec("child")) });
    rows.step(it, Syscall::Wait { child: Some(Peer::Pid(Pid(3))), timeout: None });
    check(&machine, it, "child", &expect!["p2 (it) waits for the end of p3 (child)."]);
    rows.step(Pid(3), Syscall::Sleep { span: Millis::from_secs(600) });
    check(&machine, Pid(3), "timer", &expect!["p3 (child) sleeps and wakes at [WHEN]."]);
}

#[test]
fn one_that_waits_for_tools() {
    let (machine, mut rows) = scene(Config { tool_slots: 1, ..Rows::config() });
    let it = rows.spawn(spec("it"));
    rows.step(it, call_shell(2));
    check(
        &machine,
        it,
        "tool",
        &expect![
            "p1 (it) waits for the tool shell, which has run for [SPAN]; for shell, which waits for its turn or a slot; given up at [WHEN]."
        ],
    );
}

#[test]
fn one_that_was_stopped_or_asked_to_end() {
    let (machine, mut rows, other, it) = two();
    rows.step(it, think());
    rows.signal(it, Signal::Stop);
    check(
        &machine,
        it,
        "stopped",
        &expect![
            "p2 (it) was stopped and does nothing until CONT; its call of m goes on meanwhile."
        ],
    );
    rows.step(other, Syscall::Sleep { span: Millis::from_secs(600) });
    rows.signal(other, Signal::Stop);
    rows.signal(other, Signal::Term);
    let said = why(&machine, other);
    assert!(said.contains("does nothing until CONT; it was asleep before"), "{said}");
    assert!(said.contains("it was asked to end and is killed at [WHEN]"), "{said}");
}

#[test]
fn one_that_has_ended_or_is_ending() {
    let (machine, mut rows, other, it) = two();
    rows.step(it, Syscall::Spawn { spec: Box::new(spec("child")) });
    let child = Pid(3);
    rows.step(child, Syscall::Exit { status: ExitStatus::Finished, result: None });
    check(
        &machine,
        child,
        "ended",
        &expect!["p3 (child) has ended: finished; p2 has not taken its result yet."],
    );
    rows.step(it, think());
    rows.signal(it, Signal::Kill);
    check(
        &machine,
        it,
        "ending",
        &expect!["p2 (it) has ended (killed) and waits for 1 call to be confirmed cancelled."],
    );
    rows.step(other, Syscall::Exit { status: ExitStatus::Finished, result: None });
    check(&machine, other, "ended", &expect!["p1 (other) has ended: finished."]);
}

/// Where no kernel runs, nothing goes on, whatever the state; and one that is not there is said so.
#[test]
fn without_a_kernel_nothing_goes_on() {
    let (machine, mut rows, other, it) = two();
    rows.step(other, think());
    rows.step(it, Syscall::Sleep { span: Millis::from_secs(600) });
    drop(rows);
    // A process that another test starts holds the lock of the store with it until it is executed.
    crate::machine::until("the end of the kernel", || {
        let end = "; no kernel runs here, so nothing goes on before the next `aosk run --resume`.";
        why(&machine, it).ends_with(end).then_some(())
    });
    assert_eq!(reason(&machine, it)["kernel_runs"], false);
    let ran = machine.aosk(&["why", "99"]).expect(2);
    assert!(ran.error("kernel.no_such_process").contains("`aosk ps --all`"));
}

/// What time went to is counted by the kernel and told where processes are listed.
#[test]
fn time_is_told_by_what_it_went_to() {
    let (machine, mut rows, other, it) = two();
    rows.step(other, think());
    rows.step(it, think());
    rows.now = rows.now.after(Millis(1_500));
    rows.answer(other, 10);
    rows.fail(it, FailureClass::Transient, None);
    let backed_off = rows.now;
    rows.until_due();
    let held = rows.now.since(backed_off).0;
    rows.answer(it, 10);
    let all = machine.aosk(&["ps", "--json"]).expect(0).json();
    let of = |pid: usize, key: &str| all[pid - 1][key].as_u64().expect("a figure");
    assert_eq!((of(1, "waited_ms"), of(1, "ran_ms"), of(1, "throttled_ms")), (0, 1_500, 0));
    assert_eq!((of(2, "waited_ms"), of(2, "ran_ms"), of(2, "throttled_ms")), (1_500, 0, held));
    let wide = machine.aosk(&["ps", "--wide"]).expect(0);
    let head: Vec<&str> = wide.stdout.lines().next().expect("a head").split_whitespace().collect();
    assert!(head.ends_with(&["WAITED", "RAN", "THROTTLED", "PREEMPTED", "LOST"]), "{wide:#?}");
    let row: Vec<&str> = wide.stdout.lines().nth(2).expect("a row").split("  ").collect();
    assert!(row.iter().any(|cell| cell.trim() == "1.5 s"), "{wide:#?}");
    let shown = machine.aosk(&["show", "2"]).expect(0);
    assert!(shown.stdout.contains("waited 1.5 s for a model, was answered for 0 ms"), "{shown:#?}");
}

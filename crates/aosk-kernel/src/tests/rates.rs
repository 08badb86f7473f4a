//! Rates of devices and bounds in time: calls wait in the kernel and nothing is overrun.

use std::collections::BTreeMap;

use aosk_abi::{
    Bounds, BudgetId, Command, ErrorCode, FailureClass, Gauge, Input, Limits, MicroUsd, Millis,
    Pid, Price, RateReport, Release, Tokens, Usage, WhenOver,
};

use super::script::*;
use crate::{Config, ModelConfig, Rates, Route};

fn model(rates: Rates) -> Config {
    let model = ModelConfig { slots: 8, rates, ..ModelConfig::default() };
    Config { models: BTreeMap::from([("m".to_owned(), model)]), ..Config::default() }
}

fn calls(per_minute: u64) -> Rates {
    let per_minute = Bounds { calls: Some(per_minute), ..Bounds::default() };
    Rates { per_minute, ..Rates::default() }
}

fn started(s: &Script) -> usize {
    let releases = s.effects.iter().flat_map(|fx| &fx.releases);
    releases.filter(|release| matches!(release, Release::Think { .. })).count()
}

fn ready(s: &mut Script, count: usize) -> Vec<Pid> {
    let pids: Vec<_> = (0..count).map(|n| s.spawn(spec(&format!("a{n}")))).collect();
    for pid in &pids {
        s.step(*pid, think("m"));
    }
    pids
}

fn report(s: &mut Script, requests: Option<Gauge>, tokens: Option<Gauge>) {
    let report = RateReport { requests, tokens };
    s.apply("rates", Input::RateReported { device: "m".to_owned(), report });
}

fn gauge(limit: u64, remaining: u64, seconds: u64) -> Option<Gauge> {
    Some(Gauge { limit: Some(limit), remaining, reset: Millis::from_secs(seconds) })
}

#[test]
fn calls_beyond_the_rate_wait_in_the_kernel_in_the_order_of_the_policy() {
    let mut s = Script::new(model(calls(2)));
    let pids = ready(&mut s, 3);
    assert_eq!(started(&s), 2);
    assert_eq!(s.word(pids[2]), "ready");
    // Somebody more urgent is first when there is room.
    let urgent = s.spawn(with_priority("urgent", 0));
    s.step(urgent, think("m"));
    assert_eq!(started(&s), 2);
    s.until_due();
    assert!(s.now.0 > 60_000 && s.now.0 <= 61_000, "{:?}", s.now);
    assert_eq!((started(&s), s.word(urgent)), (4, "running"));
}

#[test]
fn tokens_are_counted_at_worst_in_advance_and_as_they_were_after() {
    let per_minute = Bounds { tokens: Some(Tokens(150)), ..Bounds::default() };
    let mut s = Script::new(model(Rates { per_minute, ..Rates::default() }));
    let pids = ready(&mut s, 2);
    assert_eq!(s.word(pids[1]), "ready", "two worst cases of 100 do not fit");
    s.answer(pids[0], 10, 20);
    assert_eq!(s.word(pids[1]), "running", "30 were used");
}

#[test]
fn a_call_larger_than_the_rate_goes_when_nothing_else_is_used() {
    let per_minute = Bounds { tokens: Some(Tokens(50)), ..Bounds::default() };
    let mut s = Script::new(model(Rates { per_minute, ..Rates::default() }));
    let pids = ready(&mut s, 2);
    assert_eq!((s.word(pids[0]), s.word(pids[1])), ("running", "ready"));
    s.answer(pids[0], 10, 90);
    s.until_due();
    assert_eq!(s.word(pids[1]), "running");
}

#[test]
fn rates_and_the_money_of_a_day_outlive_a_crash() {
    let per_day = Some(MicroUsd(190));
    let mut config = config();
    config.models.get_mut("m").expect("there").rates = Rates { per_day, ..Rates::default() };
    let mut s = Script::new(config);
    let pids = ready(&mut s, 1);
    s.answer(pids[0], 10, 90);
    s.crash();
    s.step(pids[0], think("m"));
    assert_eq!(s.word(pids[0]), "quota");
    s.until_due();
    assert!(s.now.0 > 24 * 3_600_000, "{:?}", s.now);
    assert_eq!(s.word(pids[0]), "running");
}

#[test]
fn what_the_provider_says_is_left_is_believed_where_it_is_less() {
    let mut s = Script::new(model(calls(10)));
    report(&mut s, gauge(10, 1, 20), None);
    let pids = ready(&mut s, 2);
    assert_eq!((s.word(pids[0]), s.word(pids[1])), ("running", "ready"));
    s.until_due();
    assert_eq!((s.now.0, s.word(pids[1])), (20_000, "running"));
}

#[test]
fn a_rate_that_nobody_configured_is_learned() {
    let mut s = Script::new(model(Rates::default()));
    report(&mut s, gauge(2, 2, 1), None);
    ready(&mut s, 3);
    assert_eq!(started(&s), 2);
}

#[test]
fn a_provider_that_lies_cannot_raise_a_rate_nor_stop_the_device_for_ever() {
    let mut s = Script::new(model(calls(2)));
    report(&mut s, gauge(1_000_000, 1_000_000, 0), gauge(0, 0, 1_000_000_000));
    ready(&mut s, 3);
    assert_eq!(started(&s), 2, "no more than is configured");
    let mut s = Script::new(model(calls(2)));
    report(&mut s, gauge(2, 0, 1_000_000_000), None);
    let pids = ready(&mut s, 1);
    s.until_due();
    assert!(s.now.0 <= 120_000, "{:?}", s.now);
    assert_eq!(s.word(pids[0]), "running");
}

#[test]
fn a_refusal_holds_back_all_calls_of_the_device_and_halves_them() {
    let mut s = Script::new(model(Rates::default()));
    let pids = ready(&mut s, 8);
    let refused = failure(FailureClass::RateLimited, ErrorCode::ModelRateLimited, Some(20));
    s.fail(pids[0], refused);
    s.answer(pids[1], 10, 1);
    s.step(pids[1], think("m"));
    assert_eq!(s.word(pids[1]), "ready", "a slot is free, and the device asked for patience");
    for pid in &pids[2..] {
        s.answer(*pid, 10, 1);
        s.step(*pid, think("m"));
    }
    s.until_due();
    assert_eq!(s.now.0, 20_000);
    let running = pids.iter().filter(|pid| s.word(**pid) == "running").count();
    // Seven calls ran beside the refused one, and the answers since gave one slot back each.
    assert!((4..=8).contains(&running), "{running}");
}

#[test]
fn a_budget_in_time_makes_calls_wait_and_lets_the_next_go_in_order() {
    let per_hour = Bounds { tokens: Some(Tokens(150)), ..Bounds::default() };
    let limits = Limits { per_hour, ..Limits::default() };
    let mut s = Script::new(model(Rates::default()));
    let parent = s.spawn(with_limits("a", limits));
    let children: Vec<_> = (0..2).map(|_| s.child(parent, spec("c"))).collect();
    s.step(parent, think("m"));
    for child in &children {
        s.step(*child, think("m"));
    }
    assert_eq!((s.word(children[0]), s.word(children[1])), ("quota", "quota"));
    s.answer(parent, 10, 20);
    assert_eq!((s.word(children[0]), s.word(children[1])), ("running", "quota"));
    s.answer(children[0], 10, 90);
    assert_eq!(s.word(children[1]), "quota", "130 of 150 are used in this hour");
    s.until_due();
    assert!(s.now.0 > 3_600_000 && s.now.0 <= 3_660_000, "{:?}", s.now);
    assert_eq!(s.word(children[1]), "running");
}

#[test]
fn a_budget_in_time_can_stop_its_processes_instead() {
    let per_day = Bounds { calls: Some(1), ..Bounds::default() };
    let limits = Limits { per_day, when_over: WhenOver::Stop, ..Limits::default() };
    let mut s = Script::new(model(Rates::default()));
    let pid = s.spawn(with_limits("a", limits));
    s.step(pid, think("m"));
    s.answer(pid, 10, 20);
    s.step(pid, think("m"));
    assert!(s.take().contains("out of budget: Calls"));
}

#[test]
fn one_call_may_be_bounded_whatever_is_left() {
    let per_call = Bounds { tokens: Some(Tokens(99)), ..Bounds::default() };
    let limits = Limits { per_call, when_over: WhenOver::Ask, ..Limits::default() };
    let mut s = Script::new(model(Rates::default()));
    let pid = s.spawn(with_limits("a", limits));
    s.step(pid, think_of("m", 10, 90));
    assert!(s.take().contains("out of budget: Tokens"));
    s.step(pid, think_of("m", 10, 89));
    assert_eq!(s.word(pid), "running");
}

#[test]
fn a_spent_budget_can_ask_a_person_and_goes_on_when_it_is_raised() {
    let limits = Limits { when_over: WhenOver::Ask, ..tokens(150) };
    let mut s = Script::new(model(Rates::default()));
    let pid = s.spawn(with_limits("a", limits));
    s.step(pid, think("m"));
    s.answer(pid, 10, 90);
    s.step(pid, think("m"));
    assert!(s.take().contains("budget.asked"));
    assert_eq!(s.word(pid), "quota");
    s.crash();
    assert_eq!(s.word(pid), "quota", "it waits across a crash");
    let budget = s.process(pid).spec.budget;
    let limits = Box::new(tokens(200));
    s.operate("raise", Command::SetLimits { budget, limits });
    assert_eq!(s.word(pid), "running");
    let refused = Command::SetLimits { budget: BudgetId(99), limits: Box::default() };
    assert!(matches!(s.operate("no such", refused), aosk_abi::Reply::Refused(_)));
}

#[test]
fn the_last_call_that_fits_is_told_so() {
    let mut s = Script::new(model(Rates::default()));
    let pid = s.spawn(with_limits("a", tokens(2_500)));
    s.step(pid, think_of("m", 10, 990));
    s.answer(pid, 10, 990);
    assert!(!s.take().contains("the last by"));
    s.step(pid, think_of("m", 10, 990));
    assert!(s.take().contains("the last by Tokens"));
    assert_eq!(s.budget(pid).reserved.tokens, Tokens(1_000), "the answer is as much shorter");
    // Where there is no room for what it would be told, it is not told.
    let pid = s.spawn(with_limits("b", tokens(100)));
    s.step(pid, think("m"));
    assert!(!s.take().contains("the last by"));
    assert_eq!(s.budget(pid).reserved.tokens, Tokens(100));
}

#[test]
fn two_names_for_a_full_device_wait_both() {
    let backends = vec![("m".to_owned(), 1)];
    let route = Route { backends, ..Route::default() };
    let routes = BTreeMap::from([("r".to_owned(), route)]);
    let mut s = Script::new(Config { routes, ..model(calls(1)) });
    let pids: Vec<_> = (0..3).map(|n| s.spawn(spec(&format!("a{n}")))).collect();
    for (pid, name) in pids.iter().zip(["m", "m", "r"]) {
        s.step(*pid, think(name));
    }
    assert_eq!(started(&s), 1);
    for expected in [2, 3] {
        s.until_due();
        assert_eq!(started(&s), expected);
    }
}

#[test]
fn a_rate_that_is_learned_counts_what_is_under_way() {
    let mut s = Script::new(model(Rates::default()));
    let pids = ready(&mut s, 2);
    report(&mut s, gauge(3, 3, 1), None);
    s.answer(pids[0], 10, 1);
    s.step(pids[0], think("m"));
    s.step(pids[0], exit());
    let others = ready(&mut s, 2);
    assert_eq!(started(&s), 3, "two were under way");
    assert_eq!(s.word(others[1]), "ready");
}

#[test]
fn what_the_provider_reads_from_its_cache_is_free_where_it_says_so() {
    for (reads_free, expected) in [(true, "running"), (false, "ready")] {
        let per_minute = Bounds { tokens: Some(Tokens(1_100)), ..Bounds::default() };
        let mut config = model(Rates { per_minute, ..Rates::default() });
        config.models.values_mut().for_each(|model| model.reads_free = reads_free);
        let mut s = Script::new(config);
        let pid = ready(&mut s, 1)[0];
        let cache_read = Tokens(900);
        let usage = Usage { cache_read, input_uncached: Tokens(10), ..Usage::default() };
        s.model_done(pid, answer(usage));
        s.step(pid, think_of("m", 900, 100));
        assert_eq!(s.word(pid), expected, "free: {reads_free}");
    }
}

#[test]
fn who_asks_a_person_asks_once() {
    let limits = Limits { when_over: WhenOver::Ask, ..tokens(250) };
    let mut s = Script::new(model(Rates::default()));
    let parent = s.spawn(with_limits("a", limits));
    let child = s.child(parent, spec("c"));
    s.step(parent, think("m"));
    s.answer(parent, 10, 90);
    s.step(child, think_of("m", 10, 90));
    s.step(parent, think_of("m", 10, 200));
    assert_eq!(s.word(parent), "quota");
    s.answer(child, 10, 20);
    s.step(child, think_of("m", 10, 20));
    s.answer(child, 10, 20);
    assert_eq!(s.take().matches("budget.asked").count(), 1);
    let budget = s.process(parent).spec.budget;
    s.operate("raise", Command::SetLimits { budget, limits: Box::new(tokens(5_000)) });
    assert_eq!(s.word(parent), "running");
}

#[test]
fn a_bound_that_is_set_counts_what_is_under_way() {
    let mut s = Script::new(model(Rates::default()));
    let parent = s.spawn(with_limits("a", tokens(5_000)));
    let children: Vec<_> = (0..2).map(|n| s.child(parent, spec(&format!("c{n}")))).collect();
    s.step(parent, think("m"));
    s.step(children[0], think("m"));
    let budget = s.process(parent).spec.budget;
    let per_minute = Bounds { tokens: Some(Tokens(250)), ..Bounds::default() };
    let limits = Limits { per_minute, ..Limits::default() };
    s.operate("bound", Command::SetLimits { budget, limits: Box::new(limits) });
    s.step(children[1], think("m"));
    assert_eq!(s.word(children[1]), "quota", "200 are under way");
    s.answer(parent, 10, 10);
    assert_eq!(s.word(children[1]), "running", "120 are used or under way");
}

#[test]
fn bounds_may_be_lowered_below_what_is_under_way() {
    let mut s = Script::new(model(Rates::default()));
    let parent = s.spawn(with_limits("a", tokens(5_000)));
    let child = s.child(parent, spec("c"));
    s.step(parent, think("m"));
    s.step(child, think("m"));
    let budget = s.process(parent).spec.budget;
    s.operate("lower", Command::SetLimits { budget, limits: Box::new(tokens(50)) });
    s.answer(parent, 10, 10);
    s.answer(child, 10, 10);
    s.step(child, think("m"));
    let told = s.take();
    assert!(
        told.contains("out of budget: Tokens"),
        "40 of 50 are used, and 100 may be needed: {told}"
    );
}

#[test]
fn a_route_leads_to_what_the_budget_allows() {
    let mut config = model(Rates::default());
    let dear =
        Price::flat(aosk_abi::Rates { input: MicroUsd(1_000_000_000), ..Default::default() });
    config.models.insert("dear".to_owned(), ModelConfig { price: dear, ..ModelConfig::default() });
    let backends = vec![("dear".to_owned(), 1), ("m".to_owned(), 1)];
    config.routes.insert("r".to_owned(), Route { backends, ..Route::default() });
    let mut s = Script::new(config);
    let poor = Limits { micro_usd: Some(MicroUsd(100)), ..Limits::default() };
    let pid = s.spawn(with_limits("a", poor));
    s.step(pid, think("r"));
    assert_eq!(s.word(pid), "running", "the first device is too dear");
    assert_eq!(s.process(pid).state.call().map(|call| call.device()), Some("m"));
}

#[test]
fn those_who_wait_behind_one_who_asks_ask_too() {
    let limits = Limits { calls: Some(1), when_over: WhenOver::Ask, ..Limits::default() };
    let mut s = Script::new(model(Rates::default()));
    let parent = s.spawn(with_limits("a", limits));
    let children: Vec<_> = (0..2).map(|n| s.child(parent, spec(&format!("c{n}")))).collect();
    s.step(parent, think("m"));
    s.step(children[0], think("m"));
    s.step(children[1], think("m"));
    s.take();
    s.answer(parent, 10, 10);
    assert_eq!(s.take().matches("budget.asked").count(), 2);
}

/// The clock is set back by so much before the next kernel begins.
fn set_back(s: &mut Script, by: Millis) {
    s.now = aosk_abi::Timestamp(s.now.0 - by.0);
    s.crash();
}

#[test]
fn a_clock_that_was_ahead_holds_no_call_back_beyond_the_span() {
    let year = Millis::from_secs(365 * 24 * 3_600);
    let mut s = Script::new(model(calls(2)));
    s.after(year.0 + 1);
    let pids = ready(&mut s, 3);
    report(&mut s, gauge(2, 0, 60), None);
    s.answer(pids[0], 10, 1);
    set_back(&mut s, year);
    let boot = s.now;
    assert_eq!(s.word(pids[2]), "ready", "what was used counts");
    s.until_due();
    assert!(s.now.since(boot) <= Millis(60_500), "{:?}", s.now.since(boot));
    assert_eq!(s.word(pids[2]), "running");
}

#[test]
fn who_waits_for_a_budget_does_not_wait_for_a_clock_that_was_ahead() {
    let year = Millis::from_secs(365 * 24 * 3_600);
    let per_hour = Bounds { calls: Some(1), ..Bounds::default() };
    let limits = Limits { per_hour, ..Limits::default() };
    let mut s = Script::new(model(Rates::default()));
    s.after(year.0 + 1);
    let pid = s.spawn(with_limits("a", limits));
    s.step(pid, think("m"));
    s.answer(pid, 10, 1);
    s.step(pid, think("m"));
    assert_eq!(s.word(pid), "quota");
    set_back(&mut s, year);
    let boot = s.now;
    assert_eq!(s.word(pid), "quota", "what was used counts");
    s.until_due();
    assert!(s.now.since(boot) <= Millis::from_secs(3_630), "{:?}", s.now.since(boot));
    assert_eq!(s.word(pid), "running");
}

/// Nobody else waits for a day because one call is dear.
#[test]
fn who_has_no_money_left_for_the_day_holds_up_nobody() {
    let mut config = model(Rates { per_day: Some(MicroUsd(1_000)), ..Rates::default() });
    let output = MicroUsd(1_000_000);
    let price = Price::flat(aosk_abi::Rates { output, ..Default::default() });
    config.models.values_mut().for_each(|model| {
        model.price = price;
        model.slots = 1;
    });
    let mut s = Script::new(config);
    let cheap = s.spawn(spec("cheap"));
    let [dear, ruinous] = ["dear", "ruinous"].map(|name| s.spawn(spec(name)));
    s.step(cheap, think_of("m", 10, 500));
    s.step(dear, think_of("m", 10, 800));
    s.step(ruinous, think_of("m", 10, 1_001));
    s.answer(cheap, 10, 400);
    assert_eq!(s.word(dear), "quota", "600 are left of 1,000");
    assert_eq!(s.word(ruinous), "program", "no day has enough: it is told so");
    s.step(cheap, think_of("m", 10, 500));
    assert_eq!(s.word(cheap), "running");
    s.answer(cheap, 10, 100);
    s.step(cheap, exit());
    s.step(ruinous, exit());
    s.until_due();
    assert_eq!((s.word(dear), s.now.0 > 24 * 3_600_000), ("running", true));
}

#[test]
fn who_waits_for_a_busy_model_keeps_nobody_from_another() {
    let mut config = model(Rates::default());
    config.models.values_mut().for_each(|model| model.slots = 1);
    config.models.insert("n".to_owned(), ModelConfig { slots: 2, ..ModelConfig::default() });
    let mut s = Script::new(config);
    let stranger = s.spawn(spec("stranger"));
    let parent = s.spawn(with_limits("a", tokens(220)));
    let [b, c] = ["b", "c"].map(|name| s.child(parent, spec(name)));
    s.step(stranger, think("m"));
    s.step(parent, think_of("n", 10, 200));
    s.step(b, think("m"));
    // Both wait for the budget once a slot is there to be had.
    s.answer(stranger, 10, 10);
    s.step(c, think_of("n", 10, 50));
    assert_eq!((s.word(b), s.word(c)), ("quota", "quota"));
    s.step(stranger, think("m"));
    assert_eq!(s.word(stranger), "running");
    s.answer(parent, 10, 10);
    assert_eq!((s.word(b), s.word(c)), ("ready", "running"), "n is free");
}

#[test]
fn who_is_let_go_above_and_waits_below_lets_the_next_one_try() {
    let mut s = Script::new(model(Rates::default()));
    let parent = s.spawn(with_limits("a", tokens(250)));
    let per_minute = Bounds { calls: Some(1), ..Bounds::default() };
    let slow = s.child(parent, with_limits("slow", Limits { per_minute, ..Limits::default() }));
    let grandchild = s.child(slow, spec("g"));
    let next = s.child(parent, spec("next"));
    s.step(parent, think_of("m", 10, 239));
    // Whoever is under the node below makes its one call of the minute.
    s.step(slow, think_of("m", 1, 1));
    s.step(grandchild, think("m"));
    s.step(next, think("m"));
    let words = |s: &Script| [slow, grandchild, next].map(|pid| s.word(pid));
    assert_eq!(words(&s), ["quota"; 3], "249 of 250 are held");
    s.answer(parent, 1, 1);
    assert_eq!(words(&s), ["running", "quota", "running"]);
}

#[test]
fn what_a_provider_said_of_its_rates_outlives_a_crash() {
    let mut s = Script::new(model(Rates::default()));
    let pid = ready(&mut s, 1)[0];
    report(&mut s, gauge(2, 1, 60), None);
    s.answer(pid, 10, 10);
    s.step(pid, exit());
    s.crash();
    let pids = ready(&mut s, 2);
    assert_eq!((s.word(pids[0]), s.word(pids[1])), ("running", "ready"), "one of two is used");
}

#[test]
fn the_last_call_of_a_day_is_told_so_where_the_day_ends_the_process() {
    for (when_over, told) in [(WhenOver::Stop, true), (WhenOver::Wait, false)] {
        let mut s = Script::new(model(Rates::default()));
        let per_day = Bounds { tokens: Some(Tokens(2_500)), ..Bounds::default() };
        let limits = Limits { per_day, when_over, ..Limits::default() };
        let pid = s.spawn(with_limits("a", limits));
        s.step(pid, think_of("m", 10, 990));
        s.answer(pid, 10, 990);
        s.take();
        s.step(pid, think_of("m", 10, 990));
        assert_eq!(s.take().contains("the last by Tokens"), told, "{when_over:?}");
    }
}

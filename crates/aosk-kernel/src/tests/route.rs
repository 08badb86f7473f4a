//! Which device of a route a call goes to, by which rule, and what is told of it.

use aosk_abi::{
    Abilities, Ability, Choice, ErrorCode, Fact, FailureClass, Hours, Limits, MicroUsd, Millis,
    OffPeak, Pid, Price, Quality, Rates, Reason, Syscall, Tokens,
};
use expect_test::expect;

use super::memory::{ANSWER, USER, answered, ask};
use super::script::*;
use crate::memory::{CacheRules, rules};
use crate::{Config, ModelConfig, Route};

/// A device with a slot whose tokens cost so many dollars for a million: input and output, a tenth of
/// the input where the cache knows it. Its provider caches nothing, if nobody says otherwise.
pub(super) fn device(input: u64, output: u64) -> ModelConfig {
    let (input, output) = (MicroUsd(input * 1_000_000), MicroUsd(output * 1_000_000));
    let cache_read = MicroUsd(input.0 / 10);
    let price = Price::flat(Rates { input, cache_read, cache_write: input, output });
    let (timeout, cache) = (Millis::from_secs(60), CacheRules::none());
    ModelConfig { slots: 1, price, timeout, cache, ..ModelConfig::default() }
}

/// A route `r` to these devices.
pub(super) fn route(choice: Choice, devices: &[(&str, ModelConfig)]) -> Config {
    let backends = devices.iter().map(|(name, _)| ((*name).to_owned(), 1)).collect();
    let models = devices.iter().map(|(name, model)| ((*name).to_owned(), model.clone()));
    let route = Route { backends, choice, ..Route::default() };
    let routes = [("r".to_owned(), route)].into();
    Config { models: models.collect(), routes, ..config() }
}

/// The route of a configuration that has one.
pub(super) fn the(config: &mut Config) -> &mut Route {
    config.routes.get_mut("r").expect("there is one")
}

/// Where the call of the process went last.
pub(super) fn on(s: &Script, pid: Pid) -> String {
    s.process(pid).state.call().map(|call| call.device().to_owned()).unwrap_or_default()
}

/// Where calls went since the last look, and why not elsewhere.
fn told(s: &mut Script) -> Vec<(String, Vec<(String, Reason)>)> {
    let facts = s.effects.iter().flat_map(|fx| &fx.journal);
    let routed = facts.filter_map(|entry| {
        let Fact::ModelRouted { device, passed, .. } = &entry.fact else { return None };
        let passed = passed.iter().map(|one| (one.device.clone(), one.why));
        Some((device.clone(), passed.collect()))
    });
    let told = routed.collect();
    s.effects.clear();
    told
}

/// Which device a new process is sent to that asks the route.
fn goes_to(s: &mut Script, call: Syscall) -> String {
    let pid = s.spawn(spec("p"));
    s.step(pid, call);
    on(s, pid)
}

#[test]
fn by_cost_the_cheapest_that_is_free_is_asked_and_the_reason_told() {
    let config = route(
        Choice::ByCost,
        &[("dear", device(9, 9)), ("cheap", device(1, 1)), ("fair", device(2, 2))],
    );
    let mut s = Script::new(config);
    let pids = [1, 2].map(|n| s.spawn(spec(&format!("p{n}"))));
    s.forget();
    s.step(pids[0], think("r"));
    s.step(pids[1], think("r"));
    s.expect(&expect![[r#"
        0s p1#1 think r 10+90
            * p1 model.called p1.c1 r with 1 pages 10+90
            * p1 model.routed p1.c1/1 to cheap 100 by cost, 0 cached, after 0 ms, not [fair 200 Later, dear 900 Later]
            think p1.c1/1 r on cheap with 1 pages
        0s p2#1 think r 10+90
            * p2 model.called p2.c1 r with 1 pages 10+90
            * p2 model.routed p2.c1/1 to fair 200 by cost, 0 cached, after 0 ms, not [cheap 100 Busy, dear 900 Later]
            think p2.c1/1 r on fair with 1 pages
    "#]]);
}

#[test]
fn what_an_answer_costs_counts_as_it_has_been() {
    // Dear in input or dear in output: which is cheaper depends on how long the answers are.
    let config = route(Choice::ByCost, &[("brief", device(1, 50)), ("long", device(5, 5))]);
    let mut s = Script::new(config);
    let pid = s.spawn(spec("p"));
    // As long as it may be is expected at first: 100 + 4500 to 500 + 450.
    s.step(pid, think_of("r", 100, 90));
    assert_eq!(on(&s, pid), "long");
    s.answer(pid, 100, 10);
    // Ten after ten: 100 + 500 to 500 + 50.
    s.step(pid, think_of("r", 100, 90));
    assert_eq!(on(&s, pid), "long");
    s.answer(pid, 100, 0);
    // Five on average: 100 + 250 to 500 + 25.
    s.step(pid, think_of("r", 100, 90));
    assert_eq!(on(&s, pid), "brief");
}

/// A conversation of 5000 tokens that is at `b` and asks again after a while.
fn sticks(a: u64, wait: Millis) -> String {
    let mut config = route(Choice::ByCost, &[("a", device(a, 1)), ("b", device(10, 1))]);
    for model in config.models.values_mut() {
        model.cache = rules("openai").expect("there are some");
    }
    let mut s = Script::new(config);
    let other = s.spawn(spec("other"));
    s.step(other, think("a"));
    let pid = s.spawn(spec("p"));
    ask(&mut s, pid, "r", 0, &[&[(USER, 5_000)]]);
    assert_eq!(on(&s, pid), "b", "the other is busy");
    answered(&mut s, pid);
    s.answer(other, 10, 1);
    s.after(wait.0);
    ask(&mut s, pid, "r", 1, &[&[(ANSWER, 100)], &[(USER, 100)]]);
    on(&s, pid)
}

#[test]
fn a_conversation_stays_where_its_prefix_is_cached_while_that_is_cheaper() {
    // 5210 tokens at 3 a token are more than 200 at 10 and the others at 1.
    assert_eq!(sticks(3, Millis(1)), "b");
    assert_eq!(sticks(1, Millis(1)), "a");
    // What has left the cache holds nobody.
    assert_eq!(sticks(3, Millis::from_secs(600)), "b");
    assert_eq!(sticks(3, Millis::from_secs(601)), "a");
}

#[test]
fn where_an_attempt_failed_nothing_is_taken_to_be_cached() {
    let mut config = route(Choice::ByCost, &[("a", device(3, 1)), ("b", device(10, 1))]);
    for model in config.models.values_mut() {
        model.cache = rules("openai").expect("there are some");
    }
    let mut s = Script::new(config);
    let pid = s.spawn(spec("p"));
    ask(&mut s, pid, "r", 0, &[&[(USER, 5_000)]]);
    assert_eq!(on(&s, pid), "a");
    s.fail(pid, transient());
    assert_eq!(on(&s, pid), "b");
    answered(&mut s, pid);
    ask(&mut s, pid, "r", 1, &[&[(ANSWER, 100)], &[(USER, 100)]]);
    assert_eq!(on(&s, pid), "b");
    s.effects.clear();
    s.fail(pid, transient());
    assert_eq!(told(&mut s), [("a".to_owned(), vec![("b".to_owned(), Reason::Failed)])]);
}

#[test]
fn by_quality_the_best_class_is_asked_and_of_it_the_cheapest() {
    let of = |quality, price| ModelConfig { quality, ..device(price, price) };
    let mut config = route(
        Choice::ByQuality,
        &[
            ("low", of(Some(Quality::Low), 1)),
            ("best", of(Some(Quality::High), 9)),
            ("good", of(Some(Quality::High), 8)),
            ("unknown", of(None, 0)),
        ],
    );
    let mut s = Script::new(config.clone());
    let went = [(); 4].map(|()| goes_to(&mut s, think("r")));
    assert_eq!(went, ["good", "best", "low", "unknown"]);
    // A least class leaves those out that are worse or not known, and the route has the last word.
    let route = the(&mut config);
    (route.choice, route.quality) = (Choice::ByCost, Some(Quality::Medium));
    route.classes = [("low".to_owned(), Quality::High), ("good".to_owned(), Quality::Low)].into();
    let mut s = Script::new(config);
    assert_eq!([(); 3].map(|()| goes_to(&mut s, think("r"))), ["low", "best", "r"]);
}

#[test]
fn by_latency_the_one_is_asked_that_was_fast() {
    let config = route(Choice::ByLatency, &[("a", device(1, 1)), ("b", device(1, 1))]);
    let mut s = Script::new(config);
    let pid = s.spawn(spec("p"));
    // Nothing is known of either; the first is slow then.
    for (goes, took) in [("a", 9_000), ("b", 500), ("b", 500), ("b", 500)] {
        s.step(pid, think("r"));
        assert_eq!(on(&s, pid), goes);
        s.after(took);
        s.answer(pid, 10, 90);
    }
    // Long after it is as good as one that was never asked, and that is slower than the second was.
    s.after(700_000);
    s.step(pid, think("r"));
    s.after(30_000);
    s.answer(pid, 10, 90);
    s.step(pid, think("r"));
    assert_eq!(on(&s, pid), "a");
}

#[test]
fn a_device_is_passed_over_whose_window_is_too_small() {
    let small = ModelConfig { context: Some(Tokens(1_000)), ..device(1, 1) };
    let large = ModelConfig { context: Some(Tokens(9_000)), ..device(5, 5) };
    let mut s = Script::new(route(Choice::ByCost, &[("large", large), ("small", small)]));
    let pids = [0, 1, 2].map(|n| s.spawn(spec(&format!("p{n}"))));
    s.effects.clear();
    s.step(pids[0], think_of("r", 911, 90));
    assert_eq!(on(&s, pids[0]), "large");
    // The next that is as long waits for it, and nobody behind it who is not.
    s.step(pids[1], think_of("r", 4_000, 90));
    s.step(pids[2], think_of("r", 910, 90));
    assert_eq!((s.word(pids[1]), on(&s, pids[2]).as_str()), ("ready", "small"));
    let window = |other: &str, why| vec![(other.to_owned(), why)];
    assert_eq!(
        told(&mut s),
        [
            ("large".to_owned(), window("small", Reason::Window)),
            ("small".to_owned(), window("large", Reason::Later)),
        ]
    );
    // What fits none is not asked.
    s.answer(pids[0], 911, 1);
    s.answer(pids[1], 4_000, 1);
    s.forget();
    s.step(pids[1], think_of("r", 8_911, 90));
    assert!(s.take().contains("model.context_length"));
}

#[test]
fn what_a_provider_finds_too_long_goes_to_a_larger_window() {
    let of = |context| ModelConfig { context: Some(Tokens(context)), ..device(1, 1) };
    let too_long = failure(FailureClass::Final, ErrorCode::ModelContextLength, None);
    let mut s = Script::new(route(Choice::InOrder, &[("a", of(1_000)), ("b", of(2_000))]));
    let pid = s.spawn(spec("p"));
    s.step(pid, think_of("r", 900, 90));
    assert_eq!(on(&s, pid), "a");
    s.fail(pid, too_long.clone());
    assert_eq!((s.word(pid), on(&s, pid).as_str()), ("running", "b"));
    // There is none that is larger than this.
    s.fail(pid, too_long.clone());
    assert_eq!(s.word(pid), "program");
    // Nor is it asked of one that is as small.
    let mut s = Script::new(route(Choice::InOrder, &[("a", of(1_000)), ("b", of(1_000))]));
    let pid = s.spawn(spec("p"));
    s.step(pid, think_of("r", 900, 90));
    s.fail(pid, too_long);
    assert_eq!(s.word(pid), "program");
}

#[test]
fn a_long_call_does_not_wait_in_the_rows_of_a_crash_for_what_cannot_take_it() {
    let small = ModelConfig { context: Some(Tokens(1_000)), ..device(1, 1) };
    let large = ModelConfig { context: Some(Tokens(9_000)), ..device(5, 5) };
    let mut s = Script::new(route(Choice::InOrder, &[("small", small), ("large", large)]));
    let pids = [0, 1].map(|n| s.spawn(spec(&format!("p{n}"))));
    for pid in pids {
        s.step(pid, think_of("r", 4_000, 90));
    }
    s.crash();
    assert_eq!((on(&s, pids[0]).as_str(), s.word(pids[1])), ("large", "ready"));
}

#[test]
fn a_device_is_passed_over_that_cannot_do_what_the_call_needs() {
    let of = |abilities: &[Ability], price| ModelConfig {
        abilities: Some(abilities.iter().copied().collect()),
        ..device(price, price)
    };
    let config = route(
        Choice::ByCost,
        &[
            ("blind", of(&[Ability::Tools], 1)),
            ("seeing", of(&[Ability::Images], 2)),
            ("unknown", device(3, 3)),
        ],
    );
    let asks = |needs: Abilities| {
        let Syscall::Relay { options, input, .. } = relay("r", 10) else { panic!("a relay") };
        Syscall::Relay { options, input, needs }
    };
    let needs = |abilities: &[Ability]| abilities.iter().copied().collect::<Abilities>();
    let goes = |wanted: &[Ability]| goes_to(&mut Script::new(config.clone()), asks(needs(wanted)));
    assert_eq!(goes(&[]), "blind");
    assert_eq!(goes(&[Ability::Images]), "seeing");
    assert_eq!(goes(&[Ability::Images, Ability::Tools]), "unknown");
    // All of them are told of a schema in words.
    let mut two = config.clone();
    the(&mut two).backends.pop();
    let mut s = Script::new(two);
    assert_eq!(goes_to(&mut s, asks(needs(&[Ability::Schema, Ability::Images]))), "seeing");
    let pid = s.spawn(spec("p"));
    s.forget();
    s.step(pid, asks(needs(&[Ability::Images, Ability::Tools])));
    let said = s.take();
    assert!(said.contains("model.unable"), "{said}");
}

#[test]
fn the_hour_at_which_a_call_begins_decides_what_it_costs_and_where_it_goes() {
    let peak = Hours::default().and((0, 6), (2, 4));
    let mut night = device(4, 4);
    let rates = Rates { input: MicroUsd(1_000_000), ..Rates::default() };
    night.price.off_peak = Some(OffPeak { rates, peak });
    let steady = device(2, 2);
    let mut s = Script::new(route(Choice::ByCost, &[("night", night), ("steady", steady)]));
    let pid = s.spawn(with_limits(
        "p",
        Limits { micro_usd: Some(MicroUsd(1 << 40)), ..Limits::default() },
    ));
    // From one to two it is dear.
    s.after(59 * 60_000 + 59_000);
    s.step(pid, think_of("r", 1_000, 90));
    assert_eq!(on(&s, pid), "night");
    // The dearest that it can be is reserved, and what it is when it begins is charged.
    assert_eq!(s.budget(pid).reserved.micro_usd, MicroUsd(4 * 1_090));
    s.after(2_000);
    s.answer(pid, 1_000, 90);
    assert_eq!(s.budget(pid).used.micro_usd, MicroUsd(1_000));
    s.step(pid, think_of("r", 1_000, 90));
    assert_eq!(on(&s, pid), "steady");
    s.answer(pid, 1_000, 90);
    s.after(60 * 60_000);
    s.step(pid, think_of("r", 1_000, 90));
    assert_eq!(on(&s, pid), "night");
}

#[test]
fn a_device_alone_is_told_nothing_of() {
    let mut s = Script::new(route(Choice::ByCost, &[("only", device(1, 1))]));
    let pid = s.spawn(spec("p"));
    s.step(pid, think("r"));
    assert_eq!(on(&s, pid), "only");
    assert_eq!(told(&mut s), []);
}

//! Calls that somebody outside asks, in their own words.

use std::collections::BTreeMap;

use aosk_abi::{
    Bounds, ErrorCode, Failure, Grant, Limits, Millis, ModelOutcome, Release, Tokens, Usage, limits,
};
use expect_test::expect;

use super::script::*;
use crate::{Config, ModelConfig};

#[test]
fn it_waits_for_a_slot_is_counted_and_shows_no_page() {
    let mut s = Script::new(config());
    let (a, b) = (s.spawn(spec("a")), s.spawn(spec("b")));
    s.step(a, relay("m", 500));
    s.step(b, relay("m", 40));
    s.forget();
    s.answer(a, 520, 30);
    s.answer(b, 40, 1);
    s.expect(&expect![[r#"
        0s p1.c1/1 answered
            * p1 model.answered p1.c1 @1 used 520+30 for $0.000580
            p1#2 <- answered @1 Stop
            think p2.c1/1 m with what was sent
        0s p2.c1/1 answered
            * p2 model.answered p2.c1 @1 used 40+1 for $0.000042
            p2#2 <- answered @1 Stop
    "#]]);
    let spend = s.process(a).stats.spend;
    assert_eq!((spend.tokens, spend.calls), (Tokens(550), 1));
}

#[test]
fn one_that_may_not_use_the_model_and_one_that_there_is_not_are_refused() {
    let mut s = Script::new(config());
    let mut capabilities = spec("a").capabilities;
    capabilities.models = Grant::only(["m", "gone"]);
    let a = s.spawn(with_capabilities("a", capabilities));
    for (model, code) in [("n", ErrorCode::Forbidden), ("gone", ErrorCode::ModelUnknown)] {
        s.forget();
        s.step(a, relay(model, 10));
        let said = s.take();
        assert!(said.contains(&format!("syscall.refused relay {code}")), "{said}");
    }
}

#[test]
fn one_that_would_wait_longer_than_its_client_is_told_when_to_come_back() {
    let bound = |minute: Option<u64>, hour: Option<u64>| {
        let of = |tokens: Option<u64>| Bounds { tokens: tokens.map(Tokens), ..Bounds::default() };
        Limits { per_minute: of(minute), per_hour: of(hour), ..Limits::default() }
    };
    for (limits, then) in [(bound(Some(150), None), "quota"), (bound(None, Some(150)), "program")] {
        let mut s = Script::new(config());
        let a = s.spawn(with_limits("a", limits));
        s.step(a, relay("m", 10));
        s.answer(a, 10, 90);
        s.after(5_000);
        s.forget();
        s.step(a, relay("m", 10));
        assert_eq!(s.word(a), then);
        let told = s.take();
        if then == "program" {
            assert!(told.contains("model.failed p1.c2 budget.exceeded"), "{told}");
            assert!(
                told.contains("out of budget: tokens an hour; there is room again in 36"),
                "{told}"
            );
            // One of the kernel's own waits.
            s.step(a, think("m"));
            assert_eq!(s.word(a), "quota");
        }
    }
}

#[test]
fn a_refusal_is_waited_out_and_what_was_heard_in_part_is_not_begun_anew() {
    let mut s = Script::new(config());
    let a = s.spawn(spec("a"));
    s.step(a, relay("m", 10));
    s.fail(a, transient());
    assert_eq!(s.word(a), "backoff", "nobody has heard anything");
    s.until_due();
    // The connection breaks in the middle of the answer.
    s.fail(a, Failure { usage: Some(used(7)), ..transient() });
    assert_eq!(s.word(a), "program");
    assert!(s.take().contains("model failed"), "the program is told");
    assert_eq!(s.process(a).stats.spend.tokens, Tokens(17), "what came is paid for");
}

#[test]
fn one_that_takes_too_long_is_asked_again_only_if_nothing_was_heard() {
    for (output, word) in [(0, "backoff"), (5, "program")] {
        let mut s = Script::new(config());
        let a = s.spawn(spec("a"));
        s.step(a, relay("m", 10));
        s.after(limits::MODEL_TIMEOUT.0);
        s.model_done(a, ModelOutcome::Cancelled { output: Tokens(output) });
        assert_eq!(s.word(a), word, "{output}");
    }
}

#[test]
fn one_that_is_too_long_for_its_model_is_not_cut() {
    let mut s = Script::new(config());
    let a = s.spawn(spec("a"));
    s.step(a, relay("m", 10));
    s.forget();
    let failure = failure(aosk_abi::FailureClass::Final, ErrorCode::ModelContextLength, None);
    s.fail(a, failure);
    let said = s.take();
    assert!(said.contains("model.failed") && !said.contains("memory.cut"), "{said}");
}

#[test]
fn nobody_takes_its_slot_and_it_has_no_time_slice() {
    let model = ModelConfig { slots: 1, continues: true, ..ModelConfig::default() };
    let models = BTreeMap::from([("m".to_owned(), model)]);
    let mut s = Script::new(Config { models, slice: Some(Millis(500)), ..Config::default() });
    let slow = s.spawn(with_priority("slow", 90));
    let urgent = s.spawn(with_priority("urgent", 0));
    s.step(slow, relay("m", 10));
    s.after(1_000);
    s.step(urgent, think_of("m", 10, 100));
    s.after(5_000);
    let releases = s.effects.iter().flat_map(|fx| &fx.releases);
    let yields = releases.filter(|release| matches!(release, Release::Yield { .. })).count();
    assert_eq!((yields, s.word(slow)), (0, "running"));
}

#[test]
fn after_a_crash_nobody_would_hear_it_in_whichever_state_it_was() {
    for word in ["running", "ready", "backoff", "quota"] {
        let limits = if word == "quota" { tokens(150) } else { Limits::default() };
        let mut s = Script::new(Config { limits, ..config() });
        let (other, a) = (s.spawn(spec("other")), s.spawn(spec("a")));
        if word == "ready" || word == "quota" {
            s.step(other, think(if word == "ready" { "m" } else { "n" }));
        }
        s.step(a, relay("m", 10));
        if word == "backoff" {
            s.fail(a, transient());
        }
        assert_eq!(s.word(a), word);
        s.forget();
        s.crash();
        let said = s.take();
        assert!(said.contains("model failed: asking m: the kernel stopped"), "{word}: {said}");
        assert!(!said.contains("with what was sent"), "{word}: {said}");
        assert_eq!(s.word(a), "program", "{word}");
    }
}

fn used(output: u64) -> Usage {
    Usage { input_uncached: Tokens(10), output: Tokens(output), ..Usage::default() }
}

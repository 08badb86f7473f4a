//! Summaries by a model, before the call for which pages leave.

use aosk_abi::{
    Body, Bounds, ErrorCode, FailureClass, FinishReason, Message, ModelOutcome, ModelReply, Pid,
    Release, Signal, Tokens, Usage,
};
use expect_test::expect;

use super::memory::*;
use super::script::*;
use crate::process::State;
use crate::{Config, Route};

/// A kernel whose model `n` makes summaries for a window of 1000 tokens.
fn summarising() -> Config {
    let mut config = small("summarise");
    config.summary_model = Some("n".to_owned());
    config
}

/// A process whose next question does not fit, so that a summary is asked for.
fn asked(s: &mut Script) -> Pid {
    let a = talk(s, "m", 5);
    ask(s, a, "m", 1, &[&[(ANSWER, 100)], &[(USER, 100)]]);
    a
}

fn says(s: &mut Script, pid: Pid, text: &str, output: u64, finish: FinishReason) {
    let body = Body::new(Message::assistant(text));
    let usage = usage(700, output);
    s.model_done(pid, ModelOutcome::Answered(Box::new(ModelReply { body, usage, finish })));
}

#[test]
fn a_model_is_asked_for_a_summary_and_then_the_call_is_made() {
    let mut s = Script::new(summarising());
    let a = asked(&mut s);
    let window = window(&s);
    assert_eq!(window.summarise, Some(Tokens(125)));
    expect!["2 assistant, 3 user, 4 assistant, 5 user, 6 assistant, 7 user, 8 assistant, 9 user; unchanged 0"].assert_eq(&shown(&s));
    assert_eq!(s.process(a).memory.space().shown().filter(|one| one.is_stub()).count(), 0);
    says(&mut s, a, "they greeted each other", 40, FinishReason::Stop);
    s.expect(&expect![[r#"
        0s p1#6 think m 10+90
            * p1 summary.called p1.c6 n for 2 to 9 1328+125
            think p1.c6/1 n with 8 pages
        0s p1.c6/1 answered
            * p1 summary.answered p1.c6 used 700+40 for $0.000000
            * p1 memory.cut p1.c7 Pressure 8 pages, 1110 to 408
            * p1 model.called p1.c7 m with 11 pages 408+90
            think p1.c7/1 m with 4 pages
    "#]]);
    expect![
        "1 user, 2 assistant summary of 8 in 98 by a model, 10 assistant, 11 user; unchanged 1"
    ]
    .assert_eq(&shown(&s));
    let before = s.process(a).memory.clone();
    s.crash();
    assert_eq!(s.process(a).memory, before);
    expect![
        "1 user, 2 assistant summary of 8 in 98 by a model, 10 assistant, 11 user; unchanged 0"
    ]
    .assert_eq(&shown(&s));
    // The next question finds it unchanged.
    answered(&mut s, a);
    ask(&mut s, a, "m", 1, &[&[(ANSWER, 10)], &[(USER, 10)]]);
    expect!["1 user, 2 assistant summary of 8 in 98 by a model, 10 assistant, 11 user, 12 assistant, 13 user; unchanged 4"].assert_eq(&shown(&s));
    assert_eq!((s.process(a).stats.summaries, s.process(a).stats.model_calls), (1, 6));
}

#[test]
fn what_is_no_summary_is_replaced_by_lines_from_the_pages_and_told() {
    type Done = fn(&mut Script, Pid);
    let done: [(&str, Done); 4] = [
        ("empty", |s, a| says(s, a, " ", 1, FinishReason::Stop)),
        ("too long", |s, a| says(s, a, "and so on", 125, FinishReason::Length)),
        ("withheld", |s, a| says(s, a, "no", 1, FinishReason::Refused)),
        ("failed", |s, a| {
            s.fail(a, failure(FailureClass::Final, ErrorCode::ModelBadRequest, None))
        }),
    ];
    for (name, done) in done {
        let mut s = Script::new(summarising());
        let a = asked(&mut s);
        done(&mut s, a);
        let told = s.take();
        assert!(told.contains("summary.failed p1.c6"), "{name}: {told}");
        assert!(shown(&s).contains("summary of 8 in 125,"), "{name}: {}", shown(&s));
        assert!(matches!(s.process(a).state, State::Running { .. }), "{name}");
    }
}

#[test]
fn a_summary_that_no_budget_allows_is_not_waited_for() {
    let mut s = Script::new(summarising());
    let a = s.spawn(with_limits("a", tokens(3_155)));
    ask(&mut s, a, "m", 0, &[&[(USER, 100)]]);
    for _ in 1..5 {
        answered(&mut s, a);
        ask(&mut s, a, "m", 1, &[&[(ANSWER, 100)], &[(USER, 100)]]);
    }
    answered(&mut s, a);
    s.forget();
    ask(&mut s, a, "m", 1, &[&[(ANSWER, 100)], &[(USER, 100)]]);
    s.expect(&expect![[r#"
        0s p1#6 think m 10+90
            * p1 summary.called p1.c6 n for 2 to 9 1328+125
            * p1 summary.failed p1.c6 budget.exceeded: summarising with n: out of budget: tokens
            * p1 memory.cut p1.c7 Pressure 8 pages, 1110 to 435
            * p1 model.called p1.c7 m with 11 pages 435+90
            think p1.c7/1 m with 4 pages, the last by Tokens
    "#]]);
}

#[test]
fn a_crash_while_a_summary_is_made_asks_for_it_again() {
    let mut s = Script::new(summarising());
    let a = asked(&mut s);
    s.forget();
    s.crash();
    assert_eq!(window(&s).summarise, Some(Tokens(125)));
    says(&mut s, a, "they greeted each other", 40, FinishReason::Stop);
    s.expect(&expect![[r#"
        0s crash and boot
            * node node.booted after 1 boots with 1 processes, asked again [p1.c6], called again [], interrupted []
            think p1.c6/2 n with 8 pages
        0s p1.c6/2 answered
            * p1 summary.answered p1.c6 used 700+40 for $0.000000
            * p1 memory.cut p1.c7 Pressure 8 pages, 1110 to 408
            * p1 model.called p1.c7 m with 11 pages 408+90
            think p1.c7/1 m with 4 pages
    "#]]);
    // Under a configuration without it nobody waits for it.
    let mut s = Script::new(summarising());
    let a = asked(&mut s);
    s.forget();
    s.crash_into(small("summarise"));
    s.expect(&expect![[r#"
        0s crash and boot
            * p1 summary.failed p1.c6 model.unknown: summarising with n: it is no longer the summary model
            * p1 memory.cut p1.c7 Pressure 8 pages, 1110 to 435
            * p1 model.called p1.c7 m with 11 pages 435+90
            * node node.booted after 1 boots with 1 processes, asked again [p1.c6], called again [], interrupted []
            think p1.c7/1 m with 4 pages
    "#]]);
    assert_eq!(window(&s).summarise, None);
    assert!(matches!(s.process(a).state, State::Running { .. }));
}

#[test]
fn signals_hold_while_a_summary_is_made() {
    let mut s = Script::new(summarising());
    let a = asked(&mut s);
    s.forget();
    s.signal(a, Signal::Stop);
    says(&mut s, a, "they greeted each other", 40, FinishReason::Stop);
    assert_eq!(s.word(a), "stopped");
    s.signal(a, Signal::Cont);
    assert_eq!(window(&s).summarise, None);
    let mut s = Script::new(summarising());
    let a = asked(&mut s);
    s.forget();
    s.signal(a, Signal::Term);
    s.model_done(a, cancelled());
    s.expect(&expect![[r#"
        0s operator signals p1 Term
            * p1 process.signalled Term
            cancel p1.c6/1
            reply: done
        0s p1.c6/1 cancelled
            * p1 model.charged p1.c6 1328 tokens, 1 calls, 1 steps
            * p1 model.failed p1.c6 model.cancelled: the process no longer wants the answer
            p1#7 <- terminated
    "#]]);
    let mut s = Script::new(summarising());
    let a = asked(&mut s);
    s.forget();
    s.signal(a, Signal::Kill);
    s.expect(&expect![[r#"
        0s operator signals p1 Kill
            * p1 process.signalled Kill
            * p1 model.failed p1.c6 model.cancelled: the process no longer wants the answer
            cancel p1.c6/1
            reply: done
    "#]]);
    // An answer in vain is an attempt that failed, and is made again.
    let mut s = Script::new(summarising());
    let a = asked(&mut s);
    s.until_due();
    s.model_done(a, cancelled());
    assert_eq!(s.word(a), "backoff");
    s.until_due();
    assert_eq!(window(&s).summarise, Some(Tokens(125)));
}

#[test]
fn who_may_not_use_the_model_gets_no_summary_of_it() {
    let mut s = Script::new(summarising());
    let mut may = aosk_abi::PermissionLevel::Full.capabilities();
    may.models = aosk_abi::Grant::only(["m"]);
    let a = s.spawn(with_capabilities("a", may));
    ask(&mut s, a, "m", 0, &[&[(USER, 100)]]);
    for _ in 0..5 {
        answered(&mut s, a);
        ask(&mut s, a, "m", 1, &[&[(ANSWER, 100)], &[(USER, 100)]]);
    }
    assert_eq!(window(&s).summarise, None);
    assert!(shown(&s).contains("summary of 8 in 125,"), "{}", shown(&s));
}

#[test]
fn a_summary_gives_up_its_slot_and_goes_on_later() {
    let mut config = summarising();
    let model = config.models.get_mut("n").expect("there");
    (model.slots, model.continues) = (1, true);
    let mut s = Script::new(config);
    let a = asked(&mut s);
    let urgent = s.spawn(with_priority("urgent", 0));
    s.forget();
    s.step(urgent, think_of("n", 10, 10));
    assert!(s.take().contains("yield p1.c6/1"), "it is cut off like any other");
    let begun = Body::new(Message::assistant("they greeted"));
    let used = Usage { output: Tokens(20), ..usage(700, 20) };
    s.model_done(a, ModelOutcome::Yielded { begun: Some(begun.clone()), usage: used });
    assert_eq!((s.running(), s.word(a)), (Some(urgent), "ready"));
    s.crash();
    s.answer(urgent, 10, 5);
    assert_eq!(window(&s).summarise, Some(Tokens(125)));
    let told = s.effects.iter().rev().flat_map(|fx| &fx.releases).find_map(|one| match one {
        Release::Think { begun, .. } => Some(*begun),
        Release::Tool(_)
        | Release::Cancel { .. }
        | Release::Yield { .. }
        | Release::Reply { .. } => None,
    });
    assert_eq!(told, Some(Some(begun.hash())), "it is given what was begun");
    says(&mut s, a, "they greeted each other", 10, FinishReason::Stop);
    // What it wrote in both attempts is not counted, so the most is taken.
    assert!(shown(&s).contains("summary of 8 in 125 by a model"), "{}", shown(&s));
    let stats = s.process(a).stats;
    assert_eq!((stats.summaries, stats.preempted, stats.output), (1, 1, Tokens(35)));
}

#[test]
fn a_route_makes_summaries_as_a_model_does() {
    let mut config = summarising();
    config.summary_model = Some("r".to_owned());
    config.routes.insert("r".to_owned(), Route::to("n"));
    let mut s = Script::new(config);
    let a = asked(&mut s);
    let told = s.take();
    assert!(told.contains("think p1.c6/1 r on n with 8 pages"), "{told}");
    says(&mut s, a, "they greeted each other", 40, FinishReason::Stop);
    assert!(shown(&s).contains("by a model"), "{}", shown(&s));
    // What it took counts for its share of that model, and the rest for that of the other.
    let served: Vec<_> = s.process(a).served.keys().cloned().collect();
    assert_eq!(served, ["m", "n"]);
}

#[test]
fn a_device_without_room_in_its_rates_lets_a_summary_wait() {
    let mut config = summarising();
    let calls = Bounds { calls: Some(1), ..Bounds::default() };
    config.models.get_mut("n").expect("there").rates.per_minute = calls;
    let mut s = Script::new(config);
    let other = s.spawn(with_priority("other", 50));
    s.step(other, think_of("n", 10, 10));
    s.answer(other, 10, 5);
    let a = asked(&mut s);
    assert_eq!(s.word(a), "ready");
    s.until_due();
    assert_eq!((s.word(a), window(&s).summarise), ("running", Some(Tokens(125))));
}

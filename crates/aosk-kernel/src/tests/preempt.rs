//! Running calls that give up their slots.

use std::collections::BTreeMap;

use aosk_abi::{
    Body, Bounds, ErrorCode, FailureClass, Message, Millis, ModelOutcome, Pid, PreemptCause,
    Release, SpawnSpec, Tokens, Usage, limits,
};

use super::script::*;
use crate::{Config, ModelConfig, Rates, Route, policy};

/// One slot of a model that can go on from what was begun, or cannot. Its answers take 20 ms a token
/// as far as the kernel knows.
fn config(continues: bool) -> Config {
    let model = ModelConfig { slots: 1, continues, ..ModelConfig::default() };
    Config { models: BTreeMap::from([("m".to_owned(), model)]), ..Config::default() }
}

/// A process of priority 50 whose call runs, and one of another priority that is not ready yet.
fn two(config: Config, priority: u8) -> (Script, Pid, Pid) {
    let mut s = Script::new(config);
    let slow = s.spawn(with_priority("slow", 50));
    let urgent = s.spawn(with_priority("urgent", priority));
    s.step(slow, think_of("m", 10, 1_000));
    s.forget();
    (s, slow, urgent)
}

fn yields(s: &Script) -> usize {
    let releases = s.effects.iter().flat_map(|fx| &fx.releases);
    releases.filter(|release| matches!(release, Release::Yield { .. })).count()
}

fn give_up(s: &mut Script, pid: Pid, begun: Option<&str>, output: u64) {
    let begun = begun.map(|text| Body::new(Message::assistant(text)));
    let usage = Usage { output: Tokens(output), estimated: true, ..Usage::default() };
    s.model_done(pid, ModelOutcome::Yielded { begun, usage });
}

#[test]
fn an_urgent_process_takes_the_slot_and_the_call_goes_on_later() {
    let (mut s, slow, urgent) = two(config(true), 10);
    s.after(3_000);
    s.step(urgent, think_of("m", 10, 100));
    assert_eq!(yields(&s), 1, "asked in the same input");
    assert_eq!(s.word(slow), "running", "the slot is held until it is confirmed");
    give_up(&mut s, slow, Some("so far"), 150);
    assert_eq!(s.running(), Some(urgent));
    assert_eq!(s.word(slow), "ready");
    s.answer(urgent, 10, 5);
    s.forget();
    assert_eq!(s.running(), Some(slow));
    let release = s.effects.iter().rev().flat_map(|fx| &fx.releases).find_map(|one| match one {
        Release::Think { begun, .. } => Some(*begun),
        Release::Tool(_)
        | Release::Cancel { .. }
        | Release::Yield { .. }
        | Release::Reply { .. } => None,
    });
    let begun = Body::new(Message::assistant("so far")).hash();
    assert_eq!(release, Some(Some(begun)), "it is given what was begun");
    s.answer(slow, 10, 100);
    let stats = s.process(slow).stats;
    // Both attempts are charged, and it was one call.
    assert_eq!((stats.output, stats.spend.calls), (Tokens(250), 1));
    assert_eq!((stats.preempted, stats.lost), (1, Tokens(0)));
}

#[test]
fn what_cannot_be_gone_on_from_is_lost_and_said_to_be() {
    let (mut s, slow, urgent) = two(config(false), 10);
    s.after(1_000);
    s.step(urgent, think_of("m", 10, 100));
    give_up(&mut s, slow, None, 50);
    assert_eq!(s.process(slow).stats.lost, Tokens(50));
    assert_eq!(s.running(), Some(urgent));
}

#[test]
fn a_call_that_would_lose_more_than_is_left_is_left_to_end() {
    let (mut s, _, urgent) = two(config(false), 10);
    // It is expected to take ten seconds.
    s.after(6_000);
    s.step(urgent, think_of("m", 10, 100));
    assert_eq!(yields(&s), 0);
}

#[test]
fn a_call_that_is_nearly_done_is_left_to_end() {
    let (mut s, _, urgent) = two(config(true), 10);
    s.after(9_500);
    s.step(urgent, think_of("m", 10, 100));
    assert_eq!(yields(&s), 0);
}

#[test]
fn little_more_urgent_is_not_enough() {
    for (priority, expected) in [(30, 1), (31, 0), (50, 0), (90, 0)] {
        let (mut s, _, other) = two(config(true), priority);
        s.step(other, think_of("m", 10, 100));
        assert_eq!(yields(&s), expected, "{priority}");
    }
}

#[test]
fn the_least_urgent_gives_way_and_of_equals_the_last() {
    let mut config = config(true);
    config.models.get_mut("m").expect("there").slots = 3;
    let mut s = Script::new(config);
    let running: Vec<_> = [50, 80, 80].map(|p| s.spawn(with_priority("a", p))).to_vec();
    for pid in &running {
        s.step(*pid, think_of("m", 10, 1_000));
        s.after(10);
    }
    let urgent = s.spawn(with_priority("urgent", 0));
    s.step(urgent, think_of("m", 10, 100));
    assert!(s.take().contains(&format!("yield {}.c1", running[2])));
    // One at a time: the next one waits until the first slot was given on.
    let other = s.spawn(with_priority("other", 0));
    s.step(other, think_of("m", 10, 100));
    assert_eq!(yields(&s), 1);
    give_up(&mut s, running[2], Some("x"), 1);
    assert_eq!(s.word(urgent), "running");
    assert!(s.take().contains(&format!("yield {}.c1", running[1])));
}

#[test]
fn a_call_is_cut_off_a_bounded_number_of_times() {
    let (mut s, slow, _) = two(config(true), 10);
    for _ in 0..limits::PREEMPTIONS_MAX {
        let urgent = s.spawn(with_priority("urgent", 0));
        s.step(urgent, think_of("m", 10, 100));
        give_up(&mut s, slow, Some("x"), 1);
        s.answer(urgent, 10, 1);
        assert_eq!(s.running(), Some(slow));
    }
    let before = yields(&s);
    let urgent = s.spawn(with_priority("urgent", 0));
    s.step(urgent, think_of("m", 10, 100));
    assert_eq!(yields(&s), before);
}

#[test]
fn policies_without_preemption_let_calls_end() {
    for name in ["fifo", "round-robin"] {
        let policy = policy(name).expect("known");
        let (mut s, _, urgent) = two(Config { policy, ..config(true) }, 0);
        s.step(urgent, think_of("m", 10, 100));
        assert_eq!(yields(&s), 0, "{name}");
    }
}

#[test]
fn a_call_yields_after_its_slice_if_others_wait() {
    let config = || Config { slice: Some(Millis::from_secs(5)), ..config(true) };
    let (mut s, slow, other) = two(config(), 50);
    s.after(5_000);
    assert_eq!(yields(&s), 0, "nobody waits");
    s.after(2_500);
    s.step(other, think_of("m", 10, 100));
    assert_eq!(yields(&s), 0, "its second slice is not over");
    // What runs longer than expected is expected to run on.
    s.after(2_500);
    assert_eq!(yields(&s), 1);
    let causes: Vec<_> = s
        .effects
        .iter()
        .flat_map(|fx| &fx.journal)
        .filter_map(|entry| {
            let aosk_abi::Fact::ModelPreempted { cause, by, .. } = &entry.fact else { return None };
            Some((*cause, *by))
        })
        .collect();
    assert_eq!(causes, [(PreemptCause::Slice, other)]);
    give_up(&mut s, slow, Some("x"), 10);
    assert_eq!(s.running(), Some(other));
    // A model that cannot go on from what was begun is never cut off for a slice.
    let plain = ModelConfig { slots: 1, ..ModelConfig::default() };
    let models = BTreeMap::from([("m".to_owned(), plain)]);
    let (mut s, _, other) = two(Config { models, ..config() }, 50);
    s.step(other, think_of("m", 10, 100));
    s.after(60_000);
    assert_eq!(yields(&s), 0);
}

#[test]
fn a_device_that_lost_what_was_written_is_not_sliced_again() {
    let config = || Config { slice: Some(Millis::from_secs(5)), ..config(true) };
    let (mut s, slow, other) = two(config(), 50);
    s.step(other, think_of("m", 10, 1_000));
    s.after(5_000);
    assert_eq!(yields(&s), 1);
    // It was thinking, and thoughts cannot be gone on from.
    give_up(&mut s, slow, None, 200);
    assert_eq!((s.running(), s.process(slow).stats.lost), (Some(other), Tokens(200)));
    s.after(60_000);
    assert_eq!(yields(&s), 1, "another one would lose as much");
    // A new kernel gives it a new chance, and nothing is learned of one that had written nothing.
    for (output, expected) in [(0, 2), (200, 1)] {
        let (mut s, slow, other) = two(config(), 50);
        s.step(other, think_of("m", 10, 1_000));
        s.after(5_000);
        give_up(&mut s, slow, None, output);
        s.after(5_000);
        assert_eq!(yields(&s), expected, "{output} tokens lost");
    }
}

#[test]
fn the_operator_says_which_devices_have_slices() {
    for (continues, says, expected) in
        [(false, None, 0), (false, Some(true), 1), (true, None, 1), (true, Some(false), 0)]
    {
        let mut config = Config { slice: Some(Millis::from_secs(2)), ..config(continues) };
        config.models.values_mut().for_each(|model| model.slices = says);
        let (mut s, _, other) = two(config, 50);
        s.step(other, think_of("m", 10, 1_000));
        s.after(2_000);
        assert_eq!(yields(&s), expected, "continues: {continues}, slices: {says:?}");
    }
}

#[test]
fn who_is_killed_while_it_gives_up_its_slot_gives_it_up() {
    let (mut s, slow, urgent) = two(config(true), 10);
    s.step(urgent, think_of("m", 10, 100));
    s.signal(slow, aosk_abi::Signal::Kill);
    assert_eq!(s.word(slow), "exiting");
    give_up_exiting(&mut s, slow);
    assert_eq!(s.running(), Some(urgent));
}

fn give_up_exiting(s: &mut Script, pid: Pid) {
    let outcome = ModelOutcome::Yielded { begun: None, usage: usage(10, 3) };
    s.model_done_of(pid, 1, 1, outcome);
}

#[test]
fn what_was_begun_outlives_a_crash() {
    let (mut s, slow, urgent) = two(config(true), 10);
    s.step(urgent, think_of("m", 10, 100));
    give_up(&mut s, slow, Some("so far"), 150);
    s.crash();
    s.answer(urgent, 10, 5);
    s.forget();
    assert_eq!(s.running(), Some(slow));
    let begun = s.process(slow).state.call().and_then(|call| call.begun);
    assert_eq!(begun, Some(Body::new(Message::assistant("so far")).hash()));
}

#[test]
fn a_device_that_cannot_go_on_is_not_given_what_was_begun() {
    let model = |continues| ModelConfig { slots: 1, continues, ..ModelConfig::default() };
    let models = [("a".to_owned(), model(true)), ("b".to_owned(), model(false))];
    let backends = ["a", "b"].map(|name| (name.to_owned(), 1)).to_vec();
    let route = Route { backends, ..Route::default() };
    let routes = [("m".to_owned(), route)];
    let config = Config { models: models.into(), routes: routes.into(), ..Config::default() };
    let (mut s, slow, urgent) = two(config, 10);
    let other = s.spawn(with_priority("other", 50));
    s.step(other, think_of("m", 10, 1_000));
    s.step(urgent, think_of("m", 10, 100));
    give_up(&mut s, slow, Some("so far"), 150);
    s.answer(other, 10, 5);
    let call = s.process(slow).state.call().expect("a call");
    assert_eq!((call.device(), call.begun), ("b", None));
    assert_eq!(s.process(slow).stats.lost, Tokens(150));
}

#[test]
fn a_slot_is_not_kept_for_one_that_the_rates_hold_back() {
    let tokens = Some(Tokens(1_500));
    let per_minute = Bounds { tokens, ..Bounds::default() };
    let mut config = config(true);
    config.models.get_mut("m").expect("there").rates = Rates { per_minute, ..Rates::default() };
    let (mut s, slow, urgent) = two(config, 10);
    let short = s.spawn(with_priority("short", 50));
    s.step(short, think_of("m", 10, 20));
    s.step(urgent, think_of("m", 10, 1_400));
    give_up(&mut s, slow, Some("so far"), 150);
    // There is no room for its call beside what was used, and for a short one there is.
    assert_eq!((s.word(urgent), s.word(short)), ("ready", "running"));
    // Nor is it looked for without end where nobody has room.
    let long = s.spawn(with_priority("long", 50));
    s.step(long, think_of("m", 10, 1_400));
    s.answer(short, 10, 20);
    assert_eq!((s.word(urgent), s.word(long)), ("ready", "ready"));
}

#[test]
fn an_answer_that_comes_all_the_same_is_taken() {
    let (mut s, slow, urgent) = two(config(true), 10);
    s.step(urgent, think_of("m", 10, 100));
    s.answer(slow, 10, 500);
    assert_eq!(s.word(slow), "program");
    assert_eq!((s.running(), s.process(slow).stats.preempted), (Some(urgent), 0));
}

#[test]
fn nobody_yields_to_whom_the_policy_or_the_end_of_the_kernel_gives_no_slot() {
    let config = || Config { slice: Some(Millis::from_secs(5)), ..config(true) };
    let (mut s, _, other) = two(config(), 50);
    s.step(other, think_of("m", 10, 100));
    s.operate("fifo", aosk_abi::Command::SetPolicy { policy: "fifo".to_owned() });
    s.after(60_000);
    assert_eq!(yields(&s), 0, "under fifo calls end");
    let (mut s, _, other) = two(config(), 50);
    s.step(other, think_of("m", 10, 100));
    s.apply("drain", aosk_abi::Input::Drain);
    s.after(60_000);
    assert_eq!(yields(&s), 0, "nothing would start in its place");
}

#[test]
fn who_is_told_to_end_while_it_yields_pays_for_its_input() {
    let (mut s, slow, urgent) = two(config(true), 10);
    s.step(urgent, think_of("m", 10, 100));
    s.signal(slow, aosk_abi::Signal::Term);
    give_up(&mut s, slow, Some("so far"), 150);
    assert_eq!(
        (s.process(slow).stats.input, s.process(slow).stats.output),
        (Tokens(10), Tokens(150))
    );
}

#[test]
fn nobody_is_cut_off_for_one_that_could_not_start() {
    // Its budget is too small: it is told so when it is its turn.
    let (mut s, _, _) = two(config(true), 10);
    let poor = s.spawn(SpawnSpec { priority: 0, ..with_limits("poor", tokens(50)) });
    s.step(poor, think_of("m", 10, 100));
    assert_eq!(yields(&s), 0);
    // The rate of the device has no room.
    let slice = Some(Millis::from_secs(5));
    let mut rated = Config { slice, ..config(true) };
    let per_minute = Bounds { calls: Some(1), ..Bounds::default() };
    rated.models.values_mut().for_each(|model| model.rates.per_minute = per_minute);
    let (mut s, _, other) = two(rated, 50);
    s.step(other, think_of("m", 10, 100));
    s.after(30_000);
    assert_eq!(yields(&s), 0, "the rate");
    // Another slot is free, and the device asked to be left alone.
    let mut wide = Config { slice, ..config(true) };
    wide.models.values_mut().for_each(|model| model.slots = 2);
    let (mut s, _, other) = two(wide, 50);
    s.step(other, think_of("m", 10, 100));
    s.fail(other, failure(FailureClass::RateLimited, ErrorCode::ModelRateLimited, Some(60)));
    s.after(30_000);
    assert_eq!(yields(&s), 0, "a slot is free");
}

#[test]
fn a_slice_ends_for_who_waits_under_another_name() {
    let mut config = Config { slice: Some(Millis::from_secs(5)), ..config(true) };
    let backends = vec![("m".to_owned(), 1)];
    config.routes.insert("r".to_owned(), Route { backends, ..Route::default() });
    let (mut s, _, other) = two(config, 50);
    s.step(other, think_of("r", 10, 100));
    s.after(6_000);
    assert_eq!(yields(&s), 1);
}

#[test]
fn a_policy_with_slices_gives_them_to_what_runs() {
    let slice = Some(Millis::from_secs(5));
    let (mut s, _, other) =
        two(Config { slice, policy: policy("fifo").unwrap(), ..config(true) }, 50);
    s.step(other, think_of("m", 10, 100));
    s.operate("fair", aosk_abi::Command::SetPolicy { policy: "fair".to_owned() });
    s.after(6_000);
    assert_eq!(yields(&s), 1);
}

#[test]
fn a_slot_that_was_given_up_goes_to_one_that_is_more_urgent_still() {
    let (mut s, slow, urgent) = two(config(true), 30);
    s.step(urgent, think_of("m", 10, 100));
    let most = s.spawn(with_priority("most", 5));
    // It may write little, so that it is the first of the two.
    s.step(most, think_of("m", 10, 10));
    give_up(&mut s, slow, Some("so far"), 10);
    assert_eq!(s.running(), Some(most));
}

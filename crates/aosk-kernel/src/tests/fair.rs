//! Shares of the models: equal and weighted, among groups, after sleep, across a crash.

use std::collections::BTreeMap;

use aosk_abi::{Command, ErrorCode, FailureClass, Pid, Signal, SpawnSpec, limits};

use super::script::*;
use crate::{Config, GroupConfig, ModelConfig, Route};

/// A device without prices: an output token takes four times what an input token takes.
fn config() -> Config {
    let model = ModelConfig { slots: 1, ..ModelConfig::default() };
    Config { models: BTreeMap::from([("m".to_owned(), model)]), ..Config::default() }
}

fn in_group(name: &str, group: &str) -> SpawnSpec {
    SpawnSpec { group: group.to_owned(), ..spec(name) }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
fn random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Answers so many calls; everyone asks again at once. Answers have from 10 to 640 tokens, half of
/// them fewer than 20. Returns the output tokens of each.
fn serve(s: &mut Script, seed: u64, calls: u32) -> BTreeMap<Pid, u64> {
    let mut seed = seed;
    let mut served: BTreeMap<Pid, u64> = BTreeMap::new();
    s.long_batch(|s| {
        for _ in 0..calls {
            let Some(pid) = s.running() else { break };
            let output = 10 << (random(&mut seed).trailing_ones().min(6));
            *served.entry(pid).or_default() += output;
            // All others are ready before the next one is chosen.
            s.answer(pid, 10, output);
            s.step(pid, think_of("m", 10, 1_000));
        }
    });
    served
}

fn start(s: &mut Script, specs: Vec<SpawnSpec>) -> Vec<Pid> {
    let pids: Vec<_> = specs.into_iter().map(|spec| s.spawn(spec)).collect();
    for pid in &pids {
        s.step(*pid, think_of("m", 10, 1_000));
    }
    pids
}

#[track_caller]
fn assert_share(served: u64, all: u64, share: f64, within: f64) {
    #[expect(clippy::cast_precision_loss, reason = "a test's tolerance is wider")]
    let got = served as f64 / all as f64;
    assert!((got / share - 1.0).abs() <= within, "a share of {got:.4}, wanted {share:.4}");
}

#[test]
fn equals_get_equal_shares_of_heavy_tailed_calls() {
    let mut s = Script::new(config());
    start(&mut s, (0..8).map(|n| spec(&format!("a{n}"))).collect());
    let served = serve(&mut s, 1, 4_000);
    let all = served.values().sum();
    assert_eq!(served.len(), 8);
    for one in served.values() {
        assert_share(*one, all, 0.125, 0.05);
    }
}

#[test]
fn shares_follow_priorities() {
    let mut s = Script::new(config());
    // Two of each: one alone is not ready again before the slot was given on.
    let priorities = [40, 50, 60, 40, 50, 60];
    let pids = start(&mut s, priorities.map(|p| with_priority("a", p)).to_vec());
    let served = serve(&mut s, 2, 4_000);
    let all = served.values().sum();
    for (pid, share) in pids.iter().zip([4.0, 2.0, 1.0, 4.0, 2.0, 1.0].map(|part| part / 14.0)) {
        assert_share(served[pid], all, share, 0.05);
    }
}

#[test]
fn a_tenant_with_many_agents_gets_no_more_than_one_with_few() {
    let mut s = Script::new(config());
    let mut specs: Vec<_> = (0..9).map(|n| in_group(&format!("a{n}"), "big")).collect();
    specs.push(in_group("lone", "small/team"));
    let pids = start(&mut s, specs);
    let served = serve(&mut s, 3, 3_000);
    assert_share(served[&pids[9]], served.values().sum(), 0.5, 0.05);
}

#[test]
fn groups_share_within_their_tenant_by_weight() {
    let groups = [("t/dear", 40), ("t/cheap", 50)].map(|(name, priority)| {
        (name.to_owned(), GroupConfig { priority, ..GroupConfig::default() })
    });
    let mut s = Script::new(Config { groups: groups.into(), ..config() });
    let names = ["t/dear", "t/cheap", "other"];
    let pids = start(&mut s, names.map(|group| in_group("a", group)).to_vec());
    let served = serve(&mut s, 4, 3_000);
    let all = served.values().sum();
    for (pid, share) in pids.iter().zip([1.0 / 3.0, 1.0 / 6.0, 0.5]) {
        assert_share(served[pid], all, share, 0.05);
    }
}

#[test]
fn of_two_that_are_as_far_the_shorter_call_goes_first() {
    let mut s = Script::new(config());
    let pids: Vec<_> = ["busy", "long", "short"].map(|name| s.spawn(spec(name))).to_vec();
    s.step(pids[0], think_of("m", 10, 100));
    s.step(pids[1], think_of("m", 10, 400));
    s.step(pids[2], think_of("m", 10, 20));
    s.answer(pids[0], 10, 100);
    assert_eq!(s.running(), Some(pids[2]));
}

#[test]
fn who_slept_has_no_claim_on_all_that_it_missed() {
    let mut s = Script::new(config());
    let pids = start(&mut s, vec![spec("a"), spec("b"), spec("sleeps")]);
    let sleeps = pids[2];
    // All have had something. Then one sleeps while the others are served far more than its credit.
    serve(&mut s, 5, 60);
    let calls = |s: &mut Script, count: u32| {
        let mut of_sleeper = 0_u32;
        s.long_batch(|s| {
            for _ in 0..count {
                let pid = s.running().expect("somebody is ready");
                s.answer(pid, 10, 1_000);
                s.step(pid, think_of("m", 10, 10_000));
                of_sleeper += u32::from(pid == sleeps);
            }
        });
        of_sleeper
    };
    s.signal(sleeps, Signal::Stop);
    calls(&mut s, 400);
    s.signal(sleeps, Signal::Cont);
    // A call is ready again only after the slot was given on, so a claim without bound would get every
    // second of the calls, and none at all every third. The credit is worth five.
    let got = calls(&mut s, 60);
    assert!((22..=26).contains(&got), "{got}");
}

#[test]
fn shares_outlive_a_crash() {
    let mut s = Script::new(config());
    let pids = start(&mut s, vec![spec("a"), spec("b")]);
    s.answer(pids[0], 10, 900);
    s.step(pids[0], think_of("m", 10, 1_000));
    assert_eq!(s.running(), Some(pids[1]));
    s.crash();
    // What was taken before the crash still counts: the one that was asked again goes first.
    assert_eq!(s.running(), Some(pids[1]));
    s.answer(pids[1], 10, 20);
    s.step(pids[1], think_of("m", 10, 1_000));
    s.answer(pids[0], 10, 20);
    assert_eq!(s.running(), Some(pids[1]));
}

#[test]
fn bad_groups_are_refused() {
    let mut s = Script::new(config());
    let long = "x".repeat(300);
    for name in ["/", "a/", "/b", "a/b/c", "a\nb", &long] {
        let reply = s.operate("spawn", Command::Spawn(Box::new(in_group("a", name))));
        let aosk_abi::Reply::Refused(error) = reply else { panic!("{name:?} was taken") };
        assert_eq!(error.code, ErrorCode::BadSyscall, "{name:?}");
    }
    let parent = s.spawn(in_group("p", "t"));
    s.step(parent, spawn(in_group("c", "other")));
    assert!(s.take().contains("only the operator chooses a group"));
}

#[test]
fn the_bounds_of_a_group_hold_for_all_in_it_and_outlive_them() {
    let limits = tokens(150);
    let groups = [("t".to_owned(), GroupConfig { limits, ..GroupConfig::default() })];
    let mut s = Script::new(Config { groups: groups.into(), ..config() });
    let first = s.spawn(in_group("a", "t"));
    s.step(first, think_of("m", 10, 90));
    s.answer(first, 10, 90);
    s.step(first, exit());
    s.crash();
    let second = s.spawn(in_group("b", "t/g"));
    s.step(second, think_of("m", 10, 90));
    assert!(s.take().contains("out of budget: Tokens"));
}

#[test]
fn a_route_leads_on_when_the_first_is_full_and_when_it_is_left_alone() {
    let model = ModelConfig { slots: 1, ..ModelConfig::default() };
    let models = ["a", "b"].map(|name| (name.to_owned(), model.clone()));
    let backends = [("a".to_owned(), 1), ("b".to_owned(), 1)].to_vec();
    let route = Route { backends, ..Route::default() };
    let routes = [("fast".to_owned(), route)];
    let mut s = Script::new(Config { models: models.into(), routes: routes.into(), ..config() });
    let pids: Vec<_> = (0..3).map(|n| s.spawn(spec(&format!("p{n}")))).collect();
    for pid in &pids {
        s.step(*pid, think("fast"));
    }
    assert_eq!((on(&s, pids[0]).as_str(), on(&s, pids[1]).as_str()), ("a", "b"));
    // Whatever falls free takes the next.
    s.answer(pids[1], 10, 1);
    assert_eq!(on(&s, pids[2]), "b");
    // The first fails until it is left alone; then its calls go to the second.
    let mut failures = 0;
    while failures < limits::CIRCUIT_FAILURES_MAX {
        match s.word(pids[0]) {
            "running" => {
                assert_eq!(on(&s, pids[0]), "a");
                s.fail(pids[0], transient());
                failures += 1;
            }
            "program" => s.step(pids[0], think("fast")),
            _ => s.until_due(),
        }
    }
    s.answer(pids[2], 10, 1);
    while s.word(pids[0]) != "running" {
        s.until_due();
    }
    assert_eq!(on(&s, pids[0]), "b");
}

/// What one device of a route asks for is not waited for while another answers.
#[test]
fn a_route_leads_on_when_the_first_refuses_for_its_rates() {
    let model = ModelConfig { slots: 1, ..ModelConfig::default() };
    let models = ["a", "b"].map(|name| (name.to_owned(), model.clone()));
    let backends = [("a".to_owned(), 1), ("b".to_owned(), 1)].to_vec();
    let route = Route { backends, ..Route::default() };
    let routes = [("fast".to_owned(), route)];
    let mut s = Script::new(Config { models: models.into(), routes: routes.into(), ..config() });
    let pid = s.spawn(spec("p"));
    s.step(pid, think("fast"));
    // Longer than is waited for where nobody else answers.
    let refused = failure(FailureClass::RateLimited, ErrorCode::ModelRateLimited, Some(3_600));
    s.fail(pid, refused);
    assert_eq!(on(&s, pid), "b");
}

/// One agent alone need not fail often enough that the device is left alone.
#[test]
fn a_call_that_fails_goes_to_the_next_of_its_route_at_once() {
    let model = ModelConfig { slots: 1, ..ModelConfig::default() };
    let models = ["a", "b"].map(|name| (name.to_owned(), model.clone()));
    let backends = [("a".to_owned(), 1), ("b".to_owned(), 1)].to_vec();
    let route = Route { backends, ..Route::default() };
    let routes = [("fast".to_owned(), route)];
    let config = Config { models: models.into(), routes: routes.into(), ..config() };
    let final_failure = |code| failure(FailureClass::Final, code, None);
    for failed in [transient(), final_failure(ErrorCode::ModelUnauthorized)] {
        let mut s = Script::new(config.clone());
        let pid = s.spawn(spec("p"));
        s.step(pid, think("fast"));
        assert_eq!(on(&s, pid), "a");
        s.fail(pid, failed.clone());
        assert_eq!((s.word(pid), on(&s, pid).as_str()), ("running", "b"));
        // When all have failed it waits, or is over if it would be without a route.
        s.fail(pid, failed.clone());
        let word = if failed.class == FailureClass::Final { "program" } else { "backoff" };
        assert_eq!(s.word(pid), word);
    }
    // What is wrong with the question is wrong everywhere.
    let mut s = Script::new(config);
    let pid = s.spawn(spec("p"));
    s.step(pid, think("fast"));
    s.fail(pid, final_failure(ErrorCode::ModelBadRequest));
    assert_eq!(s.word(pid), "program");
}

/// Where the call of the process went last.
fn on(s: &Script, pid: Pid) -> String {
    s.process(pid).state.call().map(|call| call.device().to_owned()).unwrap_or_default()
}

/// Has newcomers come one by one, each for one short call, and always one of them wait. Returns how
/// many were served before this one.
fn newcomers_before(s: &mut Script, patient: Pid) -> u32 {
    s.long_batch(|s| {
        for served in 0..300 {
            let next = s.spawn(spec("newcomer"));
            s.step(next, think_of("m", 10, 10));
            match s.running() {
                Some(pid) if pid == patient => return served,
                Some(pid) => {
                    s.answer(pid, 10, 10);
                    s.step(pid, exit());
                }
                None => return u32::MAX,
            }
        }
        u32::MAX
    })
}

#[test]
fn nobody_waits_for_ever_for_those_who_come_anew() {
    // Its call is expected to take fifty times what theirs do.
    let mut s = Script::new(config());
    let first = s.spawn(spec("first"));
    s.step(first, think_of("m", 10, 10));
    let patient = s.spawn(spec("patient"));
    s.step(patient, think_of("m", 10, 500));
    let before = newcomers_before(&mut s, patient);
    assert!((90..130).contains(&before), "{before}");
    // It is a quarter as important.
    let mut s = Script::new(config());
    let first = s.spawn(spec("first"));
    s.step(first, think_of("m", 10, 10));
    let patient = s.spawn(with_priority("patient", 70));
    s.step(patient, think_of("m", 10, 10));
    let before = newcomers_before(&mut s, patient);
    assert!((5..15).contains(&before), "{before}");
}

#[test]
fn no_tenant_waits_for_ever_for_those_who_come_anew() {
    let mut s = Script::new(config());
    let patient = s.spawn(in_group("patient", "acme"));
    s.step(patient, think_of("m", 10, 500));
    s.answer(patient, 10, 500);
    let first = s.spawn(spec("first"));
    s.step(first, think_of("m", 10, 10));
    s.step(patient, think_of("m", 10, 500));
    let before = newcomers_before(&mut s, patient);
    assert!((90..130).contains(&before), "{before}");
}

/// The node of a group outlives its processes, but that of a process does not; so each says itself
/// where it belongs, also when all else of it is gone.
#[test]
fn a_process_and_those_under_it_know_their_group() {
    let mut s = Script::new(config());
    let a = s.spawn(in_group("a", "acme/research"));
    let b = s.child(a, spec("b"));
    let c = s.spawn(spec("c"));
    let groups = |kernel: &crate::Kernel| {
        [a, b, c].map(|pid| kernel.process(pid).expect("lives").spec.group.clone())
    };
    let expected = ["acme/research", "acme/research", ""];
    assert_eq!(groups(&s.kernel), expected);
    let restored = crate::Kernel::restore(s.kernel.config.clone(), &s.image());
    assert_eq!(groups(&restored.expect("rows are whole")), expected);
}

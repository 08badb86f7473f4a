//! Many agents on scarce models: seeds, the large run, and the proof that what breaks the scheduler is
//! found.

use std::collections::BTreeSet;

use aosk_kernel::Mutant;
use aosk_sim::traffic::{Traffic, run};

/// Seeds within which every mutant must be found.
const SEEDS_MAX: u64 = 60;

/// What is broken for the judges of traffic to find, and by which rule they do.
pub(crate) const MUTANTS: [(Mutant, &str); 20] = [
    (Mutant::ShareUncorrected, "the first in the queue goes first"),
    (Mutant::ClockStandsStill, "the first in the queue goes first"),
    (Mutant::CreditUnbounded, "the first in the queue goes first"),
    (Mutant::GroupWeightIgnored, "the first in the queue goes first"),
    (Mutant::WindowNeverExpires, "nobody waits for room that there is"),
    (Mutant::WindowExpiresEarly, "nobody waits for room that there is"),
    (Mutant::RateUncounted, "no rate is overrun in any span"),
    (Mutant::PromiseIgnored, "a slot that was given up is for whom it was given up"),
    (Mutant::BegunDropped, "what was begun is gone on from where that can be"),
    (Mutant::YieldChargedTwice, "the first in the queue goes first"),
    (Mutant::RouteSticks, "no slot is idle while somebody waits for it"),
    (Mutant::RouteByList, "a route chooses by its rule"),
    (Mutant::PrefixForgotten, "a route chooses by its rule"),
    (Mutant::RouteImpatient, "a call waits for the better device that is busy"),
    (Mutant::PatienceIgnored, "a device that asks for patience is left alone"),
    (Mutant::PreemptionsUnbounded, "a call is cut off a bounded number of times"),
    (
        Mutant::MarginIgnored,
        "a call is cut off for one that is much more urgent, or after its slice",
    ),
    (Mutant::RaiseUnheard, "nobody waits for room that there is"),
    (Mutant::SlotsStay, "a slot is held by one call"),
    (Mutant::WaitersByArrival, "the first of those who wait for room is let go first"),
];

#[test]
fn traffic_breaks_no_rule_and_reaches_everything() {
    let mut seen = BTreeSet::new();
    let mut compared = 0;
    for seed in 0..100 {
        match run(&Traffic::of_seed(seed)) {
            Ok(figures) => {
                seen.extend(figures.seen);
                compared += figures.shares.compared;
            }
            Err(broken) => panic!("{broken}"),
        }
    }
    let expected = [
        "cut for a slice",
        "cut for the urgent",
        "quota",
        "let go before others",
        "reloaded",
        "fewer slots than calls",
        "chosen by rule",
        "took the worse",
        "took the worse after its wait",
    ];
    let missed: Vec<_> = expected.iter().filter(|what| !seen.contains(**what)).collect();
    assert!(missed.is_empty(), "never happened: {missed:?}");
    assert!(compared > 10, "{compared}");
}

#[test]
fn a_crowd_breaks_no_rule() {
    let case = Traffic { agents: 200, calls: 300, ..Traffic::crowd(1) };
    if let Err(broken) = run(&case) {
        panic!("{broken}");
    }
}

#[test]
fn a_seed_gives_the_same_run_every_time() {
    for seed in 0..5 {
        let case = Traffic::of_seed(seed);
        assert_eq!(run(&case), run(&case), "seed {seed}");
    }
}

#[test]
fn what_breaks_the_scheduler_is_found_by_the_rule_it_breaks() {
    for (mutant, rule) in MUTANTS {
        let breaks = |seed| {
            let broken = run(&Traffic::of_seed(seed).with_mutant(Some(mutant))).err();
            broken.is_some_and(|broken| broken.rule == rule)
        };
        assert!((0..SEEDS_MAX).any(breaks), "{mutant:?} does not break: {rule}");
    }
}

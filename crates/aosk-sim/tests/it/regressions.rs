//! Every seed that ever failed, with what it found.

use aosk_sim::{Case, Feature, run};

/// The seeds.
///
/// What a seed does changes with the generators. Whoever changes those finds the seeds anew: take
/// the repair back, run the simulator until it fails, put the repair and the new seed in.
const SEEDS: &[(u64, &str)] = &[
    (2, "tool calls of a process that was killed never ended in the journal"),
    (
        1307,
        "a call that waited for room was forgotten when the one before it came to wait further up",
    ),
    (98, "STOP and CONT prolonged the grace time of TERM"),
    (
        62,
        "a queued call of a tool that is gone after a restart left after the commit, without a slot",
    ),
    (22_033, "the simulated disk took a batch that was kept for lost, since it had no facts"),
];

#[test]
fn seeds_that_failed_once() {
    for (seed, found) in SEEDS {
        let case = Case::of_seed(*seed);
        // They were found with commits at once and no shutdowns; otherwise they are other runs.
        let found_in = case.features.without(Feature::InFlight).without(Feature::Shutdowns);
        let in_flight = found_in.with(Feature::InFlight);
        for features in [found_in, in_flight, in_flight.with(Feature::Shutdowns)] {
            if let Err(failure) = run(&Case { features, ..case.clone() }) {
                panic!("again: {found}\n{failure}");
            }
        }
    }
}

//! Every seed that ever failed, with what it found.

use aosk_sim::{Case, Feature, Features, run};

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

/// Those that failed when pages leave windows.
const SMALL_WINDOWS: &[(u64, &str)] = &[
    (1, "a page that left twice for the same call was told twice"),
    (9, "after a restart nobody knew what the tools take, and a window was cut too little"),
    (12, "pages left for a summary, or out of a sliding window, and no fact said so"),
    (34, "a task was pinned of which a part had left"),
    (38, "a summary took a call whose results stayed beyond it"),
    (41, "a page was brought back whose copy had left and which was there itself"),
    (99, "a stub that was merged into another no longer counted what it stood for"),
    (107, "what became a summary was taken for unchanged"),
    (117, "results slid out of the window before their call"),
];

/// Without what there was not when these seeds were found.
fn as_it_was(features: Features) -> Features {
    let new = [Feature::Rates, Feature::Groups, Feature::Spans, Feature::Continues];
    new.into_iter().fold(features, Features::without)
}

#[test]
fn seeds_that_failed_with_small_windows() {
    for (seed, found) in SMALL_WINDOWS {
        let case = Case::of_seed(*seed);
        let case = Case { features: as_it_was(case.features), ..case };
        assert!(case.has(Feature::SmallWindows), "seed {seed} is another run now");
        if let Err(failure) = run(&case) {
            panic!("again: {found}\n{failure}");
        }
    }
}

#[test]
fn seeds_that_failed_once() {
    for (seed, found) in SEEDS {
        let case = Case::of_seed(*seed);
        // They were found with commits at once, no shutdowns and windows without end; otherwise they
        // are other runs.
        let found_in =
            as_it_was(case.features).without(Feature::InFlight).without(Feature::Shutdowns);
        let found_in = found_in.without(Feature::SmallWindows).without(Feature::TooLong);
        let in_flight = found_in.with(Feature::InFlight);
        for features in [found_in, in_flight, in_flight.with(Feature::Shutdowns)] {
            if let Err(failure) = run(&Case { features, ..case.clone() }) {
                panic!("again: {found}\n{failure}");
            }
        }
    }
}

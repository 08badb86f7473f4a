//! Every known way to break the kernel is found: what the checker does not see, the simulator
//! proves nothing about.

use aosk_kernel::Mutant;
use aosk_sim::{Case, run, shrink};

/// Seeds within which every mutant must be found.
const SEEDS_MAX: u64 = 150;

#[test]
fn every_mutant_is_found() {
    let survivors: Vec<_> = Mutant::ALL
        .iter()
        .filter(|mutant| {
            !(0..SEEDS_MAX)
                .any(|seed| run(&Case::of_seed(seed).with_mutant(Some(**mutant))).is_err())
        })
        .collect();
    assert!(survivors.is_empty(), "not found with {SEEDS_MAX} seeds: {survivors:?}");
}

#[test]
fn a_failing_run_is_made_smaller() {
    let cases = (0..SEEDS_MAX).map(Case::of_seed).filter(|case| case.actions.len() < 20);
    let mut broken = cases.map(|case| case.with_mutant(Some(Mutant::SlotOversubscribed)));
    let failure = broken.find_map(|case| run(&case).err()).expect("this mutant is found");
    let before = failure.clone();
    let after = shrink(*failure);
    assert_eq!(after.rule, before.rule);
    assert!(after.case.actions.len() < before.case.actions.len(), "{after}");
    assert_eq!(run(&after.case).expect_err("it still fails").to_string(), after.to_string());
}

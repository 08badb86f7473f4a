//! Every known way to break the kernel, and the loop around it, is found: what the checker does not see, the simulator
//! proves nothing about.

use aosk_kernel::Mutant;
use aosk_sim::{Case, Defect, Failure, Feature, Features, ShellMutant, run, shrink};

use crate::traffic::MUTANTS;

/// Seeds within which every mutant must be found.
const SEEDS_MAX: u64 = 150;

/// Those that this world is to find; the others are found in traffic.
fn is_found_here(defect: Defect) -> bool {
    MUTANTS.iter().all(|(mutant, _)| defect != Defect::Kernel(*mutant))
}

/// The first failure of a broken run, if there is one.
fn first_failure(defect: Defect, world: impl Fn(Features) -> Features) -> Option<Failure> {
    (0..SEEDS_MAX).find_map(|seed| {
        let case = Case::of_seed(seed).with_defect(Some(defect));
        run(&Case { features: world(case.features), ..case }).err().map(|failure| *failure)
    })
}

fn in_flight(features: Features) -> Features {
    features.with(Feature::InFlight)
}

fn at_once(features: Features) -> Features {
    features.without(Feature::InFlight)
}

#[test]
fn every_mutant_is_found_with_commits_in_flight() {
    let survivors: Vec<_> = Defect::all()
        .filter(|defect| is_found_here(*defect))
        .filter(|defect| first_failure(*defect, in_flight).is_none())
        .collect();
    assert!(survivors.is_empty(), "not found with {SEEDS_MAX} seeds: {survivors:?}");
}

#[test]
fn every_mutant_of_the_kernel_is_found_with_commits_at_once() {
    let survivors: Vec<_> = Mutant::ALL
        .iter()
        .filter(|mutant| is_found_here(Defect::Kernel(**mutant)))
        .filter(|mutant| first_failure(Defect::Kernel(**mutant), at_once).is_none())
        .collect();
    assert!(survivors.is_empty(), "not found with {SEEDS_MAX} seeds: {survivors:?}");
}

#[test]
fn what_leaves_before_its_commit_is_confirmed_is_found() {
    let rule = "effects leave after their commit, in order";
    let early = Defect::Shell(ShellMutant::ReleasedAtHandOver);
    for world in [in_flight, at_once] {
        let failure = first_failure(early, world).expect("this mutant is found");
        assert_eq!(failure.rule, rule, "{failure}");
    }
    let mixed_up = Defect::Shell(ShellMutant::ReleasedWithAnother);
    let failure = first_failure(mixed_up, in_flight).expect("this mutant is found");
    assert_eq!(failure.rule, rule, "{failure}");
}

#[test]
fn what_breaks_a_shutdown_is_found_by_the_rule_it_breaks() {
    let ignored = Defect::Kernel(Mutant::DrainIgnored);
    let not_awaited = Defect::Shell(ShellMutant::CallsNotAwaited);
    let too_late = Defect::Shell(ShellMutant::CutOffIgnored);
    for (defect, rule) in [
        (ignored, "a draining kernel starts no call"),
        (not_awaited, "a shutdown in order leaves no call in flight"),
        (too_late, "effects leave after their commit, in order"),
    ] {
        let failure = first_failure(defect, in_flight).expect("this mutant is found");
        assert_eq!(failure.rule, rule, "{failure}");
    }
    let failure = first_failure(ignored, at_once).expect("this mutant is found");
    let after = shrink(failure);
    assert!(after.case.has(Feature::Shutdowns) && !after.case.has(Feature::InFlight), "{after}");
}

#[test]
fn a_failing_run_keeps_commits_in_flight_only_if_it_needs_them() {
    let needs = Defect::Shell(ShellMutant::HeldBackForgotten);
    let failure = first_failure(needs, in_flight).expect("this mutant is found");
    assert!(shrink(failure).case.has(Feature::InFlight));
    let needs_not = Defect::Kernel(Mutant::SlotOversubscribed);
    let failure = first_failure(needs_not, in_flight).expect("this mutant is found");
    let after = shrink(failure);
    assert!(!after.case.has(Feature::InFlight), "{after}");
}

#[test]
fn a_failing_run_is_made_smaller() {
    let cases = (0..SEEDS_MAX).map(Case::of_seed).filter(|case| case.actions.len() < 20);
    let mut broken =
        cases.map(|case| case.with_defect(Some(Defect::Kernel(Mutant::SlotOversubscribed))));
    let failure = broken.find_map(|case| run(&case).err()).expect("this mutant is found");
    let before = failure.clone();
    let after = shrink(*failure);
    assert_eq!(after.rule, before.rule);
    assert!(after.case.actions.len() < before.case.actions.len(), "{after}");
    assert_eq!(run(&after.case).expect_err("it still fails").to_string(), after.to_string());
}

//! Every seed that ever failed, with what it found.

use aosk_sim::{Case, run};

const SEEDS: &[(u64, &str)] = &[
    (12, "tool calls of a process that was killed never ended in the journal"),
    (28, "the same, for a process that ran out of wall time"),
    (33, "the same, for a call that still waited for a slot"),
    (415, "the checker took a process without room in its budget for one that was passed over"),
];

#[test]
fn seeds_that_failed_once() {
    for (seed, found) in SEEDS {
        if let Err(failure) = run(&Case::of_seed(*seed)) {
            panic!("again: {found}\n{failure}");
        }
    }
}

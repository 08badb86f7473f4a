//! Everyone in turn: a process goes to the end of the queue after each model call.

use super::{Candidate, Policy, Rank};

#[derive(Debug)]
pub(super) struct RoundRobin;

impl Policy for RoundRobin {
    fn name(&self) -> &'static str {
        "round-robin"
    }

    fn preempts(&self) -> bool {
        false
    }

    fn rank(&self, candidate: &Candidate) -> Rank {
        Rank(candidate.since, 0)
    }
}

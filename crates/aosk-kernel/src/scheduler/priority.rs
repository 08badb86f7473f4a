//! The most urgent first, and in turn among equals. A steady stream of urgent work starves the rest.

use super::{Candidate, Policy, Rank};

#[derive(Debug)]
pub(super) struct Priority;

impl Policy for Priority {
    fn name(&self) -> &'static str {
        "priority"
    }

    fn rank(&self, candidate: &Candidate) -> Rank {
        Rank(u64::from(candidate.priority), candidate.since)
    }
}

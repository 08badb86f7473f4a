//! First come, first served: of those that are ready, the process that was started first.

use super::{Candidate, Policy, Rank};

#[derive(Debug)]
pub(super) struct Fifo;

impl Policy for Fifo {
    fn name(&self) -> &'static str {
        "fifo"
    }

    fn rank(&self, candidate: &Candidate) -> Rank {
        Rank(candidate.pid.0, 0)
    }
}

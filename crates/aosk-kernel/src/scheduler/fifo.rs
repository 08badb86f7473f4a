//! First come, first served: of those that are ready, the process that was started first.

use super::{Candidate, Policy, Rank};

#[derive(Debug)]
pub(super) struct Fifo;

impl Policy for Fifo {
    fn name(&self) -> &'static str {
        "fifo"
    }

    fn preempts(&self) -> bool {
        false
    }

    fn slices(&self) -> bool {
        false
    }

    fn rank(&self, candidate: &Candidate) -> Rank {
        Rank(candidate.pid.0, 0)
    }
}

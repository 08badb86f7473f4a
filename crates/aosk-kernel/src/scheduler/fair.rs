//! To each its share, by weight: tenants first, then groups within a tenant, then processes. The
//! default.

use super::{Candidate, Levels, Policy, Rank};

#[derive(Debug)]
pub(super) struct Fair;

impl Policy for Fair {
    fn name(&self) -> &'static str {
        "fair"
    }

    fn levels(&self) -> Levels {
        Levels::Groups
    }

    fn rank(&self, candidate: &Candidate) -> Rank {
        Rank(candidate.finish, candidate.since)
    }
}

//! Who gets a free slot next.
//!
//! A policy gives every ready process a rank; the smallest rank goes first. A rank depends on the
//! candidate alone, so the queues can be built anew from the process table after a restart and when
//! the policy is changed.

mod fifo;
mod priority;
mod round_robin;

use std::fmt::Debug;

use aosk_abi::{Error, ErrorCode, Pid};

/// The place of a candidate in its queue; smaller goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank(pub u64, pub u64);

/// A process that wants a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub pid: Pid,
    /// 0 (most urgent) to 100.
    pub priority: u8,
    /// When it became ready, as a number that only grows.
    pub since: u64,
}

/// A scheduler policy.
pub trait Policy: Debug + Send + Sync {
    /// The name it is chosen by.
    fn name(&self) -> &'static str;

    /// Where the candidate stands.
    fn rank(&self, candidate: &Candidate) -> Rank;
}

/// The policy a kernel begins with unless told otherwise.
pub(crate) const DEFAULT: &dyn Policy = &priority::Priority;

/// Every policy there is.
const POLICIES: &[&dyn Policy] = &[&fifo::Fifo, &round_robin::RoundRobin, &priority::Priority];

/// The policy of this name.
///
/// # Errors
/// If there is none; the hint lists those there are.
pub fn policy(name: &str) -> Result<&'static dyn Policy, Error> {
    POLICIES.iter().copied().find(|policy| policy.name() == name).ok_or_else(|| {
        let names: Vec<_> = POLICIES.iter().map(|policy| policy.name()).collect();
        Error::new(ErrorCode::Usage, format!("choosing a scheduler policy: no such policy: {name}"))
            .hint(format!("policies: {}", names.join(", ")))
    })
}

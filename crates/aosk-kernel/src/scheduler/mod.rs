//! Who gets a free slot next.
//!
//! A policy gives every ready process a rank; the smallest rank goes first. A rank depends on the
//! candidate alone, so the queues can be built anew from the process table after a restart and when
//! the policy is changed. What a candidate has been served is counted whatever the policy, so `fair`
//! can take over at any time.
//!
//! To add a policy, write a type that implements [`Policy`] and name it in [`POLICIES`].

mod clock;
mod fair;
mod fifo;
mod priority;
mod round_robin;
mod run_queue;
mod service;
mod weight;

use std::fmt::Debug;

use aosk_abi::{Error, ErrorCode, Pid};

pub(crate) use self::clock::{Standing, start, virtual_time};
pub(crate) use self::run_queue::{Position, RunQueue, Way};
pub(crate) use self::service::{expected, expected_output, service};
pub use self::weight::weight;

/// The place of a candidate in its queue; smaller goes first.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
    /// What it was served when it became ready, divided by its weight, on the clock of its level.
    pub start: u64,
    /// The same with what the call is expected to take.
    pub finish: u64,
}

/// Among whom a rank holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Levels {
    /// Among all that are ready.
    One,
    /// Among the processes of one group. Groups of one tenant, and tenants, take turns by what they
    /// were served and by their weights.
    Groups,
}

/// A scheduler policy.
pub trait Policy: Debug + Send + Sync {
    /// The name it is chosen by.
    fn name(&self) -> &'static str;

    /// Among whom ranks hold.
    fn levels(&self) -> Levels {
        Levels::One
    }

    /// Whether a running call is cut off for a process that is so much more urgent that waiting for it
    /// would be wrong; who is cut off and when it is worth it is the kernel's rule (`preempt.rs`).
    fn preempts(&self) -> bool {
        true
    }

    /// Whether a call that has run for its time slice yields to those that wait.
    fn slices(&self) -> bool {
        true
    }

    /// Where the candidate stands. It must depend on nothing but the candidate.
    fn rank(&self, candidate: &Candidate) -> Rank;
}

/// The policy a kernel begins with unless told otherwise.
pub(crate) const DEFAULT: &dyn Policy = &fair::Fair;

/// Every policy there is.
const POLICIES: &[&dyn Policy] =
    &[&fair::Fair, &priority::Priority, &round_robin::RoundRobin, &fifo::Fifo];

/// The names of all policies.
pub fn policy_names() -> impl Iterator<Item = &'static str> {
    POLICIES.iter().map(|policy| policy.name())
}

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

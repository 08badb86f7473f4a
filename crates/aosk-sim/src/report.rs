//! What a run leaves: its measures, or the rule that was broken.

use std::collections::BTreeSet;
use std::fmt;

use aosk_abi::{Hash, Millis};

use crate::case::Case;

/// The measures of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Inputs applied.
    pub inputs: u64,
    /// Batches begun.
    pub batches: u64,
    /// Batches kept.
    pub commits: u64,
    /// Times the kernel died.
    pub crashes: u64,
    /// Times the kernel was stopped in order, cut off or not.
    pub shutdowns: u64,
    /// Entries of the journal.
    pub facts: u64,
    /// Processes that lived.
    pub processes: u64,
    /// Processes whose end was written down.
    pub exits: u64,
    /// Model calls that devices were given.
    pub model_calls: u64,
    /// Tool calls that devices were given.
    pub tool_calls: u64,
    /// Replies to the operator.
    pub replies: u64,
    /// Time that passed in the simulated world.
    pub virtual_time: Millis,
    /// The hash of all that was stored in the end.
    pub state: Hash,
    /// Kinds of facts, wakes, states, signals and deaths of the kernel that occurred.
    pub seen: BTreeSet<String>,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            inputs: 0,
            batches: 0,
            commits: 0,
            crashes: 0,
            shutdowns: 0,
            facts: 0,
            processes: 0,
            exits: 0,
            model_calls: 0,
            tool_calls: 0,
            replies: 0,
            virtual_time: Millis::ZERO,
            state: Hash::ZERO,
            seen: BTreeSet::new(),
        }
    }
}

impl Report {
    /// Adds the measures of another run.
    pub fn add(&mut self, other: &Self) {
        self.inputs += other.inputs;
        self.batches += other.batches;
        self.commits += other.commits;
        self.crashes += other.crashes;
        self.shutdowns += other.shutdowns;
        self.facts += other.facts;
        self.processes += other.processes;
        self.exits += other.exits;
        self.model_calls += other.model_calls;
        self.tool_calls += other.tool_calls;
        self.replies += other.replies;
        self.virtual_time += other.virtual_time;
        self.state = Hash::of(&[self.state.0, other.state.0].concat());
        self.seen.extend(other.seen.iter().cloned());
    }
}

/// A rule that was broken in a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// The run.
    pub case: Case,
    /// The rule.
    pub rule: &'static str,
    /// How it was broken.
    pub what: String,
    /// How long after the beginning.
    pub at: Millis,
    /// After how many inputs.
    pub inputs: u64,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { case, rule, what, at, inputs } = self;
        write!(f, "broken after {at} and {inputs} inputs: {rule}\n  {what}\n  in {case}")
    }
}

impl std::error::Error for Failure {}

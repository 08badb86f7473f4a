//! What the journal says of a process and of a model.

use std::collections::BTreeMap;

use aosk_abi::{
    CallId, Choice, Error, Fact, FailureClass, PassedOver, Pid, PreemptCause, Timestamp, limits,
};
use aosk_store::{JournalQuery, Reader};

use crate::inspect;

/// Entries at the end of the journal that are looked at for the health of a model. What matters
/// happened in the last minutes.
const TAIL: u64 = 8_192;

/// Goes through what a process did.
pub(super) fn of_process(
    reader: &dyn Reader,
    pid: Pid,
    mut each: impl FnMut(Timestamp, Fact),
) -> Result<(), Error> {
    let query = JournalQuery { pid: Some(pid), ..JournalQuery::default() };
    inspect::journal(reader, &query, |entry| {
        if let Some(fact) = Fact::read(&entry.kind, &entry.data) {
            each(entry.at, fact);
        }
        true
    })
}

/// What the last entries say that rows do not.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// The policy in force, if it was changed while the kernel ran.
    pub(super) policy: Option<String>,
    /// Who got the slot of a call that was cut off, why, and when.
    pub(super) preempted: BTreeMap<CallId, (Pid, PreemptCause, Timestamp)>,
    /// Where calls to names of several models went last.
    pub(super) routed: BTreeMap<CallId, Routed>,
    health: BTreeMap<String, Health>,
}

/// Where a call went, and why not elsewhere.
#[derive(Debug)]
pub(super) struct Routed {
    pub(super) device: String,
    pub(super) by: Choice,
    pub(super) figure: Option<u64>,
    pub(super) passed: Vec<PassedOver>,
}

/// What a model's failures lead to.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Health {
    /// Until when it is left alone after failures in a row.
    pub(super) open_until: Option<Timestamp>,
    /// Until when it asked for patience.
    pub(super) refused_until: Option<Timestamp>,
    failures: u32,
}

impl Past {
    /// Reads the end of the journal. `asked` says which model a call asked, if the journal no longer
    /// does.
    pub(super) fn read(
        reader: &dyn Reader,
        asked: BTreeMap<CallId, String>,
    ) -> Result<Self, Error> {
        let mut past = Self::default();
        let mut asked = asked;
        let from = reader.head()?.length.saturating_sub(TAIL).max(1);
        let query = JournalQuery { from, ..JournalQuery::default() };
        inspect::journal(reader, &query, |entry| {
            if let Some(fact) = Fact::read(&entry.kind, &entry.data) {
                past.note(entry.at, fact, &mut asked);
            }
            true
        })?;
        Ok(past)
    }

    /// The health of a model.
    pub(super) fn health(&self, model: &str) -> Health {
        self.health.get(model).copied().unwrap_or_default()
    }

    fn note(&mut self, at: Timestamp, fact: Fact, asked: &mut BTreeMap<CallId, String>) {
        match fact {
            Fact::ModelCalled { call, model, .. } => {
                asked.insert(call, model);
            }
            Fact::ModelRouted { call, device, by, figure, passed, .. } => {
                self.routed.insert(call, Routed { device, by, figure, passed });
            }
            Fact::PolicySet { policy } => self.policy = Some(policy),
            // A new kernel gives every model a new chance, and has the policy of its configuration.
            Fact::Booted { .. } => {
                self.health.clear();
                self.policy = None;
            }
            Fact::ModelPreempted { call, by, cause, .. } => {
                self.preempted.insert(call, (by, cause, at));
            }
            Fact::ModelAnswered { call, .. } => {
                if let Some(health) = asked.get(&call).and_then(|model| self.health.get_mut(model))
                {
                    (health.failures, health.open_until) = (0, None);
                }
            }
            Fact::ModelRetried { call, class, wait, .. } => {
                let Some(model) = asked.get(&call) else { return };
                let health = self.health.entry(model.clone()).or_default();
                match class {
                    FailureClass::Final => health.failures = 0,
                    FailureClass::RateLimited => {
                        health.failures = 0;
                        health.refused_until = health.refused_until.max(Some(at.after(wait)));
                    }
                    FailureClass::Transient => {
                        health.failures = health.failures.saturating_add(1);
                        let is_open = health.open_until.is_some_and(|until| at < until);
                        if health.failures >= limits::CIRCUIT_FAILURES_MAX && !is_open {
                            health.open_until = Some(at.after(limits::CIRCUIT_OPEN));
                        }
                    }
                }
            }
            Fact::Reconfigured { .. }
            | Fact::Spawned { .. }
            | Fact::WindowExceeded { .. }
            | Fact::ModelFailed { .. }
            | Fact::ModelCharged { .. }
            | Fact::MemoryCut { .. }
            | Fact::PageFaulted { .. }
            | Fact::PageRecalled { .. }
            | Fact::PagePinned { .. }
            | Fact::PageForgotten { .. }
            | Fact::CacheMissed { .. }
            | Fact::SummaryCalled { .. }
            | Fact::Summarised { .. }
            | Fact::SummaryFailed { .. }
            | Fact::TaskBegun { .. }
            | Fact::TaskEnded { .. }
            | Fact::ToolCalled { .. }
            | Fact::ToolReturned { .. }
            | Fact::Refused { .. }
            | Fact::MessageSent { .. }
            | Fact::MessageReceived { .. }
            | Fact::Signalled { .. }
            | Fact::Reniced { .. }
            | Fact::Exited { .. }
            | Fact::BudgetExpired { .. }
            | Fact::BudgetAsked { .. }
            | Fact::BudgetAnswered { .. }
            | Fact::BudgetSet { .. }
            | Fact::RunawayFound { .. } => {}
        }
    }
}

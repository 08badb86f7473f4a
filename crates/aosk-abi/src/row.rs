//! The durable form of kernel state: rows of JSON text under typed keys.
//!
//! The store keeps rows and knows nothing of what is in them; the kernel writes and reads them and
//! knows nothing of how they are kept.

use crate::id::{BudgetId, MessageIndex, Pid};
use crate::message::Hash;

/// The key of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowKey {
    /// The kernel's counters. One row.
    Kernel,
    /// What a process was started with. Never changes.
    Spec(Pid),
    /// The state of a process.
    Process(Pid),
    /// A message of a process's log, with where its pages are.
    Message(Pid, MessageIndex),
    /// A message in a mailbox, by its number.
    Mail(Pid, u64),
    /// A node of the budget tree.
    Budget(BudgetId),
}

impl RowKey {
    /// The process the row belongs to, if it belongs to one.
    #[must_use]
    pub fn pid(&self) -> Option<Pid> {
        match self {
            Self::Spec(pid) | Self::Process(pid) | Self::Message(pid, _) | Self::Mail(pid, _) => {
                Some(*pid)
            }
            Self::Kernel | Self::Budget(_) => None,
        }
    }
}

/// One change of durable state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowChange {
    /// Which row.
    pub key: RowKey,
    /// What happens to it.
    pub op: RowOp,
}

/// What happens to a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowOp {
    /// It gets this value (JSON text).
    Put(String),
    /// It is gone.
    Delete,
    /// The process is reaped: its rows stay readable but are no longer loaded at boot.
    /// Used with [`RowKey::Process`]; takes spec and pages along.
    Archive,
}

/// What the store gives back at boot.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Image {
    /// All rows that are not archived, in key order.
    pub rows: Vec<(RowKey, String)>,
    /// The number of journal entries.
    pub journal_length: u64,
    /// The hash of the last journal entry.
    pub journal_head: Option<Hash>,
}

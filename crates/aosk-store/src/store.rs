//! What a store can do.

use std::sync::Arc;

use aosk_abi::{
    Body, BudgetId, Entry, Hash, Image, MessageIndex, Pid, RowChange, RowKey, Timestamp,
};

use crate::error::StoreError;

/// What one turn of the kernel leaves behind. All of it is kept, or nothing.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Batch {
    /// Changes of rows, in order.
    pub rows: Vec<RowChange>,
    /// Facts for the end of the journal, in order.
    pub journal: Vec<Entry>,
    /// Content that rows and facts point to. One that is kept already costs a look-up.
    pub bodies: Vec<Body>,
}

/// Where the journal ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The number of entries.
    pub length: u64,
    /// The hash of the last one; [`Hash::ZERO`] when there is none.
    pub hash: Hash,
}

/// Durable state with one writer.
///
/// What a store keeps: rows by key, bodies by address, the journal and its head. A spec and a page
/// belong to their process: they are loaded with its [`RowKey::Process`] row and not without it.
/// After [`RowOp::Archive`](aosk_abi::RowOp::Archive) of a process its three kinds of rows stay
/// readable and are not loaded, and its mail is gone.
pub trait Store: Send {
    /// Reads what the kernel needs to go on.
    ///
    /// # Errors
    /// If the store cannot be read, or what it holds is damaged.
    fn load(&mut self) -> Result<Image, StoreError>;

    /// Keeps `batches`, in order, in one transaction. When this returns, a crash loses none of it.
    ///
    /// # Errors
    /// After [`StoreError::Full`] and [`StoreError::Busy`] nothing is kept and the same batches may
    /// be given again. After any other error it is unknown whether they are kept: load again.
    fn commit(&mut self, batches: &[Batch]) -> Result<Head, StoreError>;

    /// A reader for other threads. It sees what is committed, and never waits for a commit.
    fn reader(&self) -> Arc<dyn Reader>;

    /// Does work that would otherwise lengthen a commit, if enough of it is due; more eagerly when
    /// `idle`. To be called between commits.
    ///
    /// # Errors
    /// If the store cannot be written. Nothing is lost by it.
    fn maintain(&mut self, idle: bool) -> Result<(), StoreError> {
        let _ = idle;
        Ok(())
    }
}

/// Reads of what is committed, from any thread.
///
/// # Errors
/// Every method fails if the store cannot be read or what it holds is damaged.
pub trait Reader: Send + Sync {
    /// What kind of store it is, in one word for people and programs.
    fn kind(&self) -> &'static str;

    /// The canonical bytes of a body, checked against their address; none if it is not kept.
    fn body(&self, hash: Hash) -> Result<Option<String>, StoreError>;

    /// Entries of the journal, oldest first.
    fn journal(&self, query: &JournalQuery) -> Result<Vec<StoredEntry>, StoreError>;

    /// Where the journal ends.
    fn head(&self) -> Result<Head, StoreError>;

    /// The value of a row, of an archived process too.
    fn row(&self, key: RowKey) -> Result<Option<String>, StoreError>;

    /// Processes in the order of their ids.
    fn processes(&self, query: &ProcessQuery) -> Result<Vec<ProcessRow>, StoreError>;

    /// The nodes of the budget tree in the order of their ids.
    fn budgets(&self) -> Result<Vec<(BudgetId, String)>, StoreError>;

    /// The pages of a process's log, in order, of an archived process too.
    fn pages(&self, pid: Pid) -> Result<Vec<(MessageIndex, String)>, StoreError>;

    /// What is wrong with what the store keeps for itself beside what it was given, such as an
    /// index. Reads everything.
    fn damage(&self) -> Result<Vec<Damage>, StoreError> {
        Ok(Vec::new())
    }
}

/// Something in a store that is not what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The process that it concerns; the store as a whole if none.
    pub pid: Option<Pid>,
    /// What is wrong.
    pub what: String,
}

/// Which entries of the journal to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalQuery {
    /// The first, counted from 1. With 0 also what stands before it, where nothing should.
    pub from: u64,
    /// How many; never more than [`ROWS_PER_READ_MAX`](crate::limits::ROWS_PER_READ_MAX).
    pub limit: u32,
    /// Only those of this process.
    pub pid: Option<Pid>,
}

/// An entry of the journal as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// Its place, counted from 1.
    pub seq: u64,
    /// When the kernel decided it.
    pub at: Timestamp,
    /// Whose; the node's own if none.
    pub pid: Option<Pid>,
    /// The fact's kind, such as `process.spawned`.
    pub kind: String,
    /// The fact: JSON text, the very bytes that were hashed.
    pub data: String,
    /// The hash that chains it to the entry before; see [`journal`](crate::journal).
    pub hash: Hash,
}

/// Which processes to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessQuery {
    /// Which kind.
    pub which: Which,
    /// Only those with a larger id than this.
    pub after: Pid,
    /// How many; never more than [`ROWS_PER_READ_MAX`](crate::limits::ROWS_PER_READ_MAX).
    pub limit: u32,
}

/// A kind of processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those that are not archived.
    Live,
    /// Archived ones too.
    All,
}

/// A process as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessRow {
    /// Its id.
    pub pid: Pid,
    /// Whether it is not archived.
    pub live: bool,
    /// The [`RowKey::Spec`] row; empty if there is none.
    pub spec: String,
    /// The [`RowKey::Process`] row.
    pub process: String,
}

impl Default for Head {
    fn default() -> Self {
        Self { length: 0, hash: Hash::ZERO }
    }
}

impl Default for JournalQuery {
    /// The whole journal, as far as one read goes.
    fn default() -> Self {
        Self { from: 1, limit: u32::MAX, pid: None }
    }
}

impl Default for ProcessQuery {
    /// All live processes, as far as one read goes.
    fn default() -> Self {
        Self { which: Which::Live, after: Pid(0), limit: u32::MAX }
    }
}

//! The disk of the simulated world: the memory store behind the wrapper that makes commits fail.

use std::sync::Arc;

use aosk_abi::{Image, RowOp};
use aosk_store::fault::{CommitFault, Odds};
use aosk_store::{Batch, Faults, Faulty, Memory, Reader, Store, StoreError};

use crate::case::Case;
use crate::faults::Feature;

/// What became of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// It is kept and the kernel knows.
    Acknowledged,
    /// It is kept and the kernel dies before it knows.
    Unacknowledged,
    /// It is lost and the kernel dies.
    Lost,
}

/// How often a full disk is tried again.
const TRIES: u32 = 5;

/// A disk that survives the kernel.
#[derive(Debug)]
pub struct Disk {
    memory: Memory,
    faults: Faults,
    store: Faulty,
}

impl Disk {
    /// An empty disk with the faults of the case.
    #[must_use]
    pub fn new(case: &Case) -> Self {
        let memory = Memory::new();
        let faults = if case.has(Feature::CommitFaults) {
            Faults::seeded(case.seed, Odds { full: 10, io: 4, unacknowledged: 4 })
        } else {
            Faults::none()
        };
        let store = Faulty::new(Box::new(memory.clone()), &faults);
        Self { memory, faults, store }
    }

    /// Makes the next commit be kept without the kernel knowing.
    pub fn die_after_next_commit(&self) {
        self.faults.on_next_commit(CommitFault::Unacknowledged);
    }

    /// From here on nothing fails.
    pub fn heal(&mut self) {
        self.faults = Faults::none();
        self.store = Faulty::new(Box::new(self.memory.clone()), &self.faults);
    }

    /// Keeps a batch as the real committer does: a full disk is tried again a few times, anything
    /// else ends this life of the kernel.
    ///
    /// # Errors
    /// If the store refuses the batch for what is in it.
    pub fn commit(&mut self, batch: &Batch) -> Result<Committed, StoreError> {
        let before = self.memory.reader().head()?;
        for _ in 0..TRIES {
            match self.store.commit(std::slice::from_ref(batch)) {
                Ok(_) => return Ok(Committed::Acknowledged),
                Err(error) if error.is_transient() => {}
                Err(error @ StoreError::NotArchivable { .. }) => return Err(error),
                Err(_) => break,
            }
        }
        // A batch without facts does not move the head of the journal, but its rows tell.
        let reader = self.memory.reader();
        let mut kept = true;
        for change in &batch.rows {
            if let RowOp::Put(value) = &change.op {
                kept &= reader.row(change.key)?.as_ref() == Some(value);
            }
        }
        kept &= batch.journal.is_empty() || reader.head()? != before;
        Ok(if kept { Committed::Unacknowledged } else { Committed::Lost })
    }

    /// What is kept, as a booting kernel reads it.
    ///
    /// # Errors
    /// If the store cannot be read, which the memory store always can.
    pub fn load(&self) -> Result<Image, StoreError> {
        self.memory.clone().load()
    }

    /// A reader of what is kept.
    #[must_use]
    pub fn reader(&self) -> Arc<dyn Reader> {
        self.memory.reader()
    }
}

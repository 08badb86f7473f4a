//! A store that lasts as long as its handles, for tests and simulation.
//!
//! Handles share what is kept, so dropping a kernel and giving a clone of its handle to a new one is
//! a crash that loses nothing that was committed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aosk_abi::{BudgetId, Hash, Image, MessageIndex, Pid, RowChange, RowKey, RowOp};

use crate::error::StoreError;
use crate::journal::Chain;
use crate::limits::ROWS_PER_READ_MAX;
use crate::store::{
    Batch, Head, JournalQuery, ProcessQuery, ProcessRow, Reader, Store, StoredEntry, Which,
};

/// A handle on a store in memory. A clone is another handle on the same store.
#[derive(Debug, Default, Clone)]
pub struct Memory {
    kept: Arc<Mutex<Kept>>,
}

/// What is kept.
#[derive(Debug, Default, Clone)]
struct Kept {
    rows: BTreeMap<RowKey, String>,
    archived: BTreeSet<Pid>,
    bodies: BTreeMap<Hash, Arc<str>>,
    journal: Vec<StoredEntry>,
    head: Head,
}

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A store of its own with what this one keeps at the moment.
    #[must_use]
    pub fn snapshot(&self) -> Self {
        Self { kept: Arc::new(Mutex::new(self.kept().clone())) }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // A panic elsewhere cannot leave half a commit: applying one never panics midway.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a test do what someone with an editor could do.
    #[cfg(test)]
    pub(crate) fn tamper(&self, change: impl FnOnce(&mut Vec<StoredEntry>, &mut Head)) {
        let mut kept = self.kept();
        let kept = &mut *kept;
        change(&mut kept.journal, &mut kept.head);
    }
}

impl Store for Memory {
    fn load(&mut self) -> Result<Image, StoreError> {
        let kept = self.kept();
        let rows = kept.rows.iter().filter(|(key, _)| kept.is_loaded(**key));
        Ok(Image {
            rows: rows.map(|(key, value)| (*key, value.clone())).collect(),
            journal_length: kept.head.length,
            journal_head: (kept.head.length > 0).then_some(kept.head.hash),
        })
    }

    fn commit(&mut self, batches: &[Batch]) -> Result<Head, StoreError> {
        let mut kept = self.kept();
        // All that can fail comes first; from there on everything is applied.
        let mut chain = Chain::at(kept.head);
        let mut entries = Vec::new();
        for batch in batches {
            for entry in &batch.journal {
                let (head, data) = chain.append(entry)?;
                entries.push(StoredEntry {
                    seq: head.length,
                    at: entry.at,
                    pid: entry.pid,
                    kind: entry.fact.kind().to_owned(),
                    data: data.to_owned(),
                    hash: head.hash,
                });
            }
            for RowChange { key, op } in &batch.rows {
                if *op == RowOp::Archive && !matches!(key, RowKey::Process(_)) {
                    return Err(StoreError::NotArchivable { key: *key });
                }
            }
        }
        for batch in batches {
            for body in &batch.bodies {
                kept.bodies.entry(body.hash()).or_insert_with(|| Arc::clone(body.bytes()));
            }
            for change in &batch.rows {
                kept.apply(change);
            }
        }
        kept.journal.append(&mut entries);
        kept.head = chain.head;
        Ok(kept.head)
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(self.clone())
    }
}

impl Kept {
    fn apply(&mut self, change: &RowChange) {
        match (&change.op, change.key) {
            (RowOp::Put(value), key) => {
                self.rows.insert(key, value.clone());
            }
            (RowOp::Delete, key) => {
                self.rows.remove(&key);
                if let RowKey::Process(pid) = key {
                    self.archived.remove(&pid);
                }
            }
            (RowOp::Archive, key) => {
                let RowKey::Process(pid) = key else { return };
                let mail: Vec<RowKey> =
                    self.rows.range(mail_of(pid)).map(|(key, _)| *key).collect();
                for key in mail {
                    self.rows.remove(&key);
                }
                if self.rows.contains_key(&key) {
                    self.archived.insert(pid);
                }
            }
        }
    }

    fn is_loaded(&self, key: RowKey) -> bool {
        match key {
            RowKey::Spec(pid) | RowKey::Process(pid) | RowKey::Message(pid, _) => {
                self.rows.contains_key(&RowKey::Process(pid)) && !self.archived.contains(&pid)
            }
            RowKey::Kernel | RowKey::Mail(..) | RowKey::Budget(_) => true,
        }
    }
}

fn mail_of(pid: Pid) -> RangeInclusive<RowKey> {
    RowKey::Mail(pid, 0)..=RowKey::Mail(pid, u64::MAX)
}

fn bounded(limit: u32) -> usize {
    limit.min(ROWS_PER_READ_MAX) as usize
}

impl Reader for Memory {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn body(&self, hash: Hash) -> Result<Option<String>, StoreError> {
        Ok(self.kept().bodies.get(&hash).map(|bytes| bytes.to_string()))
    }

    fn journal(&self, query: &JournalQuery) -> Result<Vec<StoredEntry>, StoreError> {
        let kept = self.kept();
        let first = kept.journal.partition_point(|entry| entry.seq < query.from);
        let entries = kept.journal.iter().skip(first);
        let entries = entries.filter(|entry| query.pid.is_none() || entry.pid == query.pid);
        Ok(entries.take(bounded(query.limit)).cloned().collect())
    }

    fn head(&self) -> Result<Head, StoreError> {
        Ok(self.kept().head)
    }

    fn row(&self, key: RowKey) -> Result<Option<String>, StoreError> {
        Ok(self.kept().rows.get(&key).cloned())
    }

    fn processes(&self, query: &ProcessQuery) -> Result<Vec<ProcessRow>, StoreError> {
        let kept = self.kept();
        let Some(first) = query.after.0.checked_add(1) else { return Ok(Vec::new()) };
        let range = RowKey::Process(Pid(first))..=RowKey::Process(Pid(u64::MAX));
        let mut processes = Vec::new();
        for (key, process) in kept.rows.range(range) {
            let RowKey::Process(pid) = *key else { continue };
            let live = !kept.archived.contains(&pid);
            if processes.len() == bounded(query.limit) {
                break;
            }
            if live || query.which == Which::All {
                let spec = kept.rows.get(&RowKey::Spec(pid)).cloned().unwrap_or_default();
                processes.push(ProcessRow { pid, live, spec, process: process.clone() });
            }
        }
        Ok(processes)
    }

    fn budgets(&self) -> Result<Vec<(BudgetId, String)>, StoreError> {
        let kept = self.kept();
        let range = RowKey::Budget(BudgetId(0))..=RowKey::Budget(BudgetId(u64::MAX));
        let node = |(key, value): (&RowKey, &String)| match key {
            RowKey::Budget(id) => Some((*id, value.clone())),
            RowKey::Kernel
            | RowKey::Spec(_)
            | RowKey::Process(_)
            | RowKey::Message(..)
            | RowKey::Mail(..) => None,
        };
        Ok(kept.rows.range(range).filter_map(node).collect())
    }

    fn pages(&self, pid: Pid) -> Result<Vec<(MessageIndex, String)>, StoreError> {
        let kept = self.kept();
        let range =
            RowKey::Message(pid, MessageIndex(0))..=RowKey::Message(pid, MessageIndex(u32::MAX));
        let page = |(key, value): (&RowKey, &String)| match key {
            RowKey::Message(_, index) => Some((*index, value.clone())),
            RowKey::Kernel
            | RowKey::Spec(_)
            | RowKey::Process(_)
            | RowKey::Mail(..)
            | RowKey::Budget(_) => None,
        };
        Ok(kept.rows.range(range).filter_map(page).collect())
    }
}

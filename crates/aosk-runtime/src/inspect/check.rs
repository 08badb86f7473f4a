//! Whether what a store holds belongs together: facts, processes, logs and messages. It changes
//! nothing and may run while a kernel writes.
//!
//! The chain of the journal is checked apart, by [`verify`](aosk_store::verify). This goes on from
//! there: what facts say of processes is held against their rows, and those against their logs.

use std::collections::{BTreeMap, BTreeSet};

use aosk_abi::{Error, ErrorCode, Fact, Hash, MessageIndex, Pid};
use aosk_kernel::{Kernel, Process};
use aosk_store::{Damage, JournalQuery, ProcessQuery, ProcessRow, Reader, StoredEntry, Which};

use super::{body, journal, log_pages, page_table};

/// Findings after which a check ends. More of them say nothing new.
const DAMAGE_MAX: usize = 1_000;

/// What a check of a store found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Processes, ended ones included.
    pub processes: usize,
    /// Messages that facts and logs name, each counted once.
    pub bodies: usize,
    /// What is wrong, at most 1,000 findings; then the check ended early.
    pub damage: Vec<Damage>,
}

/// Checks that every entry of the journal is a fact, that every process it tells of is there with
/// the log it had, that every message that either names is kept and unchanged, and that the store's
/// own indexes lead to all of it.
///
/// # Errors
/// If the store cannot be read. What is read and is wrong is a finding.
pub fn check(reader: &dyn Reader) -> Result<Checked, Error> {
    let mut check = Check::of(reader);
    check.damage = reader.damage()?;
    let mut failed = None;
    journal(reader, &JournalQuery::default(), |entry| {
        failed = check.entry(&entry).err();
        failed.is_none() && check.goes_on()
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    check.processes()?;
    check.damage.truncate(DAMAGE_MAX);
    Ok(Checked {
        processes: check.processes.len(),
        bodies: check.bodies.len(),
        damage: check.damage,
    })
}

struct Check<'r> {
    reader: &'r dyn Reader,
    /// What was read already.
    bodies: BTreeSet<Hash>,
    /// What the journal tells to have begun, and with how many pages it ended.
    told: BTreeMap<Pid, Option<u32>>,
    /// What is there.
    processes: BTreeSet<Pid>,
    damage: Vec<Damage>,
}

impl<'r> Check<'r> {
    fn of(reader: &'r dyn Reader) -> Self {
        Self {
            reader,
            bodies: BTreeSet::new(),
            told: BTreeMap::new(),
            processes: BTreeSet::new(),
            damage: Vec::new(),
        }
    }

    fn goes_on(&self) -> bool {
        self.damage.len() < DAMAGE_MAX
    }

    fn wrong(&mut self, pid: impl Into<Option<Pid>>, what: String) {
        self.damage.push(Damage { pid: pid.into(), what });
    }

    fn entry(&mut self, entry: &StoredEntry) -> Result<(), Error> {
        let seq = entry.seq;
        let Some(fact) = Fact::read(&entry.kind, &entry.data) else {
            self.wrong(entry.pid, format!("entry {seq} of the journal is no fact: {}", entry.kind));
            return Ok(());
        };
        for hash in fact.bodies() {
            self.body(entry.pid, hash, &|| format!("entry {seq} of the journal"))?;
        }
        if let Some(pid) = entry.pid {
            if let Fact::Spawned { .. } = fact {
                self.told.insert(pid, None);
            }
            if let Fact::Exited { pages, .. } = fact {
                self.told.insert(pid, Some(pages));
            }
        }
        Ok(())
    }

    /// Reads a message unless it was read before. A damaged one is named once.
    fn body(
        &mut self,
        pid: Option<Pid>,
        hash: Hash,
        named_by: &dyn Fn() -> String,
    ) -> Result<(), Error> {
        if !self.bodies.insert(hash) {
            return Ok(());
        }
        match body(self.reader, hash) {
            Ok(_) => {}
            Err(error) if error.code == ErrorCode::StoreCorrupt => {
                self.wrong(
                    pid,
                    format!("{} names a message that is damaged: {}", named_by(), error.message),
                );
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Reads every process. They are read after the journal, so each that it tells of is there.
    fn processes(&mut self) -> Result<(), Error> {
        let mut query = ProcessQuery { which: Which::All, ..ProcessQuery::default() };
        loop {
            let rows = self.reader.processes(&query)?;
            let Some(last) = rows.last() else {
                break;
            };
            query.after = last.pid;
            for row in rows {
                self.processes.insert(row.pid);
                if !self.goes_on() {
                    return Ok(());
                }
                self.process(&row)?;
            }
        }
        let told = std::mem::take(&mut self.told);
        for pid in told.into_keys().filter(|pid| !self.processes.contains(pid)).collect::<Vec<_>>()
        {
            self.wrong(pid, "the journal tells of it, and its row is missing".to_owned());
        }
        Ok(())
    }

    fn process(&mut self, row: &ProcessRow) -> Result<(), Error> {
        let pid = row.pid;
        let process = match Kernel::read_process(pid, &row.spec, &row.process) {
            Ok(process) => process,
            Err(error) => {
                self.wrong(pid, format!("its row cannot be read: {}", error.what));
                return Ok(());
            }
        };
        self.relations(pid, &process);
        let (pages, flaw) = log_pages(self.reader, pid)?;
        match flaw {
            Some(flaw) => self.wrong(pid, flaw),
            None => self.page_table(pid)?,
        }
        for (at, hash) in pages.into_iter().enumerate() {
            self.body(Some(pid), hash, &|| format!("page {at} of its log"))?;
        }
        Ok(())
    }

    /// Reads what is kept of the pages of a log that is whole.
    fn page_table(&mut self, pid: Pid) -> Result<(), Error> {
        match page_table(self.reader, pid) {
            Ok(_) => Ok(()),
            Err(error) if error.code == ErrorCode::StoreCorrupt => {
                self.wrong(pid, error.message);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Holds a process against the journal and against its parent.
    fn relations(&mut self, pid: Pid, process: &Process) {
        match self.told.get(&pid) {
            Some(Some(pages)) if process.log.pages != MessageIndex(*pages) => {
                let (pages, found) = (*pages, process.log.pages.0);
                let what =
                    format!("the journal tells of {pages} pages at its end, its row of {found}");
                self.wrong(pid, what);
            }
            Some(_) | None => {}
        }
        if let Some(parent) = process.spec.parent {
            if parent >= pid {
                self.wrong(pid, format!("its parent {parent} is not older than it"));
            } else if !self.processes.contains(&parent) {
                self.wrong(pid, format!("its parent {parent} is missing"));
            }
        }
    }
}

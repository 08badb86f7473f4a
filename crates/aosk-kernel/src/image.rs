//! The durable form of the kernel: every table as rows, and the kernel back from its rows.
//!
//! Rows are JSON with a version in `v`. A newer kernel reads older rows and writes its own; an older
//! kernel refuses newer ones. Invariant: `restore(rows of k) == k` in all that is durable.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aosk_abi::{BudgetId, Effects, ErrorCode, Hash, Image, Lack, Pid, RowChange, RowKey, RowOp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::budget::{Budget, Budgets, ROOT};
use crate::config::Config;
use crate::device::Devices;
use crate::hold::Holds;
use crate::index::Index;
use crate::kernel::{Counters, Kernel};
use crate::memory::Arenas;
use crate::mutant::broken;
use crate::process::{
    Entry, Guard, LogDigest, LogPage, Mail, Memory, Process, Spec, State, Stats, Termination,
};
use crate::table::Table;
use crate::view::BudgetView;

/// The version of the rows this kernel writes.
const VERSION: u32 = 3;

/// The row of a process: all of it that changes, without its log and its mailbox.
#[derive(Serialize, Deserialize)]
struct ProcessRow<S, P, T, M, G> {
    state: S,
    priority: u8,
    termination: Termination,
    program_state: P,
    turn: u64,
    calls: u32,
    mail_count: u64,
    stats: T,
    #[serde(default)]
    served: M,
    #[serde(default)]
    guard: G,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lack: Option<Lack>,
    log: LogDigest,
    /// Its tasks; none of those that older kernels knew has any.
    #[serde(default, skip_serializing_if = "Arenas::is_unused")]
    tasks: Arenas,
}

/// The row of a message of a log.
#[derive(Serialize, Deserialize)]
struct PageRow {
    /// Where its body is.
    hash: Hash,
    /// Its pages in the page table; none until the model is to be shown it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    table: Vec<Entry>,
}

type OwnedProcessRow = ProcessRow<State, Arc<str>, Stats, BTreeMap<String, u64>, Option<Guard>>;

/// Any row with its version.
#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    v: u32,
    row: T,
}

/// Rows that do not make a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreError {
    /// Which row.
    pub key: RowKey,
    /// What is wrong with it.
    pub what: String,
}

impl std::fmt::Display for RestoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "restoring the kernel: row {:?}: {}", self.key, self.what)
    }
}

impl std::error::Error for RestoreError {}

impl From<RestoreError> for aosk_abi::Error {
    fn from(error: RestoreError) -> Self {
        Self::new(ErrorCode::StoreCorrupt, error.to_string())
            .hint("`aosk audit verify` says what else is damaged")
    }
}

impl Kernel {
    /// A kernel that has no process yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            counters: Counters { next_pid: 1, next_budget: ROOT.0 + 1, next_since: 1, boots: 0 },
            processes: Table::new(),
            budgets: Budgets::new(config.limits, config.broken()),
            devices: Devices::new(&config),
            index: Index::default(),
            dirty: BTreeSet::from([RowKey::Kernel]),
            reaped: Vec::new(),
            ended: Vec::new(),
            offered: None,
            tools_lent: 0,
            draining: false,
            holds: Holds::default(),
            ignored: 0,
            broken: config.broken(),
            config,
        }
    }

    /// The kernel whose rows these are. It does nothing until it gets `Input::Boot`.
    ///
    /// # Errors
    /// If a row does not parse, is of a newer version or does not fit the others.
    pub fn restore(config: Config, image: &Image) -> Result<Self, RestoreError> {
        let mut kernel = Self::new(config);
        if image.rows.is_empty() {
            return Ok(kernel);
        }
        // Without these two, ids would be used again and what was spent would be forgotten.
        for key in [RowKey::Kernel, RowKey::Budget(ROOT)] {
            if image.rows.binary_search_by_key(&key, |(key, _)| *key).is_err() {
                return Err(RestoreError { key, what: "it is missing".to_owned() });
            }
        }
        let mut specs = BTreeMap::new();
        for (key, text) in &image.rows {
            match *key {
                RowKey::Kernel => kernel.counters = parse(*key, text)?,
                RowKey::Spec(pid) => {
                    specs.insert(pid, Arc::new(parse::<Spec>(*key, text)?));
                }
                RowKey::Process(pid) => kernel.restore_process(*key, pid, &specs, text)?,
                RowKey::Message(pid, index) => {
                    let row: PageRow = parse(*key, text)?;
                    let process = kernel.processes.get_mut(pid).ok_or_else(|| orphan(*key))?;
                    if process.page_count() != index {
                        return Err(RestoreError {
                            key: *key,
                            what: "a page is missing before it".into(),
                        });
                    }
                    process.pages.push(LogPage { hash: row.hash });
                    let wrong = |what| RestoreError { key: *key, what };
                    process.memory.restore(index, &row.table).map_err(wrong)?;
                }
                RowKey::Mail(pid, number) => {
                    let mail: Mail = parse(*key, text)?;
                    let process = kernel.processes.get_mut(pid).ok_or_else(|| orphan(*key))?;
                    process.mailbox.insert(number, mail);
                }
                RowKey::Budget(id) => {
                    let budget: Budget = parse(*key, text)?;
                    kernel.budgets.restore(id, budget);
                }
            }
        }
        kernel.check_references()?;
        kernel.check_logs()?;
        kernel.restore_tools();
        kernel.adopt_children();
        kernel.reindex();
        // What was just read need not be written, unless it is of an older version.
        kernel.dirty.clear();
        let present = format!("{{\"v\":{VERSION},");
        let older = image.rows.iter().filter(|(_, text)| !text.starts_with(&present));
        kernel.dirty.extend(older.map(|(key, _)| *key));
        Ok(kernel)
    }

    fn restore_process(
        &mut self,
        key: RowKey,
        pid: Pid,
        specs: &BTreeMap<Pid, Arc<Spec>>,
        text: &str,
    ) -> Result<(), RestoreError> {
        let row: OwnedProcessRow = parse(key, text)?;
        let spec = specs.get(&pid).ok_or_else(|| orphan(key))?.clone();
        let tasks = if broken!(self, TasksForgotten) { Arenas::default() } else { row.tasks };
        let memory = Memory::with_tasks(tasks).map_err(|what| RestoreError { key, what })?;
        self.processes.insert(
            pid,
            Process {
                spec,
                state: row.state,
                priority: row.priority,
                termination: row.termination,
                program_state: row.program_state,
                turn: row.turn,
                calls: row.calls,
                mail_count: row.mail_count,
                stats: row.stats,
                served: row.served,
                guard: row.guard.unwrap_or_default(),
                descendants: 0,
                lack: row.lack,
                log: row.log,
                pages: Vec::new(),
                memory,
                mailbox: BTreeMap::new(),
                children: BTreeSet::new(),
            },
        );
        Ok(())
    }

    /// Refuses rows that point to rows that are not there. A process without its budget would spend
    /// without bound.
    fn check_references(&self) -> Result<(), RestoreError> {
        let missing =
            |key, what: String| Err(RestoreError { key, what: format!("{what} is missing") });
        for (pid, process) in self.processes.iter() {
            let budget = process.spec.budget;
            if self.budgets.get(budget).is_none() {
                return missing(RowKey::Process(pid), format!("its budget {budget}"));
            }
            if let Some(parent) = process.spec.parent {
                if !self.processes.contains(parent) {
                    return missing(RowKey::Process(pid), format!("its parent {parent}"));
                }
                if parent >= pid {
                    return Err(not_older(RowKey::Process(pid), &parent));
                }
            }
        }
        for (id, budget) in self.budgets.iter() {
            if let Some(parent) = budget.parent {
                if self.budgets.get(parent).is_none() {
                    return missing(RowKey::Budget(id), format!("its parent {parent}"));
                }
                if parent >= id {
                    return Err(not_older(RowKey::Budget(id), &parent));
                }
            }
        }
        Ok(())
    }

    /// Refuses a log that is not the one that was written. A process that went on from it would ask
    /// the model about another conversation.
    fn check_logs(&self) -> Result<(), RestoreError> {
        for (pid, process) in self.processes.iter() {
            let found = LogDigest::of(process.pages.iter().map(|page| page.hash));
            if let Some(what) = found.flaw(&process.log) {
                return Err(RestoreError { key: RowKey::Process(pid), what });
            }
        }
        Ok(())
    }

    /// No row says what the tools take that a process offers, but a call that is under way knows.
    fn restore_tools(&mut self) {
        for pid in self.processes.ids() {
            if let Some(process) = self.processes.get_mut(pid)
                && let Some(call) = process.state.call().cloned()
            {
                process.memory.restore_tools(&call);
            }
        }
    }

    fn adopt_children(&mut self) {
        let pairs: Vec<_> = self
            .processes
            .iter()
            .filter_map(|(pid, process)| process.spec.parent.map(|parent| (parent, pid)))
            .collect();
        for (parent, child) in pairs {
            if let Some(parent) = self.processes.get_mut(parent) {
                parent.children.insert(child);
            }
            let root = self.root_of(child);
            if let Some(root) = self.processes.get_mut(root) {
                root.descendants = root.descendants.saturating_add(1);
            }
        }
    }

    /// Adds to `fx` what must be stored of everything that changed since the last flush.
    pub fn flush(&mut self, fx: &mut Effects) {
        self.reindex();
        fx.rows.append(&mut self.reaped);
        let unwritten = broken!(self, RowNotWritten);
        for key in std::mem::take(&mut self.dirty) {
            if unwritten && matches!(key, RowKey::Process(pid) if pid.0.is_multiple_of(7)) {
                continue;
            }
            if let Some(change) = self.change(key) {
                fx.rows.push(change);
            }
        }
    }

    /// What happens to the row of a key that changed. Rows of a process that is gone were written
    /// when it was reaped.
    fn change(&self, key: RowKey) -> Option<RowChange> {
        let gone = key.pid().is_some_and(|pid| !self.processes.contains(pid));
        if gone {
            return None;
        }
        let op = self.row(key).map_or(RowOp::Delete, RowOp::Put);
        Some(RowChange { key, op })
    }

    /// The changed rows of a process that is about to be reaped; they count as flushed.
    pub(crate) fn rows_of(&mut self, pid: Pid) -> Vec<RowChange> {
        let first_page = RowKey::Message(pid, aosk_abi::MessageIndex(0));
        let last_page = RowKey::Message(pid, aosk_abi::MessageIndex(u32::MAX));
        let first_mail = RowKey::Mail(pid, 0);
        let last_mail = RowKey::Mail(pid, u64::MAX);
        let mut keys: Vec<_> = [RowKey::Spec(pid), RowKey::Process(pid)]
            .into_iter()
            .filter(|key| self.dirty.contains(key))
            .collect();
        keys.extend(self.dirty.range(first_page..=last_page));
        keys.extend(self.dirty.range(first_mail..=last_mail));
        for key in &keys {
            self.dirty.remove(key);
        }
        keys.into_iter().filter_map(|key| self.change(key)).collect()
    }

    /// The text of a row, if there is such a row.
    fn row(&self, key: RowKey) -> Option<String> {
        match key {
            RowKey::Kernel => text(&self.counters),
            RowKey::Spec(pid) => text(self.processes.get(pid)?.spec.as_ref()),
            RowKey::Process(pid) => {
                let process = self.processes.get(pid)?;
                text(ProcessRow {
                    state: &process.state,
                    priority: process.priority,
                    termination: process.termination,
                    program_state: &process.program_state,
                    turn: process.turn,
                    calls: process.calls,
                    mail_count: process.mail_count,
                    stats: &process.stats,
                    served: &process.served,
                    guard: Some(&process.guard).filter(|guard| !guard.is_empty()),
                    lack: process.lack,
                    log: process.log,
                    tasks: process.memory.space().arenas().clone(),
                })
            }
            RowKey::Message(pid, index) => {
                let at = usize::try_from(index.0).ok()?;
                let process = self.processes.get(pid)?;
                let hash = process.pages.get(at)?.hash;
                text(PageRow { hash, table: process.memory.entries(index) })
            }
            RowKey::Mail(pid, number) => text(self.processes.get(pid)?.mailbox.get(&number)?),
            RowKey::Budget(id) => text(self.budgets.get(id)?),
        }
    }

    /// Every row of the kernel, in key order: what `load` must give back after a commit.
    #[must_use]
    pub fn rows(&self) -> Vec<(RowKey, String)> {
        let mut keys = vec![RowKey::Kernel];
        for (pid, process) in self.processes.iter() {
            keys.push(RowKey::Spec(pid));
            keys.push(RowKey::Process(pid));
            keys.extend(
                (0..process.page_count().0)
                    .map(|i| RowKey::Message(pid, aosk_abi::MessageIndex(i))),
            );
            keys.extend(process.mailbox.keys().map(|number| RowKey::Mail(pid, *number)));
        }
        keys.extend(self.budgets.iter().map(|(id, _): (BudgetId, _)| RowKey::Budget(id)));
        keys.sort_unstable();
        keys.into_iter().filter_map(|key| Some((key, self.row(key)?))).collect()
    }

    /// A process as its rows show it, for readers of the store. The log and the mailbox are left
    /// out.
    ///
    /// # Errors
    /// If a row does not parse or is of a newer version.
    pub fn read_process(pid: Pid, spec: &str, process: &str) -> Result<Process, RestoreError> {
        let spec = Arc::new(parse::<Spec>(RowKey::Spec(pid), spec)?);
        let key = RowKey::Process(pid);
        let row: OwnedProcessRow = parse(key, process)?;
        let memory = Memory::with_tasks(row.tasks).map_err(|what| RestoreError { key, what })?;
        Ok(Process {
            spec,
            state: row.state,
            priority: row.priority,
            termination: row.termination,
            program_state: row.program_state,
            turn: row.turn,
            calls: row.calls,
            mail_count: row.mail_count,
            stats: row.stats,
            served: row.served,
            guard: row.guard.unwrap_or_default(),
            descendants: 0,
            lack: row.lack,
            log: row.log,
            pages: Vec::new(),
            memory,
            mailbox: BTreeMap::new(),
            children: BTreeSet::new(),
        })
    }

    /// A node of the budget tree as its row shows it, for readers of the store.
    ///
    /// # Errors
    /// If the row does not parse or is of a newer version.
    pub fn read_budget(id: BudgetId, text: &str) -> Result<BudgetView, RestoreError> {
        Ok(BudgetView::of(&parse(RowKey::Budget(id), text)?))
    }

    /// What the log of a process must be, as its row shows it.
    ///
    /// # Errors
    /// If the row does not parse or is of a newer version.
    pub fn read_log(pid: Pid, process: &str) -> Result<LogDigest, RestoreError> {
        parse::<OwnedProcessRow>(RowKey::Process(pid), process).map(|row| row.log)
    }

    /// The address of a message as its row shows it.
    ///
    /// # Errors
    /// If the row does not parse or is of a newer version.
    pub fn read_page(key: RowKey, text: &str) -> Result<Hash, RestoreError> {
        parse::<PageRow>(key, text).map(|row| row.hash)
    }

    /// What is kept of the pages of a message as its row shows it; nothing if its process has not
    /// asked the model since it came.
    ///
    /// # Errors
    /// If the row does not parse or is of a newer version.
    pub fn read_entries(key: RowKey, text: &str) -> Result<Vec<Entry>, RestoreError> {
        parse::<PageRow>(key, text).map(|row| row.table)
    }
}

fn text<T: Serialize>(row: T) -> Option<String> {
    // Rows are plain data with string keys, which always have a JSON form.
    serde_json::to_string(&Versioned { v: VERSION, row }).ok()
}

fn parse<T: DeserializeOwned>(key: RowKey, text: &str) -> Result<T, RestoreError> {
    let wrong = |what: String| RestoreError { key, what };
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    let Version { v } = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    if v > VERSION {
        return Err(wrong(format!("written by a newer version: {v}, known up to {VERSION}")));
    }
    let row: Versioned<T> = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    Ok(row.row)
}

/// Ids are counted, so a parent has the smaller one. Otherwise the way up need not end.
fn not_older(key: RowKey, parent: &dyn std::fmt::Display) -> RestoreError {
    RestoreError { key, what: format!("its parent {parent} is not older than it") }
}

fn orphan(key: RowKey) -> RestoreError {
    RestoreError { key, what: "its process is missing".to_owned() }
}

//! Reading a store that another kernel may be running on.

use std::collections::BTreeMap;

use aosk_abi::{Body, BudgetId, Error, ErrorCode, Hash, MessageIndex, Pid, RowKey};
use aosk_kernel::{BudgetView, Kernel, LogDigest, Process};
use aosk_store::{JournalQuery, ProcessQuery, ProcessRow, Reader, StoredEntry, Which};

use crate::published::Snapshot;

mod check;
pub mod files;
mod pages;
pub mod search;
pub mod why;

pub use aosk_store::Damage;
pub use check::{Checked, check};
pub use pages::{KeptPage, PageTable, page_table, page_text};

/// Processes in order of their ids.
///
/// # Errors
/// If the store cannot be read or a row does not parse.
pub fn processes(reader: &dyn Reader, which: Which) -> Result<Vec<Snapshot>, Error> {
    let mut all = Vec::new();
    let mut query = ProcessQuery { which, ..ProcessQuery::default() };
    loop {
        let part = some_processes(reader, &query)?;
        let Some(last) = part.last() else {
            return Ok(all);
        };
        query.after = last.pid;
        all.extend(part);
    }
}

/// As many processes as one read gives, in order of their ids.
///
/// # Errors
/// If the store cannot be read or a row does not parse.
pub fn some_processes(reader: &dyn Reader, query: &ProcessQuery) -> Result<Vec<Snapshot>, Error> {
    let rows = reader.processes(query)?.into_iter();
    rows.map(|row| snapshot(&row)).collect()
}

fn snapshot(row: &ProcessRow) -> Result<Snapshot, Error> {
    let process = Kernel::read_process(row.pid, &row.spec, &row.process)?;
    let mut snapshot = Snapshot::of(row.pid, &process);
    if !row.live {
        snapshot.state = "exited";
    }
    Ok(snapshot)
}

/// One process.
///
/// # Errors
/// If there is none, or the store cannot be read.
pub fn process(reader: &dyn Reader, pid: Pid) -> Result<Snapshot, Error> {
    let query = ProcessQuery { which: Which::All, after: Pid(pid.0.saturating_sub(1)), limit: 1 };
    let rows = reader.processes(&query)?;
    let row = rows.into_iter().find(|row| row.pid == pid).ok_or_else(|| {
        Error::new(ErrorCode::NoSuchProcess, format!("reading {pid}: no such process"))
            .hint("`aosk ps --all` lists processes, ended ones included")
    })?;
    snapshot(&row)
}

/// Live processes with their states, in order of their ids. Their logs and mailboxes are left out.
///
/// # Errors
/// If the store cannot be read or a row does not parse.
pub fn live(reader: &dyn Reader) -> Result<BTreeMap<Pid, Process>, Error> {
    let mut all = BTreeMap::new();
    let mut query = ProcessQuery::default();
    loop {
        let rows = reader.processes(&query)?;
        let Some(last) = rows.last() else {
            return Ok(all);
        };
        query.after = last.pid;
        for row in rows {
            all.insert(row.pid, Kernel::read_process(row.pid, &row.spec, &row.process)?);
        }
    }
}

/// The nodes of the budget tree, and those of devices.
///
/// # Errors
/// If the store cannot be read or a row does not parse.
pub fn budgets(reader: &dyn Reader) -> Result<BTreeMap<BudgetId, BudgetView>, Error> {
    let rows = reader.budgets()?.into_iter();
    rows.map(|(id, text)| Ok((id, Kernel::read_budget(id, &text)?))).collect()
}

/// The name of the tenant or group that a node of the budget tree is or lies in; empty if in none.
#[must_use]
pub fn group_of(budgets: &BTreeMap<BudgetId, BudgetView>, id: BudgetId) -> &str {
    let mut next = Some(id);
    while let Some(id) = next
        && let Some(view) = budgets.get(&id)
    {
        if let Some(group) = &view.group {
            return &group.name;
        }
        // Ids are counted, so the way up ends.
        next = view.parent.filter(|parent| *parent < id);
    }
    ""
}

/// The log of a process, bodies and all.
///
/// # Errors
/// If the store cannot be read, the log is not the one that was written, or a body is missing or
/// damaged.
pub fn log(reader: &dyn Reader, pid: Pid) -> Result<Vec<Body>, Error> {
    match log_pages(reader, pid)? {
        (pages, None) => pages.into_iter().map(|hash| body(reader, hash)).collect(),
        (_, Some(flaw)) => Err(flawed(pid, &flaw)),
    }
}

fn flawed(pid: Pid, flaw: &str) -> Error {
    Error::new(ErrorCode::StoreCorrupt, format!("reading the log of {pid}: {flaw}"))
        .hint("`aosk audit verify` says what else is damaged")
}

/// Which messages of a log are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogPart {
    /// The first, counted from 0.
    pub from: usize,
    /// At most so many.
    pub limit: usize,
    /// None more when those read have so many bytes.
    pub bytes: usize,
}

/// Messages of the log of a process from one on, with their addresses, and how many it has. There is
/// at least one if the log has it.
///
/// # Errors
/// As [`log`], but for bodies that are not asked for.
pub fn log_part(
    reader: &dyn Reader,
    pid: Pid,
    wanted: LogPart,
) -> Result<(Vec<Body>, usize), Error> {
    let (pages, flaw) = log_pages(reader, pid)?;
    if let Some(flaw) = flaw {
        return Err(flawed(pid, &flaw));
    }
    let (mut part, mut bytes) = (Vec::new(), 0_usize);
    for hash in pages.iter().skip(wanted.from).take(wanted.limit.max(1)) {
        let body = body(reader, *hash)?;
        bytes = bytes.saturating_add(body.bytes().len());
        part.push(body);
        if bytes >= wanted.bytes {
            break;
        }
    }
    Ok((part, pages.len()))
}

/// The addresses of the pages of a log, and what is wrong with it by what the process's row says.
fn log_pages(reader: &dyn Reader, pid: Pid) -> Result<(Vec<Hash>, Option<String>), Error> {
    let (rows, flaw) = log_rows(reader, pid)?;
    Ok((rows.into_iter().map(|(hash, _)| hash).collect(), flaw))
}

/// A message of a log: the address of its body, and its row.
type LogRow = (Hash, String);

/// The rows of a log, and what is wrong with it by what the process's row says.
fn log_rows(reader: &dyn Reader, pid: Pid) -> Result<(Vec<LogRow>, Option<String>), Error> {
    let before = log_digest(reader, pid)?;
    let mut pages: Vec<LogRow> = Vec::new();
    for (index, text) in reader.pages(pid)? {
        if usize::try_from(index.0) != Ok(pages.len()) {
            let flaw = format!("page {} of its log is missing", pages.len());
            return Ok((pages, Some(flaw)));
        }
        pages.push((Kernel::read_page(RowKey::Message(pid, index), &text)?, text));
    }
    // A process that runs may have got more pages meanwhile, but never other ones.
    let digest = |most: MessageIndex| {
        let most = usize::try_from(most.0).unwrap_or(usize::MAX);
        LogDigest::of(pages.iter().take(most).map(|(hash, _)| *hash))
    };
    let mut flaw = digest(before.pages).flaw(&before);
    let whole = digest(MessageIndex(u32::MAX));
    if flaw.is_none() && whole.pages > before.pages {
        let after = log_digest(reader, pid)?;
        flaw = whole.flaw(&after).filter(|_| whole.pages >= after.pages);
    }
    Ok((pages, flaw))
}

/// What the row of a process says of its log; of a process that is not there, an empty log.
fn log_digest(reader: &dyn Reader, pid: Pid) -> Result<LogDigest, Error> {
    match reader.row(RowKey::Process(pid))? {
        Some(text) => Ok(Kernel::read_log(pid, &text)?),
        None => Ok(LogDigest::default()),
    }
}

/// A body by its address.
///
/// # Errors
/// If the store cannot be read or the body is missing or damaged.
pub fn body(reader: &dyn Reader, hash: Hash) -> Result<Body, Error> {
    let lost = |what: String| {
        Error::new(ErrorCode::StoreCorrupt, format!("reading the body {hash}: {what}"))
            .hint("`aosk audit verify` says what else is damaged")
    };
    let bytes = reader.body(hash)?.ok_or_else(|| lost("it is not in the store".to_owned()))?;
    Body::from_bytes(&bytes).map_err(|error| lost(error.to_string()))
}

/// Goes through the journal from `query.from` on, entry by entry, until `each` says `false`.
///
/// # Errors
/// If the store cannot be read, or an entry stands where none can.
pub fn journal(
    reader: &dyn Reader,
    query: &JournalQuery,
    mut each: impl FnMut(StoredEntry) -> bool,
) -> Result<(), Error> {
    let mut query = query.clone();
    let mut length = 0;
    loop {
        let entries = reader.journal(&query)?;
        let Some(last) = entries.last().map(|entry| entry.seq) else {
            return Ok(());
        };
        if last > length {
            // Read after the entries, so that one that was written meanwhile is within.
            length = reader.head()?.length;
        }
        for entry in entries {
            // One out of place could have any number, and the way past the largest has no end.
            if entry.seq < query.from || entry.seq > length {
                let (seq, code) = (entry.seq.cast_signed(), ErrorCode::StoreCorrupt);
                let what = format!("an entry stands out of place, the end being {length}: {seq}");
                return Err(Error::new(code, format!("reading the journal: {what}"))
                    .hint("`aosk audit verify` says where the journal is broken"));
            }
            if !each(entry) {
                return Ok(());
            }
        }
        query.from = last.saturating_add(1);
    }
}

//! Reading a store that another kernel may be running on.

use std::collections::BTreeSet;

use aosk_abi::{Body, Error, ErrorCode, Fact, Pid, RowKey};
use aosk_kernel::Kernel;
use aosk_store::{JournalQuery, ProcessQuery, Reader, StoredEntry, Which};

use crate::published::Snapshot;

/// Processes in order of their ids.
///
/// # Errors
/// If the store cannot be read or a row does not parse.
pub fn processes(reader: &dyn Reader, which: Which) -> Result<Vec<Snapshot>, Error> {
    let mut all = Vec::new();
    let mut query = ProcessQuery { which, ..ProcessQuery::default() };
    loop {
        let rows = reader.processes(&query)?;
        let Some(last) = rows.last() else {
            return Ok(all);
        };
        query.after = last.pid;
        for row in rows {
            let process = Kernel::read_process(row.pid, &row.spec, &row.process)?;
            let mut snapshot = Snapshot::of(row.pid, &process);
            if !row.live {
                snapshot.state = "exited";
            }
            all.push(snapshot);
        }
    }
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
    let process = Kernel::read_process(row.pid, &row.spec, &row.process)?;
    let mut snapshot = Snapshot::of(row.pid, &process);
    if !row.live {
        snapshot.state = "exited";
    }
    Ok(snapshot)
}

/// The log of a process, bodies and all.
///
/// # Errors
/// If the store cannot be read or a body is missing or damaged.
pub fn log(reader: &dyn Reader, pid: Pid) -> Result<Vec<Body>, Error> {
    let pages = reader.pages(pid)?;
    let mut log = Vec::with_capacity(pages.len());
    for (index, text) in pages {
        let hash = Kernel::read_page(RowKey::Page(pid, index), &text)?;
        log.push(body(reader, hash)?);
    }
    Ok(log)
}

/// A body by its address.
///
/// # Errors
/// If the store cannot be read or the body is missing or damaged.
pub fn body(reader: &dyn Reader, hash: aosk_abi::Hash) -> Result<Body, Error> {
    let lost = |what: String| {
        Error::new(ErrorCode::StoreCorrupt, format!("reading the body {hash}: {what}"))
            .hint("`aosk audit verify` says whether the journal is whole")
    };
    let bytes = reader.body(hash)?.ok_or_else(|| lost("it is not in the store".to_owned()))?;
    Body::from_bytes(&bytes).map_err(|error| lost(error.to_string()))
}

/// Reads every body that the journal names, each once, and says how many there are.
///
/// # Errors
/// If an entry cannot be read as a fact, or a body is missing or damaged; the message names the
/// entry.
pub fn check_bodies(reader: &dyn Reader) -> Result<usize, Error> {
    let mut seen = BTreeSet::new();
    let mut broken = None;
    journal(reader, &JournalQuery::default(), |entry| {
        let named = Fact::read(&entry.kind, &entry.data).ok_or_else(|| {
            Error::new(ErrorCode::StoreCorrupt, format!("it is no fact: {}", entry.kind))
        });
        let read = named.and_then(|fact| {
            for hash in fact.bodies() {
                if seen.insert(hash) {
                    body(reader, hash)?;
                }
            }
            Ok(())
        });
        broken = read.err().map(|error| (entry.seq, error));
        broken.is_none()
    })?;
    match broken {
        None => Ok(seen.len()),
        Some((seq, error)) => Err(Error {
            message: format!("checking what entry {seq} of the journal names: {}", error.message),
            ..error
        }),
    }
}

/// Goes through the journal from `query.from` on, entry by entry, until `each` says `false`.
///
/// # Errors
/// If the store cannot be read.
pub fn journal(
    reader: &dyn Reader,
    query: &JournalQuery,
    mut each: impl FnMut(StoredEntry) -> bool,
) -> Result<(), Error> {
    let mut query = query.clone();
    loop {
        let entries = reader.journal(&query)?;
        let Some(last) = entries.last() else {
            return Ok(());
        };
        query.from = last.seq.saturating_add(1);
        for entry in entries {
            if !each(entry) {
                return Ok(());
            }
        }
    }
}

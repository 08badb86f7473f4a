//! The journal: what happened and was decided, in order.

use std::collections::HashMap;

use aosk_abi::{Error, ErrorCode, Fact, Pid};
use aosk_runtime::inspect;
use aosk_runtime::store::{JournalQuery, Reader, StoredEntry};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::process::parse;
use crate::access::Caller;
use crate::app::App;
use crate::extract::{Json, Query};
use crate::limits::{
    ENTRIES_AT_ONCE_MAX, ITEMS_MAX, ITEMS_USUAL, PART_BYTES_MAX, SCAN_MAX, read_at_once,
};
use crate::problem::Problem;

/// Which entries.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EntryQuery {
    /// The first, counted from 1.
    from: Option<u64>,
    /// Only those of this process.
    #[param(pattern = "^p?[0-9]{1,19}$")]
    pid: Option<String>,
    /// Only those of this kind, such as `process.spawned`.
    kind: Option<String>,
    /// At most so many: 100 if nothing is said, 1000 at most.
    limit: Option<u32>,
}

/// A page of the journal.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EntryList {
    /// Those that were found.
    entries: Vec<JournalEntry>,
    /// How many entries the journal has.
    length: u64,
    /// The `from` of the next page, if there may be more. A page may have fewer than were asked for.
    next: Option<u64>,
}

/// An entry of the journal.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JournalEntry {
    /// Its place, counted from 1.
    pub(super) seq: u64,
    /// When it was decided, in milliseconds since 1970.
    at_ms: u64,
    /// Whose it is; none if the kernel's own.
    pid: Option<u64>,
    /// Its kind, such as `process.spawned`.
    kind: String,
    /// What happened.
    #[schema(value_type = Object)]
    data: serde_json::Value,
    /// The hash that chains it to the one before.
    hash: String,
}

impl From<&StoredEntry> for JournalEntry {
    fn from(entry: &StoredEntry) -> Self {
        Self {
            seq: entry.seq,
            at_ms: entry.at.0,
            pid: entry.pid.map(|pid| pid.0),
            kind: entry.kind.clone(),
            data: serde_json::from_str(&entry.data).unwrap_or_default(),
            hash: entry.hash.to_string(),
        }
    }
}

/// Which entries are meant, and which may be seen.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    pub(super) pid: Option<Pid>,
    pub(super) kind: Option<String>,
    pub(super) caller: Caller,
}

/// A part of the journal that was read.
#[derive(Debug)]
pub(super) struct Part {
    /// Those that are meant.
    pub(super) entries: Vec<JournalEntry>,
    /// Where to go on.
    pub(super) next: u64,
    /// Whether there may be more already.
    pub(super) more: bool,
}

impl Filter {
    /// Reads entries from `from` on: at most `limit`, none more when they have so many bytes, and at
    /// most [`SCAN_MAX`] that are not meant.
    pub(super) fn read(
        &self,
        reader: &dyn Reader,
        from: u64,
        (limit, bytes_max): (u32, usize),
    ) -> Result<Part, Error> {
        let mut part = Part { entries: Vec::new(), next: from, more: false };
        let at_once = read_at_once(limit).min(ENTRIES_AT_ONCE_MAX);
        let query = JournalQuery { from: from.max(1), limit: at_once, pid: self.pid };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut seen: HashMap<Pid, bool> = HashMap::new();
        let (mut scanned, mut bytes) = (0_u32, 0_usize);
        let mut failed = None;
        inspect::journal(reader, &query, |entry| {
            if part.entries.len() >= limit || scanned >= SCAN_MAX || bytes >= bytes_max {
                part.more = true;
                return false;
            }
            scanned = scanned.saturating_add(1);
            match self.shows(reader, &entry, &mut seen) {
                Ok(true) => {
                    bytes = bytes.saturating_add(entry.data.len());
                    part.entries.push(JournalEntry::from(&entry));
                }
                Ok(false) => {}
                Err(error) => {
                    failed = Some(error);
                    return false;
                }
            }
            part.next = entry.seq.saturating_add(1);
            true
        })?;
        failed.map_or(Ok(part), Err)
    }

    fn shows(
        &self,
        reader: &dyn Reader,
        entry: &StoredEntry,
        seen: &mut HashMap<Pid, bool>,
    ) -> Result<bool, Error> {
        if self.kind.as_deref().is_some_and(|kind| kind != entry.kind) {
            return Ok(false);
        }
        if self.caller.tenant.is_none() {
            return Ok(true);
        }
        // What is of no process is of no tenant.
        let Some(pid) = entry.pid else { return Ok(false) };
        if let Some(sees) = seen.get(&pid) {
            return Ok(*sees);
        }
        let sees = self.caller.sees(&inspect::process(reader, pid)?.spec.group);
        seen.insert(pid, sees);
        Ok(sees)
    }

    /// The filter that a request asks for.
    pub(super) fn of(
        caller: Caller,
        pid: Option<&str>,
        kind: Option<String>,
    ) -> Result<Self, Error> {
        let pid = pid.map(|pid| parse(pid, "the id of a process")).transpose()?;
        if let Some(kind) = kind.as_deref().filter(|kind| !Fact::KINDS.contains(kind)) {
            let text = format!("reading the journal: there is no kind {kind:?}");
            return Err(Error::new(ErrorCode::ApiBadRequest, text)
                .hint(format!("kinds: {}", Fact::KINDS.join(", "))));
        }
        Ok(Self { pid, kind, caller })
    }
}

/// Entries of the journal.
#[utoipa::path(
    get,
    path = "/api/v1/journal",
    tag = "journal",
    params(EntryQuery),
    responses(
        (status = 200, description = "A page of them", body = EntryList),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<EntryQuery>,
) -> Result<Json<EntryList>, Problem> {
    let filter = Filter::of(caller, query.pid.as_deref(), query.kind)?;
    let limit = query.limit.unwrap_or(ITEMS_USUAL).clamp(1, ITEMS_MAX);
    let from = query.from.unwrap_or(1);
    let (part, length) = app
        .read(move |reader| {
            let part = filter.read(reader, from, (limit, PART_BYTES_MAX))?;
            Ok((part, reader.head()?.length))
        })
        .await?;
    let Part { entries, next, more } = part;
    Ok(Json(EntryList { entries, length, next: more.then_some(next) }))
}

#[cfg(test)]
mod tests;

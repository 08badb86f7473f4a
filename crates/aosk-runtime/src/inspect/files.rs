//! Which files the tools of a process read and wrote: its log says which were meant, its journal what
//! came of it and when.
//!
//! What a command does that an agent runs, nobody writes down.

use std::collections::{BTreeMap, HashMap};
use std::path::{Component, Path, PathBuf};

use aosk_abi::{
    CallId, Error, Fact, Hash, Message, MessageIndex, PageKind, Pid, RowKey, Timestamp,
};
use aosk_kernel::Kernel;
use aosk_store::{JournalQuery, Reader};
use aosk_tools::builtin::{Touch, touched};

use super::{LogRow, body, journal, log_rows};

/// Answers of a model that are read, the newest of a log.
pub const ANSWERS_MAX: usize = 5_000;

/// Facts of the process that are read, from its beginning.
pub const FACTS_MAX: usize = 100_000;

/// The files that a process touched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// Each, in order of their paths.
    pub files: Vec<TouchedFile>,
    /// Whether these are all: the log and the journal were read whole.
    pub complete: bool,
}

/// A file that a process touched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TouchedFile {
    /// Its path, from the workspace if it lies there.
    pub path: String,
    /// How often it was read.
    pub reads: u64,
    /// When it was read last.
    pub read: Option<Timestamp>,
    /// How often it was written.
    pub writes: u64,
    /// When it was written last.
    pub written: Option<Timestamp>,
}

/// The files that calls of the process read and wrote. Calls that failed are left out. `workspace` is
/// where it works.
///
/// # Errors
/// If the store cannot be read, or the log is not what was written.
pub fn files(reader: &dyn Reader, pid: Pid, workspace: &Path) -> Result<Files, Error> {
    let (wanted, whole_log) = wanted(reader, pid)?;
    let mut under_way: HashMap<CallId, &(Touch, String)> = HashMap::new();
    let mut files: BTreeMap<String, TouchedFile> = BTreeMap::new();
    let (mut facts, mut whole_journal) = (0_usize, true);
    let query = JournalQuery { pid: Some(pid), ..JournalQuery::default() };
    journal(reader, &query, |entry| {
        facts = facts.saturating_add(1);
        if facts > FACTS_MAX {
            whole_journal = false;
            return false;
        }
        // Most facts are others, which need not be read.
        if entry.kind != "tool.called" && entry.kind != "tool.returned" {
            return true;
        }
        let fact = Fact::read(&entry.kind, &entry.data);
        if let Some(Fact::ToolCalled { call, tool, arguments, .. }) = fact {
            if let Some(wanted) = wanted.get(&(tool, arguments)) {
                under_way.insert(call, wanted);
            }
        } else if let Some(Fact::ToolReturned { call, is_error, .. }) = fact
            && let Some((touch, path)) = under_way.remove(&call)
            && !is_error
        {
            let path = cleaned(path, workspace);
            let file = files.entry(path.clone()).or_default();
            file.path = path;
            let (count, last) = match touch {
                Touch::Read => (&mut file.reads, &mut file.read),
                Touch::Written => (&mut file.writes, &mut file.written),
            };
            *count = count.saturating_add(1);
            *last = Some(entry.at);
        }
        true
    })?;
    Ok(Files { files: files.into_values().collect(), complete: whole_log && whole_journal })
}

/// What the model wanted of files, by the name of the tool and the address of its arguments; and
/// whether the whole log was read.
type Wanted = HashMap<(String, Hash), (Touch, String)>;

fn wanted(reader: &dyn Reader, pid: Pid) -> Result<(Wanted, bool), Error> {
    let (rows, flaw) = log_rows(reader, pid)?;
    if let Some(flaw) = flaw {
        return Err(super::flawed(pid, &flaw));
    }
    let mut wanted = Wanted::new();
    let mut answers = 0_usize;
    for (index, row) in (0..).map(MessageIndex).zip(&rows).collect::<Vec<_>>().into_iter().rev() {
        if !may_call(pid, index, row)? {
            continue;
        }
        answers = answers.saturating_add(1);
        if answers > ANSWERS_MAX {
            return Ok((wanted, false));
        }
        let answer = body(reader, row.0)?;
        if let Message::Assistant { tool_calls, .. } = answer.message().as_ref() {
            for call in tool_calls {
                if let Some(touch) = touched(&call.name, &call.arguments) {
                    let key = (call.name.clone(), Hash::of(call.arguments.as_bytes()));
                    wanted.insert(key, touch);
                }
            }
        }
    }
    Ok((wanted, true))
}

/// Whether a message may hold calls of tools, as far as its row says.
fn may_call(pid: Pid, index: MessageIndex, (_, text): &LogRow) -> Result<bool, Error> {
    let entries = Kernel::read_entries(RowKey::Message(pid, index), text)?;
    // One that is no page yet says nothing of what it is.
    Ok(entries.is_empty() || entries.iter().any(|entry| entry.kind == PageKind::Assistant))
}

/// The same path for the same file, as far as its text says.
fn cleaned(path: &str, workspace: &Path) -> String {
    let path = Path::new(path);
    let path = path.strip_prefix(workspace).unwrap_or(path);
    let parts = path.components().filter(|part| *part != Component::CurDir);
    parts.collect::<PathBuf>().to_string_lossy().into_owned()
}

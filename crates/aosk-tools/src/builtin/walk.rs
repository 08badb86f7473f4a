//! Walks a directory tree in the order of its names, bounded, and never through a symbolic link.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::blocking::Cancel;
use crate::bound::clean;
use crate::error::ToolError;
use crate::limits;
use crate::workspace::{Workspace, fault};

/// Directories that a walk lists but does not enter: the innards of version control.
const NOT_ENTERED: [&str; 3] = [".git", ".hg", ".svn"];

/// What an entry of a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An ordinary file.
    File {
        /// Its size.
        bytes: u64,
    },
    /// A directory.
    Directory,
    /// A symbolic link, wherever it leads.
    Link,
    /// A pipe, a socket or a device.
    Special,
}

/// One entry, relative to the workspace.
#[derive(Debug)]
pub(super) struct Entry {
    /// Where it is.
    pub(super) path: PathBuf,
    /// What it is.
    pub(super) kind: Kind,
}

impl Entry {
    /// The path as text, with `/` between its parts; safe to show.
    pub(super) fn shown(&self) -> String {
        // A name may hold line feeds, which would look like further entries.
        clean(&self.path.to_string_lossy()).replace('\n', "␊")
    }
}

/// How a walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Every entry was visited.
    Complete,
    /// The visitor had enough.
    Stopped,
    /// The tree is larger or deeper than the bounds.
    TooLarge,
}

/// Visits what lies in the directory `start`, and below it if `recursive`.
///
/// Directories that cannot be read are passed over; so are those that vanish meanwhile.
///
/// # Errors
/// If `start` is no directory, is outside, or the call is cancelled; and those of `visit`.
pub(super) fn walk(
    workspace: &Workspace,
    start: &Path,
    recursive: bool,
    cancel: &Cancel,
    mut visit: impl FnMut(&Entry) -> Result<ControlFlow<()>, ToolError>,
) -> Result<End, ToolError> {
    let mut left = limits::WALK_ENTRIES_MAX;
    let mut end = End::Complete;
    let mut pending = read_dir(workspace, start, &mut left)?;
    while let Some(entry) = pending.pop() {
        cancel.check()?;
        if visit(&entry)?.is_break() {
            return Ok(End::Stopped);
        }
        let entered = entry.path.file_name().and_then(|name| name.to_str());
        let skipped = entered.is_some_and(|name| NOT_ENTERED.contains(&name));
        if !recursive || entry.kind != Kind::Directory || skipped {
            continue;
        }
        if left == 0 || entry.path.components().count() > limits::WALK_DEPTH_MAX {
            end = End::TooLarge;
        } else if let Ok(children) = read_dir(workspace, &entry.path, &mut left) {
            pending.extend(children);
        }
    }
    Ok(if left == 0 { End::TooLarge } else { end })
}

/// The entries of one directory, last name first.
fn read_dir(workspace: &Workspace, path: &Path, left: &mut usize) -> Result<Vec<Entry>, ToolError> {
    let wrong = |error: std::io::Error| fault("list", path, &error);
    let dir = workspace.dir().open_dir(path).map_err(wrong)?;
    let mut entries = Vec::new();
    for entry in dir.entries().map_err(wrong)?.take(*left) {
        *left -= 1;
        let Ok(entry) = entry else { continue };
        // Metadata of the entry itself; a link is not followed.
        let Ok(metadata) = entry.metadata() else { continue };
        let kind = if metadata.is_file() {
            Kind::File { bytes: metadata.len() }
        } else if metadata.is_dir() {
            Kind::Directory
        } else if metadata.is_symlink() {
            Kind::Link
        } else {
            Kind::Special
        };
        let name = entry.file_name();
        let path = if path == Path::new(".") { name.into() } else { path.join(name) };
        entries.push(Entry { path, kind });
    }
    entries.sort_unstable_by(|a, b| b.path.cmp(&a.path));
    Ok(entries)
}

//! The hash chain over the journal, and the check of it.
//!
//! The hash of an entry is BLAKE3 over these bytes, integers little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 32 | the hash of the entry before; zeros for the first |
//! | 8 | `seq`, counted from 1 |
//! | 8 | `at`, milliseconds since the Unix epoch |
//! | 1 | 1 if the entry belongs to a process, else 0 |
//! | 8 | `pid`; zeros if it belongs to none |
//! | 8, then that many | the length of `kind`, and `kind` |
//! | 8, then that many | the length of `data`, and `data` |
//!
//! So whoever knows the head knows that nothing before it was edited, deleted, moved or cut. The
//! store keeps the head in the same transaction as the entries. One who can write the file can make
//! a new chain with a new head; a head that was noted elsewhere shows that.

use std::collections::BTreeSet;
use std::fmt;

use aosk_abi::{Entry, Error, ErrorCode, Hash, Pid, Timestamp};

use crate::error::StoreError;
use crate::limits::{REORDER_WINDOW, VERIFY_CHUNK};
use crate::store::{Head, JournalQuery, Reader, StoredEntry};

#[cfg(test)]
mod tests;

/// A journal without a break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Where it ends. Noted elsewhere, it is what a later check can be held against.
    pub head: Head,
}

/// The first place where the journal is not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Break {
    /// The entry.
    pub seq: u64,
    /// What is wrong there.
    pub flaw: Flaw,
}

/// What is wrong with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Its content or its hash was changed.
    Edited,
    /// It is not there, and later ones are.
    Deleted,
    /// It is another entry, in the wrong place.
    Moved {
        /// Where it was written.
        written_at: u64,
    },
    /// It and all later ones are not there.
    Truncated {
        /// How many entries there were.
        length: u64,
    },
    /// It stands after the end that the head gives.
    Appended,
    /// The chain up to here holds, and is not the one that the head was taken from.
    Rewritten,
    /// It stands before the first, where nothing can.
    Planted,
    /// It cannot be read.
    Unreadable,
}

/// Why a check did not end well.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The journal has a break.
    #[error("verify the journal: {0}")]
    Broken(Break),
    /// The journal could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl VerifyError {
    /// The error as a person or a program outside sees it.
    #[must_use]
    pub fn public(&self) -> Error {
        match self {
            Self::Broken(_) => Error::new(ErrorCode::JournalBroken, self.to_string())
                .hint("what stands before this entry is as it was written; compare with a backup"),
            Self::Store(error) => error.public(),
        }
    }
}

impl From<VerifyError> for Error {
    fn from(error: VerifyError) -> Self {
        error.public()
    }
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seq = self.seq;
        match self.flaw {
            Flaw::Edited => write!(f, "an entry was edited: {seq}"),
            Flaw::Deleted => write!(f, "an entry is missing: {seq}"),
            Flaw::Moved { written_at } => {
                write!(f, "an entry was moved here from place {written_at}: {seq}")
            }
            Flaw::Truncated { length } => {
                write!(f, "the end is cut off, first missing of {length}: {seq}")
            }
            Flaw::Appended => write!(f, "an entry stands after the recorded end: {seq}"),
            Flaw::Rewritten => {
                write!(f, "the chain is not the one the head was taken from, up to entry: {seq}")
            }
            Flaw::Planted => {
                // A number below zero is kept bit by bit.
                write!(f, "an entry stands before the first: {}", seq.cast_signed())
            }
            Flaw::Unreadable => write!(f, "an entry cannot be read: {seq}"),
        }
    }
}

/// Checks the whole journal, a chunk at a time, and holds it against the store's own head and
/// against `expected`, a head that was noted earlier. It may run while a kernel writes.
///
/// # Errors
/// The first break; or a store that cannot be read.
pub fn verify(reader: &dyn Reader, expected: Option<Head>) -> Result<Verified, VerifyError> {
    let mut chain = Chain::at(Head::default());
    check_before(reader)?;
    let broken = |seq, flaw| Err(VerifyError::Broken(Break { seq, flaw }));
    loop {
        // The head is read before the entries, so a kernel that writes meanwhile can only make the
        // entries more than the head says.
        let recorded = reader.head()?;
        let from = chain.head.length.saturating_add(1);
        let entries = read_chunk(reader, from)?;
        if entries.is_empty() {
            let end = chain.head;
            let known = expected.map_or(0, |head| head.length).max(recorded.length);
            if end.length < known {
                return broken(from, Flaw::Truncated { length: known });
            }
            if end.length > recorded.length {
                return broken(recorded.length.saturating_add(1), Flaw::Appended);
            }
            if end.hash != recorded.hash {
                return broken(end.length, Flaw::Rewritten);
            }
            return Ok(Verified { head: end });
        }
        for entry in &entries {
            let seq = chain.head.length.saturating_add(1);
            // Entries that are written meanwhile follow those before without a gap.
            if entry.seq != seq && seq > recorded.length {
                return broken(entry.seq, Flaw::Appended);
            }
            if entry.seq != seq {
                return broken(seq, Flaw::Deleted);
            }
            let before = chain.head.hash;
            chain.extend(entry.at, entry.pid, &entry.kind, &entry.data);
            if chain.head.hash != entry.hash {
                return broken(seq, flaw_of(reader, entry, before)?);
            }
            if expected.is_some_and(|head| head.length == seq && head.hash != entry.hash) {
                return broken(seq, Flaw::Rewritten);
            }
        }
    }
}

/// Looks before the first entry, where the chain does not begin and no other check looks.
fn check_before(reader: &dyn Reader) -> Result<(), VerifyError> {
    let first = |from| reader.journal(&JournalQuery { from, limit: 1, pid: None });
    let planted = |seq| Err(VerifyError::Broken(Break { seq, flaw: Flaw::Planted }));
    match first(0) {
        Ok(entries) => match entries.first() {
            Some(entry) if entry.seq == 0 || entry.seq.cast_signed() < 0 => planted(entry.seq),
            Some(_) | None => Ok(()),
        },
        // It cannot be read, so its place is not known. If it is the first one, the walk finds it.
        Err(StoreError::Corrupt { .. }) if first(1).is_ok() => planted(0),
        Err(StoreError::Corrupt { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The next entries. Where a chunk holds one that cannot be read, they come one by one, so that the
/// break is found at its place.
fn read_chunk(reader: &dyn Reader, from: u64) -> Result<Vec<StoredEntry>, VerifyError> {
    let read = |limit| reader.journal(&JournalQuery { from, limit, pid: None });
    let is_damage = |error: &StoreError| matches!(error, StoreError::Corrupt { .. });
    match read(VERIFY_CHUNK) {
        Err(error) if is_damage(&error) => match read(1) {
            Err(error) if is_damage(&error) => {
                Err(VerifyError::Broken(Break { seq: from, flaw: Flaw::Unreadable }))
            }
            other => Ok(other?),
        },
        other => Ok(other?),
    }
}

/// Tells an entry that was moved from one that was edited: a moved one still has the content that
/// one of the hashes nearby was made from.
fn flaw_of(reader: &dyn Reader, entry: &StoredEntry, before: Hash) -> Result<Flaw, VerifyError> {
    let query = JournalQuery { from: entry.seq, limit: REORDER_WINDOW, pid: None };
    let nearby = match reader.journal(&query) {
        Ok(nearby) => nearby,
        Err(StoreError::Corrupt { .. }) => return Ok(Flaw::Edited),
        Err(error) => return Err(error.into()),
    };
    let hashes: BTreeSet<Hash> = nearby.iter().map(|other| other.hash).collect();
    for place in &nearby {
        for previous in hashes.iter().copied().chain([before]) {
            let head = Head { length: place.seq.saturating_sub(1), hash: previous };
            let mut chain = Chain::at(head);
            chain.extend(entry.at, entry.pid, &entry.kind, &entry.data);
            if place.seq != entry.seq && hashes.contains(&chain.head.hash) {
                return Ok(Flaw::Moved { written_at: place.seq });
            }
        }
    }
    Ok(Flaw::Edited)
}

/// The end of a chain that grows. Keeps its buffers, so that an entry costs no allocation.
#[derive(Debug)]
pub(crate) struct Chain {
    /// Where the chain ends.
    pub(crate) head: Head,
    bytes: Vec<u8>,
    data: Vec<u8>,
}

impl Chain {
    /// The chain that ends at `head`.
    pub(crate) fn at(head: Head) -> Self {
        Self { head, bytes: Vec::new(), data: Vec::new() }
    }

    /// Adds `entry` and gives back the new head and the entry's data.
    pub(crate) fn append(&mut self, entry: &Entry) -> Result<(Head, &str), StoreError> {
        let unwritable = |reason: String| StoreError::Io { attempted: "write a fact", reason };
        let mut data = std::mem::take(&mut self.data);
        data.clear();
        serde_json::to_writer(&mut data, &entry.fact).map_err(|e| unwritable(e.to_string()))?;
        self.data = data;
        let data = str::from_utf8(&self.data).map_err(|e| unwritable(e.to_string()))?;
        self.head = link(&mut self.bytes, self.head, entry.at, entry.pid, entry.fact.kind(), data);
        Ok((self.head, data))
    }

    /// Adds an entry that was read.
    fn extend(&mut self, at: Timestamp, pid: Option<Pid>, kind: &str, data: &str) {
        self.head = link(&mut self.bytes, self.head, at, pid, kind, data);
    }
}

/// The head after an entry. `bytes` is scratch space.
fn link(
    bytes: &mut Vec<u8>,
    before: Head,
    at: Timestamp,
    pid: Option<Pid>,
    kind: &str,
    data: &str,
) -> Head {
    let length = before.length.saturating_add(1);
    bytes.clear();
    bytes.extend_from_slice(&before.hash.0);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&at.0.to_le_bytes());
    bytes.push(u8::from(pid.is_some()));
    bytes.extend_from_slice(&pid.map_or(0, |pid| pid.0).to_le_bytes());
    for text in [kind, data] {
        bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    Head { length, hash: Hash::of(bytes) }
}

//! A second place that knows where the journal ended: a small file beside the database.
//!
//! SQLite takes a write-ahead log that was cut or damaged for one that ends there, and says nothing
//! of the commits that are gone. The witness is written after each commit, without a flush of its
//! own, so it is never ahead of what the disk has acknowledged; a journal that is behind it has lost
//! entries.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use aosk_abi::Hash;

use crate::error::StoreError;
use crate::store::Head;

/// The file's name.
const WITNESS: &str = "head";

/// The witness of a store that is open for writing.
#[derive(Debug)]
pub(super) struct Witness {
    /// None where the file cannot be written; the store works without.
    file: Option<File>,
}

impl Witness {
    /// The witness in `dir`, which is made at the first commit.
    pub(super) fn open(dir: &Path) -> Self {
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).open(dir.join(WITNESS));
        Self { file: file.ok() }
    }

    /// Notes where the journal ends.
    pub(super) fn note(&mut self, head: Head) {
        let Some(file) = &mut self.file else { return };
        // Of one length, so that nothing of an older note is left behind.
        let line = format!("{:020} {}\n", head.length, head.hash);
        let noted = file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(line.as_bytes()));
        if noted.is_err() {
            // Half a note is worse than none.
            self.file = None;
        }
    }
}

/// Where the journal in `dir` ended when it was last noted, if it was.
pub(super) fn read(dir: &Path) -> Option<Head> {
    let text = std::fs::read_to_string(dir.join(WITNESS)).ok()?;
    let (length, hash) = text.trim_end().split_once(' ')?;
    let hash: Hash = hash.parse().ok()?;
    Some(Head { length: length.parse().ok()?, hash })
}

/// Holds the end of the journal against what was noted before the store was opened.
pub(super) fn check(noted: Option<Head>, found: Head) -> Result<(), StoreError> {
    let Some(noted) = noted else { return Ok(()) };
    let lost =
        |reason: String| Err(StoreError::Corrupt { attempted: "open the data directory", reason });
    if found.length < noted.length {
        return lost(format!(
            "the journal ends at entry {} and {} were kept: the write-ahead log was cut, damaged or \
             left behind; put all files of the directory back, or remove the file `{WITNESS}` to go \
             on without what is lost",
            found.length, noted.length
        ));
    }
    if found.length == noted.length && found.hash != noted.hash {
        return lost(format!("entry {} is not the one that was kept", found.length));
    }
    Ok(())
}

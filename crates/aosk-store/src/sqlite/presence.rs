//! What is in a data directory and who has it, found out without touching it: nothing is made, and
//! the lock is never taken, which even for a moment could keep a kernel from starting.

use std::path::Path;
use std::sync::Arc;

use super::{DATABASE, LOCK, Sqlite};
use crate::error::StoreError;
use crate::store::Reader;

/// Who has the lock of a data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// Nobody: no kernel runs on it.
    Nobody,
    /// The process of the operating system with this id.
    Process(u32),
    /// This machine does not tell.
    Unknown,
}

/// Finds out who has the lock of `dir`.
#[must_use]
pub fn holder(dir: &Path) -> Holder {
    let Ok(text) = std::fs::read_to_string(dir.join(LOCK)) else {
        return Holder::Nobody;
    };
    let Ok(pid) = text.trim().parse::<u32>() else {
        return Holder::Nobody;
    };
    let Ok(locks) = std::fs::read_to_string("/proc/locks") else {
        return Holder::Unknown;
    };
    // A line is `1: FLOCK  ADVISORY  WRITE 10091 fe:00:10223898 0 EOF`. Whoever wrote the file may be
    // gone, and then its locks are too.
    let is_its = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        matches!(words.as_slice(), [_, "FLOCK", _, "WRITE", owner, ..] if owner.parse() == Ok(pid))
    };
    if locks.lines().any(is_its) { Holder::Process(pid) } else { Holder::Nobody }
}

/// A reader of the store in `dir`; none if nothing is stored there.
///
/// # Errors
/// As [`Sqlite::open_reader`], but for [`StoreError::Absent`].
pub fn find_reader(dir: &Path) -> Result<Option<Arc<dyn Reader>>, StoreError> {
    match Sqlite::open_reader(dir) {
        Ok(reader) => Ok(Some(reader)),
        Err(StoreError::Absent { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Bytes that the store in `dir` takes on the disk: its database and the write-ahead log.
#[must_use]
pub fn bytes(dir: &Path) -> u64 {
    let files = [DATABASE.to_owned(), format!("{DATABASE}-wal")].into_iter();
    files.filter_map(|file| dir.join(file).metadata().ok()).map(|file| file.len()).sum()
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::store::Store;

    #[test]
    fn a_directory_without_a_store_has_nothing() {
        let dir = TempDir::new().expect("a temporary directory");
        assert!(find_reader(dir.path()).expect("no error").is_none());
        assert_eq!(holder(dir.path()), Holder::Nobody);
        assert_eq!(bytes(dir.path()), 0);
        let names = std::fs::read_dir(dir.path()).expect("reads");
        assert_eq!(names.count(), 0, "looking makes nothing");
    }

    #[test]
    fn the_holder_of_the_lock_is_named_while_it_has_it() {
        let dir = TempDir::new().expect("a temporary directory");
        let store = Sqlite::open(dir.path()).expect("opens");
        let expected = match Path::new("/proc/locks").exists() {
            true => Holder::Process(std::process::id()),
            false => Holder::Unknown,
        };
        assert_eq!(holder(dir.path()), expected);
        drop(store);
        // No process has this id.
        std::fs::write(dir.path().join(LOCK), format!("{}\n", u32::MAX)).expect("writes");
        assert_ne!(holder(dir.path()), Holder::Process(u32::MAX));
    }

    #[test]
    fn what_is_stored_is_read_and_measured() {
        let dir = TempDir::new().expect("a temporary directory");
        let mut store = Sqlite::open(dir.path()).expect("opens");
        store.commit(&[crate::Batch::default()]).expect("commits");
        assert!(find_reader(dir.path()).expect("reads").is_some());
        let sizes = ["aosk.db", "aosk.db-wal"].map(|file| {
            dir.path().join(file).metadata().map(|file| file.len()).unwrap_or_default()
        });
        let sum: u64 = sizes.iter().sum();
        assert!(sum > 0);
        assert_eq!(bytes(dir.path()), sum);
    }
}

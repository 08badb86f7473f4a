//! How a store fails, and how that is told to people.

use std::io;
use std::path::PathBuf;

use aosk_abi::{Error, ErrorCode, RowKey};

/// A store that could not do what it was asked.
///
/// `attempted` says what was being done, `reason` what the layer below said of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another process has the directory.
    #[error("open the data directory: another kernel{} has it: {}", with_pid(*.holder), .dir.display())]
    Locked {
        /// The directory.
        dir: PathBuf,
        /// The process id of the holder, if it could be read.
        holder: Option<u32>,
    },
    /// The directory was written by a newer version of this program.
    #[error(
        "open the data directory: this version knows format {known}, found a newer one: {found}"
    )]
    Newer {
        /// The format of the directory.
        found: u32,
        /// The newest format this version knows.
        known: u32,
    },
    /// The database file belongs to another program, or is no database.
    #[error("open the data directory: the file is not a store of this program: {}", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// There is nothing to read.
    #[error("read the data directory: no kernel has run here: {}", .dir.display())]
    Absent {
        /// The directory.
        dir: PathBuf,
    },
    /// There is no room. Nothing was written.
    #[error("{attempted}: the disk is full: {reason}")]
    Full {
        /// What was being done.
        attempted: &'static str,
        /// What the layer below said.
        reason: String,
    },
    /// Someone else holds the database for the moment. Nothing was written.
    #[error("{attempted}: the store is busy: {reason}")]
    Busy {
        /// What was being done.
        attempted: &'static str,
        /// What the layer below said.
        reason: String,
    },
    /// The store could not be read or written.
    #[error("{attempted}: the store failed: {reason}")]
    Io {
        /// What was being done.
        attempted: &'static str,
        /// What the layer below said.
        reason: String,
    },
    /// What is stored is not what was written.
    #[error("{attempted}: the store is damaged: {reason}")]
    Corrupt {
        /// What was being done.
        attempted: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Only processes can be archived. Nothing was written.
    #[error("commit: a row that is no process cannot be archived: {key:?}")]
    NotArchivable {
        /// The row.
        key: RowKey,
    },
    /// An earlier commit failed, or the commit thread is gone; nothing more is accepted.
    #[error("commit: the store takes no more after a failure")]
    Closed,
}

impl StoreError {
    /// Whether the same commit may well succeed a little later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::Busy { .. })
    }

    /// The error as a person or a program outside sees it.
    #[must_use]
    pub fn public(&self) -> Error {
        let (code, hint) = match self {
            Self::Locked { .. } => (
                ErrorCode::StoreLocked,
                "talk to the kernel that runs there, stop it, or choose another data directory",
            ),
            Self::Newer { .. } => (
                ErrorCode::StoreNewer,
                "use the version that wrote it, or choose another data directory",
            ),
            Self::Foreign { .. } => (ErrorCode::StoreIo, "choose another data directory"),
            Self::Absent { .. } => {
                (ErrorCode::StoreIo, "check the path of the data directory, or run something first")
            }
            Self::Full { .. } => (
                ErrorCode::StoreFull,
                "free some space and start again; what was committed is kept",
            ),
            Self::Busy { .. } => (
                ErrorCode::StoreIo,
                "another program has the database open; close it and try again",
            ),
            Self::Io { .. } => {
                (ErrorCode::StoreIo, "check the disk and the permissions of the data directory")
            }
            Self::Corrupt { .. } => {
                (ErrorCode::StoreCorrupt, "restore the data directory from a backup")
            }
            Self::NotArchivable { .. } => (ErrorCode::StoreIo, ""),
            Self::Closed => (ErrorCode::StoreIo, "start again; what was committed is kept"),
        };
        Error::new(code, self.to_string()).hint(hint)
    }

    /// The error that an I/O error of the operating system stands for.
    pub(crate) fn from_io(attempted: &'static str, error: &io::Error) -> Self {
        let reason = error.to_string();
        if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            Self::Full { attempted, reason }
        } else {
            Self::Io { attempted, reason }
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        error.public()
    }
}

fn with_pid(holder: Option<u32>) -> String {
    holder.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

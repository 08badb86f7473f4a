//! The embedded store: one directory with an SQLite database in it, one writer, many readers.
//!
//! The directory holds `lock`, which the writer locks for as long as it lives, and `aosk.db` with
//! its write-ahead log. A commit is one transaction and one flush of the log; moving the log into
//! the database file is left to [`Store::maintain`], which must be called now and then or the log
//! grows without end.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aosk_abi::Image;
use rusqlite::types::{ToSql, ToSqlOutput};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::error::StoreError;
use crate::journal::Chain;
use crate::limits::{BUSY_TIMEOUT, WAL_FRAMES_BUSY, WAL_FRAMES_IDLE, WAL_FRAMES_REST};
use crate::store::{Batch, Head, Reader, Store};
use block::Marks;
use mover::{Mover, Stage, move_log};
use room::Room;
use witness::Witness;

mod block;
mod damage;
mod mover;
pub mod presence;
mod read;
mod room;
mod schema;
#[cfg(test)]
mod tests;
mod witness;
mod write;

const DATABASE: &str = "aosk.db";
const LOG: &str = "aosk.db-wal";
const LOCK: &str = "lock";

/// The embedded store. Holds the lock of its directory.
#[derive(Debug)]
pub struct Sqlite {
    connection: Connection,
    path: PathBuf,
    /// The head as of the last commit; none when it must be read again, as after a failure.
    head: Option<Head>,
    /// What the sparse indexes were told as of the last commit.
    marks: Marks,
    witness: Witness,
    room: Room,
    mover: Mover,
    /// Frames of the log from which it is moved although commits come.
    log_frames: u64,
    /// The last field, so that it goes after the database is closed.
    _lock: Lock,
}

/// What a row of the table of small rows is.
#[derive(Debug, Clone, Copy)]
#[repr(i64)]
enum NodeKind {
    /// Where the journal ends: the length, a space, the hash.
    Head = 0,
    /// [`RowKey::Kernel`](aosk_abi::RowKey::Kernel).
    Counters = 1,
    /// [`RowKey::Budget`](aosk_abi::RowKey::Budget).
    Budget = 2,
}

impl ToSql for NodeKind {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok((*self as i64).into())
    }
}

/// The lock of a directory, held until it is dropped.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file is not enough: a child that another thread is just starting has it too.
        // If this fails, the lock goes with that child or with this process.
        drop(self.0.unlock());
    }
}

/// What can be set about a store.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// The size the database may grow to, in pages of 4 KiB; unbounded if none. A commit beyond
    /// it is a full disk.
    pub pages_max: Option<u32>,
    /// How long a commit waits for another program that writes to the database.
    pub busy_timeout: Duration,
    /// Frames of the write-ahead log (one database page each) from which it is moved into the database
    /// file although commits come.
    pub log_frames: u64,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { pages_max: None, busy_timeout: BUSY_TIMEOUT, log_frames: WAL_FRAMES_BUSY }
    }
}

impl Sqlite {
    /// Opens the store in `dir`, and makes both where they do not exist.
    ///
    /// # Errors
    /// [`StoreError::Locked`], [`StoreError::Newer`] and [`StoreError::Foreign`] for a directory
    /// that this process may not have; otherwise if it cannot be read or written.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Self::open_with(dir, &SqliteOptions::default())
    }

    /// Opens the store in `dir` with `options`.
    ///
    /// # Errors
    /// As [`Sqlite::open`].
    pub fn open_with(dir: &Path, options: &SqliteOptions) -> Result<Self, StoreError> {
        make_private(dir).map_err(|e| StoreError::from_io("make the data directory", &e))?;
        let lock = lock(dir)?;
        let noted = witness::read(dir);
        let path = dir.join(DATABASE);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection =
            Connection::open_with_flags(&path, flags).map_err(|e| failed(OPEN, &path, &e))?;
        schema::prepare(&mut connection, &path)?;
        let set = || {
            if let Some(pages) = options.pages_max {
                connection.pragma_update(None, "max_page_count", pages)?;
            }
            connection.busy_timeout(options.busy_timeout)
        };
        set().map_err(|e| failed(OPEN, &path, &e))?;
        witness::check(noted, read::head(&connection).map_err(|e| failed(OPEN, &path, &e))?)?;
        let (marks, witness) = (Marks::default(), Witness::open(dir));
        let (room, mover) = (Room::of(dir.join(LOG)), Mover::of(path.clone()));
        let log_frames = options.log_frames;
        let head = None;
        Ok(Self { connection, path, head, marks, witness, room, mover, log_frames, _lock: lock })
    }

    /// Opens the store in `dir` for reading only. Does not need the lock: a kernel may be running.
    ///
    /// # Errors
    /// [`StoreError::Absent`] if there is no store; [`StoreError::Newer`] and
    /// [`StoreError::Foreign`] as for [`Sqlite::open`].
    pub fn open_reader(dir: &Path) -> Result<Arc<dyn Reader>, StoreError> {
        let path = dir.join(DATABASE);
        let absent = || StoreError::Absent { dir: dir.to_path_buf() };
        match path.try_exists() {
            Ok(true) => {}
            Ok(false) => return Err(absent()),
            Err(error) => return Err(StoreError::from_io("read the data directory", &error)),
        }
        // Before the database is looked at, where a kernel may add to both.
        let noted = witness::read(dir);
        let reader = read::SqliteReader::new(path);
        if reader.format()? == 0 {
            witness::check(noted, Head::default())?;
            return Err(absent());
        }
        witness::check(noted, reader.head()?)?;
        Ok(Arc::new(reader))
    }

    /// Frames of the write-ahead log, and those of them that are not in the database file yet.
    fn frames(&self) -> rusqlite::Result<(u64, u64)> {
        self.connection.query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| {
            let (written, moved): (i64, i64) = (row.get(1)?, row.get(2)?);
            let waiting = written.saturating_sub(moved).max(0).unsigned_abs();
            Ok((written.max(0).unsigned_abs(), waiting))
        })
    }

    /// Moves the log if it is long, and otherwise makes room in it.
    fn tend(&mut self, idle: bool) -> rusqlite::Result<()> {
        let stage =
            if idle { self.mover.wait().map(|()| Stage::Idle) } else { self.mover.stage() }?;
        let (written, waiting) = self.frames()?;
        let bound = if idle { WAL_FRAMES_IDLE } else { self.log_frames };
        let now = match stage {
            Stage::Idle if waiting < bound => false,
            Stage::Idle => idle || !self.mover.begin(),
            // Where commits come faster than they are moved, they wait for once.
            Stage::Ended if waiting <= WAL_FRAMES_REST || written > bound.saturating_mul(2) => true,
            Stage::Ended => !self.mover.begin(),
            Stage::Moving => false,
        };
        if now {
            return move_log(&self.connection);
        }
        self.room.make(written, idle);
        Ok(())
    }
}

const OPEN: &str = "open the data directory";
const LOAD: &str = "load";
const COMMIT: &str = "commit";
const MAINTAIN: &str = "move the write-ahead log";

impl Drop for Sqlite {
    fn drop(&mut self) {
        // What is committed is safe in the log; in the database file it is safe from whoever copies
        // that file alone. A reader that is in the way keeps some of it in the log.
        drop(self.mover.wait());
        drop(self.connection.busy_timeout(Duration::ZERO));
        let moved = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        drop(moved);
    }
}

impl Store for Sqlite {
    fn load(&mut self) -> Result<Image, StoreError> {
        let path = &self.path;
        let transaction = self.connection.transaction().map_err(|e| failed(LOAD, path, &e))?;
        let image = read::image(&transaction).map_err(|e| failed(LOAD, path, &e))?;
        drop(transaction);
        Ok(image)
    }

    fn commit(&mut self, batches: &[Batch]) -> Result<Head, StoreError> {
        let path = &self.path;
        // Taken, so that a failure leaves it to be read again.
        let head = match self.head.take() {
            Some(head) => head,
            None => read::head(&self.connection).map_err(|e| failed(COMMIT, path, &e))?,
        };
        let mut chain = Chain::at(head);
        let mut marks = std::mem::take(&mut self.marks);
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|e| failed(COMMIT, path, &e))?;
        write::batches(&transaction, &mut chain, &mut marks, batches, path)?;
        transaction.commit().map_err(|e| failed(COMMIT, path, &e))?;
        self.head = Some(chain.head);
        self.marks = marks;
        self.witness.note(chain.head);
        Ok(chain.head)
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(read::SqliteReader::new(self.path.clone()))
    }

    fn maintain(&mut self, idle: bool) -> Result<(), StoreError> {
        self.tend(idle).map_err(|e| failed(MAINTAIN, &self.path, &e))
    }
}

/// Makes a directory that only its owner can enter. One that exists stays as it is.
fn make_private(dir: &Path) -> std::io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Locks `dir` for this process, or says who has it.
fn lock(dir: &Path) -> Result<Lock, StoreError> {
    let failed = |error: &std::io::Error| StoreError::from_io("lock the data directory", error);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(dir.join(LOCK))
        .map_err(|e| failed(&e))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let holder = match file.read_to_string(&mut text) {
                Ok(_) => text.trim().parse().ok(),
                Err(_) => None,
            };
            return Err(StoreError::Locked { dir: dir.to_path_buf(), holder });
        }
        Err(TryLockError::Error(error)) => return Err(failed(&error)),
    }
    let mut lock = Lock(file);
    lock.0.set_len(0).map_err(|e| failed(&e))?;
    writeln!(lock.0, "{}", std::process::id()).map_err(|e| failed(&e))?;
    Ok(lock)
}

/// What SQLite says, in one line and without the statement.
fn reason(error: &rusqlite::Error) -> String {
    let text = if let rusqlite::Error::SqlInputError { msg, .. } = error {
        msg.clone()
    } else {
        error.to_string()
    };
    text.replace(['\r', '\n'], " ")
}

/// The error that an error of SQLite stands for.
fn failed(attempted: &'static str, path: &Path, error: &rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode as Code;
    let reason = reason(error);
    match error.sqlite_error_code() {
        Some(Code::DiskFull) => StoreError::Full { attempted, reason },
        Some(Code::DatabaseBusy | Code::DatabaseLocked) => StoreError::Busy { attempted, reason },
        Some(Code::NotADatabase) => StoreError::Foreign { path: path.to_path_buf() },
        // An entry or a row that is where none should be, or has a type it cannot have.
        Some(Code::DatabaseCorrupt | Code::ConstraintViolation | Code::TypeMismatch) => {
            StoreError::Corrupt { attempted, reason }
        }
        // The statements are fixed, so a name that is not there was there once.
        Some(Code::Unknown) if reason.starts_with("no such ") => {
            StoreError::Corrupt { attempted, reason }
        }
        Some(_) => StoreError::Io { attempted, reason },
        // Not from SQLite: a value that was read and does not fit.
        None => StoreError::Corrupt { attempted, reason },
    }
}

//! Moves the write-ahead log into the database file while commits go on.
//!
//! To move a long log takes some ten milliseconds on a good disk and a multiple of that on others, and
//! whoever waits for a commit would wait for it. SQLite lets a second connection do it beside the one
//! that writes. Such a move never ends with all of the log moved, as commits add to it meanwhile, and only
//! a log that is moved as a whole begins anew. So the little that came meanwhile is moved between two
//! commits.

use std::path::PathBuf;
use std::thread::{Builder, JoinHandle};

use rusqlite::{Connection, OpenFlags};

/// What a mover does.
#[derive(Debug, PartialEq)]
pub(super) enum Stage {
    /// Nothing.
    Idle,
    /// It moves.
    Moving,
    /// It has just ended; told once.
    Ended,
}

/// Whoever moves the log of one database.
#[derive(Debug)]
pub(super) struct Mover {
    path: PathBuf,
    pub(super) thread: Option<JoinHandle<rusqlite::Result<()>>>,
}

impl Mover {
    /// The mover of the database at `path`.
    pub(super) fn of(path: PathBuf) -> Self {
        Self { path, thread: None }
    }

    /// Begins to move what is in the log, unless it does so already. Returns whether there is a thread
    /// for it.
    pub(super) fn begin(&mut self) -> bool {
        if self.thread.is_none() {
            let path = self.path.clone();
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let moves = move || move_log(&Connection::open_with_flags(path, flags)?);
            self.thread = Builder::new().name("checkpoint".into()).spawn(moves).ok();
        }
        self.thread.is_some()
    }

    /// Where it is.
    ///
    /// # Errors
    /// What the move that has ended failed with.
    pub(super) fn stage(&mut self) -> rusqlite::Result<Stage> {
        match &self.thread {
            None => Ok(Stage::Idle),
            Some(thread) if !thread.is_finished() => Ok(Stage::Moving),
            Some(_) => self.wait().map(|()| Stage::Ended),
        }
    }

    /// Waits until it does nothing.
    ///
    /// # Errors
    /// What the move that was under way failed with.
    pub(super) fn wait(&mut self) -> rusqlite::Result<()> {
        // A thread that panicked has moved nothing, as if it had found nothing to do.
        self.thread.take().map_or(Ok(()), |thread| thread.join().unwrap_or(Ok(())))
    }
}

/// Moves what readers and writers leave alone.
///
/// # Errors
/// If the database cannot be written.
pub(super) fn move_log(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}

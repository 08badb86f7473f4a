//! The thread that commits: a flush of the disk takes milliseconds, in which the kernel goes on.
//!
//! One batch is committed at a time and one more may wait. Whoever has much to commit makes one batch
//! of what comes meanwhile.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::error::StoreError;
use crate::limits::{COMMIT_RETRIES_MAX, COMMIT_RETRY_WAIT, IDLE_AFTER};
use crate::store::{Batch, Head, Store};

#[cfg(test)]
mod tests;

/// How the commit thread tries again after a transient error.
#[derive(Debug, Clone)]
pub struct Retries {
    /// How often.
    pub max: u32,
    /// The wait before the first of these tries; doubles with each further one.
    pub wait: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self { max: COMMIT_RETRIES_MAX, wait: COMMIT_RETRY_WAIT }
    }
}

/// The submitting side of the commit thread. Dropping it commits what waits, as a shutdown does.
pub struct Committer {
    /// What the thread lives on; gone once it is to end.
    open: Option<Open>,
    thread: Option<JoinHandle<Result<Box<dyn Store>, StoreError>>>,
}

/// While both ends are held the thread goes on.
struct Open {
    batches: SyncSender<Batch>,
    /// A wait before another try ends when this is dropped.
    _patience: Sender<()>,
}

/// Told of each batch: where the journal ends with it, or why it could not be kept.
type OnCommit = Box<dyn FnMut(Result<Head, StoreError>) + Send>;

impl Committer {
    /// Starts the thread.
    ///
    /// `on_commit` is called on it once with each batch, in order. After a failure that batch and
    /// all later ones are dropped, and nothing more is accepted. It must not block on whoever
    /// submits: the two would wait for each other.
    ///
    /// # Errors
    /// If the operating system gives no thread.
    pub fn start(store: Box<dyn Store>, on_commit: OnCommit) -> Result<Self, StoreError> {
        Self::start_with(Retries::default(), store, on_commit)
    }

    /// Starts the thread with retries of one's own.
    ///
    /// # Errors
    /// As [`Committer::start`].
    pub fn start_with(
        retries: Retries,
        store: Box<dyn Store>,
        on_commit: OnCommit,
    ) -> Result<Self, StoreError> {
        let (batches, submitted) = sync_channel(1);
        let (patience, hurry) = channel();
        let worker = Worker { retries, store, hurry };
        let thread = Builder::new()
            .name("commit".into())
            .spawn(|| worker.run(submitted, on_commit))
            .map_err(|e| StoreError::from_io("start the commit thread", &e))?;
        Ok(Self { open: Some(Open { batches, _patience: patience }), thread: Some(thread) })
    }

    /// Hands `batch` over, in order after those before. Waits while another one waits, which slows
    /// down whoever is faster than the disk.
    ///
    /// # Errors
    /// [`StoreError::Closed`] after a failure; `on_commit` was told of it.
    pub fn submit(&self, batch: Batch) -> Result<(), StoreError> {
        let open = self.open.as_ref().ok_or(StoreError::Closed)?;
        open.batches.send(batch).map_err(|_| StoreError::Closed)
    }

    /// Commits what waits, ends the thread and gives the store back.
    ///
    /// # Errors
    /// What a commit failed with, also if that was long before.
    pub fn shutdown(mut self) -> Result<Box<dyn Store>, StoreError> {
        self.finish()
    }

    fn finish(&mut self) -> Result<Box<dyn Store>, StoreError> {
        self.open = None;
        // The thread ends with a panic only if `on_commit` panicked.
        let thread = self.thread.take().ok_or(StoreError::Closed)?;
        thread.join().unwrap_or(Err(StoreError::Closed))
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        if self.thread.is_some() {
            // Whoever cares about the outcome calls `shutdown`; `on_commit` was told either way.
            drop(self.finish());
        }
    }
}

impl fmt::Debug for Committer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Committer").finish_non_exhaustive()
    }
}

struct Worker {
    retries: Retries,
    store: Box<dyn Store>,
    /// Nothing ever comes here; it closes when a wait is to end.
    hurry: Receiver<()>,
}

impl Worker {
    fn run(
        mut self,
        submitted: Receiver<Batch>,
        mut on_commit: OnCommit,
    ) -> Result<Box<dyn Store>, StoreError> {
        let error = loop {
            let batch = match submitted.recv_timeout(IDLE_AFTER) {
                Err(RecvTimeoutError::Timeout) => match self.maintain(/*idle*/ true) {
                    Ok(()) => submitted.recv().ok(),
                    Err(error) => break error,
                },
                batch => batch.ok(),
            };
            let Some(batch) = batch else { return Ok(self.store) };
            match self.commit(&batch) {
                Ok(head) => on_commit(Ok(head)),
                Err(error) => break error,
            }
            if let Err(error) = self.maintain(/*idle*/ false) {
                break error;
            }
        };
        // Whoever is told of the failure finds that nothing more is accepted.
        drop(submitted);
        on_commit(Err(error.clone()));
        Err(error)
    }

    /// Gives the store time for work between commits.
    fn maintain(&mut self, idle: bool) -> Result<(), StoreError> {
        match self.store.maintain(idle) {
            Err(error) if !error.is_transient() => Err(error),
            // It is tried again after the next commit.
            Err(_) | Ok(()) => Ok(()),
        }
    }

    /// Commits, and waits and tries again while that may help.
    fn commit(&mut self, batch: &Batch) -> Result<Head, StoreError> {
        let mut wait = self.retries.wait;
        for _ in 0..self.retries.max {
            match self.try_commit(batch) {
                Err(error) if error.is_transient() => {}
                result => return result,
            }
            // A shutdown does not wait: the tries that are left follow at once.
            let _waited = self.hurry.recv_timeout(wait);
            wait = wait.saturating_mul(2);
        }
        self.try_commit(batch)
    }

    /// Whoever waits for the outcome must hear of it, whatever happens in a store.
    fn try_commit(&mut self, batch: &Batch) -> Result<Head, StoreError> {
        let commit = AssertUnwindSafe(|| self.store.commit(std::slice::from_ref(batch)));
        catch_unwind(commit).unwrap_or_else(|_| {
            Err(StoreError::Io { attempted: "commit", reason: "the store panicked".to_owned() })
        })
    }
}

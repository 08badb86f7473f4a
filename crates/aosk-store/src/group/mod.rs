//! The group commit: one thread that turns all the batches that wait into one transaction.
//!
//! A flush of the disk costs milliseconds and a batch costs microseconds, so whatever comes during
//! one flush shares the next.

use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::error::StoreError;
use crate::limits::{COMMIT_RETRIES_MAX, COMMIT_RETRY_WAIT, IDLE_AFTER, QUEUE_BATCHES_MAX};
use crate::store::{Batch, Head, Store};

#[cfg(test)]
mod tests;

/// What the commit thread reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitEvent {
    /// All batches up to and with this ticket are kept.
    Committed {
        /// The ticket.
        through: u64,
        /// Where the journal ends with them.
        head: Head,
    },
    /// A batch could not be kept. It and all later ones are dropped, and nothing more is accepted.
    Failed {
        /// Why.
        error: StoreError,
    },
}

/// Bounds of the commit thread.
#[derive(Debug, Clone)]
pub struct CommitOptions {
    /// Batches that wait, which is also how many share a transaction at most.
    pub queue_max: usize,
    /// How often a commit is tried again after a transient error.
    pub retries_max: u32,
    /// The wait before the first of these tries; doubles with each further one.
    pub retry_wait: Duration,
}

impl Default for CommitOptions {
    fn default() -> Self {
        Self {
            queue_max: QUEUE_BATCHES_MAX,
            retries_max: COMMIT_RETRIES_MAX,
            retry_wait: COMMIT_RETRY_WAIT,
        }
    }
}

/// The submitting side of the commit thread. Dropping it commits what waits, as a shutdown does.
pub struct Committer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<Box<dyn Store>, StoreError>>>,
}

type OnEvent = Box<dyn FnMut(CommitEvent) + Send>;

impl Committer {
    /// Starts the thread.
    ///
    /// `on_event` is called on it: once with each transaction, in order, and once if one fails. It
    /// must not block on whoever submits: the two would wait for each other.
    ///
    /// # Errors
    /// If the operating system gives no thread.
    pub fn start(store: Box<dyn Store>, on_event: OnEvent) -> Result<Self, StoreError> {
        Self::start_with(CommitOptions::default(), store, on_event)
    }

    /// Starts the thread with bounds of one's own.
    ///
    /// # Errors
    /// As [`Committer::start`].
    pub fn start_with(
        options: CommitOptions,
        store: Box<dyn Store>,
        on_event: OnEvent,
    ) -> Result<Self, StoreError> {
        let shared = Arc::new(Shared {
            options,
            state: Mutex::new(State { queue: Vec::new(), submitted: 0, phase: Phase::Open }),
            work: Condvar::new(),
            room: Condvar::new(),
            closing: Condvar::new(),
        });
        let worker = Worker { shared: Arc::clone(&shared), store, on_event };
        let thread = Builder::new()
            .name("commit".into())
            .spawn(|| worker.run())
            .map_err(|e| StoreError::from_io("start the commit thread", &e))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Hands `batch` over and gives back its ticket: 1 for the first, then one more for each.
    /// Batches are committed in the order of their tickets.
    ///
    /// Waits while [`CommitOptions::queue_max`] others wait. Each transaction makes room for as many
    /// again, so this is one flush of the disk, and slows down whoever is faster than the disk.
    ///
    /// # Errors
    /// [`StoreError::Closed`] after a failure; `on_event` was or is about to be told of it.
    pub fn submit(&self, batch: Batch) -> Result<u64, StoreError> {
        let full = |state: &mut State| {
            state.phase == Phase::Open && state.queue.len() >= self.shared.options.queue_max
        };
        let state = self.shared.room.wait_while(self.shared.state(), full);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        match state.phase {
            Phase::Open => {}
            Phase::Closing | Phase::Failed => return Err(StoreError::Closed),
        }
        state.queue.push(batch);
        state.submitted = state.submitted.saturating_add(1);
        let ticket = state.submitted;
        drop(state);
        self.shared.work.notify_one();
        Ok(ticket)
    }

    /// Commits what waits, ends the thread and gives the store back.
    ///
    /// # Errors
    /// What a commit failed with, also if that was long before.
    pub fn shutdown(mut self) -> Result<Box<dyn Store>, StoreError> {
        self.finish()
    }

    fn finish(&mut self) -> Result<Box<dyn Store>, StoreError> {
        let mut state = self.shared.state();
        if state.phase == Phase::Open {
            state.phase = Phase::Closing;
        }
        drop(state);
        self.shared.work.notify_all();
        self.shared.closing.notify_all();
        // The thread ends with a panic only if `on_event` panicked.
        let thread = self.thread.take().ok_or(StoreError::Closed)?;
        thread.join().unwrap_or(Err(StoreError::Closed))
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        if self.thread.is_some() {
            // Whoever cares about the outcome calls `shutdown`; `on_event` was told either way.
            drop(self.finish());
        }
    }
}

impl fmt::Debug for Committer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.state();
        f.debug_struct("Committer")
            .field("submitted", &state.submitted)
            .field("waiting", &state.queue.len())
            .field("phase", &state.phase)
            .finish_non_exhaustive()
    }
}

struct Shared {
    options: CommitOptions,
    state: Mutex<State>,
    /// There is something in the queue, or the phase changed.
    work: Condvar,
    /// There is room in the queue, or the phase changed.
    room: Condvar,
    /// A wait before another try is to end.
    closing: Condvar,
}

struct State {
    queue: Vec<Batch>,
    submitted: u64,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Batches are accepted.
    Open,
    /// What waits is committed, nothing more is accepted.
    Closing,
    /// Nothing is accepted any more.
    Failed,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Worker {
    shared: Arc<Shared>,
    store: Box<dyn Store>,
    on_event: OnEvent,
}

impl Worker {
    fn run(mut self) -> Result<Box<dyn Store>, StoreError> {
        // Whatever ends this thread, a submitter that waits is told.
        let _ending = Ending(Arc::clone(&self.shared));
        let mut through = 0_u64;
        loop {
            let mut batches = self.next(Some(IDLE_AFTER));
            if batches.is_none() {
                self.maintain(/*idle*/ true)?;
                batches = self.next(None);
            }
            let Some(batches) = batches.filter(|batches| !batches.is_empty()) else {
                return Ok(self.store);
            };
            // Whoever waits for the outcome must hear of it, whatever happens in a store.
            let committed = catch_unwind(AssertUnwindSafe(|| self.commit(&batches)));
            let committed = committed.unwrap_or_else(|_| {
                Err(StoreError::Io { attempted: "commit", reason: "the store panicked".to_owned() })
            });
            match committed {
                Ok(head) => {
                    through = through.saturating_add(batches.len() as u64);
                    (self.on_event)(CommitEvent::Committed { through, head });
                }
                Err(error) => return Err(self.fail(error)),
            }
            self.maintain(/*idle*/ false)?;
        }
    }

    /// Gives the store time for work between commits.
    fn maintain(&mut self, idle: bool) -> Result<(), StoreError> {
        match self.store.maintain(idle) {
            Err(error) if !error.is_transient() => Err(self.fail(error)),
            // It is tried again after the next commit.
            Err(_) | Ok(()) => Ok(()),
        }
    }

    /// Waits for batches, at most `patience`, and takes all there are. None means that none came in
    /// that time; an empty list, that there will be no more.
    fn next(&self, patience: Option<Duration>) -> Option<Vec<Batch>> {
        let nothing = |state: &mut State| state.phase == Phase::Open && state.queue.is_empty();
        let state = self.shared.state();
        let mut state = match patience {
            None => {
                self.shared.work.wait_while(state, nothing).unwrap_or_else(PoisonError::into_inner)
            }
            Some(patience) => {
                self.shared
                    .work
                    .wait_timeout_while(state, patience, nothing)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
        };
        if nothing(&mut state) {
            return None;
        }
        let batches = mem::take(&mut state.queue);
        self.shared.room.notify_all();
        Some(batches)
    }

    /// Commits, and waits and tries again while that may help.
    fn commit(&mut self, batches: &[Batch]) -> Result<Head, StoreError> {
        let mut wait = self.shared.options.retry_wait;
        for _ in 0..self.shared.options.retries_max {
            match self.store.commit(batches) {
                Err(error) if error.is_transient() => {}
                result => return result,
            }
            let open = |state: &mut State| state.phase == Phase::Open;
            // A shutdown does not wait: the tries that are left follow at once.
            drop(self.shared.closing.wait_timeout_while(self.shared.state(), wait, open));
            wait = wait.saturating_mul(2);
        }
        self.store.commit(batches)
    }

    fn fail(&mut self, error: StoreError) -> StoreError {
        self.shared.state().phase = Phase::Failed;
        (self.on_event)(CommitEvent::Failed { error: error.clone() });
        error
    }
}

/// Closes the queue when the thread ends, by return or by panic.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.phase = Phase::Failed;
        state.queue.clear();
        drop(state);
        self.0.room.notify_all();
    }
}

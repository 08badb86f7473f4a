//! A driver around another that notes when calls begin and end. It changes nothing of them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use aosk::abi::{Error, Failure, ModelReply, Pid};
use aosk::model::{Driver, OnDelta, Request};
use async_trait::async_trait;
use tokio::sync::watch;

use super::figures::{millis, now};

/// What happened to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// The driver was asked: the request leaves.
    Entered,
    /// The answer is there.
    Returned,
    /// It was cut off: the connection is closed.
    Dropped,
}

/// Something that happened to a call of a process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) at: Instant,
    pub(super) pid: Pid,
    pub(super) what: What,
}

/// How many calls there were.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) entered: u64,
    pub(super) returned: u64,
    pub(super) failed: u64,
}

/// The driver.
pub(super) struct Probe {
    driver: Arc<dyn Driver>,
    moments: Mutex<Vec<Moment>>,
    failure: Mutex<Option<Failure>>,
    counts: watch::Sender<Counts>,
}

impl Probe {
    /// Around `driver`.
    pub(super) fn around(driver: Arc<dyn Driver>) -> Arc<Self> {
        let counts = watch::Sender::new(Counts::default());
        Arc::new(Self { driver, moments: Mutex::default(), failure: Mutex::default(), counts })
    }

    /// How many calls there were so far.
    pub(super) fn counts(&self) -> Counts {
        *self.counts.borrow()
    }

    /// Waits until there were so many.
    ///
    /// # Errors
    /// If a call failed first: what was to be measured is then something else.
    pub(super) async fn wait_for(&self, enough: impl Fn(Counts) -> bool) -> Result<Counts, Error> {
        let mut counts = self.counts.subscribe();
        let seen = counts.wait_for(|counts| counts.failed > 0 || enough(*counts)).await;
        let seen = seen.map(|counts| *counts).unwrap_or_default();
        self.check().map(|()| seen)
    }

    /// Whether all calls went well.
    ///
    /// # Errors
    /// What the first failed with that did not.
    pub(super) fn check(&self) -> Result<(), Error> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.as_ref().map_or(Ok(()), |failure| {
            let text = format!("measuring: a call failed: {}", failure.message);
            Err(Error::new(failure.code, text).hint(failure.hint.clone()))
        })
    }

    /// All that happened, in order.
    pub(super) fn moments(&self) -> Vec<Moment> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Moment>> {
        self.moments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, pid: Pid, what: What) {
        self.lock().push(Moment { at: now(), pid, what });
        self.counts.send_modify(|counts| match what {
            What::Entered => counts.entered += 1,
            What::Returned => counts.returned += 1,
            What::Dropped => {}
        });
    }

    fn note_failure(&self, failure: &Failure) {
        let mut first = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| failure.clone());
        drop(first);
        self.counts.send_modify(|counts| counts.failed += 1);
    }
}

/// Notes how a call ended, however it did.
struct Call<'a> {
    probe: &'a Probe,
    pid: Pid,
    end: What,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.probe.note(self.pid, self.end);
    }
}

#[async_trait]
impl Driver for Probe {
    async fn complete(
        &self,
        request: Request,
        on_delta: OnDelta<'_>,
    ) -> Result<ModelReply, Failure> {
        let pid = request.call.pid;
        self.note(pid, What::Entered);
        let mut call = Call { probe: self, pid, end: What::Dropped };
        let outcome = self.driver.complete(request, on_delta).await;
        call.end = What::Returned;
        if let Err(failure) = &outcome {
            self.note_failure(failure);
        }
        outcome
    }
}

/// How long slots stood free between two calls, in milliseconds: of those that are free the one that
/// has been so longest is taken first.
pub(super) fn idle_ms(moments: &[Moment]) -> Vec<f64> {
    let mut free = VecDeque::new();
    let mut idle = Vec::new();
    for moment in moments {
        match moment.what {
            What::Returned | What::Dropped => free.push_back(moment.at),
            What::Entered => {
                if let Some(since) = free.pop_front() {
                    idle.push(millis(moment.at.saturating_duration_since(since)));
                }
            }
        }
    }
    idle
}

#[cfg(test)]
mod tests;

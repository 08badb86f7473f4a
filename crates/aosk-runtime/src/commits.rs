//! Word from the commit thread to the event loop.

use std::sync::{Mutex, PoisonError};

use aosk_abi::Error;
use aosk_store::CommitEvent;
use tokio::sync::Notify;

/// The last word.
#[derive(Debug, Default)]
pub(crate) struct Commits {
    word: Mutex<Option<Result<u64, Error>>>,
    changed: Notify,
}

impl Commits {
    /// Takes word from the commit thread.
    pub(crate) fn tell(&self, event: CommitEvent) {
        let word = match event {
            CommitEvent::Committed { through, .. } => Ok(through),
            CommitEvent::Failed { error } => Err(error.into()),
        };
        *self.word.lock().unwrap_or_else(PoisonError::into_inner) = Some(word);
        self.changed.notify_one();
    }

    /// Waits for word: the last ticket that is kept, or why nothing more will be.
    pub(crate) async fn wait(&self) -> Result<u64, Error> {
        loop {
            let word = self.word.lock().unwrap_or_else(PoisonError::into_inner).take();
            match word {
                Some(word) => return word,
                None => self.changed.notified().await,
            }
        }
    }
}

#[cfg(test)]
mod tests;

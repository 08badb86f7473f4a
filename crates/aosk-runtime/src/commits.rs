//! Word from the commit thread to the event loop.

use std::sync::{Mutex, PoisonError};

use aosk_abi::Error;
use aosk_store::{Head, StoreError};
use tokio::sync::Notify;

/// The last word.
#[derive(Debug, Default)]
pub(crate) struct Commits {
    word: Mutex<Option<Result<Head, Error>>>,
    changed: Notify,
}

impl Commits {
    /// Takes word from the commit thread.
    pub(crate) fn tell(&self, kept: Result<Head, StoreError>) {
        let word = kept.map_err(Error::from);
        *self.word.lock().unwrap_or_else(PoisonError::into_inner) = Some(word);
        self.changed.notify_one();
    }

    /// Waits for word: what was handed over is kept and where the journal ends, or why nothing more will be.
    pub(crate) async fn wait(&self) -> Result<Head, Error> {
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

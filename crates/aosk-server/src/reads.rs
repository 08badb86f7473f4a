//! Reads of the store, beside the tasks that answer: a bounded number at once.

use std::fmt;
use std::sync::Arc;

use aosk_abi::{Error, ErrorCode};
use aosk_runtime::store::Reader;
use tokio::sync::Semaphore;

use crate::limits::{FOLLOWER_READS_MAX, READS_MAX, SEARCHES_MAX};

/// The places of those who read.
pub(crate) struct Reads {
    reader: Arc<dyn Reader>,
    asked: Arc<Semaphore>,
    followed: Arc<Semaphore>,
    searched: Arc<Semaphore>,
}

impl fmt::Debug for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reader: _, asked, followed, searched } = self;
        let mut shown = f.debug_struct("Reads");
        shown.field("asked", asked).field("followed", followed).field("searched", searched).finish()
    }
}

impl Reads {
    pub(crate) fn of(reader: Arc<dyn Reader>) -> Self {
        let (asked, followed) = (Semaphore::new(READS_MAX), Semaphore::new(FOLLOWER_READS_MAX));
        let searched = Arc::new(Semaphore::new(SEARCHES_MAX));
        Self { reader, asked: Arc::new(asked), followed: Arc::new(followed), searched }
    }

    /// Reads what a request asks for.
    pub(crate) async fn asked<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Reader) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.within(&self.asked, read).await
    }

    /// Reads for one who follows what happens. Such readers wait for each other alone.
    pub(crate) async fn followed<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Reader) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.within(&self.followed, read).await
    }

    /// Reads for one who searches, which is work for a core. Such readers wait for each other alone.
    pub(crate) async fn searched<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Reader) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.within(&self.searched, read).await
    }

    async fn within<T: Send + 'static>(
        &self,
        places: &Arc<Semaphore>,
        read: impl FnOnce(&dyn Reader) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let failed = |error: &dyn fmt::Display| {
            Error::new(ErrorCode::KernelPanic, format!("reading the store: {error}"))
        };
        let place = Arc::clone(places).acquire_owned().await.map_err(|error| failed(&error))?;
        // Until it has ended, though whoever asked may be gone, and until what was read is taken: what
        // nobody takes in time would pile up here.
        let (place, reader) = (Arc::new(place), Arc::clone(&self.reader));
        let held = Arc::clone(&place);
        let reading = tokio::task::spawn_blocking(move || {
            let read = read(reader.as_ref());
            drop(held);
            read
        });
        let read = reading.await.unwrap_or_else(|error| Err(failed(&error)));
        drop(place);
        read
    }
}

#[cfg(test)]
mod tests;

//! Threads beside the event loop, on which logs are read and searched.

use std::sync::Arc;

use aosk_abi::{Error, ErrorCode};
use aosk_store::Reader;
use tokio::sync::Semaphore;

use super::recollect::Recollection;

/// Logs that are read or searched at once. It is work for the processor, which the event loop and the
/// store want too.
const AT_ONCE: usize = 2;

/// Where logs are read.
pub(crate) struct Aside {
    reader: Arc<dyn Reader>,
    permits: Semaphore,
}

impl Aside {
    pub(crate) fn new(reader: Arc<dyn Reader>) -> Self {
        Self { reader, permits: Semaphore::new(AT_ONCE) }
    }

    /// Does a bounded piece of work on a thread of its own. What has begun is done to its end, also if
    /// nobody waits for it any more.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Reader) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let failed = |what: &dyn std::fmt::Display| {
            Error::new(ErrorCode::KernelPanic, format!("reading a log: {what}"))
        };
        let _permit = self.permits.acquire().await.map_err(|closed| failed(&closed))?;
        let reader = self.reader.clone();
        let work = tokio::task::spawn_blocking(move || work(reader.as_ref()));
        work.await.map_err(|error| failed(&error))
    }

    /// Reads all pages that were handed over, in pieces between which others have their turn.
    pub(crate) async fn catch_up(
        &self,
        recollection: &Arc<Recollection>,
        vectors: bool,
    ) -> Result<(), Error> {
        loop {
            let read = recollection.clone();
            if !self.run(move |reader| read.read_on(reader, vectors)).await?? {
                return Ok(());
            }
        }
    }
}

//! A store on a disk that takes longer to flush than the one that is there.

use std::sync::Arc;
use std::time::Duration;

use aosk_runtime::abi::Image;
use aosk_runtime::store::{Batch, Head, Reader, Store, StoreError};

/// A store whose commits wait a while before they are confirmed.
pub(crate) struct SlowDisk<S> {
    store: S,
    flush: Duration,
}

impl<S: Store + 'static> SlowDisk<S> {
    /// `store` on a disk that takes `flush` longer; `store` itself if that is nothing.
    pub(crate) fn under(store: S, flush: Duration) -> Box<dyn Store> {
        if flush.is_zero() { Box::new(store) } else { Box::new(Self { store, flush }) }
    }
}

/// Waits as long as the disk would.
#[expect(clippy::disallowed_methods, reason = "a thread that commits waits for its disk")]
pub(crate) fn wait(flush: Duration) {
    std::thread::sleep(flush);
}

impl<S: Store> Store for SlowDisk<S> {
    fn load(&mut self) -> Result<Image, StoreError> {
        self.store.load()
    }

    fn commit(&mut self, batches: &[Batch]) -> Result<Head, StoreError> {
        let head = self.store.commit(batches)?;
        wait(self.flush);
        Ok(head)
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.store.reader()
    }

    fn maintain(&mut self, idle: bool) -> Result<(), StoreError> {
        self.store.maintain(idle)
    }
}

//! Blocking work off the event loop, told to stop when nobody waits for it any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::ToolError;

/// Whether the caller still waits. Loops over files look at it once a file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Fails once the caller is gone.
    pub(crate) fn check(&self) -> Result<(), ToolError> {
        if self.0.load(Ordering::Relaxed) {
            return Err(ToolError::Failed("the call was cancelled".into()));
        }
        Ok(())
    }
}

/// Sets the flag when the caller's future is dropped.
struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `work` on a thread for blocking work and waits for it.
///
/// # Errors
/// Those of `work`; a panic in it is `tool.failed`.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce(&Cancel) -> Result<T, ToolError> + Send + 'static,
) -> Result<T, ToolError> {
    let cancel = Cancel::default();
    let guard = CancelOnDrop(cancel.clone());
    let outcome = tokio::task::spawn_blocking(move || work(&cancel)).await;
    drop(guard);
    outcome.unwrap_or_else(|error| Err(ToolError::Failed(format!("the tool panicked: {error}"))))
}

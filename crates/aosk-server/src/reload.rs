//! The way from a request to whoever reads the configuration, which is not the server.

use aosk_abi::{Change, Error, ErrorCode};
use tokio::sync::{mpsc, oneshot};

/// Requests that may wait for the one that is under way. Each does the same.
const WAITING_MAX: usize = 4;

/// What came of reading the configuration anew.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Reloaded {
    /// What is in force now.
    pub changed: Vec<Change>,
    /// What the configuration says anew and only a restart puts in force.
    pub needs_restart: Vec<Change>,
}

/// Somebody wants the configuration read anew, and what comes of it said here.
pub type ReloadRequest = oneshot::Sender<Result<Reloaded, Error>>;

/// Asks whoever reads the configuration. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reload(mpsc::Sender<ReloadRequest>);

impl Reload {
    /// Somebody to ask, and what he is asked.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<ReloadRequest>) {
        let (ask, asked) = mpsc::channel(WAITING_MAX);
        (Self(ask), asked)
    }

    /// Has the configuration read anew.
    ///
    /// # Errors
    /// If the configuration has a mistake, and then nothing is changed; or if nobody reads it.
    pub async fn ask(&self) -> Result<Reloaded, Error> {
        let gone = || Error::new(ErrorCode::Interrupted, "reading the configuration: stopping");
        let (reply, answer) = oneshot::channel();
        self.0.try_send(reply).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                let text = "reading the configuration: others have it read already";
                Error::new(ErrorCode::Busy, text).hint("try again")
            }
            mpsc::error::TrySendError::Closed(_) => gone(),
        })?;
        answer.await.map_err(|_| gone())?
    }
}

//! Requests to stop: Ctrl-C and SIGTERM.

use aosk::abi::{Error, ErrorCode};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens to requests to stop, from its making on. One that comes while nobody waits is kept.
#[derive(Debug)]
pub(crate) struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    /// Begins to listen. From now on the requests do nothing by themselves.
    ///
    /// # Errors
    /// If the operating system does not let it.
    pub(crate) fn listen() -> Result<Self, Error> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                Error::new(ErrorCode::Io, format!("listening to signals: {error}"))
            })
        };
        let interrupt = listen(SignalKind::interrupt())?;
        Ok(Self { interrupt, terminate: listen(SignalKind::terminate())? })
    }

    /// Waits for the next request.
    pub(crate) async fn requested(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// What comes of `work`, unless a request comes first.
    ///
    /// # Errors
    /// Those of `work`, or that it was stopped.
    pub(crate) async fn or<T>(
        &mut self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        tokio::select! {
            biased;
            () = self.requested() => Err(stopped()),
            outcome = work => outcome,
        }
    }

    /// From the next request on, the program is over at once, and the commands that run with it: their
    /// supervisors wait for nothing else.
    #[expect(
        clippy::disallowed_methods,
        reason = "this task ends the program; nothing outlives it"
    )]
    pub(crate) fn end_at_once_on_next(mut self) {
        drop(tokio::spawn(async move {
            self.requested().await;
            // What is committed is whole.
            std::process::exit(130);
        }));
    }
}

/// The program was asked to stop, and did.
pub(crate) fn stopped() -> Error {
    Error::new(ErrorCode::Interrupted, "running: stopped on request")
}

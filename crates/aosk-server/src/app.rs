//! What every request can reach, and the one place where the parts of the server are joined.

use std::path::Path;
use std::sync::Arc;

use aosk_runtime::{Clock, Handle};
use axum::Router;
use axum::middleware::from_fn_with_state;
use tokio::sync::watch;

use crate::access::{self, Pace, Tokens};
use crate::api;
use crate::problem;

/// What the server is told about the kernel that it serves.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The kernel.
    pub handle: Handle,
}

/// What every request can reach. Cheap to clone.
#[derive(Debug, Clone)]
pub struct App(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    setup: Setup,
    clock: Clock,
    pace: Pace,
    tokens: Tokens,
    stop: watch::Receiver<bool>,
}

impl App {
    pub(crate) fn new(setup: Setup, dir: &Path, stop: watch::Receiver<bool>) -> Self {
        let clock = Clock::start();
        let tokens = Tokens::of(dir);
        Self(Arc::new(Inner { setup, clock, pace: Pace::default(), tokens, stop }))
    }

    /// The kernel.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.0.setup.handle
    }

    /// The time.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.0.clock
    }

    pub(crate) fn pace(&self) -> &Pace {
        &self.0.pace
    }

    pub(crate) fn tokens(&self) -> &Tokens {
        &self.0.tokens
    }

    /// Waits until the server is being stopped. What lasts must end then.
    pub async fn stopping(&self) {
        let mut stop = self.0.stop.clone();
        // A server that is gone has stopped.
        drop(stop.wait_for(|stop| *stop).await);
    }
}

/// All routes: those of each part, behind one check of who asks.
///
/// A further part, such as a gateway, is a router of its own that is merged here.
pub(crate) fn router(app: &App) -> Router {
    let (rest, _) = api::router().split_for_parts();
    Router::new()
        .merge(rest)
        .fallback(problem::no_such_route)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(from_fn_with_state(app.clone(), access::check))
        .with_state(app.clone())
}

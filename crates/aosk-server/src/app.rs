//! What every request can reach, and the one place where the parts of the server are joined.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use aosk_abi::{Error, Timestamp};
use aosk_runtime::store::Reader;
use aosk_runtime::{Clock, Handle};
use axum::Router;
use axum::middleware::from_fn_with_state;
use tokio::sync::watch;

use crate::access::{self, Pace, Shares, Tokens};
use crate::api;
use crate::metrics::{self, Metrics};
use crate::node;
use crate::problem;
use crate::reads::Reads;
use crate::reload::Reload;
use crate::request;

/// What the server is told about the kernel that it serves.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The kernel.
    pub handle: Handle,
    /// The model or route that agents ask that name none.
    pub model: String,
    /// The directory in which agents work that name none.
    pub workspace: String,
    /// Who reads the configuration anew, if anybody does.
    pub reload: Option<Reload>,
}

/// What every request can reach. Cheap to clone.
#[derive(Debug, Clone)]
pub struct App(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    setup: Setup,
    dir: PathBuf,
    node: String,
    started: Timestamp,
    clock: Clock,
    pace: Pace,
    shares: Shares,
    reads: Reads,
    metrics: Metrics,
    tokens: Tokens,
    stop: watch::Receiver<bool>,
}

impl App {
    /// # Errors
    /// If the id of the node can neither be read nor made.
    pub(crate) fn new(
        setup: Setup,
        dir: &Path,
        stop: watch::Receiver<bool>,
    ) -> Result<Self, Error> {
        let clock = Clock::start();
        let (node, started) = (node::id(dir)?, clock.now());
        let tokens = Tokens::of(dir);
        let (dir, pace, shares) = (dir.to_owned(), Pace::default(), Shares::default());
        let reads = Reads::of(setup.handle.reader());
        let metrics = Metrics::new(&setup.handle, clock);
        let inner =
            Inner { setup, dir, node, started, clock, pace, shares, reads, metrics, tokens, stop };
        Ok(Self(Arc::new(inner)))
    }

    /// The kernel.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.0.setup.handle
    }

    /// What the server was told.
    #[must_use]
    pub fn setup(&self) -> &Setup {
        &self.0.setup
    }

    /// The data directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// The id of the node, which is that of the data directory.
    pub(crate) fn node(&self) -> &str {
        &self.0.node
    }

    /// When it began to serve.
    pub(crate) fn started(&self) -> Timestamp {
        self.0.started
    }

    /// Reads the store, beside the tasks that answer others.
    ///
    /// # Errors
    /// Those of `read`.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Reader) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.0.reads.asked(read).await
    }

    /// The same for those who follow what happens, of whom many read at once.
    ///
    /// # Errors
    /// Those of `read`.
    pub(crate) async fn read_on<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Reader) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.0.reads.followed(read).await
    }

    /// The same for those who search a log, who are few at once.
    ///
    /// # Errors
    /// Those of `read`.
    pub(crate) async fn search<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Reader) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.0.reads.searched(read).await
    }

    /// The time.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.0.clock
    }

    pub(crate) fn pace(&self) -> &Pace {
        &self.0.pace
    }

    pub(crate) fn shares(&self) -> &Shares {
        &self.0.shares
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
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

/// A part that is joined to a server's own routes, such as a gateway.
pub struct Further {
    /// Its routes. They are behind the same check as all others.
    pub routes: Router<App>,
    /// What it does with all answers, those of the check included.
    pub wrap: fn(Router<App>) -> Router<App>,
    /// What it does while the server runs. It must end when [`App::stopping`] does.
    pub run: Box<dyn FnOnce(App) -> Running + Send>,
}

/// Something that runs while the server does.
pub type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

impl std::fmt::Debug for Further {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Further").finish_non_exhaustive()
    }
}

/// All routes: those of each part, behind one check of who asks.
pub(crate) fn router(
    app: &App,
    routes: Router<App>,
    wrap: fn(Router<App>) -> Router<App>,
) -> Router {
    let (rest, _) = api::router().split_for_parts();
    let checked = Router::new()
        .merge(rest)
        .merge(metrics::router())
        .merge(routes)
        .fallback(problem::no_such_route)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(from_fn_with_state(app.clone(), access::check));
    // Outermost, so that what is refused has an id and is counted too.
    wrap(checked).layer(from_fn_with_state(app.clone(), request::observe)).with_state(app.clone())
}

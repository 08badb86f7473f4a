//! The server: listens, serves, ends in order.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use aosk_abi::Error;
use axum::Router;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::app::{self, App, Further, Setup};
use crate::connection::{self, Door};
use crate::limits::DRAIN;
use crate::listen::{self, Own};

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listening {
    /// The unix socket.
    pub socket: PathBuf,
    /// The address, if it listens on TCP too.
    pub tcp: Option<SocketAddr>,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    /// What says that it listens.
    signs: Vec<Own>,
    listening: Listening,
    stop: watch::Sender<bool>,
    doors: JoinSet<()>,
}

impl Server {
    /// Listens in the data directory `dir`, whose lock the caller has, and at `tcp` if it is given. A
    /// `further` part is joined to what it serves.
    ///
    /// # Errors
    /// If it cannot listen.
    pub async fn start(
        setup: Setup,
        dir: &Path,
        tcp: Option<SocketAddr>,
        further: Option<Further>,
    ) -> Result<Self, Error> {
        let (stop, stopped) = watch::channel(false);
        let app = App::new(setup, dir, stopped.clone())?;
        let mut doors = JoinSet::new();
        let router = match further {
            None => app::router(&app, Router::new(), |routes| routes),
            Some(Further { routes, wrap, run }) => {
                doors.spawn(run(app.clone()));
                app::router(&app, routes, wrap)
            }
        };
        let mut bound = None;
        if let Some(address) = tcp {
            let (listener, at) = listen::tcp(address).await?;
            bound = Some(at);
            doors.spawn(through(Door::Tcp(listener), &router, &stopped));
        }
        let (socket, sign) = listen::socket(dir)?;
        doors.spawn(through(Door::Socket(socket), &router, &stopped));
        let signs = vec![sign, listen::announce(dir, bound)?];
        let listening = Listening { socket: listen::socket_path(dir), tcp: bound };
        Ok(Self { signs, listening, stop, doors })
    }

    /// Where it listens.
    #[must_use]
    pub fn listening(&self) -> &Listening {
        &self.listening
    }

    /// Takes no more requests: nobody can connect, streams of events end, and every connection ends
    /// with the answer that is under way. The kernel can be shut down next; what it still answers
    /// leaves.
    pub fn close(&self) {
        for sign in &self.signs {
            sign.withdraw();
        }
        self.stop.send_replace(true);
    }

    /// Ends the server. Answers that are under way get [`DRAIN`] to end.
    pub async fn finish(mut self) {
        if !*self.stop.borrow() {
            self.close();
        }
        let all = async { while self.doors.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, all).await.is_err() {
            tracing::warn!("connections that did not end in time are cut off");
        }
        self.doors.shutdown().await;
    }
}

/// Serves what comes in through a door.
fn through(
    door: Door,
    router: &Router,
    stop: &watch::Receiver<bool>,
) -> impl Future<Output = ()> + Send + use<> {
    let most = door.connections_max();
    connection::serve(door, most, router.clone(), stop.clone())
}

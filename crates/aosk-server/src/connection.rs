//! Connections: accepted while there is room, served, and ended in order.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::access::{Peer, Place, Unknown};
use crate::limits::{
    ACCEPT_PAUSE, FIRST_HEAD_TIMEOUT, HEAD_BYTES_MAX, HEAD_TIMEOUT, SOCKET_CONNECTIONS_MAX,
    TCP_CONNECTIONS_MAX,
};

mod patient;

use patient::Patient;

/// What connections come in on.
pub(crate) enum Door {
    Socket(UnixListener),
    Tcp(TcpListener),
}

impl Door {
    /// How many connections it may have at once.
    pub(crate) fn connections_max(&self) -> usize {
        match self {
            Self::Socket(_) => SOCKET_CONNECTIONS_MAX,
            Self::Tcp(_) => TCP_CONNECTIONS_MAX,
        }
    }
}

/// Accepts and serves at most so many connections at once until told to stop; returns when every one
/// has ended.
pub(crate) async fn serve(
    door: Door,
    connections_max: usize,
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    let room = Arc::new(Semaphore::new(connections_max));
    let unknown = Unknown::default();
    let mut connections = JoinSet::new();
    loop {
        let permit = tokio::select! { biased;
            () = stopped(&mut stop) => break,
            Some(_) = connections.join_next() => continue,
            permit = room.clone().acquire_owned() => permit,
        };
        let Ok(permit) = permit else { break };
        let accepted = tokio::select! { biased;
            () = stopped(&mut stop) => break,
            accepted = accept(&door) => accepted,
        };
        let (router, stop) = (router.clone(), stop.clone());
        match accepted {
            Ok(Accepted::Socket(stream)) => {
                connections.spawn(async move {
                    let from = (Peer::Socket, Place::on_socket());
                    one(stream, from, router, stop).await;
                    drop(permit);
                });
            }
            Ok(Accepted::Tcp(stream, address)) => {
                // Whoever has as many as it may is told by the end of this one.
                let Some(place) = unknown.place(address) else { continue };
                connections.spawn(async move {
                    one(stream, (Peer::Tcp(address), place), router, stop).await;
                    drop(permit);
                });
            }
            Err(error) => {
                // Out of file descriptors, or the client has gone already.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(door);
    while connections.join_next().await.is_some() {}
}

/// Waits until the server is told to stop.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A server that is gone has stopped.
    drop(stop.wait_for(|stop| *stop).await);
}

enum Accepted {
    Socket(tokio::net::UnixStream),
    Tcp(tokio::net::TcpStream, IpAddr),
}

async fn accept(door: &Door) -> std::io::Result<Accepted> {
    match door {
        Door::Socket(listener) => {
            listener.accept().await.map(|(stream, _)| Accepted::Socket(stream))
        }
        Door::Tcp(listener) => {
            let (stream, address) = listener.accept().await?;
            // Events are small, and each is to leave at once.
            stream.set_nodelay(true)?;
            Ok(Accepted::Tcp(stream, address.ip()))
        }
    }
}

/// Serves one connection. When told to stop it ends with the answer that is under way.
async fn one(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    (peer, place): (Peer, Place),
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    let routes = TowerToHyperService::new(router);
    let asked = AtomicBool::new(false);
    let service = service_fn(|mut request: Request<Incoming>| {
        asked.store(true, Ordering::Relaxed);
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(place.clone());
        routes.call(request)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_BYTES_MAX);
    let connection = http.serve_connection(TokioIo::new(Patient::new(stream)), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = first_head_is_late(peer, &asked) => {
            tracing::debug!("a connection ended that asked nothing");
            return;
        }
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // A client that went away; nobody is left to be told.
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Waits until a connection should have asked something, and has not.
async fn first_head_is_late(peer: Peer, asked: &AtomicBool) {
    match peer {
        // Its places are the owner's alone.
        Peer::Socket => std::future::pending().await,
        Peer::Tcp(_) => tokio::time::sleep(FIRST_HEAD_TIMEOUT).await,
    }
    if asked.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests;

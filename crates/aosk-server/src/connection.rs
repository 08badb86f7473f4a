//! Connections: accepted while there is room, served, and ended in order.

use std::sync::Arc;

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

use crate::access::Peer;
use crate::limits::{
    ACCEPT_PAUSE, HEAD_BYTES_MAX, HEAD_TIMEOUT, SOCKET_CONNECTIONS_MAX, TCP_CONNECTIONS_MAX,
};

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
                    one(stream, Peer::Socket, router, stop).await;
                    drop(permit);
                });
            }
            Ok(Accepted::Tcp(stream, peer)) => {
                connections.spawn(async move {
                    one(stream, peer, router, stop).await;
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
    Tcp(tokio::net::TcpStream, Peer),
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
            Ok(Accepted::Tcp(stream, Peer::Tcp(address.ip())))
        }
    }
}

/// Serves one connection. When told to stop it ends with the answer that is under way.
async fn one(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    let routes = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        routes.call(request)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_BYTES_MAX);
    let connection = http.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
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

#[cfg(test)]
mod tests;

//! No more connections at once than the bound.

use axum::routing::get;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::Instant;

use super::*;
use crate::limits::WRITE_STALL;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: t\r\n\r\n";

/// Asks, and waits for the answer.
async fn ask(stream: &mut UnixStream) {
    stream.write_all(REQUEST).await.expect("writes");
    let mut answer = [0; 512];
    let read = stream.read(&mut answer).await.expect("reads");
    assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn those_beyond_the_bound_wait_until_one_has_ended() {
    let dir = TempDir::new().expect("a temporary directory");
    let path = dir.path().join("s");
    let door = Door::Socket(UnixListener::bind(&path).expect("binds"));
    let (stop, stopped) = watch::channel(false);
    let router = Router::new().route("/", get(async || "here"));
    let mut server = JoinSet::new();
    server.spawn(serve(door, 2, router, stopped));
    let connect = || async { UnixStream::connect(&path).await.expect("connects") };
    let (mut first, mut second, mut third) = (connect().await, connect().await, connect().await);
    ask(&mut first).await;
    ask(&mut second).await;
    third.write_all(REQUEST).await.expect("writes");
    for _ in 0..5 {
        ask(&mut first).await;
        ask(&mut second).await;
    }
    let early = third.try_read(&mut [0; 1]);
    assert_eq!(early.expect_err("no answer").kind(), std::io::ErrorKind::WouldBlock);
    drop(second);
    let mut answer = [0; 12];
    third.read_exact(&mut answer).await.expect("reads");
    assert_eq!(&answer, b"HTTP/1.1 200");
    ask(&mut first).await;
    stop.send_replace(true);
    drop((first, third));
    server.join_next().await.expect("was started").expect("ends");
}

/// More than the buffers of a socket hold.
const LONG: usize = 32 * 1024 * 1024;

/// A server for one connection at a time whose one answer is long, and a client that has asked.
async fn long_answer(dir: &TempDir) -> (JoinSet<()>, UnixStream) {
    let path = dir.path().join("s");
    let door = Door::Socket(UnixListener::bind(&path).expect("binds"));
    let (stop, stopped) = watch::channel(false);
    let router = Router::new().route("/", get(async || vec![b'a'; LONG]));
    let mut server = JoinSet::new();
    server.spawn(async move {
        serve(door, 1, router, stopped).await;
        drop(stop);
    });
    let mut client = UnixStream::connect(&path).await.expect("connects");
    client.write_all(REQUEST).await.expect("writes");
    (server, client)
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_cut_off() {
    let dir = TempDir::new().expect("a temporary directory");
    let (_server, mut client) = long_answer(&dir).await;
    let mut next = UnixStream::connect(dir.path().join("s")).await.expect("connects");
    next.write_all(REQUEST).await.expect("writes");
    let before = Instant::now();
    tokio::time::pause();
    // There is one place, so that it is answered says that the first has ended.
    let mut answer = [0; 12];
    next.read_exact(&mut answer).await.expect("reads");
    assert_eq!(&answer, b"HTTP/1.1 200");
    assert!(before.elapsed() >= WRITE_STALL);
    let mut rest = Vec::new();
    // What was in its buffers is there, or the connection is reset.
    drop(client.read_to_end(&mut rest).await);
    assert!(rest.len() < LONG, "{} bytes", rest.len());
}

#[tokio::test]
async fn a_client_that_reads_slowly_gets_all_of_it() {
    let dir = TempDir::new().expect("a temporary directory");
    let (_server, mut client) = long_answer(&dir).await;
    tokio::time::pause();
    let (before, mut read) = (Instant::now(), 0);
    let mut part = vec![0; 4 * 1024 * 1024];
    while read < LONG {
        tokio::time::advance(WRITE_STALL * 2 / 3).await;
        let bytes = client.read(&mut part).await.expect("reads");
        assert!(bytes > 0, "it ended after {read} bytes");
        read += bytes;
        // Until the server has filled the buffers again.
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
    }
    assert!(before.elapsed() > WRITE_STALL * 4);
}

//! No more connections at once than the bound.

use axum::routing::get;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::*;

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

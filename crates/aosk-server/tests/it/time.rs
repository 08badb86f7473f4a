//! What happens when nothing does. Time is paused, and runs ahead whenever everybody waits for it.

use aosk_server::limits::{BODY_TIMEOUT, HEAD_TIMEOUT, KEEP_ALIVE_EVERY};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::Instant;

use crate::scene::Scene;

#[tokio::test]
async fn a_stream_without_events_says_that_it_is_there() {
    let scene = Scene::new().await;
    let path = "/api/v1/journal/follow?from=1";
    let mut events = scene.client().await.events(path, None).await;
    // All that happens here: the kernel has begun.
    assert_eq!(events.next().await.unwrap().data["kind"], "node.booted");
    tokio::time::pause();
    for _ in 0..3 {
        let before = Instant::now();
        let piece = events.piece().await;
        assert!(piece.starts_with(b":") && piece.ends_with(b"\n\n"), "{piece:?}");
        assert!(before.elapsed() <= KEEP_ALIVE_EVERY * 2);
    }
}

#[tokio::test]
async fn a_wait_without_a_time_ends_too() {
    let scene = Scene::new().await;
    let pid = scene.spawn("hold").await;
    let mut client = scene.client().await;
    tokio::time::pause();
    let waited = client.get(&format!("/api/v1/processes/{pid}/wait")).await;
    assert_eq!((waited.status, &waited.body["ended"]), (200, &json!(false)));
}

/// What comes of a request that is never whole.
async fn cut_off(part: &str) -> String {
    let scene = Scene::new().await;
    let mut stream = UnixStream::connect(&scene.server.listening().socket).await.unwrap();
    tokio::time::pause();
    stream.write_all(part.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_head_that_does_not_come_closes_the_connection() {
    let before = Instant::now();
    let answer = cut_off("GET /api/v1/health HTTP/1.1\r\nhost: t").await;
    assert!(!answer.contains("200"), "{answer}");
    assert!(before.elapsed() >= HEAD_TIMEOUT);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_told_of() {
    let before = Instant::now();
    let head = "POST /api/v1/processes HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\
        content-type: application/json\r\ncontent-length: 20\r\n\r\n{";
    let answer = cut_off(head).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("does not arrive"), "{answer}");
    assert!(before.elapsed() >= BODY_TIMEOUT);
}

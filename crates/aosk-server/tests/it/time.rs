//! What happens when nothing does. Time is paused, and runs ahead whenever everybody waits for it.

use aosk_runtime::abi::Timestamp;
use aosk_server::access::Role;
use aosk_server::limits::{
    BODY_TIMEOUT, FIRST_HEAD_TIMEOUT, HEAD_TIMEOUT, KEEP_ALIVE_EVERY, TOKEN_CHECK_EVERY,
};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;
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
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("does not arrive"), "{answer}");
    assert!(before.elapsed() >= BODY_TIMEOUT);
}

#[tokio::test]
async fn who_says_nothing_over_tcp_has_no_place_for_long() {
    let scene = Scene::new().await;
    let mut stream = TcpStream::connect(scene.server.listening().tcp.unwrap()).await.unwrap();
    // The server has it before time runs ahead.
    assert_eq!(scene.over_tcp(None).await.get("/").await.status, 401);
    let before = Instant::now();
    tokio::time::pause();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"");
    assert!(before.elapsed() >= FIRST_HEAD_TIMEOUT && before.elapsed() < HEAD_TIMEOUT);
}

#[tokio::test]
async fn what_lasts_ends_soon_after_its_token_is_revoked() {
    let scene = Scene::new().await;
    let pid = scene.spawn("hold").await;
    let of = |what: &str| format!("/api/v1/processes/{pid}/{what}");
    let mut watched = scene.with(Role::Viewer, None).await.events(&of("events"), None).await;
    while watched.next().await.unwrap().data["state"] != "running" {}
    let token = scene.access().create(("b", Timestamp(0)), Role::Viewer, None).unwrap().text;
    let followed = scene.over_tcp(Some(&token)).await;
    let followed = followed.events("/api/v1/journal/follow", None).await;
    let mut waiting = scene.over_tcp(Some(&token)).await;
    // It is a connection that the server has, and the request is the next that it reads.
    assert_eq!(waiting.get("/api/v1/health").await.status, 200);
    let path = of("wait?timeout_ms=300000");
    let mut waited = JoinSet::new();
    waited.spawn(async move { waiting.get(&path).await });
    tokio::task::yield_now().await;
    assert_eq!(scene.client().await.get("/api/v1/health").await.status, 200);
    scene.access().revoke("b").unwrap();
    tokio::time::pause();
    let before = Instant::now();
    assert!(followed.breaks_off().await, "it seems to be whole");
    waited.join_next().await.unwrap().unwrap().is_problem(401, "api.unauthorized");
    assert!(before.elapsed() <= TOKEN_CHECK_EVERY * 2);
    // Another token stands.
    assert!(watched.piece().await.starts_with(b":"));
}

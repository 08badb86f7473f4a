//! Where the server listens, and how it ends.

use aosk_runtime::store::Memory;
use aosk_server::{ADDRESS_FILE, SOCKET};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpStream, UnixStream};

use crate::scene::Scene;

#[tokio::test]
async fn the_folder_says_where_it_listens_as_long_as_it_does() {
    let scene = Scene::new().await;
    let path = scene.dir.path().to_owned();
    let text = std::fs::read_to_string(path.join(ADDRESS_FILE)).unwrap();
    let said: Value = serde_json::from_str(&text).unwrap();
    let tcp = scene.server.listening().tcp.unwrap();
    let socket = path.join(SOCKET);
    let pid = std::process::id();
    assert_eq!(said, json!({ "pid": pid, "socket": socket, "tcp": format!("http://{tcp}") }));
    let mut idle = scene.client().await;
    assert_eq!(idle.get("/api/v1/health").await.status, 200);
    let Scene { server, node, dir, .. } = scene;
    server.close();
    node.shutdown().await.unwrap();
    server.finish().await;
    assert!(!socket.exists() && !path.join(ADDRESS_FILE).exists());
    assert!(TcpStream::connect(tcp).await.is_err());
    drop(dir);
}

#[tokio::test]
async fn a_socket_that_a_dead_server_left_is_replaced() {
    let dir = TempDir::new().unwrap();
    let socket = dir.path().join(SOCKET);
    // As after kill -9: the file is there, and nobody listens.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    assert!(UnixStream::connect(&socket).await.is_err());
    let scene = Scene::on(Memory::new(), dir).await;
    assert_eq!(scene.client().await.get("/api/v1/health").await.status, 200);
}

#[tokio::test]
async fn what_lasts_ends_when_the_server_does() {
    let scene = Scene::new().await;
    let pid = scene.spawn("hold").await;
    let mut events =
        scene.client().await.events(&format!("/api/v1/processes/{pid}/events"), None).await;
    while events.next().await.unwrap().data["state"] != "running" {}
    let journal = scene.client().await.events("/api/v1/journal/follow", None).await;
    let mut waiting = scene.client().await;
    let path = format!("/api/v1/processes/{pid}/wait");
    let mut waited = tokio::task::JoinSet::new();
    waited.spawn(async move { waiting.get(&path).await });
    // What is asked later is answered now, so the other is being waited for.
    let mut other = scene.client().await;
    for _ in 0..3 {
        assert_eq!(other.get("/api/v1/health").await.status, 200);
    }
    let Scene { server, node, .. } = scene;
    let end = async {
        server.close();
        node.shutdown().await.unwrap();
        server.finish().await;
    };
    let (waited, rest, (), journal) =
        tokio::join!(waited.join_next(), events.rest(), end, journal.rest());
    waited.unwrap().unwrap().is_problem(503, "cli.interrupted");
    assert_eq!(rest, []);
    assert!(journal.iter().all(|event| event.name == "fact"));
}

//! Where the server listens, and how it ends.

use aosk_runtime::store::Memory;
use aosk_server::access::Role;
use aosk_server::limits::UNKNOWN_CONNECTIONS_MAX;
use aosk_server::{ADDRESS_FILE, SOCKET};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
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

#[tokio::test]
async fn an_address_that_shows_no_token_leaves_places_to_others() {
    let scene = Scene::new().await;
    let tcp = scene.server.listening().tcp.unwrap();
    let mut known = scene.with(Role::Viewer, None).await;
    assert_eq!(known.get("/api/v1/health").await.status, 200);
    let mut idle = Vec::new();
    for _ in 0..UNKNOWN_CONNECTIONS_MAX {
        idle.push(TcpStream::connect(tcp).await.unwrap());
    }
    let ended = async |mut stream: TcpStream| {
        let mut answer = Vec::new();
        // Closed, or reset with what was written to it.
        drop(stream.read_to_end(&mut answer).await);
        answer.is_empty()
    };
    assert!(ended(TcpStream::connect(tcp).await.unwrap()).await);
    assert_eq!(known.get("/api/v1/health").await.status, 200, "who is known goes on");
    for stream in &idle {
        let open = stream.try_read(&mut [0; 1]);
        assert_eq!(open.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }
    idle.clear();
    // As soon as the server has seen it.
    loop {
        let mut stream = TcpStream::connect(tcp).await.unwrap();
        let request = "GET / HTTP/1.1\r\nhost: t\r\n\r\n";
        if stream.write_all(request.as_bytes()).await.is_ok() && !ended(stream).await {
            break;
        }
    }
}

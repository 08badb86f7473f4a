//! A client: requests and event streams over one connection.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::Path;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::HeaderMap;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;

pub(crate) struct Client {
    sender: SendRequest<Full<Bytes>>,
    token: Option<String>,
    _connection: JoinSet<()>,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// Null if it is empty.
    pub(crate) body: Value,
}

impl Answer {
    /// The header's text; empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// Checks that it is a whole problem of this status and code.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, code: &str) {
        assert_eq!((self.status, &self.body["code"]), (status, &code.into()), "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.body["status"], status);
        assert!(self.body["type"].as_str().unwrap().contains("docs/errors"), "{self:?}");
        for text in ["title", "detail"] {
            assert!(!self.body[text].as_str().unwrap().is_empty(), "{self:?}");
        }
    }
}

impl Client {
    async fn on(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (sender, connection) = http1::handshake(TokioIo::new(io)).await.unwrap();
        let mut tasks = JoinSet::new();
        // The server may hang up at any time.
        tasks.spawn(async move { drop(connection.await) });
        Self { sender, token: None, _connection: tasks }
    }

    pub(crate) async fn socket(path: &Path) -> Self {
        Self::on(UnixStream::connect(path).await.unwrap()).await
    }

    pub(crate) async fn tcp(address: SocketAddr, token: Option<&str>) -> Self {
        let client = Self::on(TcpStream::connect(address).await.unwrap()).await;
        Self { token: token.map(|token| format!("Bearer {token}")), ..client }
    }

    /// The same with this in the header Authorization.
    pub(crate) fn says(mut self, authorization: &str) -> Self {
        self.token = Some(authorization.to_owned());
        self
    }

    pub(crate) async fn send(
        &mut self,
        (method, path): (&str, &str),
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Response<Incoming> {
        let mut request = Request::builder().method(method).uri(path).header("host", "test");
        if let Some(token) = &self.token {
            request = request.header("authorization", token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.sender.ready().await.unwrap();
        let request = request.body(Full::new(body.into())).unwrap();
        self.sender.send_request(request).await.unwrap()
    }

    pub(crate) async fn raw(
        &mut self,
        to: (&str, &str),
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let response = self.send(to, headers, body).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body =
            if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// An answer that is no JSON.
    pub(crate) async fn text(&mut self, path: &str) -> (HeaderMap, String) {
        let response = self.send(("GET", path), &[], "").await;
        assert_eq!(response.status(), 200);
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (parts.headers, String::from_utf8(bytes.to_vec()).unwrap())
    }

    async fn json(&mut self, to: (&str, &str), body: &Value) -> Answer {
        self.raw(to, &[("content-type", "application/json")], body.to_string()).await
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.raw(("GET", path), &[], "").await
    }

    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> Answer {
        self.json(("POST", path), body).await
    }

    pub(crate) async fn put(&mut self, path: &str, body: &Value) -> Answer {
        self.json(("PUT", path), body).await
    }

    /// The events at this path, after the one of this number if one is given.
    pub(crate) async fn events(self, path: &str, last: Option<u64>) -> Events {
        self.watch(path, last).await.unwrap()
    }

    /// The same; none if there is no more.
    pub(crate) async fn watch(mut self, path: &str, last: Option<u64>) -> Option<Events> {
        let last = last.map(|last| last.to_string());
        let headers: Vec<_> = last.iter().map(|last| ("last-event-id", last.as_str())).collect();
        let response = self.send(("GET", path), &headers, "").await;
        if response.status() == 204 {
            return None;
        }
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let body = response.into_body();
        Some(Events { _client: self, body, text: String::new(), ready: VecDeque::new() })
    }
}

/// An event of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) id: Option<u64>,
    pub(crate) name: String,
    pub(crate) data: Value,
}

/// A stream of events. Dropping it cuts the connection.
pub(crate) struct Events {
    _client: Client,
    body: Incoming,
    text: String,
    ready: VecDeque<Event>,
}

impl Events {
    /// The next event; none at the end.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let frame = self.body.frame().await?.unwrap();
            self.text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                self.ready.extend(parse(event));
                self.text = rest.to_owned();
            }
        }
    }

    /// The next piece as it comes, whatever is in it.
    pub(crate) async fn piece(&mut self) -> Bytes {
        self.body.frame().await.unwrap().unwrap().into_data().unwrap()
    }

    /// Whether what comes next is that it is broken off.
    pub(crate) async fn breaks_off(mut self) -> bool {
        matches!(self.body.frame().await, Some(Err(_)))
    }

    /// The rest, to the end.
    pub(crate) async fn rest(mut self) -> Vec<Event> {
        let mut all = Vec::new();
        while let Some(event) = self.next().await {
            all.push(event);
        }
        all
    }
}

/// An event; none of a comment.
fn parse(text: &str) -> Option<Event> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    let id = field("id: ").map(|id| id.parse().unwrap());
    let name = field("event: ")?.to_owned();
    Some(Event { id, name, data: serde_json::from_str(field("data: ").unwrap()).unwrap() })
}

//! A client: requests over one connection, whose answers are bytes.

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

/// A connection. Dropping it hangs up.
pub(crate) struct Client {
    sender: SendRequest<Full<Bytes>>,
    headers: Vec<(String, String)>,
    _connection: JoinSet<()>,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    /// The header's text; empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The id of the process that asked.
    pub(crate) fn pid(&self) -> u64 {
        assert_eq!(self.status, 200, "{self:?}");
        let pid = self.header("x-aosk-process").strip_prefix('p').and_then(|pid| pid.parse().ok());
        pid.unwrap_or_else(|| panic!("{self:?}"))
    }
}

impl Client {
    async fn on(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (sender, connection) = http1::handshake(TokioIo::new(io)).await.unwrap();
        let mut tasks = JoinSet::new();
        // The server may hang up at any time.
        tasks.spawn(async move { drop(connection.await) });
        Self { sender, headers: Vec::new(), _connection: tasks }
    }

    pub(crate) async fn socket(path: &Path) -> Self {
        Self::on(UnixStream::connect(path).await.unwrap()).await
    }

    pub(crate) async fn tcp(address: SocketAddr, token: Option<&str>) -> Self {
        let client = Self::on(TcpStream::connect(address).await.unwrap()).await;
        match token {
            Some(token) => client.with("authorization", &format!("Bearer {token}")),
            None => client,
        }
    }

    /// The same with this header in every request.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends a request and gives the head of the answer.
    pub(crate) async fn send(
        &mut self,
        (method, path): (&str, &str),
        body: impl Into<Bytes>,
    ) -> Response<Incoming> {
        let mut request = Request::builder().method(method).uri(path).header("host", "test");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        self.sender.ready().await.unwrap();
        let request = request.body(Full::new(body.into())).unwrap();
        self.sender.send_request(request).await.unwrap()
    }

    async fn answered(&mut self, to: (&str, &str), body: impl Into<Bytes>) -> Answer {
        let (parts, body) = self.send(to, body).await.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { status: parts.status.as_u16(), headers: parts.headers, text }
    }

    pub(crate) async fn post(&mut self, path: &str, body: impl Into<Bytes>) -> Answer {
        self.answered(("POST", path), body).await
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.answered(("GET", path), "").await
    }

    /// Asks in chat completions.
    pub(crate) async fn chat(&mut self, body: &str) -> Answer {
        self.post("/v1/chat/completions", body.to_owned()).await
    }

    /// Asks in Messages.
    pub(crate) async fn messages(&mut self, body: &str) -> Answer {
        self.post("/v1/messages", body.to_owned()).await
    }

    /// Asks in chat completions and gives the stream when its head has come.
    pub(crate) async fn stream(mut self, body: &str) -> Stream {
        let response = self.send(("POST", "/v1/chat/completions"), body.to_owned()).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Stream { body: response.into_body(), text: String::new(), _client: self }
    }
}

/// An answer that comes in pieces. Dropping it hangs up.
pub(crate) struct Stream {
    body: Incoming,
    text: String,
    _client: Client,
}

impl Stream {
    /// What has come when `last` has.
    pub(crate) async fn until(&mut self, last: &str) -> &str {
        while !self.text.contains(last) {
            let frame = self.body.frame().await.unwrap_or_else(|| panic!("ends: {}", self.text));
            self.text.push_str(str::from_utf8(frame.unwrap().data_ref().unwrap()).unwrap());
        }
        &self.text
    }

    /// All of it.
    pub(crate) async fn rest(mut self) -> String {
        while let Some(frame) = self.body.frame().await {
            self.text.push_str(str::from_utf8(frame.unwrap().data_ref().unwrap()).unwrap());
        }
        self.text
    }
}

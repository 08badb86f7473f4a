//! A server of canned bytes: it shows what it was asked and when the other side hung up.

use std::sync::Arc;
use std::sync::Mutex;

use aosk_abi::{Body, CallId, Message, Pid, ThinkOptions, Tokens, ToolSpec};
use aosk_model::{Delta, Driver, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// What the server does on a connection, after it has read one request.
pub(crate) enum Act {
    /// Writes these bytes at once.
    Write(Vec<u8>),
    /// Waits until the client has taken what was written: each write is a packet of its own.
    Settle,
    /// Tells the test that everything so far is written.
    Tell(oneshot::Sender<()>),
    /// Waits until the client hangs up.
    AwaitHangUp,
    /// Writes these bytes again and again until the client hangs up.
    Forever(Vec<u8>),
}

/// A server for one exchange.
pub(crate) struct Server {
    pub(crate) base_url: String,
    task: JoinHandle<String>,
}

impl Server {
    /// Starts a server that takes one connection and one request, and then acts.
    pub(crate) async fn start(acts: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let base_url = format!("http://{}", listener.local_addr().expect("has an address"));
        #[expect(clippy::disallowed_methods, reason = "the server's task is awaited by `request`")]
        let task = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("accepts");
            stream.set_nodelay(true).expect("sets an option");
            let request = read_request(&mut stream).await;
            for act in acts {
                match act {
                    Act::Write(bytes) => stream.write_all(&bytes).await.expect("writes"),
                    Act::Settle => tokio::task::yield_now().await,
                    Act::Tell(sender) => sender.send(()).expect("somebody listens"),
                    Act::AwaitHangUp => {
                        let read = stream.read(&mut [0; 1]).await;
                        assert!(matches!(read, Ok(0) | Err(_)), "the client says more: {read:?}");
                    }
                    Act::Forever(bytes) => while stream.write_all(&bytes).await.is_ok() {},
                }
            }
            request
        });
        Self { base_url, task }
    }

    /// A server that answers with these bytes and closes.
    pub(crate) async fn answer(bytes: impl Into<Vec<u8>>) -> Self {
        Self::start(vec![Act::Write(bytes.into())]).await
    }

    /// A server that answers JSON with this status.
    pub(crate) async fn json(status: u16, body: &str) -> Self {
        Self::answer(json(status, "", body)).await
    }

    /// A server that answers with these events, in pieces of `bytes` bytes, and closes.
    pub(crate) async fn events(body: &str, bytes: usize) -> Self {
        let mut acts = vec![Act::Write(stream_head())];
        for piece in body.as_bytes().chunks(bytes) {
            acts.push(Act::Write(chunk(piece)));
            acts.push(Act::Settle);
        }
        acts.push(Act::Write(b"0\r\n\r\n".to_vec()));
        Self::start(acts).await
    }

    /// The request, when the server has done all it was to do.
    pub(crate) async fn request(self) -> String {
        self.task.await.expect("the server ends in order")
    }
}

pub(crate) async fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                line.to_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok()
            });
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        let read = stream.read_buf(&mut request).await.expect("reads");
        assert_ne!(read, 0, "the client hung up in the midst of its request");
    }
}

pub(crate) fn json(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

pub(crate) fn stream_head() -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        .to_vec()
}

/// A chunk of a chunked body.
pub(crate) fn chunk(piece: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()
}

/// A request of these messages, with these tools offered.
pub(crate) fn request(messages: Vec<Message>, tools: Vec<ToolSpec>) -> Request {
    Request {
        call: CallId { pid: Pid(7), number: 3 },
        attempt: 1,
        process: "agent".into(),
        label: "label".into(),
        options: Arc::new(ThinkOptions {
            model: "test:model".into(),
            output_max: Tokens(256),
            tools: tools.iter().map(|tool| tool.name.clone()).collect(),
            temperature_milli: None,
            window: None,
        }),
        messages: messages.into_iter().map(Body::new).collect(),
        begun: None,
        tools: tools.into(),
        cache: aosk_model::CacheHints::default(),
        wishes: Arc::default(),
        answers: 0,
        on_rates: aosk_model::OnRates::default(),
    }
}

pub(crate) fn calculator() -> ToolSpec {
    ToolSpec {
        name: "calculator".into(),
        description: "Works out an expression.".into(),
        parameters: serde_json::json!({
            "type": "object",
            "properties": {"expression": {"type": "string"}},
            "required": ["expression"]
        }),
    }
}

/// Asks with streaming and gives the answer and its deltas.
pub(crate) async fn ask_streaming(
    driver: &dyn Driver,
    request: Request,
) -> (Result<aosk_abi::ModelReply, aosk_abi::Failure>, Vec<Delta>) {
    let deltas = Mutex::new(Vec::new());
    let on_delta = |delta| deltas.lock().expect("not poisoned").push(delta);
    let reply = driver.complete(request, Some(&on_delta)).await;
    (reply, deltas.into_inner().expect("not poisoned"))
}

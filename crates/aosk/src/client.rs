//! A client of the interface of a kernel that runs, over the socket in its data directory.

use std::path::Path;
use std::time::Duration;

use aosk::abi::{Error, ErrorCode};
use aosk_server::SOCKET;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::task::JoinSet;

use crate::cli::Place;

/// How long the kernel may take to accept a connection, and to answer what does not wait for an agent.
/// It needs milliseconds, and some seconds on a disk that is slow; one that is stopped never answers.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of an answer. The longest are pages of logs; one that is longer comes from something else.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// A connection to a kernel.
pub(crate) struct Client {
    sender: SendRequest<Full<Bytes>>,
    /// What moves bytes between the sender and the socket.
    _connection: JoinSet<()>,
}

impl Client {
    /// Connects to the kernel of the data directory.
    ///
    /// # Errors
    /// `api.no_daemon` if none listens there.
    pub(crate) async fn connect(place: &Place) -> Result<Self, Error> {
        let dir = crate::paths::data_dir(place.data_dir.as_ref())?;
        match Self::find(&dir).await? {
            Some(client) => Ok(client),
            None => {
                let text = format!("asking the kernel: none listens in {}", dir.display());
                Err(Error::new(ErrorCode::ApiNoDaemon, text)
                    .hint("start one with `aosk serve`, or name its directory with --data-dir"))
            }
        }
    }

    /// Connects to the kernel of this data directory, if one listens there.
    ///
    /// # Errors
    /// If one listens that cannot be spoken to.
    pub(crate) async fn find(dir: &Path) -> Result<Option<Self>, Error> {
        use std::io::ErrorKind::{ConnectionRefused, InvalidInput, NotADirectory, NotFound};
        let path = dir.join(SOCKET);
        let stream = match in_time(UnixStream::connect(&path)).await? {
            Ok(stream) => stream,
            // Nobody can listen where no path is, or one that is too long.
            Err(error)
                if matches!(
                    error.kind(),
                    ConnectionRefused | NotFound | NotADirectory | InvalidInput
                ) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(failed(error)),
        };
        let shaken = in_time(http1::handshake(TokioIo::new(stream))).await?;
        let (sender, connection) = shaken.map_err(failed)?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            // Whoever waits for an answer is told by the sender.
            drop(connection.await);
        });
        Ok(Some(Self { sender, _connection: tasks }))
    }

    /// Asks what is answered at once, and gives what is; null if nothing is.
    ///
    /// # Errors
    /// What the kernel says is wrong, or that it is gone or does not answer.
    pub(crate) async fn ask(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Error> {
        let answer = in_time(async {
            let answer = self.send(method, path, body).await?;
            let status = answer.status();
            let bytes = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
            Ok::<_, Error>((status, bytes.map_err(failed)?.to_bytes()))
        });
        let (status, bytes) = answer.await??;
        let value = if bytes.is_empty() { Value::Null } else { parse(&bytes)? };
        if status.is_success() { Ok(value) } else { Err(refused(status, &value)) }
    }

    /// The events at this path, as they come; the next may take any time.
    ///
    /// # Errors
    /// What the kernel says is wrong, or that it is gone or does not answer.
    pub(crate) async fn events(mut self, path: &str) -> Result<Events, Error> {
        let answer = in_time(self.send(Method::GET, path, None)).await??;
        let status = answer.status();
        if status.is_success() {
            return Ok(Events { body: answer.into_body(), bytes: Vec::new(), _client: self });
        }
        let bytes = in_time(Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect()).await?;
        Err(refused(status, &parse(&bytes.map_err(failed)?.to_bytes())?))
    }

    /// Sends a request, and gives the answer as it comes.
    ///
    /// # Errors
    /// If the kernel is gone.
    async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response<Incoming>, Error> {
        self.sender.ready().await.map_err(failed)?;
        let mut request = Request::builder().method(method).uri(path).header("host", "aosk");
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map(|value| Bytes::from(value.to_string())).unwrap_or_default();
        let request = request.body(Full::new(body)).map_err(failed)?;
        self.sender.send_request(request).await.map_err(failed)
    }
}

/// A stream of events.
pub(crate) struct Events {
    body: Incoming,
    /// What came of the event that is not whole yet.
    bytes: Vec<u8>,
    _client: Client,
}

impl Events {
    /// The name and data of the next event; none when the kernel ends the stream.
    ///
    /// # Errors
    /// If the kernel is gone.
    pub(crate) async fn next(&mut self) -> Result<Option<(String, Value)>, Error> {
        loop {
            if let Some(at) = self.bytes.windows(2).position(|pair| pair == b"\n\n") {
                let event: Vec<u8> = self.bytes.drain(..at.saturating_add(2)).collect();
                let text = String::from_utf8(event).map_err(failed)?;
                let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
                // Others are comments.
                if let (Some(name), Some(data)) = (field("event: "), field("data: ")) {
                    return Ok(Some((name.to_owned(), parse(data.as_bytes())?)));
                }
                continue;
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            if let Ok(data) = frame.map_err(failed)?.into_data() {
                self.bytes.extend_from_slice(&data);
            }
            if self.bytes.len() > ANSWER_BYTES_MAX {
                return Err(failed("an event has no end"));
            }
        }
    }
}

/// What comes of it, if it does in time.
async fn in_time<T>(done: impl Future<Output = T>) -> Result<T, Error> {
    tokio::time::timeout(ANSWER_TIMEOUT, done).await.map_err(|_| {
        let seconds = ANSWER_TIMEOUT.as_secs();
        let text = format!("asking the kernel: it has not answered for {seconds} s");
        Error::new(ErrorCode::ApiNoDaemon, text).hint(
            "it may be stopped or busy, and may yet do what it was asked; `aosk ps` says what there is",
        )
    })
}

fn parse(bytes: &[u8]) -> Result<Value, Error> {
    serde_json::from_slice(bytes).map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::new(ErrorCode::ApiNoDaemon, format!("asking the kernel: {error}"))
        .hint("`aosk ps` says what became of its processes, whether a kernel runs or not")
}

/// What the kernel says is wrong, as it would be said here.
fn refused(status: StatusCode, problem: &Value) -> Error {
    let text = |name: &str| problem.get(name).and_then(Value::as_str).unwrap_or_default();
    let code = problem.get("code").cloned().unwrap_or_default();
    match serde_json::from_value::<ErrorCode>(code) {
        Ok(code) => Error::new(code, text("detail")).hint(text("hint")),
        Err(_) => failed(format!("it answers {status}: {}", text("detail"))),
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixListener;
    use tokio::time::Instant;

    use super::*;

    fn silent() -> (TempDir, UnixListener) {
        let dir = TempDir::new().expect("a temporary directory");
        let listener = UnixListener::bind(dir.path().join(SOCKET)).expect("binds");
        (dir, listener)
    }

    #[tokio::test]
    async fn a_kernel_that_does_not_answer_is_not_waited_for() {
        let (dir, _listener) = silent();
        let mut client = Client::find(dir.path()).await.expect("connects").expect("is there");
        tokio::time::pause();
        let before = Instant::now();
        let asked = client.ask(Method::GET, "/api/v1/health", None).await.expect_err("is silent");
        assert_eq!(asked.code, ErrorCode::ApiNoDaemon);
        assert!(asked.message.contains("30 s"), "{}", asked.message);
        assert!(before.elapsed() >= ANSWER_TIMEOUT && before.elapsed() < ANSWER_TIMEOUT * 2);
        let client = Client::find(dir.path()).await.expect("connects").expect("is there");
        assert!(client.events("/api/v1/journal/follow").await.is_err());
    }

    #[tokio::test]
    async fn an_event_may_take_any_time() {
        let (dir, listener) = silent();
        let client = Client::find(dir.path()).await.expect("connects").expect("is there");
        let (mut stream, _) = listener.accept().await.expect("accepts");
        let answer = async {
            let mut head = [0; 1024];
            assert!(stream.read(&mut head).await.expect("reads") > 0);
            let head = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
            stream.write_all(head).await.expect("writes");
        };
        let (events, ()) = tokio::join!(client.events("/"), answer);
        let mut events = events.expect("are there");
        tokio::time::pause();
        let (next, ()) = tokio::join!(events.next(), async {
            tokio::time::advance(ANSWER_TIMEOUT * 10).await;
            stream.write_all(b"event: end\ndata: 1\n\n").await.expect("writes");
        });
        let (name, data) = next.expect("comes").expect("is one");
        assert_eq!((name.as_str(), data), ("end", Value::from(1)));
    }
}

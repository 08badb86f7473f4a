//! A model server on loopback, in a process of its own so that its work is not counted.
//!
//! It speaks chat completions. A whole answer comes after a set latency; of a streamed one the first
//! token comes then, and another every 20 ms. It is told nothing of kernels: it keeps an account of
//! what it was asked, which its parent reads through a pipe. It ends when that pipe does.

use std::convert::Infallible;
use std::io::BufRead;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use aosk::abi::{Error, ErrorCode};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::account::{Account, Books, Serving};
use super::answer::{Answer, Asked};
use crate::term::line;

/// Bytes of a request. Those of the benchmark have some hundred.
const REQUEST_BYTES_MAX: usize = 1024 * 1024;

/// The server as a child process. Ends when dropped.
pub(super) struct ModelServer {
    base_url: String,
    asks: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl ModelServer {
    /// Starts one on a free port. Answers take `latency`.
    ///
    /// # Errors
    /// If this program cannot be started once more.
    pub(super) async fn start(latency: Duration) -> Result<Self, Error> {
        let program = std::env::current_exe().map_err(failed)?;
        let mut child = Command::new(program)
            .args(["bench", "model-server", "--latency-ms", &latency.as_millis().to_string()])
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let (Some(asks), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed("it has no pipes"));
        };
        let mut answers = BufReader::new(answers).lines();
        let port = answers.next_line().await.map_err(failed)?;
        let port: u16 = port.and_then(|port| port.parse().ok()).ok_or_else(|| failed("no port"))?;
        Ok(Self { base_url: format!("http://127.0.0.1:{port}/v1"), asks, answers, _child: child })
    }

    /// Where it is.
    pub(super) fn base_url(&self) -> &str {
        &self.base_url
    }

    /// What it was asked since its account was read last.
    ///
    /// # Errors
    /// If it is gone.
    pub(super) async fn account(&mut self) -> Result<Books, Error> {
        self.asks.write_all(b"account\n").await.map_err(failed)?;
        let line = self.answers.next_line().await.map_err(failed)?;
        let line = line.ok_or_else(|| failed("it is gone"))?;
        serde_json::from_str(&line).map_err(failed)
    }
}

fn failed(cause: impl std::fmt::Display) -> Error {
    Error::new(ErrorCode::Io, format!("running a model server: {cause}"))
}

/// Serves until stdin ends.
///
/// # Errors
/// If it cannot listen.
pub(crate) async fn serve(latency: Duration) -> Result<(), Error> {
    let account = Arc::new(Account::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
    line(&listener.local_addr().map_err(failed)?.port().to_string());
    let mut ended = tell(account.clone());
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut ended => return Ok(()),
            accepted = listener.accept() => {
                let (connection, _) = accepted.map_err(failed)?;
                connections.spawn(answer_all(connection, latency, account.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Says what is in the account at every line of stdin; the receiver hears when there are no more.
fn tell(account: Arc<Account>) -> oneshot::Receiver<()> {
    let (alive, ended) = oneshot::channel();
    // Reading a pipe blocks. The thread ends with it, and nothing waits for it.
    drop(std::thread::spawn(move || {
        let _alive: oneshot::Sender<()> = alive;
        for _ in std::io::stdin().lock().lines().map_while(Result::ok) {
            line(&serde_json::to_string(&account.take()).unwrap_or_default());
        }
    }));
    ended
}

async fn answer_all(connection: TcpStream, latency: Duration, account: Arc<Account>) {
    // Without it answers may wait for one another; they come all the same.
    drop(connection.set_nodelay(true));
    let service = service_fn(|request| answer(request, latency, account.clone()));
    // A client that hangs up is what cutting off a call looks like from here.
    drop(http1::Builder::new().serve_connection(TokioIo::new(connection), service).await);
}

async fn answer(
    request: Request<Incoming>,
    latency: Duration,
    account: Arc<Account>,
) -> Result<Response<Answer>, Infallible> {
    let is_call =
        request.method() == Method::POST && request.uri().path().ends_with("/chat/completions");
    let asked = read(request.into_body()).await;
    let Some(asked) = asked.filter(|_| is_call).and_then(|body| Asked::parse(&body)) else {
        let mut refused = Response::new(Answer::nothing());
        *refused.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(refused);
    };
    let serving = Serving::begin(account);
    tokio::time::sleep(latency).await;
    let mut response = Response::new(Answer::to(&asked, serving));
    let kind = if asked.stream { "text/event-stream" } else { "application/json" };
    response
        .headers_mut()
        .insert(hyper::header::CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    Ok(response)
}

/// The body of a request; none if it breaks off or is too long.
async fn read(mut body: Incoming) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let frame = std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await;
        let Some(frame) = frame else { return Some(bytes) };
        if let Ok(data) = frame.ok()?.into_data() {
            bytes.extend_from_slice(&data);
        }
        if bytes.len() > REQUEST_BYTES_MAX {
            return None;
        }
    }
}

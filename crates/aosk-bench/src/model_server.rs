//! A model server that answers at once, in a process of its own so that its work is not counted.
//!
//! It speaks just enough HTTP/1.1 for the clients here: keep-alive, `Content-Length`. Each agent's
//! conversation carries its number of steps; as long as it has fewer tool results the answer is one
//! more tool call, then it is a final text. It notes how long each agent took from an answer to the
//! next request; `GET /gaps` gives these times in milliseconds.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The server as a child process. Ends when dropped.
#[derive(Debug)]
pub(crate) struct ModelServer {
    child: Child,
    pub(crate) base_url: String,
}

impl ModelServer {
    /// Starts it on a free port. Answers take `latency` on average; the one to the `steps`-th call of a
    /// conversation is final.
    #[expect(clippy::disallowed_methods, reason = "the one place that starts a process here")]
    pub(crate) fn start(steps: u32, latency: Duration) -> anyhow::Result<Self> {
        let latency = latency.as_millis().to_string();
        let mut child = Command::new(std::env::current_exe()?)
            .args(["model-server", "--steps", &steps.to_string(), "--latency-ms", &latency])
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the model server")?;
        let stdout = child.stdout.take().context("the model server has no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let port: u16 = line.trim().parse().context("the model server named no port")?;
        Ok(Self { child, base_url: format!("http://127.0.0.1:{port}/v1") })
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        // It may be gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Serves until it is killed.
#[expect(clippy::print_stdout, reason = "the parent reads the port")]
pub(crate) async fn serve(steps: u32, latency: Duration) -> anyhow::Result<()> {
    let gaps = Arc::new(Gaps::default());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    let mut connections = JoinSet::new();
    loop {
        let (connection, _) = listener.accept().await?;
        connections.spawn(answer_all(connection, steps, latency, gaps.clone()));
        while connections.try_join_next().is_some() {}
    }
}

/// How long agents took from an answer to their next request.
#[derive(Debug, Default)]
struct Gaps {
    inner: Mutex<(HashMap<String, Instant>, Vec<f64>)>,
}

impl Gaps {
    /// A request of an agent came.
    fn asked(&self, agent: &str) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answered) = inner.0.remove(agent) {
            inner.1.push(answered.elapsed().as_secs_f64() * 1000.0);
        }
    }

    /// An agent is about to get its answer.
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
    fn answered(&self, agent: &str) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.0.insert(agent.to_owned(), Instant::now());
    }

    fn json(&self) -> String {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        serde_json::to_string(&inner.1).unwrap_or_default()
    }
}

/// The agent's number, from its task.
fn agent(request: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(request).ok()?;
    let (_, rest) = text.split_once("Agent ")?;
    rest.split_once('.').map(|(number, _)| number)
}

async fn answer_all(
    mut connection: TcpStream,
    steps: u32,
    latency: Duration,
    gaps: Arc<Gaps>,
) -> anyhow::Result<()> {
    connection.set_nodelay(true)?;
    let mut buffer: Vec<u8> = Vec::with_capacity(64 * 1024);
    let mut served = connection.peer_addr()?.port();
    loop {
        let (head, body) = loop {
            if let Some(lengths) = complete(&buffer) {
                break lengths;
            }
            if connection.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let request = buffer.get(head..head + body).unwrap_or_default();
        let reply = if buffer.starts_with(b"GET /gaps") {
            http(&gaps.json())
        } else {
            let agent = agent(request).filter(|_| !latency.is_zero());
            agent.inspect(|agent| gaps.asked(agent));
            if !latency.is_zero() {
                served = served.wrapping_add(1);
                tokio::time::sleep(spread(latency, served)).await;
            }
            agent.inspect(|agent| gaps.answered(agent));
            reply(request, steps)
        };
        connection.write_all(reply.as_bytes()).await?;
        buffer.drain(..head + body);
    }
}

/// Half to one and a half of `latency`, spread evenly: agents that began together do not stay in
/// step, as with real models.
fn spread(latency: Duration, number: u16) -> Duration {
    let share = f64::from(number.wrapping_mul(40_503)) / f64::from(u16::MAX);
    latency.mul_f64(0.5 + share)
}

/// The lengths of head and body, if the request is all there.
fn complete(buffer: &[u8]) -> Option<(usize, usize)> {
    let head = buffer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(buffer.get(..head)?).ok()?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    // A request without a body does not say how long it is.
    let length = length.unwrap_or(0);
    (buffer.len() >= head + length).then_some((head, length))
}

fn reply(request: &[u8], steps: u32) -> String {
    let text = String::from_utf8_lossy(request);
    let results = text.matches(r#""role":"tool""#).count();
    let last = results + 1 >= usize::try_from(steps).unwrap_or(usize::MAX);
    if text.contains(r#""stream":true"#) {
        return stream();
    }
    let message = if last {
        r#"{"role":"assistant","content":"done"},"finish_reason":"stop""#.to_owned()
    } else {
        format!(
            r#"{{"role":"assistant","content":null,"tool_calls":[{{"id":"call_{results}","type":"function","function":{{"name":"calculator","arguments":"{{\"expression\":\"{results} + 1\"}}"}}}}]}},"finish_reason":"tool_calls""#
        )
    };
    let body = format!(
        r#"{{"id":"x","object":"chat.completion","created":0,"model":"bench","choices":[{{"index":0,"message":{message}}}],"usage":{{"prompt_tokens":100,"completion_tokens":10,"total_tokens":110}}}}"#
    );
    http(&body)
}

/// A streamed answer of three words.
fn stream() -> String {
    let mut body = String::new();
    let words = ["one", " two", " three"].map(|word| format!(r#"{{"content":"{word}"}}"#));
    for (delta, finish) in
        words.iter().map(|word| (word.as_str(), "null")).chain([("{}", "\"stop\"")])
    {
        body.push_str(&format!(
            "data: {{\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":0,\"model\":\"bench\",\
             \"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
        ));
    }
    body.push_str("data: [DONE]\n\n");
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n\
         {:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    )
}

fn http(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

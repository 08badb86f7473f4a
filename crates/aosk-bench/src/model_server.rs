//! A model server that answers at once, in a process of its own so that its work is not counted.
//!
//! It speaks just enough HTTP/1.1 for the clients here: keep-alive, `Content-Length`. Each agent's
//! conversation carries its number of steps; as long as it has fewer tool results the answer is one
//! more tool call, then it is a final text.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

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
    /// Starts it on a free port. The answer to the `steps`-th call of a conversation is final.
    #[expect(clippy::disallowed_methods, reason = "the one place that starts a process here")]
    pub(crate) fn start(steps: u32) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["model-server", "--steps", &steps.to_string()])
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
pub(crate) async fn serve(steps: u32) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    let mut connections = JoinSet::new();
    loop {
        let (connection, _) = listener.accept().await?;
        connections.spawn(answer_all(connection, steps));
        while connections.try_join_next().is_some() {}
    }
}

async fn answer_all(mut connection: TcpStream, steps: u32) -> anyhow::Result<()> {
    connection.set_nodelay(true)?;
    let mut buffer: Vec<u8> = Vec::with_capacity(64 * 1024);
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
        let reply = reply(request, steps);
        connection.write_all(reply.as_bytes()).await?;
        buffer.drain(..head + body);
    }
}

/// The lengths of head and body, if the request is all there.
fn complete(buffer: &[u8]) -> Option<(usize, usize)> {
    let head = buffer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(buffer.get(..head)?).ok()?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    })?;
    (buffer.len() >= head + length).then_some((head, length))
}

fn reply(request: &[u8], steps: u32) -> String {
    let text = String::from_utf8_lossy(request);
    let results = text.matches(r#""role":"tool""#).count();
    let last = results + 1 >= usize::try_from(steps).unwrap_or(usize::MAX);
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
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

//! A provider on loopback that answers as a test says, and tells what it was asked and who hung up.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::scene::Trace;

/// What a provider does with a request.
pub(crate) enum Answer {
    /// It answers with this status, these headers and this body.
    Whole(u16, &'static str, Value),
    /// It streams these pieces.
    Pieces(Vec<String>),
    /// It streams these pieces and then nothing, until the client hangs up.
    Stalls(Vec<String>),
}

impl Answer {
    /// An answer of chat completions in one piece.
    pub(crate) fn text(text: &str) -> Self {
        Self::Whole(200, "", said(text))
    }
}

/// A body of chat completions.
pub(crate) fn said(text: &str) -> Value {
    let choice = json!({ "message": { "content": text }, "finish_reason": "stop" });
    json!({ "choices": [choice], "usage": { "prompt_tokens": 10, "completion_tokens": 5 } })
}

type Script = dyn Fn(&str, &Value) -> Answer + Send + Sync;
type Asked = Arc<Mutex<Vec<(String, Value)>>>;

/// The provider. It tells `asked NAME` and `hung up NAME`, where NAME is the agent's.
pub(crate) struct Provider {
    pub(crate) base_url: String,
    asked: Asked,
    // Its connections end with it.
    _tasks: JoinSet<()>,
}

impl Provider {
    pub(crate) async fn start(
        trace: Trace,
        script: impl Fn(&str, &Value) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        let (asked, script): (Asked, Arc<Script>) = (Asked::default(), Arc::new(script));
        let (noted, mut tasks) = (asked.clone(), JoinSet::new());
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (trace, noted, script) = (trace.clone(), noted.clone(), script.clone());
                connections.spawn(async move {
                    // A client may hang up at any time.
                    drop(serve(stream, &trace, &noted, &*script).await);
                });
            }
        });
        Self { base_url, asked, _tasks: tasks }
    }

    /// The bodies of the requests of this agent, in order.
    pub(crate) fn asked(&self, name: &str) -> Vec<Value> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(of, _)| of == name).map(|(_, body)| body.clone()).collect()
    }
}

/// The text of a message in either wire format.
pub(crate) fn text_of(message: &Value) -> &str {
    let content = &message["content"];
    content.as_str().or_else(|| content[0]["text"].as_str()).unwrap_or_default()
}

/// What was begun of the answer that is asked for.
pub(crate) fn begun(body: &Value) -> Option<&str> {
    let last = body["messages"].as_array().unwrap().last().unwrap();
    (last["role"] == "assistant").then(|| text_of(last))
}

async fn serve(
    mut stream: TcpStream,
    trace: &Trace,
    asked: &Asked,
    script: &Script,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let (head, body) = read(&mut stream).await?;
        if head.starts_with("GET ") {
            // What a server of one's own may say of itself, this one does not.
            stream.write_all(b"HTTP/1.1 404 None\r\ncontent-length: 0\r\n\r\n").await?;
            continue;
        }
        let body: Value = serde_json::from_str(&body).unwrap();
        let messages = body["messages"].as_array().unwrap();
        let name = messages.iter().find_map(|one| text_of(one).strip_prefix("you are ")).unwrap();
        let name = name.to_owned();
        let answer = script(&name, &body);
        asked.lock().unwrap().push((name.clone(), body));
        trace.tell(format!("asked {name}"));
        match answer {
            Answer::Whole(status, headers, body) => {
                let body = body.to_string();
                let head = format!(
                    "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n",
                    body.len()
                );
                stream.write_all((head + &body).as_bytes()).await?;
            }
            Answer::Pieces(pieces) => {
                write(&mut stream, &pieces).await?;
                let end = json!({ "choices": [{ "delta": {}, "finish_reason": "stop" }] });
                stream.write_all(&event(&end.to_string())).await?;
                stream.write_all(&event("[DONE]")).await?;
                stream.write_all(b"0\r\n\r\n").await?;
            }
            Answer::Stalls(pieces) => {
                write(&mut stream, &pieces).await?;
                // Whatever comes, it is no request: the answer is not over.
                let _hung_up = stream.read(&mut [0; 1]).await;
                trace.tell(format!("hung up {name}"));
                return Ok(());
            }
        }
    }
}

async fn write(stream: &mut TcpStream, pieces: &[String]) -> std::io::Result<()> {
    stream
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        .await?;
    for piece in pieces {
        let chunk = json!({ "choices": [{ "delta": { "content": piece } }] });
        stream.write_all(&event(&chunk.to_string())).await?;
    }
    Ok(())
}

/// An event as a chunk of the body.
fn event(data: &str) -> Vec<u8> {
    let event = format!("data: {data}\n\n");
    format!("{:x}\r\n{event}\r\n", event.len()).into_bytes()
}

/// The head of a request, and its body.
async fn read(stream: &mut TcpStream) -> std::io::Result<(String, String)> {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                line.to_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok()
            });
            if body.len() >= length.unwrap_or(0) {
                return Ok((head.to_owned(), body.to_owned()));
            }
        }
        if stream.read_buf(&mut request).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

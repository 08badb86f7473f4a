//! A provider on loopback: it shows what it was asked, answers with the bytes that a test wants, and
//! says when whoever asked hung up.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What a provider does with one request.
pub(crate) enum Act {
    /// Writes these bytes.
    Write(Vec<u8>),
    /// Waits until the gate is open.
    Wait(Gate),
    /// Waits until the other side hangs up, and opens the gate then.
    HungUp(Gate),
    /// Opens the gate.
    Tell(Gate),
    /// Hangs up.
    Close,
}

/// Something that waits until it is let through, for ever after.
#[derive(Debug, Clone)]
pub(crate) struct Gate(watch::Sender<bool>);

impl Gate {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    pub(crate) fn open(&self) {
        self.0.send_replace(true);
    }

    pub(crate) async fn passed(&self) {
        self.0.subscribe().wait_for(|open| *open).await.unwrap();
    }
}

/// A request as the provider got it.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Asked {
    /// The values of a header, in order.
    pub(crate) fn header(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }
}

type Answers = Arc<Mutex<VecDeque<Vec<Act>>>>;

/// A provider. What it was not told to answer it answers with status 500.
pub(crate) struct Provider {
    pub(crate) base_url: String,
    asked: watch::Receiver<Vec<Asked>>,
    answers: Answers,
    _task: JoinSet<()>,
}

impl Provider {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let answers = Answers::default();
        let (ask, asked) = watch::channel(Vec::new());
        let mut task = JoinSet::new();
        task.spawn({
            let answers = answers.clone();
            async move {
                let mut connections = JoinSet::new();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    connections.spawn(serve(stream, ask.clone(), answers.clone()));
                }
            }
        });
        Self { base_url, asked, answers, _task: task }
    }

    /// One that nobody reaches.
    pub(crate) async fn down() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        Self { base_url, ..Self::start().await }
    }

    /// What it does with the next request that has no answer yet.
    pub(crate) fn then(&self, acts: Vec<Act>) -> &Self {
        self.answers.lock().unwrap().push_back(acts);
        self
    }

    /// The same: it answers JSON with this status.
    pub(crate) fn json(&self, status: u16, body: &str) -> &Self {
        self.then(vec![Act::Write(json(status, "", body))])
    }

    /// The same: it answers with these events.
    pub(crate) fn events(&self, body: &str) -> &Self {
        self.then(vec![Act::Write(stream_head()), Act::Write(chunk(body)), Act::Write(end())])
    }

    /// What it was asked so far.
    pub(crate) fn all(&self) -> Vec<Asked> {
        self.asked.borrow().clone()
    }

    /// Waits until it was asked so often.
    pub(crate) async fn until_asked(&self, times: usize) {
        self.asked.clone().wait_for(|asked| asked.len() >= times).await.unwrap();
    }

    /// The bodies of what it was asked so far.
    pub(crate) fn bodies(&self) -> Vec<String> {
        self.all().into_iter().map(|asked| asked.body).collect()
    }
}

async fn serve(mut stream: TcpStream, ask: watch::Sender<Vec<Asked>>, answers: Answers) {
    stream.set_nodelay(true).unwrap();
    while let Some(asked) = read(&mut stream).await {
        // It is known what to do before anybody sees that it was asked.
        let acts = answers.lock().unwrap().pop_front();
        ask.send_modify(|all| all.push(asked));
        let acts = acts.unwrap_or_else(|| vec![Act::Write(json(500, "", "\"unexpected\""))]);
        for act in acts {
            match act {
                Act::Write(bytes) => {
                    if stream.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                Act::Wait(gate) => gate.passed().await,
                Act::HungUp(gate) => {
                    let read = stream.read(&mut [0; 1]).await;
                    assert!(matches!(read, Ok(0) | Err(_)), "it says more: {read:?}");
                    gate.open();
                    return;
                }
                Act::Tell(gate) => gate.open(),
                Act::Close => return,
            }
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                line.to_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok()
            });
            if body.len() >= length.unwrap_or(0) {
                return Some(Asked { head: head.to_owned(), body: body.to_owned() });
            }
        }
        if !matches!(stream.read_buf(&mut request).await, Ok(1..)) {
            return None;
        }
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

/// A part of a body of unknown length.
pub(crate) fn chunk(text: &str) -> Vec<u8> {
    format!("{:x}\r\n{text}\r\n", text.len()).into_bytes()
}

/// The end of such a body.
pub(crate) fn end() -> Vec<u8> {
    b"0\r\n\r\n".to_vec()
}

/// An answer of chat completions that says `text`.
pub(crate) fn chat(text: &str) -> String {
    format!(
        r#"{{"id":"c1","object":"chat.completion","created":1,"model":"its-m","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}}}"#
    )
}

/// The events of the same, with usage in a chunk of its own.
pub(crate) fn chat_events(text: &str) -> String {
    let piece = |delta: &str, finish: &str| {
        format!(
            "data: {{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
        )
    };
    let said = format!("{{\"content\":\"{text}\"}}");
    [
        &piece(r#"{"role":"assistant","content":""}"#, "null"),
        &piece(&said, "null"),
        &piece("{}", "\"stop\""),
        USAGE,
        "data: [DONE]\n\n",
    ]
    .concat()
}

/// The chunk that tells usage and nothing else.
pub(crate) const USAGE: &str = "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3,\"total_tokens\":12}}\n\n";

/// An answer of Messages that says `text`.
pub(crate) fn message(text: &str) -> String {
    format!(
        r#"{{"id":"msg_1","type":"message","role":"assistant","model":"its-a","content":[{{"type":"text","text":"{text}"}}],"stop_reason":"end_turn","stop_sequence":null,"usage":{{"input_tokens":9,"output_tokens":3}}}}"#
    )
}

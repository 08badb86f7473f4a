//! Measures how long it takes from the arrival of an urgent process until the connection of the call
//! that gives up its slot is closed, as the provider sees it: `cargo run --release --example
//! preempt_latency [ROUNDS]`. The provider is on loopback and the store on disk, so a flush to disk is
//! part of it. Both ends share one process.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aosk_runtime::abi::{
    Body, Limits, Message, Millis, PermissionLevel, Pid, ProgramSpec, Signal, SpawnSpec,
    ThinkOptions, Tokens,
};
use aosk_runtime::kernel::memory::{DEFAULT, NeedTable, Prefer};
use aosk_runtime::program::react;
use aosk_runtime::store::Sqlite;
use aosk_runtime::tools::Registry;
use aosk_runtime::{ModelDevice, Node, NodeConfig, Programs, kernel, model};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The beginning of an answer that does not go on.
const BEGUN: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n38\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"Once upon \"}}]}\n\n\r\n";

const WHOLE: &str = r#"{"choices":[{"message":{"content":"at once"},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":2}}"#;

/// Rounds with one node. The answers to urgent calls are quick, and when they have taught the kernel
/// that all are, none is worth cutting off.
const ROUNDS_OF_A_NODE: usize = 10;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the figures are what the example is for")]
async fn main() -> Outcome<()> {
    let rounds = std::env::args().nth(1).map_or(Ok(300), |argument| argument.parse::<usize>())?;
    let mut spans = Vec::with_capacity(rounds);
    while spans.len() < rounds {
        spans.extend(measure(ROUNDS_OF_A_NODE.min(rounds - spans.len())).await?);
    }
    spans.sort_unstable();
    let at = |percent: usize| {
        let index = (spans.len() * percent / 100).min(spans.len().saturating_sub(1));
        spans.get(index).map_or(0.0, |span| span.as_secs_f64() * 1_000.0)
    };
    println!(
        "{} rounds: p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms, most {:.2} ms",
        spans.len(),
        at(50),
        at(90),
        at(99),
        at(100)
    );
    Ok(())
}

/// The spans of so many rounds, in milliseconds.
async fn measure(rounds: usize) -> Outcome<Vec<Duration>> {
    let dir = tempfile::tempdir()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base_url = format!("http://{}/v1", listener.local_addr()?);
    let (tell, mut closed) = mpsc::channel(16);
    let mut server = JoinSet::new();
    server.spawn(serve(listener, tell));
    let resolved = model::resolve(Some("vllm:m"), Some(&base_url), &|_| None).await?;
    let device = ModelDevice {
        stream: true,
        continues: resolved.continues,
        ..ModelDevice::new("m", resolved.driver)
    };
    let node = Node::start(NodeConfig {
        store: Box::new(Sqlite::open(&dir.path().join("data"))?),
        models: vec![device],
        routes: BTreeMap::new(),
        groups: BTreeMap::new(),
        slice: None,
        summary_model: None,
        needs: NeedTable::seeded(),
        tools: Registry::new(),
        recorded: None,
        embedder: None,
        programs: Programs::default(),
        policy: kernel::policy("fair")?,
        replacement: DEFAULT,
        prefer: Prefer::Cost,
        limits: Limits::default(),
        tool_slots: 1,
        workspace: dir.path().to_owned(),
        reports: None,
        drain: Millis::from_secs(1),
        linger: Millis(2),
    })?;
    let (handle, mut spans) = (node.handle(), Vec::new());
    for _ in 0..rounds {
        let mut growth = handle.growth();
        let slow: Pid = handle.spawn(agent("slow", 50)?).await?;
        while growth.recv().await?.pid != slow {}
        #[expect(clippy::disallowed_methods, reason = "a measurement needs a clock")]
        let arrived = Instant::now();
        let urgent = handle.spawn(agent("urgent", 10)?).await?;
        let left: Instant = closed.recv().await.ok_or("the provider is gone")?;
        spans.push(left.saturating_duration_since(arrived));
        handle.wait(urgent).await?;
        // It goes on with its answer, and is told to end.
        while growth.recv().await?.pid != slow {}
        handle.signal(slow, Signal::Kill).await?;
        handle.wait(slow).await?;
        closed.recv().await.ok_or("the provider is gone")?;
    }
    node.shutdown().await?;
    Ok(spans)
}

fn agent(name: &str, priority: u8) -> Outcome<SpawnSpec> {
    let options = ThinkOptions {
        model: "m".to_owned(),
        output_max: Tokens(10_000),
        tools: Vec::new(),
        temperature_milli: None,
        window: None,
    };
    let param = react::Param {
        options,
        workspace: None,
        base_url: None,
        replacement: None,
        prefer: None,
        chat: false,
    };
    let param = serde_json::to_string(&param)?.into();
    Ok(SpawnSpec {
        name: name.to_owned(),
        label: String::new(),
        program: ProgramSpec { name: "react".to_owned(), param },
        priority,
        capabilities: PermissionLevel::Full.capabilities(),
        limits: Limits::default(),
        group: String::new(),
        fork: false,
        pages: vec![Body::new(Message::user(format!("you are {name}")))],
    })
}

async fn serve(listener: TcpListener, closed: mpsc::Sender<Instant>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let closed = closed.clone();
        // A client may hang up at any time.
        connections.spawn(async move { drop(answer(stream, closed).await) });
    }
}

/// Answers urgent requests at once, and others never to their end; tells when the client hangs up on
/// one of these.
async fn answer(mut stream: TcpStream, closed: mpsc::Sender<Instant>) -> Outcome<()> {
    stream.set_nodelay(true)?;
    let mut request = Vec::new();
    loop {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        if head.starts_with("GET ") {
            stream.write_all(b"HTTP/1.1 404 None\r\ncontent-length: 0\r\n\r\n").await?;
        } else if !body.ends_with('}') {
            continue;
        } else if body.contains("you are urgent") {
            let length = WHOLE.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{WHOLE}"
            );
            stream.write_all(answer.as_bytes()).await?;
        } else {
            stream.write_all(BEGUN.as_bytes()).await?;
            // Whatever comes is the end: the answer is not over.
            let _hung_up = stream.read(&mut [0; 1]).await;
            #[expect(clippy::disallowed_methods, reason = "a measurement needs a clock")]
            closed.send(Instant::now()).await?;
            return Ok(());
        }
        request.clear();
    }
}

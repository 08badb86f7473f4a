//! `gateway`: what the gateway adds to a request, beside the model server reached directly.
//!
//! Gateway, model server and clients share the machine; the figures of direct requests are from the same
//! run, in turns. The gateway is the real binary with its store on disk, in a process of its own.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::measure::{median, quantile};
use crate::model_server::ModelServer;

/// What to run.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Requests of each stretch.
    #[arg(long, default_value_t = 10_000)]
    requests: u64,
    /// Stretches of each kind; the figures are those of the middle one.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Another server of chat completions that is measured in the same run, such as a proxy, by its
    /// base URL. It must know the model `bench`.
    #[arg(long)]
    beside: Option<String>,
    /// The binary; the one beside this program if none is named.
    #[arg(long)]
    aosk: Option<PathBuf>,
    /// Print one flat JSON object at the end.
    #[arg(long)]
    json: bool,
}

/// The stretch whose clients do not ask as fast as they can, and how long each waits between requests: a
/// thousand requests in a second of all of them.
const PACED: &str = "64 connections, 1000/s";
const PACE: Duration = Duration::from_millis(64);

/// Where requests go.
#[derive(Debug, Clone)]
struct Target {
    address: String,
    token: String,
    path: &'static str,
    body: String,
    streams: bool,
    /// How long a client waits from one request to the next; as soon as it is answered if zero.
    every: Duration,
}

/// What a stretch of requests took.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    p50_ms: f64,
    p99_ms: f64,
    per_second: f64,
}

/// The gateway as a child process. Ends when dropped.
struct Gateway {
    child: Child,
    address: String,
    token: String,
    _dir: tempfile::TempDir,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may be gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Gateway {
    #[expect(clippy::disallowed_methods, reason = "a benchmark starts what it measures")]
    fn start(aosk: &Path, model_server: &str) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let data = dir.path().join("data");
        let command = |args: &[&str]| {
            let mut command = Command::new(aosk);
            command.args(args).arg("--data-dir").arg(&data);
            command.env("AOSK_CONFIG", dir.path().join("none.yaml")).env("OPENAI_API_KEY", "bench");
            command
        };
        std::fs::write(dir.path().join("none.yaml"), "slots: 1000\n")?;
        let made =
            command(&["token", "create", "--role", "operator", "--name", "bench"]).output()?;
        let token = String::from_utf8(made.stdout)?.trim().to_owned();
        let model = ["--model", "openai:bench", "--base-url", model_server];
        let mut serve = command(&["serve", "--json", "--listen", "127.0.0.1:0"]);
        let mut child = serve
            .args(model)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("starting {}", aosk.display()))?;
        let stdout = child.stdout.take().context("the gateway has no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let said: serde_json::Value = serde_json::from_str(&line).context("reading its address")?;
        let address =
            said.get("tcp").and_then(serde_json::Value::as_str).context("it does not listen")?;
        let address = address.trim_start_matches("http://").to_owned();
        Ok(Self { child, address, token, _dir: dir })
    }

    /// CPU time that it has used, in seconds; nothing where the system does not say it.
    fn cpu(&self) -> Option<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
        // Fields 14 and 15 of the whole line, in hundredths of a second on Linux.
        Some((ticks(11)? + ticks(12)?) / 100.0)
    }
}

/// A request in chat completions.
fn chat(streams: bool) -> String {
    let stream = if streams { r#""stream":true,"# } else { "" };
    format!(
        r#"{{"model":"bench",{stream}"max_tokens":16,"messages":[{{"role":"user","content":"What is the capital of France?"}}]}}"#
    )
}

/// A query of AIOS.
fn query() -> String {
    r#"{"query_type":"llm","agent_name":"bench","query_data":{"llms":[{"name":"bench","backend":"openai"}],"messages":[{"role":"user","content":"What is the capital of France?"}],"action_type":"chat","temperature":1.0,"max_new_tokens":16,"message_return_type":"text"}}"#.to_owned()
}

/// Sends so many requests over so many connections, each as soon as the one before is answered.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
#[expect(clippy::cast_precision_loss, reason = "counts of requests and connections")]
async fn stretch(target: &Target, connections: u64, requests: u64) -> anyhow::Result<Stretch> {
    let left = Arc::new(AtomicU64::new(requests));
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for number in 0..connections {
        let (target, left) = (target.clone(), left.clone());
        clients.spawn(async move {
            // They do not all ask at the same moment.
            let share = number as f64 / connections as f64;
            tokio::time::sleep(target.every.mul_f64(share)).await;
            client(&target, &left).await
        });
    }
    let mut all = Vec::new();
    while let Some(took) = clients.join_next().await {
        all.extend(took??);
    }
    let wall = began.elapsed().as_secs_f64();
    let per_second = all.len() as f64 / wall;
    Ok(Stretch { p50_ms: quantile(all.clone(), 0.5), p99_ms: quantile(all, 0.99), per_second })
}

/// One connection. Gives what each of its requests took, in milliseconds; of streams until the first word.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
async fn client(target: &Target, left: &AtomicU64) -> anyhow::Result<Vec<f64>> {
    let mut connection = TcpStream::connect(&target.address).await?;
    connection.set_nodelay(true)?;
    let Target { token, path, body, address, .. } = target;
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut took = Vec::new();
    let mut buffer = Vec::with_capacity(16 * 1024);
    let paced = target.every.max(Duration::from_nanos(1));
    let mut ticks = tokio::time::interval(paced);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while left
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
        .is_ok()
    {
        if !target.every.is_zero() {
            ticks.tick().await;
        }
        let began = Instant::now();
        connection.write_all(request.as_bytes()).await?;
        buffer.clear();
        let mut first: Option<Duration> = None;
        loop {
            let read = connection.read_buf(&mut buffer).await?;
            anyhow::ensure!(read > 0, "the connection ended: {}", String::from_utf8_lossy(&buffer));
            if target.streams && first.is_none() && contains(&buffer, b"\"content\":\"") {
                first = Some(began.elapsed());
            }
            if is_whole(&buffer, target.streams) {
                break;
            }
        }
        anyhow::ensure!(
            buffer.starts_with(b"HTTP/1.1 200"),
            "refused: {}",
            String::from_utf8_lossy(&buffer)
        );
        took.push(first.unwrap_or_else(|| began.elapsed()).as_secs_f64() * 1_000.0);
    }
    Ok(took)
}

/// Whether an answer is all there.
fn is_whole(buffer: &[u8], streams: bool) -> bool {
    if streams {
        return buffer.ends_with(b"0\r\n\r\n");
    }
    let Some(head) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else {
        return false;
    };
    let text = std::str::from_utf8(buffer.get(..head).unwrap_or_default()).unwrap_or_default();
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    match length {
        Some(length) => buffer.len() >= head + 4 + length,
        None => buffer.ends_with(b"0\r\n\r\n"),
    }
}

fn contains(buffer: &[u8], what: &[u8]) -> bool {
    buffer.windows(what.len()).any(|window| window == what)
}

/// The stretch in the middle, by its median.
fn middle(mut stretches: Vec<Stretch>) -> anyhow::Result<Stretch> {
    stretches.sort_by(|one, other| one.p50_ms.total_cmp(&other.p50_ms));
    stretches.get(stretches.len() / 2).copied().context("no stretch")
}

/// Runs it.
#[expect(clippy::print_stdout, reason = "the figures")]
pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    let server = ModelServer::start(1, Duration::ZERO)?;
    let beside = std::env::current_exe()?.with_file_name("aosk");
    let aosk = args.aosk.as_ref().unwrap_or(&beside);
    anyhow::ensure!(
        aosk.exists(),
        "{} is not there; `cargo build --release` makes it",
        aosk.display()
    );
    let gateway = Gateway::start(aosk, &server.base_url)?;
    let bare = server.base_url.trim_start_matches("http://").trim_end_matches("/v1").to_owned();
    let to = |gate: bool, path, body: String, streams| Target {
        address: if gate { gateway.address.clone() } else { bare.clone() },
        token: gateway.token.clone(),
        path,
        body,
        streams,
        every: Duration::ZERO,
    };
    let path = "/v1/chat/completions";
    let mut figures = serde_json::Map::new();
    let mut table = String::new();
    let mut tell = |name: String, direct: Stretch, gate: Stretch, cpu: Option<f64>| {
        writeln!(
            table,
            "{name:28} direct {:7.3} {:7.3} ms {:8.0}/s   gateway {:7.3} {:7.3} ms {:8.0}/s   \
             added {:6.3} {:6.3} ms   {} ms CPU",
            direct.p50_ms,
            direct.p99_ms,
            direct.per_second,
            gate.p50_ms,
            gate.p99_ms,
            gate.per_second,
            gate.p50_ms - direct.p50_ms,
            gate.p99_ms - direct.p99_ms,
            cpu.map_or_else(|| "?".to_owned(), |cpu| format!("{cpu:.3}")),
        )?;
        figures.insert(format!("{name} p50 added ms"), (gate.p50_ms - direct.p50_ms).into());
        figures.insert(format!("{name} p99 added ms"), (gate.p99_ms - direct.p99_ms).into());
        figures.insert(format!("{name} per second"), gate.per_second.into());
        figures.insert(format!("{name} cpu ms"), cpu.into());
        anyhow::Ok(())
    };
    // What is made once is not counted.
    stretch(&to(true, path, chat(false), false), 64, 1_000).await?;
    for (name, connections, path, body, streams) in [
        ("1 connection", 1, path, chat(false), false),
        ("10 connections", 10, path, chat(false), false),
        ("64 connections", 64, path, chat(false), false),
        ("100 connections", 100, path, chat(false), false),
        (PACED, 64, path, chat(false), false),
        ("first word, 1 connection", 1, path, chat(true), true),
        ("first word, 64 connections", 64, path, chat(true), true),
        ("query, 1 connection", 1, "/query", query(), false),
        ("query, 100 connections", 100, "/query", query(), false),
        ("query, 1000 connections", 1_000, "/query", query(), false),
    ] {
        let (mut direct, mut gate, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
        let requests = if connections == 1 { args.requests / 10 } else { args.requests };
        for _ in 0..args.rounds {
            let every = if name == PACED { PACE } else { Duration::ZERO };
            let target = |gate| Target { every, ..to(gate, path, body.clone(), streams) };
            direct.push(stretch(&target(false), connections, requests).await?);
            let before = gateway.cpu();
            gate.push(stretch(&target(true), connections, requests).await?);
            #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
            cpu.extend(
                gateway
                    .cpu()
                    .zip(before)
                    .map(|(after, before)| (after - before) * 1_000.0 / requests as f64),
            );
        }
        let cpu = (!cpu.is_empty()).then(|| median(cpu));
        tell(name.to_owned(), middle(direct)?, middle(gate)?, cpu)?;
    }
    if let Some(beside) = &args.beside {
        let address = beside.trim_start_matches("http://").trim_end_matches("/v1").to_owned();
        for connections in [10, 100] {
            let target = Target { address: address.clone(), ..to(false, path, chat(false), false) };
            let requests = (args.requests / 20).max(connections);
            let beside = stretch(&target, connections, requests).await?;
            let name = format!("beside, {connections} connections");
            writeln!(
                table,
                "{name:28} {:7.3} {:7.3} ms {:8.0}/s",
                beside.p50_ms, beside.p99_ms, beside.per_second
            )?;
            figures.insert(format!("{name} per second"), beside.per_second.into());
        }
    }
    print!("{table}");
    if args.json {
        println!("{}", serde_json::Value::Object(figures));
    }
    Ok(())
}

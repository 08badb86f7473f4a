//! `idle`: memory of a node without agents and with many that wait, and how long `aosk ps` takes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use aosk_runtime::abi::{Body, Limits, Message, Millis, PermissionLevel, ProgramSpec, SpawnSpec};
use aosk_runtime::kernel::{memory, policy};
use aosk_runtime::store::Sqlite;
use aosk_runtime::tools::Registry;
use aosk_runtime::{Action, Call, Event, Node, NodeConfig, ProcessView, Program, Programs};

use crate::measure::{Stopwatch, median, resident_bytes};

/// What to run.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Agents that wait.
    #[arg(long, default_value_t = 10_000)]
    agents: usize,
    /// The binary whose start is measured.
    #[arg(long, default_value = "target/release/aosk")]
    aosk: PathBuf,
    /// Print one flat JSON object at the end.
    #[arg(long)]
    json: bool,
}

/// Waits for a message that does not come.
struct Waits;

impl Program for Waits {
    type State = ();

    fn name(&self) -> &'static str {
        "waits"
    }

    fn next(&self, (): &mut (), _: &ProcessView<'_>, event: Event) -> Action {
        if event == Event::Started {
            Action::call(Call::Receive { from: None, timeout: None })
        } else {
            Action::give_up(&event)
        }
    }
}

/// Runs it.
#[expect(clippy::print_stdout, reason = "the figures")]
pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let node = node(dir.path())?;
    let handle = node.handle();
    let idle = megabytes();
    let mut last = None;
    for number in 0..args.agents {
        let spec = SpawnSpec {
            name: format!("agent-{number}"),
            label: String::new(),
            program: ProgramSpec { name: "waits".to_owned(), param: "{}".into() },
            priority: 50,
            capabilities: PermissionLevel::Standard.capabilities(),
            limits: Limits::default(),
            group: String::new(),
            fork: false,
            pages: vec![
                Body::new(Message::system("You wait for a message.")),
                Body::new(Message::user(format!("Wait. You are number {number}."))),
            ],
        };
        last = Some(spawn_pipelined(&handle, spec, last).await?);
    }
    if let Some(last) = last {
        last.await??;
    }
    let waiting = megabytes();
    node.shutdown().await?;
    let ps_ms = ps(&args.aosk, &dir.path().join("data"))?;
    let empty = tempfile::tempdir()?;
    self::node(empty.path())?.shutdown().await?;
    let start_ms = ps(&args.aosk, &empty.path().join("data"))?;
    println!("node without agents: {idle:.1} MB resident");
    println!("{} agents that wait: {waiting:.1} MB resident", args.agents);
    match (start_ms, ps_ms) {
        (Some(start), Some(ps)) => println!(
            "`aosk ps`: median {start:.1} ms with no agent in the store, {ps:.1} ms with {}",
            args.agents
        ),
        (None, _) | (_, None) => println!("`aosk ps`: {} is not there", args.aosk.display()),
    }
    if args.json {
        println!(
            "{}",
            serde_json::json!({
                "agents": args.agents, "idle_rss_mb": idle, "waiting_rss_mb": waiting, "ps_start_ms": start_ms,
            "ps_ms": ps_ms,
            })
        );
    }
    Ok(())
}

type Pending = tokio::task::JoinHandle<anyhow::Result<()>>;

/// Starts a process without waiting for its commit, but not more than a thousand ahead.
#[expect(clippy::disallowed_methods, reason = "a benchmark's own tasks")]
async fn spawn_pipelined(
    handle: &aosk_runtime::Handle,
    spec: SpawnSpec,
    before: Option<Pending>,
) -> anyhow::Result<Pending> {
    let busy = before.as_ref().is_some_and(|_| handle.live_count().is_multiple_of(512));
    if busy && let Some(before) = before {
        before.await??;
    }
    let handle = handle.clone();
    let task = tokio::spawn(async move {
        loop {
            match handle.spawn(spec.clone()).await {
                Ok(_) => return Ok(()),
                Err(error) if error.code == aosk_runtime::abi::ErrorCode::Busy => {
                    tokio::task::yield_now().await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    });
    tokio::task::yield_now().await;
    Ok(task)
}

fn node(dir: &Path) -> anyhow::Result<Node> {
    let mut programs = Programs::default();
    programs.add(Waits);
    Ok(Node::start(NodeConfig {
        summary_model: None,
        needs: memory::NeedTable::seeded(),
        store: Box::new(Sqlite::open(&dir.join("data"))?),
        models: Vec::new(),
        embedder: None,
        tools: Registry::new(),
        recorded: None,
        programs,
        policy: policy("priority")?,
        routes: BTreeMap::new(),
        groups: BTreeMap::new(),
        slice: None,
        replacement: memory::DEFAULT,
        prefer: memory::Prefer::Cost,
        limits: Limits::default(),
        tool_slots: 64,
        workspace: dir.join("workspace"),
        reports: None,
        drain: Millis::from_secs(5),
        linger: Millis(2),
    })?)
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn megabytes() -> f64 {
    resident_bytes().unwrap_or(0) as f64 / 1e6
}

/// The median time of `aosk ps`, in milliseconds.
#[expect(clippy::disallowed_methods, reason = "the program that is measured")]
fn ps(aosk: &Path, data: &Path) -> anyhow::Result<Option<f64>> {
    if !aosk.exists() {
        return Ok(None);
    }
    let mut figures = Vec::new();
    for _ in 0..11 {
        let stopwatch = Stopwatch::start();
        let status = Command::new(aosk)
            .arg("ps")
            .arg("--data-dir")
            .arg(data)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        anyhow::ensure!(status.success(), "aosk ps: {status}");
        figures.push(stopwatch.read().wall.as_secs_f64() * 1000.0);
    }
    Ok(Some(median(figures)))
}

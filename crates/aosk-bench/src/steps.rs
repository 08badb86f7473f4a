//! `steps`: durable steps per second and CPU per step, beside a bare loop in the same run.
//!
//! One step is a model call over HTTP to a server that answers at once, one trivial tool call, and
//! the commit of both with full sync before the next model call.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aosk_runtime::abi::{
    Body, Limits, Message, Millis, PermissionLevel, ProgramSpec, SpawnSpec, ThinkOptions, Tokens,
};
use aosk_runtime::kernel::{memory, policy};
use aosk_runtime::program::react;
use aosk_runtime::store::Sqlite;
use aosk_runtime::tools::Registry;
use aosk_runtime::{ModelDevice, Node, NodeConfig, Programs};

use crate::bare;
use crate::measure::{Cost, Stopwatch, median};
use crate::model_server::ModelServer;
use crate::slow_disk::SlowDisk;

/// The device.
const MODEL: &str = "openai:bench";

/// What to run.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Agents at once.
    #[arg(long, default_value_t = 100)]
    agents: usize,
    /// Steps of each agent.
    #[arg(long, default_value_t = 50)]
    steps: u32,
    /// Runs of each contestant, in turn.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Where to keep the data; its disk decides what a commit costs.
    #[arg(long)]
    dir: Option<std::path::PathBuf>,
    /// What each commit waits beside its flush, as on a slower disk; the same for both.
    #[arg(long, value_name = "MS", default_value_t = 0.0)]
    flush_ms: f64,
    /// Only this contestant.
    #[arg(long, value_parser = ["bare", "kernel"])]
    only: Option<String>,
    /// Print one flat JSON object at the end.
    #[arg(long)]
    json: bool,
}

/// The figures of one contestant in one run.
#[derive(Debug, Clone, Copy)]
struct Figures {
    per_second: f64,
    cpu_ms: f64,
}

/// Runs it.
#[expect(clippy::print_stdout, reason = "the figures")]
pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    let server = ModelServer::start(args.steps, Duration::ZERO)?;
    println!(
        "{} agents, {} steps each, {} runs of each contestant in turn; SQLite, full sync",
        args.agents, args.steps, args.runs
    );
    println!("{:>10}  {:>10}  {:>12}", "", "steps/s", "CPU ms/step");
    let flush = Duration::try_from_secs_f64(args.flush_ms / 1e3)?;
    let mut all = [Vec::new(), Vec::new()];
    for _ in 0..args.runs {
        for (contestant, name) in ["bare", "kernel"].into_iter().enumerate() {
            if args.only.as_ref().is_some_and(|only| only != name) {
                continue;
            }
            let dir = match &args.dir {
                Some(dir) => tempfile::tempdir_in(dir)?,
                None => tempfile::tempdir()?,
            };
            let stopwatch = Stopwatch::start();
            let steps = match name {
                "bare" => bare::run(dir.path(), &server.base_url, args.agents, flush).await?,
                _ => kernel(dir.path(), &server.base_url, args.agents, flush).await?,
            };
            let figures = figures(stopwatch.read(), steps);
            println!("{name:>10}  {:>10.0}  {:>12.4}", figures.per_second, figures.cpu_ms);
            if let Some(all) = all.get_mut(contestant) {
                all.push(figures);
            }
        }
    }
    let middle = |all: &[Figures], of: fn(&Figures) -> f64| median(all.iter().map(of).collect());
    let [bare, kernel] = &all;
    let (bare_rate, bare_cpu) = (middle(bare, |f| f.per_second), middle(bare, |f| f.cpu_ms));
    let (rate, cpu) = (middle(kernel, |f| f.per_second), middle(kernel, |f| f.cpu_ms));
    println!("median: bare {bare_rate:.0}/s {bare_cpu:.4} ms, kernel {rate:.0}/s {cpu:.4} ms");
    println!("ratio kernel/bare: steps/s {:.2}, CPU {:.2}", rate / bare_rate, cpu / bare_cpu);
    if args.json {
        println!(
            "{}",
            serde_json::json!({
                "agents": args.agents, "steps": args.steps, "runs": args.runs,
                "bare_steps_per_s": bare_rate, "bare_cpu_ms_per_step": bare_cpu,
                "kernel_steps_per_s": rate, "kernel_cpu_ms_per_step": cpu,
            })
        );
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn figures(cost: Cost, steps: u64) -> Figures {
    let steps = steps as f64;
    Figures {
        per_second: steps / cost.wall.as_secs_f64(),
        cpu_ms: cost.cpu.as_secs_f64() * 1000.0 / steps,
    }
}

/// A node with one model, the calculator and an SQLite store.
pub(crate) async fn node(
    dir: &Path,
    base_url: &str,
    slots: usize,
    flush: Duration,
) -> anyhow::Result<Node> {
    let env = |name: &str| (name == "OPENAI_API_KEY").then(|| "none".to_owned());
    let resolved = aosk_runtime::model::resolve(Some(MODEL), Some(base_url), &env)
        .await
        .map_err(anyhow::Error::new)?;
    let mut tools = Registry::new();
    tools.add(Arc::new(aosk_runtime::tools::builtin::Calculator::new()))?;
    let config = NodeConfig {
        summary_model: None,
        needs: memory::NeedTable::seeded(),
        store: SlowDisk::under(Sqlite::open(&dir.join("data"))?, flush),
        models: vec![ModelDevice {
            slots: u32::try_from(slots)?,
            price: resolved.price.unwrap_or_default(),
            tokenizer: resolved.tokenizer,
            timeout: Millis::from_secs(60),
            ..ModelDevice::new(MODEL, resolved.driver)
        }],
        embedder: None,
        tools,
        recorded: None,
        programs: Programs::default(),
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
    };
    Ok(Node::start(config)?)
}

/// An agent that adds one again and again.
pub(crate) fn agent(number: usize) -> SpawnSpec {
    let param = react::Param {
        options: ThinkOptions {
            model: MODEL.to_owned(),
            output_max: Tokens(256),
            tools: vec!["calculator".to_owned()],
            temperature_milli: None,
            window: None,
        },
        workspace: None,
        base_url: None,
        replacement: None,
        prefer: None,
        chat: false,
    };
    SpawnSpec {
        name: format!("agent-{number}"),
        label: String::new(),
        program: ProgramSpec {
            name: "react".to_owned(),
            param: serde_json::to_string(&param).unwrap_or_default().into(),
        },
        priority: 50,
        capabilities: PermissionLevel::Restricted.capabilities(),
        limits: Limits::default(),
        group: String::new(),
        fork: false,
        pages: vec![
            Body::new(Message::system("You add numbers.")),
            Body::new(Message::user(format!("Add one, again and again. Agent {number}."))),
        ],
    }
}

async fn kernel(dir: &Path, base_url: &str, agents: usize, flush: Duration) -> anyhow::Result<u64> {
    let node = node(dir, base_url, agents, flush).await?;
    let handle = node.handle();
    let mut pids = Vec::with_capacity(agents);
    for number in 0..agents {
        pids.push(handle.spawn(agent(number)).await?);
    }
    let mut steps = 0;
    for pid in pids {
        let end = handle.wait(pid).await?;
        anyhow::ensure!(
            end.status.is_some_and(|status| status.is_finished()),
            "{pid}: {:?}",
            end.status
        );
        steps += end.stats.spend.steps;
    }
    node.shutdown().await?;
    Ok(steps)
}

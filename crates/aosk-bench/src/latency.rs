//! `latency`: what the kernel adds to each model call, with many agents and a model that takes its
//! time. Measured by the model server, from each answer to the same agent's next request: parsing,
//! the tool, the commit with full sync, scheduling, and HTTP both ways. The bare loop does the same
//! without a kernel, in the same run: what it takes is the machine's.

use std::path::Path;
use std::time::Duration;

use crate::bare;
use crate::measure::quantile;
use crate::model_server::ModelServer;
use crate::steps;

/// What to run.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Agents at once.
    #[arg(long, default_value_t = 100)]
    agents: usize,
    /// Steps of each agent.
    #[arg(long, default_value_t = 200)]
    steps: u32,
    /// Milliseconds that the model takes on average: half to one and a half of it.
    #[arg(long, default_value_t = 50)]
    latency_ms: u64,
    /// Print one flat JSON object at the end.
    #[arg(long)]
    json: bool,
}

/// Runs it.
#[expect(clippy::print_stdout, reason = "the figures")]
pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    println!("{} agents, model latency {} ms on average", args.agents, args.latency_ms);
    let [bare_p50, bare_p99] = contestant(args, "bare").await?;
    let [p50, p99] = contestant(args, "kernel").await?;
    if args.json {
        println!(
            "{}",
            serde_json::json!({
                "agents": args.agents, "added_ms_p50": p50, "added_ms_p99": p99,
                "bare_ms_p50": bare_p50, "bare_ms_p99": bare_p99,
            })
        );
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the figures")]
async fn contestant(args: &Args, name: &str) -> anyhow::Result<[f64; 2]> {
    let server = ModelServer::start(args.steps, Duration::from_millis(args.latency_ms))?;
    let dir = tempfile::tempdir()?;
    match name {
        "bare" => drop(bare::run(dir.path(), &server.base_url, args.agents, Duration::ZERO).await?),
        _ => kernel(dir.path(), &server.base_url, args.agents).await?,
    }
    let gaps = reqwest::get(format!("{}/gaps", server.base_url.trim_end_matches("/v1"))).await?;
    let gaps: Vec<f64> = serde_json::from_slice(&gaps.bytes().await?)?;
    let figures = [0.5, 0.99].map(|share| quantile(gaps.clone(), share));
    let [p50, p99] = figures;
    println!("{name:>10}  p50 {p50:.2} ms, p99 {p99:.2} ms ({} gaps)", gaps.len());
    Ok(figures)
}

async fn kernel(dir: &Path, base_url: &str, agents: usize) -> anyhow::Result<()> {
    let node = steps::node(dir, base_url, agents, Duration::ZERO).await?;
    let handle = node.handle();
    let mut pids = Vec::new();
    for number in 0..agents {
        pids.push(handle.spawn(steps::agent(number)).await?);
    }
    for pid in pids {
        handle.wait(pid).await?;
    }
    Ok(node.shutdown().await?)
}

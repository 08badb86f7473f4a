//! `latency`: what the kernel adds to each model call, with many agents and a model that takes its
//! time. Measured by the model server, from each answer to the same agent's next request: parsing,
//! the tool, the commit with full sync, scheduling, and HTTP both ways.

use std::time::Duration;

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
    #[arg(long, default_value_t = 50)]
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
    let server = ModelServer::start(args.steps, Duration::from_millis(args.latency_ms))?;
    let dir = tempfile::tempdir()?;
    let node = steps::node(dir.path(), &server.base_url, args.agents).await?;
    let handle = node.handle();
    let mut pids = Vec::new();
    for number in 0..args.agents {
        pids.push(handle.spawn(steps::agent(number)).await?);
    }
    for pid in pids {
        handle.wait(pid).await?;
    }
    let gaps = reqwest::get(format!("{}/gaps", server.base_url.trim_end_matches("/v1"))).await?;
    let gaps: Vec<f64> = serde_json::from_slice(&gaps.bytes().await?)?;
    node.shutdown().await?;
    let [p50, p99] = [0.5, 0.99].map(|share| quantile(gaps.clone(), share));
    println!(
        "{} agents, model latency {} ms: answer to next request p50 {p50:.2} ms, p99 {p99:.2} ms ({} gaps)",
        args.agents,
        args.latency_ms,
        gaps.len()
    );
    if args.json {
        println!(
            "{}",
            serde_json::json!({"agents": args.agents, "added_ms_p50": p50, "added_ms_p99": p99})
        );
    }
    Ok(())
}

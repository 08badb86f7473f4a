//! Benchmarks. Each prints what it measures, medians, and a reference measured in the same run.

mod bare;
mod fault;
mod gateway;
mod idle;
mod latency;
mod measure;
mod model_server;
mod plan;
mod search;
mod slow_disk;
mod steps;

use clap::Parser;

/// Benchmarks of the Agent OS Kernel.
#[derive(Debug, Parser)]
#[command(name = "aosk-bench")]
enum Bench {
    /// Durable steps per second and CPU per step, beside a bare loop.
    Steps(steps::Args),
    /// What the kernel adds to each model call.
    Latency(latency::Args),
    /// Memory of waiting agents, and how long `aosk ps` takes to start.
    Idle(idle::Args),
    /// How long the kernel thinks about what leaves the window, before each call.
    Plan(plan::Args),
    /// How long a page takes that left the window and is asked for again.
    Fault(fault::Args),
    /// What the gateway adds to a request, and how many it answers in a second.
    Gateway(gateway::Args),
    /// How long a search of a long log takes, and how long the event loop is silent meanwhile.
    Search(search::Args),
    /// The model server that the benchmarks start for themselves.
    #[command(hide = true)]
    ModelServer {
        /// Calls of one conversation.
        #[arg(long)]
        steps: u32,
        /// Milliseconds that an answer takes.
        #[arg(long, default_value_t = 0)]
        latency_ms: u64,
    },
}

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match Bench::parse() {
            Bench::Steps(args) => steps::run(&args).await,
            Bench::Latency(args) => latency::run(&args).await,
            Bench::Idle(args) => idle::run(&args).await,
            Bench::Plan(args) => plan::run(&args),
            Bench::Fault(args) => fault::run(&args),
            Bench::Gateway(args) => gateway::run(&args).await,
            Bench::Search(args) => search::run(&args).await,
            Bench::ModelServer { steps, latency_ms } => {
                model_server::serve(steps, std::time::Duration::from_millis(latency_ms)).await
            }
        }
    })
}

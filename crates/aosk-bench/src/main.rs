//! Benchmarks. Each prints what it measures, medians, and a reference measured in the same run.

mod bare;
mod measure;
mod model_server;
mod steps;

use clap::Parser;

/// Benchmarks of the Agent OS Kernel.
#[derive(Debug, Parser)]
#[command(name = "aosk-bench")]
enum Bench {
    /// Durable steps per second and CPU per step, beside a bare loop.
    Steps(steps::Args),
    /// The model server that the benchmarks start for themselves.
    #[command(hide = true)]
    ModelServer {
        /// Calls of one conversation.
        #[arg(long)]
        steps: u32,
    },
}

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match Bench::parse() {
            Bench::Steps(args) => steps::run(&args).await,
            Bench::ModelServer { steps } => model_server::serve(steps).await,
        }
    })
}

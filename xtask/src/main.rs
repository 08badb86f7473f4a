//! The one entry point for chores: `cargo xtask help` lists them.
//!
//! Continuous integration runs `cargo xtask ci` and nothing else, so what passes there passes on
//! any machine. This is the one crate that may print and may use `anyhow`; it depends on none of
//! the crates it checks.
#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

mod ci;
mod metadata;
mod sdk;
mod skip;
mod step;
mod suite;
mod tidy;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Chores of this workspace")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Get what the tests need, then run the tests, the simulator and the SDKs
    Test {
        /// Fewer seeds in the simulator
        #[arg(long)]
        fast: bool,
    },
    /// Run the packages that people reach models with against the gateway, or those named
    Sdk {
        /// Which of them, such as openai or langchain
        tests: Vec<String>,
    },
    /// Everything that must pass before a change is merged
    Ci,
    /// Check the rules that the compiler does not know
    Tidy,
    /// Run the benchmarks, or the one named
    Bench {
        /// Passed on to aosk-bench
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Run the simulator
    Sim {
        /// Passed on to aosk-sim
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match root().and_then(|root| run(&cli.chore, &root)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a chore. False means that it ran and found something wrong.
fn run(chore: &Chore, root: &Path) -> Result<bool> {
    match chore {
        Chore::Test { fast } => suite::run(root, *fast),
        Chore::Sdk { tests } => sdk::alone(root, tests),
        Chore::Ci => ci::run(root),
        Chore::Tidy => tidy::run(root),
        Chore::Bench { args } => step::pass_on(root, "aosk-bench", args),
        Chore::Sim { args } => step::pass_on(root, "aosk-sim", args),
    }
}

/// The root of the repository: the folder above this crate's.
fn root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().map(Path::to_path_buf).context("xtask lies in the root of the repository")
}

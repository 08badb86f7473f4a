//! The command line of what is done to processes of a kernel that runs.

use aosk::abi::{Pid, Signal};
use clap::{Args, ValueEnum};

use super::BoundArgs;

#[derive(Debug, Args)]
pub(crate) struct KillArgs {
    /// The process.
    #[arg(allow_negative_numbers = true)]
    pub(crate) pid: Pid,
    /// At once: calls in flight are cancelled. Otherwise it is asked to end in order.
    #[arg(long)]
    pub(crate) now: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PidArgs {
    /// The process.
    #[arg(allow_negative_numbers = true)]
    pub(crate) pid: Pid,
}

#[derive(Debug, Args)]
pub(crate) struct SignalArgs {
    /// The process.
    #[arg(allow_negative_numbers = true)]
    pub(crate) pid: Pid,
    /// The signal.
    #[arg(value_enum, ignore_case = true)]
    pub(crate) signal: SignalName,
}

/// A signal's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SignalName {
    /// Finish in order.
    Term,
    /// End now.
    Kill,
    /// Do nothing more until CONT.
    Stop,
    /// Go on.
    Cont,
}

impl From<SignalName> for Signal {
    fn from(name: SignalName) -> Self {
        match name {
            SignalName::Term => Self::Term,
            SignalName::Kill => Self::Kill,
            SignalName::Stop => Self::Stop,
            SignalName::Cont => Self::Cont,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct SendArgs {
    /// The process.
    #[arg(allow_negative_numbers = true)]
    pub(crate) pid: Pid,
    /// What to tell it.
    #[arg(value_parser = super::something)]
    pub(crate) text: String,
}

#[derive(Debug, Args)]
pub(crate) struct ReniceArgs {
    /// The process.
    #[arg(allow_negative_numbers = true)]
    pub(crate) pid: Pid,
    /// 0 (most urgent) to 100.
    #[arg(value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) priority: u8,
}

#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    /// The policy that is to be in force, until the kernel ends; without it they are listed.
    pub(crate) policy: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ApprovalsArgs {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ApproveArgs {
    /// The process.
    #[arg(allow_negative_numbers = true)]
    pub(crate) pid: Pid,
    #[command(flatten)]
    pub(crate) bounds: BoundArgs,
    /// Why; the journal keeps it.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) note: String,
}

#[derive(Debug, Args)]
pub(crate) struct DenyArgs {
    /// The process.
    #[arg(allow_negative_numbers = true)]
    pub(crate) pid: Pid,
    /// Why; the journal keeps it.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) note: String,
}

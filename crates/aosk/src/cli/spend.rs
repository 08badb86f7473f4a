//! Options that bound what agents may spend, and the command that shows it.

use aosk::abi::{Bounds, BudgetId, Limits, MicroUsd, Millis, Pid, Tokens, WhenOver};
use clap::{Args, Subcommand, ValueEnum};

/// What an agent may spend. With `--resume` it bounds those that are left anew.
#[derive(Debug, Clone, Args)]
pub(crate) struct BoundArgs {
    /// The most steps: model calls asked for, also those that fail; retries are not counted. An agent
    /// that is started has 100 if nothing is said.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_steps: Option<u64>,
    /// The most money, in dollars.
    #[arg(long, value_name = "USD", allow_negative_numbers = true, value_parser = dollars)]
    pub(crate) budget_usd: Option<MicroUsd>,
    /// The most tokens.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) budget_tokens: Option<u64>,
    /// The most wall time, in seconds.
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) budget_seconds: Option<u64>,
    /// The most tokens in any minute.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) tokens_per_minute: Option<u64>,
    /// The most model calls in any minute, retries included.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) calls_per_minute: Option<u64>,
    /// The most money in any twenty-four hours, in dollars.
    #[arg(long, value_name = "USD", allow_negative_numbers = true, value_parser = dollars)]
    pub(crate) usd_per_day: Option<MicroUsd>,
    /// The most money of one model call, at worst, in dollars.
    #[arg(long, value_name = "USD", allow_negative_numbers = true, value_parser = dollars)]
    pub(crate) max_call_usd: Option<MicroUsd>,
    /// What becomes of a model call for which there is no room.
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) when_over: Option<Over>,
}

impl BoundArgs {
    /// The bounds that are given, in the place of those in `limits`.
    pub(crate) fn over(&self, limits: Limits) -> Limits {
        let Limits { per_minute, per_day, per_call, .. } = limits;
        Limits {
            tokens: self.budget_tokens.map(Tokens).or(limits.tokens),
            micro_usd: self.budget_usd.or(limits.micro_usd),
            steps: self.max_steps.or(limits.steps),
            wall: self.budget_seconds.map(Millis::from_secs).or(limits.wall),
            per_minute: Bounds {
                tokens: self.tokens_per_minute.map(Tokens).or(per_minute.tokens),
                calls: self.calls_per_minute.or(per_minute.calls),
                ..per_minute
            },
            per_day: Bounds { micro_usd: self.usd_per_day.or(per_day.micro_usd), ..per_day },
            per_call: Bounds { micro_usd: self.max_call_usd.or(per_call.micro_usd), ..per_call },
            when_over: self.when_over.map_or(limits.when_over, WhenOver::from),
            ..limits
        }
    }
}

/// What becomes of a model call for which a budget has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Over {
    /// It waits where time makes room; otherwise the agent is told and ends (the default).
    Wait,
    /// The agent is told and ends.
    Stop,
    /// It waits until a person raises the bounds.
    Ask,
}

impl From<Over> for WhenOver {
    fn from(over: Over) -> Self {
        match over {
            Over::Wait => Self::Wait,
            Over::Stop => Self::Stop,
            Over::Ask => Self::Ask,
        }
    }
}

/// The name of a tenant or group.
pub(super) fn group(text: &str) -> Result<String, String> {
    match crate::config::check_group(text) {
        Ok(()) => Ok(text.to_owned()),
        Err(error) => Err(format!("{}; {}", error.message, error.hint)),
    }
}

/// An amount of money that something can be bought for.
pub(crate) fn dollars(text: &str) -> Result<MicroUsd, &'static str> {
    match text.parse::<f64>() {
        Ok(usd) if (0.0..1e-6).contains(&usd) => {
            Err("it is less than a micro-dollar, so no call could be made")
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to be in range"
        )]
        Ok(usd) if (0.0..1e12).contains(&usd) => Ok(MicroUsd((usd * 1e6).round() as u64)),
        Ok(_) | Err(_) => Err("it is not an amount of dollars, such as 0.50"),
    }
}

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Of a node that is bounded, each bound is a bar: # is used, + is held for calls in \
flight, . is free.\n\nExamples:\n  aosk budget\n  aosk budget --json\n  aosk budget set 1 \
--budget-tokens 200000"
)]
pub(crate) struct BudgetArgs {
    /// Print JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Option<BudgetCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BudgetCommand {
    /// Bound a process anew, whether a kernel runs or not. Bounds that are not named stay.
    Set(BudgetSetArgs),
}

#[derive(Debug, Args)]
pub(crate) struct BudgetSetArgs {
    /// The process, or the node of the tree as bN.
    #[arg(value_name = "PID|NODE", value_parser = target)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) bounds: BoundArgs,
}

/// Whose bounds are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// Those of the node that a process spends from.
    Process(Pid),
    /// Those of a node.
    Node(BudgetId),
}

fn target(text: &str) -> Result<Target, &'static str> {
    let node = text.strip_prefix('b').and_then(|id| id.parse().ok()).map(BudgetId);
    let process = || text.parse().ok().map(Target::Process);
    node.map(Target::Node)
        .or_else(process)
        .ok_or("it is no process, such as 1 or p1, and no node, such as b2")
}

//! Processes and what bounds them, as clients see them.

use aosk_abi::{Bounds, Limits, MicroUsd, Millis, Spend, Tokens, WhenOver};
use aosk_runtime::Snapshot;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Process {
    /// Its id, counted from 1 and never used again.
    pub pid: u64,
    /// Who started it; none if a person or a program outside did.
    pub parent: Option<u64>,
    /// Its name, which need not be unique.
    pub name: String,
    /// What it belongs to, for whoever started it.
    pub label: String,
    /// The tenant or group that it belongs to; empty if none.
    pub group: String,
    /// What drives it.
    pub program: String,
    /// What it does: `program` (its program takes a step), `ready` (it waits for a model), `running` (a
    /// model answers it), `backoff`, `quota`, `tool`, `child`, `message`, `timer` (it waits for that),
    /// `stopped`, `exiting`, `zombie` or, when nothing of it is left but its past, `exited`.
    pub state: String,
    /// Whether it has ended.
    pub ended: bool,
    /// How it ended, if it has or is about to.
    pub status: Option<String>,
    /// Whether it ended with its task done.
    pub finished: Option<bool>,
    /// The model it waits for or is being answered by.
    pub model: Option<String>,
    /// The budget it spends from.
    pub budget: u64,
    /// The budget that it waits for a person to raise, if it does.
    pub asks: Option<u64>,
    /// 0 (most urgent) to 100.
    pub priority: u8,
    /// When it was started, in milliseconds since 1970.
    pub spawned_ms: u64,
    /// What it has used.
    pub used: Used,
    /// What it left, as text. Only where one process is asked for, and when it has ended.
    pub result: Option<String>,
}

/// What a process has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Used {
    /// Turns of its loop.
    pub steps: u64,
    /// Model calls answered.
    pub model_calls: u64,
    /// Attempts of model calls that failed and were made again.
    pub model_retries: u64,
    /// Tool calls that ended.
    pub tool_calls: u64,
    /// Tokens of its requests.
    pub input_tokens: u64,
    /// Those of them that providers had in their caches.
    pub cached_tokens: u64,
    /// Those of them that were written to the caches of providers.
    pub cache_written_tokens: u64,
    /// Tokens of its answers.
    pub output_tokens: u64,
    /// Money, in millionths of a dollar.
    pub cost_micro_usd: u64,
    /// Processes it started.
    pub children: u64,
}

impl From<&Snapshot> for Process {
    fn from(process: &Snapshot) -> Self {
        let (spec, stats) = (&process.spec, &process.stats);
        Self {
            pid: process.pid.0,
            parent: spec.parent.map(|parent| parent.0),
            name: spec.name.clone(),
            label: spec.label.clone(),
            group: spec.group.clone(),
            program: spec.program.name.clone(),
            state: process.state.to_owned(),
            ended: process.has_ended,
            status: process.status.map(|status| status.to_string()),
            finished: process.status.map(|status| status.is_finished()),
            model: process.model.clone(),
            budget: spec.budget.0,
            asks: process.asks.map(|lack| lack.budget.0),
            priority: process.priority,
            spawned_ms: spec.spawned.0,
            used: Used {
                steps: stats.spend.steps,
                model_calls: stats.model_calls,
                model_retries: stats.model_retries,
                tool_calls: stats.tool_calls,
                input_tokens: stats.input.0,
                cached_tokens: stats.cached.0,
                cache_written_tokens: stats.written.0,
                output_tokens: stats.output.0,
                cost_micro_usd: stats.spend.micro_usd.0,
                children: stats.spend.children,
            },
            result: None,
        }
    }
}

/// What may be spent; what is not said is not bounded.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Bound {
    /// Tokens of model calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Calls of models and tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<u64>,
    /// Money, in millionths of a dollar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micro_usd: Option<u64>,
    /// Turns of the loop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Processes started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub children: Option<u64>,
    /// Milliseconds from the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall_ms: Option<u64>,
    /// In any minute.
    #[serde(default)]
    pub per_minute: Rate,
    /// In any hour.
    #[serde(default)]
    pub per_hour: Rate,
    /// In any twenty-four hours.
    #[serde(default)]
    pub per_day: Rate,
    /// By one model call.
    #[serde(default)]
    pub per_call: Rate,
    /// What becomes of a call for which there is no room.
    #[serde(default)]
    pub when_over: Over,
}

/// What model calls may use in a span.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Model calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<u64>,
    /// Tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Money, in millionths of a dollar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micro_usd: Option<u64>,
}

/// What becomes of a model call for which a budget has no room.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Over {
    /// It waits where time makes room; otherwise the agent is told and ends.
    #[default]
    Wait,
    /// The agent is told and ends.
    Stop,
    /// It waits until a person raises the bounds.
    Ask,
}

impl From<WhenOver> for Over {
    fn from(when: WhenOver) -> Self {
        match when {
            WhenOver::Wait => Self::Wait,
            WhenOver::Stop => Self::Stop,
            WhenOver::Ask => Self::Ask,
        }
    }
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

impl From<&Bounds> for Rate {
    fn from(bounds: &Bounds) -> Self {
        let Bounds { calls, tokens, micro_usd } = *bounds;
        Self { calls, tokens: tokens.map(|t| t.0), micro_usd: micro_usd.map(|m| m.0) }
    }
}

impl From<&Rate> for Bounds {
    fn from(rate: &Rate) -> Self {
        Self {
            calls: rate.calls,
            tokens: rate.tokens.map(Tokens),
            micro_usd: rate.micro_usd.map(MicroUsd),
        }
    }
}

impl From<&Limits> for Bound {
    fn from(limits: &Limits) -> Self {
        Self {
            tokens: limits.tokens.map(|tokens| tokens.0),
            calls: limits.calls,
            micro_usd: limits.micro_usd.map(|money| money.0),
            steps: limits.steps,
            children: limits.children,
            wall_ms: limits.wall.map(|wall| wall.0),
            per_minute: Rate::from(&limits.per_minute),
            per_hour: Rate::from(&limits.per_hour),
            per_day: Rate::from(&limits.per_day),
            per_call: Rate::from(&limits.per_call),
            when_over: limits.when_over.into(),
        }
    }
}

impl From<&Bound> for Limits {
    fn from(bound: &Bound) -> Self {
        Self {
            tokens: bound.tokens.map(Tokens),
            calls: bound.calls,
            micro_usd: bound.micro_usd.map(MicroUsd),
            steps: bound.steps,
            children: bound.children,
            wall: bound.wall_ms.map(Millis),
            per_minute: Bounds::from(&bound.per_minute),
            per_hour: Bounds::from(&bound.per_hour),
            per_day: Bounds::from(&bound.per_day),
            per_call: Bounds::from(&bound.per_call),
            when_over: bound.when_over.into(),
        }
    }
}

/// An amount of everything that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Amount {
    /// Tokens of model calls.
    pub tokens: u64,
    /// Calls of models and tools.
    pub calls: u64,
    /// Money, in millionths of a dollar.
    pub micro_usd: u64,
    /// Turns of the loop.
    pub steps: u64,
    /// Processes started.
    pub children: u64,
}

impl From<&Spend> for Amount {
    fn from(spend: &Spend) -> Self {
        Self {
            tokens: spend.tokens.0,
            calls: spend.calls,
            micro_usd: spend.micro_usd.0,
            steps: spend.steps,
            children: spend.children,
        }
    }
}

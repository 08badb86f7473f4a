//! What a subtree of processes may spend.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::BudgetId;
use crate::unit::{MicroUsd, Millis, Tokens};

/// An amount of everything that is counted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spend {
    /// Input and output tokens of model calls.
    pub tokens: Tokens,
    /// Device calls, of models and of tools.
    pub calls: u64,
    /// Money.
    pub micro_usd: MicroUsd,
    /// Turns of the loop: model calls as the process asked them, retries not counted.
    pub steps: u64,
    /// Processes started.
    pub children: u64,
}

/// Upper bounds of what may be spent; none means unbounded.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bound of [`Spend::tokens`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
    /// Bound of [`Spend::calls`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<u64>,
    /// Bound of [`Spend::micro_usd`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micro_usd: Option<MicroUsd>,
    /// Bound of [`Spend::steps`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Bound of [`Spend::children`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub children: Option<u64>,
    /// Wall time from the making of the node; at its end the processes under it get TERM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall: Option<Millis>,
    /// What model calls may use in any minute.
    #[serde(default, skip_serializing_if = "Bounds::is_unbounded")]
    pub per_minute: Bounds,
    /// What model calls may use in any hour.
    #[serde(default, skip_serializing_if = "Bounds::is_unbounded")]
    pub per_hour: Bounds,
    /// What model calls may use in any twenty-four hours.
    #[serde(default, skip_serializing_if = "Bounds::is_unbounded")]
    pub per_day: Bounds,
    /// What one model call may use at worst; its bound of calls means nothing.
    #[serde(default, skip_serializing_if = "Bounds::is_unbounded")]
    pub per_call: Bounds,
    /// What becomes of a call for which there is no room.
    #[serde(default, skip_serializing_if = "WhenOver::is_usual")]
    pub when_over: WhenOver,
}

/// Upper bounds of what model calls may use; none means unbounded.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// Attempts of model calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<u64>,
    /// Input and output tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
    /// Money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micro_usd: Option<MicroUsd>,
}

/// What becomes of a model call when a budget has no room for it and will have none before somebody
/// or time makes some.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenOver {
    /// It waits where time will make room (a minute, an hour, a day); otherwise its process is told
    /// that the budget is spent, and ends in order.
    #[default]
    Wait,
    /// The process is told in either case.
    Stop,
    /// It waits in either case, until a person raises the bounds.
    Ask,
}

impl WhenOver {
    /// Whether it is what holds where nothing is said.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

impl Bounds {
    /// The first resource of which `amount` is more than the bound.
    #[must_use]
    pub fn exceeded_by(&self, amount: &Spend) -> Option<Resource> {
        let Self { calls, tokens, micro_usd } = *self;
        Limits { calls, tokens, micro_usd, ..Limits::default() }.exceeded_by(amount)
    }

    /// The tighter of each bound.
    #[must_use]
    pub fn tighter(&self, other: &Self) -> Self {
        let least = |a: Option<u64>, b: Option<u64>| a.into_iter().chain(b).min();
        let tokens = least(self.tokens.map(|t| t.0), other.tokens.map(|t| t.0));
        let micro_usd = least(self.micro_usd.map(|m| m.0), other.micro_usd.map(|m| m.0));
        Self {
            calls: least(self.calls, other.calls),
            tokens: tokens.map(Tokens),
            micro_usd: micro_usd.map(MicroUsd),
        }
    }

    /// Whether nothing is bounded.
    #[must_use]
    pub fn is_unbounded(&self) -> bool {
        *self == Self::default()
    }
}

/// One thing that a budget counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Tokens.
    Tokens,
    /// Device calls.
    Calls,
    /// Money in micro-dollars.
    MicroUsd,
    /// Turns of the loop.
    Steps,
    /// Processes started.
    Children,
    /// Wall time.
    Wall,
}

impl Resource {
    /// Its name for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Calls => "calls",
            Self::MicroUsd => "money",
            Self::Steps => "steps",
            Self::Children => "children",
            Self::Wall => "wall time",
        }
    }
}

/// What a bound is a bound of.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// All that is ever used.
    #[default]
    All,
    /// Any minute.
    Minute,
    /// Any hour.
    Hour,
    /// Any twenty-four hours.
    Day,
    /// One model call.
    Call,
}

/// A bound that has no room for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lack {
    /// The node that is bounded.
    pub budget: BudgetId,
    /// What is bounded.
    #[serde(default)]
    pub scope: Scope,
    /// What it has none of.
    #[serde(default = "tokens")]
    pub resource: Resource,
    /// How much is asked for at worst, as [`Spend`] counts; nothing of wall time.
    #[serde(default)]
    pub amount: u64,
}

fn tokens() -> Resource {
    Resource::Tokens
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.resource.word())?;
        f.write_str(match self.scope {
            Scope::All => "",
            Scope::Minute => " a minute",
            Scope::Hour => " an hour",
            Scope::Day => " a day",
            Scope::Call => " a call",
        })
    }
}

impl Spend {
    /// How much it is of one resource; nothing of wall time.
    #[must_use]
    pub fn of(&self, resource: Resource) -> u64 {
        match resource {
            Resource::Tokens => self.tokens.0,
            Resource::Calls => self.calls,
            Resource::MicroUsd => self.micro_usd.0,
            Resource::Steps => self.steps,
            Resource::Children => self.children,
            Resource::Wall => 0,
        }
    }

    /// The sum, saturating.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            tokens: self.tokens + other.tokens,
            calls: self.calls.saturating_add(other.calls),
            micro_usd: self.micro_usd + other.micro_usd,
            steps: self.steps.saturating_add(other.steps),
            children: self.children.saturating_add(other.children),
        }
    }

    /// The difference, each part at least zero.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        Self {
            tokens: self.tokens.saturating_sub(other.tokens),
            calls: self.calls.saturating_sub(other.calls),
            micro_usd: self.micro_usd.saturating_sub(other.micro_usd),
            steps: self.steps.saturating_sub(other.steps),
            children: self.children.saturating_sub(other.children),
        }
    }

    /// Whether every part is at most the part of `other`.
    #[must_use]
    pub fn within(&self, other: &Self) -> bool {
        self.minus(other) == Self::default()
    }
}

impl Limits {
    /// The bound of this; wall time in milliseconds.
    #[must_use]
    pub fn bound(&self, scope: Scope, resource: Resource) -> Option<u64> {
        let bounds = match scope {
            Scope::All => {
                Bounds { calls: self.calls, tokens: self.tokens, micro_usd: self.micro_usd }
            }
            Scope::Minute => self.per_minute,
            Scope::Hour => self.per_hour,
            Scope::Day => self.per_day,
            Scope::Call => self.per_call,
        };
        match resource {
            Resource::Tokens => bounds.tokens.map(|tokens| tokens.0),
            Resource::Calls => bounds.calls,
            Resource::MicroUsd => bounds.micro_usd.map(|usd| usd.0),
            Resource::Steps => self.steps,
            Resource::Children => self.children,
            Resource::Wall => self.wall.map(|wall| wall.0),
        }
    }

    /// The first resource of which `amount` is more than the limit.
    #[must_use]
    pub fn exceeded_by(&self, amount: &Spend) -> Option<Resource> {
        let over = |limit: Option<u64>, amount: u64| limit.is_some_and(|limit| amount > limit);
        [
            (self.tokens.map(|t| t.0), amount.tokens.0, Resource::Tokens),
            (self.calls, amount.calls, Resource::Calls),
            (self.micro_usd.map(|m| m.0), amount.micro_usd.0, Resource::MicroUsd),
            (self.steps, amount.steps, Resource::Steps),
            (self.children, amount.children, Resource::Children),
        ]
        .into_iter()
        .find(|(limit, amount, _)| over(*limit, *amount))
        .map(|(_, _, resource)| resource)
    }

    /// Whether nothing is bounded.
    #[must_use]
    pub fn is_unbounded(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_name_what_is_exceeded() {
        let limits = Limits { tokens: Some(Tokens(10)), steps: Some(2), ..Limits::default() };
        let fits = Spend { tokens: Tokens(10), calls: 99, steps: 2, ..Spend::default() };
        assert_eq!(limits.exceeded_by(&fits), None);
        let more = Spend { steps: 3, ..fits };
        assert_eq!(limits.exceeded_by(&more), Some(Resource::Steps));
    }

    #[test]
    fn within_compares_every_part() {
        let small = Spend { calls: 1, ..Spend::default() };
        let other = Spend { tokens: Tokens(5), calls: 1, ..Spend::default() };
        assert!(small.within(&other));
        assert!(!other.within(&small));
        assert_eq!(other.minus(&small).plus(&small), other);
    }
}

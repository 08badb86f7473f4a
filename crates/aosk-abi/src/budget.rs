//! What a subtree of processes may spend.

use serde::{Deserialize, Serialize};

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

impl Spend {
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

//! How one of several models that answer to a name is chosen, and why others were passed over.

use serde::{Deserialize, Serialize};

use crate::model::Ability;

/// Which model of a route is asked, of those that have a slot free and are not left alone.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// The first in order.
    #[default]
    InOrder,
    /// The one that was asked least for its weight.
    ByWeight,
    /// The one where the call is expected to cost least.
    ByCost,
    /// The one of the best class, and of several the one where the call is expected to cost least.
    ByQuality,
    /// The one that is expected to have answered first.
    ByLatency,
}

impl Choice {
    /// Every way to choose.
    pub const ALL: [Self; 5] =
        [Self::InOrder, Self::ByWeight, Self::ByCost, Self::ByQuality, Self::ByLatency];

    /// Its name in a configuration.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::InOrder => "order",
            Self::ByWeight => "weight",
            Self::ByCost => "cost",
            Self::ByQuality => "quality",
            Self::ByLatency => "latency",
        }
    }
}

/// A model of a route that was not asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedOver {
    /// Its device.
    pub device: String,
    /// Why.
    pub why: Reason,
    /// What the call was expected to cost there in micro-dollars or, by latency, to take in
    /// milliseconds; none where the rule has no figures or it was not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figure: Option<u64>,
}

/// Why a model of a route was not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It comes later by the rule.
    Later,
    /// All of its slots are in use.
    Busy,
    /// It failed too often and is left alone.
    Failing,
    /// It asked for patience.
    Refusing,
    /// Its rates have no room.
    Rates,
    /// The budgets of the process have no room for what the call may cost there.
    Budget,
    /// The call failed there.
    Failed,
    /// The call does not fit its window.
    Window,
    /// It cannot do something that the call needs.
    Lacks(Ability),
}

impl Reason {
    /// What it is, for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Later => "later by the rule",
            Self::Busy => "busy",
            Self::Failing => "failing",
            Self::Refusing => "refusing for now",
            Self::Rates => "no room in its rates",
            Self::Budget => "no room in the budget",
            Self::Failed => "the call failed there",
            Self::Window => "its window is too small",
            Self::Lacks(Ability::Tools) => "takes no tools",
            Self::Lacks(Ability::Images) => "sees no images",
            Self::Lacks(Ability::Schema) => "keeps to no schema",
        }
    }
}

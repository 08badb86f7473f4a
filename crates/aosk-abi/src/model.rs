//! What a model can do and is asked, how a call of it ends and how it fails.

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::message::Body;
use crate::unit::{Millis, Tokens};

/// What a process asks of a model, besides the conversation itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThinkOptions {
    /// The device that answers: a provider and model such as `openai:gpt-5.4-mini`.
    pub model: String,
    /// The most tokens the answer may have.
    pub output_max: Tokens,
    /// Names of the tools the model may call, in the order it sees them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
    /// Sampling temperature in thousandths; none leaves it to the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature_milli: Option<u16>,
    /// The most tokens that the model is shown; none if as many as it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Tokens>,
}

/// What one model call used, as the provider counted it.
///
/// The parts do not overlap: all input is `input_uncached + cache_read + cache_write`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Input tokens that no cache knew.
    pub input_uncached: Tokens,
    /// Input tokens read from the provider's prefix cache.
    pub cache_read: Tokens,
    /// Input tokens written to the provider's prefix cache.
    pub cache_write: Tokens,
    /// Output tokens, reasoning included.
    pub output: Tokens,
    /// The part of `output` that was reasoning.
    pub reasoning: Tokens,
    /// The provider sent no figures and these are the kernel's own estimate.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
}

impl Usage {
    /// All input tokens.
    #[must_use]
    pub fn input(&self) -> Tokens {
        self.input_uncached + self.cache_read + self.cache_write
    }
}

/// How good the answers of a model are, as a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quality {
    /// Good enough for what is simple.
    Low,
    /// Good enough for most.
    Medium,
    /// As good as there is.
    High,
}

impl Quality {
    /// Every class, the worst first.
    pub const ALL: [Self; 3] = [Self::Low, Self::Medium, Self::High];

    /// Its name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// Something that not every model can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ability {
    /// Call tools.
    Tools,
    /// See images.
    Images,
    /// Answer as a schema says.
    Schema,
}

impl Ability {
    /// Every ability.
    pub const ALL: [Self; 3] = [Self::Tools, Self::Images, Self::Schema];

    /// Its name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Images => "images",
            Self::Schema => "schema",
        }
    }

    fn bit(self) -> u8 {
        match self {
            Self::Tools => 1,
            Self::Images => 2,
            Self::Schema => 4,
        }
    }
}

/// What a model can do, or what a call needs.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "Vec<Ability>", into = "Vec<Ability>")]
pub struct Abilities(u8);

impl Abilities {
    /// None of them.
    pub const NONE: Self = Self(0);

    /// These and one more.
    #[must_use]
    pub fn with(self, ability: Ability) -> Self {
        Self(self.0 | ability.bit())
    }

    /// These but for one.
    #[must_use]
    pub fn without(self, ability: Ability) -> Self {
        Self(self.0 & !ability.bit())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Ability> {
        Ability::ALL.into_iter().filter(move |ability| self.0 & ability.bit() != 0)
    }

    /// The first of these that `others` lack.
    #[must_use]
    pub fn lacking_in(self, others: Self) -> Option<Ability> {
        Self(self.0 & !others.0).iter().next()
    }
}

impl FromIterator<Ability> for Abilities {
    fn from_iter<I: IntoIterator<Item = Ability>>(abilities: I) -> Self {
        abilities.into_iter().fold(Self::NONE, Self::with)
    }
}

impl From<Vec<Ability>> for Abilities {
    fn from(abilities: Vec<Ability>) -> Self {
        abilities.into_iter().collect()
    }
}

impl From<Abilities> for Vec<Ability> {
    fn from(abilities: Abilities) -> Self {
        abilities.iter().collect()
    }
}

/// What a provider says of how much more it takes for now.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateReport {
    /// Requests in a minute.
    pub requests: Option<Gauge>,
    /// Tokens in a minute.
    pub tokens: Option<Gauge>,
}

/// How much is left of a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gauge {
    /// How much there is when nothing is used, if the provider says so.
    pub limit: Option<u64>,
    /// How much is left.
    pub remaining: u64,
    /// After how long all of it is there again.
    pub reset: Millis,
}

/// Why the model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// It was done.
    Stop,
    /// It wants tools called.
    ToolCalls,
    /// The answer reached its maximum length.
    Length,
    /// The provider withheld the answer.
    Refused,
}

/// What a model answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelReply {
    /// The assistant message.
    pub body: Body,
    /// What the call used.
    pub usage: Usage,
    /// Why the model stopped.
    pub finish: FinishReason,
}

/// How a failed device call is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The device asks for patience: rate limit or overload. Tried again.
    RateLimited,
    /// The device or the way to it failed: connection, 5xx, cut stream, timeout. Tried again.
    Transient,
    /// The same call would fail again: authentication, bad request, unknown model. Not tried again.
    Final,
}

impl FailureClass {
    /// How many attempts a model call has, the first included, when one fails like this. One that
    /// cannot succeed on its device is made again only on others.
    #[must_use]
    pub fn attempts_max(self) -> u32 {
        match self {
            Self::RateLimited => limits::RATE_LIMITED_ATTEMPTS_MAX,
            Self::Transient | Self::Final => limits::MODEL_ATTEMPTS_MAX,
        }
    }
}

/// Why a device call failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// How it is to be taken.
    pub class: FailureClass,
    /// The stable code.
    pub code: crate::error::ErrorCode,
    /// One line: what was attempted and what is wrong. Never a secret.
    pub message: String,
    /// What the person who runs this can do about it; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
    /// How long the device asked to be left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Millis>,
    /// What the attempt used all the same, if the model had begun to answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

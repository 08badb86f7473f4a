//! What a model call costs, how it ends and how it fails.

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::message::Body;
use crate::unit::{MicroUsd, Millis, Tokens};

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

/// What a model's tokens cost.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// Requests of ordinary length.
    pub usual: Rates,
    /// Requests with more input than this many tokens, for all of their tokens, where the provider
    /// asks another price for them.
    pub long: Option<(Tokens, Rates)>,
}

/// Micro-dollars per million tokens of each class.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rates {
    /// Input that no cache knew.
    pub input: MicroUsd,
    /// Input read from the cache.
    pub cache_read: MicroUsd,
    /// Input written to the cache.
    pub cache_write: MicroUsd,
    /// Output.
    pub output: MicroUsd,
}

impl Price {
    /// One price for requests of any length.
    #[must_use]
    pub const fn flat(usual: Rates) -> Self {
        Self { usual, long: None }
    }

    /// The cost of `usage`, rounded up to a whole micro-dollar.
    #[must_use]
    pub fn of(&self, usage: &Usage) -> MicroUsd {
        self.rates(usage.input()).of(usage)
    }

    /// The most that `input` and `output` tokens can cost, whatever the cache does.
    #[must_use]
    pub fn worst_case(&self, input: Tokens, output: Tokens) -> MicroUsd {
        let rates = self.rates(input);
        let dearest = rates.input.max(rates.cache_read).max(rates.cache_write);
        let usage = Usage { input_uncached: input, output, ..Usage::default() };
        Rates { input: dearest, ..rates }.of(&usage)
    }

    /// What tokens cost in a request with so much input.
    #[must_use]
    pub fn rates(&self, input: Tokens) -> Rates {
        self.long.filter(|(above, _)| input > *above).map_or(self.usual, |(_, long)| long)
    }
}

impl Rates {
    fn of(&self, usage: &Usage) -> MicroUsd {
        let picodollars = [
            (usage.input_uncached, self.input),
            (usage.cache_read, self.cache_read),
            (usage.cache_write, self.cache_write),
            (usage.output, self.output),
        ]
        .iter()
        .map(|(tokens, price)| u128::from(tokens.0).saturating_mul(u128::from(price.0)))
        .fold(0_u128, u128::saturating_add);
        MicroUsd(u64::try_from(picodollars.div_ceil(1_000_000)).unwrap_or(u64::MAX))
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

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: Rates = Rates {
        input: MicroUsd(2_000_000),
        cache_read: MicroUsd(100_000),
        cache_write: MicroUsd(2_500_000),
        output: MicroUsd(10_000_000),
    };

    #[test]
    fn a_long_request_has_its_own_price() {
        let dear = Rates { input: MicroUsd(4_000_000), ..RATES };
        let price = Price { usual: RATES, long: Some((Tokens(1_000), dear)) };
        let usage = |input, read| Usage {
            input_uncached: Tokens(input),
            cache_read: Tokens(read),
            ..Usage::default()
        };
        assert_eq!(price.of(&usage(1_000, 0)), MicroUsd(2_000));
        assert_eq!(price.of(&usage(1_001, 0)), MicroUsd(4_004));
        // What counts is all of the input, cached or not.
        assert_eq!(price.of(&usage(500, 501)), MicroUsd(2_051));
        assert_eq!(price.worst_case(Tokens(1_000), Tokens(0)), MicroUsd(2_500));
        assert_eq!(price.worst_case(Tokens(1_001), Tokens(0)), MicroUsd(4_004));
    }

    #[test]
    fn cost_is_rounded_up_once() {
        let price = Price::flat(RATES);
        let usage = Usage {
            input_uncached: Tokens(1_000),
            cache_read: Tokens(10_000),
            cache_write: Tokens(0),
            output: Tokens(33),
            ..Usage::default()
        };
        // 1000*2 + 10000*0.1 + 33*10 = 2000 + 1000 + 330 micro-dollars
        assert_eq!(price.of(&usage), MicroUsd(3_330));
        assert_eq!(price.of(&Usage { output: Tokens(1), ..Usage::default() }), MicroUsd(10));
        let tiny = Price::flat(Rates { input: MicroUsd(1), ..Rates::default() });
        assert_eq!(tiny.of(&Usage { input_uncached: Tokens(1), ..Usage::default() }), MicroUsd(1));
        assert_eq!(price.worst_case(Tokens(1_000), Tokens(0)), MicroUsd(2_500));
    }
}

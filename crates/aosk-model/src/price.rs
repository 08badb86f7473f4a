//! Windows and prices of models, from the dated data file `models.json`.
//!
//! Prices move monthly, so they are data with a source and a date, and a file of one's own can override
//! them. A model that is not in the file has no price here; it never has a price of zero by
//! mistake.

mod hours;

use std::sync::LazyLock;

use aosk_abi::{Abilities, Ability, MicroUsd, OffPeak, Price, Quality, Rates, Tokens};
use serde::{Deserialize, Serialize};

/// What is known of one model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The provider's name.
    pub provider: String,
    /// The model's id at the provider.
    pub id: String,
    /// Other ids of the same model.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Tokens of input and output together that the model can hold, if known.
    pub context: Option<Tokens>,
    /// Tokens of the longest answer, if known.
    pub output_max: Option<Tokens>,
    /// Input that no cache knew, in micro-dollars per million tokens, as all prices here.
    input: MicroUsd,
    cache_read: Option<MicroUsd>,
    cache_write: Option<MicroUsd>,
    /// Writing to the cache what is to live for the longer of two lifetimes.
    cache_write_long_lived: Option<MicroUsd>,
    output: MicroUsd,
    long: Option<Long>,
    off_peak: Option<Outside>,
    /// Whether it takes tools only in the format Responses.
    #[serde(default)]
    pub wants_responses: bool,
    /// Whether it refuses a request with a temperature.
    #[serde(default)]
    pub refuses_temperature: bool,
    /// What it can do; empty if that is not known.
    #[serde(default)]
    pub capabilities: Vec<Capability>,
    /// How good its answers are; none if nobody has said it.
    pub quality: Option<Quality>,
    /// What to know about the figures.
    pub note: Option<String>,
    /// Where the figures are from.
    #[serde(default)]
    pub source: String,
    /// When they were true, as a date; empty if that is not known.
    #[serde(default)]
    pub as_of: String,
}

/// What a model can do besides answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Capability {
    /// Call tools.
    Tools,
    /// See images.
    Images,
    /// Think before it answers.
    Reasoning,
    /// Answer as a schema says.
    Schema,
}

/// The price of a whole request whose input is long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
struct Long {
    above: Tokens,
    #[serde(flatten)]
    rates: Rates,
    cache_write_long_lived: Option<MicroUsd>,
}

/// The price of a request of ordinary length outside of some hours.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Outside {
    /// The hours.
    outside: Vec<hours::Span>,
    input: MicroUsd,
    cache_read: Option<MicroUsd>,
    cache_write: Option<MicroUsd>,
    output: MicroUsd,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "about")]
    _about: String,
    #[serde(rename = "as_of")]
    _as_of: String,
    models: Vec<Model>,
}

/// A test reads the file, so it is never empty for want of understanding it.
static FILE: LazyLock<File> =
    LazyLock::new(|| serde_json::from_str(include_str!("models.json")).unwrap_or_default());

impl Model {
    /// What it costs. What has no price of its own costs what input costs.
    #[must_use]
    pub fn price(&self) -> Price {
        let usual = Rates {
            input: self.input,
            cache_read: self.cache_read.unwrap_or(self.input),
            cache_write: self.cache_write.unwrap_or(self.input),
            output: self.output,
        };
        let off_peak = self.off_peak.as_ref().map(|other| OffPeak {
            rates: Rates {
                input: other.input,
                cache_read: other.cache_read.unwrap_or(other.input),
                cache_write: other.cache_write.unwrap_or(other.input),
                output: other.output,
            },
            peak: hours::all(&other.outside),
        });
        Price { usual, long: self.long.map(|long| (long.above, long.rates)), off_peak }
    }

    /// What it can do of what not every model can; none if that is not known.
    #[must_use]
    pub fn abilities(&self) -> Option<Abilities> {
        let known = self.capabilities.iter().filter_map(|capability| match capability {
            Capability::Tools => Some(Ability::Tools),
            Capability::Images => Some(Ability::Images),
            Capability::Schema => Some(Ability::Schema),
            Capability::Reasoning => None,
        });
        (!self.capabilities.is_empty()).then(|| known.collect())
    }

    /// What it costs when what is written to the cache is to live for the longer of two lifetimes;
    /// none where there are no two, or the price is not known.
    #[must_use]
    pub fn long_price(&self) -> Option<Price> {
        let cache_write = self.cache_write_long_lived?;
        let long = self.long.map(|Long { above, rates, cache_write_long_lived }| {
            let cache_write = cache_write_long_lived.unwrap_or(rates.cache_write);
            (above, Rates { cache_write, ..rates })
        });
        Some(Price { usual: Rates { cache_write, ..self.price().usual }, long, off_peak: None })
    }

    /// Whether it has prices for two lifetimes of its cache and others at some hours, which together
    /// would be prices that the file does not say.
    pub(crate) fn has_two_lifetimes_and_hours(&self) -> bool {
        self.off_peak.is_some() && self.cache_write_long_lived.is_some()
    }

    /// Whether writing to the cache has a price of its own.
    pub(crate) fn charges_writes(&self) -> bool {
        self.cache_write.is_some()
    }
}

/// The models of the file.
#[must_use]
pub fn models() -> &'static [Model] {
    &FILE.models
}

#[cfg(test)]
mod tests;

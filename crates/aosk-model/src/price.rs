//! Windows and prices of models, from the dated data file `models.json`.
//!
//! Prices move monthly, so they are data with a source and a date, and configuration can override
//! them. A model that is not in the file has no price here; it never has a price of zero by
//! mistake.

use std::sync::LazyLock;

use aosk_abi::{MicroUsd, Price, Rates, Tokens};
use serde::Deserialize;

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
    /// Whether it takes tools only in the format Responses.
    #[serde(default)]
    pub wants_responses: bool,
    /// What to know about the figures.
    pub note: Option<String>,
    /// Where the figures are from.
    pub source: String,
    /// When they were true, as a date.
    pub as_of: String,
}

/// The price of a whole request whose input is long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
struct Long {
    above: Tokens,
    #[serde(flatten)]
    rates: Rates,
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
        Price { usual, long: self.long.map(|long| (long.above, long.rates)) }
    }

    /// What it costs when what is written to the cache is to live for the longer of two lifetimes;
    /// none where there are no two, or the price is not known. Holds for requests of any length: no
    /// model has both this and a price of its own for long requests.
    #[must_use]
    pub fn long_price(&self) -> Option<Price> {
        let cache_write = self.cache_write_long_lived?;
        let Price { usual, long } = self.price();
        Some(Price { usual: Rates { cache_write, ..usual }, long })
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

/// What is known of `model` at `provider`. A dated id (`claude-haiku-4-5-20251001`,
/// `gpt-5.4-mini-2026-03-17`) or one that ends in `-latest` is the model it is a version of.
#[must_use]
pub fn find(provider: &str, model: &str) -> Option<&'static Model> {
    let is_of = |known: &Model, id: &str| {
        known.provider == provider
            && (known.id == id || known.aliases.iter().any(|alias| alias == id))
    };
    let find = |id: &str| models().iter().find(|known| is_of(known, id));
    find(model).or_else(|| find(model.strip_suffix("-latest")?)).or_else(|| find(undated(model)?))
}

/// The id without the date at its end: eight digits, which may have hyphens between them.
fn undated(model: &str) -> Option<&str> {
    let tail = model.char_indices().rev();
    let date = tail.take_while(|(_, c)| c.is_ascii_digit() || *c == '-');
    let (first, _) = date.filter(|(_, c)| c.is_ascii_digit()).nth(7)?;
    model.get(..first)?.strip_suffix('-')
}

#[cfg(test)]
mod tests;

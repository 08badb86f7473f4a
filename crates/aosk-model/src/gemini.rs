//! Gemini's own wire format: `generateContent`, whole and as a stream.
//!
//! Calls come whole. What the model thought comes back signed, on the very parts it belongs to, and newer
//! models refuse a conversation in which a signature is missing.

mod reply;
mod request;
mod wire;
mod wishes;

use aosk_abi::{Failure, ModelReply};
use async_trait::async_trait;

use crate::continuing::Continuing;
use crate::driver::{Driver, OnDelta, Request};
use crate::endpoint::Endpoint;
use crate::exchange;
use crate::price::Model;

use reply::Assembly;

/// The path of the models under the base URL; the model's name and what it is to do come behind.
pub const PATH: &str = "/v1beta/models";

/// What models of this format want said differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// Whether the model is asked to show what it thinks. One that does not think refuses that.
    pub shows_thoughts: bool,
    /// Whether the model wants a signature on each turn of calls, its own or not.
    pub wants_signatures: bool,
    /// Whether the model takes a temperature.
    pub takes_temperature: bool,
}

impl Dialect {
    /// What `model` wants, by the version in its name. Gemini thinks since 2.5 and insists on signatures
    /// since 3; a name without a version is the newest there is. `known` is what else is known of it.
    #[must_use]
    pub fn of_model(model: &str, known: Option<&Model>) -> Self {
        const OTHER_KINDS: [&str; 4] = ["image", "tts", "audio", "live"];
        let takes_temperature = !known.is_some_and(|known| known.refuses_temperature);
        let Some(rest) = model.strip_prefix("gemini-") else {
            return Self { shows_thoughts: false, wants_signatures: false, takes_temperature };
        };
        let version = rest.split('-').next().unwrap_or_default();
        let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
        let major = major.parse().unwrap_or(u32::MAX);
        let thinks = (major, minor.parse().unwrap_or(0)) >= (2, 5);
        let is_other = rest.split('-').any(|word| OTHER_KINDS.contains(&word));
        let shows_thoughts = thinks && !is_other;
        Self { shows_thoughts, wants_signatures: major >= 3, takes_temperature }
    }
}

/// A driver of one model at one endpoint.
#[derive(Debug)]
pub struct Gemini {
    whole: Endpoint,
    stream: Endpoint,
    dialect: Dialect,
}

impl Gemini {
    /// The driver of `model`, named as the provider names it. `endpoint` is at [`PATH`].
    #[must_use]
    pub fn new(endpoint: &Endpoint, model: &str, dialect: Dialect) -> Self {
        let model = model.strip_prefix("models/").unwrap_or(model);
        Self {
            whole: endpoint.under(&format!("/{model}:generateContent"), None),
            stream: endpoint.under(&format!("/{model}:streamGenerateContent"), Some("alt=sse")),
            dialect,
        }
    }
}

#[async_trait]
impl Driver for Gemini {
    async fn complete(
        &self,
        request: Request,
        on_delta: OnDelta<'_>,
    ) -> Result<ModelReply, Failure> {
        let body = request::render(&request, self.dialect);
        let endpoint = if on_delta.is_some() { &self.stream } else { &self.whole };
        exchange::complete::<Assembly>(endpoint, &request, body, Continuing::NEVER, on_delta).await
    }
}

#[cfg(test)]
mod tests;

//! The Responses wire format: OpenAI's newer one, without anything kept at the provider.
//!
//! Some models take tools only here, and only here does reasoning go back: encrypted, as it came.

mod reply;
mod request;
mod wishes;

use aosk_abi::{Failure, ModelReply};
use async_trait::async_trait;

use crate::client::Format;
use crate::continuing::Continuing;
use crate::driver::{Driver, OnDelta, Request};
use crate::endpoint::Endpoint;
use crate::exchange;
use crate::openai;
use crate::passage::{self, Additions, Passage};

pub(crate) use reply::Assembly;

/// The path under the base URL.
pub const PATH: &str = "/responses";

/// What models of this format want said differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// Whether the model's reasoning is asked for in the form in which it goes back. One that does not
    /// reason refuses that.
    pub keeps_reasoning: bool,
    /// Whether the provider takes a key that brings requests to the same cache.
    pub cache_key: bool,
}

/// A driver of one model at one endpoint.
#[derive(Debug)]
pub struct Responses {
    endpoint: Endpoint,
    /// Where the same model is asked in the format of chat completions, if it is.
    chat_at: Option<Endpoint>,
    model: String,
    dialect: Dialect,
}

impl Responses {
    /// The driver of `model`, named as the provider names it.
    #[must_use]
    pub fn new(endpoint: Endpoint, model: impl Into<String>, dialect: Dialect) -> Self {
        Self { endpoint, chat_at: None, model: model.into(), dialect }
    }

    /// The same driver, which passes on what clients ask in the format of chat completions to another
    /// endpoint.
    #[must_use]
    pub fn chat_at(mut self, endpoint: Endpoint) -> Self {
        self.chat_at = Some(endpoint);
        self
    }
}

#[async_trait]
impl Driver for Responses {
    async fn complete(
        &self,
        request: Request,
        on_delta: OnDelta<'_>,
    ) -> Result<ModelReply, Failure> {
        let body = request::render(&request, &self.model, self.dialect, on_delta.is_some());
        let never = Continuing::NEVER;
        exchange::complete::<Assembly>(&self.endpoint, &request, body, never, on_delta).await
    }

    fn passes(&self, format: Format) -> bool {
        format == Format::Responses || (format == Format::Chat && self.chat_at.is_some())
    }

    async fn pass_on(
        &self,
        request: Request,
        passage: &Passage,
        on_delta: OnDelta<'_>,
    ) -> Result<ModelReply, Failure> {
        let cache_key = self.dialect.cache_key;
        let additions = Additions { stream_usage: true, cache_key, cache_mark: false };
        let (model, request) = (&self.model, &request);
        match &self.chat_at {
            Some(there) if passage.format == Format::Chat => {
                passage::pass_on::<openai::Assembly>(
                    there, model, additions, request, passage, on_delta,
                )
                .await
            }
            Some(_) | None => {
                let here = &self.endpoint;
                passage::pass_on::<Assembly>(here, model, additions, request, passage, on_delta)
                    .await
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! The Responses wire format: OpenAI's newer one, without anything kept at the provider.
//!
//! Some models take tools only here, and only here does reasoning go back: encrypted, as it came.

mod reply;
mod request;
mod wishes;

use aosk_abi::{Failure, ModelReply};
use async_trait::async_trait;

use crate::continuing::Continuing;
use crate::driver::{Driver, OnDelta, Request};
use crate::endpoint::Endpoint;
use crate::exchange;

use reply::Assembly;

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
    model: String,
    dialect: Dialect,
}

impl Responses {
    /// The driver of `model`, named as the provider names it.
    #[must_use]
    pub fn new(endpoint: Endpoint, model: impl Into<String>, dialect: Dialect) -> Self {
        Self { endpoint, model: model.into(), dialect }
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
}

#[cfg(test)]
mod tests;

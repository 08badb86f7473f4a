//! The Messages wire format: Anthropic's, and that of the providers and servers that offer it too.

mod marks;
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
use crate::passage::{self, Additions, Passage};

use reply::Assembly;

/// The path under the base URL.
pub const PATH: &str = "/v1/messages";

/// The version of the format, which every request names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// What everyone but Anthropic itself knows.
    V2023,
    /// Anthropic's own since October 2026. It refuses requests with a temperature, so none is sent.
    V2026,
}

impl Version {
    /// The value of the `anthropic-version` header.
    #[must_use]
    pub fn header(self) -> &'static str {
        match self {
            Self::V2023 => "2023-06-01",
            Self::V2026 => "2026-10-21",
        }
    }
}

/// What providers of this format want said differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// The version of the format.
    pub version: Version,
    /// Whether to mark what is to be cached: the breakpoints of the request or, if it has none, the
    /// ends of the instructions and of the conversation. Anthropic caches only what is marked.
    pub cache_marks: bool,
    /// How it goes on from an answer that was begun.
    pub continuing: Continuing,
}

/// A driver of one model at one endpoint.
#[derive(Debug)]
pub struct Anthropic {
    endpoint: Endpoint,
    model: String,
    dialect: Dialect,
}

impl Anthropic {
    /// The driver of `model`, named as the provider names it.
    #[must_use]
    pub fn new(endpoint: Endpoint, model: impl Into<String>, dialect: Dialect) -> Self {
        let endpoint = endpoint.header("anthropic-version", dialect.version.header());
        Self { endpoint, model: model.into(), dialect }
    }
}

#[async_trait]
impl Driver for Anthropic {
    async fn complete(
        &self,
        request: Request,
        on_delta: OnDelta<'_>,
    ) -> Result<ModelReply, Failure> {
        let body = request::render(&request, &self.model, self.dialect, on_delta.is_some());
        let continuing = self.dialect.continuing;
        exchange::complete::<Assembly>(&self.endpoint, &request, body, continuing, on_delta).await
    }

    fn passes(&self, format: Format) -> bool {
        format == Format::Messages
    }

    async fn pass_on(
        &self,
        request: Request,
        passage: &Passage,
        on_delta: OnDelta<'_>,
    ) -> Result<ModelReply, Failure> {
        let cache_mark = self.dialect.cache_marks;
        let additions = Additions { cache_mark, ..Additions::default() };
        let (endpoint, model) = (&self.endpoint, &self.model);
        passage::pass_on::<Assembly>(endpoint, model, additions, &request, passage, on_delta).await
    }
}

#[cfg(test)]
mod tests;

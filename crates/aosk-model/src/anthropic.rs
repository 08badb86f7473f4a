//! The Messages wire format: Anthropic's, and that of the providers and servers that offer it too.

mod reply;
mod request;

use aosk_abi::{Failure, ModelReply};
use async_trait::async_trait;

use crate::driver::{Driver, OnDelta, Request};
use crate::endpoint::{Answer, Endpoint};

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
    /// Whether to mark the ends of the instructions and of the conversation as what to cache.
    /// Anthropic caches only what is marked.
    pub cache_marks: bool,
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

    async fn read_stream(
        &self,
        mut answer: Answer<'_>,
        assembly: &mut Assembly,
        on_delta: OnDelta<'_>,
    ) -> Result<(), Failure> {
        loop {
            match answer.event().await {
                Ok(Some(event)) if event.data.is_empty() => {}
                Ok(Some(event)) => {
                    let json = event.data.as_bytes();
                    assembly.take_event(json, &self.endpoint, answer.headers(), on_delta)?;
                    if assembly.has_stopped() {
                        answer.drain().await;
                        return Ok(());
                    }
                }
                // All is said; only the last event is missing.
                Ok(None) | Err(_) if assembly.is_finished() => return Ok(()),
                Ok(None) => return Err(self.endpoint.broke_off()),
                Err(failure) => return Err(failure),
            }
        }
    }
}

#[async_trait]
impl Driver for Anthropic {
    async fn complete(
        &self,
        request: Request,
        on_delta: OnDelta<'_>,
    ) -> Result<ModelReply, Failure> {
        let is_stream = on_delta.is_some();
        let body = request::render(&request, &self.model, self.dialect, is_stream);
        let body = body.map_err(|error| self.endpoint.unwritable(&error))?;
        let mut answer = self.endpoint.post(body, is_stream).await?;
        let mut assembly = Assembly::default();
        if is_stream && answer.is_event_stream() {
            self.read_stream(answer, &mut assembly, on_delta).await?;
        } else {
            let body = answer.whole().await?;
            assembly.take_whole(&body, &self.endpoint, answer.headers(), on_delta)?;
        }
        assembly.into_reply(&request)
    }
}

#[cfg(test)]
mod tests;

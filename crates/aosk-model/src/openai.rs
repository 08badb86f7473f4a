//! The chat-completions wire format: OpenAI's, and that of everyone who copied it.
//!
//! The copies differ in small ways. What must be said differently stands in [`Dialect`]; what is
//! answered differently is all understood.

mod prefix;
mod reply;
mod request;

use aosk_abi::{Failure, ModelReply};
use async_trait::async_trait;

use crate::driver::{Driver, OnDelta, Request};
use crate::endpoint::{Answer, Endpoint};

use prefix::Prefixes;
use reply::Assembly;

/// The path under the base URL.
pub const PATH: &str = "/chat/completions";

/// What providers of this format want said differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// How the bound of the answer is called.
    pub length: LengthField,
    /// Where earlier reasoning goes back.
    pub reasoning: ReasoningField,
    /// Whether usage at the end of a stream is asked for with `stream_options`.
    pub stream_usage: bool,
}

/// How the bound of the answer is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LengthField {
    /// `max_tokens`: everyone's name for it, save OpenAI's for its newer models.
    MaxTokens,
    /// `max_completion_tokens`.
    MaxCompletionTokens,
}

/// Where the reasoning of earlier answers goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReasoningField {
    /// Nowhere: the provider refuses or ignores it.
    Nowhere,
    /// `reasoning_content`. DeepSeek refuses a conversation without it.
    ReasoningContent,
    /// `reasoning`.
    Reasoning,
}

/// A driver of one model at one endpoint.
#[derive(Debug)]
pub struct OpenAi {
    endpoint: Endpoint,
    model: String,
    dialect: Dialect,
    prefixes: Prefixes,
}

impl OpenAi {
    /// The driver of `model`, named as the provider names it.
    #[must_use]
    pub fn new(endpoint: Endpoint, model: impl Into<String>, dialect: Dialect) -> Self {
        Self { endpoint, model: model.into(), dialect, prefixes: Prefixes::default() }
    }

    async fn read_stream(
        &self,
        mut answer: Answer<'_>,
        assembly: &mut Assembly,
        on_delta: OnDelta<'_>,
    ) -> Result<(), Failure> {
        loop {
            match answer.event().await {
                Ok(Some(event)) if event.data == "[DONE]" => {
                    answer.drain().await;
                    return assembly.check_begun(&self.endpoint);
                }
                Ok(Some(event)) if event.data.is_empty() => {}
                Ok(Some(event)) => {
                    let json = event.data.as_bytes();
                    assembly.take(json, &self.endpoint, answer.headers(), on_delta)?;
                }
                // All is said; only usage may be missing.
                Ok(None) | Err(_) if assembly.is_finished() => return Ok(()),
                Ok(None) => return Err(self.endpoint.broke_off()),
                Err(failure) => return Err(failure),
            }
        }
    }
}

#[async_trait]
impl Driver for OpenAi {
    async fn complete(
        &self,
        request: Request,
        on_delta: OnDelta<'_>,
    ) -> Result<ModelReply, Failure> {
        let is_stream = on_delta.is_some();
        let body = request::render(&request, &self.model, self.dialect, is_stream, &self.prefixes);
        let body = body.map_err(|error| self.endpoint.unwritable(&error))?;
        let mut answer = self.endpoint.post(body, is_stream).await?;
        let mut assembly = Assembly::default();
        if is_stream && answer.is_event_stream() {
            self.read_stream(answer, &mut assembly, on_delta).await?;
        } else {
            let body = answer.whole().await?;
            assembly.take(&body, &self.endpoint, answer.headers(), on_delta)?;
            assembly.check_begun(&self.endpoint)?;
        }
        assembly.into_reply(&request, &self.endpoint)
    }
}

#[cfg(test)]
mod tests;

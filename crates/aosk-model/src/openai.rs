//! The chat-completions wire format: OpenAI's, and that of everyone who copied it.
//!
//! The copies differ in small ways. What must be said differently stands in [`Dialect`]; what is
//! answered differently is all understood.

mod inline;
mod marks;
mod prefix;
mod reply;
mod request;
mod wishes;

use aosk_abi::{Failure, ModelReply};
use async_trait::async_trait;

use crate::client::Format;
use crate::continuing::Continuing;
use crate::driver::{Driver, OnDelta, Request};
use crate::embeddings;
use crate::endpoint::Endpoint;
use crate::exchange;
use crate::passage::{self, Additions, Passage};
use crate::responses;

use prefix::Prefixes;
pub(crate) use reply::Assembly;

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
    /// Whether the provider takes a key that brings requests to the same cache.
    pub cache_key: bool,
    /// How breakpoints of the prefix cache are written.
    pub breakpoints: Breakpoints,
    /// How it goes on from an answer that was begun.
    pub continuing: Continuing,
    /// Which words it knows for wishes.
    pub words: Words,
}

/// Which words a provider knows for wishes, beside those that all know: how tokens are drawn, where an
/// answer ends, which tools are called, an answer that is JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Words {
    /// OpenAI's own: how hard the model thinks, how much it says, answers and tools with schemas.
    OpenAi,
    /// Those of servers of one's own and of `OpenRouter`, which take each other's fields: `top_k`, how hard
    /// the model thinks, answers with schemas.
    Open,
    /// How hard the model thinks, and answers with schemas.
    Common,
    /// Answers with schemas, and a seed of another name. Fields that it does not know are refused.
    Mistral,
    /// No schemas: an answer may only be any JSON object, so the model is told the schema in words.
    Objects,
}

/// How breakpoints of the prefix cache are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breakpoints {
    /// Not at all: the provider caches by itself, or refuses fields that it does not know.
    Nowhere,
    /// `prompt_cache_breakpoint` on parts: OpenAI's, since GPT-5.6. With them goes the wish that the
    /// provider sets none of its own, so that all four are the kernel's.
    PromptCache,
    /// `cache_control` on parts, as at Anthropic. `DashScope` takes them.
    CacheControl,
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
    /// `reasoning_content`.
    ReasoningContent,
    /// `reasoning_content` in every answer. DeepSeek and Kimi refuse a conversation in which an answer is
    /// without it, also where the model thought nothing or was another one.
    AlwaysReasoningContent,
    /// `reasoning`.
    Reasoning,
}

/// A driver of one model at one endpoint.
#[derive(Debug)]
pub struct OpenAi {
    endpoint: Endpoint,
    /// Where answers are gone on with, if that is elsewhere.
    continued_at: Option<Endpoint>,
    /// Where the same model is asked in the format of Responses, if it is.
    responses_at: Option<Endpoint>,
    /// Where the same model is asked for vectors, if it is.
    embeddings_at: Option<Endpoint>,
    model: String,
    dialect: Dialect,
    prefixes: Prefixes,
}

impl OpenAi {
    /// The driver of `model`, named as the provider names it.
    #[must_use]
    pub fn new(endpoint: Endpoint, model: impl Into<String>, dialect: Dialect) -> Self {
        let prefixes = Prefixes::default();
        Self {
            endpoint,
            continued_at: None,
            responses_at: None,
            embeddings_at: None,
            model: model.into(),
            dialect,
            prefixes,
        }
    }

    /// The same driver, which passes on what clients ask for vectors to another endpoint.
    #[must_use]
    pub fn embeddings_at(mut self, endpoint: Endpoint) -> Self {
        self.embeddings_at = Some(endpoint);
        self
    }

    /// The same driver, which passes on what clients ask in the format of Responses to another endpoint.
    #[must_use]
    pub fn responses_at(mut self, endpoint: Endpoint) -> Self {
        self.responses_at = Some(endpoint);
        self
    }

    /// The same driver with another endpoint for answers that were begun.
    #[must_use]
    pub fn continued_at(mut self, endpoint: Endpoint) -> Self {
        self.continued_at = Some(endpoint);
        self
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
        let elsewhere = self.continued_at.as_ref().filter(|_| request.begun.is_some());
        let endpoint = elsewhere.unwrap_or(&self.endpoint);
        let continuing = self.dialect.continuing;
        exchange::complete::<Assembly>(endpoint, &request, body, continuing, on_delta).await
    }

    fn passes(&self, format: Format) -> bool {
        match format {
            Format::Chat => true,
            Format::Responses => self.responses_at.is_some(),
            Format::Embeddings => self.embeddings_at.is_some(),
            Format::Messages => false,
        }
    }

    async fn pass_on(
        &self,
        request: Request,
        passage: &Passage,
        on_delta: OnDelta<'_>,
    ) -> Result<ModelReply, Failure> {
        let Dialect { stream_usage, cache_key, .. } = self.dialect;
        let additions = Additions { stream_usage, cache_key, cache_mark: false };
        let (model, request) = (&self.model, &request);
        let (here, there) = (&self.endpoint, self.responses_at.as_ref());
        match (passage.format, there, &self.embeddings_at) {
            (Format::Responses, Some(at), _) => {
                passage::pass_on::<responses::Assembly>(
                    at, model, additions, request, passage, on_delta,
                )
                .await
            }
            (Format::Embeddings, _, Some(at)) => {
                let none = Additions::default();
                passage::pass_on::<embeddings::Assembly>(
                    at, model, none, request, passage, on_delta,
                )
                .await
            }
            (Format::Chat | Format::Responses | Format::Embeddings | Format::Messages, _, _) => {
                passage::pass_on::<Assembly>(here, model, additions, request, passage, on_delta)
                    .await
            }
        }
    }
}

#[cfg(test)]
mod tests;

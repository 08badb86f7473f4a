//! The driver of a model: which wire format it speaks, and what of the format's ways is its own.

use std::sync::Arc;

use aosk_abi::Error;
use secrecy::SecretString;

use crate::anthropic::{self, Anthropic, Version};
use crate::caching::Caching;
use crate::continuing::Continuing;
use crate::driver::Driver;
use crate::embeddings;
use crate::endpoint::{Bounds, Endpoint, KeyHeader};
use crate::gemini::{self, Gemini};
use crate::openai::{self, LengthField, OpenAi, ReasoningField, Words};
use crate::price::Model;
use crate::provider::{Provider, Wire};
use crate::responses::{self, Responses};

/// What a driver is made of.
pub(super) struct Wiring<'a> {
    pub(super) provider: &'a Provider,
    pub(super) known: Option<&'a Model>,
    pub(super) wire: Wire,
    pub(super) device: &'a str,
    pub(super) model: &'a str,
    pub(super) base: &'a str,
    pub(super) key: Option<SecretString>,
}

/// The format that a model is asked in: the provider's or, of a model that takes tools only in another,
/// that one. What stands at an address of one's own may not know it.
pub(super) fn wire(provider: &Provider, known: Option<&Model>, is_own: bool) -> Wire {
    let wants_responses = known.is_some_and(|known| known.wants_responses);
    if provider.name == "openai" && wants_responses && !is_own {
        Wire::Responses
    } else {
        provider.wire
    }
}

impl Wiring<'_> {
    /// The driver. Answers are gone on with at `continued_at`, if that is elsewhere.
    pub(super) fn driver(
        self,
        caching: Caching,
        continuing: Continuing,
        continued_at: Option<&str>,
    ) -> Result<Arc<dyn Driver>, Error> {
        match self.wire {
            Wire::OpenAi { reasoning, stream_usage } => {
                let beta = continued_at.map(|base| self.at(base, openai::PATH, KeyHeader::Bearer));
                self.openai(reasoning, stream_usage, caching, continuing, beta.transpose()?)
            }
            Wire::Anthropic { version, cache_marks } => {
                self.anthropic(version, cache_marks, continuing)
            }
            Wire::Responses => self.responses(caching),
            Wire::Gemini => self.gemini(),
        }
    }

    fn openai(
        self,
        reasoning: ReasoningField,
        stream_usage: bool,
        caching: Caching,
        continuing: Continuing,
        continued_at: Option<Endpoint>,
    ) -> Result<Arc<dyn Driver>, Error> {
        let Self { provider, model, base, .. } = self;
        let is_openai =
            provider.name == "openai" && (base == provider.base_url || is_newer_openai(model));
        let length =
            if is_openai { LengthField::MaxCompletionTokens } else { LengthField::MaxTokens };
        let Caching { key: cache_key, breakpoints, .. } = caching;
        let words = if is_openai { Words::OpenAi } else { provider.words() };
        let dialect = openai::Dialect {
            length,
            reasoning,
            stream_usage,
            cache_key,
            breakpoints,
            continuing,
            words,
        };
        let vectors = self.at(base, embeddings::PATH, KeyHeader::Bearer)?;
        let driver = OpenAi::new(self.at(base, openai::PATH, KeyHeader::Bearer)?, model, dialect)
            .embeddings_at(vectors);
        let driver = match self.sibling(responses::PATH)? {
            Some(endpoint) => driver.responses_at(endpoint),
            None => driver,
        };
        Ok(Arc::new(match continued_at {
            Some(endpoint) => driver.continued_at(endpoint),
            None => driver,
        }))
    }

    fn anthropic(
        self,
        version: Version,
        cache_marks: bool,
        continuing: Continuing,
    ) -> Result<Arc<dyn Driver>, Error> {
        // The path begins with the /v1 that people know from other base URLs.
        let base = self.base.trim_end_matches('/').trim_end_matches("/v1");
        let endpoint = self.at(base, anthropic::PATH, KeyHeader::XApiKey)?;
        let dialect = anthropic::Dialect { version, cache_marks, continuing };
        Ok(Arc::new(Anthropic::new(endpoint, self.model, dialect)))
    }

    fn responses(self, caching: Caching) -> Result<Arc<dyn Driver>, Error> {
        let endpoint = self.at(self.base, responses::PATH, KeyHeader::Bearer)?;
        let keeps_reasoning = is_newer_openai(self.model);
        let dialect = responses::Dialect { keeps_reasoning, cache_key: caching.key };
        let driver = Responses::new(endpoint, self.model, dialect);
        Ok(Arc::new(match self.sibling(openai::PATH)? {
            Some(endpoint) => driver.chat_at(endpoint),
            None => driver,
        }))
    }

    /// Where OpenAI is asked in the other of its two formats. What stands at an address of one's own may
    /// not know it.
    fn sibling(&self, path: &str) -> Result<Option<Endpoint>, Error> {
        let has_both = self.provider.name == "openai" && self.base == self.provider.base_url;
        has_both.then(|| self.at(self.base, path, KeyHeader::Bearer)).transpose()
    }

    fn gemini(self) -> Result<Arc<dyn Driver>, Error> {
        let base = self.base.trim_end_matches('/').trim_end_matches("/v1beta");
        let endpoint = self.at(base, gemini::PATH, KeyHeader::XGoogApiKey)?;
        let dialect = gemini::Dialect::of_model(self.model, self.known);
        Ok(Arc::new(Gemini::new(&endpoint, self.model, dialect)))
    }

    /// What is at `path` under `base`, with the key in this header.
    fn at(&self, base: &str, path: &str, header: KeyHeader) -> Result<Endpoint, Error> {
        let key = self.key.clone().map(|key| (header, key));
        Endpoint::new(self.device, base, path, key, Bounds::default())
    }
}

/// Whether the model is one of those that refuse `max_tokens`, behind whichever address.
pub(super) fn is_newer_openai(model: &str) -> bool {
    ["gpt-5", "gpt-6", "o1", "o3", "o4"].iter().any(|prefix| model.starts_with(prefix))
}

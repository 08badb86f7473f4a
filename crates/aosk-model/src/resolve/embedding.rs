//! From `provider:model` and an environment to an embedder.

use std::sync::Arc;

use aosk_abi::{Error, ErrorCode};

use super::{Env, Named, check_base_url, key, own_base_url, parse};
use crate::embedder::Embedder;
use crate::embeddings::{self, Embeddings};
use crate::endpoint::{Bounds, Endpoint, KeyHeader};
use crate::provider::{PROVIDERS, Provider, Wire};

/// Finds the embedder that `spec` names: `provider:model`, or a provider alone whose server has one
/// model. `base_url` replaces the provider's address. Nobody is asked.
///
/// # Errors
/// `model.unknown` for a provider that is not known, that has no embeddings, or of which no model is
/// named; `model.key_missing` if a key is needed and not set; `config.invalid` if the base URL or the
/// key cannot be used.
pub fn embedder(
    spec: &str,
    base_url: Option<&str>,
    env: Env<'_>,
) -> Result<Arc<dyn Embedder>, Error> {
    if let Some(url) = base_url {
        check_base_url(url, "the embedder's base URL")?;
    }
    let (provider, model) = named(spec)?;
    let own = match base_url {
        Some(url) => Some(url.to_owned()),
        None => own_base_url(provider, env)?,
    };
    let key = key(provider, env);
    if key.is_none() && provider.needs_key && own.is_none() {
        let what = format!("choosing embedder {model} of {}: it needs a key", provider.name);
        return Err(Error::new(ErrorCode::ModelKeyMissing, what)
            .hint(format!("set {}", provider.key_names())));
    }
    let mut base = own.unwrap_or_else(|| provider.base_url.to_owned());
    if provider.wire == Wire::Gemini {
        // Under this path it speaks the format of all others.
        let root = base.trim_end_matches('/').trim_end_matches("/v1beta");
        base = format!("{root}/v1beta/openai");
    }
    let key = key.map(|key| (KeyHeader::Bearer, key));
    let device = format!("{}:{model}", provider.name);
    let endpoint = Endpoint::new(device, &base, embeddings::PATH, key, Bounds::default())?;
    Ok(Arc::new(Embeddings::new(endpoint, model)))
}

/// Checks an embedder's name without asking anybody: whether such a provider has embeddings.
///
/// # Errors
/// `model.unknown` if not.
pub fn check_embedder(spec: &str) -> Result<(), Error> {
    named(spec).map(|_| ())
}

fn named(spec: &str) -> Result<(&'static Provider, &str), Error> {
    let spec = spec.trim();
    let unknown = |what: String| {
        Error::new(ErrorCode::ModelUnknown, format!("choosing embedder {spec}: {what}"))
    };
    let (provider, model) = match parse(spec).map_err(renamed)? {
        Named::Provider(provider, model) => (provider, model),
        Named::Scripted(_) => {
            return Err(unknown("the scripted model embeds nothing".to_owned())
                .hint(format!("providers: {}", providers())));
        }
    };
    if !has_embeddings(provider) {
        return Err(unknown(format!(
            "{} has no embeddings that are asked for here",
            provider.name
        ))
        .hint(format!("providers: {}", providers())));
    }
    let model = model.or_else(|| provider.default_model.filter(|_| !provider.needs_key));
    let model = model.ok_or_else(|| {
        unknown("no model is named".to_owned()).hint(format!("write {}:MODEL", provider.name))
    })?;
    Ok((provider, model))
}

/// The same of an embedder.
fn renamed(mut error: Error) -> Error {
    error.message = error.message.replacen("choosing model", "choosing embedder", 1);
    error
}

fn has_embeddings(provider: &Provider) -> bool {
    match provider.wire {
        Wire::OpenAi { .. } | Wire::Gemini => true,
        Wire::Anthropic { .. } | Wire::Responses => false,
    }
}

fn providers() -> String {
    let known = PROVIDERS.iter().filter(|provider| has_embeddings(provider));
    known.map(|provider| provider.name).collect::<Vec<_>>().join(", ")
}

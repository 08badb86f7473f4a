//! From `provider:model` and an environment to a driver.
//!
//! With nothing named, the first key in the environment decides, in the order of
//! [`PROVIDERS`]; then an Ollama that runs on this machine; then the
//! scripted model, so that everything can be tried without a provider.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aosk_abi::{Error, ErrorCode, Price, Tokens};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::anthropic::{self, Anthropic};
use crate::driver::Driver;
use crate::egress;
use crate::endpoint::{Bounds, Endpoint, KeyHeader};
use crate::openai::{self, LengthField, OpenAi};
use crate::price;
use crate::provider::{self, PROVIDERS, Provider, Wire};
use crate::script::Script;
use crate::scripted::Scripted;
use crate::tokenizer::Tokenizer;

/// The name of the scripted model.
pub const SCRIPTED: &str = "scripted";

/// Bytes of a script. A turn has some hundred, so one that is longer is something else.
const SCRIPT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// How long a server is given to say which models it has. One on this machine answers at once.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);

/// The environment: the value of a variable, if it is set.
pub type Env<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

/// A model that can be asked, and what is known of it.
#[derive(Clone)]
pub struct Resolved {
    /// The device's name: `provider:model`.
    pub device: String,
    /// The driver.
    pub driver: Arc<dyn Driver>,
    /// What it costs; none if that is not known. A model on one's own machine costs nothing.
    pub price: Option<Price>,
    /// What counts its tokens.
    pub tokenizer: Tokenizer,
    /// The model's window, if known.
    pub context: Option<Tokens>,
    /// The longest answer, if known.
    pub output_max: Option<Tokens>,
    /// Concurrent calls that are sensible without knowing the account's rates.
    pub slots: u32,
    /// How the model was chosen.
    pub how: How,
}

/// How a model was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It was named.
    Chosen,
    /// This variable has a key.
    FromEnvironment(&'static str),
    /// An Ollama runs on this machine.
    LocalOllama,
    /// Nothing else was found.
    ScriptedDefault,
}

impl fmt::Debug for Resolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolved")
            .field("device", &self.device)
            .field("price", &self.price)
            .field("tokenizer", &self.tokenizer)
            .field("context", &self.context)
            .field("output_max", &self.output_max)
            .field("slots", &self.slots)
            .field("how", &self.how)
            .finish_non_exhaustive()
    }
}

/// Finds the model that `spec` names, or the best there is if it names none.
///
/// `spec` is `provider:model`, a provider alone for its default model, `scripted`, or
/// `scripted:FILE` for a script of one's own. `base_url` replaces the provider's address; alone it
/// stands for a server that speaks chat completions.
///
/// # Errors
/// `model.unknown` for a provider or model that is not known, `model.key_missing` if a key is
/// needed and not set, `model.unreachable` if a server that should say which models it has does not
/// answer, `config.invalid` if the base URL, the key or the script cannot be used, `io.failed` if
/// the script cannot be read.
pub async fn resolve(
    spec: Option<&str>,
    base_url: Option<&str>,
    env: Env<'_>,
) -> Result<Resolved, Error> {
    if let Some(url) = base_url {
        check_base_url(url, "the base URL")?;
    }
    match (spec.map(str::trim), base_url) {
        (Some(spec), _) => match parse(spec)? {
            Named::Scripted(None) => Ok(scripted(How::Chosen)),
            Named::Scripted(Some(file)) => played(file),
            Named::Provider(provider, model) => named(provider, model, base_url, env).await,
        },
        (None, Some(_)) => match parse("openai")? {
            Named::Provider(provider, _) => named(provider, None, base_url, env).await,
            Named::Scripted(_) => Ok(scripted(How::Chosen)),
        },
        (None, None) => found(env).await,
    }
}

/// Checks a model's name without asking anybody: whether there is such a provider.
///
/// # Errors
/// `model.unknown` if there is none.
pub fn check_name(spec: &str) -> Result<(), Error> {
    parse(spec.trim()).map(|_| ())
}

/// Checks a base URL, which is called `name` in messages. Nothing of it is repeated: it may carry a
/// password.
///
/// # Errors
/// `config.invalid` if it is no address of HTTP, or has a user or a password in it: addresses are
/// written down and keys are not.
pub fn check_base_url(url: &str, name: &str) -> Result<(), Error> {
    let wrong = |what: String| {
        Error::new(ErrorCode::ConfigInvalid, format!("reading {name}: {what}"))
            .hint("a base URL looks like http://127.0.0.1:8000/v1")
    };
    let url: Url =
        url.trim().parse().map_err(|error| wrong(format!("it is no address: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong("it is not http or https".to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        let what = "it has a user or a password before its host";
        return Err(wrong(what.to_owned()).hint(
            "take them out; a key belongs into the variable of the provider, such as OPENAI_API_KEY",
        ));
    }
    Ok(())
}

/// The best there is when nothing is named.
async fn found(env: Env<'_>) -> Result<Resolved, Error> {
    for provider in PROVIDERS.iter().filter(|provider| provider.needs_key) {
        if key(provider, env).is_some() {
            let resolved = named(provider, None, None, env).await?;
            return Ok(Resolved { how: How::FromEnvironment(provider.key_variable), ..resolved });
        }
    }
    if let Some(ollama) = provider::find("ollama") {
        match named(ollama, None, None, env).await {
            Ok(resolved) => return Ok(Resolved { how: How::LocalOllama, ..resolved }),
            // Whoever says where it is wants it, and is told what is wrong with that.
            Err(error) if error.code == ErrorCode::ConfigInvalid => return Err(error),
            Err(_) => {}
        }
    }
    Ok(scripted(How::ScriptedDefault))
}

/// The scripted model with the script in `file`. It is named by the whole path, so that agents that
/// think with it are taken up from any directory.
fn played(file: &str) -> Result<Resolved, Error> {
    let attempted = format!("reading the script {file}");
    let unread = |error: io::Error| {
        Error::new(ErrorCode::Io, format!("{attempted}: {error}"))
            .hint(format!("give a file that is there and can be read, as {SCRIPTED}:FILE"))
    };
    let wrong = |what: &str| {
        Error::new(ErrorCode::ConfigInvalid, format!("{attempted}: {what}"))
            .hint("the form of scripts is in docs/guide/scripts.md")
    };
    let path = Path::new(file).canonicalize().map_err(unread)?;
    let mut text = String::new();
    let mut bounded = File::open(&path).map_err(unread)?.take(SCRIPT_BYTES_MAX + 1);
    let read = bounded.read_to_string(&mut text).map_err(unread)?;
    if u64::try_from(read).is_ok_and(|read| read > SCRIPT_BYTES_MAX) {
        return Err(wrong(&format!("it has more than {SCRIPT_BYTES_MAX} bytes")));
    }
    let script = Script::from_json(&text).map_err(|error| {
        wrong(error.message.strip_prefix("reading the script: ").unwrap_or(&error.message))
    })?;
    Ok(Resolved {
        device: format!("{SCRIPTED}:{}", path.display()),
        driver: Arc::new(Scripted::new(script)),
        ..scripted(How::Chosen)
    })
}

/// The scripted model with its built-in script.
fn scripted(how: How) -> Resolved {
    Resolved {
        device: SCRIPTED.to_owned(),
        driver: Arc::new(Scripted::offline()),
        price: Some(Price::default()),
        tokenizer: Tokenizer::ESTIMATE,
        context: None,
        output_max: None,
        // It takes no time.
        slots: 64,
        how,
    }
}

/// What a text names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named<'a> {
    /// The scripted model, with its own script or with that of a file.
    Scripted(Option<&'a str>),
    /// A provider, and a model of it or its default.
    Provider(&'static Provider, Option<&'a str>),
}

/// The provider and the model that a text names.
fn parse(spec: &str) -> Result<Named<'_>, Error> {
    let (name, model) = match spec.split_once(':') {
        Some((name, model)) => (name.trim(), Some(model.trim())),
        None => (spec, None),
    };
    let wrong = |what: String| Error::new(ErrorCode::ModelUnknown, what);
    if name.is_empty() {
        return Err(wrong("choosing a model: no provider is named".to_owned())
            .hint(format!("write provider:model, or {SCRIPTED}")));
    }
    if model == Some("") {
        return Err(wrong(format!("choosing model {spec}: no model is named"))
            .hint(format!("write {name}:MODEL, or {name} alone for its default")));
    }
    if name.eq_ignore_ascii_case(SCRIPTED) {
        return Ok(Named::Scripted(model));
    }
    match provider::find(name) {
        Some(provider) => Ok(Named::Provider(provider, model)),
        None => {
            let what = format!("choosing model {spec}: no provider is called {name}");
            Err(wrong(what).hint(instead_of(spec, name)))
        }
    }
}

/// What to write instead of a name that no provider has.
fn instead_of(spec: &str, name: &str) -> String {
    if name == "replay" {
        return "recorded conversations are run by `aosk trace run FILE`; \
                a script is played by scripted:FILE"
            .to_owned();
    }
    if let Some(known) = price::models().iter().find(|known| known.id == spec) {
        return format!("write {}:{spec}", known.provider);
    }
    let near = provider::near(name);
    let guess = if near.is_empty() {
        String::new()
    } else {
        format!("did you mean {}? ", near.join(" or "))
    };
    let names: Vec<_> = PROVIDERS.iter().map(|provider| provider.name).collect();
    let names = names.join(", ");
    format!(
        "{guess}write provider:model; providers: {names}; \
         or {SCRIPTED}, offline, or {SCRIPTED}:FILE, which plays a script"
    )
}

/// The driver of a model of `provider`.
async fn named(
    provider: &'static Provider,
    model: Option<&str>,
    base_url: Option<&str>,
    env: Env<'_>,
) -> Result<Resolved, Error> {
    let own = match base_url {
        Some(url) => Some(url.to_owned()),
        None => own_base_url(provider, env)?,
    };
    let is_own = own.is_some();
    let base = own.unwrap_or_else(|| provider.base_url.to_owned());
    let key = key(provider, env);
    if key.is_none() && provider.needs_key && !is_own {
        let attempted = model.unwrap_or("the default model");
        let what = format!("choosing {attempted} of {}: it needs a key", provider.name);
        return Err(Error::new(ErrorCode::ModelKeyMissing, what)
            .hint(format!("set {}", provider.key_variable)));
    }
    let model = match (model, provider.default_model) {
        (Some(model), _) => model.to_owned(),
        (None, Some(model)) if !is_own => model.to_owned(),
        (None, _) => first_model(provider, &base, key.as_ref()).await?,
    };
    let device = format!("{}:{model}", provider.name);
    let known = price::find(provider.name, &model);
    let is_free = !provider.needs_key;
    Ok(Resolved {
        driver: driver(provider, &device, &model, &base, key)?,
        device,
        price: known.map(price::Model::price).or_else(|| is_free.then(Price::default)),
        tokenizer: Tokenizer::of_model(&model),
        context: known.and_then(|known| known.context),
        output_max: known.and_then(|known| known.output_max),
        slots: provider.slots,
        how: How::Chosen,
    })
}

fn driver(
    provider: &Provider,
    device: &str,
    model: &str,
    base: &str,
    key: Option<SecretString>,
) -> Result<Arc<dyn Driver>, Error> {
    let bounds = Bounds::default();
    Ok(match provider.wire {
        Wire::OpenAi { reasoning, stream_usage } => {
            let key = key.map(|key| (KeyHeader::Bearer, key));
            let endpoint = Endpoint::new(device, base, openai::PATH, key, bounds)?;
            let length = if provider.name == "openai"
                && (base == provider.base_url || is_newer_openai(model))
            {
                LengthField::MaxCompletionTokens
            } else {
                LengthField::MaxTokens
            };
            Arc::new(OpenAi::new(
                endpoint,
                model,
                openai::Dialect { length, reasoning, stream_usage },
            ))
        }
        Wire::Anthropic { version, cache_marks } => {
            let key = key.map(|key| (KeyHeader::XApiKey, key));
            // The path begins with the /v1 that people know from other base URLs.
            let base = base.trim_end_matches('/').trim_end_matches("/v1");
            let endpoint = Endpoint::new(device, base, anthropic::PATH, key, bounds)?;
            Arc::new(Anthropic::new(endpoint, model, anthropic::Dialect { version, cache_marks }))
        }
    })
}

/// Whether the model is one of those that refuse `max_tokens`, behind whichever address.
fn is_newer_openai(model: &str) -> bool {
    ["gpt-5", "gpt-6", "o1", "o3", "o4"].iter().any(|prefix| model.starts_with(prefix))
}

/// The key in the environment, if there is one.
fn key(provider: &Provider, env: Env<'_>) -> Option<SecretString> {
    let key = env(provider.key_variable)?;
    let key = key.trim();
    (!key.is_empty()).then(|| SecretString::from(key))
}

/// The address that the environment gives instead of the provider's own.
fn own_base_url(provider: &Provider, env: Env<'_>) -> Result<Option<String>, Error> {
    let is_ollama = provider.name == "ollama";
    let variable = if is_ollama { Some("OLLAMA_HOST") } else { provider.base_url_variable };
    let Some(variable) = variable else { return Ok(None) };
    let Some(value) = env(variable).filter(|value| !value.trim().is_empty()) else {
        return Ok(None);
    };
    let url = if is_ollama { ollama_url(&value) } else { value };
    check_base_url(&url, variable)?;
    Ok(Some(url))
}

/// The base URL for a value of `OLLAMA_HOST`: an address with or without scheme and port, which may
/// be the one that the server listens on.
fn ollama_url(host: &str) -> String {
    let host = host.trim().trim_end_matches('/');
    let (scheme, rest) = host.split_once("://").unwrap_or(("http", host));
    let port = if rest.contains(':') || scheme == "https" { "" } else { ":11434" };
    format!("{scheme}://{}{port}/v1", rest.replacen("0.0.0.0", "127.0.0.1", 1))
}

/// The first model that a server of one's own offers.
async fn first_model(
    provider: &Provider,
    base: &str,
    key: Option<&SecretString>,
) -> Result<String, Error> {
    let attempted = format!("asking {} which models it has", provider.name);
    let wrong = |error: &dyn fmt::Display| {
        Error::new(ErrorCode::ConfigInvalid, format!("{attempted}: {error}"))
    };
    let url: Url =
        format!("{}/models", base.trim_end_matches('/')).parse().map_err(|error| wrong(&error))?;
    let place = egress::place(provider.name, &url);
    let client = egress::client(&url).map_err(|error| wrong(&error))?;
    let mut request = client.get(url).timeout(PROBE_TIMEOUT);
    if let Some(key) = key {
        request = request.bearer_auth(key.expose_secret());
    }
    let answer = async { request.send().await?.error_for_status()?.bytes().await };
    let answer = answer.await.map_err(|error| {
        let failure = egress::failure(&place, error);
        let hint = if failure.hint == egress::PLAIN_SERVER {
            failure.hint
        } else {
            format!("start the server, or name the model: {}:MODEL", provider.name)
        };
        Error::new(ErrorCode::ModelUnreachable, format!("{attempted}: {}", failure.message))
            .hint(hint)
    })?;
    let list: ModelList = serde_json::from_slice(&answer).unwrap_or_default();
    // Models that only embed cannot answer.
    let first = list.data.into_iter().map(|model| model.id).find(|id| !id.contains("embed"));
    first.ok_or_else(|| {
        Error::new(ErrorCode::ModelUnknown, format!("{attempted}: it has none"))
            .hint(format!("install one, or name one: {}:MODEL", provider.name))
    })
}

#[derive(Default, Deserialize)]
struct ModelList {
    #[serde(default)]
    data: Vec<ListedModel>,
}

#[derive(Deserialize)]
struct ListedModel {
    id: String,
}

#[cfg(test)]
mod tests;

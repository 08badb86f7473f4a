//! From `provider:model` and an environment to a driver.
//!
//! With nothing named, the first key in the environment decides, in the order of
//! [`PROVIDERS`]; then an Ollama that runs on this machine; then the
//! scripted model, so that everything can be tried without a provider.

mod embedding;
mod wiring;

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use aosk_abi::{Abilities, Error, ErrorCode, Price, Quality, Tokens};
use reqwest::Url;
use secrecy::SecretString;

use crate::caching::{self, Caching};
use crate::catalogue::Catalogue;
use crate::continuing::{self, Continuation};
use crate::driver::Driver;
use crate::own_server::OwnServer;
use crate::price::{self, Model};
use crate::provider::{self, PROVIDERS, Provider};
use crate::script::Script;
use crate::scripted::Scripted;
use crate::tokenizer::Tokenizer;

pub use embedding::{check_embedder, embedder};
use wiring::Wiring;

/// The name of the scripted model.
pub const SCRIPTED: &str = "scripted";

/// Bytes of a script. A turn has some hundred, so one that is longer is something else.
const SCRIPT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The environment: the value of a variable, if it is set.
pub type Env<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

/// Where a model is looked for.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The environment.
    pub env: Env<'a>,
    /// What is known of models.
    pub catalogue: &'a Catalogue,
}

impl fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").field("catalogue", self.catalogue).finish_non_exhaustive()
    }
}

/// A model that can be asked, and what is known of it.
#[derive(Clone)]
pub struct Resolved {
    /// The device's name: `provider:model`.
    pub device: String,
    /// The driver.
    pub driver: Arc<dyn Driver>,
    /// What it costs; none if that is not known. A model on one's own machine costs nothing.
    pub price: Option<Price>,
    /// What it costs when what it writes to the cache is to live long, where that is another price.
    pub long_price: Option<Price>,
    /// The class of its prefix cache, by the name that the kernel has for it.
    pub cache: &'static str,
    /// The class with the longer lifetime, if the provider offers one.
    pub long_cache: Option<&'static str>,
    /// What counts its tokens.
    pub tokenizer: Tokenizer,
    /// The model's window, if known. A server of one's own has been asked.
    pub context: Option<Tokens>,
    /// The longest answer, if known.
    pub output_max: Option<Tokens>,
    /// What it can do of what not every model can; none if that is not known.
    pub abilities: Option<Abilities>,
    /// How good its answers are; none if that is not known.
    pub quality: Option<Quality>,
    /// Concurrent calls that are sensible without knowing the account's rates.
    pub slots: u32,
    /// Whether what it reads from its cache does not count to its rate of tokens.
    pub reads_free: bool,
    /// Whether it can go on from an answer that was begun.
    pub continues: bool,
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
            .field("long_price", &self.long_price)
            .field("cache", &self.cache)
            .field("long_cache", &self.long_cache)
            .field("tokenizer", &self.tokenizer)
            .field("context", &self.context)
            .field("output_max", &self.output_max)
            .field("abilities", &self.abilities)
            .field("quality", &self.quality)
            .field("slots", &self.slots)
            .field("reads_free", &self.reads_free)
            .field("continues", &self.continues)
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
    resolve_in(spec, base_url, Surroundings { env, catalogue: &Catalogue::default() }).await
}

/// The same with a catalogue of one's own.
///
/// # Errors
/// As [`resolve`].
pub async fn resolve_in(
    spec: Option<&str>,
    base_url: Option<&str>,
    around: Surroundings<'_>,
) -> Result<Resolved, Error> {
    if let Some(url) = base_url {
        check_base_url(url, "the base URL")?;
    }
    match (spec.map(str::trim), base_url) {
        (Some(spec), _) => match parse(spec)? {
            Named::Scripted(None) => Ok(scripted(How::Chosen)),
            Named::Scripted(Some(file)) => played(file),
            Named::Provider(provider, model) => named(provider, model, base_url, around).await,
        },
        (None, Some(_)) => match parse("openai")? {
            Named::Provider(provider, _) => named(provider, None, base_url, around).await,
            Named::Scripted(_) => Ok(scripted(How::Chosen)),
        },
        (None, None) => found(around).await,
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
async fn found(around: Surroundings<'_>) -> Result<Resolved, Error> {
    for provider in PROVIDERS.iter().filter(|provider| provider.needs_key) {
        if let Some((variable, _)) = keyed(provider, around.env) {
            let resolved = named(provider, None, None, around).await?;
            return Ok(Resolved { how: How::FromEnvironment(variable), ..resolved });
        }
    }
    if let Some(ollama) = provider::find("ollama") {
        match named(ollama, None, None, around).await {
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
        long_price: None,
        cache: caching::OWN,
        long_cache: None,
        tokenizer: Tokenizer::ESTIMATE,
        context: None,
        output_max: None,
        abilities: None,
        quality: None,
        // It takes no time.
        slots: 64,
        reads_free: false,
        continues: true,
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
    around: Surroundings<'_>,
) -> Result<Resolved, Error> {
    let Surroundings { env, catalogue } = around;
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
            .hint(format!("set {}", provider.key_names())));
    }
    let server = OwnServer { provider, base: &base, key: key.as_ref() };
    let (model, listed) = match (model, provider.default_model) {
        (Some(model), _) => (model.to_owned(), None),
        (None, Some(model)) if !is_own => (model.to_owned(), None),
        (None, _) => {
            let first = server.first_model().await?;
            (first.id.clone(), Some(first))
        }
    };
    let device = format!("{}:{model}", provider.name);
    let known = catalogue.find(provider.models_of(), &model);
    let context = match known.and_then(|known| known.context) {
        None if is_own || !provider.needs_key => server.context(&model, listed.as_ref()).await,
        context => context,
    };
    let is_free = !provider.needs_key;
    let caching = Caching::of(provider, &model, known, is_own);
    let (continuing, continued_at) = continuing::of(provider, &model, is_own);
    let wiring = Wiring {
        provider,
        known,
        wire: wiring::wire(provider, known, is_own),
        device: &device,
        model: &model,
        base: &base,
        key,
    };
    let long_price = known.filter(|_| caching.long_class.is_some()).and_then(Model::long_price);
    Ok(Resolved {
        driver: wiring.driver(caching, continuing, continued_at)?,
        device,
        price: known.map(Model::price).or_else(|| is_free.then(Price::default)),
        long_price,
        cache: caching.class,
        long_cache: caching.long_class,
        tokenizer: Tokenizer::of_model(&model),
        context,
        output_max: known.and_then(|known| known.output_max),
        abilities: known.and_then(Model::abilities),
        quality: known.and_then(|known| known.quality),
        slots: provider.slots,
        reads_free: provider.reads_free(),
        continues: continuing.how != Continuation::Never,
        how: How::Chosen,
    })
}

/// The key in the environment, if there is one.
fn key(provider: &Provider, env: Env<'_>) -> Option<SecretString> {
    keyed(provider, env).map(|(_, key)| key)
}

/// The first variable that has the provider's key, and the key.
fn keyed(provider: &Provider, env: Env<'_>) -> Option<(&'static str, SecretString)> {
    provider.key_variables().find_map(|variable| {
        let key = env(variable)?;
        let key = key.trim();
        (!key.is_empty()).then(|| (variable, SecretString::from(key)))
    })
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

#[cfg(test)]
mod tests;

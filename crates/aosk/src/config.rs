//! The configuration file: what the command line leaves open. Everything in it is optional, and what
//! stands there is checked as a whole, so that a mistake is told with its line.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use aosk::abi::{Error, ErrorCode, PermissionLevel};
use aosk::kernel::memory::{Prefer, replacement};
use aosk::kernel::policy;
use aosk::model::resolve;
use clap::ValueEnum;
use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;

use crate::cli::{Level, Preference};
use crate::term::cut;

/// Bytes of the file. One that is longer is something else.
const BYTES_MAX: u64 = 64 * 1024;

/// Characters of a value that are repeated in a message.
const VALUE_MAX: usize = 60;

/// The file's content.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Config {
    /// Where it was read from.
    pub(crate) path: PathBuf,
    /// `provider:model`; found from the environment if none.
    pub(crate) default_model: Option<String>,
    /// The address of the model's provider, in place of the usual one.
    pub(crate) base_url: Option<String>,
    /// What agents may touch.
    pub(crate) permission: Option<PermissionLevel>,
    /// Model calls at once.
    pub(crate) slots: Option<u32>,
    /// The scheduler policy.
    pub(crate) policy: Option<String>,
    /// Tokens that a request and its answer may take together.
    pub(crate) window: Option<u64>,
    /// What leaves the window when it is full.
    pub(crate) replacement: Option<String>,
    /// What matters most when something leaves.
    pub(crate) prefer: Option<Prefer>,
    /// The model that makes summaries of what leaves.
    pub(crate) summary_model: Option<String>,
    /// Whether agents are offered the calls for tasks.
    pub(crate) tasks: Option<bool>,
    /// `provider:model` of the embedder; none if not.
    pub(crate) embedder: Option<String>,
    /// The address of the embedder's provider, in place of the usual one.
    pub(crate) embedder_url: Option<String>,
}

/// The file as it is written: any value under each key, with the line it stands on.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    default_model: Option<Spanned<Value>>,
    base_url: Option<Spanned<Value>>,
    permission: Option<Spanned<Value>>,
    slots: Option<Spanned<Value>>,
    policy: Option<Spanned<Value>>,
    window: Option<Spanned<Value>>,
    replacement: Option<Spanned<Value>>,
    prefer: Option<Spanned<Value>>,
    summary_model: Option<Spanned<Value>>,
    tasks: Option<Spanned<Value>>,
    embedder: Option<Spanned<Value>>,
    embedder_url: Option<Spanned<Value>>,
}

/// Reads the file; an empty configuration if there is none and none was asked for.
pub(crate) fn read(given: Option<&PathBuf>) -> Result<Config, Error> {
    let path = crate::paths::config_file(given)?;
    let wrong = |what: &str| {
        let text = format!("reading the configuration {}: {what}", path.display());
        Error::new(ErrorCode::ConfigInvalid, text)
    };
    let text = match bounded(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && given.is_none() => String::new(),
        Err(error) => {
            return Err(wrong(&error.to_string())
                .hint("give a file that can be read with --config, or none"));
        }
    };
    let written: Written = if text.trim().is_empty() {
        Written::default()
    } else {
        serde_saphyr::from_str(&text).map_err(|error| {
            let first = error.to_string();
            wrong(first.lines().next().unwrap_or_default()).hint(
                "keys: default_model, base_url, permission, slots, policy, window, replacement, \
                 prefer, summary_model, tasks, embedder, embedder_url",
            )
        })?
    };
    let at = |line: u64, error: Error| {
        let line = if line == 0 { String::new() } else { format!("line {line}: ") };
        wrong(&format!("{line}{}", error.message)).hint(error.hint)
    };
    Ok(Config {
        default_model: key(written.default_model, model)
            .map_err(|(line, error)| at(line, error))?,
        base_url: key(written.base_url, base_url).map_err(|(line, error)| at(line, error))?,
        permission: key(written.permission, permission).map_err(|(line, error)| at(line, error))?,
        slots: key(written.slots, slots).map_err(|(line, error)| at(line, error))?,
        policy: key(written.policy, policy_name).map_err(|(line, error)| at(line, error))?,
        window: key(written.window, window).map_err(|(line, error)| at(line, error))?,
        replacement: key(written.replacement, replacement_name)
            .map_err(|(line, error)| at(line, error))?,
        prefer: key(written.prefer, prefer).map_err(|(line, error)| at(line, error))?,
        summary_model: key(written.summary_model, summary_model)
            .map_err(|(line, error)| at(line, error))?,
        tasks: key(written.tasks, tasks).map_err(|(line, error)| at(line, error))?,
        embedder: key(written.embedder, embedder).map_err(|(line, error)| at(line, error))?,
        embedder_url: key(written.embedder_url, embedder_url)
            .map_err(|(line, error)| at(line, error))?,
        path,
    })
}

/// Checks the value of a key with `check`; an error comes with its line.
fn key<T>(
    written: Option<Spanned<Value>>,
    check: fn(&Value) -> Result<T, Error>,
) -> Result<Option<T>, (u64, Error)> {
    let Some(Spanned { value, referenced, .. }) = written else { return Ok(None) };
    check(&value).map(Some).map_err(|error| (referenced.line(), error))
}

/// What a key must be, in words and with an example; `value` is what it is.
fn must(key: &str, value: &Value, be: &str, example: &str) -> Error {
    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let text = format!("{key} is {:?} and must be {be}", cut(&value, VALUE_MAX));
    Error::new(ErrorCode::ConfigInvalid, text).hint(format!("write, for example, {key}: {example}"))
}

fn model(value: &Value) -> Result<String, Error> {
    let example = "anthropic:claude-haiku-4-5";
    let Some(name) = value.as_str() else {
        return Err(must("default_model", value, "a model's name", example));
    };
    resolve::check_name(name).map_err(|error| {
        let text = format!("default_model: {}", error.message);
        Error::new(ErrorCode::ConfigInvalid, text).hint(error.hint)
    })?;
    Ok(name.to_owned())
}

fn summary_model(value: &Value) -> Result<String, Error> {
    let Some(name) = value.as_str() else {
        let example = "anthropic:claude-haiku-4-5";
        return Err(must("summary_model", value, "a model's name", example));
    };
    resolve::check_name(name).map_err(|error| {
        let text = format!("summary_model: {}", error.message);
        Error::new(ErrorCode::ConfigInvalid, text).hint(error.hint)
    })?;
    Ok(name.to_owned())
}

fn tasks(value: &Value) -> Result<bool, Error> {
    value.as_bool().ok_or_else(|| must("tasks", value, "true or false", "true"))
}

/// What is wrong with it is said without it: an address may carry a password.
fn base_url(value: &Value) -> Result<String, Error> {
    let url = value.as_str().unwrap_or_default();
    resolve::check_base_url(url, "base_url")?;
    Ok(url.to_owned())
}

fn embedder(value: &Value) -> Result<String, Error> {
    let Some(name) = value.as_str() else {
        return Err(must("embedder", value, "an embedder's name", "openai:text-embedding-3-small"));
    };
    resolve::check_embedder(name).map_err(|error| {
        let text = format!("embedder: {}", error.message);
        Error::new(ErrorCode::ConfigInvalid, text).hint(error.hint)
    })?;
    Ok(name.to_owned())
}

fn embedder_url(value: &Value) -> Result<String, Error> {
    let url = value.as_str().unwrap_or_default();
    resolve::check_base_url(url, "embedder_url")?;
    Ok(url.to_owned())
}

fn permission(value: &Value) -> Result<PermissionLevel, Error> {
    let level = value.as_str().and_then(|word| Level::from_str(word, /*ignore_case*/ true).ok());
    level.map(PermissionLevel::from).ok_or_else(|| {
        must("permission", value, "restricted, standard, advanced or full", "standard")
    })
}

fn slots(value: &Value) -> Result<u32, Error> {
    let slots = value.as_u64().and_then(|slots| u32::try_from(slots).ok());
    let slots = slots.filter(|slots| *slots > 0);
    slots.ok_or_else(|| must("slots", value, "a whole number from 1", "4"))
}

fn policy_name(value: &Value) -> Result<String, Error> {
    let name = value.as_str().unwrap_or_default();
    match policy(name) {
        Ok(policy) => Ok(policy.name().to_owned()),
        Err(error) => {
            let known = error.hint.strip_prefix("policies: ").unwrap_or_default();
            Err(must("policy", value, &format!("one of {known}"), "fair"))
        }
    }
}

fn window(value: &Value) -> Result<u64, Error> {
    let tokens = value.as_u64().filter(|tokens| *tokens >= 256);
    tokens.ok_or_else(|| must("window", value, "a number of tokens from 256", "32000"))
}

fn replacement_name(value: &Value) -> Result<String, Error> {
    match replacement(value.as_str().unwrap_or_default()) {
        Ok(replacement) => Ok(replacement.name().to_owned()),
        Err(error) => {
            let known = error.hint.strip_prefix("policies: ").unwrap_or_default();
            Err(must("replacement", value, &format!("one of {known}"), "priced"))
        }
    }
}

fn prefer(value: &Value) -> Result<Prefer, Error> {
    let word = value.as_str();
    let known = word.and_then(|word| Preference::from_str(word, /*ignore_case*/ true).ok());
    known
        .map(Prefer::from)
        .ok_or_else(|| must("prefer", value, "cost, quality or utilisation", "cost"))
}

/// The text of a file, which is never read further than it may be long.
fn bounded(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    let read = File::open(path)?.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if u64::try_from(read).is_ok_and(|read| read > BYTES_MAX) {
        return Err(io::Error::other(format!("it has more than {BYTES_MAX} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8"))
}

//! The configuration file: what the command line leaves open. Everything in it is optional, and what
//! stands there is checked as a whole, so that a mistake is told with its line.

mod device;
mod group;
mod leaf;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use aosk::abi::{Error, ErrorCode, Millis, PermissionLevel, limits};
use aosk::kernel::memory::{Prefer, replacement};
use aosk::kernel::{GroupConfig, Route, policy};
use aosk::model::resolve;
use clap::ValueEnum;
use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;

use crate::cli::{Level, Preference};

pub(crate) use self::device::Device;
pub(crate) use self::group::check_name as check_group;
use self::leaf::{Leaf, Names, key, must};

/// Bytes of the file. One that is longer is something else.
const BYTES_MAX: u64 = 64 * 1024;

/// The keys there are.
const KEYS: &str = "keys: default_model, base_url, permission, slots, policy, slice, window, \
    replacement, prefer, summary_model, tasks, embedder, embedder_url, groups, devices, routes";

/// The file's content.
#[derive(Debug, Clone, PartialEq)]
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
    /// How long a call may run while others wait; none if until it ends.
    pub(crate) slice: Option<Millis>,
    /// Tenants and groups, by name.
    pub(crate) groups: BTreeMap<String, GroupConfig>,
    /// What is said of models, by the names they are written with.
    pub(crate) devices: BTreeMap<String, Device>,
    /// Names that several models answer to; the models as they are written.
    pub(crate) routes: BTreeMap<String, Route>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            path: PathBuf::new(),
            default_model: None,
            base_url: None,
            permission: None,
            slots: None,
            policy: None,
            window: None,
            replacement: None,
            prefer: None,
            summary_model: None,
            tasks: None,
            embedder: None,
            embedder_url: None,
            slice: Some(limits::TIME_SLICE),
            groups: BTreeMap::new(),
            devices: BTreeMap::new(),
            routes: BTreeMap::new(),
        }
    }
}

/// The file as it is written: any value under each key, with the line it stands on.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    default_model: Leaf,
    base_url: Leaf,
    permission: Leaf,
    slots: Leaf,
    policy: Leaf,
    window: Leaf,
    replacement: Leaf,
    prefer: Leaf,
    summary_model: Leaf,
    tasks: Leaf,
    embedder: Leaf,
    embedder_url: Leaf,
    slice: Leaf,
    groups: Names<Option<group::Written>>,
    devices: Names<Option<device::Written>>,
    routes: Names<Spanned<Value>>,
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
            wrong(first.lines().next().unwrap_or_default()).hint(KEYS)
        })?
    };
    let at = |line: u64, error: Error| {
        let line = if line == 0 { String::new() } else { format!("line {line}: ") };
        wrong(&format!("{line}{}", error.message)).hint(error.hint)
    };
    checked(written, path.clone()).map_err(|(line, error)| at(line, error))
}

/// The content of a file that has the keys it may have.
fn checked(written: Written, path: PathBuf) -> leaf::Read<Config> {
    let routes = device::routes(written.routes)?;
    Ok(Config {
        path,
        default_model: key(written.default_model, |value| model(value, &routes))?,
        base_url: key(written.base_url, base_url)?,
        permission: key(written.permission, permission)?,
        slots: key(written.slots, |value| device::slots("slots", value))?,
        policy: key(written.policy, policy_name)?,
        window: key(written.window, window)?,
        replacement: key(written.replacement, replacement_name)?,
        prefer: key(written.prefer, prefer)?,
        summary_model: key(written.summary_model, summary_model)?,
        tasks: key(written.tasks, tasks)?,
        embedder: key(written.embedder, embedder)?,
        embedder_url: key(written.embedder_url, embedder_url)?,
        slice: key(written.slice, slice)?.unwrap_or(Some(limits::TIME_SLICE)),
        groups: group::all(written.groups)?,
        devices: device::all(written.devices)?,
        routes,
    })
}

fn model(value: &Value, routes: &BTreeMap<String, Route>) -> Result<String, Error> {
    let example = "anthropic:claude-haiku-4-5";
    let Some(name) = value.as_str() else {
        return Err(must("default_model", value, "a model's name", example));
    };
    if routes.contains_key(name) {
        return Ok(name.to_owned());
    }
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

/// How long a call may run while others wait; none if until it ends.
fn slice(value: &Value) -> Result<Option<Millis>, Error> {
    // YAML of old takes the word for a boolean.
    if value.as_str() == Some("off") || *value == Value::Bool(false) {
        return Ok(None);
    }
    let seconds = value.as_u64().filter(|seconds| *seconds > 0);
    let seconds = seconds.ok_or_else(|| must("slice", value, "seconds from 1, or off", "30"));
    seconds.map(|seconds| Some(Millis::from_secs(seconds)))
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

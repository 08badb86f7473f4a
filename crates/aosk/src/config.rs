//! The configuration file: what the command line leaves open. Everything in it is optional, and what
//! stands there is checked as a whole, so that a mistake is told with its line.

pub(crate) mod changes;
mod device;
pub(crate) mod example;
mod group;
pub(crate) mod keys;
mod layer;
mod leaf;
mod llms;
mod otel;
mod route;
mod rows;
mod secret;
mod section;
mod tree;
mod unknown;
mod variable;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use aosk::abi::{Error, ErrorCode, Millis, PermissionLevel, limits};
use aosk::kernel::memory::{Prefer, replacement};
use aosk::kernel::{GroupConfig, Route, policy};
use aosk::model::resolve;
use clap::ValueEnum;
use serde_json::Value;

use crate::cli::{Level, Preference};

pub(crate) use self::device::Device;
pub(crate) use self::group::check_name as check_group;
pub(crate) use self::layer::{Given, strange};
use self::llms::Listed;
pub(crate) use self::otel::Otel;
pub(crate) use self::rows::Row;
use self::secret::Keys;
use self::section::{Found, Read, Section};
pub(crate) use self::tree::{Item, Origin};
use self::variable::Env;

/// Bytes of the file. One that is longer is something else.
const BYTES_MAX: u64 = 64 * 1024;

/// The file's content.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// Where it was read from.
    pub(crate) path: PathBuf,
    /// Keys of providers, for variables that the environment lacks.
    pub(crate) keys: Keys,
    /// `provider:model`; found from the environment if none.
    pub(crate) default_model: Option<String>,
    /// Who named it, in words.
    pub(crate) default_model_of: String,
    /// The address of the model's provider, in place of the usual one.
    pub(crate) base_url: Option<String>,
    /// What agents may touch.
    pub(crate) permission: Option<PermissionLevel>,
    /// Model calls at once.
    pub(crate) slots: Option<u32>,
    /// Tool calls at once.
    pub(crate) tool_slots: Option<u32>,
    /// The scheduler policy.
    pub(crate) policy: Option<String>,
    /// Tokens that a request and its answer may take together.
    pub(crate) window: Option<u64>,
    /// What leaves the window when it is full.
    pub(crate) replacement: Option<String>,
    /// What matters most when something leaves.
    pub(crate) prefer: Option<Prefer>,
    /// The file of a table of needs.
    pub(crate) need_table: Option<PathBuf>,
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
    /// How much is logged; what is usual if none.
    pub(crate) log: Option<String>,
    /// The collector that is told of what happens.
    pub(crate) otel: Otel,
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
            keys: Keys::default(),
            default_model: None,
            default_model_of: String::new(),
            base_url: None,
            permission: None,
            slots: None,
            tool_slots: None,
            policy: None,
            window: None,
            replacement: None,
            prefer: None,
            need_table: None,
            summary_model: None,
            tasks: None,
            embedder: None,
            embedder_url: None,
            slice: Some(limits::TIME_SLICE),
            log: None,
            otel: Otel::default(),
            groups: BTreeMap::new(),
            devices: BTreeMap::new(),
            routes: BTreeMap::new(),
        }
    }
}

/// The configuration, and where each part of it comes from.
#[derive(Debug)]
pub(crate) struct Settings {
    /// As it is used.
    pub(crate) config: Config,
    /// As it was said.
    pub(crate) said: Item,
}

impl Settings {
    /// Every setting in force.
    pub(crate) fn rows(&self) -> Vec<Row> {
        rows::rows(&self.said)
    }
}

/// Reads the file; an empty configuration if there is none and none was asked for.
pub(crate) fn read(given: Option<&PathBuf>) -> Result<Config, Error> {
    settings(given, &[]).map(|settings| settings.config)
}

/// The same with options of the command line before it, and with where everything comes from.
pub(crate) fn settings(given: Option<&PathBuf>, options: &[Given]) -> Result<Settings, Error> {
    let path = crate::paths::config_file(given)?;
    let file = match File::open(&path).and_then(bounded) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound && given.is_none() => {
            Written { text: String::new(), is_private: true }
        }
        Err(error) => {
            return Err(wrong(&path, &Origin::Default, &error.to_string())
                .hint("give a file that can be read with --config, or none"));
        }
    };
    let env = |name: &str| std::env::var(name).ok();
    load(&file, &path, &env, options)
        .map_err(|(origin, error)| wrong(&path, &origin, &error.message).hint(error.hint))
}

/// A file that was read.
struct Written {
    text: String,
    /// Whether nobody but its owner can read it.
    is_private: bool,
}

/// What is wrong, with where.
fn wrong(path: &Path, origin: &Origin, what: &str) -> Error {
    let text = match origin {
        Origin::Default => format!("reading the configuration {}: {what}", path.display()),
        Origin::Line(line) => {
            format!("reading the configuration {}: line {line}: {what}", path.display())
        }
        Origin::Variable(name) => format!("reading the variable {name}: {what}"),
        Origin::Flag(flag) => format!("reading {flag}: {what}"),
    };
    Error::new(ErrorCode::ConfigInvalid, text)
}

fn load(file: &Written, path: &Path, env: Env<'_>, options: &[Given]) -> Read<Settings> {
    let mut said = tree::parse(&file.text, env)?;
    unknown::check(&said)?;
    layer::environment(&mut said, env);
    layer::options(&mut said, options);
    let (mut config, origin) = checked(&Section::root(&said)?, path.to_path_buf())?;
    // So that it is shown where it came from the list.
    let is_said = Section::root(&said)?.key(&keys::DEFAULT_MODEL).is_some();
    if let Some(model) = config.default_model.as_ref().filter(|_| !is_said) {
        layer::put(&mut said, &keys::DEFAULT_MODEL, model.clone(), origin);
    }
    config.keys = secret::all(&Section::root(&said)?.section("api_keys")?, file.is_private)?;
    secret::forget(&mut said);
    Ok(Settings { config, said })
}

/// The content of a file that has the keys it may have, and where its `default_model` comes from.
fn checked(root: &Section<'_>, path: PathBuf) -> Read<(Config, Origin)> {
    let routes = route::routes(&root.section("routes")?)?;
    let mut devices = device::all(&root.section("devices")?)?;
    let listed = llms::all(&root.section("llms")?, &mut devices)?;
    let (default_model, origin) = default_model(root, &routes, &listed)?;
    let config = Config {
        default_model,
        default_model_of: match &origin {
            Origin::Default | Origin::Line(_) => format!("the default_model of {}", path.display()),
            Origin::Variable(_) | Origin::Flag(_) => origin.shown(&path),
        },
        path,
        keys: Keys::default(),
        base_url: leaf::address(root, &keys::BASE_URL)?,
        permission: root
            .read(&keys::PERMISSION, |found| {
                leaf::word(found, |word| Level::from_str(word, /*ignore_case*/ true).ok())
            })?
            .map(PermissionLevel::from),
        slots: leaf::slots(root, &keys::SLOTS)?,
        tool_slots: leaf::slots(root, &keys::TOOL_SLOTS)?,
        policy: root.read(&keys::POLICY, |found| {
            leaf::word(found, |word| Some(policy(word).ok()?.name().to_owned()))
        })?,
        window: root.read(&keys::WINDOW, |found| {
            let tokens = found.value.as_u64().filter(|tokens| *tokens >= 256);
            tokens.ok_or_else(|| found.must())
        })?,
        replacement: root.read(&keys::REPLACEMENT, |found| {
            leaf::word(found, |word| Some(replacement(word).ok()?.name().to_owned()))
        })?,
        prefer: root
            .read(&keys::PREFER, |found| {
                leaf::word(found, |word| Preference::from_str(word, /*ignore_case*/ true).ok())
            })?
            .map(Prefer::from),
        need_table: leaf::file(root, &keys::NEED_TABLE)?,
        summary_model: leaf::named(root, &keys::SUMMARY_MODEL, resolve::check_name)?,
        tasks: leaf::boolean(root, &keys::TASKS)?,
        embedder: leaf::named(root, &keys::EMBEDDER, resolve::check_embedder)?,
        embedder_url: leaf::address(root, &keys::EMBEDDER_URL)?,
        slice: root.read(&keys::SLICE, slice)?.unwrap_or(Some(limits::TIME_SLICE)),
        log: root.read(&keys::LOG, log)?,
        otel: otel::read(&root.section("otel")?)?,
        groups: group::all(&root.section("groups")?)?,
        devices,
        routes,
    };
    Ok((config, origin))
}

/// The model that is asked, and who named it: a key, or else the first of the list.
fn default_model(
    root: &Section<'_>,
    routes: &BTreeMap<String, Route>,
    listed: &[Listed],
) -> Read<(Option<String>, Origin)> {
    let of_list = |name: &str| listed.iter().find(|model| model.name == name);
    let named = leaf::named(root, &keys::DEFAULT_MODEL, |name| {
        let is_known = routes.contains_key(name) || of_list(name).is_some();
        if is_known { Ok(()) } else { resolve::check_name(name) }
    })?;
    let origin = root.key(&keys::DEFAULT_MODEL).map(|found| found.item.origin.clone());
    if let Some((name, origin)) = named.zip(origin) {
        let listed = of_list(&name).filter(|_| !routes.contains_key(&name));
        return Ok((Some(listed.map_or(name, |model| model.spec.clone())), origin));
    }
    Ok(match listed.first() {
        Some(first) => (Some(first.spec.clone()), first.origin.clone()),
        None => (None, Origin::Default),
    })
}

/// How long a call may run while others wait; none if until it ends.
fn slice(found: &Found<'_>) -> Result<Option<Millis>, Error> {
    // YAML of old takes the word for a boolean.
    if found.value.as_str() == Some("off") || found.value == Value::Bool(false) {
        return Ok(None);
    }
    let seconds = found.value.as_u64().filter(|seconds| *seconds > 0);
    seconds.map(|seconds| Some(Millis::from_secs(seconds))).ok_or_else(|| found.must())
}

/// How much is logged.
fn log(found: &Found<'_>) -> Result<String, Error> {
    let text = found.value.as_str().filter(|text| crate::log::filter(text).is_some());
    text.map(str::to_owned).ok_or_else(|| found.must())
}

/// What is in a file, which is never read further than it may be long.
fn bounded(file: File) -> io::Result<Written> {
    use std::os::unix::fs::PermissionsExt;
    let mode = file.metadata()?.permissions().mode();
    let mut bytes = Vec::new();
    let read = file.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if u64::try_from(read).is_ok_and(|read| read > BYTES_MAX) {
        return Err(io::Error::other(format!("it has more than {BYTES_MAX} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8"))?;
    Ok(Written { text, is_private: mode & 0o077 == 0 })
}

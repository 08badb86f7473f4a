//! From the command line to a node.

mod catalogue;
mod models;
mod telemetry;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aosk::abi::{Error, ErrorCode, Limits, Millis, limits};
use aosk::kernel::memory::{self, NeedTable, Prefer, Replacement};
use aosk::kernel::policy;
use aosk::model::{Embedder, Replay, resolve};
use aosk::store::{Sqlite, Store};
use aosk::tools::{Registry, builtin};
use aosk::{Node, NodeConfig, Programs};

use crate::cli::{EmbedderArgs, ModelArgs, Place, Preference};
use crate::config::Config;

pub(crate) use self::catalogue::catalogue;
pub(crate) use self::models::{Models, models};
pub(crate) use self::telemetry::Telling;

/// How long calls in flight may take to end when the program is asked to stop.
const DRAIN: Millis = Millis::from_secs(5);

/// Long enough for the next request of a client that asks again as soon as it is answered.
const LINGER: Millis = Millis(2);

/// The data directory, opened.
pub(crate) struct Home {
    pub(crate) dir: PathBuf,
    pub(crate) config: Config,
    pub(crate) store: Box<dyn Store>,
}

/// Opens the data directory for a kernel.
pub(crate) fn home(place: &Place, config: Config) -> Result<Home, Error> {
    let dir = crate::paths::data_dir(place.data_dir.as_ref())?;
    let store = Sqlite::open(&dir)?;
    Ok(Home { dir, config, store: Box::new(store) })
}

/// Finds the embedder that the command line or the configuration names, if they do.
pub(crate) fn embedder(
    args: &EmbedderArgs,
    config: &Config,
) -> Result<Option<Arc<dyn Embedder>>, Error> {
    let url = args.embedder_url.as_deref().or(config.embedder_url.as_deref());
    let Some(spec) = args.embedder.as_deref().or(config.embedder.as_deref()) else {
        let text = "choosing an embedder: there is an address of one, and no name";
        let error = Error::new(ErrorCode::ConfigInvalid, text);
        return match (&args.embedder_url, &config.embedder_url) {
            (Some(_), _) => Err(error.hint("name it too, such as --embedder llamacpp")),
            (None, Some(_)) => {
                let path = config.path.display();
                Err(error.hint(format!("name it in {path} too, such as embedder: llamacpp")))
            }
            (None, None) => Ok(None),
        };
    };
    resolve::embedder(spec, url, &|name| config.keys.variable(name)).map(Some)
}

/// What leaves a window, and why.
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    pub(crate) replacement: &'static dyn Replacement,
    pub(crate) prefer: Prefer,
    /// What is known of needs at first.
    pub(crate) needs: &'static NeedTable,
    /// The device of the model that makes summaries.
    pub(crate) summary_model: Option<String>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            replacement: memory::DEFAULT,
            prefer: Prefer::default(),
            needs: NeedTable::seeded(),
            summary_model: None,
        }
    }
}

impl Memory {
    /// As the command line says, or else the configuration.
    pub(crate) fn of(args: &ModelArgs, config: &Config) -> Result<Self, Error> {
        let name = args.replacement.as_deref().or(config.replacement.as_deref());
        Ok(Self {
            replacement: name.map_or(Ok(memory::DEFAULT), memory::replacement)?,
            prefer: args.prefer.map(Prefer::from).or(config.prefer).unwrap_or_default(),
            needs: needs(args, config)?,
            summary_model: None,
        })
    }
}

/// The table of needs that the command line or the configuration names, or else the one that comes
/// along.
fn needs(args: &ModelArgs, config: &Config) -> Result<&'static NeedTable, Error> {
    let Some(path) = args.need_table.as_ref().or(config.need_table.as_ref()) else {
        return Ok(NeedTable::seeded());
    };
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::new(ErrorCode::Io, format!("reading a table of needs: {}: {error}", path.display()))
            .hint("name one that `aosk bench needs` made, or none with --need-table and need_table")
    })?;
    let table = NeedTable::parse(&text).map_err(|error| {
        Error::new(error.code, format!("{}: {}", path.display(), error.message)).hint(error.hint)
    })?;
    // It is asked at every call until the program ends.
    Ok(Box::leak(Box::new(table)))
}

impl From<Prefer> for Preference {
    fn from(prefer: Prefer) -> Self {
        match prefer {
            Prefer::Cost => Self::Cost,
            Prefer::Quality => Self::Quality,
            Prefer::Utilisation => Self::Utilisation,
        }
    }
}

impl From<Preference> for Prefer {
    fn from(preference: Preference) -> Self {
        match preference {
            Preference::Cost => Self::Cost,
            Preference::Quality => Self::Quality,
            Preference::Utilisation => Self::Utilisation,
        }
    }
}

/// All built-in tools.
pub(crate) fn tools() -> Result<Registry, Error> {
    builtin::registry(aosk::tools::limits::OUTPUT_BYTES_MAX, crate::launch::launcher())
        .map_err(|error| Error::new(ErrorCode::ToolFailed, format!("registering tools: {error}")))
}

/// What a node is made of besides its store.
pub(crate) struct Parts {
    pub(crate) models: Models,
    pub(crate) embedder: Option<Arc<dyn Embedder>>,
    pub(crate) tools: Registry,
    pub(crate) recorded: Option<Arc<Replay>>,
    pub(crate) policy: Option<String>,
    pub(crate) memory: Memory,
    pub(crate) workspace: PathBuf,
}

/// Starts a node on an opened data directory.
pub(crate) fn node(
    dir: &Path,
    config: &Config,
    store: Box<dyn Store>,
    parts: Parts,
) -> Result<Node, Error> {
    let name = parts.policy.as_deref().or(config.policy.as_deref()).unwrap_or("fair");
    Node::start(NodeConfig {
        store,
        models: parts.models.devices,
        embedder: parts.embedder,
        tools: parts.tools,
        recorded: parts.recorded,
        programs: Programs::default(),
        policy: policy(name)?,
        routes: parts.models.routes,
        groups: config.groups.clone(),
        slice: config.slice,
        replacement: parts.memory.replacement,
        prefer: parts.memory.prefer,
        needs: parts.memory.needs,
        summary_model: parts.memory.summary_model,
        limits: Limits::default(),
        tool_slots: config.tool_slots.unwrap_or(limits::TOOL_SLOTS),
        workspace: parts.workspace,
        reports: Some(dir.join("reports")),
        drain: DRAIN,
        linger: LINGER,
    })
}

//! `aosk serve`: a kernel that others speak to.

mod reload;

use std::path::{Path, PathBuf};

use aosk::abi::{Error, ErrorCode};
use aosk_server::access::workspace;
use aosk_server::{Reload, Server, Setup};

use crate::cli::{Place, ServeArgs};
use crate::config;
use crate::fail::Done;
use crate::log;
use crate::setup::{self, Home, Parts, Telling};
use crate::stop::{Stop, stopped};
use crate::term::{self, note};

use self::reload::{Force, Reloader};

/// The directory of agents that are given no other: one in the data directory if none is named. None
/// may reach what is kept there.
fn workspace(data: &Path, named: Option<PathBuf>) -> Result<String, Error> {
    let failed = |dir: &Path, error: &std::io::Error| {
        Error::new(ErrorCode::Io, format!("making the workspace {}: {error}", dir.display()))
    };
    let wanted = match named {
        Some(named) => named,
        None => {
            let own = workspace::of(data, workspace::DEFAULT);
            std::fs::create_dir_all(&own).map_err(|error| failed(&own, &error))?;
            own
        }
    };
    let found = super::run::workspace(Some(wanted))?;
    let data = data.canonicalize().map_err(|error| failed(data, &error))?;
    workspace::check(&data, Path::new(&found))?;
    Ok(found)
}

/// Prints the description of the interface.
pub(crate) fn print_openapi() -> Done {
    term::line(&aosk_server::api::printed());
    Done::Well
}

pub(crate) async fn run(place: &Place, args: &ServeArgs, mut stop: Stop) -> Result<Done, Error> {
    let hangup = reload::hangups()?;
    let settings = config::settings(place.config.as_ref(), &[])?;
    let config = settings.config.clone();
    if config.log.is_some() {
        log::say(config.log.as_deref())?;
    }
    raise_files();
    let registry = setup::tools()?;
    let home = setup::home(place, config)?;
    let workspace = workspace(&home.dir, args.workspace.clone())?;
    let mut models = stop.or(setup::models(&args.model, &home.config)).await?;
    let mut memory = setup::Memory::of(&args.model, &home.config)?;
    let summaries = models.summaries(&args.model, &home.config, memory.replacement);
    memory.summary_model = stop.or(summaries).await?;
    let force = Force::new(&settings, &args.model, memory.summary_model.clone());
    let model = models.name.clone();
    let parts = Parts {
        models,
        embedder: setup::embedder(&args.embedder, &home.config)?,
        tools: registry,
        recorded: None,
        policy: None,
        memory,
        workspace: PathBuf::from(&workspace),
    };
    let Home { dir, config, store } = home;
    let mut node = setup::node(&dir, &config, store, parts)?;
    let telling = Telling::begin(&node.handle(), &config.otel)?;
    let (reload, asked) = Reload::new();
    let handle = node.handle();
    let reloader =
        Reloader { place, args: &args.model, handle: handle.clone(), force, hangup, asked };
    let served = Setup { handle, model, workspace, reload: Some(reload) };
    let server = Server::start(served, &dir, args.listen, Some(aosk_gateway::further())).await;
    let server = match server {
        Ok(server) => server,
        Err(error) => {
            node.shutdown().await?;
            telling.finish().await;
            return Err(error);
        }
    };
    tell(&server, args.json);
    tokio::select! {
        failed = node.failed() => {
            server.finish().await;
            telling.finish().await;
            return Err(failed.err().unwrap_or_else(stopped));
        }
        () = reloader.run() => {}
        () = stop.requested() => {}
    }
    note("stopping: calls in flight may end; once more to end at once");
    stop.end_at_once_on_next();
    server.close();
    let ended = node.shutdown().await;
    server.finish().await;
    telling.finish().await;
    ended?;
    // Whoever runs a daemon stops it like this; nothing was interrupted.
    Ok(Done::Well)
}

/// Open files that a kernel may need: both bounds of connections, and as much again for its store, its
/// models and its tools. Not more, since commands that agents run inherit it, and some go through all.
const FILES: u64 = 16_384;

/// Lets the program have so many open files as it may need: every connection is one, and the usual bound
/// is far below what the server takes.
fn raise_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let most = maximum.map_or(FILES, |maximum| maximum.min(FILES));
    let raised = Rlimit { current: Some(most), maximum };
    if current.is_some_and(|current| current < most)
        && let Err(error) = setrlimit(Resource::Nofile, raised)
    {
        tracing::warn!(%error, "the bound of open files could not be raised");
    }
}

fn tell(server: &Server, json: bool) {
    let listening = server.listening();
    let tcp = listening.tcp.map(|address| format!("http://{address}"));
    if json {
        term::json(&serde_json::json!({ "socket": listening.socket, "tcp": tcp }));
    }
    note(&format!("listening on {}", listening.socket.display()));
    if let Some(tcp) = tcp {
        note(&format!("listening on {tcp}"));
    }
}

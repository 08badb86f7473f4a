//! One life of the demo's kernel, in a process of its own so that it can be killed. It says nothing;
//! whoever started it reads the journal.

use aosk::abi::{Error, ErrorCode, PermissionLevel};
use aosk::store::{Sqlite, Store, Which};
use aosk::tools::{builtin, limits};
use aosk::{Handle, agent, inspect};

use super::stage::Stage;
use super::team;
use crate::config::Config;
use crate::fail::Done;

use crate::setup::{self, Memory, Models, Parts};
use crate::stop::Stop;

/// Runs a kernel in the demo's directory until no agent is left. In a new directory it starts the
/// team, in any other it goes on with what is there.
pub(super) async fn run(stage: &Stage, mut stop: Stop) -> Result<Done, Error> {
    end_with_the_demo()?;
    let data = stage.data();
    let store = Sqlite::open(&data)?;
    let is_new = inspect::processes(store.reader().as_ref(), Which::All)?.is_empty();
    let tools = builtin::registry(limits::OUTPUT_BYTES_MAX, stage.launcher()).map_err(|error| {
        Error::new(ErrorCode::ToolFailed, format!("registering tools: {error}"))
    })?;
    let offered = agent::offered(&tools, PermissionLevel::Advanced);
    let parts = Parts {
        models: Models::one(team::model()?),
        embedder: None,
        tools,
        recorded: None,
        policy: Some("priority".to_owned()),
        memory: Memory::default(),
        workspace: stage.workspace(),
    };
    let mut node = setup::node(&data, &Config::default(), Box::new(store), parts)?;
    let handle = node.handle();
    let outcome = tokio::select! {
        outcome = work(&handle, is_new.then_some(offered)) => outcome.map(|()| Done::Well),
        ended = node.failed() => return ended.map(|()| Done::Badly),
        // Whoever asked knows why.
        () = stop.requested() => Ok(Done::Badly),
    };
    node.shutdown().await?;
    outcome
}

/// Starts the team, if its tools are given, and waits until every agent has ended.
async fn work(handle: &Handle, team_tools: Option<Vec<String>>) -> Result<(), Error> {
    let started = match team_tools {
        Some(tools) => vec![handle.spawn(team::architect(tools)).await?],
        None => {
            let live = handle.processes();
            live.iter().filter(|agent| agent.spec.parent.is_none()).map(|agent| agent.pid).collect()
        }
    };
    // An agent ends after its children, so the first one is the last.
    for pid in started {
        handle.wait(pid).await?;
    }
    Ok(())
}

/// Asks the operating system to stop this process when the demo dies, however it dies.
fn end_with_the_demo() -> Result<(), Error> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))
        .map_err(|error| Error::new(ErrorCode::Io, format!("running the demo: {error}")))?;
    Ok(())
}

//! A real kernel with one device, as the live benchmark runs it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use aosk::abi::{Error, ErrorCode, Limits, Millis, Pid, SpawnSpec};
use aosk::kernel::{memory, policy};
use aosk::model::{Tokenizer, resolve};
use aosk::store::{Memory, Sqlite, Store};
use aosk::tools::Registry;
use aosk::{Handle, ModelDevice, Node, NodeConfig, Programs};
use tokio::task::JoinSet;

use super::probe::Probe;
use super::programs::{Caller, Family};
use super::server::ModelServer;
use super::watched::{Watch, Watched};

/// The device.
pub(super) const DEVICE: &str = "openai:bench";

/// Processes that are asked for at once: as many as share a commit, and fewer than may wait.
const SPAWNS_AT_ONCE: usize = 500;

/// Where a kernel keeps its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disk {
    /// In an SQLite store: a commit is flushed.
    Sqlite,
    /// In memory: the same without a flush.
    Memory,
}

/// What a kernel is to be like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) disk: Disk,
    pub(super) slots: u32,
    /// Whether answers are streamed and can be gone on with.
    pub(super) continues: bool,
}

/// A kernel at work, with what watches it.
pub(super) struct Running {
    pub(super) handle: Handle,
    pub(super) probe: Arc<Probe>,
    pub(super) watch: Watch,
    node: Node,
    /// Its store lies here, and goes with it.
    _dir: tempfile::TempDir,
}

impl Running {
    /// Starts one that asks `server`.
    ///
    /// # Errors
    /// If its store cannot be made.
    pub(super) async fn start(plan: Plan, server: &ModelServer) -> Result<Self, Error> {
        let dir = tempfile::tempdir().map_err(|error| {
            Error::new(ErrorCode::Io, format!("making a temporary directory: {error}"))
        })?;
        let (probe, tokenizer) = driver(server).await?;
        let store: Box<dyn Store> = match plan.disk {
            Disk::Sqlite => Box::new(Sqlite::open(&dir.path().join("data"))?),
            Disk::Memory => Box::new(Memory::new()),
        };
        let (store, watch) = Watched::over(store);
        let device = ModelDevice {
            slots: plan.slots,
            tokenizer,
            continues: plan.continues,
            ..ModelDevice::new(DEVICE, probe.clone())
        };
        let node = Node::start(config(store, device, dir.path())?)?;
        Ok(Self { handle: node.handle(), probe, watch, node, _dir: dir })
    }

    /// Starts processes, many at once; their ids in the order in which they came to be.
    ///
    /// # Errors
    /// If the kernel refuses one.
    pub(super) async fn spawn_all(
        &self,
        specs: impl IntoIterator<Item = SpawnSpec>,
    ) -> Result<Vec<Pid>, Error> {
        let mut pids = Vec::new();
        let mut asked = JoinSet::new();
        for spec in specs {
            if asked.len() >= SPAWNS_AT_ONCE {
                collect(&mut asked, &mut pids).await?;
            }
            let handle = self.handle.clone();
            asked.spawn(async move { handle.spawn(spec).await });
        }
        while !asked.is_empty() {
            collect(&mut asked, &mut pids).await?;
        }
        Ok(pids)
    }

    /// Ends it; calls in flight are cut off.
    ///
    /// # Errors
    /// What it ended with, if it could not go on.
    pub(super) async fn stop(self) -> Result<(), Error> {
        self.node.shutdown().await
    }
}

async fn collect(
    asked: &mut JoinSet<Result<Pid, Error>>,
    pids: &mut Vec<Pid>,
) -> Result<(), Error> {
    match asked.join_next().await {
        Some(Ok(pid)) => pids.push(pid?),
        Some(Err(error)) => {
            let text = format!("starting a process: {error}");
            return Err(Error::new(ErrorCode::KernelPanic, text));
        }
        None => {}
    }
    Ok(())
}

/// What asks `server`, with a probe around it, and what counts its tokens.
///
/// # Errors
/// If its address cannot be used.
pub(super) async fn driver(server: &ModelServer) -> Result<(Arc<Probe>, Tokenizer), Error> {
    // The provider wants a key; the server does not look at it.
    let env = |name: &str| (name == "OPENAI_API_KEY").then(|| "none".to_owned());
    let resolved = resolve(Some(DEVICE), Some(server.base_url()), &env).await?;
    Ok((Probe::around(resolved.driver), resolved.tokenizer))
}

fn config(store: Box<dyn Store>, device: ModelDevice, dir: &Path) -> Result<NodeConfig, Error> {
    let mut programs = Programs::default();
    programs.add(Caller);
    programs.add(Family);
    Ok(NodeConfig {
        store,
        models: vec![device],
        tools: Registry::new(),
        recorded: None,
        embedder: None,
        summary_model: None,
        needs: memory::NeedTable::seeded(),
        programs,
        policy: policy("fair")?,
        routes: BTreeMap::new(),
        groups: BTreeMap::new(),
        slice: None,
        replacement: memory::DEFAULT,
        prefer: memory::Prefer::default(),
        limits: Limits::default(),
        tool_slots: 1,
        workspace: dir.join("workspace"),
        reports: None,
        drain: Millis(0),
        linger: Millis(2),
    })
}

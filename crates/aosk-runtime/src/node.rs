//! A node: one kernel on one store, started, supervised and shut down.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use aosk_abi::{Command, Error, ErrorCode, Input, Pid, RequestId, Signal, Timestamp};
use aosk_kernel::{Config, Kernel};
use aosk_store::{Committer, Reader, Store};
use aosk_tools::kernel_calls;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinHandle;

use crate::bodies::Bodies;
use crate::clock::Clock;
use crate::commits::Commits;
use crate::config::{ModelDevice, NodeConfig};
use crate::devices::{Devices, Growth, Models};
use crate::event_loop::{End, EventLoop, REQUESTS_MAX, Request, Settled};
use crate::flight::Flight;
use crate::handle::{Equipment, Handle};
use crate::inspect;
use crate::memory::{Background, Embedding};
use crate::meter::{Calls, Meter};
use crate::program::Programs;
use crate::published::{Published, Snapshot};
use crate::shadow::Shadow;
use crate::surroundings::terms;
use crate::turns::Turns;

/// Pieces of answers that a slow watcher may fall behind before it misses some.
const GROWTH_MAX: usize = 1_024;

/// How often the kernel may panic within the life of a node before it is given up.
const PANICS_MAX: u32 = 8;

/// A running kernel.
#[derive(Debug)]
pub struct Node {
    handle: Handle,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), Error>>,
    /// How it ended, once it has: a task can be waited for only once.
    outcome: Option<Result<(), Error>>,
}

/// What outlives a kernel that panicked.
struct Supervisor {
    config: Config,
    models: Vec<ModelDevice>,
    tools: Arc<aosk_tools::Registry>,
    recorded: Option<Arc<aosk_model::Replay>>,
    programs: Programs,
    embedding: Option<Arc<Embedding>>,
    workspace: std::path::PathBuf,
    reports: Option<std::path::PathBuf>,
    drain: aosk_abi::Millis,
    linger: aosk_abi::Millis,
    reader: Arc<dyn Reader>,
    published: Arc<Published>,
    growth: broadcast::Sender<Growth>,
    stop: watch::Receiver<bool>,
    clock: Clock,
    meter: Meter,
    /// Panics so far, by the process whose input it was.
    panics: HashMap<Option<Pid>, u32>,
}

impl Node {
    /// Starts a kernel on a store. What was in flight when the last one died is taken up again.
    ///
    /// # Errors
    /// If the store cannot be read or what it holds does not make a kernel.
    pub fn start(config: NodeConfig) -> Result<Self, Error> {
        let NodeConfig { mut store, models, tools, recorded, programs, .. } = config;
        let known_models = models.iter().map(|model| (model.name.clone(), terms(model)));
        let known_tools =
            tools.names().filter_map(|name| Some((name.to_owned(), tools.traits(name)?.clone())));
        let mut known_tools: BTreeMap<_, _> = known_tools.collect();
        known_tools.insert(kernel_calls::SEARCH_MEMORY.to_owned(), kernel_calls::search_traits());
        let mut kernel_config = Config::new(config.policy, known_models.collect(), known_tools);
        kernel_config.replacement = config.replacement;
        kernel_config.prefer = config.prefer;
        kernel_config.needs = config.needs;
        kernel_config.summary_model = config.summary_model;
        kernel_config.tool_slots = config.tool_slots;
        kernel_config.limits = config.limits;
        let routes = config.routes;
        kernel_config.routes = routes.clone();
        kernel_config.groups = config.groups;
        kernel_config.slice = config.slice;
        let image = store.load()?;
        let kernel = Kernel::restore(kernel_config.clone(), &image)?;
        let shadow = Shadow::new(&image.rows, &kernel_config);
        drop(image);
        let published = Arc::new(Published::default());
        let reader = store.reader();
        published.publish(snapshots(&kernel), kernel.policy().name(), reader.head()?.length);
        let (growth, _) = broadcast::channel(GROWTH_MAX);
        let (stop, stopped) = watch::channel(false);
        let (requests, requests_in) = mpsc::channel(REQUESTS_MAX);
        let tools = Arc::new(tools);
        let clock = Clock::start();
        let meter = Meter::new(&models, &routes, &tools, clock);
        let equipment =
            Arc::new(Equipment { models: models.clone(), routes, tools: tools.clone() });
        let handle = Handle::new(
            requests,
            published.clone(),
            growth.clone(),
            reader.clone(),
            equipment,
            meter.clone(),
        );
        let supervisor = Supervisor {
            config: kernel_config,
            models,
            tools,
            recorded,
            programs,
            embedding: config.embedder.map(|embedder| Arc::new(Embedding::new(embedder))),
            workspace: config.workspace,
            reports: config.reports,
            drain: config.drain,
            linger: config.linger,
            reader,
            published,
            growth,
            stop: stopped,
            clock,
            meter,
            panics: HashMap::new(),
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "the node owns this task; shutdown waits for it"
        )]
        let task = tokio::spawn(supervisor.run(store, kernel, shadow, requests_in));
        Ok(Self { handle, stop, task, outcome: None })
    }

    /// What to speak to the kernel with.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Ends the kernel in order: no model is asked anew, calls in flight and the tools that models
    /// have just called get the drain time to end, what came of them is committed, the store is
    /// closed.
    ///
    /// # Errors
    /// What the kernel ended with, if it could not go on.
    pub async fn shutdown(mut self) -> Result<(), Error> {
        // The loop may have ended already.
        let _ended = self.stop.send(true);
        self.failed().await
    }

    /// Waits until the kernel ends by itself, which it only does when it cannot go on.
    ///
    /// # Errors
    /// Why it cannot.
    pub async fn failed(&mut self) -> Result<(), Error> {
        if let Some(outcome) = &self.outcome {
            return outcome.clone();
        }
        let outcome = (&mut self.task).await.unwrap_or_else(|error| {
            Err(Error::new(ErrorCode::KernelPanic, format!("running the kernel: {error}")))
        });
        self.outcome = Some(outcome.clone());
        outcome
    }
}

fn snapshots(kernel: &Kernel) -> Vec<Snapshot> {
    kernel.processes().map(|(pid, process)| Snapshot::of(pid, process)).collect()
}

/// Tells whoever waits that the kernel stopped, however it did.
struct Closing(Arc<Published>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Supervisor {
    /// Runs kernels on the store until one ends that has not panicked.
    async fn run(
        mut self,
        mut store: Box<dyn Store>,
        mut kernel: Kernel,
        mut shadow: Shadow,
        mut requests: mpsc::Receiver<Request>,
    ) -> Result<(), Error> {
        let _closing = Closing(self.published.clone());
        let outcome = loop {
            let (end, returned) = self.run_once(store, kernel, shadow, &mut requests).await;
            match (end, returned) {
                (End::Stopped, Ok(_)) => break Ok(()),
                (End::Stopped, Err(error)) => break Err(error.into()),
                (End::Failed(error), _) => break Err(error),
                (End::Panicked(seen, said), returned) => {
                    let again = returned.map_err(Error::from);
                    match again.and_then(|returned| self.restart(returned, seen.pid(), &said)) {
                        Ok((same, restored, rows)) => {
                            (store, kernel, shadow) = (same, restored, rows)
                        }
                        Err(error) => break Err(error),
                    }
                }
            }
        };
        requests.close();
        outcome
    }

    async fn run_once(
        &mut self,
        store: Box<dyn Store>,
        kernel: Kernel,
        shadow: Shadow,
        requests: &mut mpsc::Receiver<Request>,
    ) -> (End, Result<Box<dyn Store>, aosk_store::StoreError>) {
        let commits = Arc::new(Commits::default());
        let word = commits.clone();
        let committer = match Committer::start(store, Box::new(move |kept| word.tell(kept))) {
            Ok(committer) => committer,
            Err(error) => return (End::Failed(error.public()), Err(error)),
        };
        let meter = self.meter.clone();
        let mut event_loop = EventLoop {
            calls: Calls::new(meter.clone(), &kernel),
            shadow,
            kernel,
            clock: self.clock,
            turns: Turns::new(
                self.programs.clone(),
                Background::new(self.reader.clone(), self.embedding.clone()),
            ),
            bodies: Bodies::new(self.reader.clone()),
            devices: Devices::new(
                Models::new(self.models.clone(), self.config.routes.clone()),
                self.tools.clone(),
                self.recorded.clone(),
                self.workspace.clone(),
                self.growth.clone(),
                meter.clone(),
            ),
            meter,
            committer,
            commits,
            published: self.published.clone(),
            stop: self.stop.clone(),
            drain: self.drain,
            linger: self.linger,
            flight: Flight::default(),
            fx: aosk_abi::Effects::default(),
            bytes_waiting: 0,
            committing: None,
            lingering: None,
            policy: self.config.policy,
            told: None,
            settled: None,
            replies: HashMap::new(),
            next_request: 0,
        };
        let end = event_loop.run(requests).await;
        if matches!(end, End::Panicked(..)) {
            self.report(&event_loop.flight);
        }
        // The next kernel begins where this one leaves off.
        let EventLoop { committer, settled, policy, .. } = event_loop;
        if let Some(Settled { config, models }) = settled {
            (self.config, self.models) = (config, models);
        }
        self.config.policy = policy;
        // The store is closed on its own thread; waiting for it must not hold up other tasks.
        let returned = tokio::task::spawn_blocking(move || committer.shutdown()).await;
        (end, returned.unwrap_or(Err(aosk_store::StoreError::Closed)))
    }

    /// A kernel from what is committed, after one panicked. A process whose input makes it panic
    /// twice is killed.
    fn restart(
        &mut self,
        mut store: Box<dyn Store>,
        pid: Option<Pid>,
        said: &str,
    ) -> Result<(Box<dyn Store>, Kernel, Shadow), Error> {
        tracing::error!(?pid, said, "the kernel panicked; going on from what is committed");
        let count = self.panics.entry(pid).or_default();
        *count = count.saturating_add(1);
        let (count, all) = (*count, self.panics.values().fold(0_u32, |a, b| a.saturating_add(*b)));
        if all > PANICS_MAX {
            let text = format!("running the kernel: it panicked {all} times: {said}");
            return Err(Error::new(ErrorCode::KernelPanic, text));
        }
        let mut image = store.load()?;
        let mut kernel = Kernel::restore(self.config.clone(), &image)?;
        if let (Some(pid), true) = (pid, count > 1) {
            let kill = Input::Operator {
                request: RequestId(0),
                command: Command::Signal { pid, signal: Signal::Kill },
            };
            let mut fx = aosk_abi::Effects::default();
            kernel.apply(self.clock.now(), &kill, &mut fx);
            kernel.flush(&mut fx);
            let batch = aosk_store::Batch { rows: fx.rows, journal: fx.journal, bodies: fx.bodies };
            store.commit(&[batch])?;
            image = store.load()?;
            kernel = Kernel::restore(self.config.clone(), &image)?;
        }
        self.publish_again(&kernel)?;
        let shadow = Shadow::new(&image.rows, &self.config);
        Ok((store, kernel, shadow))
    }

    /// Shows the processes of a restored kernel, and those that ended in a commit which the loop did
    /// not live to hear of: whoever waits for them waits still.
    fn publish_again(&self, kernel: &Kernel) -> Result<(), Error> {
        let mut all = snapshots(kernel);
        for pid in self.published.live() {
            if kernel.process(pid).is_none() {
                match inspect::process(self.reader.as_ref(), pid) {
                    Ok(snapshot) => all.push(snapshot),
                    Err(error) => tracing::error!(%pid, %error, "an ended process cannot be read"),
                }
            }
        }
        self.published.publish(all, kernel.policy().name(), self.reader.head()?.length);
        Ok(())
    }

    /// Writes down what the kernel saw last.
    fn report(&self, flight: &Flight) {
        let Some(dir) = &self.reports else {
            return;
        };
        let Timestamp(at) = self.clock.now();
        if let Err(error) = write_report(dir, at, &flight.report()) {
            tracing::error!(%error, "the flight recorder could not be written");
        }
    }
}

fn write_report(dir: &Path, at: u64, report: &str) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    std::fs::write(dir.join(format!("flight-{at}.txt")), report)
}

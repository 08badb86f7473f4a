//! The face of a running kernel: what an operator, a server or a program around it can do.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use aosk_abi::{
    Answer, Body, BudgetId, Command, Error, ErrorCode, Limits, Message, Pid, Reply, Signal,
    SpawnSpec,
};
use aosk_kernel::Route;
use aosk_model::OnPassed;
use aosk_store::Reader;
use aosk_tools::Registry;
use tokio::sync::{Semaphore, broadcast, mpsc, oneshot, watch};

use crate::config::ModelDevice;
use crate::devices::Growth;
use crate::event_loop::{REQUESTS_MAX, Request};
use crate::foreign::{Answers, Ask, Asker, Outlet, Relay, Said};
use crate::inspect;
use crate::meter::Meter;
use crate::published::{Census, Published, Snapshot};
use crate::surroundings::Surroundings;

/// A handle on a running kernel. Cheap to clone. Whatever returns `Ok` is committed.
#[derive(Clone)]
pub struct Handle {
    requests: mpsc::Sender<Request>,
    /// Places for what clients ask among the requests, so that operators find some too.
    relays: Arc<Semaphore>,
    published: Arc<Published>,
    growth: broadcast::Sender<Growth>,
    reader: Arc<dyn Reader>,
    equipment: Arc<RwLock<Arc<Equipment>>>,
    meter: Meter,
}

/// What a kernel has, for whoever asks what there is.
#[derive(Debug)]
pub struct Equipment {
    /// The models it may ask.
    pub models: Vec<ModelDevice>,
    /// Names that several models answer to.
    pub routes: BTreeMap<String, Route>,
    /// The tools it has.
    pub tools: Arc<Registry>,
}

impl Equipment {
    /// Whether processes that ask this name are answered.
    #[must_use]
    pub fn answers(&self, model: &str) -> bool {
        self.routes.contains_key(model) || self.models.iter().any(|device| device.name == model)
    }
}

impl Handle {
    pub(crate) fn new(
        requests: mpsc::Sender<Request>,
        published: Arc<Published>,
        growth: broadcast::Sender<Growth>,
        reader: Arc<dyn Reader>,
        equipment: Arc<Equipment>,
        meter: Meter,
    ) -> Self {
        let relays = Arc::new(Semaphore::new(REQUESTS_MAX / 2));
        let equipment = Arc::new(RwLock::new(equipment));
        Self { requests, relays, published, growth, reader, equipment, meter }
    }

    /// Starts a process without a parent.
    ///
    /// # Errors
    /// If the specification makes no sense, a budget does not allow it, or the kernel is gone.
    pub async fn spawn(&self, spec: SpawnSpec) -> Result<Pid, Error> {
        match self.ask(Command::Spawn(Box::new(spec))).await? {
            Reply::Spawned(pid) => Ok(pid),
            Reply::Refused(error) => Err(error),
            Reply::Done => {
                Err(Error::new(ErrorCode::KernelPanic, "starting a process: no id came back"))
            }
        }
    }

    /// Signals a process.
    ///
    /// # Errors
    /// If it does not live, or the kernel is gone.
    pub async fn signal(&self, pid: Pid, signal: Signal) -> Result<(), Error> {
        self.done(Command::Signal { pid, signal }).await
    }

    /// Sends a message to a process.
    ///
    /// # Errors
    /// If it does not live or its mailbox is full, or the kernel is gone.
    pub async fn send(&self, pid: Pid, message: Message) -> Result<(), Error> {
        self.done(Command::Send { pid, body: Body::new(message) }).await
    }

    /// Changes the priority of a process.
    ///
    /// # Errors
    /// If it does not live, the priority is above 100, or the kernel is gone.
    pub async fn renice(&self, pid: Pid, priority: u8) -> Result<(), Error> {
        self.done(Command::Renice { pid, priority }).await
    }

    /// Bounds a node of the budget tree anew; processes that wait for room in it look again.
    ///
    /// # Errors
    /// If there is no such node, or the kernel is gone.
    pub async fn set_limits(&self, budget: BudgetId, limits: Limits) -> Result<(), Error> {
        self.done(Command::SetLimits { budget, limits: Box::new(limits) }).await
    }

    /// Answers a process that waits for a person.
    ///
    /// # Errors
    /// `kernel.not_asking` if it does not wait for this, as when somebody else was first; or if it does
    /// not live, the bounds cannot be set, or the kernel is gone.
    pub async fn answer(&self, answer: Answer) -> Result<(), Error> {
        self.done(Command::Answer(Box::new(answer))).await
    }

    /// Changes the scheduler policy.
    ///
    /// # Errors
    /// If there is no such policy, or the kernel is gone.
    pub async fn set_policy(&self, policy: &str) -> Result<(), Error> {
        self.done(Command::SetPolicy { policy: policy.to_owned() }).await
    }

    /// Tells the kernel anew of its surroundings. Calls in flight go on as they began; bounds that became
    /// smaller hold for what starts from now on.
    ///
    /// # Errors
    /// If a model that there is has gone, or the kernel is gone. Nothing is changed then.
    pub async fn reconfigure(&self, told: Surroundings) -> Result<(), Error> {
        let (models, routes) = (told.models.clone(), told.routes.clone());
        let (reply, answer) = oneshot::channel();
        self.submit(Request::Reconfigure { told: Box::new(told), reply })?;
        match answer.await.map_err(|_| gone())? {
            Reply::Done | Reply::Spawned(_) => {}
            Reply::Refused(error) => return Err(error),
        }
        self.meter.reconfigured(&models, &routes);
        let mut equipment = self.equipment.write().unwrap_or_else(PoisonError::into_inner);
        let tools = equipment.tools.clone();
        *equipment = Arc::new(Equipment { models, routes, tools });
        Ok(())
    }

    /// Has a client ask a model, through a process of its own. The answers tell of everything that comes
    /// of it, and of failures too; whoever drops them before they end should end the process. Waits while
    /// the kernel has as many requests as it takes.
    ///
    /// # Errors
    /// If the kernel is gone.
    pub async fn relay(
        &self,
        asker: Asker,
        ask: impl FnOnce(OnPassed) -> Ask,
    ) -> Result<Answers, Error> {
        let (outlet, answers) = Outlet::new();
        let told = outlet.clone();
        let ask = ask(OnPassed::new(move |passed| told.tell(Said::Passed(passed))));
        let place = self.relays.clone().acquire_owned().await.map_err(|_| gone())?;
        let request = Request::Relay(Box::new(Relay { asker, ask, outlet, _place: place }));
        self.requests.send(request).await.map_err(|_| gone())?;
        Ok(answers)
    }

    /// Says that the client of a process went away in the middle of an answer: the process is killed, and
    /// its call cut off.
    ///
    /// # Errors
    /// If too many requests wait already, or the kernel is gone. The call then ends by itself.
    pub fn abandon(&self, pid: Pid) -> Result<(), Error> {
        let (reply, _) = oneshot::channel();
        let command = Command::Signal { pid, signal: Signal::Kill };
        self.submit(Request::Command { command, reply })
    }

    /// Says that the client of a process asks no more; it ends in order if it waits for its client.
    ///
    /// # Errors
    /// If too many requests wait already, or the kernel is gone.
    pub fn leave(&self, pid: Pid) -> Result<(), Error> {
        self.submit(Request::Leave(pid))
    }

    /// Waits until a process has ended.
    ///
    /// # Errors
    /// If there is no such process, the store cannot be read, or the kernel ends first.
    pub async fn wait(&self, pid: Pid) -> Result<Snapshot, Error> {
        if let Some(end) = self.published.end_of(pid) {
            return end.await.map_err(|_| gone());
        }
        // One that ended long ago or under an earlier node is in the store alone.
        match inspect::process(self.reader.as_ref(), pid) {
            Ok(snapshot) if snapshot.has_ended => Ok(snapshot),
            Err(error) if error.code != ErrorCode::NoSuchProcess => Err(error),
            Ok(_) | Err(_) => {
                let text = format!("waiting for {pid}: no such process");
                Err(Error::new(ErrorCode::NoSuchProcess, text))
            }
        }
    }

    /// Waits until a process changes; at once if it does not live. May return without a change.
    ///
    /// It counts from this call on, not from the first poll: call it, look at the process, then
    /// await it, and no change is missed.
    pub fn changed(&self, pid: Pid) -> impl Future<Output = ()> + Send + use<> {
        let change = self.published.change_of(pid);
        async move {
            // A sender that was dropped is as good as a change: the process does not live.
            let _changed = change.await;
        }
    }

    /// Live processes and those that ended lately, in order of their ids.
    #[must_use]
    pub fn processes(&self) -> Vec<Snapshot> {
        self.published.all()
    }

    /// A process, if it lives or ended lately.
    #[must_use]
    pub fn process(&self, pid: Pid) -> Option<Snapshot> {
        self.published.get(pid)
    }

    /// How many processes live.
    #[must_use]
    pub fn live_count(&self) -> usize {
        self.published.live_count()
    }

    /// How many processes live, by what they do.
    #[must_use]
    pub fn census(&self) -> Census {
        self.published.census()
    }

    /// What is counted while the kernel runs.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Pieces of answers while they are written, of models that stream. A watcher that is too slow
    /// misses some.
    #[must_use]
    pub fn growth(&self) -> broadcast::Receiver<Growth> {
        self.growth.subscribe()
    }

    /// The models and tools there are.
    #[must_use]
    pub fn equipment(&self) -> Arc<Equipment> {
        self.equipment.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The name of the scheduler policy in force.
    #[must_use]
    pub fn policy(&self) -> &'static str {
        self.published.policy()
    }

    /// How many entries the journal has, as commits make it grow. To follow the journal, wait for a
    /// change and read what is new from [`Handle::reader`]; whoever is slow reads later and misses
    /// nothing. The sender is gone when the kernel is.
    #[must_use]
    pub fn journal(&self) -> watch::Receiver<u64> {
        self.published.journal()
    }

    /// Reads of what is committed.
    #[must_use]
    pub fn reader(&self) -> Arc<dyn Reader> {
        self.reader.clone()
    }

    async fn done(&self, command: Command) -> Result<(), Error> {
        match self.ask(command).await? {
            Reply::Done | Reply::Spawned(_) => Ok(()),
            Reply::Refused(error) => Err(error),
        }
    }

    async fn ask(&self, command: Command) -> Result<Reply, Error> {
        let (reply, answer) = oneshot::channel();
        self.submit(Request::Command { command, reply })?;
        answer.await.map_err(|_| gone())
    }

    fn submit(&self, request: Request) -> Result<(), Error> {
        self.requests.try_send(request).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Error::new(
                ErrorCode::Busy,
                format!("asking the kernel: {REQUESTS_MAX} requests wait already"),
            )
            .hint("try again"),
            mpsc::error::TrySendError::Closed(_) => gone(),
        })
    }
}

fn gone() -> Error {
    Error::new(ErrorCode::Interrupted, "asking the kernel: it has stopped")
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").field("live", &self.live_count()).finish_non_exhaustive()
    }
}

//! What the tests share: a trace of what happened, a model and tools that do as they are told, a
//! store that tells of its commits and can be held up, and time that stands still.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};

use aosk_runtime::abi::{
    Body, Error, ErrorCode, ExitStatus, Failure, FailureClass, FinishReason, Image, Limits,
    Message, Millis, ModelReply, PermissionLevel, Pid, ProgramSpec, Risk, SpawnSpec, ThinkOptions,
    Tokens, ToolSpec, ToolTraits, ToolUse, Usage,
};
use aosk_runtime::model::{Delta, Driver, OnDelta, Request};
use aosk_runtime::program::react;
use aosk_runtime::store::{Batch, Head, Memory, Reader, Store, StoreError};
use aosk_runtime::tools::builtin::Calculator;
use aosk_runtime::tools::{Invocation, Output, Registry, Tool, ToolError};
use aosk_runtime::{Handle, ModelDevice, Node, NodeConfig, Programs, Snapshot, inspect};
use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::watch;

/// What happened, in order. A clone is another handle on the same trace.
#[derive(Debug, Clone)]
pub(crate) struct Trace(watch::Sender<Vec<String>>);

impl Trace {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(Vec::new()))
    }

    pub(crate) fn tell(&self, what: impl Into<String>) {
        self.0.send_modify(|trace| trace.push(what.into()));
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.borrow().clone()
    }

    /// Waits until `what` has happened `times` times.
    pub(crate) async fn until_times(&self, what: &str, times: usize) {
        let count = |trace: &Vec<String>| trace.iter().filter(|told| *told == what).count();
        self.0.subscribe().wait_for(|trace| count(trace) >= times).await.unwrap();
    }

    /// Waits until `what` has happened.
    pub(crate) async fn until(&self, what: &str) {
        self.until_times(what, 1).await;
    }

    pub(crate) fn count(&self, what: &str) -> usize {
        self.0.borrow().iter().filter(|told| *told == what).count()
    }
}

/// Tells when it is dropped.
pub(crate) struct Dropped(pub(crate) Trace, pub(crate) String);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.tell(format!("dropped {}", self.1));
    }
}

/// Time stands still until this is dropped, but for `tokio::time::advance`. (Paused time alone would
/// run ahead whenever only the commit thread is at work.)
pub(crate) struct Frozen {
    _held: mpsc::Sender<()>,
}

pub(crate) fn freeze() -> Frozen {
    tokio::time::pause();
    let (held, release) = mpsc::channel();
    // Paused time does not move by itself while blocking work is under way.
    drop(tokio::task::spawn_blocking(move || release.recv().is_err()));
    Frozen { _held: held }
}

pub(crate) async fn advance(span: Millis) {
    tokio::time::advance(span.duration()).await;
}

/// What a model does when it is asked.
pub(crate) enum Say {
    /// It answers with text.
    Text(String),
    /// It calls tools, with these arguments. The n-th call of an answer has the id `use` n.
    Tools(Vec<(&'static str, String)>),
    /// It fails.
    Fail(Failure),
    /// It never answers.
    Hang,
    /// It answers with text, in these pieces.
    Pieces(Vec<&'static str>),
    /// It shows these pieces of an answer and never ends.
    Begin(Vec<Delta>),
    /// It panics.
    Panic,
    /// It answers like this once the gate opens.
    After(Gate, Box<Say>),
    /// It answers like this, and says that it used so much.
    Used(Usage, Box<Say>),
}

pub(crate) fn text(text: &str) -> Say {
    Say::Text(text.to_owned())
}

pub(crate) fn tool(name: &'static str, arguments: &str) -> Say {
    Say::Tools(vec![(name, arguments.to_owned())])
}

pub(crate) fn failure(class: FailureClass, retry_after: Option<Millis>) -> Failure {
    Failure {
        class,
        code: ErrorCode::ModelServer,
        message: "it broke".to_owned(),
        hint: String::new(),
        retry_after,
        usage: None,
    }
}

type Script = dyn Fn(&Request) -> Say + Send + Sync;

/// A model that does what the script says. It tells `ask NAME.ATTEMPT` when it is asked.
pub(crate) struct Model {
    trace: Trace,
    script: Arc<Script>,
}

#[async_trait]
impl Driver for Model {
    async fn complete(
        &self,
        request: Request,
        on_delta: OnDelta<'_>,
    ) -> Result<ModelReply, Failure> {
        self.trace.tell(format!("ask {}.{}", request.process, request.attempt));
        let _dropped = Dropped(self.trace.clone(), format!("ask {}", request.process));
        let mut say = (self.script)(&request);
        let mut usage = Usage { input_uncached: Tokens(10), output: Tokens(5), ..Usage::default() };
        while let Say::After(..) | Say::Used(..) = &say {
            if let Say::After(gate, then) = say {
                gate.passed().await;
                say = *then;
            } else if let Say::Used(used, then) = say {
                usage = used;
                say = *then;
            }
        }
        let message = match say {
            Say::Text(text) => Message::assistant(text),
            Say::Tools(calls) => {
                let tool_calls = calls.into_iter().enumerate().map(|(index, (name, arguments))| {
                    ToolUse { id: format!("use{index}"), name: name.to_owned(), arguments }
                });
                let tool_calls = tool_calls.collect();
                Message::Assistant { content: None, reasoning: None, tool_calls }
            }
            Say::Fail(failure) => return Err(failure),
            Say::Hang => std::future::pending().await,
            Say::Pieces(pieces) => {
                if let Some(on_delta) = on_delta {
                    pieces.iter().for_each(|piece| on_delta(Delta::Text((*piece).to_owned())));
                }
                Message::assistant(pieces.concat())
            }
            Say::Begin(pieces) => {
                on_delta.into_iter().for_each(|show| pieces.iter().cloned().for_each(show));
                std::future::pending().await
            }
            Say::Panic => panic!("the driver is told to panic"),
            Say::After(..) | Say::Used(..) => unreachable!("passed above"),
        };
        Ok(ModelReply { body: Body::new(message), usage, finish: FinishReason::Stop })
    }
}

/// Something that waits until it is let through, for ever after.
#[derive(Debug, Clone)]
pub(crate) struct Gate(watch::Sender<bool>);

impl Gate {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    pub(crate) fn open(&self) {
        self.0.send_replace(true);
    }

    pub(crate) async fn passed(&self) {
        self.0.subscribe().wait_for(|open| *open).await.unwrap();
    }
}

/// What a tool does when it is called.
#[derive(Debug, Clone)]
pub(crate) enum Do {
    /// It returns its arguments.
    Echo,
    /// It never returns.
    Hang,
    /// It panics.
    Panic,
    /// It returns its arguments once the gate opens.
    After(Gate),
    /// It returns what is made of the number of tools that the process called before.
    Make(fn(u32) -> String),
}

/// A tool that tells `call NAME ARGUMENTS` when it is called.
#[derive(Debug)]
pub(crate) struct TestTool {
    trace: Trace,
    spec: ToolSpec,
    traits: ToolTraits,
    does: Do,
}

impl TestTool {
    fn tell(&self, invocation: &Invocation) {
        self.trace.tell(format!("call {} {}", self.spec.name, invocation.arguments));
    }
}

#[async_trait]
impl Tool for TestTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn traits(&self) -> &ToolTraits {
        &self.traits
    }

    async fn call(&self, invocation: &Invocation, _: Value) -> Result<Output, ToolError> {
        self.tell(invocation);
        let _dropped = Dropped(self.trace.clone(), format!("call {}", self.spec.name));
        match &self.does {
            Do::Make(make) => return Ok(Output::text(make(invocation.ordinal))),
            Do::Echo => {}
            Do::Hang => std::future::pending().await,
            Do::Panic => panic!("the tool is told to panic"),
            Do::After(gate) => gate.passed().await,
        }
        Ok(Output::text(invocation.arguments.as_ref()))
    }

    fn call_inline(&self, invocation: &Invocation, _: &Value) -> Option<Result<Output, ToolError>> {
        self.tell(invocation);
        Some(match &self.does {
            Do::Panic => panic!("the tool is told to panic"),
            Do::Echo | Do::Hang | Do::After(_) | Do::Make(_) => {
                Ok(Output::text(invocation.arguments.as_ref()))
            }
        })
    }
}

/// A store that tells of its commits, and can be held up before the next one.
pub(crate) struct Told {
    inner: Box<dyn Store>,
    trace: Trace,
    hold: Arc<Hold>,
}

/// Holds commits up while it is shut.
#[derive(Debug, Default)]
pub(crate) struct Hold {
    shut: Mutex<bool>,
    opened: Condvar,
}

impl Hold {
    pub(crate) fn set(&self, shut: bool) {
        *self.shut.lock().unwrap() = shut;
        self.opened.notify_all();
    }
}

impl Store for Told {
    fn load(&mut self) -> Result<Image, StoreError> {
        self.inner.load()
    }

    fn commit(&mut self, batches: &[Batch]) -> Result<Head, StoreError> {
        self.trace.tell("commit begins");
        let shut = self.hold.shut.lock().unwrap();
        drop(self.hold.opened.wait_while(shut, |shut| *shut).unwrap());
        let outcome = self.inner.commit(batches);
        let entries = batches.iter().flat_map(|batch| &batch.journal);
        let kinds: Vec<_> = entries.map(|entry| entry.fact.kind()).collect();
        let what = if outcome.is_ok() { "commit" } else { "commit fails" };
        self.trace.tell(format!("{what}: {}", kinds.join(" ")));
        outcome
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.inner.reader()
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.trace.tell("store closed");
    }
}

/// What a node is made of, to be changed before it is started.
pub(crate) struct Scene {
    pub(crate) trace: Trace,
    pub(crate) memory: Memory,
    pub(crate) hold: Arc<Hold>,
    pub(crate) config: NodeConfig,
    // The workspace is removed when the scene is.
    _workspace: tempfile::TempDir,
}

impl Scene {
    /// A node with one model `m` that does as the script says, the calculator, and four tools.
    pub(crate) fn new(script: impl Fn(&Request) -> Say + Send + Sync + 'static) -> Self {
        Self::on(Memory::new(), Trace::new(), Arc::new(script))
    }

    pub(crate) fn on(memory: Memory, trace: Trace, script: Arc<Script>) -> Self {
        let hold = Arc::new(Hold::default());
        let inner = Box::new(memory.clone());
        let store = Told { inner, trace: trace.clone(), hold: hold.clone() };
        let workspace = tempfile::tempdir().unwrap();
        let driver = Arc::new(Model { trace: trace.clone(), script });
        let model = ModelDevice { slots: 4, stream: true, ..ModelDevice::new("m", driver) };
        let mut tools = Registry::new();
        tools.add(Arc::new(Calculator::new())).unwrap();
        let config = NodeConfig {
            summary_model: None,
            needs: aosk_runtime::kernel::memory::NeedTable::seeded(),
            store: Box::new(store),
            models: vec![model],
            embedder: None,
            tools,
            recorded: None,
            programs: Programs::default(),
            policy: aosk_runtime::kernel::policy("priority").unwrap(),
            routes: BTreeMap::new(),
            groups: BTreeMap::new(),
            slice: None,
            replacement: aosk_runtime::kernel::memory::DEFAULT,
            prefer: aosk_runtime::kernel::memory::Prefer::Cost,
            limits: Limits::default(),
            tool_slots: 8,
            workspace: workspace.path().to_owned(),
            reports: None,
            drain: Millis::from_secs(30),
            linger: Millis::ZERO,
        };
        let mut scene = Self { trace, memory, hold, config, _workspace: workspace };
        scene.tool("write", Do::Echo, |_| {});
        scene.tool("read", Do::Echo, |traits| traits.idempotent = true);
        scene.tool("think_hard", Do::Echo, |traits| traits.inline = true);
        scene
    }

    /// Puts `wrap` around the store, inside of what tells of its commits.
    pub(crate) fn wrap_store(&mut self, wrap: impl FnOnce(Box<dyn Store>) -> Box<dyn Store>) {
        let inner = wrap(Box::new(self.memory.clone()));
        let (trace, hold) = (self.trace.clone(), self.hold.clone());
        self.config.store = Box::new(Told { inner, trace, hold });
        // The store that was there told of its end.
        self.trace.0.send_modify(|trace| drop(trace.pop()));
    }

    /// Adds a tool; unless `change` says otherwise it is neither inline nor idempotent.
    pub(crate) fn tool(&mut self, name: &str, does: Do, change: impl FnOnce(&mut ToolTraits)) {
        let spec = ToolSpec {
            name: name.to_owned(),
            description: "a tool for tests".to_owned(),
            parameters: serde_json::json!({ "type": "object" }),
        };
        let mut traits = ToolTraits {
            risk: Risk::Safe,
            idempotent: false,
            inline: false,
            parallel: true,
            timeout: Millis::from_secs(20),
        };
        change(&mut traits);
        let tool = TestTool { trace: self.trace.clone(), spec, traits, does };
        self.config.tools.add(Arc::new(tool)).unwrap();
    }

    /// Starts the node. What it wrote stays readable through `memory`.
    pub(crate) fn start(self) -> Running {
        let Self { trace, memory, hold, config, _workspace } = self;
        let node = Node::start(config).unwrap();
        let _open = OpenAtLast(hold.clone());
        Running { handle: node.handle(), node, trace, memory, hold, _open, _workspace }
    }
}

/// A node that runs.
pub(crate) struct Running {
    pub(crate) node: Node,
    pub(crate) handle: Handle,
    pub(crate) trace: Trace,
    pub(crate) memory: Memory,
    pub(crate) hold: Arc<Hold>,
    _open: OpenAtLast,
    _workspace: tempfile::TempDir,
}

/// Lets commits through when a test is over, or nothing would ever end.
struct OpenAtLast(Arc<Hold>);

impl Drop for OpenAtLast {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl Running {
    /// Ends the node in order.
    pub(crate) async fn shutdown(self) -> Result<(), Error> {
        self.node.shutdown().await
    }

    /// Starts an agent under `react` and gives back its id.
    pub(crate) async fn agent(&self, name: &str) -> Pid {
        self.handle.spawn(agent(name)).await.unwrap()
    }

    /// Waits until the process is in a state of this name.
    pub(crate) async fn state(&self, pid: Pid, state: &str) {
        until(&self.handle, pid, |snapshot| snapshot.state == state).await;
    }

    /// Waits for the end of a process and gives back how it ended and what it said.
    pub(crate) async fn end(&self, pid: Pid) -> (ExitStatus, String) {
        let end = self.handle.wait(pid).await.unwrap();
        let reader = self.handle.reader();
        let said = end.result.map(|hash| inspect::body(reader.as_ref(), hash).unwrap());
        (end.status.unwrap(), said.map(|body| body.message().text()).unwrap_or_default())
    }
}

/// Waits until what readers see of a process is as wanted.
pub(crate) async fn until(handle: &Handle, pid: Pid, wanted: impl Fn(&Snapshot) -> bool) {
    loop {
        let changed = handle.changed(pid);
        if handle.process(pid).is_some_and(|snapshot| wanted(&snapshot)) {
            return;
        }
        changed.await;
    }
}

pub(crate) fn options() -> ThinkOptions {
    ThinkOptions {
        model: "m".to_owned(),
        output_max: Tokens(100),
        tools: Vec::new(),
        temperature_milli: None,
        window: None,
    }
}

pub(crate) fn agent(name: &str) -> SpawnSpec {
    let param = react::Param {
        options: options(),
        workspace: None,
        base_url: None,
        replacement: None,
        prefer: None,
        chat: false,
    };
    process(name, "react", &serde_json::to_string(&param).unwrap())
}

pub(crate) fn process(name: &str, program: &str, param: &str) -> SpawnSpec {
    SpawnSpec {
        name: name.to_owned(),
        label: String::new(),
        program: ProgramSpec { name: program.to_owned(), param: param.into() },
        priority: 50,
        capabilities: PermissionLevel::Full.capabilities(),
        limits: Limits::default(),
        group: String::new(),
        fork: false,
        pages: vec![Body::new(Message::user(format!("you are {name}")))],
    }
}

/// The last message of what a model is shown.
pub(crate) fn last(request: &Request) -> String {
    request.messages.last().map(|body| body.message().text()).unwrap_or_default()
}

/// The facts of each process, without times, one line each.
pub(crate) fn facts(memory: &Memory) -> BTreeMap<Pid, Vec<String>> {
    let mut facts: BTreeMap<Pid, Vec<String>> = BTreeMap::new();
    let each = |entry: aosk_runtime::store::StoredEntry| {
        if let Some(pid) = entry.pid {
            facts.entry(pid).or_default().push(format!("{} {}", entry.kind, entry.data));
        }
        true
    };
    let query = aosk_runtime::store::JournalQuery::default();
    inspect::journal(memory, &query, each).unwrap();
    facts
}

/// Gives everything that can go on the chance to.
pub(crate) async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

pub(crate) fn code<T>(outcome: Result<T, Error>) -> Option<ErrorCode> {
    outcome.err().map(|error| error.code)
}

/// A flag that a test raises.
#[derive(Debug, Default)]
pub(crate) struct Flag(AtomicBool);

impl Flag {
    pub(crate) fn raise(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether it was raised since it was last asked.
    pub(crate) fn take(&self) -> bool {
        self.0.swap(false, Ordering::SeqCst)
    }
}

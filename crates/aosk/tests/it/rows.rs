//! A data directory as a kernel leaves it that was driven by hand: every state a process can be in,
//! without waiting for it.

use std::collections::BTreeMap;

use aosk::abi::{
    Body, CallId, Command, Effects, ErrorCode, Failure, FailureClass, FinishReason, Input, Limits,
    Message, MessageIndex, Millis, ModelOutcome, ModelReply, PageKind, PermissionLevel, Pid, Piece,
    ProgramSpec, RequestId, Risk, Signal, SpawnSpec, Step, Syscall, TEXT_END, ThinkOptions,
    Timestamp, Tokens, ToolTraits, ToolUse, Usage,
};
use aosk::kernel::{Config, Kernel, ModelConfig, State};
use aosk::store::{Batch, Sqlite, Store};

use crate::machine::Machine;

/// A kernel that is driven by hand, and its store.
pub(crate) struct Rows {
    pub(crate) kernel: Kernel,
    pub(crate) now: Timestamp,
    fx: Effects,
    store: Sqlite,
}

impl Rows {
    /// A kernel in the machine's data directory, which holds it as one that runs does.
    pub(crate) fn new(machine: &Machine, config: Config) -> Self {
        let store = Sqlite::open(&machine.data_dir()).expect("opens");
        let now = aosk::Clock::start().now();
        let mut rows = Self { kernel: Kernel::new(config), now, fx: Effects::default(), store };
        rows.apply(&Input::Boot);
        rows
    }

    /// One model, `m`, with a slot.
    pub(crate) fn config() -> Config {
        let model = ModelConfig { slots: 1, ..ModelConfig::default() };
        let tool = ToolTraits {
            risk: Risk::High,
            idempotent: false,
            inline: false,
            parallel: false,
            timeout: Millis::from_secs(600),
        };
        Config {
            models: BTreeMap::from([("m".to_owned(), model)]),
            tools: BTreeMap::from([("shell".to_owned(), tool)]),
            ..Config::default()
        }
    }

    pub(crate) fn apply(&mut self, input: &Input) {
        self.kernel.apply(self.now, input, &mut self.fx);
        self.kernel.flush(&mut self.fx);
        let fx = std::mem::take(&mut self.fx);
        let batch = Batch { rows: fx.rows, journal: fx.journal, bodies: fx.bodies };
        self.store.commit(&[batch]).expect("commits");
    }

    pub(crate) fn operate(&mut self, command: Command) {
        self.apply(&Input::Operator { request: RequestId(1), command });
    }

    pub(crate) fn signal(&mut self, pid: Pid, signal: Signal) {
        self.operate(Command::Signal { pid, signal });
    }

    /// Starts a process, whose id is the next.
    pub(crate) fn spawn(&mut self, spec: SpawnSpec) -> Pid {
        let last = self.kernel.processes().map(|(pid, _)| pid.0).max().unwrap_or(0);
        self.operate(Command::Spawn(Box::new(spec)));
        Pid(last + 1)
    }

    pub(crate) fn step(&mut self, pid: Pid, mut call: Syscall) {
        let process = self.kernel.process(pid).expect("lives");
        if let Syscall::Think { pieces, .. } = &mut call {
            let new = process.memory.taken().0..process.page_count().0;
            pieces.extend(new.map(|source| Piece {
                source: MessageIndex(source),
                kind: PageKind::Message,
                tokens: 0,
                end: TEXT_END,
                answers: false,
                copy_of: None,
            }));
        }
        let step = Step { append: Vec::new(), call, state: "null".into() };
        self.apply(&Input::Syscall { pid, turn: process.turn, step });
    }

    /// Ends the model call that a process holds a slot for.
    pub(crate) fn done(&mut self, pid: Pid, outcome: ModelOutcome) {
        let process = self.kernel.process(pid).expect("lives");
        let State::Running { call, .. } = process.state.inner() else {
            panic!("{pid} has no call in flight: {:?}", process.state)
        };
        let id = CallId { pid, number: call.number };
        self.apply(&Input::ModelDone { call: id, attempt: call.attempt, outcome });
    }

    pub(crate) fn answer(&mut self, pid: Pid, output: u64) {
        let body = Body::new(Message::assistant("answer"));
        let usage =
            Usage { input_uncached: Tokens(10), output: Tokens(output), ..Usage::default() };
        let reply = ModelReply { body, usage, finish: FinishReason::Stop };
        self.done(pid, ModelOutcome::Answered(Box::new(reply)));
    }

    pub(crate) fn fail(&mut self, pid: Pid, class: FailureClass, after: Option<u64>) {
        let code = match class {
            FailureClass::RateLimited => ErrorCode::ModelRateLimited,
            FailureClass::Transient | FailureClass::Final => ErrorCode::ModelServer,
        };
        self.done(
            pid,
            ModelOutcome::Failed(Failure {
                class,
                code,
                message: "asking m: the server says 503".to_owned(),
                hint: String::new(),
                retry_after: after.map(Millis::from_secs),
                usage: None,
            }),
        );
    }

    /// Lets time pass until the next thing is due.
    pub(crate) fn until_due(&mut self) {
        self.now = self.now.max(self.kernel.next_deadline().expect("something is due"));
        self.apply(&Input::Tick);
    }
}

pub(crate) fn spec(name: &str) -> SpawnSpec {
    SpawnSpec {
        name: name.to_owned(),
        label: "run".to_owned(),
        program: ProgramSpec { name: "react".to_owned(), param: "null".into() },
        priority: 50,
        capabilities: PermissionLevel::Full.capabilities(),
        limits: Limits::default(),
        group: String::new(),
        fork: false,
        pages: vec![Body::new(Message::user("task"))],
    }
}

pub(crate) fn in_group(name: &str, group: &str) -> SpawnSpec {
    SpawnSpec { group: group.to_owned(), ..spec(name) }
}

pub(crate) fn with_limits(name: &str, limits: Limits) -> SpawnSpec {
    SpawnSpec { limits, ..spec(name) }
}

/// Asks `m` with 10 tokens of input for at most 90.
pub(crate) fn think() -> Syscall {
    let options = ThinkOptions {
        model: "m".to_owned(),
        output_max: Tokens(90),
        tools: Vec::new(),
        temperature_milli: None,
        window: None,
    };
    Syscall::Think { options, tools: Tokens(10), pieces: Vec::new(), uses: Vec::new() }
}

pub(crate) fn call_shell(times: usize) -> Syscall {
    let call =
        |at| ToolUse { id: format!("u{at}"), name: "shell".to_owned(), arguments: "{}".into() };
    Syscall::CallTools { calls: (0..times).map(call).collect() }
}

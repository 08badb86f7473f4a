//! The harness: drives a kernel with a virtual clock, a store in memory and no devices, and writes
//! down what goes in and what comes out.
//!
//! After every input it checks the kernel's invariants and the devices' side of the contract: no
//! call starts twice, only calls in flight are cancelled, no program is woken twice at once. After
//! every batch it commits and asserts that a kernel restored from the rows is the same kernel, and
//! that every page and message has its body.

use std::collections::{BTreeMap, BTreeSet};

use aosk_abi::{
    Abilities, Body, CallId, Capabilities, Command, Effects, Entry, ErrorCode, ExitStatus, Fact,
    Failure, FailureClass, FinishReason, Hash, Image, Input, Limits, Message, MessageIndex,
    MicroUsd, Millis, ModelOutcome, ModelReply, Notice, PageKind, Peer, PermissionLevel, Pid,
    Piece, Price, ProgramSpec, Rates, Release, Reply, RequestId, Resource, Resume, Risk, RowChange,
    RowKey, RowOp, Signal, SpawnSpec, Spend, Step, Syscall, TEXT_END, ThinkOptions, Timestamp,
    Tokens, ToolOutcome, ToolStart, ToolTraits, ToolUse, Usage, Wake,
};
use expect_test::Expect;

use crate::budget::Budget;
use crate::process::{Process, State, ToolPhase};
use crate::{Config, Kernel, ModelConfig};

/// One kernel under test.
pub(super) struct Script {
    pub(super) kernel: Kernel,
    pub(super) now: Timestamp,
    /// What the store has.
    pub(super) rows: BTreeMap<RowKey, String>,
    /// What it keeps of processes that are reaped.
    pub(super) archived: BTreeMap<RowKey, String>,
    /// Every input so far, for running it again.
    pub(super) inputs: Vec<(Timestamp, Input)>,
    /// What came of each.
    pub(super) effects: Vec<Effects>,
    bodies: BTreeMap<Hash, Body>,
    in_flight: BTreeSet<(CallId, u32)>,
    batching: bool,
    /// Whether only the end of the batch is checked.
    long: bool,
    transcript: String,
}

/// Two models, `m` with one slot and prices and `n` with two slots and none; an inline tool, one
/// that can be called again and one that cannot, in two slots; and one whose calls run alone.
pub(super) fn config() -> Config {
    let price = Price::flat(Rates {
        input: MicroUsd(1_000_000),
        cache_read: MicroUsd(100_000),
        cache_write: MicroUsd(1_000_000),
        output: MicroUsd(2_000_000),
    });
    let tool = |risk, idempotent, inline, seconds| ToolTraits {
        risk,
        idempotent,
        inline,
        parallel: true,
        timeout: Millis::from_secs(seconds),
    };
    Config {
        models: BTreeMap::from([
            (
                "m".to_owned(),
                ModelConfig {
                    slots: 1,
                    price,
                    timeout: Millis::from_secs(60),
                    ..ModelConfig::default()
                },
            ),
            (
                "n".to_owned(),
                ModelConfig { slots: 2, timeout: Millis::from_secs(60), ..ModelConfig::default() },
            ),
        ]),
        tools: BTreeMap::from([
            ("calc".to_owned(), tool(Risk::Safe, true, true, 1)),
            ("read".to_owned(), tool(Risk::Low, true, false, 10)),
            ("shell".to_owned(), tool(Risk::High, false, false, 30)),
            (
                "edit".to_owned(),
                ToolTraits { parallel: false, ..tool(Risk::Medium, false, false, 10) },
            ),
        ]),
        tool_slots: 2,
        ..Config::default()
    }
}

/// A process that may do everything.
pub(super) fn spec(name: &str) -> SpawnSpec {
    SpawnSpec {
        name: name.to_owned(),
        label: String::new(),
        program: ProgramSpec { name: "test".to_owned(), param: "null".into() },
        priority: 50,
        capabilities: PermissionLevel::Full.capabilities(),
        limits: Limits::default(),
        group: String::new(),
        fork: false,
        pages: vec![user("task")],
    }
}

pub(super) fn with_limits(name: &str, limits: Limits) -> SpawnSpec {
    SpawnSpec { limits, ..spec(name) }
}

pub(super) fn with_priority(name: &str, priority: u8) -> SpawnSpec {
    SpawnSpec { priority, ..spec(name) }
}

pub(super) fn with_capabilities(name: &str, capabilities: Capabilities) -> SpawnSpec {
    SpawnSpec { capabilities, ..spec(name) }
}

pub(super) fn tokens(limit: u64) -> Limits {
    Limits { tokens: Some(Tokens(limit)), ..Limits::default() }
}

pub(super) fn user(text: &str) -> Body {
    Body::new(Message::user(text))
}

/// A message of the log that is one page.
pub(super) fn piece(source: MessageIndex, kind: PageKind, tokens: u32) -> Piece {
    Piece { source, kind, tokens, end: TEXT_END, answers: false, copy_of: None }
}

/// Asks `model` with 10 tokens of input for at most 90 of output: a worst case of 100.
pub(super) fn think(model: &str) -> Syscall {
    think_of(model, 10, 90)
}

pub(super) fn think_of(model: &str, input: u64, output_max: u64) -> Syscall {
    let options = ThinkOptions {
        model: model.to_owned(),
        output_max: Tokens(output_max),
        tools: Vec::new(),
        temperature_milli: None,
        window: None,
    };
    // What the log takes is said when the step is taken.
    Syscall::Think { options, tools: Tokens(input), pieces: Vec::new(), uses: Vec::new() }
}

pub(super) fn relay(model: &str, input: u64) -> Syscall {
    let Syscall::Think { options, .. } = think(model) else { panic!("a call of a model") };
    Syscall::Relay { options, input: Tokens(input), needs: Abilities::NONE }
}

pub(super) fn call_tools(tools: &[&str]) -> Syscall {
    let calls = tools
        .iter()
        .enumerate()
        .map(|(at, tool)| ToolUse {
            id: format!("u{at}"),
            name: (*tool).to_owned(),
            arguments: "{}".into(),
        })
        .collect();
    Syscall::CallTools { calls }
}

pub(super) fn spawn(spec: SpawnSpec) -> Syscall {
    Syscall::Spawn { spec: Box::new(spec) }
}

pub(super) fn wait(child: Option<Pid>, timeout: Option<u64>) -> Syscall {
    Syscall::Wait { child: child.map(Peer::Pid), timeout: timeout.map(Millis::from_secs) }
}

pub(super) fn receive(from: Option<Pid>, timeout: Option<u64>) -> Syscall {
    Syscall::Receive { from: from.map(Peer::Pid), timeout: timeout.map(Millis::from_secs) }
}

pub(super) fn send(to: Pid, text: &str) -> Syscall {
    Syscall::Send { to: to.into(), body: user(text) }
}

pub(super) fn sleep(seconds: u64) -> Syscall {
    Syscall::Sleep { span: Millis::from_secs(seconds) }
}

pub(super) fn exit() -> Syscall {
    Syscall::Exit { status: ExitStatus::Finished, result: None }
}

pub(super) fn exit_with(status: ExitStatus, result: &str) -> Syscall {
    Syscall::Exit { status, result: Some(user(result)) }
}

pub(super) fn usage(input: u64, output: u64) -> Usage {
    Usage { input_uncached: Tokens(input), output: Tokens(output), ..Usage::default() }
}

pub(super) fn answer(usage: Usage) -> ModelOutcome {
    let body = Body::new(Message::assistant("answer"));
    ModelOutcome::Answered(Box::new(ModelReply { body, usage, finish: FinishReason::Stop }))
}

/// It was cancelled before anything of an answer came.
pub(super) fn cancelled() -> ModelOutcome {
    ModelOutcome::Cancelled { output: Tokens::ZERO }
}

pub(super) fn transient() -> Failure {
    failure(FailureClass::Transient, ErrorCode::ModelServer, None)
}

pub(super) fn failure(class: FailureClass, code: ErrorCode, retry_after: Option<u64>) -> Failure {
    Failure {
        class,
        code,
        message: "it broke".to_owned(),
        hint: String::new(),
        retry_after: retry_after.map(Millis::from_secs),
        usage: None,
    }
}

/// A transient failure of an attempt that used so much.
pub(super) fn broke_off(usage: Usage) -> Failure {
    Failure { usage: Some(usage), ..transient() }
}

pub(super) fn call(pid: Pid, number: u32) -> CallId {
    CallId { pid, number }
}

impl Script {
    /// A new kernel that has been booted at zero.
    pub(super) fn new(config: Config) -> Self {
        let mut script = Self {
            kernel: Kernel::new(config),
            now: Timestamp::ZERO,
            rows: BTreeMap::new(),
            archived: BTreeMap::new(),
            inputs: Vec::new(),
            effects: Vec::new(),
            bodies: BTreeMap::new(),
            in_flight: BTreeSet::new(),
            batching: false,
            long: false,
            transcript: String::new(),
        };
        script.apply("boot", Input::Boot);
        script.forget();
        script
    }

    /// Compares the transcript since the last look and begins a new one.
    #[track_caller]
    pub(super) fn expect(&mut self, expected: &Expect) {
        expected.assert_eq(&self.take());
    }

    /// The transcript since the last look; begins a new one.
    pub(super) fn take(&mut self) -> String {
        std::mem::take(&mut self.transcript)
    }

    /// Begins a new transcript: what was so far only set the scene.
    pub(super) fn forget(&mut self) {
        self.transcript.clear();
    }

    /// Runs `inputs` as one batch: one commit after the last.
    pub(super) fn batch(&mut self, inputs: impl FnOnce(&mut Self)) {
        self.batching = true;
        inputs(self);
        self.batching = false;
        self.check();
        self.commit();
    }

    /// The same for thousands of inputs: a check looks at everything there is, so one at the end must
    /// do.
    pub(super) fn long_batch<T>(&mut self, inputs: impl FnOnce(&mut Self) -> T) -> T {
        (self.batching, self.long) = (true, true);
        let outcome = inputs(self);
        (self.batching, self.long) = (false, false);
        self.check();
        self.commit();
        outcome
    }

    // Inputs.

    pub(super) fn operate(&mut self, label: &str, command: Command) -> Reply {
        let request = RequestId(1);
        let fx = self.apply(label, Input::Operator { request, command });
        let replies: Vec<_> = fx
            .releases
            .into_iter()
            .filter_map(|release| match release {
                Release::Reply { reply, .. } => Some(reply),
                Release::Think { .. }
                | Release::Tool(_)
                | Release::Cancel { .. }
                | Release::Yield { .. } => None,
            })
            .collect();
        let [reply] = replies.try_into().expect("every request is answered once");
        reply
    }

    /// The operator starts a process.
    pub(super) fn spawn(&mut self, spec: SpawnSpec) -> Pid {
        let label = format!("operator spawns {}", spec.name);
        let reply = self.operate(&label, Command::Spawn(Box::new(spec)));
        let Reply::Spawned(pid) = reply else { panic!("{label}: {reply:?}") };
        pid
    }

    /// The process starts a child.
    pub(super) fn child(&mut self, parent: Pid, spec: SpawnSpec) -> Pid {
        self.step(parent, spawn(spec));
        let State::Program { wake: Wake::Spawned { pid } } = self.process(parent).state.inner()
        else {
            panic!("{parent} was not given a child\n{}", self.transcript);
        };
        *pid
    }

    pub(super) fn signal(&mut self, pid: Pid, signal: Signal) -> Reply {
        self.operate(&format!("operator signals {pid} {signal:?}"), Command::Signal { pid, signal })
    }

    /// The program's step for its present turn.
    pub(super) fn step(&mut self, pid: Pid, call: Syscall) {
        let turn = self.process(pid).turn;
        self.step_of(pid, turn, Step { append: Vec::new(), call, state: "null".into() });
    }

    pub(super) fn step_of(&mut self, pid: Pid, turn: u64, mut step: Step) {
        self.take_in(pid, &mut step);
        let label = format!("{pid}#{turn} {}", syscall(&step.call));
        self.apply(&label, Input::Syscall { pid, turn, step });
    }

    /// Adds what the page table does not have yet to a step that asks the model, as pages that take
    /// nothing, if the step says nothing of it.
    fn take_in(&self, pid: Pid, step: &mut Step) {
        let Some(process) = self.kernel.process(pid) else { return };
        let log = process.page_count().0 + u32::try_from(step.append.len()).expect("few");
        if let Syscall::Think { pieces, .. } = &mut step.call
            && pieces.is_empty()
        {
            let new = (process.memory.taken().0..log).map(MessageIndex);
            pieces.extend(new.map(|source| piece(source, PageKind::Message, 0)));
        }
    }

    /// The model call that the process holds a slot for ends.
    pub(super) fn model_done(&mut self, pid: Pid, outcome: ModelOutcome) {
        let State::Running { call, .. } = self.process(pid).state.inner() else {
            panic!("{pid} has no model call in flight\n{}", self.transcript);
        };
        self.model_done_of(pid, call.number, call.attempt, outcome);
    }

    pub(super) fn model_done_of(
        &mut self,
        pid: Pid,
        number: u32,
        attempt: u32,
        outcome: ModelOutcome,
    ) {
        let call = call(pid, number);
        let how = match &outcome {
            ModelOutcome::Answered(_) => "answered",
            ModelOutcome::Failed(_) => "failed",
            ModelOutcome::Cancelled { .. } => "cancelled",
            ModelOutcome::Yielded { .. } => "yielded",
        };
        self.in_flight.remove(&(call, attempt));
        self.apply(&format!("{call}/{attempt} {how}"), Input::ModelDone { call, attempt, outcome });
    }

    pub(super) fn answer(&mut self, pid: Pid, input: u64, output: u64) {
        self.model_done(pid, answer(usage(input, output)));
    }

    pub(super) fn fail(&mut self, pid: Pid, failure: Failure) {
        self.model_done(pid, ModelOutcome::Failed(failure));
    }

    /// The tool call of this number returns `text`.
    pub(super) fn tool_returns(&mut self, pid: Pid, number: u32, text: &str) {
        let wait = self
            .kernel
            .tool_wait(call(pid, number))
            .filter(|wait| matches!(wait.phase, ToolPhase::InFlight { .. }))
            .expect("the call is in flight");
        let body = Body::new(Message::tool(wait.use_id.clone(), text));
        self.tool_done_of(pid, number, wait.attempt, ToolOutcome::Returned(body));
    }

    pub(super) fn tool_done_of(
        &mut self,
        pid: Pid,
        number: u32,
        attempt: u32,
        outcome: ToolOutcome,
    ) {
        let call = call(pid, number);
        let how = match &outcome {
            ToolOutcome::Returned(_) => "returned",
            ToolOutcome::Cancelled => "cancelled",
        };
        self.in_flight.remove(&(call, attempt));
        self.apply(&format!("{call}/{attempt} {how}"), Input::ToolDone { call, attempt, outcome });
    }

    /// Time passes.
    pub(super) fn after(&mut self, millis: u64) {
        self.now = self.now.after(Millis(millis));
        self.apply("tick", Input::Tick);
    }

    /// Time passes until something is due.
    pub(super) fn until_due(&mut self) {
        self.now = self.kernel.next_deadline().expect("something is due");
        self.apply("tick", Input::Tick);
    }

    /// The kernel dies, what was not committed is lost, and a new one boots on what was.
    pub(super) fn crash(&mut self) {
        self.crash_into(self.kernel.config.clone());
    }

    pub(super) fn crash_into(&mut self, config: Config) {
        self.kernel = Kernel::restore(config, &self.image()).expect("rows make a kernel");
        self.in_flight.clear();
        self.apply("crash and boot", Input::Boot);
    }

    // What can be looked at.

    #[track_caller]
    pub(super) fn process(&self, pid: Pid) -> &Process {
        self.kernel.process(pid).unwrap_or_else(|| panic!("{pid} is reaped\n{}", self.transcript))
    }

    /// The first process that holds a model slot.
    pub(super) fn running(&self) -> Option<Pid> {
        let mut processes = self.kernel.processes();
        processes.find(|(_, process)| process.state.word() == "running").map(|(pid, _)| pid)
    }

    /// In one word, what the process does.
    #[track_caller]
    pub(super) fn word(&self, pid: Pid) -> &'static str {
        self.process(pid).state.word()
    }

    /// The budget node that the process spends from.
    pub(super) fn budget(&self, pid: Pid) -> &Budget {
        let node = self.process(pid).spec.budget;
        self.kernel.budgets.get(node).expect("a process has a node")
    }

    pub(super) fn root(&self) -> &Budget {
        self.kernel.budgets.get(crate::budget::ROOT).expect("there is a root")
    }

    pub(super) fn image(&self) -> Image {
        let rows = self.rows.iter().map(|(key, text)| (*key, text.clone())).collect();
        Image { rows, journal_length: 0, journal_head: None }
    }

    /// The log of a process, as text.
    pub(super) fn log(&self, pid: Pid) -> Vec<String> {
        let pages = self.process(pid).pages.iter();
        pages
            .map(|page| {
                let message = self.bodies[&page.hash].message();
                format!("{}: {}", message.role(), message.text())
            })
            .collect()
    }

    // One input.

    pub(super) fn apply(&mut self, label: &str, input: Input) -> Effects {
        let mut fx = Effects::default();
        self.kernel.apply(self.now, &input, &mut fx);
        for body in &fx.bodies {
            self.bodies.insert(body.hash(), body.clone());
        }
        let mut lines = vec![format!("{} {label}", clock(self.now))];
        for entry in &fx.journal {
            assert_eq!(entry.at, self.now, "{label}: the time of a fact");
            lines.push(fact(entry));
        }
        for Resume { pid, turn, wake } in &fx.resumes {
            lines.push(format!("{pid}#{turn} <- {}", self::wake(wake, &self.bodies)));
        }
        lines.extend(fx.inline.iter().map(|start| format!("inline {}", tool_start(start))));
        lines.extend(fx.releases.iter().map(release));
        self.transcript.push_str(&lines.join("\n    "));
        self.transcript.push('\n');
        // With a crowd, the end of the batch must do: a check looks at everybody.
        if !self.batching || (!self.long && self.kernel.process_count() < 100) {
            self.check();
        }
        self.check_contract(&fx, &input);
        self.inputs.push((self.now, input));
        self.effects.push(fx.clone());
        if !self.batching {
            self.commit();
        }
        fx
    }

    fn check(&self) {
        if let Err(violation) = self.kernel.check() {
            panic!("{violation}\n{}", self.transcript);
        }
    }

    fn check_contract(&mut self, fx: &Effects, input: &Input) {
        let mut woken = BTreeSet::new();
        for resume in &fx.resumes {
            let fine = woken.insert(resume.pid)
                && self
                    .kernel
                    .process(resume.pid)
                    .is_none_or(|process| process.turn == resume.turn || process.state.is_over());
            assert!(fine, "{} is woken in vain\n{}", resume.pid, self.transcript);
        }
        for start in &fx.inline {
            assert!(
                self.in_flight.insert((start.call, start.attempt)),
                "{} starts twice",
                start.call
            );
        }
        for release in &fx.releases {
            let (call, attempt, fine) = match release {
                Release::Think { call, attempt, .. } => {
                    (call, attempt, self.in_flight.insert((*call, *attempt)))
                }
                Release::Tool(start) => (
                    &start.call,
                    &start.attempt,
                    self.in_flight.insert((start.call, start.attempt)),
                ),
                Release::Cancel { call, attempt } | Release::Yield { call, attempt } => {
                    (call, attempt, self.in_flight.contains(&(*call, *attempt)))
                }
                Release::Reply { .. } => continue,
            };
            assert!(fine, "{call}/{attempt} starts twice or ends twice\n{}", self.transcript);
        }
        if *input == Input::Tick {
            let later = self.kernel.next_deadline().is_none_or(|at| at > self.now);
            assert!(later, "something is due after a tick\n{}", self.transcript);
        }
        assert!(fx.rows.is_empty(), "rows come with the flush");
    }

    pub(super) fn commit(&mut self) {
        let mut fx = Effects::default();
        self.kernel.flush(&mut fx);
        for RowChange { key, op } in fx.rows {
            let reaped = key.pid().is_some_and(|p| self.archived.contains_key(&RowKey::Process(p)));
            assert!(!reaped, "{key:?} is written after its process was archived");
            match op {
                RowOp::Put(text) => {
                    self.rows.insert(key, text);
                }
                RowOp::Delete => {
                    self.rows.remove(&key);
                }
                RowOp::Archive => self.archive(key),
            }
        }
        for (pid, process) in self.kernel.take_ended() {
            assert!(self.archived.contains_key(&RowKey::Process(pid)), "{pid} is not archived");
            assert_eq!(process.state.word(), "zombie", "{pid} is reaped");
        }
        let rows: Vec<_> = self.rows.iter().map(|(key, text)| (*key, text.clone())).collect();
        assert_eq!(rows, self.kernel.rows(), "what was flushed is what there is");
        let restored = Kernel::restore(self.kernel.config.clone(), &self.image());
        let restored = restored.expect("rows make a kernel");
        assert_eq!(restored.rows(), rows, "what is restored is what was stored");
        let mut again = Effects::default();
        self.kernel.flush(&mut again);
        assert_eq!(again, Effects::default(), "nothing is left after a flush");
        for (pid, process) in self.kernel.processes() {
            let mails = process.mailbox.values().map(|mail| mail.body);
            for hash in process.pages.iter().map(|page| page.hash).chain(mails) {
                assert!(self.bodies.contains_key(&hash), "{pid} has a page without a body");
            }
        }
    }

    fn archive(&mut self, key: RowKey) {
        let RowKey::Process(pid) = key else { panic!("{key:?} cannot be archived") };
        let of_process: Vec<_> =
            self.rows.keys().filter(|key| key.pid() == Some(pid)).copied().collect();
        assert!(of_process.contains(&key), "{pid} is archived without its last state");
        for key in of_process {
            assert!(!matches!(key, RowKey::Mail(..)), "{pid} leaves mail behind");
            let text = self.rows.remove(&key).expect("listed");
            self.archived.insert(key, text);
        }
    }
}

// How things look in a transcript.

fn clock(at: Timestamp) -> String {
    match (at.0 / 1000, at.0 % 1000) {
        (seconds, 0) => format!("{seconds}s"),
        (seconds, millis) => format!("{seconds}.{millis:03}s"),
    }
}

fn syscall(call: &Syscall) -> String {
    let until = |timeout: &Option<Millis>| match timeout {
        Some(span) => format!(" for {span}"),
        None => String::new(),
    };
    let whom = |peer: &Option<Peer>| match peer {
        None => "any".to_owned(),
        Some(Peer::Pid(pid)) => pid.to_string(),
        Some(Peer::Name(name)) => format!("{name:?}"),
    };
    match call {
        Syscall::Recall { pages } => format!("recall {pages:?}"),
        Syscall::Pin { page, pinned: true } => format!("pin {page:?}"),
        Syscall::Pin { page, pinned: false } => format!("unpin {page:?}"),
        Syscall::Forget { page } => format!("forget {page:?}"),
        Syscall::BeginTask { goal } => format!("begin task {:?}", goal.message().text()),
        Syscall::EndTask { result } => format!("end task {:?}", result.message().text()),
        Syscall::Think { options, tools: input, .. } => {
            format!("think {} {input}+{}", options.model, options.output_max)
        }
        Syscall::Relay { options, input, .. } => {
            format!("relay {} {input}+{}", options.model, options.output_max)
        }
        Syscall::CallTools { calls } => {
            let names: Vec<_> = calls.iter().map(|call| call.name.as_str()).collect();
            match names.len() {
                0 => "call nothing".to_owned(),
                1..=8 => format!("call {}", names.join(" ")),
                many => format!("call {many} tools"),
            }
        }
        Syscall::Spawn { spec } => format!("spawn {}", spec.name),
        Syscall::Wait { child, timeout } => format!("wait {}{}", whom(child), until(timeout)),
        Syscall::Send { to, body } => match body.message().text() {
            long if long.len() > 100 => format!("send {to} a long message"),
            text => format!("send {to} {text:?}"),
        },
        Syscall::Receive { from, timeout } => format!("receive {}{}", whom(from), until(timeout)),
        Syscall::Sleep { span } => format!("sleep {span}"),
        Syscall::Exit { status, result } => format!("exit {status}{}", left(result.is_some())),
    }
}

fn left(result: bool) -> &'static str {
    if result { " with a result" } else { "" }
}

fn wake(wake: &Wake, bodies: &BTreeMap<Hash, Body>) -> String {
    match wake {
        Wake::Started => "started".to_owned(),
        Wake::Answered { page, finish } => format!("answered {page:?} {finish:?}"),
        Wake::ModelFailed { failure } => {
            format!("model failed: {} [{}]", failure.message, failure.code)
        }
        Wake::ToolsReturned { first, count } => format!("tools returned {first:?} x{count}"),
        Wake::Spawned { pid } => format!("spawned {pid}"),
        Wake::ChildExited { pid, status, result } => {
            let result = result.map(|result| bodies[&result].message().text());
            format!("child {pid} {status}{}", result.map_or(String::new(), |r| format!(" {r:?}")))
        }
        Wake::Recalled { pages } => format!("recalled {pages:?}"),
        Wake::Pinned => "pinned".to_owned(),
        Wake::Forgotten { freed } => format!("forgotten {freed}"),
        Wake::TaskBegun { task } => format!("task {} begun", task.0),
        Wake::TaskEnded { task, pages } => match pages {
            Some((first, last)) => format!("task {} ended: {} to {}", task.0, first.0, last.0),
            None => format!("task {} ended", task.0),
        },
        Wake::Sent => "sent".to_owned(),
        Wake::Received { body, from } => {
            format!("received {:?} from {}", bodies[body].message().text(), sender(*from))
        }
        Wake::Slept => "slept".to_owned(),
        Wake::TimedOut => "timed out".to_owned(),
        Wake::Refused { error } => format!("refused: {error}"),
        Wake::OutOfBudget { resource } => format!("out of budget: {resource:?}"),
        Wake::Terminated => "terminated".to_owned(),
    }
}

fn sender(from: Option<Pid>) -> String {
    from.map_or_else(|| "the operator".to_owned(), |pid| pid.to_string())
}

fn tool_start(start: &ToolStart) -> String {
    format!("{}/{} {} ordinal {}", start.call, start.attempt, start.tool, start.ordinal)
}

fn release(release: &Release) -> String {
    match release {
        Release::Think { call, attempt, device, window, options, begun, notice } => {
            let device = if *device == options.model { "" } else { &format!(" on {device}") };
            let begun = if begun.is_some() { ", begun" } else { "" };
            let notice = match notice {
                Some(Notice::LastStep { resource }) => format!(", the last by {resource:?}"),
                Some(Notice::Runaway { what, times }) => format!(", told of {what:?} x {times}"),
                None => String::new(),
            };
            let (model, pages) = (&options.model, window.frames.len());
            let shown = if window.relayed { "what was sent" } else { &format!("{pages} pages") };
            format!("think {call}/{attempt} {model}{device} with {shown}{begun}{notice}")
        }
        Release::Yield { call, attempt } => format!("yield {call}/{attempt}"),
        Release::Tool(start) => format!("tool {}", tool_start(start)),
        Release::Cancel { call, attempt } => format!("cancel {call}/{attempt}"),
        Release::Reply { reply, .. } => match reply {
            Reply::Spawned(pid) => format!("reply: {pid}"),
            Reply::Done => "reply: done".to_owned(),
            Reply::Refused(error) => format!("reply: refused: {error}"),
        },
    }
}

fn fact(entry: &Entry) -> String {
    let whose = entry.pid.map_or_else(|| "node".to_owned(), |pid| pid.to_string());
    let kind = entry.fact.kind();
    let what = match &entry.fact {
        Fact::Spawned { name, parent, priority, pages, .. } => {
            let parent = parent.map_or(String::new(), |parent| format!(" under {parent}"));
            format!("{name}{parent} priority {priority} with {} pages", pages.len())
        }
        Fact::MemoryCut { call, cause, before, after, evicted, .. } => {
            format!("{call} {cause:?} {} pages, {before} to {after}", evicted.len())
        }
        Fact::SummaryCalled { call, model, pages: (first, last), input, output_max } => {
            format!("{call} {model} for {} to {} {input}+{output_max}", first.0, last.0)
        }
        Fact::Summarised { call, usage, cost, .. } => {
            format!("{call} used {}+{} for {cost}", usage.input(), usage.output)
        }
        Fact::SummaryFailed { call, code, message } => format!("{call} {code}: {message}"),
        Fact::PageFaulted { page, tokens } => format!("{page:?} {tokens}"),
        Fact::PageRecalled { page, copy, tokens } => format!("{page:?} as {copy:?} {tokens}"),
        Fact::PagePinned { page, pinned } => format!("{page:?} {pinned}"),
        Fact::PageForgotten { page, freed } => format!("{page:?} {freed}"),
        Fact::TaskBegun { task, within, .. } => format!("{} within {}", task.0, within.0),
        Fact::TaskEnded { task, pages, tokens, .. } => format!("{} {pages} pages {tokens}", task.0),
        Fact::CacheMissed { call, reason, unchanged, read, changed } => {
            let changed = changed.as_ref().map(ToString::to_string).unwrap_or_default();
            format!("{call} {reason:?} {read} of {unchanged}: {changed}")
        }
        Fact::ModelCalled { call, model, pages, input, output_max, .. } => {
            format!("{call} {model} with {} pages {input}+{output_max}", pages.0)
        }
        Fact::ModelRouted { call, attempt, device, by, figure, cached, waited, passed } => {
            let said = |figure: Option<u64>| figure.map_or(String::new(), |n| format!(" {n}"));
            let passed: Vec<_> = passed
                .iter()
                .map(|one| format!("{}{} {:?}", one.device, said(one.figure), one.why))
                .collect();
            format!(
                "{call}/{attempt} to {device}{} by {}, {cached} cached, after {} ms, not [{}]",
                said(*figure),
                by.word(),
                waited.0,
                passed.join(", ")
            )
        }
        Fact::WindowExceeded { model, pages, input, room, .. } => {
            format!("{model} with {} pages {input}, of which {room} fit", pages.0)
        }
        Fact::ModelAnswered { call, page, usage, cost, .. } => {
            format!("{call} {page:?} used {}+{} for {cost}", usage.input(), usage.output)
        }
        Fact::ModelRetried { call, failure, code, wait, .. } => {
            format!("{call}/{failure} {code} again in {} ms", wait.0)
        }
        Fact::ModelFailed { call, code, message } => format!("{call} {code}: {message}"),
        Fact::ModelCharged { call, spend } => format!("{call} {}", spent(spend)),
        Fact::ToolCalled { call, tool, risk, .. } => format!("{call} {tool} {risk:?}"),
        Fact::ToolReturned { call, is_error, .. } => {
            format!("{call}{}", if *is_error { " an error" } else { "" })
        }
        Fact::Refused { syscall, code, .. } => format!("{syscall} {code}"),
        Fact::MessageSent { from, .. } => format!("by {}", sender(*from)),
        Fact::MessageReceived { from, .. } => format!("from {}", sender(*from)),
        Fact::Signalled { signal } => format!("{signal:?}"),
        Fact::Reniced { priority } => priority.to_string(),
        Fact::Exited { status, result, pages } => {
            format!("{status}{} after {pages} pages", left(result.is_some()))
        }
        Fact::BudgetExpired { budget } => budget.to_string(),
        Fact::RunawayFound { what, times, ended } => {
            format!("{what:?} x {times}{}", if *ended { ", ended" } else { "" })
        }
        Fact::BudgetAsked { lack } => {
            format!("{} has no room for {} {lack}", lack.budget, lack.amount)
        }
        Fact::BudgetAnswered { call, budget, granted, by, note } => {
            let said = if *granted { "granted" } else { "denied" };
            format!("{call} {budget} {said} by {by}: {note}")
        }
        Fact::BudgetSet { budget, .. } => budget.to_string(),
        Fact::ModelPreempted { call, device, by, cause, ran } => {
            format!("{call} on {device} by {by}: {cause:?} after {} ms", ran.0)
        }
        Fact::PolicySet { policy } => policy.clone(),
        Fact::Reconfigured { changes } => format!("{changes:?}"),
        Fact::Booted { boots, processes, asked_again, called_again, interrupted } => format!(
            "after {boots} boots with {processes} processes, asked again {asked_again:?}, \
             called again {called_again:?}, interrupted {interrupted:?}"
        ),
    };
    format!("* {whose} {kind} {what}")
}

/// A spend in one line, parts that are nothing left out.
pub(super) fn spent(spend: &Spend) -> String {
    let parts = [
        ("tokens", spend.tokens.0),
        ("calls", spend.calls),
        ("micro-dollars", spend.micro_usd.0),
        ("steps", spend.steps),
        ("children", spend.children),
    ];
    let parts: Vec<_> =
        parts.iter().filter(|(_, n)| *n > 0).map(|(what, n)| format!("{n} {what}")).collect();
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
}

/// A budget node in one line.
pub(super) fn node(budget: &Budget) -> String {
    format!(
        "used {}; reserved {}; overdraft {}",
        spent(&budget.used),
        spent(&budget.reserved),
        spent(&budget.overdraft)
    )
}

/// The resource as the wake that names it has it.
pub(super) fn out_of(resource: Resource) -> Wake {
    Wake::OutOfBudget { resource }
}

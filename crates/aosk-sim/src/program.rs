//! The program of every simulated process: it does at random whatever a program may do. It is pure:
//! its next system call depends on its own stored state and on the wake alone, so it does the same
//! after a crash.

use std::sync::Arc;

use aosk_abi::{
    Abilities, Body, Capabilities, ErrorCode, ExitStatus, Grant, Limits, Message, MicroUsd, Millis,
    PageId, PermissionLevel, Pid, ProgramSpec, Resource, Signal, SpawnSpec, Step, Syscall,
    ThinkOptions, Tokens, ToolUse, Wake,
};
use serde::{Deserialize, Serialize};

use crate::case::{MODELS, TOOLS};
use crate::content::{self, Pages, Said, Source};
use crate::faults::{Feature, Features};
use crate::rng::{About, Rng};

/// What a program remembers, and its parameter: the state of one that has not begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    seed: u64,
    features: u64,
    /// Steps taken.
    step: u32,
    /// Steps after which it ends.
    steps_max: u32,
    /// How many generations it may still start.
    generations: u32,
    /// It does not obey TERM.
    stubborn: bool,
    /// It was told to end.
    told: bool,
    children: Vec<Pid>,
    /// What the messages at the end of its log hold, of which the page table may not know yet.
    said: Vec<Said>,
    /// Where the first of them is.
    first: u32,
    /// Pages that it has asked for and not appended yet.
    brought: Vec<PageId>,
}

/// What a program sees of its process.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// Its id.
    pub pid: Pid,
    /// The parameter it was started with.
    pub param: &'a str,
    /// The state it left; `null` at the beginning.
    pub state: &'a str,
    /// Pages in its log.
    pub pages: u32,
    /// Messages of it that its page table has.
    pub taken: u32,
    /// Pages in its page table.
    pub table: u32,
}

/// The next step of a program.
#[must_use]
pub fn next(view: &View<'_>, wake: &Wake) -> Step {
    let stored = if view.state == "null" { view.param } else { view.state };
    let Ok(mut agent) = serde_json::from_str::<Agent>(stored) else {
        let status = ExitStatus::Failed(ErrorCode::ProgramInvalid);
        let call = Syscall::Exit { status, result: None };
        return Step { append: Vec::new(), call, state: view.state.into() };
    };
    agent.note(wake);
    agent.drop_taken(view.taken);
    let mut rng = Rng::of(agent.seed, About::Step, &[view.pid.0, u64::from(agent.step)]);
    agent.step = agent.step.saturating_add(1);
    let mut append = agent.bring_back(view.pid);
    if rng.chance(400) {
        append.push(Body::new(Message::user(format!("{} at step {}", view.pid, agent.step))));
        agent.said.push(Said::User);
    }
    let mut call = agent.choose(&mut rng, view.pid);
    agent.use_memory(view, &mut call);
    let call = agent.relayed(view.pid, call);
    let state = serde_json::to_string(&agent).unwrap_or_default();
    Step { append, call, state: state.into() }
}

/// The specification of a new process, at random.
pub fn spec(
    rng: &mut Rng,
    features: Features,
    seed: u64,
    steps_max: u32,
    generations: u32,
) -> SpawnSpec {
    let mut agent = Agent {
        seed,
        features: features.bits(),
        step: 0,
        steps_max: u32::try_from(rng.between(1, u64::from(steps_max))).unwrap_or(1),
        generations,
        stubborn: features.has(Feature::Stubborn) && rng.chance(300),
        told: false,
        children: Vec::new(),
        said: Vec::new(),
        first: 0,
        brought: Vec::new(),
    };
    let pages = rng.below(3);
    agent.said.extend((0..pages).map(|_| Said::System));
    let param: Arc<str> = serde_json::to_string(&agent).unwrap_or_default().into();
    SpawnSpec {
        name: format!("agent-{}", rng.below(1000)),
        label: String::new(),
        program: ProgramSpec { name: "random".to_owned(), param },
        priority: u8::try_from(rng.between(0, 100)).unwrap_or(50),
        capabilities: capabilities(rng, features),
        limits: limits(rng, features),
        group: String::new(),
        fork: false,
        pages: (0..pages).map(|at| Body::new(Message::system(format!("page {at}")))).collect(),
    }
}

fn capabilities(rng: &mut Rng, features: Features) -> Capabilities {
    if !features.has(Feature::Capabilities) || rng.chance(500) {
        return PermissionLevel::Full.capabilities();
    }
    let levels =
        [PermissionLevel::Restricted, PermissionLevel::Standard, PermissionLevel::Advanced];
    let level = rng.pick(&levels).copied().unwrap_or(PermissionLevel::Full);
    let mut capabilities = level.capabilities();
    if rng.chance(300) {
        capabilities.tools = Grant::only(["calculator", "write_file"]);
    }
    if rng.chance(200) {
        capabilities.models = Grant::only(["sim:fast"]);
    }
    capabilities
}

fn limits(rng: &mut Rng, features: Features) -> Limits {
    let mut limits = Limits::default();
    if features.has(Feature::Limits) && rng.chance(500) {
        // Longer messages need more of them.
        let scale = if features.has(Feature::SmallWindows) { 8 } else { 1 };
        limits.tokens = rng.chance(500).then(|| Tokens(scale * rng.between(300, 12_000)));
        limits.calls = rng.chance(300).then(|| rng.between(1, 40));
        limits.micro_usd = rng.chance(300).then(|| MicroUsd(rng.between(500, 60_000)));
        limits.steps = rng.chance(300).then(|| rng.between(1, 12));
        limits.children = rng.chance(200).then(|| rng.between(0, 6));
    }
    if features.has(Feature::Wall) && rng.chance(200) {
        limits.wall = Some(Millis(rng.between(0, 90_000)));
    }
    limits
}

impl Agent {
    fn note(&mut self, wake: &Wake) {
        match wake {
            Wake::Spawned { pid } => self.children.push(*pid),
            Wake::ChildExited { pid, .. } => self.children.retain(|child| child != pid),
            Wake::Terminated | Wake::OutOfBudget { resource: Resource::Wall } => self.told = true,
            Wake::Answered { .. } => self.said.push(Said::Assistant),
            Wake::ToolsReturned { count, .. } => {
                let answers = self.said.contains(&Said::Assistant);
                self.said.extend((0..*count).map(|_| Said::Result { answers }));
            }
            Wake::Recalled { pages } => self.brought = pages.iter().map(|one| one.page).collect(),
            Wake::Started
            | Wake::ModelFailed { .. }
            | Wake::Pinned
            | Wake::Forgotten { .. }
            | Wake::TaskBegun { .. }
            | Wake::TaskEnded { .. }
            | Wake::Sent
            | Wake::Received { .. }
            | Wake::Slept
            | Wake::TimedOut
            | Wake::Refused { .. }
            | Wake::OutOfBudget { .. } => {}
        }
    }

    /// The page table has these; pieces are told of what comes after.
    fn drop_taken(&mut self, taken: u32) {
        let known = usize::try_from(taken.saturating_sub(self.first)).unwrap_or(0);
        self.said.drain(..known.min(self.said.len()));
        self.first = self.first.max(taken);
    }

    /// The message with which pages come back that were asked for: it answers the model, if that was
    /// the last to speak.
    fn bring_back(&mut self, pid: Pid) -> Vec<Body> {
        let pages = std::mem::take(&mut self.brought);
        if pages.is_empty() {
            return Vec::new();
        }
        let answers = self.said.contains(&Said::Assistant);
        let text = format!("{pid} remembers {pages:?} at step {}", self.step);
        self.said.push(Said::Recalled { pages, answers });
        vec![Body::new(Message::user(text))]
    }

    /// Tells a call to the model what is new, and now and then asks something of the memory in the
    /// place of a call that waits for nothing.
    fn use_memory(&self, view: &View<'_>, call: &mut Syscall) {
        let features = Features::from_bits(self.features);
        let parts = [view.pid.0, u64::from(self.step)];
        let mut rng = Rng::of(self.seed, About::Memory, &parts);
        let pages = Pages { table: view.table, small: features.has(Feature::SmallWindows) };
        match call {
            Syscall::Think { options, tools, pieces, uses } => {
                let source = Source { seed: self.seed, pid: view.pid, first: self.first };
                *pieces = content::pieces(&source, &self.said, pages.small);
                pages.ask(&mut rng, options, tools, uses);
                if rng.chance(20) {
                    content::spoil(&mut rng, pieces);
                }
            }
            Syscall::Sleep { .. }
            | Syscall::Send { .. }
            | Syscall::Receive { .. }
            | Syscall::Spawn { .. }
            | Syscall::CallTools { .. }
                if pages.small && rng.chance(350) =>
            {
                *call = pages.call(&mut rng);
            }
            Syscall::Relay { .. }
            | Syscall::Recall { .. }
            | Syscall::Pin { .. }
            | Syscall::Forget { .. }
            | Syscall::BeginTask { .. }
            | Syscall::EndTask { .. }
            | Syscall::CallTools { .. }
            | Syscall::Spawn { .. }
            | Syscall::Wait { .. }
            | Syscall::Send { .. }
            | Syscall::Receive { .. }
            | Syscall::Sleep { .. }
            | Syscall::Exit { .. } => {}
        }
    }

    /// Now and then somebody outside asks what it would ask. Chance of its own.
    fn relayed(&self, pid: Pid, call: Syscall) -> Syscall {
        let mut rng = Rng::of(self.seed, About::Relay, &[pid.0, u64::from(self.step)]);
        if let Syscall::Think { options, .. } = &call
            && rng.chance(80)
        {
            let input = Tokens(rng.between(0, 2_000));
            return Syscall::Relay { options: options.clone(), input, needs: Abilities::NONE };
        }
        call
    }

    fn choose(&self, rng: &mut Rng, pid: Pid) -> Syscall {
        let features = Features::from_bits(self.features);
        let result = rng.chance(500).then(|| Body::new(Message::assistant(format!("{pid} ends"))));
        if self.told && !self.stubborn && rng.chance(700) {
            return Syscall::Exit { status: ExitStatus::Signalled(Signal::Term), result };
        }
        if self.step > self.steps_max {
            return Syscall::Exit { status: ExitStatus::Finished, result };
        }
        if features.has(Feature::Storm) && self.step > 3 && rng.chance(600) {
            return think(rng, features);
        }
        match rng.below(100) {
            0..30 => think(rng, features),
            30..50 if features.has(Feature::Tools) => call_tools(rng),
            50..62 if features.has(Feature::Children) => {
                // A grown-up tree of ever more processes would drown the run.
                let generations = self.generations.saturating_sub(1);
                if self.generations == 0 {
                    return self.wait(rng);
                }
                let mut spec = spec(rng, features, self.seed, self.steps_max, generations);
                spec.fork = features.has(Feature::SmallWindows) && rng.chance(300);
                Syscall::Spawn { spec: Box::new(spec) }
            }
            62..72 if features.has(Feature::Children) => self.wait(rng),
            72..82 if features.has(Feature::Mail) => {
                let to = self.someone(rng, pid);
                let text = format!("{pid} says {}", self.step);
                Syscall::Send { to: to.into(), body: Body::new(Message::user(text)) }
            }
            82..90 if features.has(Feature::Mail) => {
                let from = rng.chance(500).then(|| self.someone(rng, pid).into());
                Syscall::Receive { from, timeout: timeout(rng) }
            }
            90..92 => {
                let failed = ExitStatus::Failed(ErrorCode::ProgramFailed);
                let out = ExitStatus::OutOfBudget(Resource::Steps);
                let status = rng.pick(&[ExitStatus::Finished, failed, out]).copied();
                Syscall::Exit { status: status.unwrap_or(failed), result }
            }
            92.. => Syscall::Sleep { span: Millis(rng.below(20_000)) },
            _ => think(rng, features),
        }
    }

    fn wait(&self, rng: &mut Rng) -> Syscall {
        let child = if rng.chance(500) { rng.pick(&self.children) } else { None };
        Syscall::Wait { child: child.map(|child| (*child).into()), timeout: timeout(rng) }
    }

    fn someone(&self, rng: &mut Rng, pid: Pid) -> Pid {
        match rng.pick(&self.children) {
            Some(child) if rng.chance(500) => *child,
            Some(_) | None => Pid(rng.between(1, pid.0.saturating_add(3))),
        }
    }
}

fn timeout(rng: &mut Rng) -> Option<Millis> {
    rng.chance(800).then(|| Millis(rng.below(30_000)))
}

fn think(rng: &mut Rng, features: Features) -> Syscall {
    let most = if features.has(Feature::Greedy) { 5_000 } else { 800 };
    let model = if rng.chance(20) { "sim:none" } else { rng.pick(&MODELS).unwrap_or(&"sim:fast") };
    let options = ThinkOptions {
        model: model.to_owned(),
        output_max: Tokens(rng.between(10, most)),
        tools: Vec::new(),
        temperature_milli: None,
        window: None,
    };
    Syscall::Think { options, tools: Tokens::ZERO, pieces: Vec::new(), uses: Vec::new() }
}

fn call_tools(rng: &mut Rng) -> Syscall {
    // Now and then none at all, which is refused.
    let count = if rng.chance(20) { 0 } else { rng.between(1, 4) };
    let call = |at: u64| {
        let tool = if rng.chance(50) {
            "ghost"
        } else {
            rng.pick(&TOOLS).map_or("ghost", |tool| tool.name)
        };
        let arguments = format!("{{\"n\":{}}}", rng.below(1000));
        ToolUse { id: format!("use-{at}"), name: tool.to_owned(), arguments }
    };
    Syscall::CallTools { calls: (0..count).map(call).collect() }
}

//! The loop: what providers report, what agents ask and what the operator does, in virtual time.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use aosk_abi::{
    Body, Bounds, BudgetId, CallId, Command, Effects, Fact, Hash, Input, Lack, Limits, MicroUsd,
    Millis, ModelOutcome, Pid, Release, RequestId, Resume, Signal, Timestamp, Tokens, WhenOver,
};
use aosk_kernel::{Config, Kernel};

use super::agent::Agent;
use super::case::Traffic;
use super::judge::{Judge, Shares};
use super::provider::{self, Attempt};
use crate::case::BEGIN;
use crate::checker::{Rule, ensure};
use crate::faults::Feature;
use crate::rng::About;

/// Rounds of one run; more would be a loop.
const ROUNDS_MAX: u64 = 1_000_000;

/// How often the operator acts.
const ACTIONS: u32 = 200;

/// How often the configuration changes in a run in which it does.
const RELOADS: u32 = 12;

/// What is measured of a run.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Figures {
    /// Inputs applied.
    pub inputs: u64,
    /// Attempts that providers were given.
    pub attempts: u64,
    /// Calls that were answered.
    pub answered: u64,
    /// Calls that were cut off.
    pub cut: u64,
    /// Simulated time.
    pub virtual_time: Millis,
    /// Who always waited, and how far from its share one was at most when the last call was asked.
    pub shares: Shares,
    /// What happened at least once.
    pub seen: Vec<&'static str>,
}

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq)]
pub struct Broken {
    /// The run.
    pub case: Traffic,
    /// The rule.
    pub rule: &'static str,
    /// How it was broken.
    pub what: String,
    /// After how many inputs.
    pub inputs: u64,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { case, rule, what, inputs } = self;
        write!(f, "broken after {inputs} inputs: {rule}\n  {what}\n  in {case}")
    }
}

impl std::error::Error for Broken {}

#[derive(Debug)]
enum Event {
    Report(Input),
    Spawn(u32),
    Act(u32),
    Raise(BudgetId),
    Reload(u32),
}

#[derive(Debug)]
struct World<'a> {
    case: &'a Traffic,
    config: Config,
    now: Timestamp,
    kernel: Kernel,
    events: BTreeMap<(Timestamp, u64), Event>,
    /// Attempts that providers work on, with the place of their report.
    working: BTreeMap<(CallId, u32), (Attempt, (Timestamp, u64))>,
    /// What was kept of answers that were begun.
    bodies: BTreeMap<Hash, Body>,
    agents: BTreeMap<Pid, Agent>,
    order: u64,
    asked: u32,
    /// Calls that a device was asked in this minute, for what it says of its rates.
    counted: BTreeMap<String, VecDeque<Timestamp>>,
    judge: Judge<'a>,
    figures: Figures,
}

/// Runs a case.
///
/// # Errors
/// The first rule that was broken.
pub fn run(case: &Traffic) -> Result<Figures, Box<Broken>> {
    let config = case.config();
    let mut world = World {
        case,
        now: BEGIN,
        kernel: Kernel::new(config.clone()),
        events: BTreeMap::new(),
        working: BTreeMap::new(),
        bodies: BTreeMap::new(),
        agents: BTreeMap::new(),
        order: 0,
        asked: 0,
        counted: BTreeMap::new(),
        judge: Judge::new(case, config.clone()),
        figures: Figures::default(),
        config,
    };
    match world.live() {
        Ok(()) => Ok(world.figures),
        Err(Rule(rule, what)) => {
            let inputs = world.figures.inputs;
            Err(Box::new(Broken { case: case.clone(), rule, what, inputs }))
        }
    }
}

impl World<'_> {
    fn live(&mut self) -> Result<(), Rule> {
        self.apply(Input::Boot)?;
        for number in 0..self.case.agents {
            let mut rng = self.case.rng(About::Agent, &[u64::from(number), 4]);
            // Most are there from the beginning.
            let late = if rng.chance(800) { 0 } else { rng.below(120_000) };
            self.schedule(Millis(late), Event::Spawn(number));
        }
        for action in 0..ACTIONS {
            let mut rng = self.case.rng(About::Operator, &[u64::from(action), 0]);
            self.schedule(Millis(rng.below(600_000)), Event::Act(action));
        }
        for reload in 0..if self.case.has(Feature::Reload) { RELOADS } else { 0 } {
            let mut rng = self.case.rng(About::Operator, &[u64::from(reload), 2]);
            self.schedule(Millis(rng.below(400_000)), Event::Reload(reload));
        }
        let mut rounds = 0;
        while let Some(next) = self.next_moment() {
            rounds += 1;
            ensure(rounds < ROUNDS_MAX, "a run ends", || format!("{ROUNDS_MAX} rounds"))?;
            self.now = self.now.max(next);
            let mut rng = self.case.rng(About::Batch, &[rounds]);
            if self.case.has(Feature::Jumps) && rng.chance(5) {
                self.now = self.now.after(Millis(rng.below(3 * 60 * 60 * 1_000)));
            }
            self.round()?;
        }
        let left: Vec<_> =
            self.kernel.processes().map(|(pid, process)| (pid, process.state.word())).collect();
        ensure(left.is_empty(), "nobody is stuck", || format!("{left:?}"))?;
        self.figures.virtual_time = self.now.since(BEGIN);
        self.figures.seen = self.judge.seen.iter().copied().collect();
        Ok(())
    }

    fn schedule(&mut self, delay: Millis, event: Event) -> (Timestamp, u64) {
        self.order += 1;
        let key = (self.now.after(delay), self.order);
        self.events.insert(key, event);
        key
    }

    fn next_moment(&self) -> Option<Timestamp> {
        let event = self.events.first_key_value().map(|((at, _), _)| *at);
        event.into_iter().chain(self.kernel.next_deadline()).min()
    }

    /// Everything that is due.
    fn round(&mut self) -> Result<(), Rule> {
        while let Some(entry) = self.events.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            let input = match entry.remove() {
                Event::Report(input) => {
                    if let Input::ModelDone { call, attempt, .. } = &input {
                        self.working.remove(&(*call, *attempt));
                    }
                    Some(input)
                }
                Event::Spawn(number) => {
                    Some(operator(Command::Spawn(Box::new(self.case.spec(number)))))
                }
                Event::Act(action) => self.action(action).map(operator),
                Event::Raise(budget) => self.raise(budget).map(operator),
                Event::Reload(reload) => Some(self.reload(reload)),
            };
            if let Some(input) = input {
                self.apply(input)?;
            }
        }
        if self.kernel.next_deadline().is_some_and(|at| at <= self.now) {
            self.apply(Input::Tick)?;
        }
        let due = self.kernel.next_deadline().is_some_and(|at| at <= self.now);
        ensure(!due, "a tick carries out all that is due", || format!("{:?}", self.now))?;
        self.judge.check_idle(&self.kernel, self.now)
    }

    /// An input, and the steps that agents take on it.
    fn apply(&mut self, input: Input) -> Result<(), Rule> {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            self.figures.inputs += 1;
            let mut fx = Effects::default();
            self.kernel.apply(self.now, &input, &mut fx);
            let changed: Vec<Pid> = self.kernel.changed().collect();
            self.judge.after(&self.kernel, self.now, &input, &fx, &changed)?;
            drop(self.kernel.take_ended());
            self.kernel.flush(&mut fx);
            for entry in &fx.journal {
                if let Fact::ModelAnswered { .. } = entry.fact {
                    self.figures.answered += 1;
                }
                if let Fact::ModelPreempted { .. } = entry.fact {
                    self.figures.cut += 1;
                }
                if let Fact::BudgetAsked { lack: Lack { budget, .. } } = entry.fact {
                    self.schedule(Millis(20_000), Event::Raise(budget));
                }
            }
            if let Input::ModelDone {
                outcome: ModelOutcome::Yielded { begun: Some(begun), .. },
                ..
            } = &input
                && fx.bodies.contains(begun)
            {
                self.bodies.insert(begun.hash(), begun.clone());
            }
            for release in fx.releases {
                self.release(release)?;
            }
            for resume in fx.resumes {
                inputs.extend(self.step(&resume)?);
            }
        }
        Ok(())
    }

    fn step(&mut self, resume: &Resume) -> Result<Option<Input>, Rule> {
        let is_over = self.asked >= self.case.calls;
        let Some(process) = self.kernel.process(resume.pid) else { return Ok(None) };
        let agent = self.agents.entry(resume.pid).or_default();
        let step = agent.next(self.case, resume.pid, &resume.wake, process, is_over);
        if let aosk_abi::Syscall::Think { .. } = step.call {
            self.asked += 1;
            if self.asked == self.case.calls {
                self.figures.shares = self.judge.check_shares()?;
            }
        }
        Ok(Some(Input::Syscall { pid: resume.pid, turn: resume.turn, step }))
    }

    fn release(&mut self, release: Release) -> Result<(), Rule> {
        match release {
            Release::Think { call, attempt, device, begun, .. } => {
                self.figures.attempts += 1;
                self.think(call, attempt, device, begun)?;
            }
            Release::Yield { call, attempt } => {
                if let Some((attempt_there, key)) = self.working.remove(&(call, attempt)) {
                    // What is on its way comes first.
                    let is_written = key.0 <= self.now.after(Millis(20));
                    if is_written {
                        self.working.insert((call, attempt), (attempt_there, key));
                    } else {
                        self.events.remove(&key);
                        let (delay, outcome) = attempt_there.stopped(self.case, self.now);
                        self.report(attempt_there, delay, outcome);
                    }
                }
            }
            Release::Cancel { call, attempt } => {
                if let Some((attempt_there, key)) = self.working.remove(&(call, attempt)) {
                    self.events.remove(&key);
                    let (delay, outcome) = attempt_there.cut_off(self.case, self.now);
                    self.report(attempt_there, delay, outcome);
                }
            }
            Release::Tool(_) | Release::Reply { .. } => {}
        }
        Ok(())
    }

    fn think(
        &mut self,
        call: CallId,
        number: u32,
        device: String,
        begun: Option<Hash>,
    ) -> Result<(), Rule> {
        let text = match begun {
            None => String::new(),
            Some(hash) => match self.bodies.get(&hash) {
                Some(body) => body.message().text(),
                None => return Err(Rule("what is gone on from was stored", call.to_string())),
            },
        };
        let process = self.kernel.process(call.pid);
        let input = process.and_then(|process| process.state.call()).map_or(Tokens(0), |c| c.input);
        let model = self.config.models.get(&device);
        let continues = model.is_some_and(|model| model.continues);
        let limit = model.and_then(|model| model.rates.per_minute.calls);
        let attempt = Attempt {
            call,
            number,
            device: device.clone(),
            continues,
            begun: text,
            input,
            started: self.now,
        };
        if self.case.has(Feature::Rates) {
            let counted = self.counted.entry(device.clone()).or_default();
            counted.retain(|at| self.now.since(*at) < Millis(60_000));
            counted.push_back(self.now);
            let used = u64::try_from(counted.len()).unwrap_or(u64::MAX);
            let report = limit.and_then(|limit| provider::told(self.case, call, limit, used));
            if let Some(report) = report {
                let input = Input::RateReported { device, report };
                self.schedule(Millis(10), Event::Report(input));
            }
        }
        let (delay, outcome) =
            attempt.report(self.case, /*calm*/ self.asked >= self.case.calls);
        self.report(attempt, delay, outcome);
        Ok(())
    }

    fn report(&mut self, attempt: Attempt, delay: Millis, outcome: ModelOutcome) {
        let (call, number) = (attempt.call, attempt.number);
        let input = Input::ModelDone { call, attempt: number, outcome };
        let key = self.schedule(delay, Event::Report(input));
        self.working.insert((call, number), (attempt, key));
    }

    /// What the operator does, as long as there is something to interfere with.
    fn action(&self, action: u32) -> Option<Command> {
        let mut rng = self.case.rng(About::Operator, &[u64::from(action), 1]);
        let living = self.judge.living();
        let pid = *rng.pick(&living)?;
        match rng.below(10) {
            0..4 if self.case.has(Feature::Renice) => {
                Some(Command::Renice { pid, priority: u8::try_from(rng.between(0, 100)).ok()? })
            }
            4 if self.case.has(Feature::Renice) => {
                let names = ["fair", "fair", "priority", "fifo", "round-robin"];
                Some(Command::SetPolicy { policy: rng.pick(&names)?.to_string() })
            }
            5..7 if self.case.has(Feature::Kill) => {
                Some(Command::Signal { pid, signal: Signal::Kill })
            }
            7..9 if self.case.has(Feature::Spans) => {
                let budget = self.judge.node_of(pid)?;
                let limits = self.judge.bounds(&self.kernel, budget)?;
                // Whoever asks waits for more than this.
                let tokens = limits.tokens.map(|tokens| Tokens(tokens.0 / 2 + rng.below(tokens.0)));
                Some(Command::SetLimits { budget, limits: Box::new(Limits { tokens, ..limits }) })
            }
            _ => None,
        }
    }

    /// The configuration is another from now on.
    fn reload(&mut self, reload: u32) -> Input {
        let mut rng = self.case.rng(About::Operator, &[u64::from(reload), 3]);
        self.config = self.case.reconfigured(&self.config, &mut rng);
        // What a person chose stays.
        let policy = self.kernel.policy();
        self.kernel.offer(Config { policy, ..self.config.clone() });
        self.judge.reload(self.config.clone());
        operator(Command::Reconfigure { changes: Vec::new() })
    }

    /// A person raises what was asked for.
    fn raise(&self, budget: BudgetId) -> Option<Command> {
        let limits = self.judge.bounds(&self.kernel, budget)?;
        let all = doubled(Bounds {
            tokens: limits.tokens,
            calls: limits.calls,
            micro_usd: limits.micro_usd,
        });
        let raised = Limits {
            tokens: all.tokens,
            calls: all.calls,
            micro_usd: all.micro_usd,
            per_minute: doubled(limits.per_minute),
            per_hour: doubled(limits.per_hour),
            per_day: doubled(limits.per_day),
            ..limits
        };
        let raised = if limits.when_over == WhenOver::Ask { raised } else { limits };
        Some(Command::SetLimits { budget, limits: Box::new(raised) })
    }
}

fn doubled(bounds: Bounds) -> Bounds {
    Bounds {
        tokens: bounds.tokens.map(|tokens| Tokens(tokens.0.saturating_mul(2))),
        calls: bounds.calls.map(|calls| calls.saturating_mul(2)),
        micro_usd: bounds.micro_usd.map(|usd| MicroUsd(usd.0.saturating_mul(2))),
    }
}

fn operator(command: Command) -> Input {
    Input::Operator { request: RequestId(0), command }
}

//! The judge: follows every call from outside, and says which rule is broken.
//!
//! What an input means is taken from the input; what starts, from what leaves the kernel. After that the
//! kernel is asked for the states of the processes that changed, which must be what was expected.

mod device;
mod fair;
mod ledger;
mod route;
mod share;
mod starts;

use std::collections::{BTreeMap, BTreeSet};

use aosk_abi::{
    Body, BudgetId, CallId, Command, Effects, Fact, Hash, Input, Limits, ModelOutcome, Pid,
    Release, Reply, Spend, Syscall, Timestamp, Tokens, Usage, limits,
};
use aosk_kernel::{Config, Kernel, ModelConfig, State, Wait, weight};

use self::device::Device;
use self::fair::Fair;
use self::ledger::{Ledger, Scope};
pub use self::share::Shares;
use super::agent::Agent;
use super::case::{DEVICES, OUTPUT_MAX, Traffic};
use super::provider::whole;
use crate::case::BEGIN;
use crate::checker::{Rule, ensure};
use crate::faults::Feature;

/// What a call waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A slot.
    Queue,
    /// Room in this node of the budget tree, and whether a person is asked to make it.
    Quota(BudgetId, bool),
    /// The time until it is tried again.
    Backoff(Timestamp),
    /// Its answer.
    Running,
    /// That it stops running: its process is over.
    Leaving,
}

/// A call that has not ended.
#[derive(Debug)]
struct Call {
    id: CallId,
    place: Place,
    flight: Option<Flight>,
    attempts: u32,
    /// The most an attempt may read.
    input: Tokens,
    /// What it is to go on from.
    begun: Option<Hash>,
    /// How often it was cut off.
    cut: u32,
    /// The service that had been delivered when it began to wait for a slot.
    waits_from: u128,
}

/// An attempt that holds a slot.
#[derive(Debug, Clone)]
struct Flight {
    device: String,
    attempt: u32,
    held: Spend,
    started: Timestamp,
    yielding: bool,
    /// When it is given up; none before its time is over.
    given_up: Option<Timestamp>,
}

/// A process.
#[derive(Debug)]
struct Proc {
    group: String,
    priority: u8,
    budget: BudgetId,
    /// Whether the budget is its own.
    own: bool,
    /// Whether it was there from the beginning and asks again as soon as it is answered.
    eager: bool,
    ended: bool,
    call: Option<Call>,
    /// The service it has had.
    service: u128,
    /// The largest call it has made, or was expected to make.
    largest: u64,
}

/// The judge.
#[derive(Debug)]
pub(super) struct Judge<'a> {
    case: &'a Traffic,
    config: Config,
    policy: String,
    procs: BTreeMap<Pid, Proc>,
    /// Those that wait for a slot.
    queue: BTreeSet<Pid>,
    /// Those whose place changed since the last input.
    moved: BTreeSet<Pid>,
    backoffs: BTreeSet<(Timestamp, Pid)>,
    /// Those that wait for room in a budget.
    quota: BTreeSet<Pid>,
    devices: BTreeMap<String, Device>,
    ledger: Ledger,
    fair: Fair,
    route: route::Known,
    /// The service that was delivered to all.
    delivered: u128,
    /// The largest call of all.
    largest: u64,
    /// The largest and the least weight that anybody ever had, and how many there ever were.
    weights: (u64, u64, u64),
    /// Whether shares and waits can be judged: the policy was never another, and nobody was reniced.
    steady: bool,
    starts: u64,
    pub(super) seen: BTreeSet<&'static str>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(case: &'a Traffic, config: Config) -> Self {
        let mut ledger = Ledger::default();
        for (name, group) in &config.groups {
            ledger.bound(Scope::Group(name.clone()), group.limits);
        }
        for (name, model) in &config.models {
            let per_day = aosk_abi::Bounds { micro_usd: model.rates.per_day, ..Default::default() };
            let per_minute = model.rates.per_minute;
            let limits = Limits { per_minute, per_day, ..Limits::default() };
            ledger.bound(Scope::Device(name.clone()), limits);
        }
        let devices = config.models.iter();
        let devices = devices
            .map(|(name, model)| (name.clone(), Device::new(model.slots, model.continues)))
            .collect();
        let groups = config.groups.iter().map(|(name, group)| (name.clone(), group.priority));
        Self {
            case,
            policy: config.policy.name().to_owned(),
            steady: config.policy.name() == "fair",
            procs: BTreeMap::new(),
            queue: BTreeSet::new(),
            moved: BTreeSet::new(),
            backoffs: BTreeSet::new(),
            quota: BTreeSet::new(),
            devices,
            ledger,
            fair: Fair::new(groups),
            route: route::Known::default(),
            delivered: 0,
            largest: 0,
            weights: (0, u64::MAX, 0),
            starts: 0,
            seen: BTreeSet::new(),
            config,
        }
    }

    /// The devices behind the name that all ask for.
    fn backends(&self) -> &'static [&'static str] {
        if self.case.has(Feature::Routes) { &DEVICES } else { DEVICES.get(..1).unwrap_or_default() }
    }

    fn model(&self, device: &str) -> ModelConfig {
        self.config.models.get(device).cloned().unwrap_or_default()
    }

    fn scopes(&self, pid: Pid, device: &str) -> Vec<Scope> {
        let mut scopes = vec![Scope::Device(device.to_owned())];
        if let Some(proc) = self.procs.get(&pid) {
            if proc.own {
                scopes.push(Scope::Own(pid));
            }
            let groups = fair::path(&proc.group).into_iter().filter(|name| !name.is_empty());
            scopes.extend(groups.map(Scope::Group));
        }
        scopes
    }

    fn worst(&self, device: &str, input: Tokens) -> Spend {
        let micro_usd = self.model(device).price.worst_case(input, OUTPUT_MAX);
        Spend { tokens: input + OUTPUT_MAX, calls: 1, micro_usd, steps: 1, children: 0 }
    }

    /// The node of the budget tree that the process lives under.
    pub(super) fn node_of(&self, pid: Pid) -> Option<BudgetId> {
        self.procs.get(&pid).map(|proc| proc.budget)
    }

    /// The bounds of a node of the budget tree that the operator may bound anew.
    pub(super) fn bounds(&self, kernel: &Kernel, budget: BudgetId) -> Option<Limits> {
        let scope = self.scope_of(kernel, budget)?;
        Some(self.ledger.limits(&scope).unwrap_or_default())
    }

    /// Whose node it is; none if it is the root.
    fn scope_of(&self, kernel: &Kernel, budget: BudgetId) -> Option<Scope> {
        if let Some(group) = kernel.budget(budget)?.group {
            return Some(Scope::Group(group.name));
        }
        let mut owners = self.procs.iter().filter(|(_, proc)| proc.budget == budget && proc.own);
        owners.next().map(|(pid, _)| Scope::Own(*pid))
    }

    /// The processes that live.
    pub(super) fn living(&self) -> Vec<Pid> {
        self.procs.iter().filter(|(_, proc)| !proc.ended).map(|(pid, _)| *pid).collect()
    }

    /// Judges what an input did.
    pub(super) fn after(
        &mut self,
        kernel: &Kernel,
        now: Timestamp,
        input: &Input,
        fx: &Effects,
        changed: &[Pid],
    ) -> Result<(), Rule> {
        self.compete();
        let promised = self.take_in(kernel, now, input, fx)?;
        // Who waits for a budget now, or is gone, was passed over for a reason.
        for pid in changed {
            let place = kernel.process(*pid).map(|process| &process.state);
            match place {
                Some(State::Waiting { on: Wait::Quota { lack, asks, .. } }) => {
                    self.put(*pid, Place::Quota(lack.budget, *asks));
                }
                Some(state) if state.call().is_some() => {}
                _ => self.leave(*pid),
            }
        }
        let starts = fx.releases.iter().filter_map(|release| match release {
            Release::Think { call, .. } => Some(call.pid),
            Release::Tool(_)
            | Release::Yield { .. }
            | Release::Cancel { .. }
            | Release::Reply { .. } => None,
        });
        let starts: Vec<_> = starts.collect();
        for pid in changed {
            self.check_let_go(kernel, *pid, (changed, &starts))?;
        }
        for release in &fx.releases {
            match release {
                Release::Think { call, attempt, device, begun, .. } => {
                    self.started(kernel, now, (*call, *attempt), device, *begun)?;
                }
                Release::Yield { call, attempt } => self.yields(now, (*call, *attempt), fx)?,
                Release::Tool(_) | Release::Cancel { .. } | Release::Reply { .. } => {}
            }
        }
        for pid in changed {
            self.compare(kernel, *pid)?;
        }
        if let Some((device, by)) = promised {
            self.check_promise(now, &device, by)?;
        }
        Ok(())
    }

    /// Tells the scheduler who came to wait or run, or no longer does, before this input.
    fn compete(&mut self) {
        for pid in std::mem::take(&mut self.moved) {
            let proc = self.procs.get(&pid);
            let call = proc.and_then(|proc| Some((proc.group.clone(), proc.call.as_ref()?.place)));
            let call = call.and_then(|(group, place)| match place {
                Place::Queue => Some((group, true)),
                Place::Running => Some((group, false)),
                Place::Quota(..) | Place::Backoff(_) | Place::Leaving => None,
            });
            self.fair.compete(pid, call);
        }
    }

    /// Takes in what the input says. Returns for whom a slot was given up that is free now.
    fn take_in(
        &mut self,
        kernel: &Kernel,
        now: Timestamp,
        input: &Input,
        fx: &Effects,
    ) -> Result<Option<(String, Pid)>, Rule> {
        let done = |reply: &Reply| !matches!(reply, Reply::Refused(_));
        let reply = fx.releases.iter().find_map(|release| match release {
            Release::Reply { reply, .. } => Some(reply),
            Release::Think { .. }
            | Release::Tool(_)
            | Release::Yield { .. }
            | Release::Cancel { .. } => None,
        });
        match input {
            Input::ModelDone { call, attempt, outcome } => {
                return self.ended(kernel, now, (*call, *attempt), outcome);
            }
            Input::Tick => self.time_passes(kernel, now)?,
            Input::RateReported { device, .. } => {
                if let Some(device) = self.devices.get_mut(device) {
                    device.told = true;
                }
            }
            Input::Syscall { pid, step, .. } => {
                let called = fx.journal.iter().any(|entry| {
                    entry.pid == Some(*pid) && matches!(entry.fact, Fact::ModelCalled { .. })
                });
                if called && let Syscall::Think { .. } = step.call {
                    self.asked(kernel, *pid)?;
                }
            }
            Input::Operator { command, .. } if reply.is_some_and(done) => match command {
                Command::Spawn(spec) => {
                    if let Some(Reply::Spawned(pid)) = reply
                        && let Some(process) = kernel.process(*pid)
                    {
                        let own = !spec.limits.is_unbounded();
                        if own {
                            self.ledger.bound(Scope::Own(*pid), spec.limits);
                        }
                        let proc = Proc {
                            group: spec.group.clone(),
                            priority: spec.priority,
                            budget: process.spec.budget,
                            own,
                            eager: now == BEGIN && Agent::is_eager(self.case, *pid),
                            ended: false,
                            call: None,
                            service: 0,
                            largest: 0,
                        };
                        self.procs.insert(*pid, proc);
                        self.weigh(spec.priority);
                        self.weights.2 += 1;
                    }
                }
                Command::Renice { pid, priority } => {
                    if let Some(proc) = self.procs.get_mut(pid) {
                        proc.priority = *priority;
                    }
                    self.steady = false;
                    self.weigh(*priority);
                    for device in self.devices.values_mut() {
                        device.promised = None;
                    }
                }
                Command::SetPolicy { policy } => {
                    self.policy.clone_from(policy);
                    self.steady = false;
                    for device in self.devices.values_mut() {
                        device.promised = None;
                    }
                }
                Command::SetLimits { budget, limits } => {
                    if let Some(scope) = self.scope_of(kernel, *budget) {
                        self.ledger.bound(scope, **limits);
                    }
                }
                Command::Signal { .. }
                | Command::Send { .. }
                | Command::Reconfigure { .. }
                | Command::Answer(_) => {}
            },
            Input::Operator { .. } | Input::Boot | Input::Drain | Input::ToolDone { .. } => {}
        }
        Ok(None)
    }

    /// The configuration is another from now on, and is in force before anything else starts.
    pub(super) fn reload(&mut self, config: Config) {
        for (name, model) in &config.models {
            if let Some(device) = self.devices.get_mut(name) {
                device.resize(model.slots);
                if device.in_use() > model.slots {
                    self.seen.insert("fewer slots than calls");
                }
            }
            let per_day = aosk_abi::Bounds { micro_usd: model.rates.per_day, ..Default::default() };
            let per_minute = model.rates.per_minute;
            let limits = Limits { per_minute, per_day, ..Limits::default() };
            self.ledger.bound(Scope::Device(name.clone()), limits);
        }
        for (name, group) in &config.groups {
            // What a person bounded otherwise stays, where the configuration says what it said.
            if self.config.groups.get(name) != Some(group) {
                self.ledger.bound(Scope::Group(name.clone()), group.limits);
            }
        }
        self.seen.insert("reloaded");
        self.config = config;
    }

    fn weigh(&mut self, priority: u8) {
        let weight = weight(priority);
        self.weights.0 = self.weights.0.max(weight);
        self.weights.1 = self.weights.1.min(weight);
    }

    /// A process asks the model anew.
    fn asked(&mut self, kernel: &Kernel, pid: Pid) -> Result<(), Rule> {
        let Some(proc) = self.procs.get_mut(&pid) else {
            return Err(Rule("only who lives asks", pid.to_string()));
        };
        ensure(proc.call.is_none(), "no call is lost", || format!("{pid}: {:?}", proc.call))?;
        let call = kernel.process(pid).and_then(|process| process.state.call());
        let (number, input) = call.map_or((0, Tokens(0)), |call| (call.number, call.input));
        proc.call = Some(Call {
            id: CallId { pid, number },
            place: Place::Queue,
            flight: None,
            attempts: 0,
            input,
            begun: None,
            cut: 0,
            waits_from: 0,
        });
        self.enqueue(kernel, pid);
        Ok(())
    }

    /// A call waits for a slot from now on.
    fn enqueue(&mut self, kernel: &Kernel, pid: Pid) {
        self.put(pid, Place::Queue);
        let Some(proc) = self.procs.get_mut(&pid) else { return };
        if let Some(call) = &mut proc.call {
            call.waits_from = self.delivered;
        }
        let process = kernel.process(pid);
        let call = process.and_then(|process| process.state.call());
        let (estimate, since) = call.map_or((Tokens(0), 0), |call| (call.estimate, call.since));
        let stats = process.map(|process| process.stats).unwrap_or_default();
        let price = self.model(DEVICES[0]).price;
        let expected = fair::expected(&price, estimate, OUTPUT_MAX, &stats);
        if let Some(proc) = self.procs.get_mut(&pid) {
            proc.largest = proc.largest.max(expected);
            self.largest = self.largest.max(expected);
            self.fair.ask(pid, (&proc.group, proc.priority), expected, since);
        }
    }

    fn put(&mut self, pid: Pid, place: Place) {
        self.take_out(pid);
        let Some(call) = self.procs.get_mut(&pid).and_then(|proc| proc.call.as_mut()) else {
            return;
        };
        call.place = place;
        match place {
            Place::Queue => {
                self.queue.insert(pid);
            }
            Place::Quota(..) => {
                self.quota.insert(pid);
                self.seen.insert("quota");
            }
            Place::Backoff(until) => {
                self.backoffs.insert((until, pid));
            }
            Place::Running | Place::Leaving => {}
        }
    }

    fn take_out(&mut self, pid: Pid) {
        self.moved.insert(pid);
        self.queue.remove(&pid);
        self.quota.remove(&pid);
        let call = self.procs.get(&pid).and_then(|proc| proc.call.as_ref());
        if let Some(Place::Backoff(until)) = call.map(|call| call.place) {
            self.backoffs.remove(&(until, pid));
        }
    }

    /// The process does not wait for a call any more. What is in flight stays until it has ended.
    fn leave(&mut self, pid: Pid) {
        self.take_out(pid);
        if let Some(proc) = self.procs.get_mut(&pid) {
            match &mut proc.call {
                Some(call) if call.flight.is_some() => call.place = Place::Leaving,
                call => *call = None,
            }
        }
    }

    /// Deadlines of calls, and those that are tried again.
    fn time_passes(&mut self, kernel: &Kernel, now: Timestamp) -> Result<(), Rule> {
        let running: Vec<_> =
            self.devices.values().flat_map(|device| &device.running).copied().collect();
        for (id, attempt) in running {
            let living = kernel.process(id.pid).is_some_and(|process| !process.state.is_over());
            let Some(flight) = self.flight(id, attempt).filter(|_| living) else { continue };
            match flight.given_up {
                None if flight.started.after(self.model(&flight.device).timeout) <= now => {
                    let call = self.procs.get_mut(&id.pid).and_then(|proc| proc.call.as_mut());
                    if let Some(flight) = call.and_then(|call| call.flight.as_mut()) {
                        flight.given_up = Some(now.after(limits::CANCEL_GRACE));
                    }
                }
                Some(at) if at <= now => {
                    self.too_late(now, &flight.device);
                    self.route.failed(id.pid, &flight.device);
                    let input_uncached = self.input_of(id);
                    let usage = Usage { input_uncached, ..Usage::default() };
                    self.settle(kernel, now, (id, attempt), Some(usage), /*alive*/ true)?;
                }
                None | Some(_) => {}
            }
        }
        while let Some((until, pid)) = self.backoffs.first().copied()
            && until <= now
        {
            self.enqueue(kernel, pid);
        }
        Ok(())
    }

    /// An attempt on the device that was cut off for its time has ended.
    fn too_late(&mut self, now: Timestamp, device: &str) {
        self.seen.insert("timeout");
        if let Some(device) = self.devices.get_mut(device) {
            let in_use = device.in_use();
            device.failed(now, in_use, aosk_abi::FailureClass::Transient, None);
        }
    }

    /// What is to be known of an attempt that ended, for routes.
    fn learn(&mut self, now: Timestamp, pid: Pid, flight: &Flight, outcome: &ModelOutcome) {
        match outcome {
            ModelOutcome::Answered(reply) => {
                let took = now.since(flight.started);
                self.route.answered(now, &flight.device, took, reply.usage.output);
            }
            ModelOutcome::Failed(_) | ModelOutcome::Cancelled { .. } => {
                self.route.failed(pid, &flight.device);
            }
            ModelOutcome::Yielded { .. } => {}
        }
    }

    fn input_of(&self, id: CallId) -> Tokens {
        let call = self.procs.get(&id.pid).and_then(|proc| proc.call.as_ref());
        call.map_or(Tokens(0), |call| call.input)
    }

    fn flight(&self, id: CallId, attempt: u32) -> Option<Flight> {
        let call = self.procs.get(&id.pid)?.call.as_ref().filter(|call| call.id == id)?;
        call.flight.clone().filter(|flight| flight.attempt == attempt)
    }

    /// A provider reports.
    fn ended(
        &mut self,
        kernel: &Kernel,
        now: Timestamp,
        (id, attempt): (CallId, u32),
        outcome: &ModelOutcome,
    ) -> Result<Option<(String, Pid)>, Rule> {
        let Some(flight) = self.flight(id, attempt) else {
            return Ok(None);
        };
        let killed = kernel.process(id.pid).is_none_or(|process| process.state.is_over());
        let usage = match outcome {
            ModelOutcome::Answered(reply) => Some(reply.usage),
            ModelOutcome::Yielded { usage, .. } => Some(*usage),
            ModelOutcome::Cancelled { output } => Some(Usage {
                input_uncached: self.input_of(id),
                output: *output,
                ..Usage::default()
            }),
            ModelOutcome::Failed(failure) => failure.usage,
        };
        if !killed {
            self.learn(now, id.pid, &flight, outcome);
        }
        if let Some(device) = self.devices.get_mut(&flight.device)
            && !killed
        {
            let in_use = device.in_use();
            match outcome {
                ModelOutcome::Answered(_) => device.answered(),
                ModelOutcome::Failed(failure) => {
                    device.failed(now, in_use, failure.class, failure.retry_after);
                }
                ModelOutcome::Yielded { .. } | ModelOutcome::Cancelled { .. } => {}
            }
        }
        if matches!(outcome, ModelOutcome::Cancelled { .. }) && flight.given_up.is_some() && !killed
        {
            self.too_late(now, &flight.device);
        }
        if let ModelOutcome::Answered(reply) = outcome
            && !killed
        {
            let text = aosk_abi::Message::assistant(whole(self.case, id));
            ensure(
                reply.body == Body::new(text),
                "an answer that was cut off is as one that was not",
                || format!("{id}: {:?}", reply.body.message()),
            )?;
        }
        self.settle(kernel, now, (id, attempt), usage, !killed)?;
        let ModelOutcome::Yielded { begun, .. } = outcome else {
            return Ok(None);
        };
        if let Some(call) = self.procs.get_mut(&id.pid).and_then(|proc| proc.call.as_mut()) {
            call.cut += 1;
            call.begun = begun.as_ref().map(Body::hash);
            self.enqueue(kernel, id.pid);
        }
        let device = self.devices.get(&flight.device);
        let promised = device.and_then(|device| device.promised).filter(|by| self.is_first(*by));
        Ok(promised.map(|by| (flight.device, by)))
    }

    /// An attempt has used so much; none if nothing.
    fn settle(
        &mut self,
        kernel: &Kernel,
        now: Timestamp,
        (id, attempt): (CallId, u32),
        usage: Option<Usage>,
        alive: bool,
    ) -> Result<(), Rule> {
        let Some(flight) = self.flight(id, attempt) else { return Ok(()) };
        let process = kernel.process(id.pid);
        let call = process.and_then(|process| process.state.call());
        let goes_on = alive && call.is_some_and(|call| call.number == id.number);
        let one = u64::from(!goes_on && (alive || usage.is_some()));
        let model = self.model(&flight.device);
        let used = usage.unwrap_or_default();
        let spend = Spend {
            tokens: used.input() + used.output,
            micro_usd: model.price.of(&used, flight.started),
            calls: one,
            steps: one,
            children: 0,
        };
        let scopes = self.scopes(id.pid, &flight.device);
        let times = (flight.started, now);
        self.ledger.end(times, &scopes, (id, attempt), (&flight.held, &spend));
        if let Some(device) = self.devices.get_mut(&flight.device) {
            let was_there = device.running.remove(&(id, attempt));
            ensure(was_there, "a call ends once", || format!("{id}, attempt {attempt}"))?;
        }
        let service = fair::service(&model.price, &used);
        self.delivered += u128::from(service);
        self.largest = self.largest.max(service);
        let until = match process.map(|process| &process.state) {
            Some(State::Waiting { on: Wait::Backoff { until, .. } }) => Some(*until),
            _ => None,
        };
        let Some(proc) = self.procs.get_mut(&id.pid) else { return Ok(()) };
        proc.service += u128::from(service);
        proc.largest = proc.largest.max(service);
        self.fair.end(id.pid, (&proc.group, proc.priority), service);
        if let Some(call) = &mut proc.call {
            call.flight = None;
        }
        match (goes_on, until) {
            (true, Some(until)) => self.put(id.pid, Place::Backoff(until)),
            (true, None) if matches!(process.map(|p| &p.state), Some(State::Ready { .. })) => {
                self.enqueue(kernel, id.pid);
            }
            (true, None) => {}
            (false, _) => self.leave(id.pid),
        }
        Ok(())
    }

    /// What the kernel says of a process must be what is known of it.
    fn compare(&mut self, kernel: &Kernel, pid: Pid) -> Result<(), Rule> {
        let Some(process) = kernel.process(pid) else {
            if let Some(proc) = self.procs.get_mut(&pid) {
                proc.ended = true;
                proc.call = None;
            }
            self.moved.insert(pid);
            self.fair.gone(pid);
            self.route.gone(pid);
            return Ok(());
        };
        self.route.place(pid, process);
        let number = process.state.call().map(|call| call.number);
        let call = self.procs.get(&pid).and_then(|proc| proc.call.as_ref());
        let (place, in_flight) = (call.map(|call| call.place), call.map(|c| c.flight.is_some()));
        let what = || format!("{pid}: {:?}, expected {call:?}", process.state);
        let rule = "no call is lost";
        match &process.state {
            State::Ready { .. } => {
                ensure(number == call.map(|call| call.id.number), rule, what)?;
                ensure(in_flight == Some(false), rule, what)?;
                if matches!(place, Some(Place::Quota(..))) {
                    self.put(pid, Place::Queue);
                    let delivered = self.delivered;
                    let proc = self.procs.get_mut(&pid);
                    if let Some(call) = proc.and_then(|proc| proc.call.as_mut()) {
                        // Its budget kept it waiting until now, not the others.
                        call.waits_from = delivered;
                    }
                }
            }
            State::Running { .. } => ensure(in_flight == Some(true), rule, what)?,
            State::Waiting { on: Wait::Quota { lack, asks, .. } } => {
                ensure(place == Some(Place::Quota(lack.budget, *asks)), rule, what)?;
            }
            State::Waiting { on: Wait::Backoff { until, .. } } => {
                ensure(place == Some(Place::Backoff(*until)), rule, what)?;
            }
            State::Exiting { .. } | State::Zombie { .. } => {}
            State::Waiting { .. } | State::Program { .. } | State::Stopped { .. } => {
                ensure(call.is_none(), rule, what)?;
            }
        }
        Ok(())
    }
}

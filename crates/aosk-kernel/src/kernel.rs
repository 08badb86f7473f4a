//! The state of the kernel and the order of one `apply`: the input is carried out, then places in
//! the queues are found anew, then whoever can start is started, until nothing more can.

use std::collections::BTreeSet;

use aosk_abi::{
    BudgetId, CallId, Command, Effects, Entry, Fact, Input, Pid, Reply, RequestId, RowChange,
    RowKey, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::budget::Budgets;
use crate::config::Config;
use crate::device::Devices;
use crate::hold::Holds;
use crate::index::{Index, Owner};
use crate::mutant::{Broken, broken};
use crate::process::{Phase, Process};
use crate::scheduler::Policy;
use crate::table::Table;
use crate::view::BudgetView;

/// Numbers that only grow. One row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counters {
    /// The next process.
    pub(crate) next_pid: u64,
    /// The next budget node.
    pub(crate) next_budget: u64,
    /// The next place in a queue.
    pub(crate) next_since: u64,
    /// How often the kernel was booted on this store.
    pub(crate) boots: u64,
}

/// The kernel.
#[derive(Debug, Clone)]
pub struct Kernel {
    pub(crate) config: Config,
    pub(crate) counters: Counters,
    pub(crate) processes: Table<Pid, Process>,
    pub(crate) budgets: Budgets,
    pub(crate) devices: Devices,
    pub(crate) index: Index,
    pub(crate) holds: Holds,
    /// Rows that changed since the last flush.
    pub(crate) dirty: BTreeSet<RowKey>,
    /// Last rows of processes reaped since the last flush.
    pub(crate) reaped: Vec<RowChange>,
    /// The processes reaped since they were last asked for.
    pub(crate) ended: Vec<(Pid, Process)>,
    /// The configuration that is to be put in force. Not kept.
    pub(crate) offered: Option<Box<Config>>,
    /// Tool slots that were in use when there came to be fewer, as far as they still are.
    pub(crate) tools_lent: u32,
    /// No call leaves for a device any more. Not kept: the next boot goes on.
    pub(crate) draining: bool,
    /// Late, duplicate and unknown inputs.
    pub(crate) ignored: u64,
    pub(crate) broken: Broken,
}

/// What one `apply` carries along: the time, and where effects go.
#[derive(Debug)]
pub(crate) struct Ctx<'a> {
    pub(crate) now: Timestamp,
    pub(crate) fx: &'a mut Effects,
}

impl Ctx<'_> {
    /// Writes down a fact of a process.
    pub(crate) fn fact(&mut self, pid: Pid, fact: Fact) {
        self.fx.journal.push(Entry { at: self.now, pid: Some(pid), fact });
    }

    /// Writes down a fact of the node.
    pub(crate) fn node_fact(&mut self, fact: Fact) {
        self.fx.journal.push(Entry { at: self.now, pid: None, fact });
    }
}

impl Kernel {
    /// Carries out one input. Effects are added to `fx`; nothing else is touched.
    ///
    /// `now` must not run backwards between calls; if it does, nothing becomes due until it has
    /// caught up.
    pub fn apply(&mut self, now: Timestamp, input: &Input, fx: &mut Effects) {
        let cx = &mut Ctx { now, fx };
        match input {
            Input::Boot => self.boot(cx),
            Input::Tick => self.tick(cx),
            Input::Drain => self.draining = true,
            Input::Operator { request, command } => self.operate(cx, *request, command),
            Input::Syscall { pid, turn, step } => self.syscall(cx, *pid, *turn, step),
            Input::ModelDone { call, attempt, outcome } => {
                self.model_done(cx, *call, *attempt, outcome);
            }
            Input::RateReported { device, report } => self.rate_reported(cx, device, report),
            Input::ToolDone { call, attempt, outcome } => {
                self.tool_done(cx, *call, *attempt, outcome);
            }
        }
        self.schedule(cx);
        self.take_back_slots();
    }

    /// Starts whatever can start, until nothing more can.
    fn schedule(&mut self, cx: &mut Ctx<'_>) {
        loop {
            self.count_times(cx.now);
            self.reindex();
            let started = (!self.draining || broken!(self, DrainIgnored))
                && (self.start_a_model_call(cx)
                    || self.start_a_tool_call(cx)
                    || self.preempt_a_call(cx));
            let progressed = started || self.retry_quota_waiters();
            if !progressed {
                self.note_holds(cx.now);
                return;
            }
        }
    }

    /// Counts what the time of those went to that were touched.
    fn count_times(&mut self, now: Timestamp) {
        let (devices, holds) = (&self.devices, &self.holds);
        self.processes.change_touched(|process| {
            let held = holds.of_process(devices, process, now);
            process.stats.times.enter(now, Phase::of(&process.state), held);
        });
    }

    /// Carries out what is due.
    fn tick(&mut self, cx: &mut Ctx<'_>) {
        while let Some(owner) = self.index.pop_due(cx.now) {
            match owner {
                Owner::Process(pid) => self.process_due(cx, pid),
                Owner::Budget(budget) => self.budget_due(cx, budget),
                Owner::Device(device) => self.device_due(cx.now, device),
            }
        }
    }

    fn operate(&mut self, cx: &mut Ctx<'_>, request: RequestId, command: &Command) {
        let reply = match command {
            Command::Spawn(spec) => self.spawn(cx, None, spec).map(Reply::Spawned),
            Command::Signal { pid, signal } => self.signal(cx, *pid, *signal).map(|()| Reply::Done),
            Command::Send { pid, body } => self.deliver(cx, None, *pid, body).map(|()| Reply::Done),
            Command::Renice { pid, priority } => {
                self.renice(cx, *pid, *priority).map(|()| Reply::Done)
            }
            Command::SetLimits { budget, limits } => {
                self.set_limits(cx, *budget, limits).map(|()| Reply::Done)
            }
            Command::Answer(answer) => self.answer(cx, answer).map(|()| Reply::Done),
            Command::SetPolicy { policy } => self.set_policy(cx, policy).map(|()| Reply::Done),
            Command::Reconfigure { changes } => self.reconfigure(cx, changes).map(|()| Reply::Done),
        };
        let reply = reply.unwrap_or_else(Reply::Refused);
        cx.fx.releases.push(aosk_abi::Release::Reply { request, reply });
    }

    /// The next moment at which a `Tick` has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.index.next_deadline()
    }

    /// The scheduler policy in force.
    #[must_use]
    pub fn policy(&self) -> &'static dyn Policy {
        self.config.policy
    }

    /// Late, duplicate and unknown inputs so far, which were ignored.
    #[must_use]
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    /// The process, unless it is reaped.
    #[must_use]
    pub fn process(&self, pid: Pid) -> Option<&Process> {
        self.processes.get(pid)
    }

    /// All processes that are not reaped, in order of their ids.
    pub fn processes(&self) -> impl Iterator<Item = (Pid, &Process)> {
        self.processes.iter()
    }

    /// A node of the budget tree, as readers of a store see it.
    #[must_use]
    pub fn budget(&self, id: BudgetId) -> Option<BudgetView> {
        self.budgets.get(id).map(BudgetView::of)
    }

    /// The number of processes that are not reaped.
    #[must_use]
    pub fn process_count(&self) -> usize {
        self.processes.len()
    }

    /// The processes that changed since the last flush, in order; some of them may be reaped.
    pub fn changed(&self) -> impl Iterator<Item = Pid> {
        self.dirty.iter().filter_map(|key| match key {
            RowKey::Process(pid) => Some(*pid),
            RowKey::Kernel
            | RowKey::Spec(_)
            | RowKey::Message(..)
            | RowKey::Mail(..)
            | RowKey::Budget(_) => None,
        })
    }

    /// Whether nothing has changed since the last flush.
    #[must_use]
    pub fn is_flushed(&self) -> bool {
        self.dirty.is_empty() && self.reaped.is_empty()
    }

    /// The processes reaped since the last time this was asked, as they were at their end.
    pub fn take_ended(&mut self) -> Vec<(Pid, Process)> {
        std::mem::take(&mut self.ended)
    }

    /// The devices with the states of their circuit breakers: `closed`, `open` or `half_open`.
    pub fn circuits(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.devices.iter().map(|(_, device)| (device.name.as_str(), device.circuit.word()))
    }

    /// Counts an input that comes too late, twice or from nowhere.
    pub(crate) fn ignore(&mut self) {
        self.ignored = self.ignored.saturating_add(1);
    }

    /// The next place in a queue.
    pub(crate) fn next_since(&mut self) -> u64 {
        let since = self.counters.next_since;
        self.counters.next_since = since.saturating_add(1);
        self.dirty.insert(RowKey::Kernel);
        since
    }

    pub(crate) fn call_id(pid: Pid, number: u32) -> CallId {
        CallId { pid, number }
    }
}

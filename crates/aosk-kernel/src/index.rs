//! Queues, slots in use and deadlines. All of it is derived: a process's place in them is a
//! function of the process alone, found anew whenever the process was touched, and the invariant
//! checker compares the whole with one built from nothing.

use std::collections::{BTreeMap, BTreeSet};

use aosk_abi::{BudgetId, CallId, Pid, Timestamp};

use crate::budget::{Budgets, ROOT};
use crate::config::Config;
use crate::device::{DeviceId, Devices, PoolId, QueueId};
use crate::mutant::{Mutant, broken};
use crate::process::{
    Asked, CancelKind, ModelCall, Process, State, Termination, ToolPhase, ToolWait, Wait,
};
use crate::scheduler::{Candidate, Levels, Rank, RunQueue, Way, virtual_time, weight};

/// Whose deadline it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    Process(Pid),
    Budget(BudgetId),
    Device(DeviceId),
}

/// The priority of a process that runs, and when its call began.
type Standing = (u8, Timestamp);

/// The place among those who wait for room of one that asks a person: behind all others.
const ASKS: u64 = u64::MAX;

/// Who competes at one level of the models of a pool.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Competing {
    /// How many have calls that wait or run: processes, and groups with such processes.
    pub(crate) active: u32,
    /// How many of them have calls that wait.
    pub(crate) waiting: u32,
}

/// That a process has a call that waits or runs.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Competes {
    pool: PoolId,
    /// The nodes under which it counts, up to the root.
    under: Vec<BudgetId>,
    waits: bool,
}

/// Where one process stands.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its next deadline.
    deadline: Option<Timestamp>,
    /// Its place in a queue for models.
    ready: Option<Ready>,
    /// Where it counts as one that competes.
    competes: Option<Competes>,
    /// The model it holds a slot of.
    model_slot: Option<DeviceId>,
    /// How it stands among those that may be asked to give up their slot of it.
    running: Option<Standing>,
    /// Tool slots it holds.
    tool_slots: u32,
    /// The node it waits for, the queue it will stand in, and since when it waits.
    quota: Option<(BudgetId, Option<QueueId>, u64)>,
    /// Its tool calls that wait for a slot, by when they were queued.
    queued_tools: Vec<(u64, CallId)>,
    /// The process whose message it waits for.
    awaits: Option<Pid>,
}

/// A place in a queue for models.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ready {
    queue: QueueId,
    rank: Rank,
    /// The nodes under which it stands there, up to the root.
    under: Vec<BudgetId>,
}

/// Who waits for room in a node, by queue, and since when; none is the queue of a model that is not
/// there.
type QuotaWaiters = BTreeMap<Option<QueueId>, BTreeSet<(u64, Pid)>>;

/// All queues.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Index {
    places: BTreeMap<Pid, Place>,
    deadlines: BTreeSet<(Timestamp, Owner)>,
    budget_deadlines: BTreeMap<BudgetId, Timestamp>,
    device_deadlines: BTreeMap<DeviceId, Timestamp>,
    ready: BTreeMap<QueueId, RunQueue>,
    /// Where tenants and groups stand among those beside them.
    ranks: BTreeMap<(QueueId, BudgetId), Rank>,
    competing: BTreeMap<(PoolId, BudgetId), Competing>,
    model_slots: BTreeMap<DeviceId, u32>,
    /// Calls that run, by priority and by when they began.
    running: BTreeMap<DeviceId, BTreeSet<(Standing, Pid)>>,
    tool_slots: u32,
    /// Who waits for room in a node, by the queue it will stand in.
    quota: BTreeMap<BudgetId, QuotaWaiters>,
    queued_tools: BTreeSet<(u64, CallId)>,
    awaited: BTreeMap<Pid, BTreeSet<Pid>>,
}

impl Index {
    pub(crate) fn slots_in_use(&self, device: DeviceId) -> u32 {
        self.model_slots.get(&device).copied().unwrap_or(0)
    }

    pub(crate) fn tool_slots_in_use(&self) -> u32 {
        self.tool_slots
    }

    /// Who is first in a queue, and the rank of the way to it at the highest level.
    pub(crate) fn first_ready(&self, queue: QueueId) -> Option<(Rank, Pid)> {
        self.ready.get(&queue)?.first(ROOT)
    }

    /// Who competes right under the node for the models of the pool.
    pub(crate) fn competing(&self, pool: PoolId, node: BudgetId) -> Competing {
        self.competing.get(&(pool, node)).copied().unwrap_or_default()
    }

    /// Counts one more who competes: a group counts above it as long as anybody in it does.
    fn count_in(&mut self, Competes { pool, under, waits }: &Competes) {
        let (mut active, mut waits) = (true, *waits);
        for node in under {
            let level = self.competing.entry((*pool, *node)).or_default();
            level.active = level.active.saturating_add(u32::from(active));
            level.waiting = level.waiting.saturating_add(u32::from(waits));
            (active, waits) = (active && level.active == 1, waits && level.waiting == 1);
        }
    }

    /// Counts one less.
    fn count_out(&mut self, Competes { pool, under, waits }: &Competes) {
        let (mut active, mut waits) = (true, *waits);
        for node in under {
            remove_from(&mut self.competing, &(*pool, *node), |level| {
                level.active = level.active.saturating_sub(u32::from(active));
                level.waiting = level.waiting.saturating_sub(u32::from(waits));
                (active, waits) = (active && level.active == 0, waits && level.waiting == 0);
                *level == Competing::default()
            });
        }
    }

    /// Who runs on a device and may be asked to give up its slot: the least urgent first, and among
    /// those the one that began last.
    pub(crate) fn running(&self, device: DeviceId) -> impl Iterator<Item = (u8, Pid)> {
        let running = self.running.get(&device).into_iter().flatten().rev();
        running.map(|((priority, _), pid)| (*priority, *pid))
    }

    /// Puts a tenant or group where it stands now among those beside it.
    pub(crate) fn set_rank(
        &mut self,
        queue: QueueId,
        group: BudgetId,
        parent: BudgetId,
        rank: Rank,
    ) {
        let old = self.ranks.insert((queue, group), rank).unwrap_or_default();
        if old != rank
            && let Some(queue) = self.ready.get_mut(&queue)
        {
            queue.rerank(group, parent, old, rank);
        }
    }

    /// Forgets where a group stood that is gone.
    pub(crate) fn forget_rank(&mut self, group: BudgetId, queues: impl Iterator<Item = QueueId>) {
        for queue in queues {
            self.ranks.remove(&(queue, group));
        }
    }

    fn way(&self, ready: &Ready) -> Way {
        let rank = |node| self.ranks.get(&(ready.queue, node)).copied().unwrap_or_default();
        ready.under.iter().map(|node| (*node, rank(*node))).collect()
    }

    pub(crate) fn first_queued_tool(&self) -> Option<CallId> {
        self.queued_tools.first().map(|(_, call)| *call)
    }

    /// Who waits first for room in a node, of those who did not ask a person: one of each queue, since a
    /// model that is busy for one says nothing of the others.
    pub(crate) fn first_quota_waiters(&self, node: BudgetId) -> Vec<Pid> {
        let firsts = self.quota.get(&node).into_iter().flatten().filter_map(|(_, all)| all.first());
        firsts.filter(|(since, _)| *since != ASKS).map(|(_, pid)| *pid).collect()
    }

    /// Who waits until a person raises the bounds of a node.
    pub(crate) fn asking(&self, node: BudgetId) -> Vec<Pid> {
        let waiters = self.quota.get(&node).into_iter().flatten();
        let asking = waiters.flat_map(|(_, waiters)| waiters.range((ASKS, Pid(0))..));
        asking.map(|(_, pid)| *pid).collect()
    }

    /// Who waits for a message from this process.
    pub(crate) fn awaiting(&self, pid: Pid) -> Vec<Pid> {
        self.awaited.get(&pid).map(|waiters| waiters.iter().copied().collect()).unwrap_or_default()
    }

    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Takes out the owner whose deadline is the first that is due.
    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<Owner> {
        let (at, owner) = *self.deadlines.first()?;
        if at > now {
            return None;
        }
        self.deadlines.pop_first();
        match owner {
            Owner::Process(pid) => {
                if let Some(place) = self.places.get_mut(&pid) {
                    place.deadline = None;
                }
            }
            Owner::Budget(id) => {
                self.budget_deadlines.remove(&id);
            }
            Owner::Device(id) => {
                self.device_deadlines.remove(&id);
            }
        }
        Some(owner)
    }

    pub(crate) fn set_device_deadline(&mut self, id: DeviceId, at: Option<Timestamp>) {
        let old = match at {
            Some(at) => self.device_deadlines.insert(id, at),
            None => self.device_deadlines.remove(&id),
        };
        self.move_deadline(Owner::Device(id), old, at);
    }

    pub(crate) fn set_budget_deadline(&mut self, id: BudgetId, at: Option<Timestamp>) {
        let old = match at {
            Some(at) => self.budget_deadlines.insert(id, at),
            None => self.budget_deadlines.remove(&id),
        };
        self.move_deadline(Owner::Budget(id), old, at);
    }

    /// When a device that is held back is looked at again.
    pub(crate) fn device_deadline(&self, id: DeviceId) -> Option<Timestamp> {
        self.device_deadlines.get(&id).copied()
    }

    fn move_deadline(&mut self, owner: Owner, old: Option<Timestamp>, new: Option<Timestamp>) {
        if old == new {
            return;
        }
        if let Some(old) = old {
            self.deadlines.remove(&(old, owner));
        }
        if let Some(new) = new {
            self.deadlines.insert((new, owner));
        }
    }

    /// Puts the process where it stands now. Returns true if it has left a queue for slots.
    pub(crate) fn move_to(&mut self, pid: Pid, new: Place) -> bool {
        let old = self.places.remove(&pid).unwrap_or_default();
        self.move_deadline(Owner::Process(pid), old.deadline, new.deadline);
        if old.ready != new.ready {
            if let Some(ready) = &old.ready {
                let way = self.way(ready);
                remove_from(&mut self.ready, &ready.queue, |queue| {
                    queue.remove(pid, ready.rank, &way);
                    queue.is_empty()
                });
            }
            if let Some(ready) = &new.ready {
                let way = self.way(ready);
                self.ready.entry(ready.queue).or_default().insert(pid, ready.rank, &way);
            }
        }
        if old.competes != new.competes {
            if let Some(competes) = &old.competes {
                self.count_out(competes);
            }
            if let Some(competes) = &new.competes {
                self.count_in(competes);
            }
        }
        if old.model_slot != new.model_slot {
            if let Some(device) = old.model_slot {
                remove_from(&mut self.model_slots, &device, |count| {
                    *count = count.saturating_sub(1);
                    *count == 0
                });
            }
            if let Some(device) = new.model_slot {
                let count = self.model_slots.entry(device).or_default();
                *count = count.saturating_add(1);
            }
        }
        if (old.model_slot, old.running) != (new.model_slot, new.running) {
            if let (Some(device), Some(standing)) = (old.model_slot, old.running) {
                remove_from(&mut self.running, &device, |running| {
                    running.remove(&(standing, pid));
                    running.is_empty()
                });
            }
            if let (Some(device), Some(standing)) = (new.model_slot, new.running) {
                self.running.entry(device).or_default().insert((standing, pid));
            }
        }
        self.tool_slots =
            self.tool_slots.saturating_add(new.tool_slots).saturating_sub(old.tool_slots);
        if old.quota != new.quota {
            if let Some((node, queue, since)) = old.quota {
                remove_from(&mut self.quota, &node, |queues| {
                    remove_from(queues, &queue, |waiters| {
                        waiters.remove(&(since, pid));
                        waiters.is_empty()
                    });
                    queues.is_empty()
                });
            }
            if let Some((node, queue, since)) = new.quota {
                let queues = self.quota.entry(node).or_default();
                queues.entry(queue).or_default().insert((since, pid));
            }
        }
        for call in &old.queued_tools {
            self.queued_tools.remove(call);
        }
        self.queued_tools.extend(new.queued_tools.iter().copied());
        if old.awaits != new.awaits {
            if let Some(from) = old.awaits {
                remove_from(&mut self.awaited, &from, |waiters| {
                    waiters.remove(&pid);
                    waiters.is_empty()
                });
            }
            if let Some(from) = new.awaits {
                self.awaited.entry(from).or_default().insert(pid);
            }
        }
        let left = old.ready.is_some() && new.ready.is_none();
        if new != Place::default() {
            self.places.insert(pid, new);
        }
        left
    }
}

/// Changes the value of a key and drops the key when the change says that nothing is left.
fn remove_from<K: Ord, V>(map: &mut BTreeMap<K, V>, key: &K, change: impl FnOnce(&mut V) -> bool) {
    if let Some(value) = map.get_mut(key)
        && change(value)
    {
        map.remove(key);
    }
}

/// The earlier of two deadlines.
fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

impl Place {
    /// Where the process stands, given what it stands among.
    pub(crate) fn of(
        pid: Pid,
        process: &Process,
        config: &Config,
        devices: &Devices,
        budgets: &Budgets,
    ) -> Self {
        let mut place = Self { deadline: process.deadline(), ..Self::default() };
        if let Some((call, candidate)) = candidate(pid, process)
            && let Some(queue) = devices.queue(&call.options.model)
        {
            let mut rank = config.policy.rank(&candidate);
            if broken!(devices, PriorityIgnored) {
                rank.0 = u64::MAX - rank.0;
            }
            let under = match config.policy.levels() {
                Levels::One => vec![ROOT],
                Levels::Groups => budgets.groups_above(process.spec.budget),
            };
            place.ready = Some(Ready { queue, rank, under });
        }
        place.competes = competes(process, devices, budgets);
        // A stopped process starts nothing; what it has in flight goes on.
        let stopped = matches!(process.state, State::Stopped { .. });
        match process.state.inner() {
            State::Running { call, asked, .. } => {
                place.model_slot = devices.find(call.device());
                place.running =
                    (*asked == Asked::Nothing).then_some((process.priority, call.started));
            }
            State::Waiting { on: Wait::Tools { calls } } => {
                let startable = startable(calls, config);
                for (at, call) in calls.iter().enumerate() {
                    match call.phase {
                        ToolPhase::Queued { since } if !stopped && at < startable => {
                            place.queued_tools.push((since, CallId { pid, number: call.number }));
                        }
                        ToolPhase::InFlight { .. } if !config.is_inline(&call.tool) => {
                            place.tool_slots = place.tool_slots.saturating_add(1);
                        }
                        ToolPhase::Queued { .. }
                        | ToolPhase::InFlight { .. }
                        | ToolPhase::Returned { .. } => {}
                    }
                }
            }
            State::Waiting { on: Wait::Message { from, .. } } => place.awaits = *from,
            State::Exiting { calls, .. } => {
                for cancelling in calls {
                    match &cancelling.kind {
                        CancelKind::Model { call, .. } => {
                            place.model_slot = devices.find(call.device());
                        }
                        CancelKind::Tool => {
                            place.tool_slots = place.tool_slots.saturating_add(1);
                        }
                    }
                }
            }
            State::Waiting { .. }
            | State::Program { .. }
            | State::Ready { .. }
            | State::Stopped { .. }
            | State::Zombie { .. } => {}
        }
        // A stopped process does not take part; it looks again after CONT.
        if let State::Waiting { on: Wait::Quota { call, lack, asks } } = &process.state {
            // Nobody who asks a person holds up those who do not.
            let queue = devices.queue(&call.options.model);
            place.quota = Some((lack.budget, queue, if *asks { ASKS } else { call.since }));
        }
        place
    }
}

/// Where a process counts that has a call that waits or runs.
fn competes(process: &Process, devices: &Devices, budgets: &Budgets) -> Option<Competes> {
    let (call, waits) = match (&process.state, process.state.inner()) {
        (State::Ready { call }, _) => (call, true),
        (_, State::Running { call, .. }) => (call, false),
        _ => return None,
    };
    let pool = devices.pool_number(devices.queue(&call.options.model)?)?;
    Some(Competes { pool, under: budgets.groups_above(process.spec.budget), waits })
}

/// How many of a turn's first calls may be under way now. Those that may run together do, up to one
/// that may not; that one runs when all before it have returned, and alone.
pub(crate) fn startable(calls: &[ToolWait], config: &Config) -> usize {
    let has_returned = |call: &ToolWait| matches!(call.phase, ToolPhase::Returned { .. });
    let Some(first) = calls.iter().position(|call| !has_returned(call)) else {
        return calls.len();
    };
    let together = calls.iter().skip(first);
    let together =
        together.take_while(|call| has_returned(call) || config.is_parallel(&call.tool)).count();
    if config.broken().is(Mutant::TurnUnordered) {
        return calls.len();
    }
    first.saturating_add(together.max(1))
}

/// The process as a candidate, if it wants a slot.
pub(crate) fn candidate(pid: Pid, process: &Process) -> Option<(&ModelCall, Candidate)> {
    match &process.state {
        State::Ready { call } => {
            let share = virtual_time(call.service, weight(process.priority));
            let candidate = Candidate {
                pid,
                priority: process.priority,
                since: call.since,
                start: call.start,
                finish: call.start.saturating_add(share),
            };
            Some((call, candidate))
        }
        State::Program { .. }
        | State::Running { .. }
        | State::Waiting { .. }
        | State::Stopped { .. }
        | State::Exiting { .. }
        | State::Zombie { .. } => None,
    }
}

impl Process {
    /// The next moment at which something of it is due.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        let termination = match self.termination {
            Termination::Asked { deadline, .. } | Termination::Told { deadline, .. }
                if !self.state.is_over() =>
            {
                Some(deadline)
            }
            Termination::None | Termination::Asked { .. } | Termination::Told { .. } => None,
        };
        let own = match self.state.inner() {
            State::Running { deadline, slice_ends, .. } => earlier(Some(*deadline), *slice_ends),
            State::Waiting { on } => match on {
                Wait::Backoff { until, .. } | Wait::Timer { until } => Some(*until),
                Wait::Child { until, .. } | Wait::Message { until, .. } => *until,
                Wait::Tools { calls } => calls
                    .iter()
                    .filter_map(|call| match call.phase {
                        ToolPhase::InFlight { deadline } => Some(deadline),
                        ToolPhase::Queued { .. } | ToolPhase::Returned { .. } => None,
                    })
                    .min(),
                Wait::Quota { .. } => None,
            },
            State::Exiting { calls, .. } => calls.iter().map(|call| call.deadline).min(),
            State::Program { .. }
            | State::Ready { .. }
            | State::Stopped { .. }
            | State::Zombie { .. } => None,
        };
        earlier(termination, own)
    }
}

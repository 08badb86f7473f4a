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
use crate::scheduler::{Candidate, Levels, Position, Rank, RunQueue, Way, virtual_time, weight};

/// Whose deadline it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    Process(Pid),
    Budget(BudgetId),
    Device(DeviceId),
}

/// The priority of a process that runs, and when its call began.
type Standing = (u8, Timestamp);

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
    /// Its place among those who wait for room in a node.
    quota: Option<Quota>,
    /// The node whose bounds a person is to raise for it.
    asks: Option<BudgetId>,
    /// Its tool calls that wait for a slot.
    queued_tools: Vec<QueuedTool>,
    /// The process whose message it waits for.
    awaits: Option<Pid>,
}

/// A place in the queue for tool slots: by rank, and among equals by when the call was queued.
type QueuedTool = (Rank, u64, CallId);

/// A place in a queue for models.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ready {
    queue: QueueId,
    rank: Rank,
    /// The node at which it was let go, if it waited for room.
    woken_at: Option<BudgetId>,
    /// The nodes under which it stands there, up to the root.
    under: Vec<BudgetId>,
}

/// A place among those who wait for room in a node.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Quota {
    node: BudgetId,
    /// The queue it will stand in; none is that of a model that is not there.
    queue: Option<QueueId>,
    rank: Rank,
    /// The nodes under which it stands there, up to the one that stands for all who wait there.
    under: Vec<BudgetId>,
}

/// Who waits for room in a node, by the queue it will stand in, and in the order of that queue.
#[derive(Debug, Clone, PartialEq, Eq)]
struct QuotaWaiters {
    /// The node under which all of them stand.
    top: BudgetId,
    queues: BTreeMap<Option<QueueId>, RunQueue>,
}

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
    /// Who waits for room in a node.
    quota: BTreeMap<BudgetId, QuotaWaiters>,
    /// Who waits until a person raises the bounds of a node.
    asking: BTreeMap<BudgetId, BTreeSet<Pid>>,
    queued_tools: BTreeSet<QueuedTool>,
    awaited: BTreeMap<Pid, BTreeSet<Pid>>,
}

impl Index {
    pub(crate) fn slots_in_use(&self, device: DeviceId) -> u32 {
        self.model_slots.get(&device).copied().unwrap_or(0)
    }

    pub(crate) fn tool_slots_in_use(&self) -> u32 {
        self.tool_slots
    }

    /// Who is first in a queue, and where it stands.
    pub(crate) fn first_ready(&self, queue: QueueId) -> Option<(Position, Pid)> {
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

    /// Puts a tenant or group where it stands now among those beside it, also where these wait for room:
    /// in `nodes`, as far as anybody does.
    pub(crate) fn set_rank(
        &mut self,
        queue: QueueId,
        (group, parent): (BudgetId, BudgetId),
        rank: Rank,
        nodes: &[BudgetId],
    ) {
        let old = self.ranks.insert((queue, group), rank).unwrap_or_default();
        if old == rank {
            return;
        }
        if let Some(queue) = self.ready.get_mut(&queue) {
            queue.rerank(group, parent, old, rank);
        }
        for node in nodes {
            let waiters = self.quota.get_mut(node);
            if let Some(waiting) = waiters.and_then(|of| of.queues.get_mut(&Some(queue))) {
                waiting.rerank(group, parent, old, rank);
            }
        }
    }

    /// Forgets where a group stood that is gone.
    pub(crate) fn forget_rank(&mut self, group: BudgetId, queues: impl Iterator<Item = QueueId>) {
        for queue in queues {
            self.ranks.remove(&(queue, group));
        }
    }

    fn way(&self, queue: Option<QueueId>, under: &[BudgetId]) -> Way {
        let rank = |node| queue.and_then(|queue| self.ranks.get(&(queue, node)).copied());
        under.iter().map(|node| (*node, rank(*node).unwrap_or_default())).collect()
    }

    pub(crate) fn first_queued_tool(&self) -> Option<CallId> {
        self.queued_tools.first().map(|(_, _, call)| *call)
    }

    /// Who is first of those who wait for room in a node and did not ask a person: one of each queue,
    /// since a model that is busy for one says nothing of the others.
    pub(crate) fn first_quota_waiters(&self, node: BudgetId) -> Vec<Pid> {
        let Some(QuotaWaiters { top, queues }) = self.quota.get(&node) else {
            return Vec::new();
        };
        queues.values().filter_map(|queue| queue.first(*top)).map(|(_, pid)| pid).collect()
    }

    /// Who waits until a person raises the bounds of a node.
    pub(crate) fn asking(&self, node: BudgetId) -> Vec<Pid> {
        self.asking.get(&node).map(|asking| asking.iter().copied().collect()).unwrap_or_default()
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

    /// Puts the process where it stands now. If it has left a queue for slots, returns the node at which
    /// it had been let go, if it was.
    pub(crate) fn move_to(&mut self, pid: Pid, new: Place) -> Option<Option<BudgetId>> {
        let old = self.places.remove(&pid).unwrap_or_default();
        self.move_deadline(Owner::Process(pid), old.deadline, new.deadline);
        if old.ready != new.ready {
            if let Some(ready) = &old.ready {
                let way = self.way(Some(ready.queue), &ready.under);
                remove_from(&mut self.ready, &ready.queue, |queue| {
                    queue.remove(pid, ready.rank, &way);
                    queue.is_empty()
                });
            }
            if let Some(ready) = &new.ready {
                let way = self.way(Some(ready.queue), &ready.under);
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
            if let Some(quota) = &old.quota {
                let way = self.way(quota.queue, &quota.under);
                remove_from(&mut self.quota, &quota.node, |waiters| {
                    remove_from(&mut waiters.queues, &quota.queue, |queue| {
                        queue.remove(pid, quota.rank, &way);
                        queue.is_empty()
                    });
                    waiters.queues.is_empty()
                });
            }
            if let Some(Quota { node, queue, rank, under }) = &new.quota {
                let way = self.way(*queue, under);
                let top = under.last().copied().unwrap_or(*node);
                let waiters = self.quota.entry(*node);
                let waiters =
                    waiters.or_insert_with(|| QuotaWaiters { top, queues: BTreeMap::new() });
                waiters.queues.entry(*queue).or_default().insert(pid, *rank, &way);
            }
        }
        if old.asks != new.asks {
            if let Some(node) = old.asks {
                remove_from(&mut self.asking, &node, |asking| {
                    asking.remove(&pid);
                    asking.is_empty()
                });
            }
            if let Some(node) = new.asks {
                self.asking.entry(node).or_default().insert(pid);
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
        let left = old.ready.filter(|_| new.ready.is_none()).map(|ready| ready.woken_at);
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
            && let Some(queue) = devices.queue_for(call)
        {
            let mut rank = config.policy.rank(&candidate);
            if broken!(devices, PriorityIgnored) {
                rank.0 = u64::MAX - rank.0;
            }
            let under = match config.policy.levels() {
                Levels::One => vec![ROOT],
                Levels::Groups => budgets.groups_above(process.spec.budget),
            };
            let woken_at = call.woken_at;
            place.ready = Some(Ready { queue, rank, woken_at, under });
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
                place.tool_slots = tools_in_flight(calls, config);
                if !stopped {
                    place.queued_tools = queued_tools((pid, process.priority), calls, config);
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
            if *asks {
                // Nobody who asks a person holds up those who do not.
                place.asks = Some(lack.budget);
            } else {
                let at = (pid, process, call, lack.budget);
                place.quota = Some(Quota::of(at, config, devices, budgets));
            }
        }
        place
    }
}

impl Quota {
    /// Where a process stands that waits with its call for room in the node: as it will stand in the
    /// queue of its model, among those who wait there.
    fn of(
        (pid, process, call, node): (Pid, &Process, &ModelCall, BudgetId),
        config: &Config,
        devices: &Devices,
        budgets: &Budgets,
    ) -> Self {
        let queue = devices.queue_for(call);
        let since = Rank(call.since, pid.0);
        if queue.is_none() || broken!(devices, WaitersByArrival) {
            return Self { node, queue, rank: since, under: vec![node] };
        }
        let rank = config.policy.rank(&Candidate::of(pid, process.priority, call));
        let under = match config.policy.levels() {
            Levels::One => vec![node],
            Levels::Groups => budgets.groups_between(process.spec.budget, node),
        };
        Self { node, queue, rank, under }
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

/// Tool slots that the calls of a turn hold.
fn tools_in_flight(calls: &[ToolWait], config: &Config) -> u32 {
    let holds = |call: &&ToolWait| {
        matches!(call.phase, ToolPhase::InFlight { .. }) && !config.is_inline(&call.tool)
    };
    u32::try_from(calls.iter().filter(holds).count()).unwrap_or(u32::MAX)
}

/// The calls of a turn that wait for a tool slot, where the policy puts them. For service stand the calls
/// of the process that run or are before it: so under `fair` nobody has a second slot while another has
/// none, and whoever asks for many at once takes turns with those who ask for one.
fn queued_tools(
    (pid, priority): (Pid, u8),
    calls: &[ToolWait],
    config: &Config,
) -> Vec<QueuedTool> {
    let before = u64::from(tools_in_flight(calls, config));
    let queued = calls.iter().take(startable(calls, config)).filter_map(|call| match call.phase {
        ToolPhase::Queued { since } => Some((since, CallId { pid, number: call.number })),
        ToolPhase::InFlight { .. } | ToolPhase::Returned { .. } => None,
    });
    let ranked = queued.zip(before..).map(|((since, call), round)| {
        let candidate = Candidate { pid, priority, since, start: round, finish: round };
        (config.policy.rank(&candidate), since, call)
    });
    ranked.collect()
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
        State::Ready { call } => Some((call, Candidate::of(pid, process.priority, call))),
        State::Program { .. }
        | State::Running { .. }
        | State::Waiting { .. }
        | State::Stopped { .. }
        | State::Exiting { .. }
        | State::Zombie { .. } => None,
    }
}

impl Candidate {
    /// A process of this priority with its call.
    fn of(pid: Pid, priority: u8, call: &ModelCall) -> Self {
        let share = virtual_time(call.service, weight(priority));
        let finish = call.start.saturating_add(share);
        Self { pid, priority, since: call.since, start: call.start, finish }
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

//! What must hold after every `apply`. The list was written before the code it checks.
//!
//! 1. Budgets: at every node `used + reserved <= limits + overdraft`; what is reserved at a node is
//!    exactly what calls in flight below it hold; a node's members are counted right.
//! 2. Families: a child's parent is in the table and has it as a child; an ended process that is not
//!    `Exiting` has no children; a child may nothing that its parent may not.
//! 3. Waiting: nobody waits on what nobody will answer.
//! 4. Slots: no device has more calls in flight than slots, but for those that began when it had more;
//!    none has a free slot, a circuit that
//!    admits a call and somebody ready.
//! 5. Queues and deadlines are what the tables say.
//! 6. Bounds: mailboxes, depth, groups, each of which is found by its name.
//! 7. Memory: a page table takes what it shows takes, shows pages in their order and only those that
//!    are there, and has as much of the log as there is; all of it while the process waits for a model.
//!    Tasks stand within one another, and only of those that have ended did pages leave with them.
//! 8. Turns: of the tool calls of a turn only those that may run together do, in their order.
//!
//! Checked elsewhere, since they need more than the kernel: `restore(load()) == kernel`, every page
//! has its body in the store, journal order is commit order, every call ends exactly once.

use std::collections::BTreeMap;
use std::fmt;

use aosk_abi::{BudgetId, Limits, MessageIndex, MicroUsd, Pid, Spend, Timestamp, Tokens, limits};

use crate::budget::ROOT;
use crate::device::{Circuit, DeviceId, QueueId};
use crate::kernel::Kernel;
use crate::memory::Residency;
use crate::process::{CancelKind, ModelCall, Process, State, ToolPhase, ToolWait, Wait};

/// Something that must never be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation(pub String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invariant broken: {}", self.0)
    }
}

impl std::error::Error for Violation {}

type Check = Result<(), Violation>;

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(Violation(what())) }
}

impl Kernel {
    /// Checks every invariant. Costs time in proportion to everything that lives.
    ///
    /// # Errors
    /// The first violation found.
    pub fn check(&self) -> Result<(), Violation> {
        self.check_budgets()?;
        self.check_groups()?;
        for (pid, process) in self.processes.iter() {
            self.check_family(pid, process)?;
            self.check_waiting(pid, process)?;
            self.check_bounds(pid, process)?;
            check_memory(pid, process)?;
        }
        self.check_slots()?;
        ensure(!self.budgets.has_released(), || {
            "a budget was released and nobody looked".to_owned()
        })?;
        ensure(self.index == self.index_from_nothing(), || {
            "queues or deadlines are not what the process table says".to_owned()
        })
    }

    fn check_groups(&self) -> Check {
        let count = self.budgets.group_count();
        ensure(count <= limits::GROUPS_MAX, || format!("there are {count} groups"))?;
        let mut named = 0_usize;
        for (id, budget) in self.budgets.iter() {
            if let Some(group) = &budget.group {
                named = named.saturating_add(1);
                ensure(self.budgets.group(&group.name) == Some(id), || {
                    format!("{id}: is the group {} and is not found by it", group.name)
                })?;
            }
        }
        ensure(named == count, || format!("{count} names of groups lead to {named}"))
    }

    fn check_budgets(&self) -> Check {
        let mut reserved: BTreeMap<BudgetId, Spend> = BTreeMap::new();
        let mut members: BTreeMap<BudgetId, u32> = BTreeMap::new();
        for (_, process) in self.processes.iter() {
            for (device, held) in held_on_devices(&process.state) {
                if let Some(node) = self.budgets.device(device) {
                    let sum = reserved.entry(node).or_default();
                    *sum = sum.plus(&held);
                }
            }
            let held = held(&process.state);
            let mut next = Some(process.spec.budget);
            *members.entry(process.spec.budget).or_default() += 1;
            while let Some(id) = next {
                let sum = reserved.entry(id).or_default();
                *sum = sum.plus(&held);
                next = self.budgets.get(id).and_then(|budget| budget.parent);
            }
        }
        for (_, budget) in self.budgets.iter() {
            if let Some(parent) = budget.parent {
                *members.entry(parent).or_default() += 1;
            }
        }
        for (id, budget) in self.budgets.iter() {
            let bound = raise(&budget.limits, &budget.overdraft);
            let all = budget.used.plus(&budget.reserved);
            ensure(bound.exceeded_by(&all).is_none(), || {
                format!("{id}: used and reserved {all:?} beyond {bound:?}")
            })?;
            let expected = reserved.get(&id).copied().unwrap_or_default();
            ensure(budget.reserved == expected, || {
                format!(
                    "{id}: reserved {:?}, held by calls in flight {expected:?}",
                    budget.reserved
                )
            })?;
            let expected = members.get(&id).copied().unwrap_or(0);
            ensure(budget.members == expected, || {
                format!("{id}: counts {} members, has {expected}", budget.members)
            })?;
            ensure(budget.members > 0 || id == ROOT || budget.stays(), || {
                format!("{id}: nobody is under it")
            })?;
        }
        Ok(())
    }

    fn check_family(&self, pid: Pid, process: &Process) -> Check {
        if let Some(parent) = process.spec.parent {
            let parent_process = self.processes.get(parent);
            ensure(parent_process.is_some(), || format!("{pid}: its parent {parent} is reaped"))?;
            if let Some(parent_process) = parent_process {
                ensure(parent_process.children.contains(&pid), || {
                    format!("{pid}: {parent} does not know it as a child")
                })?;
                ensure(
                    process.spec.capabilities.within(&parent_process.spec.capabilities),
                    || format!("{pid}: may more than its parent {parent}"),
                )?;
                ensure(!matches!(parent_process.state, State::Zombie { .. }), || {
                    format!("{pid}: its parent {parent} is a zombie")
                })?;
            }
        }
        for child in &process.children {
            ensure(self.processes.contains(*child), || {
                format!("{pid}: its child {child} is gone")
            })?;
        }
        Ok(())
    }

    fn check_waiting(&self, pid: Pid, process: &Process) -> Check {
        let stopped = matches!(process.state, State::Stopped { .. });
        match process.state.inner() {
            State::Waiting { on } => match on {
                Wait::Backoff { .. } | Wait::Timer { .. } => Ok(()),
                Wait::Quota { lack, asks, .. } => {
                    let budget = lack.budget;
                    ensure(stopped || *asks || self.will_be_released(budget), || {
                        format!("{pid}: waits for room in {budget} that nobody will make")
                    })
                }
                Wait::Tools { calls } => {
                    let open = calls.iter().any(|c| !matches!(c.phase, ToolPhase::Returned { .. }));
                    ensure(open, || format!("{pid}: waits for tools that have all returned"))?;
                    self.check_turn(pid, calls)
                }
                Wait::Child { child, .. } => {
                    let zombie = process.children.iter().find(|pid| {
                        child.is_none_or(|child| child == **pid)
                            && self
                                .processes
                                .get(**pid)
                                .is_some_and(|c| matches!(c.state, State::Zombie { .. }))
                    });
                    ensure(zombie.is_none(), || {
                        format!("{pid}: waits for a child that has ended: {zombie:?}")
                    })?;
                    let known = child
                        .map_or(!process.children.is_empty(), |c| process.children.contains(&c));
                    ensure(known, || format!("{pid}: waits for a child it does not have"))
                }
                Wait::Message { from, .. } => {
                    let there = process.mailbox.values().any(|m| from.is_none() || m.from == *from);
                    ensure(stopped || !there, || {
                        format!("{pid}: waits for a message that is in its mailbox")
                    })?;
                    let alive = from.is_none_or(|from| self.living(from, "").is_ok());
                    ensure(alive, || format!("{pid}: waits for a message from one that has ended"))
                }
            },
            State::Stopped { .. } => Err(Violation(format!("{pid}: stopped twice"))),
            State::Exiting { calls, .. } => {
                let waits = !calls.is_empty() || !process.children.is_empty();
                ensure(waits, || format!("{pid}: exiting and waits for nothing"))
            }
            State::Zombie { .. } => {
                ensure(process.children.is_empty(), || format!("{pid}: a zombie with children"))
            }
            // A model that this configuration does not have may come with the next boot.
            State::Program { .. } | State::Ready { .. } | State::Running { .. } => Ok(()),
        }
    }

    /// Whether something under the node is in flight or ready, and so will make room or try.
    fn will_be_released(&self, node: BudgetId) -> bool {
        let node_itself = self.budgets.get(node);
        node_itself.is_some_and(|b| b.reserved != Spend::default() || b.room_at.is_some())
            || self.processes.iter().any(|(_, process)| {
                matches!(&process.state, State::Ready { call }
                    if self.devices.queue(&call.options.model).is_some())
                    && self.budgets.chain(process.spec.budget).contains(&node)
            })
    }

    fn check_bounds(&self, pid: Pid, process: &Process) -> Check {
        ensure(process.mailbox.len() <= limits::MAILBOX_MAX, || {
            format!("{pid}: mailbox too long")
        })?;
        ensure(process.spec.depth <= limits::PROCESS_DEPTH_MAX, || format!("{pid}: too deep"))?;
        ensure(process.priority <= 100, || format!("{pid}: priority {}", process.priority))
    }

    /// A call that may not run beside others runs when those before it in the turn have returned,
    /// and none after it runs meanwhile.
    fn check_turn(&self, pid: Pid, calls: &[ToolWait]) -> Check {
        let mut open_before = 0_usize;
        let mut alone_before = 0_usize;
        // Inline calls are pure and no part of the order.
        for call in calls.iter().filter(|call| !self.config.is_inline(&call.tool)) {
            let parallel = self.config.is_parallel(&call.tool);
            if let ToolPhase::InFlight { .. } = call.phase {
                let in_turn = alone_before == 0 && (parallel || open_before == 0);
                ensure(in_turn, || format!("{pid}: call {} runs out of turn", call.number))?;
            }
            if !matches!(call.phase, ToolPhase::Returned { .. }) {
                open_before = open_before.saturating_add(1);
                alone_before = alone_before.saturating_add(usize::from(!parallel));
            }
        }
        Ok(())
    }

    /// Whether the device would take a call of this process.
    fn is_idle(&self, id: DeviceId, (queue, pid): (QueueId, Pid)) -> bool {
        let in_use = self.index.slots_in_use(id);
        // Until its deadline no call goes through; without one, nobody would try it again.
        let held_back = self.index.device_deadline(id).is_some();
        self.devices.get(id).is_some_and(|device| {
            let admits = match device.circuit {
                Circuit::Closed { .. } => true,
                Circuit::Open { .. } => in_use == 0 && !held_back,
                Circuit::HalfOpen => in_use == 0,
            };
            let allowed = device.slots.min(device.patience.allowed());
            let waits = held_back
                && (device.patience.end() > Timestamp::ZERO
                    || device.full.get(&queue).is_some_and(|kept| kept.pid == pid));
            in_use < allowed && admits && !waits
        })
    }

    fn check_slots(&self) -> Check {
        for (id, device) in self.devices.iter() {
            let in_use = self.index.slots_in_use(id);
            ensure(in_use <= device.slots.max(device.lent), || {
                format!("{}: {in_use} calls in {} slots", device.name, device.slots)
            })?;
        }
        for queue in self.devices.pools().flat_map(|pool| &pool.queues) {
            let Some((_, pid)) = self.index.first_ready(*queue) else {
                continue;
            };
            for id in self.devices.backends(*queue) {
                ensure(self.draining || !self.is_idle(id, (*queue, pid)), || {
                    format!("{pid} is ready for device {id}, which has a slot free")
                })?;
            }
        }
        let in_use = self.index.tool_slots_in_use();
        let idle = !self.draining && in_use < self.config.tool_slots;
        ensure(!(idle && self.index.first_queued_tool().is_some()), || {
            "a tool slot is free and a call is queued".to_owned()
        })?;
        ensure(in_use <= self.config.tool_slots.max(self.tools_lent), || {
            format!("{in_use} tool calls in {} slots", self.config.tool_slots)
        })
    }
}

fn check_memory(pid: Pid, process: &Process) -> Check {
    let memory = &process.memory;
    let space = memory.space();
    let sum: u64 = space.shown().map(|one| u64::from(one.tokens)).sum();
    ensure(space.total() == Tokens(sum), || {
        format!("{pid}: its table counts {} tokens and shows {sum}", space.total())
    })?;
    let mut last = None;
    for one in space.shown() {
        ensure(last < Some(one.id), || format!("{pid}: page {} is out of order", one.id.0))?;
        last = Some(one.id);
        let rendered = matches!(one.page.residency, Residency::Resident | Residency::Stub);
        ensure(rendered, || format!("{pid}: page {} is shown and is not there", one.id.0))?;
    }
    let arenas = space.arenas();
    arenas.check().map_err(|what| Violation(format!("{pid}: {what}")))?;
    for (id, page) in space.pages() {
        ensure(arenas.knows(page.arena), || {
            format!("{pid}: page {} is of task {}, which never was", id.0, page.arena.0)
        })?;
        let is_closed = page.residency == Residency::Closed;
        ensure(!is_closed || arenas.is_over(page.arena), || {
            format!("{pid}: page {} left with a task that has not ended", id.0)
        })?;
    }
    let log = process.page_count();
    ensure(memory.taken() <= log, || {
        format!("{pid}: its table has {} messages of {log}", memory.taken())
    })?;
    // A call of a kernel that had no page tables is made with the whole log.
    let none = memory.taken() == MessageIndex(0);
    let relayed = |call: &ModelCall| call.relayed;
    ensure(process.state.call().is_none_or(relayed) || memory.taken() == log || none, || {
        format!("{pid}: it asks a model, and its table has {} messages of {log}", memory.taken())
    })
}

/// What a process has reserved at devices.
fn held_on_devices(state: &State) -> Vec<(&str, Spend)> {
    match state.inner() {
        State::Running { call, held, .. } => vec![(call.device(), *held)],
        State::Exiting { calls, .. } => calls
            .iter()
            .filter_map(|call| match &call.kind {
                CancelKind::Model { call, held } => Some((call.device(), *held)),
                CancelKind::Tool => None,
            })
            .collect(),
        State::Program { .. }
        | State::Ready { .. }
        | State::Waiting { .. }
        | State::Stopped { .. }
        | State::Zombie { .. } => Vec::new(),
    }
}

/// What a process has reserved.
fn held(state: &State) -> Spend {
    match state.inner() {
        State::Running { held, .. } => *held,
        State::Exiting { calls, .. } => calls
            .iter()
            .filter_map(|call| match &call.kind {
                CancelKind::Model { held, .. } => Some(*held),
                CancelKind::Tool => None,
            })
            .fold(Spend::default(), |sum, held| sum.plus(&held)),
        State::Program { .. }
        | State::Ready { .. }
        | State::Waiting { .. }
        | State::Stopped { .. }
        | State::Zombie { .. } => Spend::default(),
    }
}

/// The limits, raised by what was used beyond reservations.
fn raise(limits: &Limits, by: &Spend) -> Limits {
    Limits {
        tokens: limits.tokens.map(|limit| Tokens(limit.0.saturating_add(by.tokens.0))),
        calls: limits.calls.map(|limit| limit.saturating_add(by.calls)),
        micro_usd: limits.micro_usd.map(|limit| MicroUsd(limit.0.saturating_add(by.micro_usd.0))),
        steps: limits.steps.map(|limit| limit.saturating_add(by.steps)),
        children: limits.children.map(|limit| limit.saturating_add(by.children)),
        ..*limits
    }
}

//! Budgets and queues as readers of the rows see them, while another kernel runs or after. What only
//! a running kernel knows, such as how many slots a model has, is not here.

use std::collections::BTreeMap;

use aosk_abi::{BudgetId, Limits, Pid, Spend, Timestamp};

use crate::budget::{Budget, Group, ROOT};
use crate::index::candidate;
use crate::process::Process;
use crate::scheduler::{Levels, Policy, Rank, RunQueue, Way, virtual_time, weight};

/// A node of the budget tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetView {
    /// The node above; none for the root and for those of devices.
    pub parent: Option<BudgetId>,
    /// What may be spent here and below.
    pub limits: Limits,
    /// What was spent here and below.
    pub used: Spend,
    /// What is held for calls in flight.
    pub reserved: Spend,
    /// What was used beyond what was held or allowed.
    pub overdraft: Spend,
    /// When its wall time is over.
    pub expires: Option<Timestamp>,
    /// When time will have made room for the first that waits for it.
    pub room_at: Option<Timestamp>,
    /// The device whose rates it counts, if it is the node of one.
    pub device: Option<String>,
    /// What group it is, if it is one.
    pub group: Option<GroupView>,
    node: Budget,
}

/// A tenant, or a group of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupView {
    /// The tenant's name, or `tenant/group`.
    pub name: String,
    /// Its share among those beside it: 0 (the largest) to 100.
    pub priority: u8,
}

/// A span in which use is bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// Any minute.
    Minute,
    /// Any hour.
    Hour,
    /// Any twenty-four hours.
    Day,
}

impl BudgetView {
    pub(crate) fn of(node: &Budget) -> Self {
        let group = node.group.clone();
        Self {
            parent: node.parent,
            limits: node.limits,
            used: node.used,
            reserved: node.reserved,
            overdraft: node.overdraft,
            expires: node.expires,
            room_at: node.room_at,
            device: node.device.clone(),
            group: group.map(|Group { name, priority }| GroupView { name, priority }),
            node: node.clone(),
        }
    }

    /// What counts as used in the span that ends now; nothing if the span is not bounded.
    #[must_use]
    pub fn used_in(&self, span: Span, now: Timestamp) -> Spend {
        match span {
            Span::Minute => self.node.windows.minute.sum(now),
            Span::Hour => self.node.windows.hour.sum(now),
            Span::Day => self.node.windows.day.sum(now),
        }
    }

    /// When the rates of a device will have room for a call that may use so much; none if they have it
    /// now.
    #[must_use]
    pub fn rates_room_at(&self, amount: &Spend, now: Timestamp) -> Option<Timestamp> {
        self.node.device_room_at(amount, now)
    }

    /// What a group was served of a pool of models, divided by its weight, among those beside it.
    #[must_use]
    pub fn served(&self, pool: &str) -> u64 {
        self.node.standing.get(pool).map_or(0, |standing| standing.served)
    }

    /// The pools of models in which it was served, by the names of their first devices.
    pub fn pools(&self) -> impl Iterator<Item = &str> {
        self.node.standing.keys().map(String::as_str)
    }
}

/// Those who wait for a model, in the order in which they will be given slots if nobody else comes.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Line {
    /// Who, first to last.
    pub order: Vec<Pid>,
}

impl Line {
    /// Those before this one.
    #[must_use]
    pub fn ahead_of(&self, pid: Pid) -> &[Pid] {
        let at = self.order.iter().position(|one| *one == pid).unwrap_or(0);
        self.order.get(..at).unwrap_or_default()
    }
}

/// The line of the processes of `waiting` that are ready, all of them for one model, whose pool has
/// the name `pool`.
#[must_use]
pub fn line(
    policy: &dyn Policy,
    waiting: &BTreeMap<Pid, Process>,
    budgets: &BTreeMap<BudgetId, BudgetView>,
    pool: &str,
) -> Line {
    let mut served: BTreeMap<BudgetId, u64> = BTreeMap::new();
    for (id, node) in budgets.iter().filter(|(_, node)| node.group.is_some()) {
        served.insert(*id, node.served(pool));
    }
    let way = |served: &BTreeMap<BudgetId, u64>, groups: &[BudgetId]| -> Way {
        let groups = groups.iter();
        let ranks = groups.map(|id| (*id, Rank(served.get(id).copied().unwrap_or(0), id.0)));
        ranks.chain([(ROOT, Rank::default())]).collect()
    };
    let mut queue = RunQueue::default();
    let mut places = BTreeMap::new();
    for (pid, process) in waiting {
        let Some((call, candidate)) = candidate(*pid, process) else { continue };
        let groups = match policy.levels() {
            Levels::One => Vec::new(),
            Levels::Groups => groups(process.spec.budget, budgets),
        };
        let rank = policy.rank(&candidate);
        queue.insert(*pid, rank, &way(&served, &groups));
        places.insert(*pid, (rank, groups, call.service));
    }
    let mut line = Line::default();
    while let Some((_, pid)) = queue.first(ROOT)
        && let Some((rank, groups, service)) = places.remove(&pid)
    {
        line.order.push(pid);
        let way = way(&served, &groups);
        queue.remove(pid, rank, &way);
        // What it will take is counted for its groups, as when it starts.
        for (at, id) in groups.iter().enumerate() {
            let parent = groups.get(at + 1).copied().unwrap_or(ROOT);
            let priority = budgets.get(id).and_then(|node| node.group.as_ref());
            let share = virtual_time(service, weight(priority.map_or(50, |group| group.priority)));
            let was = served.entry(*id).or_default();
            let (from, to) = (*was, was.saturating_add(share));
            *was = to;
            queue.rerank(*id, parent, Rank(from, id.0), Rank(to, id.0));
        }
    }
    line
}

/// The groups that a node is or lies in, from the nearest up.
fn groups(node: BudgetId, budgets: &BTreeMap<BudgetId, BudgetView>) -> Vec<BudgetId> {
    let mut found = Vec::new();
    let mut next = Some(node);
    while let Some(id) = next
        && let Some(node) = budgets.get(&id)
    {
        if node.group.is_some() {
            found.push(id);
        }
        // Ids are counted, so the way up ends; one that a damaged row leads round ends here.
        next = node.parent.filter(|parent| *parent < id);
    }
    found
}

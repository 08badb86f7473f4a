//! The budget tree with those who spend from each node.

use std::collections::BTreeMap;

use aosk::Snapshot;
use aosk::abi::{BudgetId, MicroUsd};
use aosk::kernel::BudgetView;

use super::NAME_MAX;
use crate::term::cut;

/// The tree in the order in which it is shown, each node with its depth; devices come last.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    pub(super) order: Vec<(usize, Node<'a>)>,
    /// Ended processes whose node is gone.
    pub(super) gone: Sum,
}

/// A node, and who spends from it and from none below it.
#[derive(Debug)]
pub(super) struct Node<'a> {
    pub(super) id: BudgetId,
    pub(super) view: BudgetView,
    pub(super) name: String,
    pub(super) live: Vec<&'a Snapshot>,
    pub(super) ended: Sum,
}

/// What some processes used together.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) processes: u64,
    pub(super) tokens: u64,
    pub(super) micro_usd: MicroUsd,
}

impl Sum {
    fn add(&mut self, process: &Snapshot) {
        let spend = &process.stats.spend;
        self.processes = self.processes.saturating_add(1);
        self.tokens = self.tokens.saturating_add(spend.tokens.0);
        self.micro_usd += spend.micro_usd;
    }
}

impl<'a> Tree<'a> {
    /// The tree of these nodes; `processes` are in the order of their ids.
    pub(super) fn new(budgets: BTreeMap<BudgetId, BudgetView>, processes: &'a [Snapshot]) -> Self {
        let mut gone = Sum::default();
        let mut nodes: BTreeMap<BudgetId, Node<'a>> = BTreeMap::new();
        let mut below: BTreeMap<Option<BudgetId>, Vec<BudgetId>> = BTreeMap::new();
        let mut devices = Vec::new();
        for (id, view) in budgets {
            if view.device.is_some() {
                devices.push(id);
            } else {
                // Ids are counted, so the way up ends.
                below.entry(view.parent.filter(|parent| *parent < id)).or_default().push(id);
            }
            let node =
                Node { id, view, name: String::new(), live: Vec::new(), ended: Sum::default() };
            nodes.insert(id, node);
        }
        for process in processes {
            match nodes.get_mut(&process.spec.budget) {
                None => gone.add(process),
                Some(node) if process.has_ended => node.ended.add(process),
                Some(node) => node.live.push(process),
            }
        }
        for node in nodes.values_mut() {
            node.name = node.called();
        }
        let mut order = Vec::new();
        let mut open: Vec<(usize, BudgetId)> = Vec::new();
        let tops = below.remove(&None).unwrap_or_default();
        open.extend(tops.into_iter().rev().map(|id| (0, id)));
        while let Some((depth, id)) = open.pop() {
            let under = below.remove(&Some(id)).unwrap_or_default();
            open.extend(under.into_iter().rev().map(|id| (depth + 1, id)));
            order.extend(nodes.remove(&id).map(|node| (depth, node)));
        }
        order.extend(devices.into_iter().filter_map(|id| Some((0, nodes.remove(&id)?))));
        Self { order, gone }
    }
}

impl Node<'_> {
    /// What it is: `root`, `group`, `device` or `process`.
    pub(super) fn kind(&self) -> &'static str {
        match (&self.view.device, &self.view.group, self.view.parent) {
            (Some(_), _, _) => "device",
            (None, Some(_), _) => "group",
            (None, None, None) => "root",
            (None, None, Some(_)) => "process",
        }
    }

    /// The name of what it is: of a process and those under it, of the oldest.
    fn called(&self) -> String {
        if let Some(device) = &self.view.device {
            return device.clone();
        }
        if let Some(group) = &self.view.group {
            return group.name.clone();
        }
        let oldest = self.live.first().map(|process| &process.spec.name);
        oldest.filter(|_| self.view.parent.is_some()).cloned().unwrap_or_default()
    }

    /// The same for a person.
    pub(super) fn title(&self) -> String {
        let name = cut(&self.name, NAME_MAX);
        match (self.kind(), &self.view.group) {
            ("root", _) => "everything".to_owned(),
            (_, Some(group)) => {
                let kind = if group.name.contains('/') { "group" } else { "tenant" };
                format!("{kind} {name} (priority {})", group.priority)
            }
            ("device", None) => format!("device {name}"),
            (_, None) => match self.live.first() {
                Some(process) => format!("{} {name}", process.pid),
                None => "a process".to_owned(),
            },
        }
    }
}

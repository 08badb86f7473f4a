//! The nodes of tenants and groups in the tree. Who may have one is not decided here.

use aosk_abi::{BudgetId, Limits, Spend, Timestamp};

use super::{Budget, Budgets, Group, ROOT};

impl Budgets {
    /// The node of the group of this name.
    pub(crate) fn group(&self, name: &str) -> Option<BudgetId> {
        self.groups.get(name).copied()
    }

    /// How many groups there are.
    pub(crate) fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// All groups with their names.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (&str, BudgetId)> {
        self.groups.iter().map(|(name, id)| (name.as_str(), *id))
    }

    /// The groups of a tenant, without its own node.
    pub(crate) fn groups_of(&self, tenant: &str) -> impl Iterator<Item = (&str, BudgetId)> {
        let prefix = format!("{tenant}/");
        let from = self.groups.range(prefix.clone()..);
        let own = from.take_while(move |(name, _)| name.starts_with(&prefix));
        own.map(|(name, id)| (name.as_str(), *id))
    }

    /// Whether nobody is under a node, and nothing of it is held.
    pub(crate) fn is_idle(&self, id: BudgetId) -> bool {
        let node = self.nodes.get(id);
        node.is_some_and(|node| node.members == 0 && node.reserved == Spend::default())
    }

    /// Takes away a group that is idle.
    pub(crate) fn remove_group(&mut self, id: BudgetId) {
        let Some(node) = self.nodes.remove(id) else { return };
        if let Some(group) = node.group {
            self.groups.remove(&group.name);
        }
        // Those above are groups or the root, which stay.
        if let Some(parent) = node.parent {
            self.leave(parent);
        }
    }

    /// Adds a group under `parent`.
    pub(crate) fn add_group(
        &mut self,
        id: BudgetId,
        parent: BudgetId,
        group: Group,
        limits: Limits,
        now: Timestamp,
    ) {
        self.groups.insert(group.name.clone(), id);
        self.nodes
            .insert(id, Budget { group: Some(group), ..Budget::new(Some(parent), limits, now) });
        self.join(parent);
    }

    /// The groups that the node is or lies in, from the nearest up, and the root.
    pub(crate) fn groups_above(&self, node: BudgetId) -> Vec<BudgetId> {
        let mut above = Vec::with_capacity(3);
        let mut next = Some(node);
        while let Some(id) = next
            && let Some(budget) = self.nodes.get(id)
        {
            if budget.group.is_some() || id == ROOT {
                above.push(id);
            }
            next = budget.parent;
        }
        above
    }

    /// The groups below `top` that the node is or lies in, from the nearest up, and `top`. Who waits at
    /// the node of a device stands under the root; who waits in a group's own subtree stands right
    /// under `top`.
    pub(crate) fn groups_between(&self, node: BudgetId, top: BudgetId) -> Vec<BudgetId> {
        let mut above = self.groups_above(node);
        if self.get(top).is_some_and(|top| top.device.is_some()) {
            return above;
        }
        match above.iter().position(|id| *id == top) {
            Some(at) => above.truncate(at.saturating_add(1)),
            None => above = vec![top],
        }
        above
    }
}

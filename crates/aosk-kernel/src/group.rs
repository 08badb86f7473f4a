//! Tenants and groups: named nodes of the budget tree, which share the models by weight.

use aosk_abi::{BudgetId, Error, ErrorCode, RowKey, limits};

use crate::budget::{Group, ROOT};
use crate::config::GroupConfig;
use crate::kernel::{Ctx, Kernel};

impl Kernel {
    /// The node of the group of this name, which is made if there is none.
    pub(crate) fn group(&mut self, cx: &Ctx<'_>, name: &str) -> Result<BudgetId, Error> {
        check_name(name)?;
        if let Some(id) = self.budgets.group(name) {
            return Ok(id);
        }
        if self.budgets.group_count() >= limits::GROUPS_MAX {
            let what = format!("making the group {name}: there are {} groups", limits::GROUPS_MAX);
            return Err(Error::new(ErrorCode::Busy, what));
        }
        let parent = match name.rsplit_once('/') {
            Some((above, _)) => self.group(cx, above)?,
            None => ROOT,
        };
        let told = self.config.groups.get(name).copied().unwrap_or_default();
        let id = BudgetId(self.counters.next_budget);
        self.counters.next_budget = self.counters.next_budget.saturating_add(1);
        self.dirty.insert(RowKey::Kernel);
        let group = Group { name: name.to_owned(), priority: told.priority };
        self.budgets.add_group(id, parent, group, told.limits, cx.now);
        Ok(id)
    }

    /// Bounds and weighs groups as the configuration says. One that it does not name keeps its row,
    /// for what was spent in it, and is bounded no more.
    pub(crate) fn set_groups(&mut self, cx: &Ctx<'_>) {
        let there: Vec<_> = self
            .budgets
            .iter()
            .filter_map(|(id, node)| Some((id, node.group.as_ref()?.name.clone())))
            .collect();
        for (id, name) in there {
            let GroupConfig { priority, limits } =
                self.config.groups.get(&name).copied().unwrap_or_default();
            let Some(node) = self.budgets.get_mut(id) else { continue };
            let changed = node.limits != limits;
            if let Some(group) = &mut node.group {
                group.priority = priority.min(100);
            }
            if changed {
                self.bound(cx, id, &limits);
            }
        }
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    let parts: Vec<_> = name.split('/').collect();
    let good = parts.len() <= limits::GROUP_DEPTH_MAX
        && name.len() <= limits::NAME_BYTES_MAX
        && parts.iter().all(|part| !part.is_empty() && !part.chars().any(char::is_control));
    if good {
        return Ok(());
    }
    let what = format!("choosing the group {name:?}: it must be a tenant or tenant/group");
    let hint = format!("a name has at most {} bytes", limits::NAME_BYTES_MAX);
    Err(Error::new(ErrorCode::BadSyscall, what).hint(hint))
}

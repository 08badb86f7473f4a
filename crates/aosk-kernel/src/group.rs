//! Tenants and groups: named nodes of the budget tree, which share the models by weight.

use aosk_abi::{BudgetId, Error, ErrorCode, RowKey, Spend, limits};

use crate::budget::{Group, ROOT};
use crate::config::GroupConfig;
use crate::kernel::{Ctx, Kernel};

impl Kernel {
    /// The node of the group of this name for one who is to start there. It is made if there is none,
    /// but not for one whom the budgets would refuse.
    pub(crate) fn group_for(
        &mut self,
        cx: &Ctx<'_>,
        name: &str,
        child: &Spend,
    ) -> Result<BudgetId, Error> {
        check_name(name)?;
        if let Some(id) = self.budgets.group(name) {
            return Ok(id);
        }
        let tenant = name.split_once('/').map(|(tenant, _)| tenant);
        self.may_hold(name, tenant, child)?;
        if let Some(tenant) = tenant {
            self.make_room_in(name, tenant)?;
        }
        self.make_room(name, tenant)?;
        let parent = match tenant {
            Some(tenant) => match self.budgets.group(tenant) {
                Some(id) => id,
                None => self.make_group(cx, tenant, ROOT),
            },
            None => ROOT,
        };
        Ok(self.make_group(cx, name, parent))
    }

    fn make_group(&mut self, cx: &Ctx<'_>, name: &str, parent: BudgetId) -> BudgetId {
        let told = self.config.groups.get(name).copied().unwrap_or_default();
        let id = BudgetId(self.counters.next_budget);
        self.counters.next_budget = self.counters.next_budget.saturating_add(1);
        self.dirty.insert(RowKey::Kernel);
        let group = Group { name: name.to_owned(), priority: told.priority };
        self.budgets.add_group(id, parent, group, told.limits, cx.now);
        id
    }

    /// Whether the budgets that are there and those that would be made have room for a child.
    fn may_hold(&self, name: &str, tenant: Option<&str>, child: &Spend) -> Result<(), Error> {
        let there = tenant.and_then(|tenant| self.budgets.group(tenant));
        self.budgets.has_room(there.unwrap_or(ROOT), child).map_err(|lack| refused(name, &lack))?;
        let missing = tenant.filter(|_| there.is_none());
        for new in missing.into_iter().chain([name]) {
            let told = self.config.groups.get(new).copied().unwrap_or_default();
            if told.limits.exceeded_by(child).is_some() {
                return Err(refused(name, &format!("{new} may start none")));
            }
        }
        Ok(())
    }

    /// Sees to it that a group of this name may be made beside those of its tenant.
    fn make_room_in(&mut self, name: &str, tenant: &str) -> Result<(), Error> {
        if self.config.groups.contains_key(name) {
            return Ok(());
        }
        let own: Vec<_> = self
            .budgets
            .groups_of(tenant)
            .filter(|(name, _)| !self.config.groups.contains_key(*name))
            .map(|(_, id)| id)
            .collect();
        let beyond = own.len().saturating_add(1).saturating_sub(limits::GROUPS_PER_TENANT_MAX);
        let most = limits::GROUPS_PER_TENANT_MAX;
        self.give_up(own, beyond, None)
            .ok_or_else(|| busy(name, &format!("{tenant} has {most} groups, and all are in use")))
    }

    /// Sees to it that a group of this name may be made, and the tenant above it if it is not there.
    fn make_room(&mut self, name: &str, tenant: Option<&str>) -> Result<(), Error> {
        let above = tenant.and_then(|tenant| self.budgets.group(tenant));
        let new = 1_usize.saturating_add(usize::from(tenant.is_some() && above.is_none()));
        let beyond =
            self.budgets.group_count().saturating_add(new).saturating_sub(limits::GROUPS_MAX);
        if beyond == 0 {
            return Ok(());
        }
        let all = self.budgets.groups();
        let unnamed = all.filter(|(name, _)| !self.config.groups.contains_key(*name));
        let unnamed: Vec<_> = unnamed.map(|(_, id)| id).collect();
        let most = limits::GROUPS_MAX;
        self.give_up(unnamed, beyond, above)
            .ok_or_else(|| busy(name, &format!("there are {most} groups, and all are in use")))
    }

    /// Takes away `count` of these groups, the oldest first of those that nobody is in, but not `keep`.
    /// None goes, and the answer is none, if there are not so many.
    fn give_up(
        &mut self,
        mut groups: Vec<BudgetId>,
        count: usize,
        keep: Option<BudgetId>,
    ) -> Option<()> {
        groups.retain(|id| Some(*id) != keep && self.budgets.is_idle(*id));
        groups.sort_unstable();
        groups.truncate(count);
        if groups.len() < count {
            return None;
        }
        for id in groups {
            let queues = self.devices.pools().flat_map(|pool| &pool.queues);
            self.index.forget_rank(id, queues.copied());
            self.budgets.remove_group(id);
        }
        Some(())
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

fn refused(name: &str, why: &impl std::fmt::Display) -> Error {
    let what = format!("starting a process in {name}: out of budget: {why}");
    Error::new(ErrorCode::BudgetExceeded, what)
}

fn busy(name: &str, why: &str) -> Error {
    Error::new(ErrorCode::Busy, format!("making the group {name}: {why}"))
        .hint("one whose processes have ended makes room, unless the configuration names it")
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

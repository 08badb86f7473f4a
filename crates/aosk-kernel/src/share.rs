//! Who has had how much of the models: what a call is expected to take is counted for its process
//! and the groups above it when it starts, and corrected when it ends.

use aosk_abi::{BudgetId, Pid};

use crate::budget::{Budget, ROOT};
use crate::kernel::Kernel;
use crate::mutant::{Broken, Mutant, broken};
use crate::process::{ModelCall, State};
use crate::scheduler::{Standing, expected, start, virtual_time, weight};

impl Kernel {
    /// Makes the process ready with its call, where its share says.
    pub(crate) fn enqueue(&mut self, pid: Pid, mut call: ModelCall) {
        let Some(process) = self.processes.get(pid) else {
            return;
        };
        let pool = self.devices.pool_for(&call.options.model).to_owned();
        let price = self.config.price(&call.options.model, call.long_lived);
        let above = self.budgets.groups_above(process.spec.budget);
        let home = above.first().map(|home| self.standing(*home, &pool)).unwrap_or_default();
        let served = process.served.get(&pool).copied();
        call.start = start(served, home, weight(process.priority));
        if broken!(self, CreditUnbounded) {
            call.start = served.unwrap_or(home.clock);
        }
        call.service = expected(&price, &call, &process.stats);
        self.wake_groups(&above, &pool);
        self.set_state(pid, State::Ready { call });
    }

    /// Groups that waited for something else begin where the clock above them is.
    fn wake_groups(&mut self, above: &[BudgetId], pool: &str) {
        for pair in above.windows(2) {
            let [group, parent] = *pair else { continue };
            let level = self.standing(parent, pool);
            let Some(node) = self.budgets.get(group) else { continue };
            let known = node.standing.get(pool).map(|standing| standing.served);
            let served = start(known, level, group_weight(node, self.broken));
            if known != Some(served)
                && let Some(node) = self.budgets.get_mut(group)
            {
                node.standing.entry(pool.to_owned()).or_default().served = served;
            }
        }
    }

    /// Counts what a call that starts is expected to take. The clock of each level it passes goes to
    /// where those stood who were chosen there.
    pub(crate) fn serve(&mut self, pid: Pid, call: &ModelCall) {
        let pool = self.devices.pool_for(&call.options.model).to_owned();
        let (broken, stands_still) = (self.broken, broken!(self, ClockStandsStill));
        let Some(process) = self.processes.get_mut(pid) else {
            return;
        };
        let share = virtual_time(call.service, weight(process.priority));
        process.served.insert(pool.clone(), call.start.saturating_add(share));
        let mut chosen = call.start;
        for id in self.budgets.groups_above(process.spec.budget) {
            let Some(node) = self.budgets.get_mut(id) else { continue };
            let share = virtual_time(call.service, group_weight(node, broken));
            let standing = node.standing.entry(pool.clone()).or_default();
            if !stands_still {
                standing.chose(chosen);
            }
            chosen = standing.served;
            // Nobody stands beside the root.
            if id != ROOT {
                standing.served = standing.served.saturating_add(share);
            }
        }
    }

    /// Counts what an attempt took in place of what it was expected to take. Where others wait,
    /// newcomers begin further ahead by what that is for each of those who compete there.
    pub(crate) fn served(&mut self, pid: Pid, call: &ModelCall, service: u64) {
        let pool = self.devices.pool_for(&call.options.model).to_owned();
        let (broken, stands_still) = (self.broken, broken!(self, ClockStandsStill));
        let uncorrected = broken!(self, ShareUncorrected);
        let number = self.devices.queue(&call.options.model);
        let number = number.and_then(|queue| self.devices.pool_number(queue));
        let Some(process) = self.processes.get_mut(pid).filter(|_| !uncorrected) else {
            return;
        };
        let share = virtual_time(service, weight(process.priority));
        process.served.insert(pool.clone(), call.start.saturating_add(share));
        // What it was for the one that stands right under the node.
        let mut below = share;
        for id in self.budgets.groups_above(process.spec.budget) {
            let level = number.map(|pool| self.index.competing(pool, id)).unwrap_or_default();
            let Some(node) = self.budgets.get_mut(id) else { continue };
            let expected = virtual_time(call.service, group_weight(node, broken));
            let share = virtual_time(service, group_weight(node, broken));
            let standing = node.standing.entry(pool.clone()).or_default();
            if level.waiting > 0 && !stands_still {
                let each = below.checked_div(u64::from(level.active)).unwrap_or(below);
                standing.flowed(each);
            }
            // Nobody stands beside the root.
            if id != ROOT {
                standing.served = standing.served.saturating_sub(expected).saturating_add(share);
            }
            below = share;
        }
    }

    fn standing(&self, node: BudgetId, pool: &str) -> Standing {
        let node = self.budgets.get(node);
        node.and_then(|node| node.standing.get(pool)).copied().unwrap_or_default()
    }
}

/// The weight of a group among those beside it; of no meaning for the root.
fn group_weight(node: &Budget, broken: Broken) -> u64 {
    let group = node.group.as_ref().filter(|_| !broken.is(Mutant::GroupWeightIgnored));
    weight(group.map_or(50, |group| group.priority))
}

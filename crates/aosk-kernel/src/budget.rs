//! The budget tree: reserve the worst case before, settle the truth after, release on failure.
//!
//! Invariant at every node: `used + reserved <= limits + overdraft`, where the overdraft is what
//! devices used beyond their reservation (a provider that counts more tokens than the estimate). What
//! is bounded in a minute, an hour or a day is in [`rolling`].
//!
//! Beside the tree, every device whose rates are bounded has a node without parent or members.

mod group;
mod rolling;

use std::collections::{BTreeMap, BTreeSet};

use aosk_abi::{
    Bounds, BudgetId, Lack, Limits, MicroUsd, Millis, Resource, Scope, Spend, Timestamp, Tokens,
    WhenOver, limits,
};
use serde::{Deserialize, Serialize};

use crate::device::Devices;
use crate::index::Index;
use crate::mutant::{Broken, broken};
use crate::scheduler::{Rank, Standing};
use crate::table::Table;

use self::rolling::{Full, Windows};

/// The root of the tree.
pub(crate) const ROOT: BudgetId = BudgetId(1);

/// One node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Budget {
    /// The node above; none for the root.
    pub(crate) parent: Option<BudgetId>,
    /// What may be spent here and below.
    pub(crate) limits: Limits,
    /// What was spent here and below.
    pub(crate) used: Spend,
    /// What is held for calls in flight.
    pub(crate) reserved: Spend,
    /// What calls used beyond what was held for them, and what was used or held beyond bounds when they
    /// were lowered.
    pub(crate) overdraft: Spend,
    /// When its wall time is over.
    pub(crate) expires: Option<Timestamp>,
    /// Whether it is over.
    pub(crate) expired: bool,
    /// Processes and nodes right under it. The node goes when the last one goes, unless it is a group.
    pub(crate) members: u32,
    /// What was used in the spans that are bounded.
    #[serde(default, skip_serializing_if = "Windows::is_empty")]
    pub(crate) windows: Windows,
    /// When time will have made room for the first that waits for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) room_at: Option<Timestamp>,
    /// The device whose rates it counts, if it is the node of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) device: Option<String>,
    /// What the provider of the device said of its rates last.
    #[serde(default, skip_serializing_if = "Bounds::is_unbounded")]
    pub(crate) said: Bounds,
    /// What group it is, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) group: Option<Group>,
    /// The clocks of those who compete under it, and where it stands itself, by pool of models.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) standing: BTreeMap<String, Standing>,
}

/// A tenant, or a group of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Group {
    /// The tenant's name, or `tenant/group`.
    pub(crate) name: String,
    /// Its share among those beside it: 0 (the largest) to 100.
    pub(crate) priority: u8,
}

/// Why something cannot be reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shortage {
    /// Not now, but there is enough once others have settled or some time has passed.
    Wait {
        /// What has no room.
        lack: Lack,
        /// When time will have made room there, if it will.
        until: Option<Timestamp>,
    },
    /// Not until a person raises the bounds.
    Ask {
        /// What has no room.
        lack: Lack,
    },
    /// Not now and not later.
    Never {
        /// What has no room.
        lack: Lack,
    },
}

/// The tree.
#[derive(Debug, Clone)]
pub(crate) struct Budgets {
    nodes: Table<BudgetId, Budget>,
    /// The groups among them.
    groups: BTreeMap<String, BudgetId>,
    /// Those of devices.
    devices: BTreeMap<String, BudgetId>,
    /// Nodes that may have room again.
    released: BTreeSet<BudgetId>,
    broken: Broken,
}

impl Budgets {
    /// A tree that has nothing but its root.
    pub(crate) fn new(limits: Limits, broken: Broken) -> Self {
        let mut nodes = Table::new();
        nodes.insert(ROOT, Budget::new(None, limits, Timestamp::ZERO));
        Self {
            nodes,
            groups: BTreeMap::new(),
            devices: BTreeMap::new(),
            released: BTreeSet::new(),
            broken,
        }
    }

    pub(crate) fn get(&self, id: BudgetId) -> Option<&Budget> {
        self.nodes.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: BudgetId) -> Option<&mut Budget> {
        self.nodes.get_mut(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (BudgetId, &Budget)> {
        self.nodes.iter()
    }

    /// Takes in a node as it was stored.
    pub(crate) fn restore(&mut self, id: BudgetId, node: Budget) {
        if let Some(group) = &node.group {
            self.groups.insert(group.name.clone(), id);
        }
        if let Some(device) = &node.device {
            self.devices.insert(device.clone(), id);
        }
        self.nodes.insert(id, node);
    }

    /// The node of the device of this name, if its rates are bounded.
    pub(crate) fn device(&self, name: &str) -> Option<BudgetId> {
        self.devices.get(name).copied()
    }

    /// Adds the node of a device.
    pub(crate) fn add_device(&mut self, id: BudgetId, name: &str, limits: Limits, now: Timestamp) {
        self.devices.insert(name.to_owned(), id);
        let node = Budget { device: Some(name.to_owned()), ..Budget::new(None, limits, now) };
        self.nodes.insert(id, node);
    }

    /// Puts a group where it stands in every queue in which it was ever served.
    pub(crate) fn rank(&self, id: BudgetId, devices: &Devices, index: &mut Index) {
        let Some(Budget { parent: Some(parent), group: Some(_), standing, .. }) =
            self.nodes.get(id)
        else {
            return;
        };
        // Where those wait among whom it stands.
        let mut nodes = self.groups_above(*parent);
        nodes.extend(self.devices.values());
        for (pool, standing) in standing {
            for queue in devices.queues_of(pool) {
                index.set_rank(*queue, (id, *parent), Rank(standing.served, id.0), &nodes);
            }
        }
    }

    /// Nodes touched since the last call, in order; also those that are gone.
    pub(crate) fn take_touched(&mut self) -> BTreeSet<BudgetId> {
        self.nodes.take_touched()
    }

    /// The first node that may have room again.
    pub(crate) fn take_released(&mut self) -> Option<BudgetId> {
        self.released.pop_first()
    }

    /// Whether somebody should look for room.
    pub(crate) fn has_released(&self) -> bool {
        !self.released.is_empty()
    }

    pub(crate) fn forget_released(&mut self) {
        self.released.clear();
    }

    /// The node and all above it.
    pub(crate) fn chain(&self, node: BudgetId) -> Vec<BudgetId> {
        let mut chain = Vec::with_capacity(4);
        let mut next = Some(node);
        while let Some(id) = next {
            chain.push(id);
            next = self.nodes.get(id).and_then(|budget| budget.parent);
        }
        if broken!(self, BudgetAncestorsSkipped) {
            chain.truncate(1);
        }
        chain
    }

    /// Whether the worst case of a call fits at the node and everywhere above it.
    pub(crate) fn fits(
        &self,
        node: BudgetId,
        amount: &Spend,
        now: Timestamp,
    ) -> Result<(), Shortage> {
        let mut wait = self.fits_in_total(node, amount);
        for id in self.chain(node) {
            let Some(budget) = self.nodes.get(id) else {
                continue;
            };
            // What is more than one call may use is never right, and no person was meant to be asked.
            if let Some(resource) = budget.limits.per_call.exceeded_by(amount) {
                let lack = lack(id, Scope::Call, resource, amount);
                return Err(Shortage::Never { lack });
            }
            let shortage = budget.room_in_time(id, amount, now);
            wait = worse(wait, shortage);
        }
        wait
    }

    /// Whether the day of a device has room for the worst case of a call, and its budgets have.
    pub(crate) fn fits_on(
        &self,
        device: &str,
        node: BudgetId,
        amount: &Spend,
        now: Timestamp,
    ) -> Result<(), Shortage> {
        let day = self.device(device).and_then(|id| Some((id, self.nodes.get(id)?)));
        let day = day.map_or(Ok(()), |(id, device)| device.device_money(id, amount, now));
        worse(self.fits(node, amount, now), day)
    }

    /// What there is not enough of for `amount`, now or later, where that ends the process or its turn.
    pub(crate) fn runs_out(
        &self,
        node: BudgetId,
        amount: &Spend,
        now: Timestamp,
    ) -> Option<Resource> {
        if let Err(Shortage::Never { lack }) = self.fits_in_total(node, amount) {
            return Some(lack.resource);
        }
        let chain = self.chain(node);
        let stopping = chain.iter().filter_map(|id| Some((*id, self.nodes.get(*id)?)));
        let mut stopping = stopping.filter(|(_, one)| one.limits.when_over == WhenOver::Stop);
        stopping.find_map(|(id, budget)| match budget.room_in_time(id, amount, now) {
            Err(Shortage::Never { lack }) => Some(lack.resource),
            Ok(()) | Err(Shortage::Wait { .. } | Shortage::Ask { .. }) => None,
        })
    }

    /// Whether the worst case of a call fits in what is bounded in all, at the node and everywhere above
    /// it. Where time or a person can do nothing, that is the answer.
    pub(crate) fn fits_in_total(&self, node: BudgetId, amount: &Spend) -> Result<(), Shortage> {
        let mut wait = Ok(());
        for id in self.chain(node) {
            let Some(budget) = self.nodes.get(id) else {
                continue;
            };
            if budget.expired {
                let lack = lack(id, Scope::All, Resource::Wall, amount);
                return Err(Shortage::Never { lack });
            }
            let settled = budget.used.plus(amount);
            let shortage = match budget.limits.exceeded_by(&settled) {
                Some(resource) => Err(budget.spent(lack(id, Scope::All, resource, amount))),
                None => match budget.limits.exceeded_by(&settled.plus(&budget.reserved)) {
                    Some(resource) => {
                        let lack = lack(id, Scope::All, resource, amount);
                        Err(Shortage::Wait { lack, until: None })
                    }
                    None => Ok(()),
                },
            };
            wait = worse(wait, shortage);
        }
        wait
    }

    /// Holds `amount` at the node and everywhere above it, from `now` on.
    pub(crate) fn hold(&mut self, node: BudgetId, amount: &Spend, now: Timestamp) {
        let counts_from = if broken!(self, WindowNeverExpires) {
            now.after(Millis::from_secs(10 * 24 * 60 * 60))
        } else if broken!(self, WindowExpiresEarly) {
            Timestamp(now.0.saturating_sub(30_000))
        } else {
            now
        };
        for id in self.chain(node) {
            if let Some(budget) = self.nodes.get_mut(id) {
                budget.reserved = budget.reserved.plus(amount);
                budget.windows.add(counts_from, &budget.limits, amount);
            }
        }
    }

    /// What began at `started` and was held has used `actual`: corrects the spans that are bounded.
    pub(crate) fn correct(
        &mut self,
        node: BudgetId,
        (started, now): (Timestamp, Timestamp),
        held: &Spend,
        actual: &Spend,
    ) {
        // An attempt is an attempt, whether the call ended with it or not.
        let actual = Spend { calls: held.calls, ..*actual };
        for id in self.chain(node) {
            if let Some(budget) = self.nodes.get_mut(id) {
                budget.windows.correct(now, started, &budget.limits, held, &actual);
            }
        }
    }

    /// Notes when time will have made room at a node, for somebody who waits for it.
    pub(crate) fn set_room_at(&mut self, node: BudgetId, at: Timestamp) {
        if let Some(budget) = self.nodes.get_mut(node) {
            budget.room_at = Some(budget.room_at.map_or(at, |other| other.min(at)));
        }
    }

    /// Gives back `held` and charges `actual` at the node and everywhere above it.
    pub(crate) fn settle(&mut self, node: BudgetId, held: &Spend, actual: &Spend) {
        let more = actual.minus(held);
        let forgiven = broken!(self, OveruseForgiven) && *held != Spend::default();
        let actual = if forgiven { &actual.minus(&more) } else { actual };
        for id in self.chain(node) {
            if let Some(budget) = self.nodes.get_mut(id) {
                budget.reserved = budget.reserved.minus(held);
                budget.used = budget.used.plus(actual);
                budget.overdraft = budget.overdraft.plus(&more);
            }
        }
        self.release(node);
    }

    /// Whether something other than a model call fits now.
    pub(crate) fn has_room(&self, node: BudgetId, amount: &Spend) -> Result<(), Lack> {
        match self.fits_in_total(node, amount) {
            Ok(()) => Ok(()),
            Err(
                Shortage::Never { lack } | Shortage::Ask { lack } | Shortage::Wait { lack, .. },
            ) => Err(lack),
        }
    }

    /// Charges `amount` of something other than a model call now, if it fits.
    pub(crate) fn charge(&mut self, node: BudgetId, amount: &Spend) -> Result<(), Lack> {
        self.has_room(node, amount)?;
        for id in self.chain(node) {
            if let Some(budget) = self.nodes.get_mut(id) {
                budget.used = budget.used.plus(amount);
            }
        }
        self.release(node);
        Ok(())
    }

    /// Notes that there may be room at the node and above it.
    pub(crate) fn release(&mut self, node: BudgetId) {
        let chain = self.chain(node);
        self.released.extend(chain);
    }

    /// Notes that there may be room at this node.
    pub(crate) fn release_only(&mut self, node: BudgetId) {
        self.released.insert(node);
    }

    /// Adds a node for `limits` under `parent`.
    pub(crate) fn add(&mut self, id: BudgetId, parent: BudgetId, limits: Limits, now: Timestamp) {
        self.nodes.insert(id, Budget::new(Some(parent), limits, now));
        self.join(parent);
    }

    /// One member more.
    pub(crate) fn join(&mut self, id: BudgetId) {
        if let Some(budget) = self.nodes.get_mut(id) {
            budget.members = budget.members.saturating_add(1);
        }
    }

    /// One member less; a node without members goes, but for the root and groups.
    pub(crate) fn leave(&mut self, id: BudgetId) {
        let mut next = Some(id);
        while let Some(id) = next {
            next = None;
            let Some(budget) = self.nodes.get_mut(id) else {
                return;
            };
            budget.members = budget.members.saturating_sub(1);
            if budget.members == 0 && id != ROOT && !budget.stays() {
                next = budget.parent;
                self.nodes.remove(id);
            }
        }
    }
}

impl Budget {
    /// A node that nothing was spent from.
    pub(crate) fn new(parent: Option<BudgetId>, limits: Limits, now: Timestamp) -> Self {
        Self {
            parent,
            limits,
            used: Spend::default(),
            reserved: Spend::default(),
            overdraft: Spend::default(),
            expires: limits.wall.map(|wall| now.after(wall)),
            expired: false,
            members: 0,
            windows: Windows::default(),
            room_at: None,
            device: None,
            said: Bounds::default(),
            group: None,
            standing: BTreeMap::new(),
        }
    }

    /// Bounds the node anew from `now` on. What is used or held beyond the new bounds is overdraft.
    pub(crate) fn set_limits(&mut self, limits: Limits, now: Timestamp) {
        let over = beyond(&limits, &self.used.plus(&self.reserved));
        self.overdraft = self.overdraft.plus(&over.minus(&self.overdraft));
        // A time that is bounded as before goes on.
        if limits.wall != self.limits.wall {
            self.expires = limits.wall.map(|wall| now.after(wall));
            self.expired = false;
        }
        self.limits = limits;
    }

    /// Whether it stays when nobody is under it: a group, or the node of a device.
    pub(crate) fn stays(&self) -> bool {
        self.group.is_some() || self.device.is_some()
    }

    /// When it is due.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        let expires = if self.expired { None } else { self.expires };
        expires.into_iter().chain(self.room_at).min()
    }

    /// What it means that a bound of the whole is reached.
    fn spent(&self, lack: Lack) -> Shortage {
        match self.limits.when_over {
            WhenOver::Wait | WhenOver::Stop => Shortage::Never { lack },
            WhenOver::Ask => Shortage::Ask { lack },
        }
    }

    /// Whether there is room in the minute, the hour and the day.
    fn room_in_time(&self, id: BudgetId, amount: &Spend, now: Timestamp) -> Result<(), Shortage> {
        let Err((scope, full)) = self.windows.room(now, &self.limits, amount) else {
            return Ok(());
        };
        Err(match full {
            Full::Never(resource) => self.spent(lack(id, scope, resource, amount)),
            Full::Until(at, resource) => {
                let lack = lack(id, scope, resource, amount);
                match self.limits.when_over {
                    WhenOver::Wait | WhenOver::Ask => Shortage::Wait { lack, until: Some(at) },
                    WhenOver::Stop => self.spent(lack),
                }
            }
        })
    }

    /// When a device will have room for a call in its minute; none if it has it now. What is more than
    /// there ever is has room when nothing else is used: whether it is too much is for the provider to
    /// say.
    pub(crate) fn device_room_at(&self, amount: &Spend, now: Timestamp) -> Option<Timestamp> {
        let minute = self.limits.per_minute;
        let amount = Spend {
            tokens: minute.tokens.map_or(amount.tokens, |bound| bound.min(amount.tokens)),
            calls: minute.calls.map_or(amount.calls, |bound| bound.min(amount.calls)),
            ..*amount
        };
        match self.windows.minute.room(now, &minute, &amount) {
            Ok(()) => None,
            Err(Full::Until(at, _)) => Some(at),
            // The money of a minute is not bounded.
            Err(Full::Never(_)) => Some(now.after(limits::RATE_RESET_MAX)),
        }
    }

    /// Whether the money that a device may take in a day is enough for a call.
    fn device_money(&self, id: BudgetId, amount: &Spend, now: Timestamp) -> Result<(), Shortage> {
        match self.windows.day.room(now, &self.limits.per_day, amount) {
            Ok(()) => Ok(()),
            Err(Full::Until(at, resource)) => Err(Shortage::Wait {
                lack: lack(id, Scope::Day, resource, amount),
                until: Some(at),
            }),
            Err(Full::Never(resource)) => {
                Err(Shortage::Never { lack: lack(id, Scope::Day, resource, amount) })
            }
        }
    }
}

/// That a bound of the node has no room for `amount`.
fn lack(budget: BudgetId, scope: Scope, resource: Resource, amount: &Spend) -> Lack {
    Lack { budget, scope, resource, amount: amount.of(resource) }
}

/// What of `all` is beyond the bounds of the whole.
fn beyond(limits: &Limits, all: &Spend) -> Spend {
    let over = |limit: Option<u64>, all: u64| limit.map_or(0, |limit| all.saturating_sub(limit));
    Spend {
        tokens: Tokens(over(limits.tokens.map(|tokens| tokens.0), all.tokens.0)),
        calls: over(limits.calls, all.calls),
        micro_usd: MicroUsd(over(limits.micro_usd.map(|usd| usd.0), all.micro_usd.0)),
        steps: over(limits.steps, all.steps),
        children: over(limits.children, all.children),
    }
}

/// Of two reasons to wait, the one that takes longer to go away; the first if that cannot be told.
fn worse(a: Result<(), Shortage>, b: Result<(), Shortage>) -> Result<(), Shortage> {
    if is_worse(&b, &a) { b } else { a }
}

/// Whether one reason to wait takes longer to go away than another.
pub(crate) fn is_worse(a: &Result<(), Shortage>, b: &Result<(), Shortage>) -> bool {
    let rank = |shortage: &Result<(), Shortage>| match shortage {
        Ok(()) => (0, None),
        Err(Shortage::Wait { until: None, .. }) => (1, None),
        Err(Shortage::Wait { until, .. }) => (2, *until),
        Err(Shortage::Ask { .. }) => (3, None),
        Err(Shortage::Never { .. }) => (4, None),
    };
    rank(a) > rank(b)
}

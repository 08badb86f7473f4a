//! Who had how much in the end.
//!
//! Two processes that always wait are never further apart, in service divided by weight, than their two
//! largest calls each: the one that is ahead was chosen last when it was not ahead by more than what
//! the other was expected to take, it may have taken its largest call since, and what the other was
//! expected to take may be corrected by as much. One that sleeps may be behind by the credit more.
//! Groups are the same with as many calls at once as there are slots.

use std::collections::BTreeMap;

use aosk_abi::limits;
use aosk_kernel::weight;

use super::{Judge, fair};
use crate::checker::{Rule, ensure};
use crate::faults::Feature;

/// What was found of shares.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    /// Processes that could be compared.
    pub compared: u32,
    /// The largest part, in millionths, by which one had more or less than its share.
    pub error_ppm: u64,
}

/// Service in micro-units at weight 1.
fn normal(service: u128, weight: u64) -> u128 {
    service * 1_000_000 / u128::from(weight)
}

impl Judge<'_> {
    /// Judges the shares of those that always waited.
    pub(crate) fn check_shares(&self) -> Result<Shares, Rule> {
        let slots: u32 = self
            .backends()
            .iter()
            .filter_map(|name| self.config.models.get(*name))
            .map(|model| model.slots)
            .sum();
        let mut by_group: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for proc in self.procs.values().filter(|proc| proc.eager && !proc.ended && !proc.own) {
            by_group.entry(&proc.group).or_default().push(proc);
        }
        let mut shares = Shares::default();
        // A configuration that changes may give so many slots that nobody waits for a while.
        let may =
            [Feature::Spans, Feature::Kill, Feature::Outages, Feature::RateLimits, Feature::Reload];
        let fair = self.steady && may.iter().all(|feature| !self.case.has(*feature));
        let crowded = usize::try_from(2 * slots + 4).unwrap_or(usize::MAX);
        for (group, procs) in by_group.iter().filter(|(_, procs)| fair && procs.len() >= crowded) {
            let all: u128 = procs.iter().map(|proc| proc.service).sum();
            let weights: u64 = procs.iter().map(|proc| weight(proc.priority)).sum();
            let at = procs.iter().map(|proc| {
                let weight = weight(proc.priority);
                (normal(proc.service, weight), normal(u128::from(2 * proc.largest), weight))
            });
            let (mut low, mut high) = ((u128::MAX, 0), (0, 0));
            for (at, slack) in at {
                low = low.min((at, slack));
                high = high.max((at, slack));
            }
            let credit = normal(u128::from(limits::SERVICE_CREDIT), 32);
            let credit = if self.case.has(Feature::Lazy) { credit } else { 0 };
            let bound = low.1 + high.1 + credit;
            ensure(high.0 - low.0 <= bound, "who always waits gets its share", || {
                format!("{group:?}: from {} to {}, at most {bound} apart", low.0, high.0)
            })?;
            for proc in procs {
                let due = all * u128::from(weight(proc.priority)) / u128::from(weights);
                let error = proc.service.abs_diff(due) * 1_000_000 / due.max(1);
                shares.error_ppm = shares.error_ppm.max(u64::try_from(error).unwrap_or(u64::MAX));
                shares.compared += 1;
            }
        }
        self.check_groups(&by_group.keys().copied().collect::<Vec<_>>(), slots, fair)?;
        Ok(shares)
    }

    /// Groups beside each other in which more always wait than there are slots.
    fn check_groups(&self, groups: &[&str], slots: u32, fair: bool) -> Result<(), Rule> {
        let enough = usize::try_from(slots + 2).unwrap_or(usize::MAX);
        let served = |group: &str| {
            let under = self.procs.values();
            let under = under.filter(|proc| fair::path(&proc.group).iter().any(|one| one == group));
            let (mut service, mut eager) = (0, 0);
            for proc in under {
                service += proc.service;
                eager += usize::from(proc.eager && !proc.ended && !proc.own);
            }
            (service, eager)
        };
        let above = |group: &str| fair::path(group).get(1).cloned();
        let named = groups.iter().filter(|name| fair && !name.is_empty());
        let named: Vec<_> = named.map(|name| (*name, served(name))).collect();
        for (one, (served_one, eager_one)) in &named {
            for (two, (served_two, eager_two)) in &named {
                if above(one) != above(two) || *eager_one < enough || *eager_two < enough {
                    continue;
                }
                let priority =
                    |name: &str| self.config.groups.get(name).map_or(50, |group| group.priority);
                let (a, b) = (weight(priority(one)), weight(priority(two)));
                let call = u128::from(self.largest) * u128::from(2 * slots + 2);
                let bound = normal(call, a) + normal(call, b);
                let apart = normal(*served_one, a).abs_diff(normal(*served_two, b));
                ensure(apart <= bound, "groups get their shares", || {
                    format!("{one} had {served_one}, {two} had {served_two}, at most {bound} apart")
                })?;
            }
        }
        Ok(())
    }
}

//! The least recently used goes, in batches.

use aosk_abi::{CutCause, Tokens};

use super::super::plan::{Cut, Memo, Plan, Replacement, Situation};
use super::fifo_batch;
use super::place::breakpoints;
use super::scan::Scan;

#[derive(Debug)]
pub(super) struct Lru;

/// The parts of the window, in thousandths, above which a cut is made and down to which it frees.
const HIGH: u64 = 970;
const LOW: u64 = 600;

impl Replacement for Lru {
    fn name(&self) -> &'static str {
        "lru"
    }

    fn plan(&self, situation: &Situation<'_>, memo: &mut Memo) -> Plan {
        let part = |thousandths: u64| situation.window.0.saturating_mul(thousandths) / 1000;
        let total = situation.space.total().0;
        if total <= part(HIGH) {
            let breakpoints = breakpoints(situation, memo, |_| false);
            return Plan { breakpoints, ..Plan::default() };
        }
        let scan = Scan::new(situation, None);
        let stub = u64::from(situation.space.stub_tokens());
        let mut by_use: Vec<(u32, usize)> = Vec::with_capacity(scan.units.len());
        let free = scan.units.iter().enumerate().filter(|(_, unit)| unit.free);
        by_use.extend(free.map(|(at, unit)| (unit.last_used, at)));
        by_use.sort_unstable();
        let mut left = total;
        let mut goes = vec![false; scan.units.len()];
        for (_, at) in by_use {
            let (Some(unit), Some(goes)) = (scan.units.get(at), goes.get_mut(at)) else { continue };
            if left <= part(LOW) {
                break;
            }
            *goes = true;
            left = left.saturating_sub(unit.tokens.saturating_sub(stub));
        }
        let chosen = |at: usize| goes.get(at).copied().unwrap_or_default();
        let evict = scan.evictions(situation, chosen, |_| 0);
        let freed = evict.iter().map(|one| u64::from(one.tokens).saturating_sub(stub)).sum();
        left = total.saturating_sub(freed);
        if left > part(HIGH) {
            return fifo_batch::emergency(situation, memo);
        }
        if let Some(first) = evict.first().map(|one| one.page) {
            memo.anchors.expire(Some(first), situation.rules.lifetime, situation.now);
        }
        let gone: Vec<_> = evict.iter().map(|one| one.page).collect();
        let breakpoints = breakpoints(situation, memo, |page| gone.binary_search(&page).is_ok());
        let cut = Cut {
            cause: CutCause::Pressure,
            freed: Tokens(total.saturating_sub(left)),
            rewritten: Tokens(left),
            price: situation.rules.rewrite().saturating_mul(left),
            loss: 0,
            growth: memo.growth(),
        };
        Plan { evict, cut: Some(cut), breakpoints, ..Plan::default() }
    }
}

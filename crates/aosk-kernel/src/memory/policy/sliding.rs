//! A sliding window: only the last blocks stay. It changes the prefix at every call and is here for
//! comparison.

use aosk_abi::{CutCause, Tokens};

use super::super::plan::{Cut, Memo, Plan, Replacement, Situation};
use super::super::space::Leave;
use super::fifo_batch;
use super::place::breakpoints;
use super::scan::Scan;

/// So many blocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sliding {
    /// Blocks that stay.
    pub blocks: usize,
}

impl Sliding {
    pub(super) const USUAL: Self = Self { blocks: 20 };
}

/// Above this part of the window, in thousandths, what stays is too much.
const HIGH: u64 = 970;

impl Replacement for Sliding {
    fn name(&self) -> &'static str {
        "sliding"
    }

    fn plan(&self, situation: &Situation<'_>, memo: &mut Memo) -> Plan {
        let scan = Scan::new(situation, Some(0));
        let starts = scan.units.iter().enumerate().filter(|(_, unit)| unit.starts_block);
        let first = starts.rev().nth(self.blocks.saturating_sub(1)).map_or(0, |(at, _)| at);
        let goes = |at: usize| at < first && scan.units.get(at).is_some_and(|unit| unit.free);
        let evict = scan.evictions(situation, goes, |_| 0);
        let gone: u64 = evict.iter().map(|one| u64::from(one.tokens)).sum();
        let high = situation.window.0.saturating_mul(HIGH) / 1000;
        if situation.space.total().0.saturating_sub(gone) > high {
            let mut plan = fifo_batch::oldest(situation, memo, &scan, high, CutCause::Pressure);
            plan.leave = Leave::Nothing;
            return plan;
        }
        if let Some(first) = evict.first().map(|one| one.page) {
            memo.anchors.expire(Some(first), situation.rules.lifetime, situation.now);
        }
        let pages: Vec<_> = evict.iter().map(|one| one.page).collect();
        let breakpoints = breakpoints(situation, memo, |page| pages.binary_search(&page).is_ok());
        let left = situation.space.total().saturating_sub(Tokens(gone));
        let cut = (!evict.is_empty()).then(|| Cut {
            cause: CutCause::Pressure,
            freed: Tokens(gone),
            rewritten: left,
            price: situation.rules.rewrite().saturating_mul(left.0),
            loss: 0,
            growth: memo.growth(),
        });
        Plan { evict, leave: Leave::Nothing, cut, breakpoints, ..Plan::default() }
    }
}

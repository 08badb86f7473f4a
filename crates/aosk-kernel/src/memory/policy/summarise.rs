//! Compaction: a summary, which the caller makes or has a model make, takes the place of all but the
//! newest.

use super::super::page::PageId;
use super::super::plan::{Memo, Plan, Replacement, Situation};
use super::fifo_batch;
use super::place::breakpoints;
use super::scan::{Scan, Unit};

#[derive(Debug)]
pub(super) struct Summarise;

/// Above this part of the window, in thousandths, a summary is asked for. There must be room for the
/// request that makes it.
const HIGH: u64 = 920;

/// The part of the window that stays as it is.
const KEEP: u64 = 100;

impl Replacement for Summarise {
    fn name(&self) -> &'static str {
        "summarise"
    }

    fn plan(&self, situation: &Situation<'_>, memo: &mut Memo) -> Plan {
        let part = |thousandths: u64| situation.window.0.saturating_mul(thousandths) / 1000;
        let total = situation.space.total().0;
        let plan = Plan { breakpoints: breakpoints(situation, memo, |_| false), ..Plan::default() };
        if total <= part(HIGH) {
            return plan;
        }
        let scan = Scan::new(situation, Some(part(KEEP)));
        // Results do not go into it without their call.
        let calls = |unit: &Unit| unit.call.and_then(|at| scan.units.get(at));
        let mut free = scan.units.iter().filter(|unit| unit.free);
        let first = free.next();
        let last = free.rfind(|unit| calls(unit).is_none_or(|call| call.free));
        let (Some(first), Some(last)) = (first, last) else {
            return fifo_batch::emergency(situation, memo);
        };
        let end = last.first.saturating_add(last.entries).saturating_sub(1);
        let end = situation.space.shown().nth(end).map_or(last.page, |one| one.id);
        summarising(situation, memo, (first.page, end))
    }

    fn has_summaries_made(&self) -> bool {
        true
    }
}

/// The plan by which a summary takes the place of a range.
pub(crate) fn summarising(
    situation: &Situation<'_>,
    memo: &mut Memo,
    range: (PageId, PageId),
) -> Plan {
    let breakpoints = breakpoints(situation, memo, |_| false);
    memo.anchors.expire(Some(range.0), situation.rules.lifetime, situation.now);
    Plan { summarise: Some(range), breakpoints, ..Plan::default() }
}

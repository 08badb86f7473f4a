//! The oldest goes, in batches. Needs to know nothing of pages.

use aosk_abi::{CutCause, Tokens};

use super::super::page::Residency;
use super::super::plan::{Cut, Eviction, Memo, Plan, Replacement, Situation};
use super::place::breakpoints;
use super::scan::{Scan, Unit};

/// From above one part of the window to another, in thousandths.
#[derive(Debug, Clone, Copy)]
pub(super) struct FifoBatch {
    /// Above this a cut is made.
    pub high: u64,
    /// It frees down to this.
    pub low: u64,
}

impl FifoBatch {
    pub(super) const USUAL: Self = Self { high: 970, low: 600 };
}

/// The last tokens of the log stay: a tenth of the window or so many, whichever is less.
const PROTECTED_MAX: u64 = 4_000;

impl Replacement for FifoBatch {
    fn name(&self) -> &'static str {
        "fifo-batch"
    }

    fn plan(&self, situation: &Situation<'_>, memo: &mut Memo) -> Plan {
        let part = |thousandths: u64| situation.window.0.saturating_mul(thousandths) / 1000;
        if situation.space.total().0 <= part(self.high) {
            let breakpoints = breakpoints(situation, memo, |_| false);
            return Plan { breakpoints, ..Plan::default() };
        }
        let scan = Scan::new(situation, Some(PROTECTED_MAX.min(situation.window.0 / 10)));
        oldest(situation, memo, &scan, part(self.low), CutCause::Pressure)
    }
}

/// What an emergency leaves, in thousandths of the window: less than must go, or the next call would be
/// cut too.
const EMERGENCY_TO: u64 = 850;

/// What is left to do when a policy frees too little: the oldest goes until the rest fits with room to
/// spare. The newest message is spared if it can be, and its last page always.
pub fn emergency(situation: &Situation<'_>, memo: &mut Memo) -> Plan {
    let to = situation.window.0.saturating_mul(EMERGENCY_TO) / 1000;
    let scan = Scan::new(situation, Some(0));
    let plan = oldest(situation, memo, &scan, to, CutCause::Emergency);
    // Stubs, and what is no larger than one, free nothing.
    let frees = |one: &Eviction| {
        let page = situation.space.page(one.page);
        let is_stub = page.is_none_or(|page| page.residency == Residency::Stub);
        !is_stub && one.tokens > situation.space.stub_tokens()
    };
    if plan.evict.iter().any(frees) {
        return plan;
    }
    oldest(situation, memo, &Scan::of_all(situation), to, CutCause::Emergency)
}

/// Evicts the oldest units until no more than `to` tokens are left.
pub(super) fn oldest(
    situation: &Situation<'_>,
    memo: &mut Memo,
    scan: &Scan,
    to: u64,
    cause: CutCause,
) -> Plan {
    let total = situation.space.total().0;
    let mut left = total;
    let (mut first, mut end) = (None, 0);
    let mut kept_stub = u64::from(situation.space.stub_tokens());
    for (at, unit) in scan.units.iter().enumerate().filter(|(_, unit)| unit.free) {
        if left <= to {
            break;
        }
        first = first.or(Some((at, unit.page)));
        end = at.saturating_add(1);
        // One stub stays for all, and one that is there may be it.
        let frees = if unit.stub { 0 } else { unit.tokens };
        left = left.saturating_sub(frees).saturating_add(std::mem::take(&mut kept_stub));
    }
    // A call that goes takes all its results along, wherever they stand.
    let follows = |unit: &Unit| {
        let call = unit.call.or(unit.answers);
        unit.free && call.is_some_and(|call| call < end)
    };
    for unit in scan.units.iter().skip(end).filter(|unit| follows(unit)) {
        left = left.saturating_sub(if unit.stub { 0 } else { unit.tokens });
    }
    let goes =
        |at: usize| scan.units.get(at).is_some_and(|unit| (at < end && unit.free) || follows(unit));
    let evict = scan.evictions(situation, goes, |_| 0);
    if let Some((_, page)) = first {
        memo.anchors.expire(Some(page), situation.rules.lifetime, situation.now);
        memo.spare.retain(|spare| *spare < page);
    }
    let gone: Vec<_> = evict.iter().map(|one| one.page).collect();
    let breakpoints = breakpoints(situation, memo, |page| gone.binary_search(&page).is_ok());
    let cut = (!evict.is_empty()).then(|| Cut {
        cause,
        freed: Tokens(total.saturating_sub(left)),
        rewritten: Tokens(left),
        price: situation.rules.rewrite().saturating_mul(left),
        loss: 0,
        growth: memo.growth(),
    });
    let excess = Tokens(left.saturating_sub(situation.window.0));
    Plan { evict, cut, breakpoints, excess, ..Plan::default() }
}

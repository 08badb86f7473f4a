//! What is rendered, in units that stay or go together.
//!
//! A message of the model is one unit, since its tool calls must not be torn. Each page of a result is
//! a unit: when it goes, its stub still answers the call. A message of the model goes only when all
//! the results of its calls go with it or have gone.

use super::super::page::{BlockId, GroupId, PageId, PageKind};
use super::super::plan::{Eviction, Situation};
use super::super::space::Shown;

/// The last tokens of the log are not evicted: an eighth of the window or so many, whichever is less.
const PROTECTED_MAX: u64 = 3_000;

/// Pages next to each other that stay or go together.
#[derive(Debug, Clone, Copy)]
pub struct Unit {
    /// The first of its entries.
    pub first: usize,
    /// How many they are.
    pub entries: usize,
    /// The first of its pages.
    pub page: PageId,
    /// Their tokens.
    pub tokens: u64,
    /// Whether it is a stub.
    pub stub: bool,
    /// Whether it begins a content block.
    pub starts_block: bool,
    /// Whether it may be evicted.
    pub free: bool,
    /// When any of it was last used.
    pub last_used: u32,
    /// For a page of a result: the unit with the call, which cannot go without it.
    pub call: Option<usize>,
    /// For a stub that answers a call that is shown: the unit with the call. It goes with that only.
    pub answers: Option<usize>,
    block: BlockId,
    group: GroupId,
    kind: PageKind,
}

/// What is rendered before a call.
#[derive(Debug)]
pub struct Scan {
    /// In order.
    pub units: Vec<Unit>,
}

impl Scan {
    /// Of all that is rendered; the last `protect` tokens, if given, stay.
    #[must_use]
    pub fn new(situation: &Situation<'_>, protect: Option<u64>) -> Self {
        Self::sparing(situation, protect, /*message*/ true)
    }

    /// Of all that is rendered; but for its last page, the newest message is not spared.
    #[must_use]
    pub fn of_all(situation: &Situation<'_>) -> Self {
        Self::sparing(situation, Some(0), /*message*/ false)
    }

    fn sparing(situation: &Situation<'_>, protect: Option<u64>, message: bool) -> Self {
        let space = situation.space;
        let mut units: Vec<Unit> = Vec::with_capacity(space.entries());
        let mut block = None;
        for (at, shown) in space.shown().enumerate() {
            let starts_block = block != Some(shown.page.block);
            block = Some(shown.page.block);
            let free = at >= space.fixed() && !shown.page.pinned;
            match units.last_mut() {
                Some(unit) if unit.joins(&shown) && at > space.fixed() => {
                    unit.entries = unit.entries.saturating_add(1);
                    unit.tokens = unit.tokens.saturating_add(u64::from(shown.tokens));
                    unit.free &= free;
                    unit.last_used = unit.last_used.max(shown.page.last_used);
                }
                _ => units.push(Unit {
                    first: at,
                    entries: 1,
                    page: shown.id,
                    tokens: u64::from(shown.tokens),
                    stub: shown.is_stub(),
                    starts_block,
                    free,
                    last_used: shown.page.last_used,
                    call: None,
                    answers: None,
                    block: shown.page.block,
                    group: shown.page.group,
                    kind: shown.page.kind,
                }),
            }
        }
        let window = situation.window.0;
        let mut left = protect.unwrap_or_else(|| PROTECTED_MAX.min(window.saturating_mul(2) / 25));
        for unit in units.iter_mut().rev() {
            // The newest is what the call is about.
            unit.free = false;
            let Some(rest) = left.checked_sub(unit.tokens) else { break };
            left = rest;
        }
        // So is the rest of its message, unless that fills the window.
        let newest = units.last().map(|unit| unit.block);
        let of_newest = |unit: &&mut Unit| Some(unit.block) == newest;
        let size: u64 =
            units.iter().filter(|unit| Some(unit.block) == newest).map(|unit| unit.tokens).sum();
        if message && size <= window / 2 {
            for unit in units.iter_mut().rev().take_while(of_newest) {
                unit.free = false;
            }
        }
        let mut scan = Self { units };
        scan.join_calls();
        scan
    }

    /// Finds the calls of results. A call is not free while a result of it is not.
    fn join_calls(&mut self) {
        let mut call: Option<(usize, GroupId)> = None;
        let mut held = Vec::new();
        for (at, unit) in self.units.iter_mut().enumerate() {
            if unit.kind == PageKind::Assistant {
                call = (!unit.stub).then_some((at, unit.group));
                continue;
            }
            let of_group = call.filter(|(_, group)| *group == unit.group).map(|(at, _)| at);
            unit.call = of_group.filter(|_| !unit.stub);
            unit.answers = of_group.filter(|_| unit.stub);
            held.extend(unit.call.filter(|_| !unit.free));
        }
        for at in held {
            if let Some(unit) = self.units.get_mut(at) {
                unit.free = false;
            }
        }
    }

    /// Whether results of the calls of a unit would stay without it.
    fn is_awaited(&self, at: usize, unit: &Unit, chosen: &impl Fn(usize) -> bool) -> bool {
        if unit.kind != PageKind::Assistant || unit.stub {
            return false;
        }
        let after = self.units.iter().enumerate().skip(at.saturating_add(1));
        // Something else may stand between a call and its results.
        let until = after.take_while(|(_, one)| one.kind != PageKind::Assistant);
        let mut results = until.filter(|(_, one)| one.group == unit.group);
        results.any(|(at, one)| !one.stub && !chosen(at))
    }

    /// What is known of the pages of chosen units, as evictions.
    #[must_use]
    pub fn evictions(
        &self,
        situation: &Situation<'_>,
        chosen: impl Fn(usize) -> bool,
        loss: impl Fn(usize) -> u64,
    ) -> Vec<Eviction> {
        let mut shown = situation.space.shown();
        let mut evictions = Vec::new();
        for (at, unit) in self.units.iter().enumerate() {
            if !chosen(at) || self.is_awaited(at, unit, &chosen) {
                let Some(skip) = unit.entries.checked_sub(1) else { continue };
                shown.nth(skip);
                continue;
            }
            for one in shown.by_ref().take(unit.entries) {
                let space = situation.space;
                let need = situation.needs.need(one.page, space.step(), space.turns());
                evictions.push(Eviction {
                    page: one.id,
                    tokens: one.tokens,
                    chance_ppm: need.chance_ppm,
                    gap_16ths: need.gap_16ths,
                    loss: loss(at),
                });
            }
        }
        evictions
    }
}

impl Unit {
    fn joins(&self, next: &Shown<'_>) -> bool {
        let are_of_model =
            self.kind == PageKind::Assistant && next.page.kind == PageKind::Assistant;
        are_of_model && !self.stub && !next.is_stub() && self.group == next.page.group
    }
}

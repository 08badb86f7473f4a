//! What is rendered, in units that stay or go together.

use super::super::page::{GroupId, PageId};
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
    group: GroupId,
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
                    group: shown.page.group,
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
        Self { units }
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
            if !chosen(at) {
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
        !self.stub && !next.is_stub() && self.group == next.page.group
    }
}

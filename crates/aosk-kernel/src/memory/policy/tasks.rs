//! When tasks that have ended leave the window.
//!
//! What they leave behind is dead: their results stand for them. So no fault is expected, and only the
//! survivors behind them, which are read anew, speak against closing them. A task that ends is the last
//! there is in the log, so that is nothing as a rule, if the provider has an entry of its cache that
//! ends where the task begins; one is kept there while it is open. What does not pay by itself leaves
//! with the next cut before it, or when there is no room.

use aosk_abi::{CutCause, PageId, Tokens};

use super::super::page::Page;
use super::super::plan::{Cut, Memo, Situation};
use super::super::space::AddressSpace;
use super::super::value::{Need, Needs};
use super::priced::Setting;

/// What is known of needs, where what ended tasks left is needed no more.
#[derive(Debug)]
pub(crate) struct Ended<'a> {
    pub(crate) space: &'a AddressSpace,
    pub(crate) needs: &'a dyn Needs,
}

impl Needs for Ended<'_> {
    fn need(&self, page: &Page, step: u32, turns: u32) -> Need {
        let need = self.needs.need(page, step, turns);
        let is_over = self.space.arenas().is_over(page.arena);
        if is_over { Need { chance_ppm: 0, ..need } } else { need }
    }
}

/// The page from which on it pays to close tasks that have ended, with the figures of that cut.
pub(crate) fn close_what_pays(situation: &Situation<'_>, memo: &Memo) -> Option<(PageId, Cut)> {
    let space = situation.space;
    let ended = space.ended();
    if ended.is_empty() {
        return None;
    }
    let rules = situation.rules;
    let is_warm = memo.last.is_some_and(|at| situation.now.since(at) <= rules.lifetime);
    let sent = if is_warm { space.unchanged().tokens.0 } else { 0 };
    let by_block = rules.breakpoints() == 0;
    let mut anchors = memo.anchors.live(rules.lifetime, situation.now).peekable();
    // Of each that may leave: what stands before it, and what of that an entry of the cache has.
    let mut places = Vec::with_capacity(ended.len());
    let (mut before, mut live) = (0_u64, 0_u64);
    let mut next = ended.iter().peekable();
    for one in space.shown() {
        while anchors.next_if(|page| *page < one.id).is_some() {
            live = before;
        }
        if next.next_if(|(id, ..)| *id == one.id).is_some() {
            places.push((before, if by_block { before.min(sent) } else { live }));
        }
        before = before.saturating_add(u64::from(one.tokens));
    }
    let cached = if by_block || anchors.next().is_some() { sent } else { live };
    let setting = Setting::of(situation.prefer);
    let rewrite = rules.rewrite().saturating_mul(setting.weight_in(situation.window)) / 1_000;
    let growth = memo.growth();
    let (mut freed, mut freed_cached) = (0_u64, 0_u64);
    let mut best: Option<(i64, PageId, Cut)> = None;
    for ((id, tokens, begins), (before, live)) in ended.iter().zip(&places).rev() {
        freed = freed.saturating_add(u64::from(*tokens));
        if *before < sent {
            freed_cached = freed_cached.saturating_add(u64::from(*tokens));
        }
        if !begins {
            continue;
        }
        let rewritten = cached.saturating_sub(*live).saturating_sub(freed_cached);
        let price = rewrite.saturating_mul(rewritten);
        let by_call = price.saturating_mul(growth) / freed.max(1);
        let saved = rules.read.saturating_mul(freed) / 2;
        let signed = |figure: u64| i64::try_from(figure).unwrap_or(i64::MAX);
        let value = signed(by_call).saturating_sub(signed(saved));
        if value <= 0 && best.as_ref().is_none_or(|(least, ..)| value <= *least) {
            let cut = Cut {
                cause: CutCause::Task,
                freed: Tokens(freed),
                rewritten: Tokens(rewritten),
                price,
                loss: 0,
                growth,
            };
            best = Some((value, *id, cut));
        }
    }
    best.map(|(_, from, cut)| (from, cut))
}

/// Has entries of the cache kept alive that end where open tasks begin: the outermost and the
/// innermost, so that closing them costs nothing.
pub(crate) fn keep_before_tasks(situation: &Situation<'_>, memo: &mut Memo) {
    let space = situation.space;
    if situation.rules.breakpoints() == 0 {
        return;
    }
    let mut open = space.arenas().open();
    let (Some(first), last) = (open.next(), open.next_back()) else { return };
    for arena in [Some(first), last].into_iter().flatten() {
        let mut before = None;
        let begins = space.shown().any(|one| {
            let begins = one.page.arena >= arena;
            before = if begins { before } else { Some(one.id) };
            begins
        });
        if let Some(page) = before.filter(|_| begins) {
            memo.keep_alive(page);
        }
    }
}

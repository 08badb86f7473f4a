//! Cuts by price. The policy a kernel begins with.
//!
//! A cut at some place behind which pages are evicted makes the provider read anew what survives
//! there, and whatever is evicted may be missed. Both are paid once in a cycle from one cut to the
//! next, in which the log regains what was freed. So of all cuts, the one that is cheapest by the
//! call is chosen:
//!
//! ```text
//! (rewrite price * survivors to be read anew + expected loss) * growth / freed - read price * freed / 2
//! ```
//!
//! The last term is what is saved by carrying less through the cycle. When it is larger than the
//! first, a cut pays for itself before the window is full: the rent paid for what is dead has reached
//! the price of being rid of it.

use aosk_abi::{CutCause, Tokens};

use super::super::page::PageId;
use super::super::plan::{Cut, Memo, Plan, Prefer, Replacement, Situation};
use super::fifo_batch;
use super::place::breakpoints;
use super::scan::Scan;

/// With settings of its own, or with those of the preference.
#[derive(Debug, Default, Clone, Copy)]
pub struct Priced {
    /// In the place of those of the preference.
    pub setting: Option<Setting>,
}

/// What a preference comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// The part of the window, in thousandths, above which a cut is made.
    pub high: u64,
    /// The part of the window that stays filled by a cut.
    pub keep: u64,
    /// What a fault costs beside its tokens, in input tokens: a call more, and the chance that the
    /// model does not ask. In a window of 32,000 tokens; less in smaller ones.
    pub fault: u64,
    /// How many times its price a rewritten token counts, in thousandths: it is latency too. In a
    /// window of 32,000 tokens; it falls in larger ones if cuts may be early.
    pub weight: u64,
    /// Whether a cut may be made before the window is full.
    pub early: bool,
}

impl Setting {
    /// Of a preference. Tuned on recorded runs in windows of 32,000 and 128,000 tokens.
    #[must_use]
    pub const fn of(prefer: Prefer) -> Self {
        match prefer {
            Prefer::Cost => Self { high: 990, keep: 0, fault: 80_000, weight: 14_500, early: true },
            Prefer::Quality => {
                Self { high: 990, keep: 200, fault: 300_000, weight: 6_000, early: true }
            }
            Prefer::Utilisation => {
                Self { high: 999, keep: 915, fault: 6_000, weight: 1_600, early: false }
            }
        }
    }

    /// What a fault costs in a window of which so much is left beside the static part. A call more
    /// reads a window, so in a small one it costs less; and the less of it is left, the sooner it is
    /// full again, so that what is kept is dearer than a fault.
    fn fault_in(&self, window: Tokens, room: u64) -> u64 {
        let part = self.fault.saturating_mul(room.min(WEIGHT_WINDOW)) / WEIGHT_WINDOW;
        part.saturating_mul(room).checked_div(window.0).unwrap_or(part)
    }

    /// The weight of a rewritten token in a window. The larger the window, the less of it a cycle
    /// fills, and the more is carried for nothing if cuts are put off.
    pub(super) fn weight_in(&self, window: Tokens) -> u64 {
        if !self.early {
            return self.weight;
        }
        let falling = self.weight.saturating_mul(WEIGHT_WINDOW) / window.0.max(WEIGHT_WINDOW);
        falling.max(self.weight.min(WEIGHT_MIN))
    }
}

/// The largest window in which a weight is what it says, and the smallest in which a fault costs what it
/// says; and what a weight falls to in larger ones.
const WEIGHT_WINDOW: u64 = 32_000;
const WEIGHT_MIN: u64 = 5_000;

/// Below the high watermark by so many thousandths of the window the next cut is looked for, so that
/// a breakpoint can be placed before it.
const AHEAD: u64 = 60;

/// What a fault takes beside its pages: the call that asks for them.
const FAULT_TOKENS: u64 = 200;

/// A page of so many tokens is dear as a fault is; a larger one more, a smaller one less.
const USUAL_TOKENS: u64 = 256;

/// A token of a stub that goes counts as little, in thousandths: what it stands for can be searched.
const STUB_LOSS: u64 = 20;

/// Places that are weighed.
const PLACES_MAX: usize = 64;

/// Classes of units by loss for each token, two to the power of two.
const BUCKETS: usize = 48;

impl Replacement for Priced {
    fn name(&self) -> &'static str {
        "priced"
    }

    fn plan(&self, situation: &Situation<'_>, memo: &mut Memo) -> Plan {
        let setting = self.setting.unwrap_or_else(|| Setting::of(situation.prefer));
        let window = situation.window.0;
        let total = situation.space.total().0;
        let part = |thousandths: u64| window.saturating_mul(thousandths) / 1000;
        let (high, keep) = (part(setting.high), part(setting.keep));
        let is_over = total > high;
        // Breakpoints are placed ahead where there are any; where reading is free, nothing that
        // is carried along costs anything.
        let rules = situation.rules;
        let is_near = rules.breakpoints() > 0 && total > high.saturating_sub(part(AHEAD));
        let may_pay = setting.early && rules.read > 0;
        if !is_over && !is_near && !may_pay {
            return keep_all(situation, memo);
        }
        let weighing = Weighing::new(situation, memo, &setting);
        let most = total.saturating_sub(keep).max(total.saturating_sub(high));
        if is_over {
            let least = total.saturating_sub(high).max(part(10));
            return match weighing.choose(least, most, /*ahead*/ false) {
                Some(choice) => weighing.cut(&choice, CutCause::Pressure, memo),
                None => fifo_batch::emergency(situation, memo),
            };
        }
        // The best there could be, if there were a live entry wherever the cut is made.
        let Some(next) = weighing.choose(part(20), most, /*ahead*/ true) else {
            return keep_all(situation, memo);
        };
        let pays = |choice: &Choice| may_pay && choice.value <= 0;
        if pays(&next)
            && let Some(choice) = weighing.choose(part(20), most, /*ahead*/ false).filter(pays)
        {
            return weighing.cut(&choice, CutCause::Price, memo);
        }
        if is_near || pays(&next) {
            weighing.anchor(&next, memo);
        }
        keep_all(situation, memo)
    }
}

fn keep_all(situation: &Situation<'_>, memo: &Memo) -> Plan {
    Plan { breakpoints: breakpoints(situation, memo, |_| false), ..Plan::default() }
}

/// A cut that was weighed.
struct Choice {
    /// What it costs by the call, less what it saves.
    value: i64,
    /// The first unit that may go.
    from: usize,
    /// Units of lower buckets go.
    bucket: usize,
    /// Of this bucket, as many as free so much in all.
    freed: u64,
    rewritten: u64,
    price: u64,
    loss: u64,
}

/// All that is rendered, with its figures.
struct Weighing<'a> {
    situation: &'a Situation<'a>,
    scan: Scan,
    /// For each unit: what its eviction is expected to cost, what it frees, its bucket.
    figures: Vec<Figure>,
    /// What the provider finds in its cache if nothing is cut.
    cached: u64,
    rewrite: u64,
    growth: u64,
}

/// What a bucket of units comes to.
#[derive(Debug, Default, Clone, Copy)]
struct Sum {
    freed: u64,
    loss: u64,
    /// The part of `freed` that was sent before.
    cached: u64,
}

#[derive(Debug, Clone, Copy)]
struct Figure {
    loss: u64,
    frees: u64,
    bucket: usize,
    /// What stands before it.
    before: u64,
    /// The part of that which ends with a live entry of the cache.
    live: u64,
    /// The page with which that entry ends.
    anchor: Option<PageId>,
    /// Whether it was sent before.
    cached: bool,
}

impl<'a> Weighing<'a> {
    fn new(situation: &'a Situation<'a>, memo: &Memo, setting: &Setting) -> Self {
        let scan = Scan::new(situation, None);
        let space = situation.space;
        let rules = situation.rules;
        let total = space.total().0;
        let fixed = space.shown().take(space.fixed()).map(|one| u64::from(one.tokens)).sum();
        let room = situation.window.0.saturating_sub(fixed);
        let fault = setting
            .fault_in(situation.window, room)
            .saturating_add(FAULT_TOKENS)
            .saturating_mul(1000)
            .saturating_add(rules.read.saturating_mul(total));
        let stub = u64::from(space.stub_tokens());
        let is_warm = memo.last.is_some_and(|at| situation.now.since(at) <= rules.lifetime);
        let sent = if is_warm { space.unchanged().tokens.0 } else { 0 };
        let by_block = rules.breakpoints() == 0;
        let mut anchors = memo.anchors.live(rules.lifetime, situation.now).peekable();
        let (mut live, mut anchor, mut before) = (0, None, 0_u64);
        let mut shown = space.shown();
        let mut figures = Vec::with_capacity(scan.units.len());
        for unit in &scan.units {
            while let Some(page) = anchors.next_if(|page| *page < unit.page) {
                (live, anchor) = (before, Some(page));
            }
            let mut loss = 0_u64;
            for one in shown.by_ref().take(unit.entries) {
                loss = loss.saturating_add(if unit.stub {
                    u64::from(one.tokens).saturating_mul(STUB_LOSS)
                } else {
                    let need = situation.needs.need(one.page, space.step(), space.turns());
                    // What is missed is half the call and half what the page carries.
                    let carries = USUAL_TOKENS.saturating_add(u64::from(one.tokens));
                    let dear = fault.saturating_mul(carries) / (2 * USUAL_TOKENS);
                    let dear = dear.saturating_mul(500 + u64::from(one.page.importance)) / 1000;
                    let back = rules.write.saturating_mul(u64::from(one.tokens));
                    u64::from(need.chance_ppm).saturating_mul(dear.saturating_add(back)) / 1_000_000
                });
            }
            let frees = if unit.stub { unit.tokens } else { unit.tokens.saturating_sub(stub) };
            let bucket = bucket(loss / frees.max(1));
            let live = if by_block { before.min(sent) } else { live };
            let cached = before < sent;
            figures.push(Figure { loss, frees, bucket, before, live, anchor, cached });
            before = before.saturating_add(unit.tokens);
        }
        // A stub that answers a call frees its place when the call goes, and not by itself.
        for at in 0..figures.len() {
            let call = scan.units.get(at).and_then(|unit| unit.answers);
            let Some(tokens) = scan.units.get(at).map(|unit| unit.tokens) else { continue };
            let Some(place) = call.filter(|call| *call < figures.len()) else { continue };
            if let Some(stub) = figures.get_mut(at) {
                (stub.frees, stub.loss, stub.bucket) = (0, 0, BUCKETS - 1);
            }
            if let Some(call) = figures.get_mut(place) {
                call.frees = call.frees.saturating_add(tokens);
                call.bucket = bucket(call.loss / call.frees.max(1));
            }
        }
        // A call goes no sooner than the last of its results.
        for at in 0..figures.len() {
            let call = scan.units.get(at).and_then(|unit| unit.call);
            let result = figures.get(at).map_or(0, |figure: &Figure| figure.bucket);
            if let Some(figure) = call.and_then(|call| figures.get_mut(call)) {
                figure.bucket = figure.bucket.max(result);
            }
        }
        let cached = if by_block { sent } else { anchors.last().map_or(live, |_| sent).max(live) };
        let rewrite = rules.rewrite().saturating_mul(setting.weight_in(situation.window)) / 1000;
        Self { situation, scan, figures, cached, rewrite, growth: memo.growth() }
    }

    /// The best cut that frees at least `least` and no more than about `most` tokens. With `ahead`,
    /// as if there were a live entry wherever it is made.
    fn choose(&self, least: u64, most: u64, ahead: bool) -> Option<Choice> {
        let places = self.scan.units.iter().filter(|unit| unit.free && unit.starts_block).count();
        let stride = places.div_ceil(PLACES_MAX).max(1);
        let mut sums = [Sum::default(); BUCKETS];
        let mut best: Option<Choice> = None;
        let mut place = 0_usize;
        let units = self.scan.units.iter().zip(&self.figures).enumerate();
        for (at, (unit, figure)) in units.rev() {
            if !unit.free {
                continue;
            }
            if let Some(sum) = sums.get_mut(figure.bucket) {
                sum.freed = sum.freed.saturating_add(figure.frees);
                sum.loss = sum.loss.saturating_add(figure.loss);
                let cached = if figure.cached { figure.frees } else { 0 };
                sum.cached = sum.cached.saturating_add(cached);
            }
            if !unit.starts_block {
                continue;
            }
            place = place.saturating_add(1);
            if !place.is_multiple_of(stride) {
                continue;
            }
            let live = if ahead { figure.before.min(self.cached) } else { figure.live };
            self.weigh(at, live, &sums, (least, most), &mut best);
        }
        best
    }

    fn weigh(
        &self,
        from: usize,
        live: u64,
        sums: &[Sum],
        (least, most): (u64, u64),
        best: &mut Option<Choice>,
    ) {
        let behind = self.cached.saturating_sub(live);
        let (mut freed, mut loss, mut cached) = (0_u64, 0_u64, 0_u64);
        for (bucket, sum) in sums.iter().enumerate() {
            let takes = most.saturating_sub(freed).min(sum.freed);
            if takes == 0 {
                continue;
            }
            freed = freed.saturating_add(takes);
            // Of the last bucket only a part may go.
            let share = |of: u64| of.saturating_mul(takes).checked_div(sum.freed).unwrap_or(of);
            loss = loss.saturating_add(share(sum.loss));
            cached = cached.saturating_add(share(sum.cached));
            if freed < least {
                continue;
            }
            // What was never sent before is not read anew.
            let rewritten = behind.saturating_sub(cached);
            let price = self.rewrite.saturating_mul(rewritten);
            let by_call = price.saturating_add(loss).saturating_mul(self.growth) / freed.max(1);
            let saved = self.situation.rules.read.saturating_mul(freed) / 2;
            let value = signed(by_call).saturating_sub(signed(saved));
            if best.as_ref().is_none_or(|best| value < best.value) {
                *best = Some(Choice { value, from, bucket, freed, rewritten, price, loss });
            }
        }
    }

    /// Which units go with a choice, by their place.
    fn chosen(&self, choice: &Choice) -> Vec<bool> {
        let mut goes = vec![false; self.scan.units.len()];
        let mut left = choice.freed;
        for last in [false, true] {
            for ((unit, figure), goes) in
                self.scan.units.iter().zip(&self.figures).zip(&mut goes).skip(choice.from).rev()
            {
                let fits = if last {
                    figure.bucket == choice.bucket && left > 0
                } else {
                    figure.bucket < choice.bucket
                };
                if unit.free && fits {
                    *goes = true;
                    left = left.saturating_sub(figure.frees);
                }
            }
        }
        goes
    }

    fn cut(&self, choice: &Choice, cause: CutCause, memo: &mut Memo) -> Plan {
        let goes = self.chosen(choice);
        let chosen = |at: usize| goes.get(at).copied().unwrap_or_default();
        let loss = |at: usize| self.figures.get(at).map_or(0, |figure| figure.loss);
        let evict = self.scan.evictions(self.situation, chosen, loss);
        let cut = Cut {
            cause,
            freed: Tokens(choice.freed),
            rewritten: Tokens(choice.rewritten),
            price: choice.price,
            loss: choice.loss,
            growth: Tokens(self.growth).0,
        };
        if let Some(first) = goes.iter().position(|goes| *goes) {
            self.settle(first, memo);
        }
        let gone: Vec<PageId> = evict.iter().map(|one| one.page).collect();
        let breakpoints =
            breakpoints(self.situation, memo, |page| gone.binary_search(&page).is_ok());
        Plan { evict, cut: Some(cut), breakpoints, ..Plan::default() }
    }

    /// Forgets what a cut at a unit makes void, and keeps alive the entry it was made behind.
    fn settle(&self, first: usize, memo: &mut Memo) {
        let Some(unit) = self.scan.units.get(first) else { return };
        let (lifetime, now) = (self.situation.rules.lifetime, self.situation.now);
        memo.anchors.expire(Some(unit.page), lifetime, now);
        memo.spare.retain(|page| *page < unit.page);
        let anchor = self.figures.get(first).and_then(|figure| figure.anchor);
        for page in [self.page_before(first), anchor].into_iter().flatten() {
            memo.keep_alive(page);
        }
    }

    /// Places a breakpoint before a cut that is to come.
    fn anchor(&self, choice: &Choice, memo: &mut Memo) {
        let first = self.chosen(choice).iter().position(|goes| *goes);
        if let Some(page) = first.and_then(|first| self.page_before(first)) {
            memo.keep_alive(page);
        }
    }

    /// The page that ends before a unit. Before a stub, since a cut behind it changes it too.
    fn page_before(&self, first: usize) -> Option<PageId> {
        let before = self.scan.units.iter().take(first).rev();
        let unit = before.skip_while(|unit| unit.stub).find(|unit| unit.first > 0 || !unit.stub)?;
        let last = unit.first.saturating_add(unit.entries).checked_sub(1)?;
        self.situation.space.shown().nth(last).map(|one| one.id)
    }
}

/// The class of a loss for each token.
fn bucket(density: u64) -> usize {
    let value = density.saturating_add(1);
    let power = value.ilog2();
    let half = power.checked_sub(1).map_or(0, |below| (value >> below) & 1);
    let class = u64::from(power).saturating_mul(2).saturating_add(half);
    usize::try_from(class).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

fn signed(figure: u64) -> i64 {
    i64::try_from(figure).unwrap_or(i64::MAX)
}

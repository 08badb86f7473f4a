//! Policies that are held against the kernel's: truncation, and two of the study that the kernel's
//! grew from.

use std::sync::Mutex;

use aosk::kernel::memory::{Eviction, Leave, Memo, Need, PageId, Plan, Replacement, Situation};

/// Tokens above which a client truncates, as a part of the window.
const FILLED: f64 = 0.97;

/// Before each call the oldest pages are dropped until the rest fits.
#[derive(Debug)]
pub(crate) struct Naive;

impl Replacement for Naive {
    fn name(&self) -> &'static str {
        "naive"
    }

    fn plan(&self, situation: &Situation<'_>, _: &mut Memo) -> Plan {
        oldest(situation, FILLED, FILLED, 0)
    }
}

/// The oldest pages go in batches, without a stub, as the study had them go.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) high: f64,
    pub(crate) low: f64,
}

impl Replacement for Batch {
    fn name(&self) -> &'static str {
        "batch"
    }

    fn plan(&self, situation: &Situation<'_>, _: &mut Memo) -> Plan {
        let protect = (situation.window.0 / 10).min(4_000);
        oldest(situation, self.high, self.low, protect)
    }
}

fn oldest(situation: &Situation<'_>, high: f64, low: f64, protect: u64) -> Plan {
    let window = situation.window.0 as f64;
    let mut left = situation.space.total().0 as f64;
    let mut plan = Plan { leave: Leave::Nothing, ..Plan::default() };
    if left > window * high {
        let mut spared = 0;
        let new = situation.space.shown().rev().take_while(|one| {
            let spares = spared <= protect;
            spared += u64::from(one.tokens);
            spares
        });
        let old = situation.space.entries().saturating_sub(new.count());
        let fixed = situation.space.fixed();
        for one in situation.space.shown().take(old).skip(fixed) {
            if left <= window * low {
                break;
            }
            left -= f64::from(one.tokens);
            plan.evict.push(eviction(one.id, one.tokens, Need::default()));
        }
    }
    plan.breakpoints = ends(situation, &plan.evict, &[]);
    plan
}

fn eviction(page: PageId, tokens: u32, need: Need) -> Eviction {
    Eviction { page, tokens, chance_ppm: need.chance_ppm, gap_16ths: need.gap_16ths, loss: 0 }
}

/// The static part, a place more, and the end.
fn ends(situation: &Situation<'_>, gone: &[Eviction], more: &[PageId]) -> Vec<PageId> {
    let stays = |id: &PageId| gone.binary_search_by_key(id, |one| one.page).is_err();
    let shown = situation.space.shown().map(|one| one.id);
    let mut places: Vec<PageId> = more.to_vec();
    places.extend(situation.space.shown().next().map(|one| one.id));
    places.extend(shown.rev().find(stays));
    places.sort_unstable();
    places.dedup();
    places
}

/// The batch eviction and the rent-or-buy rule of the study, as it simulated them.
#[derive(Debug)]
pub(crate) struct Study {
    high: f64,
    low: f64,
    /// What a fault costs beside its tokens.
    fault: f64,
    /// Calls of rent for each call that a page has been idle; none without the rule.
    rent: Option<f64>,
    state: Mutex<StudyState>,
}

/// What it remembers.
#[derive(Debug, Default)]
struct StudyState {
    anchor: Option<PageId>,
    waits_for: Option<PageId>,
    planned: Option<PageId>,
}

/// Calls beyond which it does not look.
const HORIZON: f64 = 40.0;
/// Tokens that a cut by the rule has to free.
const FREED_MIN: f64 = 1_500.0;
/// How far below the high watermark a cut is planned.
const AHEAD: f64 = 0.05;
/// Places that are tried.
const PLACES: usize = 32;

#[derive(Debug, Clone, Copy)]
struct Item {
    page: PageId,
    block: u32,
    size: u32,
    tokens: f64,
    frees: f64,
    stub: bool,
    free: bool,
    need: Need,
    idle: f64,
}

impl Replacement for Study {
    fn name(&self) -> &'static str {
        if self.rent.is_some() { "rob" } else { "cvb" }
    }

    fn plan(&self, situation: &Situation<'_>, _: &mut Memo) -> Plan {
        let Ok(mut state) = self.state.lock() else { return Plan::default() };
        let window = situation.window.0 as f64;
        let mut total = situation.space.total().0 as f64;
        let items = items(situation);
        let mut gone: Vec<usize> = Vec::new();
        if self.rent.is_some() {
            gone = self.rule(situation, &items, &mut state);
            total -=
                gone.iter().filter_map(|at| items.get(*at)).map(|item| item.frees).sum::<f64>();
        }
        let is_over = total > window * self.high;
        if gone.is_empty() && (is_over || total > window * (self.high - AHEAD)) {
            let low = window * self.low;
            let top = if is_over { total } else { window * (self.high + AHEAD) };
            let known = state.planned.filter(|_| is_over);
            let chosen = match self.rent {
                None => tight(situation, &items, top - low, known, self.fault)
                    .or_else(|| tight(situation, &items, top - low, None, self.fault)),
                Some(_) => self
                    .pressed(situation, &items, top - low, known)
                    .or_else(|| self.pressed(situation, &items, top - low, None)),
            };
            if let Some(chosen) = chosen.filter(|chosen| !chosen.is_empty()) {
                let first = chosen.first().copied().unwrap_or_default();
                state.anchor = first.checked_sub(1).and_then(|at| items.get(at)).map(|i| i.page);
                state.planned = items.get(first).filter(|_| !is_over).map(|item| item.page);
                if is_over {
                    gone = chosen;
                }
            }
        }
        let mut evict: Vec<Eviction> = gone
            .iter()
            .filter_map(|at| items.get(*at))
            .map(|item| eviction(item.page, item.size, item.need))
            .collect();
        let freed: f64 = gone.iter().filter_map(|at| items.get(*at)).map(|item| item.frees).sum();
        let mut leave = Leave::Apart;
        if total - if is_over { freed } else { 0.0 } > window * self.high && evict.is_empty() {
            let plan = oldest(situation, self.high, self.low, (situation.window.0 / 10).min(4_000));
            (evict, leave) = (plan.evict, plan.leave);
        }
        let anchor: Vec<PageId> = state.anchor.into_iter().collect();
        let breakpoints = ends(situation, &evict, &anchor);
        Plan { evict, leave, breakpoints, ..Plan::default() }
    }
}

fn items(situation: &Situation<'_>) -> Vec<Item> {
    let space = situation.space;
    let stub = f64::from(space.stub_tokens());
    let mut left = 3_000_f64.min(situation.window.0 as f64 * 0.08);
    let mut items: Vec<Item> = space
        .shown()
        .map(|one| {
            let tokens = f64::from(one.tokens);
            Item {
                page: one.id,
                block: one.page.block.0,
                size: one.tokens,
                tokens,
                frees: if one.is_stub() { tokens } else { tokens - stub },
                stub: one.is_stub(),
                free: false,
                need: situation.needs.need(one.page, space.step(), space.turns()),
                idle: f64::from(space.step() - one.page.last_used.min(space.step())),
            }
        })
        .collect();
    for item in items.iter_mut().skip(space.fixed()).rev() {
        item.free = left < 0.0;
        left -= item.tokens;
    }
    items
}

fn chance(item: &Item) -> f64 {
    f64::from(item.need.chance_ppm) / 1e6
}

fn starts(items: &[Item], at: usize) -> bool {
    let block = |at: usize| items.get(at).map(|item| item.block);
    at.checked_sub(1).is_some_and(|before| block(before) != block(at))
}

/// Frees so much behind some place at the least price of survivors and faults.
fn tight(
    situation: &Situation<'_>,
    items: &[Item],
    need: f64,
    known: Option<PageId>,
    fault: f64,
) -> Option<Vec<usize>> {
    let (read, write) = prices(situation);
    let fault = fault + read * situation.space.total().0 as f64 + 200.0;
    let loss = |item: &Item| {
        if item.stub {
            0.02 * item.tokens
        } else {
            chance(item) * (fault + write * item.tokens) + 1e-6 * item.tokens
        }
    };
    let mut order: Vec<(f64, usize)> = items
        .iter()
        .enumerate()
        .filter(|(_, item)| item.free)
        .map(|(at, item)| (loss(item) / item.frees.max(1.0), at))
        .collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut behind = vec![0.0; items.len() + 1];
    for (at, item) in items.iter().enumerate().rev() {
        let after = behind.get(at + 1).copied().unwrap_or_default();
        if let Some(sum) = behind.get_mut(at) {
            *sum = after + item.tokens;
        }
    }
    let places: Vec<usize> = (0..items.len())
        .filter(|at| items.get(*at).is_some_and(|i| i.free) && starts(items, *at))
        .collect();
    let places: Vec<usize> = match known {
        Some(page) => {
            places.into_iter().filter(|at| items.get(*at).is_some_and(|i| i.page == page)).collect()
        }
        None if places.len() > PLACES => (0..PLACES)
            .filter_map(|k| places.get(k * (places.len() - 1) / (PLACES - 1)).copied())
            .collect(),
        None => places,
    };
    let mut best: Option<(f64, Vec<usize>)> = None;
    for place in places {
        let (mut freed, mut losses, mut chosen) = (0.0, 0.0, Vec::new());
        for (_, at) in order.iter().filter(|(_, at)| *at >= place) {
            let Some(item) = items.get(*at) else { continue };
            chosen.push(*at);
            freed += item.frees;
            losses += loss(item);
            if freed >= need {
                break;
            }
        }
        let first = chosen.iter().min().copied().unwrap_or_default();
        let after = behind.get(first).copied().unwrap_or_default();
        let cost = (write - read) * (after - freed) + losses;
        if freed >= need && best.as_ref().is_none_or(|(least, _)| cost < *least) {
            best = Some((cost, chosen));
        }
    }
    best.map(|(_, mut chosen)| {
        chosen.sort_unstable();
        chosen
    })
}

fn prices(situation: &Situation<'_>) -> (f64, f64) {
    (situation.rules.read as f64 / 1000.0, situation.rules.write as f64 / 1000.0)
}

impl Study {
    /// Between two parts of the window, at a price of a fault; with the rule, if rent is given.
    pub(crate) fn new((high, low): (f64, f64), fault: f64, rent: Option<f64>) -> Self {
        Self { high, low, fault, rent, state: Mutex::default() }
    }

    fn horizon(situation: &Situation<'_>) -> f64 {
        f64::from(situation.space.step()).clamp(5.0, HORIZON)
    }

    /// What it brings to evict each entry, with a price of space added.
    fn gains(&self, situation: &Situation<'_>, items: &[Item], space: f64, rent: bool) -> Vec<f64> {
        let (read, write) = prices(situation);
        let horizon = Self::horizon(situation);
        let fault = self.fault + read * situation.space.total().0 as f64 + 200.0;
        let gain = |item: &Item| {
            if !item.free {
                return 0.0;
            }
            if item.stub {
                return if space > 0.0 { 0.3 * space * horizon * item.tokens } else { -1e-9 };
            }
            let calls = match self.rent {
                Some(beta) if rent => horizon.min(beta * item.idle).max(1.0),
                _ => horizon,
            };
            let p = chance(item);
            let gap = f64::from(item.need.gap_16ths) / 16.0;
            (read + space) * item.frees.max(0.0) * ((1.0 - p) * calls + p * calls.min(gap))
                - p * (fault + write * item.tokens)
        };
        items.iter().map(gain).collect()
    }

    /// The best place to cut and what it frees; at least `least`, if given.
    fn best(
        situation: &Situation<'_>,
        items: &[Item],
        gains: &[f64],
        least: Option<(f64, Option<PageId>)>,
    ) -> Option<(usize, f64)> {
        let (read, write) = prices(situation);
        let stub = f64::from(situation.space.stub_tokens());
        let (mut survivors, mut gained, mut freed) = (0.0, 0.0, 0.0);
        let mut best: Option<(usize, f64)> = None;
        let mut most = if least.is_some() { f64::MIN } else { 0.0 };
        for (at, (item, gain)) in items.iter().zip(gains).enumerate().skip(1).rev() {
            if !(item.free && *gain > 0.0) {
                survivors += item.tokens;
                continue;
            }
            gained += gain;
            freed += item.frees;
            survivors += stub;
            let value = gained - (write - read) * survivors;
            let fits = least.is_none_or(|(least, known)| {
                freed >= least && known.is_none_or(|page| page == item.page)
            });
            if fits && value > most && starts(items, at) {
                most = value;
                best = Some((at, freed));
            }
        }
        best
    }

    fn taken(items: &[Item], gains: &[f64], from: usize) -> Vec<usize> {
        let all = items.iter().zip(gains).enumerate().skip(from);
        all.filter(|(_, (item, gain))| item.free && **gain > 0.0).map(|(at, _)| at).collect()
    }

    /// The rule, at each call: cut when the rent has reached the price.
    fn rule(
        &self,
        situation: &Situation<'_>,
        items: &[Item],
        state: &mut StudyState,
    ) -> Vec<usize> {
        let gains = self.gains(situation, items, 0.0, true);
        let Some((at, freed)) = Self::best(situation, items, &gains, None) else {
            return Vec::new();
        };
        let before = at.checked_sub(1).and_then(|at| items.get(at)).map(|item| item.page);
        let page = items.get(at).map(|item| item.page);
        let is_anchored = state.anchor == before || state.waits_for == page;
        state.anchor = before;
        if freed >= FREED_MIN && is_anchored {
            return Self::taken(items, &gains, at);
        }
        state.waits_for = page;
        Vec::new()
    }

    /// Under pressure the price of space is raised until enough comes free.
    fn pressed(
        &self,
        situation: &Situation<'_>,
        items: &[Item],
        need: f64,
        known: Option<PageId>,
    ) -> Option<Vec<usize>> {
        let (mut low, mut high, mut space) = (0.0, None, 0.0);
        let mut chosen = None;
        for _ in 0..16 {
            let gains = self.gains(situation, items, space, false);
            match Self::best(situation, items, &gains, Some((need, known))) {
                Some((at, _)) => {
                    chosen = Some(Self::taken(items, &gains, at));
                    high = Some(space);
                }
                None => low = space,
            }
            if chosen.is_some() && space == 0.0 {
                break;
            }
            space = match high {
                None if space == 0.0 => 0.02,
                None => space * 2.0,
                Some(high) => f64::midpoint(low, high),
            };
            if high.is_some_and(|high| high - low < 0.01 * high) {
                break;
            }
        }
        chosen
    }
}

//! Room for a call: what is used is noted, the policy plans, and what it plans is carried out.

use std::collections::BTreeSet;

use aosk_abi::{Hash, PageId, PageKind, Timestamp, Tokens};

use super::{Memory, STUB_TOKENS};
use crate::memory::{
    AddressSpace, CacheRules, Cut, CutCause, Ended, Eviction, Learner, Memo, NeedTable, Page, Plan,
    Prefer, Replacement, Residency, Shown, Situation, close_what_pays, emergency,
    keep_before_tasks, summarising,
};

/// What a summary takes at most, and the part of the window that it takes at most.
const SUMMARY_TOKENS_MAX: u64 = 2_000;
const SUMMARY_SHARE: u64 = 8;

/// The part of the window that a task may take and be pinned.
const TASK_SHARE: u64 = 4;

/// A token in so many is left free where the count is an estimate that was corrected.
const MARGIN: u64 = 50;

/// A task is pinned at the first calls only, so that one that was let go stays so.
const FIRST_MESSAGES: u32 = 4;

/// What is kept of what was too long, in thousandths.
const SHRINK_TO: u64 = 800;

/// What a provider refused is more than it takes; so much of it is what is tried again at most.
const CEILING: u64 = 900;

/// At this part of what was too long it is worth asking again, in thousandths.
const SHRUNK: u64 = 950;

/// What is planned for, beside the process itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms<'a> {
    pub(crate) policy: &'static dyn Replacement,
    pub(crate) prefer: Prefer,
    /// What the provider takes at most, less the answer.
    pub(crate) limit: Option<Tokens>,
    pub(crate) cache: &'static CacheRules,
    pub(crate) long_cache: Option<&'static CacheRules>,
    /// What is known of needs before a process has shown its own.
    pub(crate) seeds: &'a NeedTable,
    pub(crate) now: Timestamp,
    /// Whether a model may be asked for summaries: then none is made without one.
    pub(crate) asks_summaries: bool,
}

/// What came of planning a call.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) plan: Plan,
    /// What would have been shown without it.
    pub(crate) before: Tokens,
    /// What the model may be shown, in tokens of the estimate.
    pub(crate) window: Tokens,
    pub(crate) long_lived: bool,
}

impl Memory {
    /// Makes room for a call, and says what is done for it. What the tools take and which pages the
    /// last answer used is noted first.
    pub(crate) fn plan(&mut self, tools: Tokens, uses: &[PageId], terms: &Terms<'_>) -> Planned {
        let tools = u32::try_from(tools.0).unwrap_or(u32::MAX);
        self.space.resize(PageId(0), tools);
        let window = self.window_of(terms.limit);
        self.window = terms.limit.or(self.ceiling).map(|_| window);
        self.pin_task(window);
        self.learn(uses, window, terms.seeds);
        let (short, long) = (terms.cache, terms.long_cache);
        let long = long.filter(|long| {
            self.memo.waited(short, long, terms.now);
            self.memo.wants_long(short, long, self.space.total())
        });
        let rules = long.unwrap_or(short);
        let before = self.space.total();
        let plan = self.make_room(window, rules, terms);
        Planned { plan, before, window, long_lived: long.is_some() }
    }

    /// What may be shown, in tokens of the estimate.
    fn window_of(&self, limit: Option<Tokens>) -> Tokens {
        let unbounded = Tokens(u64::from(u32::MAX));
        let room = limit.map_or(unbounded, |limit| Self::room(limit, self.scale));
        self.ceiling.map_or(room, |ceiling| room.min(ceiling))
    }

    /// The tokens of the estimate that fit below a provider's limit, if it is expected to count `scale`
    /// for a thousand of them, as [`Self::corrected`] has it.
    #[must_use]
    pub fn room(limit: Tokens, scale: u64) -> Tokens {
        if scale == 1_000 {
            return limit;
        }
        let safe = limit.0.saturating_sub(limit.0 / MARGIN);
        // What was counted too high is other than what comes next: two thirds of it are believed.
        let believed = scale.saturating_add(1_000_u64.saturating_sub(scale) / 3);
        let window = safe.saturating_mul(1_000) / believed.max(1);
        // What is all but exact is taken as it is.
        Tokens(if scale < 1_000 { window.max(limit.0) } else { window })
    }

    /// The task stays, as much of its beginning as leaves room for other things.
    fn pin_task(&mut self, window: Tokens) {
        let is_task = |page: &Page| matches!(page.kind, PageKind::User | PageKind::Task);
        let fixed = self.space.fixed();
        let first = self.space.shown().skip(fixed).find(|one| one.page.kind != PageKind::System);
        let Some(first) = first.filter(|one| is_task(one.page) && one.page.part == 0) else {
            return;
        };
        let source = first.page.source;
        if first.page.pinned || self.taken.0.saturating_sub(source.0) > FIRST_MESSAGES {
            return;
        }
        let mut left = window.0 / TASK_SHARE;
        let pages = self.space.pages_of(source);
        let pages = pages.take_while(|(_, page)| page.residency == Residency::Resident);
        let pages = pages.map_while(|(id, page)| {
            left = left.checked_sub(u64::from(page.tokens))?;
            Some(id)
        });
        for id in pages.collect::<Vec<PageId>>() {
            // There is such a page.
            let _set = self.space.pin(id, true);
        }
    }

    /// Notes what was used. A process learns its own needs once it has filled half a window.
    fn learn(&mut self, uses: &[PageId], window: Tokens, seeds: &NeedTable) {
        if self.learnt.is_none() && self.space.appended().0 > window.0 / 2 {
            self.learnt = Some(Box::new((Learner::default(), seeds.clone())));
        }
        let uses = uses.iter().filter(|page| **page != PageId(0));
        let Some((learner, table)) = self.learnt.as_deref_mut() else {
            for page in uses {
                self.space.touch(*page);
            }
            return;
        };
        for page in uses {
            learner.touch(&mut self.space, table, *page);
        }
        learner.call(&self.space, table);
    }

    fn make_room(&mut self, window: Tokens, rules: &'static CacheRules, terms: &Terms<'_>) -> Plan {
        let stubs = self.stubs();
        let mut closed = Vec::new();
        let paid = self.close_what_pays(window, rules, terms, &mut closed);
        let mut plan = self.plan_behind_tasks(window, rules, terms, &mut closed);
        if plan.summarise.is_some() && terms.asks_summaries {
            note_closed(&mut plan, paid, closed);
            return plan;
        }
        self.space.apply(&plan);
        if let Some(range) = plan.summarise.take() {
            self.summarise(range, (Self::summary_tokens(window), None), rules, &mut plan);
        }
        if self.space.total() > window {
            closed.extend(self.space.close(PageId(0)));
        }
        note_closed(&mut plan, paid, closed);
        self.free_the_rest(window, rules, terms, &stubs, plan)
    }

    /// Lets the oldest go while what is shown does not fit, and puts what left into the plan in order.
    fn free_the_rest(
        &mut self,
        window: Tokens,
        rules: &'static CacheRules,
        terms: &Terms<'_>,
        stubs: &BTreeSet<PageId>,
        mut plan: Plan,
    ) -> Plan {
        // No call is made that must fail: the oldest goes if the policy did not free enough. It goes
        // with room to spare, or the next call would be cut too.
        while self.space.total() > window {
            let rest = self.choose(window, rules, terms, emergency);
            let freed = self.space.apply(&rest);
            // What was made a stub a moment ago may have been merged with others.
            let left: BTreeSet<PageId> = plan.evict.iter().map(|one| one.page).collect();
            plan.evict.extend(rest.evict.into_iter().filter(|one| !left.contains(&one.page)));
            plan.evict.sort_unstable_by_key(|one| one.page);
            plan.cut = match (plan.cut, rest.cut) {
                (Some(cut), Some(more)) => Some(cut.and(&more)),
                (one, other) => one.or(other),
            };
            plan.breakpoints = rest.breakpoints;
            // When no page is left that may go, summaries do.
            if freed == Tokens::ZERO && self.space.unsummarise() == Tokens::ZERO {
                break;
            }
        }
        // A stub that answers a call which is shown stays where it is, whatever was planned.
        plan.evict.retain(|one| !stubs.contains(&one.page) || !self.is_stub(one.page));
        plan.evict.retain(|one| !self.is_resident(one.page));
        plan.excess = self.space.total().saturating_sub(window);
        plan
    }

    /// Carries out a summary for which a model was asked, and that is all that is planned for the call.
    pub(crate) fn summarised(
        &mut self,
        range: (PageId, PageId),
        text: Option<(Hash, Tokens)>,
        terms: &Terms<'_>,
    ) -> Planned {
        let window = self.window_of(terms.limit);
        self.window = terms.limit.or(self.ceiling).map(|_| window);
        let rules = terms
            .long_cache
            .filter(|long| self.memo.wants_long(terms.cache, long, self.space.total()));
        let long_lived = rules.is_some();
        let rules = rules.unwrap_or(terms.cache);
        let (before, stubs) = (self.space.total(), self.stubs());
        let mut plan = self
            .choose(window, rules, terms, |situation, memo| summarising(situation, memo, range));
        plan.summarise = None;
        let most = Self::summary_tokens(window);
        let (text, tokens) =
            text.map_or((None, most), |(text, tokens)| (Some(text), tokens.min(most)));
        self.summarise(range, (tokens, text), rules, &mut plan);
        let plan = self.free_the_rest(window, rules, terms, &stubs, plan);
        Planned { plan, before, window, long_lived }
    }

    /// The most that a summary takes.
    pub(crate) fn summary_tokens(window: Tokens) -> Tokens {
        Tokens(SUMMARY_TOKENS_MAX.min(window.0 / SUMMARY_SHARE).max(STUB_TOKENS.into()))
    }

    fn stubs(&self) -> BTreeSet<PageId> {
        self.space.shown().filter(Shown::is_stub).map(|one| one.id).collect()
    }

    /// Closes tasks that have ended, if that pays by itself.
    fn close_what_pays(
        &mut self,
        window: Tokens,
        rules: &'static CacheRules,
        terms: &Terms<'_>,
        closed: &mut Vec<(PageId, u32)>,
    ) -> Option<Cut> {
        let paying = |situation: &Situation<'_>, memo: &mut Memo| {
            let (from, cut) = close_what_pays(situation, memo)?;
            memo.closed(from, situation.rules, situation.now);
            Some((from, cut))
        };
        let paid = self.choose(window, rules, terms, paying);
        let (from, cut) = paid?;
        closed.extend(self.space.close(from));
        Some(cut)
    }

    /// What the policy plans. Where it cuts, what ended tasks left behind that place goes first.
    fn plan_behind_tasks(
        &mut self,
        window: Tokens,
        rules: &'static CacheRules,
        terms: &Terms<'_>,
        closed: &mut Vec<(PageId, u32)>,
    ) -> Plan {
        loop {
            self.choose(window, rules, terms, keep_before_tasks);
            let before = self.memo.clone();
            let plan = self
                .choose(window, rules, terms, |situation, memo| terms.policy.plan(situation, memo));
            let first = plan.evict.first().map(|one| one.page);
            let first = first.into_iter().chain(plan.summarise.map(|(first, _)| first)).min();
            let left = first.map(|first| self.space.close(first)).unwrap_or_default();
            let Some((from, _)) = left.first().copied() else {
                return plan;
            };
            closed.extend(left);
            self.memo = before;
            self.memo.closed(from, rules, terms.now);
        }
    }

    fn is_resident(&self, id: PageId) -> bool {
        self.space.page(id).is_some_and(|page| page.residency == Residency::Resident)
    }

    fn is_stub(&self, id: PageId) -> bool {
        self.space.page(id).is_some_and(|page| page.residency == Residency::Stub)
    }

    /// Lets a summary stand in the place of a range, and notes in the plan what leaves for it.
    fn summarise(
        &mut self,
        range: (PageId, PageId),
        (tokens, text): (Tokens, Option<Hash>),
        rules: &CacheRules,
        plan: &mut Plan,
    ) {
        let before = self.space.total();
        let resident = |space: &AddressSpace| {
            let shown = space.shown().filter(|one| !one.is_stub());
            shown.map(|one| (one.id, one.tokens)).collect::<Vec<_>>()
        };
        let was = resident(&self.space);
        self.space.summarise(range, u32::try_from(tokens.0).unwrap_or(u32::MAX), text);
        self.memo.spare.clear();
        let stays: BTreeSet<PageId> = resident(&self.space).into_iter().map(|(id, _)| id).collect();
        let left = was.into_iter().filter(|(id, _)| !stays.contains(id));
        plan.evict = left
            .map(|(page, tokens)| Eviction { page, tokens, chance_ppm: 0, gap_16ths: 0, loss: 0 })
            .collect();
        let after = self.space.total();
        let rewritten = after.saturating_sub(self.space.unchanged().tokens);
        plan.cut = (!plan.evict.is_empty()).then(|| Cut {
            cause: CutCause::Pressure,
            freed: before.saturating_sub(after),
            rewritten,
            price: rules.rewrite().saturating_mul(rewritten.0),
            loss: 0,
            growth: self.memo.growth(),
        });
    }

    fn choose<T>(
        &mut self,
        window: Tokens,
        rules: &'static CacheRules,
        terms: &Terms<'_>,
        how: impl FnOnce(&Situation<'_>, &mut Memo) -> T,
    ) -> T {
        let needs = self.learnt.as_deref().map_or(terms.seeds, |(_, table)| table);
        let ended = Ended { space: &self.space, needs };
        let situation = Situation {
            space: &self.space,
            window,
            rules,
            needs: if self.space.arenas().is_unused() { needs } else { &ended },
            prefer: terms.prefer,
            now: terms.now,
        };
        how(&situation, &mut self.memo)
    }

    /// Frees part of the window after a provider said that what was sent is too long, and says
    /// whether that is enough to ask again.
    pub(crate) fn shrink(&mut self, terms: &Terms<'_>) -> (Planned, bool) {
        let sent = self.space.total();
        // What was sent is more than the provider takes, whatever the estimate says. That is kept to.
        let part = |thousandths: u64| Tokens(sent.0.saturating_mul(thousandths) / 1_000);
        let window = part(SHRINK_TO);
        let ceiling = part(CEILING);
        self.ceiling = Some(self.ceiling.map_or(ceiling, |lower| lower.min(ceiling)));
        self.window = Some(window);
        let plan = self.make_room(window, terms.cache, terms);
        let left = self.space.total().0.saturating_mul(1_000);
        let freed = self.space.total() < sent && left <= sent.0.saturating_mul(SHRUNK);
        // Not all of it need go for another try.
        self.window = Some(window.max(self.space.total()));
        (Planned { plan, before: sent, window, long_lived: false }, freed)
    }
}

/// Notes in a plan what left because its task has ended.
fn note_closed(plan: &mut Plan, paid: Option<Cut>, closed: Vec<(PageId, u32)>) {
    if closed.is_empty() {
        return;
    }
    let left: BTreeSet<PageId> = plan.evict.iter().map(|one| one.page).collect();
    let closed = closed.into_iter().filter(|(page, _)| !left.contains(page));
    plan.evict.extend(closed.map(|(page, tokens)| Eviction {
        page,
        tokens,
        chance_ppm: 0,
        gap_16ths: 0,
        loss: 0,
    }));
    plan.evict.sort_unstable_by_key(|one| one.page);
    plan.cut = match (plan.cut, paid) {
        (Some(cut), Some(paid)) => Some(paid.and(&cut)),
        (Some(cut), None) | (None, Some(cut)) => Some(cut),
        (None, None) => Some(Cut { cause: CutCause::Task, ..Cut::default() }),
    };
}

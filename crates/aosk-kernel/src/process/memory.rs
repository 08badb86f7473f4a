//! The memory of a process: its page table, and what is remembered from call to call.
//!
//! Kept is where each page is and what stands in its place; it stands in the row of the message that
//! holds the page. How often and how lately pages were used, what the provider has in its cache and
//! how its tokens compare with the estimate is not kept: after a crash it begins anew, and the next
//! cut may choose other pages.

use std::collections::BTreeSet;
use std::sync::Arc;

use aosk_abi::{
    Form, Frame, MissReason, PageId, PageIndex, PageKind, Piece, TEXT_END, ThinkOptions, Timestamp,
    Tokens, Usage, Window, limits,
};
use serde::{Deserialize, Serialize};

use super::ModelCall;
use crate::memory::{
    AddressSpace, ArenaId, BlockId, CacheRules, Cut, CutCause, Eviction, GroupId, Kept, Learner,
    Memo, MemoryError, NeedTable, NewPage, Page, Plan, Prefer, Replacement, Residency, Situation,
    emergency,
};

/// The memory of a process. Two are equal if what is kept of them is.
#[derive(Debug, Clone)]
pub struct Memory {
    space: AddressSpace,
    memo: Memo,
    /// What it learns of its own needs, once it has reason to.
    learnt: Option<Box<(Learner, NeedTable)>>,
    /// Tokens that the provider counts for a thousand of the estimate.
    scale: u64,
    /// The last call.
    last: Option<LastCall>,
    /// Messages that the table has.
    taken: PageIndex,
    /// The group of calls whose results come next.
    calls: GroupId,
    /// What the model may be shown, by the last call.
    window: Option<Tokens>,
    /// Whether the provider ever said that it read something from its cache.
    told_reads: bool,
    /// What the call under way has in common with the one before it.
    common: Common,
}

impl PartialEq for Memory {
    fn eq(&self, other: &Self) -> bool {
        let messages = (0..self.taken.0).map(PageIndex);
        self.taken == other.taken
            && messages.into_iter().all(|source| self.entries(source) == other.entries(source))
    }
}

/// What a call has in common with the one before it.
#[derive(Debug, Default, Clone, Copy)]
struct Common {
    /// Leading tokens.
    tokens: Tokens,
    /// Why the provider cannot be expected to have them in its cache.
    miss: Option<MissReason>,
}

/// What is remembered of a call for the next.
#[derive(Debug, Clone)]
struct LastCall {
    options: Arc<ThinkOptions>,
    /// What was sent, in tokens of the estimate.
    sent: Tokens,
}

/// What a stub takes at most: two lines, and what a message has around it.
pub const STUB_TOKENS: u32 = 80;

/// What a summary takes at most, and the part of the window that it takes at most.
const SUMMARY_TOKENS_MAX: u64 = 2_000;
const SUMMARY_SHARE: u64 = 8;

/// The part of the window that a task may take and be pinned.
const TASK_SHARE: u64 = 4;

/// The part of the window that may be pinned, in thousandths.
const PINS_SHARE: u64 = 500;

/// The least and the most that a provider's count is believed to be, for a thousand of the estimate.
const SCALE: std::ops::RangeInclusive<u64> = 500..=4_000;

/// A token in so many is left free where the count is an estimate that was corrected.
const MARGIN: u64 = 50;

/// A hit may fall short by so many tokens and still be one: blocks, and what providers put around
/// messages.
const MISS_SLACK: u64 = 2_048;

/// What is kept of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What it holds.
    pub kind: PageKind,
    /// Its tokens in a request.
    pub tokens: u32,
    /// Where it ends in the text of the message, in bytes.
    #[serde(default = "text_end", skip_serializing_if = "is_text_end")]
    pub end: u32,
    /// Whether it is pinned.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pinned: bool,
    /// Whether it answers a call of the model's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub answers: bool,
    /// Where it is.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub kept: Kept,
}

fn text_end() -> u32 {
    TEXT_END
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_text_end(end: &u32) -> bool {
    *end == TEXT_END
}

fn is_usual(kept: &Kept) -> bool {
    *kept == Kept::default()
}

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
}

/// What came of planning a call.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) plan: Plan,
    /// Why it was made in the end.
    pub(crate) before: Tokens,
    /// What the model may be shown, in tokens of the estimate.
    pub(crate) window: Tokens,
    pub(crate) long_lived: bool,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Memory {
    /// Of a process that has no log.
    pub(crate) fn new() -> Self {
        let mut space = AddressSpace::new(STUB_TOKENS);
        // The first page is what the tools take that are offered. It is of no message.
        space.append(NewPage {
            kind: PageKind::Tools,
            tokens: 0,
            group: GroupId(0),
            block: BlockId(0),
            arena: ArenaId(0),
            source: PageIndex(0),
            part: 0,
            end: TEXT_END,
            importance: 500,
            pinned: false,
        });
        Self {
            space,
            memo: Memo::default(),
            learnt: None,
            scale: 1_000,
            last: None,
            taken: PageIndex(0),
            calls: GroupId(0),
            window: None,
            told_reads: false,
            common: Common::default(),
        }
    }

    /// The page table.
    #[must_use]
    pub fn space(&self) -> &AddressSpace {
        &self.space
    }

    /// How many messages of the log the page table has.
    #[must_use]
    pub fn taken(&self) -> PageIndex {
        self.taken
    }

    /// What the model may be shown, by the last call, in tokens of the estimate; none before the first
    /// or if it is not known.
    #[must_use]
    pub fn window(&self) -> Option<Tokens> {
        self.window
    }

    /// The tokens a provider is expected to count for so many of the estimate; never fewer than the
    /// estimate.
    pub(crate) fn scaled(&self, estimate: Tokens) -> Tokens {
        Tokens(estimate.0.saturating_mul(self.scale.max(1_000)).div_ceil(1_000))
    }

    /// Takes new messages into the table. Returns the copies among them, with their originals.
    ///
    /// # Errors
    /// What is wrong with them, if the log has other messages.
    pub(crate) fn take_in(
        &mut self,
        log: PageIndex,
        pieces: &[Piece],
    ) -> Result<Vec<(PageId, PageId)>, String> {
        self.check_pieces(log, pieces)?;
        let mut copies = Vec::new();
        let (mut before, mut part) = (None, 0_u16);
        for piece in pieces {
            part = if before == Some(piece.source) { part.saturating_add(1) } else { 0 };
            before = Some(piece.source);
            // A page that is no longer known is no copy of anything.
            let copy_of = piece.copy_of.filter(|page| self.is_of_log(*page));
            let original = copy_of.and_then(|page| self.space.page(page)).map(|page| page.original);
            let new = self.new_page(part, piece);
            let id = match original {
                Some(original) => self.space.recall_as(original, new),
                None => self.space.append(new),
            };
            copies.extend(original.map(|original| (original, id)));
        }
        self.taken = log;
        // What is new is written with the rest of it.
        Ok(copies)
    }

    fn check_pieces(&self, log: PageIndex, pieces: &[Piece]) -> Result<(), String> {
        let mut source = self.taken;
        let mut end = TEXT_END;
        let mut count = 0_u16;
        for piece in pieces {
            if end == TEXT_END {
                count = 0;
                if piece.source != source {
                    return Err(format!(
                        "the page table wants message {source} of the log and gets {}",
                        piece.source
                    ));
                }
                source = PageIndex(source.0.saturating_add(1));
                end = 0;
            } else if piece.source.0.saturating_add(1) != source.0 {
                return Err(format!(
                    "message {} of the log has no end",
                    source.0.saturating_sub(1)
                ));
            }
            count = count.saturating_add(1);
            if count > limits::PIECES_MAX {
                let most = limits::PIECES_MAX;
                return Err(format!("message {} has more than {most} pages", piece.source));
            }
            if piece.end < end || (piece.end == end && end > 0) {
                return Err(format!("a page of message {} ends before it begins", piece.source));
            }
            end = piece.end;
        }
        if source != log || end != TEXT_END {
            return Err(format!("the page table has {source} messages, the log {log}"));
        }
        Ok(())
    }

    /// Takes in a message as it was kept.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn restore(&mut self, source: PageIndex, entries: &[Entry]) -> Result<(), String> {
        if entries.is_empty() {
            return Ok(());
        }
        if source != self.taken {
            return Err("the page table has a gap before it".to_owned());
        }
        if entries.len() > usize::from(limits::PIECES_MAX) {
            return Err("it has too many pages".to_owned());
        }
        let mut end = 0;
        for (part, entry) in (0..=limits::PIECES_MAX).zip(entries) {
            if entry.kept.copy_of.is_some_and(|page| !self.is_of_log(page)) {
                return Err("a page is a copy of one that is not there".to_owned());
            }
            if entry.end < end {
                return Err("a page ends before it begins".to_owned());
            }
            end = entry.end;
            let Entry { kind, tokens, end, pinned, answers, kept } = *entry;
            let piece = Piece { source, kind, tokens, end, answers, copy_of: None };
            let new = self.new_page(part, &piece);
            let id = self.space.restore(new, &kept);
            if pinned {
                // There is such a page.
                let _set = self.space.pin(id, true);
            }
        }
        self.taken = PageIndex(source.0.saturating_add(1));
        self.space.take_changed();
        Ok(())
    }

    /// Takes it over from the call that a process waits for how much its tools take.
    pub(crate) fn restore_tools(&mut self, call: &ModelCall) {
        let tools = call.estimate.saturating_sub(self.space.total());
        self.space.resize(PageId(0), u32::try_from(tools.0).unwrap_or(u32::MAX));
    }

    /// What is kept of the pages of a message; nothing if the table does not have it yet.
    pub(crate) fn entries(&self, source: PageIndex) -> Vec<Entry> {
        let entry = |(id, page): (PageId, &Page)| Entry {
            kind: page.kind,
            tokens: page.tokens,
            end: page.end,
            pinned: page.pinned,
            answers: page.group.0 != page.source.0.saturating_add(1),
            kept: self.space.kept(id),
        };
        self.space.pages_of(source).map(entry).collect()
    }

    fn new_page(&mut self, part: u16, piece: &Piece) -> NewPage {
        let number = piece.source.0.saturating_add(1);
        let own = GroupId(number);
        if piece.kind == PageKind::Assistant {
            self.calls = own;
        }
        let answers = piece.answers && self.calls != GroupId(0);
        NewPage {
            kind: piece.kind,
            tokens: piece.tokens,
            group: if answers { self.calls } else { own },
            block: BlockId(number),
            arena: ArenaId(0),
            source: piece.source,
            part,
            end: piece.end,
            importance: 500,
            pinned: false,
        }
    }

    /// Whether there is such a page, and it is one of a message.
    fn is_of_log(&self, page: PageId) -> bool {
        page != PageId(0) && self.space.page(page).is_some()
    }

    /// Makes room for a call, and says what is done for it. What the tools take and which pages the
    /// last answer used is noted first.
    pub(crate) fn plan(&mut self, tools: Tokens, uses: &[PageId], terms: &Terms<'_>) -> Planned {
        let tools = u32::try_from(tools.0).unwrap_or(u32::MAX);
        self.space.resize(PageId(0), tools);
        let window = self.window_of(terms.limit);
        self.window = terms.limit.map(|_| window);
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
        limit.map_or(unbounded, |limit| Self::room(limit, self.scale))
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

    /// The task stays, unless it is so long that nothing else has room.
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
        let pages = || self.space.pages_of(source);
        let tokens: u64 = pages().map(|(_, page)| u64::from(page.tokens)).sum();
        let is_whole = pages().all(|(_, page)| page.residency == Residency::Resident);
        if is_whole && tokens <= window.0 / TASK_SHARE {
            let pages: Vec<PageId> = pages().map(|(id, _)| id).collect();
            for id in pages {
                // There is such a page.
                let _set = self.space.pin(id, true);
            }
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
        let mut plan =
            self.choose(window, rules, terms, |situation, memo| terms.policy.plan(situation, memo));
        self.space.apply(&plan);
        if let Some(range) = plan.summarise {
            self.summarise(range, window, rules, &mut plan);
        }
        // No call is made that must fail: the oldest goes if the policy did not free enough.
        if self.space.total() > window {
            let rest = self.choose(window, rules, terms, |situation, memo| {
                emergency(situation, memo, window.0)
            });
            self.space.apply(&rest);
            // What was made a stub a moment ago may have been merged with others.
            let left: BTreeSet<PageId> = plan.evict.iter().map(|one| one.page).collect();
            plan.evict.extend(rest.evict.into_iter().filter(|one| !left.contains(&one.page)));
            plan.evict.sort_unstable_by_key(|one| one.page);
            plan.cut = plan.cut.or(rest.cut);
            plan.breakpoints = rest.breakpoints;
        }
        plan.excess = self.space.total().saturating_sub(window);
        plan
    }

    /// Lets a summary stand in the place of a range, and notes in the plan what leaves for it.
    fn summarise(
        &mut self,
        range: (PageId, PageId),
        window: Tokens,
        rules: &CacheRules,
        plan: &mut Plan,
    ) {
        let before = self.space.total();
        let resident = |space: &AddressSpace| {
            let shown = space.shown().filter(|one| !one.is_stub());
            shown.map(|one| (one.id, one.tokens)).collect::<Vec<_>>()
        };
        let was = resident(&self.space);
        let tokens = SUMMARY_TOKENS_MAX.min(window.0 / SUMMARY_SHARE).max(STUB_TOKENS.into());
        self.space.summarise(range, u32::try_from(tokens).unwrap_or(u32::MAX));
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

    fn choose(
        &mut self,
        window: Tokens,
        rules: &'static CacheRules,
        terms: &Terms<'_>,
        how: impl FnOnce(&Situation<'_>, &mut Memo) -> Plan,
    ) -> Plan {
        let situation = Situation {
            space: &self.space,
            window,
            rules,
            needs: self.learnt.as_deref().map_or(terms.seeds, |(_, table)| table),
            prefer: terms.prefer,
            now: terms.now,
        };
        how(&situation, &mut self.memo)
    }

    /// Frees part of the window after a provider said that what was sent is too long, and says
    /// whether that is enough to ask again.
    pub(crate) fn shrink(&mut self, terms: &Terms<'_>) -> (Planned, bool) {
        let sent = self.space.total();
        // What was sent is more than the provider takes, whatever the estimate says.
        let window = Tokens(sent.0.saturating_mul(SHRINK_TO) / 1_000);
        if let Some(limit) = terms.limit {
            let scale = limit.0.saturating_mul(1_000) / window.0.max(1);
            self.scale = scale.max(self.scale).clamp(*SCALE.start(), *SCALE.end());
        }
        self.window = Some(window);
        let plan = self.make_room(window, terms.cache, terms);
        let freed = self.space.total() < sent && plan.excess == Tokens::ZERO;
        (Planned { plan, before: sent, window, long_lived: false }, freed)
    }

    /// What is sent in a call, of a log whose messages have their bodies at these addresses.
    pub(crate) fn shown(&self, call: &ModelCall, log: &[super::Page]) -> Window {
        let mut window = Window { long_lived: call.long_lived, ..Window::default() };
        let unchanged = self.space.unchanged().entries;
        for (at, one) in self.space.shown().enumerate() {
            let page = one.page;
            if one.id == PageId(0) {
                continue;
            }
            let Some(mut frame) = self.frame(one.id, page, log) else { continue };
            frame.form = match (page.residency, page.summary) {
                (Residency::Stub, false) => Form::Stub { pages: page.extent, tokens: page.tokens },
                (Residency::Stub, true) => {
                    Form::Summary { pages: page.extent, tokens: page.stand_in }
                }
                (Residency::Resident | Residency::Evicted | Residency::Forgotten, _) => {
                    Form::Content
                }
            };
            window.frames.push(frame);
            if at < unchanged {
                window.unchanged = window.frames.len();
            }
            if call.breakpoints.contains(&one.id) {
                window.breakpoints.push(window.frames.len().saturating_sub(1));
            }
        }
        // A call of a kernel that had no page tables is made again with its whole log.
        let taken = usize::try_from(self.taken.0).unwrap_or(usize::MAX);
        for (source, page) in (self.taken.0..).map(PageIndex).zip(log.iter().skip(taken)) {
            window.frames.push(Frame {
                page: PageId(u32::MAX),
                body: page.hash,
                source,
                kind: PageKind::Message,
                text: (0, TEXT_END),
                form: Form::Content,
            });
        }
        window
    }

    /// The pages that what stands at a frame stands for, in order, the frame's own first.
    #[must_use]
    pub fn behind(&self, frame: &Frame, log: &[super::Page]) -> Vec<Frame> {
        let (Form::Stub { pages, .. } | Form::Summary { pages, .. }) = frame.form else {
            return Vec::new();
        };
        let is_away = |page: &&Page| page.residency != Residency::Resident;
        let ids = (frame.page.0..self.space.pages_u32()).map(PageId);
        let pages = ids
            .filter_map(|id| Some((id, self.space.page(id).filter(is_away)?)))
            .filter(|(id, page)| page.original == *id)
            .take(usize::try_from(pages).unwrap_or(usize::MAX));
        pages.filter_map(|(id, page)| self.frame(id, page, log)).collect()
    }

    fn frame(&self, id: PageId, page: &Page, log: &[super::Page]) -> Option<Frame> {
        let at = usize::try_from(page.source.0).ok()?;
        Some(Frame {
            page: id,
            body: log.get(at)?.hash,
            source: page.source,
            kind: page.kind,
            text: self.text_of(id, page),
            form: Form::Content,
        })
    }

    /// Whether a page, or a copy of it, is shown with its content.
    #[must_use]
    pub fn is_shown(&self, id: PageId, page: &Page) -> bool {
        let is_copy =
            |one: &Page| one.residency == Residency::Resident && one.original == page.original;
        // Copies are newer than what they are copies of, which may be shown itself.
        let mut newer = self.space.shown().rev().take_while(|one| one.id >= id.min(page.original));
        page.residency == Residency::Resident || newer.any(|one| is_copy(one.page))
    }

    /// Where a page begins and ends in the text of its message, in bytes.
    #[must_use]
    pub fn text_of(&self, id: PageId, page: &Page) -> (u32, u32) {
        let before = id.0.checked_sub(1).and_then(|before| self.space.page(PageId(before)));
        let from = before.filter(|before| before.source == page.source && page.part > 0);
        (from.map_or(0, |before| before.end), page.end)
    }

    /// An attempt of a call leaves with what is shown.
    pub(crate) fn sent(&mut self, call: &ModelCall, rules: &CacheRules, now: Timestamp) {
        // Nobody knows what a failed attempt left in the cache.
        self.common = match call.attempt {
            1 => self.common(&call.options, rules, now),
            _ => Common::default(),
        };
        self.memo.sent(&self.space, &call.breakpoints, now);
        self.space.sent();
        self.last = Some(LastCall { options: call.options.clone(), sent: self.space.total() });
    }

    fn common(&self, options: &ThinkOptions, rules: &CacheRules, now: Timestamp) -> Common {
        let Some(last) = &self.last else { return Common::default() };
        let expired = self.memo.last.is_some_and(|at| now.since(at) > rules.lifetime);
        let miss = if last.options.model != options.model {
            Some(MissReason::Model)
        } else if last.options.tools != options.tools {
            Some(MissReason::Tools)
        } else {
            expired.then_some(MissReason::Expired)
        };
        // Other tools stand before all else, so nothing would be the same.
        let tokens = if miss.is_some() { last.sent } else { self.space.unchanged().tokens };
        Common { tokens, miss }
    }

    /// Why a provider read less from its cache than the call has in common with the one before, and
    /// how much that is; none if it read what could be expected.
    pub(crate) fn missed(&self, usage: &Usage, rules: &CacheRules) -> Option<(MissReason, Tokens)> {
        let Common { tokens, miss } = self.common;
        let scaled = tokens.0.saturating_mul(self.scale) / 1_000;
        let slack = MISS_SLACK.max(scaled / 10);
        let is_cached = scaled >= u64::from(rules.minimum);
        // Many servers never say what they read from a cache.
        let is_told = self.told_reads || rules.breakpoints() > 0;
        let missed = usage.cache_read.0 < scaled.saturating_sub(slack);
        let reason = miss.unwrap_or(MissReason::Provider);
        (is_cached && is_told && missed && !usage.estimated).then_some((reason, tokens))
    }

    /// A call was answered: what the provider counted corrects the estimate.
    pub(crate) fn counted(&mut self, estimate: Tokens, usage: &Usage) {
        self.told_reads |= usage.cache_read > Tokens::ZERO;
        self.scale = Self::corrected(self.scale, estimate, usage);
    }

    /// What a provider is expected to count for a thousand tokens of the estimate after it has said
    /// what it counted, having been expected to count `scale`. It begins at a thousand.
    #[must_use]
    pub fn corrected(scale: u64, estimate: Tokens, usage: &Usage) -> u64 {
        let input = usage.input();
        if usage.estimated || estimate == Tokens::ZERO || input == Tokens::ZERO {
            return scale;
        }
        let ratio = input.0.saturating_mul(1_000) / estimate.0;
        // The longer the request, the less what stands around messages weighs in it.
        let scale = if scale == 1_000 { ratio } else { (scale * 3 + ratio) / 4 };
        scale.clamp(*SCALE.start(), *SCALE.end())
    }

    /// Pages that the model asks for. They are used, so that they do not leave again at once.
    ///
    /// # Errors
    /// If the process has not all of them, or one was forgotten.
    pub(crate) fn fault(&mut self, pages: &[PageId]) -> Result<Vec<(PageId, Page)>, MemoryError> {
        let mut found = Vec::with_capacity(pages.len());
        for id in pages {
            let page = self.space.page(*id).filter(|_| self.is_of_log(*id));
            let page = *page.ok_or(MemoryError::NoSuchPage(*id))?;
            if page.residency == Residency::Forgotten {
                return Err(MemoryError::Forgotten(*id));
            }
            found.push((*id, page));
        }
        for (id, _) in &found {
            match self.learnt.as_deref_mut() {
                Some((learner, table)) => learner.touch(&mut self.space, table, *id),
                None => self.space.touch(*id),
            }
        }
        Ok(found)
    }

    /// The page that is shown with the content of a page: itself, or the newest copy of it.
    ///
    /// # Errors
    /// If there is no such page, or it is not shown.
    pub(crate) fn shown_as(&self, id: PageId) -> Result<(PageId, u32), MemoryError> {
        let page = self.space.page(id).filter(|_| self.is_of_log(id));
        let original = page.ok_or(MemoryError::NoSuchPage(id))?.original;
        let mut shown = self.space.shown().rev().filter(|one| !one.is_stub());
        let found = shown.find(|one| one.page.original == original);
        found.map(|one| (one.id, one.tokens)).ok_or(MemoryError::NotShown(id))
    }

    /// Pins a page, or lets it and every other that holds the same go. While a result is pinned, its
    /// call stays.
    ///
    /// # Errors
    /// If there is no such page.
    pub(crate) fn pin(&mut self, page: PageId, pinned: bool) -> Result<(), MemoryError> {
        if !pinned {
            let original = self.space.page(page).map(|page| page.original);
            let same = self.space.shown().filter(|one| Some(one.page.original) == original);
            let same: Vec<PageId> = same.map(|one| one.id).collect();
            for page in same {
                self.space.pin(page, false)?;
            }
        }
        self.space.pin(page, pinned)
    }

    /// The tokens that are pinned, and the most that may be; none if the window is not known.
    pub(crate) fn pins(&self) -> (Tokens, Option<Tokens>) {
        let pinned = self.space.shown().filter(|one| one.page.pinned);
        let tokens = Tokens(pinned.map(|one| u64::from(one.tokens)).sum());
        let most = self.window.map(|window| Tokens(window.0.saturating_mul(PINS_SHARE) / 1_000));
        (tokens, most)
    }

    /// Takes a page out for good.
    ///
    /// # Errors
    /// If there is no such page, or it is of the static part.
    pub(crate) fn forget(&mut self, page: PageId) -> Result<Tokens, MemoryError> {
        if !self.is_of_log(page) {
            return Err(MemoryError::NoSuchPage(page));
        }
        let before = self.space.total();
        self.space.forget(page)?;
        Ok(before.saturating_sub(self.space.total()))
    }

    /// The messages of which what is kept of their pages has changed.
    pub(crate) fn take_changed(&mut self) -> BTreeSet<PageIndex> {
        self.space.take_changed()
    }
}

/// A task is pinned at the first calls only, so that one that was let go stays so.
const FIRST_MESSAGES: u32 = 4;

/// What is kept of what was too long, in thousandths.
const SHRINK_TO: u64 = 800;

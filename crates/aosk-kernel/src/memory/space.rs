//! The page table of one process.
//!
//! What is rendered is the static part, then the log in the order in which it was appended. Pages
//! leave and stubs take their place; nothing is ever moved, and what was evicted comes back as a copy
//! at the end.
//!
//! A fork shares the table with its parent until one of them writes. Entries stand in chunks behind
//! counted pointers: a fork copies a pointer for every 128 pages, and the first write to a chunk
//! copies 7 KB. Writes go to recent pages, so most of a long table stays shared for good.

mod close;
mod kept;
mod leave;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use aosk_abi::{Hash, MessageIndex, Tokens};

use super::arena::Arenas;
use super::page::{ArenaId, BlockId, GroupId, NewPage, Page, PageId, PageKind, Residency};
use super::plan::Plan;

pub use kept::Kept;

/// Entries in a chunk.
const CHUNK: usize = 128;

/// What is left in the place of what is evicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// A stub for every run. It takes in the stubs next to it, so that as few stand as can.
    Stub,
    /// A stub for every run that has none before it. Stubs that are there stay as they are, byte for
    /// byte.
    Apart,
    /// Nothing.
    Nothing,
}

/// What an operation on pages could not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryError {
    /// The process has no such page.
    NoSuchPage(PageId),
    /// The page was forgotten.
    Forgotten(PageId),
    /// The page is not in the window.
    NotShown(PageId),
    /// The page is pinned.
    Pinned(PageId),
    /// The page is part of what stands before the log.
    Static(PageId),
}

impl fmt::Display for MemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchPage(page) => write!(f, "no such page: {}", page.0),
            Self::Forgotten(page) => write!(f, "page {} was forgotten", page.0),
            Self::NotShown(page) => write!(f, "page {} is not in the window", page.0),
            Self::Pinned(page) => write!(f, "page {} is pinned", page.0),
            Self::Static(page) => write!(f, "page {} is part of the static part", page.0),
        }
    }
}

impl std::error::Error for MemoryError {}

/// An entry as it is rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown<'a> {
    /// Which page.
    pub id: PageId,
    /// The page; resident, or a stub.
    pub page: &'a Page,
    /// What it takes in the request.
    pub tokens: u32,
}

impl Shown<'_> {
    /// Whether it is rendered as a stub.
    #[must_use]
    pub fn is_stub(&self) -> bool {
        self.page.residency == Residency::Stub
    }

    /// What tells its rendered bytes from those of any other entry of the process.
    #[must_use]
    pub fn identity(&self) -> (PageId, u32) {
        (self.id, self.page.extent)
    }
}

/// How much of what is rendered is as it was sent last.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    /// Entries.
    pub entries: usize,
    /// Their tokens.
    pub tokens: Tokens,
}

/// The page table of one process.
#[derive(Debug, Clone, PartialEq)]
pub struct AddressSpace {
    chunks: Vec<Arc<Vec<Page>>>,
    /// What is rendered, in order.
    shown: Vec<PageId>,
    /// Leading entries of `shown` that are the static part.
    fixed: usize,
    /// What `shown` takes.
    total: u64,
    /// What was ever appended.
    appended: u64,
    stub_tokens: u32,
    step: u32,
    turns: u32,
    /// The block of the last page that opened a turn.
    turn_block: Option<BlockId>,
    sent: Prefix,
    arenas: Arenas,
    /// What models made of the pages that summaries stand for, by the page in whose place they stand.
    summaries: BTreeMap<PageId, Hash>,
    /// Messages of the log with a page of which what is kept has changed since that was asked.
    changed: BTreeSet<MessageIndex>,
}

impl AddressSpace {
    /// An empty one, where a stub takes `stub_tokens`.
    #[must_use]
    pub fn new(stub_tokens: u32) -> Self {
        Self {
            chunks: Vec::new(),
            shown: Vec::new(),
            fixed: 0,
            total: 0,
            appended: 0,
            stub_tokens,
            step: 0,
            turns: 0,
            turn_block: None,
            sent: Prefix::default(),
            arenas: Arenas::default(),
            summaries: BTreeMap::new(),
            changed: BTreeSet::new(),
        }
    }

    /// Appends a page to the log, or to the static part while there is nothing else.
    pub fn append(&mut self, new: NewPage) -> PageId {
        let id = PageId(self.pages_u32());
        self.append_copy(new, id)
    }

    fn append_copy(&mut self, new: NewPage, original: PageId) -> PageId {
        let id = PageId(self.pages_u32());
        if new.kind.opens_turn() && self.turn_block != Some(new.block) {
            self.turns = self.turns.saturating_add(1);
            self.turn_block = Some(new.block);
        }
        let page = Page {
            kind: new.kind,
            residency: Residency::Resident,
            pinned: new.pinned,
            importance: new.importance,
            refs: 0,
            part: new.part,
            end: new.end,
            tokens: new.tokens,
            group: new.group,
            block: new.block,
            arena: new.arena,
            source: new.source,
            born: self.step,
            last_used: self.step,
            turn: self.turns,
            extent: 0,
            stand_in: 0,
            summary: false,
            original,
        };
        // What of a log is shown may change until it is restored; what it begins with does not.
        if new.kind.is_static() && u32::try_from(self.fixed) == Ok(id.0) {
            self.fixed = self.fixed.saturating_add(1);
        }
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK => Arc::make_mut(last).push(page),
            // The first one grows as it is filled: most processes have few pages.
            _ => self.chunks.push(Arc::new(vec![page])),
        }
        self.shown.push(id);
        self.total = self.total.saturating_add(u64::from(new.tokens));
        self.appended = self.appended.saturating_add(u64::from(new.tokens));
        id
    }

    /// Sets what a page takes.
    pub fn resize(&mut self, id: PageId, tokens: u32) {
        let Some(page) = self.page(id).copied() else { return };
        if page.tokens == tokens || page.residency != Residency::Resident {
            return;
        }
        if let Some(page) = self.page_mut(id) {
            page.tokens = tokens;
        }
        let (was, is) = (u64::from(page.tokens), u64::from(tokens));
        self.total = self.total.saturating_sub(was).saturating_add(is);
        self.appended = self.appended.saturating_sub(was).saturating_add(is);
        let at = self.shown.iter().position(|shown| *shown == id);
        self.note_change(at);
    }

    /// Brings pages back as copies at the end, in one block. Those that are resident stay where they
    /// are.
    ///
    /// # Errors
    /// If the process has not all of them, or one was forgotten; then nothing is changed.
    pub fn recall(&mut self, pages: &[PageId], block: BlockId) -> Result<Vec<PageId>, MemoryError> {
        for id in pages {
            let page = self.page(*id).ok_or(MemoryError::NoSuchPage(*id))?;
            if page.residency == Residency::Forgotten {
                return Err(MemoryError::Forgotten(*id));
            }
        }
        let mut back = Vec::with_capacity(pages.len());
        for id in pages {
            let Some(page) = self.page(*id).copied() else { continue };
            if page.residency == Residency::Resident {
                back.push(*id);
                continue;
            }
            // A copy stands by itself: what it was called with is in the past.
            let group = GroupId(self.pages_u32() | COPY_GROUP);
            let kind = PageKind::Recalled;
            let Page { tokens, arena, source, part, end, importance, .. } = page;
            let copy = NewPage {
                kind,
                tokens,
                group,
                block,
                arena,
                source,
                part,
                end,
                importance,
                pinned: false,
            };
            back.push(self.append_copy(copy, page.original));
        }
        Ok(back)
    }

    /// Appends a copy of an evicted page in a form of the caller's.
    pub fn recall_as(&mut self, id: PageId, copy: NewPage) -> PageId {
        let original = self.page(id).map_or(id, |page| page.original);
        self.append_copy(copy, original)
    }

    /// Lets pages be evicted, or keeps them from it.
    ///
    /// # Errors
    /// If the process has no such page.
    pub fn pin(&mut self, id: PageId, pinned: bool) -> Result<(), MemoryError> {
        self.change(id, |page| page.pinned = pinned).ok_or(MemoryError::NoSuchPage(id))
    }

    /// Takes a page out for good, with every copy, and with the groups of it and of them: a result
    /// cannot stay without its call, nor a call without its results.
    ///
    /// # Errors
    /// If the process has no such page, or it is in the static part or a copy of a page there.
    pub fn forget(&mut self, id: PageId) -> Result<(), MemoryError> {
        let page = *self.page(id).ok_or(MemoryError::NoSuchPage(id))?;
        for page in [id, page.original] {
            if self.is_static(page) {
                return Err(MemoryError::Static(page));
            }
        }
        let is_same =
            |(at, one): &(PageId, &Page)| one.original == page.original || *at == page.original;
        let groups: BTreeSet<GroupId> =
            self.pages().filter(is_same).map(|(_, one)| one.group).collect();
        let goes: Vec<PageId> = self
            .pages()
            .filter(|(at, one)| groups.contains(&one.group) && !self.is_static(*at))
            .map(|(at, _)| at)
            .collect();
        let is_pinned = |id: &&PageId| self.page(**id).is_some_and(|page| page.pinned);
        if let Some(pinned) = goes.iter().find(is_pinned) {
            return Err(MemoryError::Pinned(*pinned));
        }
        let extent = |id: &PageId| Some((*id, self.page(*id)?.extent));
        let stubs = goes.iter().filter_map(extent).filter(|(_, extent)| *extent > 1);
        let stubs: Vec<(PageId, u32)> = stubs.collect();
        self.remove(&goes, Residency::Forgotten);
        for (stub, extent) in stubs {
            self.hand_on(stub, extent);
        }
        Ok(())
    }

    /// Evicts all that belongs to an arena, pinned or not, without a stub: its result, which the
    /// caller appends, stands for it.
    pub fn close_arena(&mut self, arena: ArenaId) -> Tokens {
        let before = self.total;
        let of_arena = |page: &Page| page.arena == arena;
        let goes: Vec<PageId> =
            self.shown().filter(|one| of_arena(one.page)).map(|one| one.id).collect();
        self.remove(&goes, Residency::Evicted);
        Tokens(before.saturating_sub(self.total))
    }

    /// Notes that newer content used a page.
    pub fn touch(&mut self, id: PageId) {
        let (step, turns) = (self.step, self.turns);
        if let Some(page) = self.page_mut(id) {
            page.refs = page.refs.saturating_add(1);
            page.last_used = step;
            page.turn = turns;
        }
    }

    /// Carries out a plan.
    pub fn apply(&mut self, plan: &Plan) -> Tokens {
        if plan.evict.is_empty() {
            return Tokens::ZERO;
        }
        let pages: Vec<PageId> = plan.evict.iter().map(|eviction| eviction.page).collect();
        self.evict(&pages, plan.leave)
    }

    /// Notes that a call was made with what is rendered now.
    pub fn sent(&mut self) {
        self.sent = Prefix { entries: self.shown.len(), tokens: Tokens(self.total) };
        self.step = self.step.saturating_add(1);
    }

    /// How much of what is rendered is as it was sent last.
    #[must_use]
    pub fn unchanged(&self) -> Prefix {
        self.sent
    }

    /// A page table of its own that begins as this one is.
    #[must_use]
    pub fn fork(&self) -> Self {
        self.clone()
    }

    /// What is rendered, in order.
    pub fn shown(&self) -> impl DoubleEndedIterator<Item = Shown<'_>> + ExactSizeIterator {
        self.shown.iter().map(|id| {
            let page = self.page(*id).unwrap_or(&NOWHERE);
            let stub = page.residency == Residency::Stub;
            Shown { id: *id, page, tokens: if stub { page.stand_in } else { page.tokens } }
        })
    }

    /// Every page there ever was, in order.
    pub fn pages(&self) -> impl Iterator<Item = (PageId, &Page)> {
        let pages = self.chunks.iter().flat_map(|chunk| chunk.iter());
        (0..=u32::MAX).map(PageId).zip(pages)
    }

    /// A page.
    #[must_use]
    pub fn page(&self, id: PageId) -> Option<&Page> {
        let at = usize::try_from(id.0).ok()?;
        self.chunks.get(at / CHUNK)?.get(at % CHUNK)
    }

    /// Whether a page is part of what stands before the log.
    pub(crate) fn is_static(&self, id: PageId) -> bool {
        usize::try_from(id.0).is_ok_and(|at| at < self.fixed)
    }

    fn page_mut(&mut self, id: PageId) -> Option<&mut Page> {
        let at = usize::try_from(id.0).ok()?;
        Arc::make_mut(self.chunks.get_mut(at / CHUNK)?).get_mut(at % CHUNK)
    }

    /// Changes what is kept of a page; none if there is no such page.
    fn change(&mut self, id: PageId, how: impl FnOnce(&mut Page)) -> Option<()> {
        let page = self.page_mut(id)?;
        how(page);
        let source = page.source;
        self.changed.insert(source);
        Some(())
    }

    /// The messages of the log with a page of which what is kept has changed since this was asked
    /// last.
    pub fn take_changed(&mut self) -> BTreeSet<MessageIndex> {
        std::mem::take(&mut self.changed)
    }

    /// How many pages there ever were.
    #[must_use]
    pub fn pages_u32(&self) -> u32 {
        let full = self.chunks.len().saturating_sub(1).saturating_mul(CHUNK);
        let pages = self.chunks.last().map_or(0, |last| full.saturating_add(last.len()));
        u32::try_from(pages).unwrap_or(u32::MAX)
    }

    /// Entries that are rendered.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.shown.len()
    }

    /// Leading entries that are the static part.
    #[must_use]
    pub fn fixed(&self) -> usize {
        self.fixed
    }

    /// What a request with all that is rendered takes.
    #[must_use]
    pub fn total(&self) -> Tokens {
        Tokens(self.total)
    }

    /// What was ever appended, copies included.
    #[must_use]
    pub fn appended(&self) -> Tokens {
        Tokens(self.appended)
    }

    /// What a stub takes.
    #[must_use]
    pub fn stub_tokens(&self) -> u32 {
        self.stub_tokens
    }

    /// Calls made.
    #[must_use]
    pub fn step(&self) -> u32 {
        self.step
    }

    /// Turns of the user begun.
    #[must_use]
    pub fn turns(&self) -> u32 {
        self.turns
    }
}

/// Copies are in groups of their own, beyond those that callers number.
const COPY_GROUP: u32 = 1 << 31;

/// What stands for a page that is rendered and does not exist, which cannot be.
static NOWHERE: Page = Page {
    kind: PageKind::Recalled,
    residency: Residency::Evicted,
    pinned: true,
    importance: 0,
    refs: 0,
    part: 0,
    end: 0,
    tokens: 0,
    group: GroupId(0),
    block: BlockId(0),
    arena: ArenaId(0),
    source: MessageIndex(0),
    born: 0,
    last_used: 0,
    turn: 0,
    extent: 0,
    stand_in: 0,
    summary: false,
    original: PageId(0),
};

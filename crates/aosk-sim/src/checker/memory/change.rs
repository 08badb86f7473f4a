//! What one input may do to a page table.

use std::collections::{BTreeMap, BTreeSet};

use aosk_abi::{
    CutCause, ErrorCode, Evicted, Fact, Input, MessageIndex, PageId, Pid, Piece, Recalled, Syscall,
    TEXT_END, Tokens, Wake, limits,
};
use aosk_kernel::memory::{AddressSpace, Page, Residency};
use aosk_kernel::{Process, State};

use super::super::{Rule, ensure};
use super::Held;
use super::table::describe;

/// What one input did to a page table.
pub(super) struct Change<'a> {
    pub(super) pid: Pid,
    pub(super) old: &'a Held,
    pub(super) process: &'a Process,
    pub(super) facts: Vec<&'a Fact>,
}

impl Change<'_> {
    pub(super) fn check(&self, input: &Input, stale: bool) -> Result<(), Rule> {
        let call = if let Input::Syscall { step, .. } = input { Some(&step.call) } else { None };
        let call = call.filter(|_| !stale);
        self.check_old_pages(matches!(call, Some(Syscall::Forget { .. })))?;
        let told = |kind: &str| self.facts.iter().any(|fact| fact.kind() == kind);
        let called = told("model.called")
            || told("summary.called")
            || self.refused(ErrorCode::ModelContextLength);
        match call {
            Some(Syscall::Think { tools, pieces, .. }) => {
                let log = self.process.page_count();
                let wrong = !fits(pieces, self.old.taken, log);
                let bad = self.refused(ErrorCode::BadSyscall);
                ensure(!(called && wrong) && (!bad || wrong), "wrong pieces are refused", || {
                    format!("{}: {pieces:?}", self.pid)
                })?;
                if called {
                    self.check_new_pages(pieces)?;
                    return self.check_cut(Some(*tools));
                }
                self.check_untouched()
            }
            Some(Syscall::Forget { page }) => self.check_forget(*page),
            Some(Syscall::Pin { page, pinned }) => self.check_pin(*page, *pinned),
            Some(Syscall::Recall { pages }) => {
                self.check_recall(pages)?;
                self.check_untouched()
            }
            Some(_) => self.check_untouched(),
            None => {
                ensure(self.added() == 0, "pages come with a call only", || self.pid.to_string())?;
                self.check_cut(None)
            }
        }
    }

    fn refused(&self, why: ErrorCode) -> bool {
        self.facts.iter().any(|fact| matches!(fact, Fact::Refused { code, .. } if *code == why))
    }

    fn table(&self) -> &AddressSpace {
        self.process.memory.space()
    }

    fn added(&self) -> u32 {
        self.table().pages_u32().saturating_sub(self.old.space.pages_u32())
    }

    /// Pages that are not where they were. What is new was in the window when it came.
    pub(super) fn moved(&self) -> BTreeMap<PageId, (Residency, Residency)> {
        let pages = self.table().pages().filter_map(|(id, page)| {
            let before = self.old.space.page(id).map_or(Residency::Resident, |old| old.residency);
            (before != page.residency).then_some((id, (before, page.residency)))
        });
        pages.collect()
    }

    /// A page stays what it is, and never comes back to its place. Where something is forgotten, or
    /// leaves with its task, a stub may stand for what another stood for.
    fn check_old_pages(&self, forgets: bool) -> Result<(), Rule> {
        let rule = "a page stays what it is";
        for (id, old) in self.old.space.pages() {
            let new = self.table().page(id);
            let mut same = new.copied();
            if let Some(page) = &mut same {
                // These may change.
                let Page { residency, pinned, refs, last_used, turn, extent, .. } = *old;
                let Page { stand_in, summary, .. } = *old;
                let tokens = if id == PageId(0) { old.tokens } else { page.tokens };
                let kept =
                    Page { residency, pinned, refs, last_used, turn, extent, tokens, ..*page };
                *page = Page { stand_in, summary, ..kept };
            }
            ensure(same == Some(*old), rule, || format!("{}: {old:?} is {new:?}", self.pid))?;
        }
        let closes = self.moved().values().any(|(_, after)| *after == Residency::Closed);
        for (id, (before, after)) in self.moved() {
            let further = match before {
                Residency::Resident => true,
                Residency::Stub => after != Residency::Resident,
                Residency::Evicted => {
                    let gone = matches!(after, Residency::Forgotten | Residency::Closed);
                    gone || (after == Residency::Stub && (forgets || closes))
                }
                Residency::Closed => after == Residency::Forgotten,
                Residency::Forgotten => false,
            };
            ensure(further, "what leaves never comes back to its place", || {
                format!("{}: {id:?} was {before:?} and is {after:?}", self.pid)
            })?;
        }
        Ok(())
    }

    fn check_untouched(&self) -> Result<(), Rule> {
        let pins = |space: &AddressSpace| {
            space.pages().filter(|(_, page)| page.pinned).map(|(id, _)| id).collect::<Vec<_>>()
        };
        let same = self.added() == 0
            && self.process.memory.taken() == self.old.taken
            && pins(&self.old.space) == pins(self.table())
            && self
                .old
                .space
                .shown()
                .map(|one| one.identity())
                .eq(self.table().shown().map(|one| one.identity()));
        ensure(same, "only calls on the memory change it", || {
            format!("{}: {:?}", self.pid, self.moved())
        })
    }

    fn check_new_pages(&self, pieces: &[Piece]) -> Result<(), Rule> {
        let first = self.old.space.pages_u32();
        let all = self.process.memory.taken() == self.process.page_count();
        let same = u32::try_from(pieces.len()).is_ok_and(|count| count == self.added());
        let what = || format!("{}: {pieces:?}", self.pid);
        ensure(all && same, "the page table has what it is told", what)?;
        for (id, piece) in (first..).map(PageId).zip(pieces) {
            let page = self.table().page(id);
            let copy_of = piece.copy_of.filter(|page| *page != PageId(0) && *page < id);
            let original =
                copy_of.and_then(|page| self.table().page(page)).map(|page| page.original);
            let fine = page.is_some_and(|page| {
                (page.kind, page.tokens, page.source, page.end)
                    == (piece.kind, piece.tokens, piece.source, piece.end)
                    && page.original == original.unwrap_or(id)
            });
            ensure(fine, "the page table has what it is told", || format!("{piece:?}: {page:?}"))?;
        }
        Ok(())
    }

    /// What leaves is in a fact, with the right figures.
    fn check_cut(&self, tools: Option<Tokens>) -> Result<(), Rule> {
        let cuts = self.facts.iter().filter_map(|fact| {
            if let Fact::MemoryCut { policy, window, cause, before, after, evicted, .. } = fact {
                Some((policy, window, *cause, *before, *after, evicted))
            } else {
                None
            }
        });
        let cuts: Vec<_> = cuts.collect();
        // Tasks that have ended may leave first, and then what the policy says.
        let in_turn = match cuts.as_slice() {
            [] | [_] => true,
            [(_, _, cause, _, left, _), (_, _, _, found, _, _)] => {
                *cause == CutCause::Task && left == found
            }
            _ => false,
        };
        ensure(in_turn, "there is one cut at a time", || self.pid.to_string())?;
        let moved = self.moved();
        let gone: BTreeSet<PageId> = moved
            .iter()
            .filter(|(_, (before, _))| *before == Residency::Resident)
            .map(|(id, _)| *id)
            .collect();
        let forgotten = moved.values().any(|(_, after)| *after == Residency::Forgotten);
        ensure(!forgotten, "a cut forgets nothing", || format!("{}: {moved:?}", self.pid))?;
        let evicted: Vec<&Evicted> = cuts.iter().flat_map(|(.., evicted)| *evicted).collect();
        let was_stub = |page: PageId| {
            self.old.space.page(page).is_some_and(|page| page.residency == Residency::Stub)
        };
        let told = evicted.iter().map(|one| one.page).filter(|page| !was_stub(*page));
        let told: BTreeSet<PageId> = told.collect();
        ensure(told == gone, "what leaves is written down", || {
            format!("{}: left {gone:?}, told {told:?}", self.pid)
        })?;
        let (Some((_, _, _, before, _, _)), Some((policy, window, _, _, after, _))) =
            (cuts.first(), cuts.last())
        else {
            return Ok(());
        };
        for one in evicted.iter().filter(|one| !was_stub(one.page)) {
            let page = self.table().page(one.page);
            let fine = page.is_some_and(|page| (page.kind, page.tokens) == (one.kind, one.tokens));
            ensure(fine, "a cut tells of pages as they are", || format!("{one:?}, {page:?}"))?;
        }
        let sum = |space: &AddressSpace| -> u64 {
            space.shown().filter(|one| one.id != PageId(0)).map(|one| u64::from(one.tokens)).sum()
        };
        let new =
            self.table().pages().skip(usize::try_from(self.old.space.pages_u32()).unwrap_or(0));
        let new: u64 = new.map(|(_, page)| u64::from(page.tokens)).sum();
        let tools = tools.map_or_else(
            || self.table().page(PageId(0)).map_or(0, |page| u64::from(page.tokens)),
            |tools| tools.0,
        );
        let figures = (sum(&self.old.space) + new + tools, sum(self.table()) + tools);
        ensure((before.0, after.0) == figures, "a cut frees what it says", || {
            format!("{}: {before} to {after}, by the table {figures:?}", self.pid)
        })?;
        // Who was refused once knows of an end.
        let endless = window.is_none() && self.process.memory.window().is_none();
        let never = endless && ["lru", "fifo-batch", "summarise"].contains(&policy.as_str());
        // A task that has ended leaves wherever that pays, and a summary was decided before.
        let closed =
            |id: &PageId| moved.get(id).is_some_and(|(_, after)| *after == Residency::Closed);
        let told = |kind: &str| self.facts.iter().any(|fact| fact.kind() == kind);
        let decided = told("summary.answered") || told("summary.failed");
        let may = is_refused(&self.facts) || decided || gone.iter().all(closed);
        ensure(!never || may, "nothing leaves a window without end", || {
            format!("{}: {evicted:?}", self.pid)
        })?;
        if policy.as_str() != "sliding" {
            self.check_stubs(&gone, &moved)?;
        }
        Ok(())
    }

    /// Stubs account for what leaves: for every page that is no copy, and at most for all. What leaves
    /// with a task is accounted for by its result.
    fn check_stubs(
        &self,
        gone: &BTreeSet<PageId>,
        moved: &BTreeMap<PageId, (Residency, Residency)>,
    ) -> Result<(), Rule> {
        let closed =
            |id: &PageId| moved.get(id).is_some_and(|(_, after)| *after == Residency::Closed);
        let gone: BTreeSet<PageId> = gone.iter().copied().filter(|id| !closed(id)).collect();
        let stubs = self.old.space.pages().filter(|(id, _)| closed(id));
        let stubs = stubs.map(|(_, page)| usize::try_from(page.extent).unwrap_or_default());
        let (before, after) = (stood_for(&self.old.space), stood_for(self.table()));
        let is_copy =
            |id: &&PageId| self.table().page(**id).is_some_and(|page| page.original != **id);
        let copies = gone.iter().filter(is_copy).count();
        let least = before.saturating_sub(stubs.sum()) + gone.len() - copies;
        let most = before + gone.len();
        ensure((least..=most).contains(&after), "stubs account for what leaves", || {
            format!("{}: {after}, between {least} and {most}; left {gone:?}", self.pid)
        })
    }

    fn check_forget(&self, id: PageId) -> Result<(), Rule> {
        let told = self.facts.iter().find_map(|fact| {
            if let Fact::PageForgotten { page, freed } = fact {
                Some((*page, *freed))
            } else {
                None
            }
        });
        let Some((page, freed)) = told else {
            return self.check_untouched();
        };
        let total = |space: &AddressSpace| space.total().0;
        let lost = total(&self.old.space).saturating_sub(total(self.table()));
        ensure(page == id && freed.0 == lost, "forgetting frees what it says", || {
            format!("{}: {page:?} {freed}, by the table {lost}", self.pid)
        })?;
        let original = self.table().page(id).map(|page| page.original);
        for (at, one) in self.table().pages() {
            let goes = Some(one.original) == original || Some(at) == original;
            let shown = one.residency == Residency::Resident;
            ensure(!(goes && shown), "what is forgotten is gone with its copies", || {
                format!("{}: {at:?} is {:?}", self.pid, one.residency)
            })?;
        }
        // What was forgotten behind a stub is still counted by it.
        let uncounted = self.table().pages().filter(|(id, page)| {
            let is_copy = page.original != *id && page.residency != Residency::Resident;
            is_copy || page.residency == Residency::Forgotten
        });
        let uncounted = uncounted.count();
        let (before, after) = (stood_for(&self.old.space), stood_for(self.table()));
        ensure(after + uncounted >= before, "stubs account for what is not forgotten", || {
            format!("{}: {before} to {after}; {}", self.pid, describe(self.table()))
        })?;
        ensure(self.added() == 0, "pages come with a call only", || self.pid.to_string())
    }

    fn check_pin(&self, id: PageId, pinned: bool) -> Result<(), Rule> {
        let told = self.facts.iter().find_map(|fact| {
            if let Fact::PagePinned { page, pinned } = fact { Some((*page, *pinned)) } else { None }
        });
        let Some(told) = told else {
            return self.check_untouched();
        };
        ensure(self.moved().is_empty(), "a pin moves nothing", || self.pid.to_string())?;
        // The newest of those that hold it and are shown.
        let original = self.table().page(id).map(|page| page.original);
        let same = self.table().shown().filter(|one| Some(one.page.original) == original);
        let same: Vec<_> = same.filter(|one| !one.is_stub()).collect();
        let newest = same.last().map(|one| (one.id, one.page.pinned));
        let others = same.iter().any(|one| one.page.pinned && !pinned);
        let fine = told == (told.0, pinned) && newest == Some(told) && !others;
        ensure(fine, "a page is pinned when it is said to be", || {
            format!("{}: {id:?}, told {told:?}, by the table {newest:?}", self.pid)
        })
    }

    fn check_recall(&self, pages: &[PageId]) -> Result<(), Rule> {
        let state = self.process.state.inner();
        let wake = if let State::Program { wake: Wake::Recalled { pages } } = state {
            Some(pages)
        } else {
            None
        };
        let old = &self.old.space;
        let is_there = |id: &PageId| {
            *id != PageId(0)
                && old.page(*id).is_some_and(|page| page.residency != Residency::Forgotten)
        };
        let may = pages.len() <= limits::RECALL_MAX && pages.iter().all(is_there);
        let denied = self.refused(ErrorCode::BadSyscall) || self.refused(ErrorCode::MemoryNoPage);
        ensure(!(denied && may), "what is there is brought back", || format!("{pages:?}"))?;
        let Some(places) = wake else {
            return Ok(());
        };
        let shown: BTreeSet<PageId> =
            old.shown().filter(|one| !one.is_stub()).map(|one| one.page.original).collect();
        let is_shown = |id: &PageId| old.page(*id).is_some_and(|p| shown.contains(&p.original));
        let place = |id: &PageId| -> Option<Recalled> {
            let page = old.page(*id)?;
            let resident = is_shown(id);
            let before = PageId(id.0.saturating_sub(1));
            let before = old.page(before).filter(|one| page.part > 0 && one.source == page.source);
            let text = (before.map_or(0, |one| one.end), page.end);
            Some(Recalled { page: *id, source: page.source, text, resident })
        };
        let expected: Option<Vec<_>> = pages.iter().map(place).collect();
        ensure(may && expected.as_ref() == Some(places), "what is brought back is there", || {
            format!("{}: {pages:?} at {places:?}", self.pid)
        })?;
        let faults = self.facts.iter().filter_map(|fact| {
            if let Fact::PageFaulted { page, .. } = fact { Some(*page) } else { None }
        });
        let missed = pages.iter().copied().filter(|id| !is_shown(id));
        ensure(faults.eq(missed), "every fault is written down", || format!("{pages:?}"))
    }
}

/// How many pages stubs stand for.
fn stood_for(space: &AddressSpace) -> usize {
    let extents = space.pages().map(|(_, page)| usize::try_from(page.extent));
    extents.map(Result::unwrap_or_default).sum()
}

/// Whether pieces are what a table wants that has the log up to `taken`: each message once, in order,
/// from its beginning to its end.
fn fits(pieces: &[Piece], taken: MessageIndex, log: MessageIndex) -> bool {
    let mut messages: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for piece in pieces {
        messages.entry(piece.source.0).or_default().push(piece.end);
    }
    let in_order = pieces.is_sorted_by(|one, next| one.source <= next.source);
    let whole = |ends: &Vec<u32>| {
        let rises = ends.is_sorted_by(|one, next| one < next || (*one, *next) == (0, 0));
        rises && ends.last() == Some(&TEXT_END)
    };
    in_order && messages.keys().copied().eq(taken.0..log.0) && messages.values().all(whole)
}

fn is_refused(facts: &[&Fact]) -> bool {
    let refused = CutCause::Refused;
    facts.iter().any(|fact| matches!(fact, Fact::MemoryCut { cause, .. } if *cause == refused))
}

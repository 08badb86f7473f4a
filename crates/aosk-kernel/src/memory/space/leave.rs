//! How pages leave the window, and what stands in their place.

use std::collections::BTreeSet;

use aosk_abi::{Hash, Tokens};

use super::{AddressSpace, Leave, Prefix, Shown};
use crate::memory::page::{GroupId, PageId, PageKind, Residency};

impl AddressSpace {
    /// Evicts pages, in one batch. Static and pinned pages stay. Stubs among them are merged into the
    /// stub before them, if that is in the same batch.
    pub fn evict(&mut self, pages: &[PageId], leave: Leave) -> Tokens {
        let before = self.total;
        let mut pages = pages.to_vec();
        pages.sort_unstable();
        let mut kept: Vec<PageId> = Vec::with_capacity(self.shown.len());
        let mut changed = None;
        // The stub that takes in what is evicted next to it, and the last one of this batch.
        let (mut beside, mut last): (Option<PageId>, Option<PageId>) = (None, None);
        // The group whose calls are shown.
        let mut called = None;
        for (at, id) in std::mem::take(&mut self.shown).into_iter().enumerate() {
            let Some(page) = self.page(id).copied() else { continue };
            let goes = at >= self.fixed && !page.pinned && pages.binary_search(&id).is_ok();
            let is_stub = page.residency == Residency::Stub;
            // What answers a call that is shown stays by it: no stub of another message takes it in.
            let answers = called == Some(page.group) && page.kind != PageKind::Assistant;
            let fits = |stub: &PageId| {
                !answers || self.page(*stub).is_some_and(|stub| stub.source == page.source)
            };
            // A stub that stands next to one of this batch is taken in too.
            let taken = leave == Leave::Stub
                && is_stub
                && last == beside
                && beside.as_ref().is_some_and(fits);
            if !goes && !taken {
                beside = is_stub.then_some(id);
                if page.kind == PageKind::Assistant {
                    called = (!is_stub).then_some(page.group);
                }
                kept.push(id);
                continue;
            }
            let near = if is_stub { beside.or(last) } else { beside };
            let into = near.filter(fits);
            let leaves = match leave {
                // A call without an answer is refused by providers.
                Leave::Nothing => answers,
                Leave::Apart => answers || !is_stub && page.original == id && beside.is_none(),
                // A stub stands for others too, whatever it was itself.
                Leave::Stub => page.original == id || answers || is_stub,
            };
            // What is smaller than a stub, and would leave one, stays.
            if leaves && into.is_none() && answers && !is_stub && page.tokens <= self.stub_tokens {
                beside = None;
                kept.push(id);
                continue;
            }
            if leaves && into.is_none() {
                if !is_stub {
                    changed = changed.or(Some(kept.len()));
                    self.make_stub(id);
                    last = Some(id);
                }
                beside = Some(id);
                kept.push(id);
                continue;
            }
            let place = match into {
                Some(stub) if leaves => {
                    self.extend_stub(stub, page.extent.max(1));
                    last = Some(stub);
                    kept.iter().rposition(|one| *one == stub).unwrap_or(kept.len())
                }
                Some(_) | None => kept.len(),
            };
            changed = Some(changed.map_or(place, |first: usize| first.min(place)));
            self.hide(id, Residency::Evicted);
        }
        self.shown = kept;
        self.note_change(changed);
        Tokens(before.saturating_sub(self.total))
    }

    fn make_stub(&mut self, id: PageId) {
        let stub = u64::from(self.stub_tokens);
        let Some(tokens) = self.page(id).map(|page| u64::from(page.tokens)) else { return };
        self.change(id, |page| {
            page.residency = Residency::Stub;
            page.extent = 1;
            page.stand_in = u32::try_from(stub).unwrap_or(u32::MAX);
            page.summary = false;
        });
        self.total = self.total.saturating_sub(tokens).saturating_add(stub);
    }

    fn extend_stub(&mut self, id: PageId, by: u32) {
        self.change(id, |page| page.extent = page.extent.saturating_add(by));
    }

    /// Takes a page that is rendered out of the total; the caller takes it out of `shown`.
    pub(super) fn hide(&mut self, id: PageId, to: Residency) {
        let Some(page) = self.page(id) else { return };
        let tokens = if page.residency == Residency::Stub { page.stand_in } else { page.tokens };
        self.summaries.remove(&id);
        self.change(id, |page| {
            page.residency = to;
            page.extent = 0;
        });
        self.total = self.total.saturating_sub(u64::from(tokens));
    }

    /// Evicts what is shown from `first` to `last`, and lets a summary of so many tokens stand in its place,
    /// which whoever renders it must keep to. `text` is what a model made of it, if one did. Returns what
    /// that frees.
    pub fn summarise(
        &mut self,
        (first, last): (PageId, PageId),
        tokens: u32,
        text: Option<Hash>,
    ) -> Tokens {
        let before = self.total;
        let stays = |one: &Shown<'_>| one.page.pinned || (one.id > last && !one.is_stub());
        let held: BTreeSet<GroupId> =
            self.shown().filter(stays).map(|one| one.page.group).collect();
        let range = self.shown().filter(|one| (first..=last).contains(&one.id));
        // A call stays with a result that is pinned or beyond the range.
        let range = range.filter(|one| !held.contains(&one.page.group)).map(|one| one.id);
        let range: Vec<PageId> = range.collect();
        self.evict(&range, Leave::Stub);
        let is_stub = |one: &Shown<'_>| one.is_stub() && (first..=last).contains(&one.id);
        let Some(stub) = self.shown().find(is_stub).map(|one| one.id) else {
            return Tokens(before.saturating_sub(self.total));
        };
        let Some(page) = self.page(stub) else { return Tokens::ZERO };
        let stand_in = u64::from(page.stand_in);
        if !page.summary || page.stand_in != tokens || self.summary(stub) != text {
            let at = self.shown.iter().position(|shown| *shown == stub);
            self.note_change(at);
        }
        self.change(stub, |page| {
            page.stand_in = tokens;
            page.summary = true;
        });
        match text {
            Some(text) => self.summaries.insert(stub, text),
            None => self.summaries.remove(&stub),
        };
        self.total = self.total.saturating_sub(stand_in).saturating_add(u64::from(tokens));
        Tokens(before.saturating_sub(self.total))
    }

    /// What a model made of the pages that a summary stands for; none if no model did.
    #[must_use]
    pub fn summary(&self, id: PageId) -> Option<Hash> {
        self.summaries.get(&id).copied()
    }

    pub(super) fn remove(&mut self, goes: &[PageId], to: Residency) {
        let mut changed = None;
        let mut kept = Vec::with_capacity(self.shown.len());
        for (at, id) in std::mem::take(&mut self.shown).into_iter().enumerate() {
            if at >= self.fixed && goes.binary_search(&id).is_ok() {
                changed = changed.or(Some(kept.len()));
                self.hide(id, to);
            } else {
                kept.push(id);
            }
        }
        self.shown = kept;
        for id in goes {
            self.change(*id, |page| page.residency = to);
        }
        self.note_change(changed);
        for id in goes {
            self.tell_nothing_of(*id);
        }
    }

    /// Makes stubs of all summaries. Returns what that frees.
    pub fn unsummarise(&mut self) -> Tokens {
        let before = self.total;
        for at in 0..self.shown.len() {
            self.unsummarise_at(at);
        }
        Tokens(before.saturating_sub(self.total))
    }

    /// A summary that tells of a page which is gone for good becomes a stub, which tells of its first
    /// page alone.
    fn tell_nothing_of(&mut self, gone: PageId) {
        if let Some(at) = self.shown.partition_point(|shown| *shown < gone).checked_sub(1) {
            self.unsummarise_at(at);
        }
    }

    fn unsummarise_at(&mut self, at: usize) {
        let Some(id) = self.shown.get(at).copied() else { return };
        let Some(page) = self.page(id).filter(|page| page.summary && page.extent > 0) else {
            return;
        };
        let (stand_in, stub) = (u64::from(page.stand_in), self.stub_tokens);
        self.change(id, |page| {
            page.summary = false;
            page.stand_in = stub;
        });
        self.summaries.remove(&id);
        self.total = self.total.saturating_sub(stand_in).saturating_add(u64::from(stub));
        self.note_change(Some(at));
    }

    /// What a stub stood for that is gone gets another, in its place. It stood for so many pages.
    pub(super) fn hand_on(&mut self, gone: PageId, extent: u32) {
        let at = self.shown.partition_point(|shown| *shown < gone);
        let end = self.shown.get(at).map_or_else(|| self.pages_u32(), |next| next.0);
        let away = |id: &PageId| {
            let page = self.page(*id).filter(|page| page.original == *id);
            page.is_some_and(|page| page.residency != Residency::Resident)
        };
        let evicted =
            |id: &PageId| self.page(*id).is_some_and(|page| page.residency == Residency::Evicted);
        let extent = usize::try_from(extent).unwrap_or(usize::MAX);
        let behind = (gone.0..end).map(PageId).filter(away).take(extent);
        let rest: Vec<PageId> = behind.skip_while(|id| !evicted(id)).collect();
        let Some(heir) = rest.first().copied() else { return };
        self.stand_for(heir, u32::try_from(rest.len()).unwrap_or(u32::MAX));
        self.shown.insert(at, heir);
        self.note_change(Some(at));
    }

    /// Makes a stub of an evicted page that stands for so many. The caller shows it.
    pub(super) fn stand_for(&mut self, heir: PageId, extent: u32) {
        let stub = self.stub_tokens;
        self.change(heir, |page| {
            page.residency = Residency::Stub;
            page.extent = extent;
            page.stand_in = stub;
            page.summary = false;
        });
        self.total = self.total.saturating_add(u64::from(stub));
    }

    pub(super) fn note_change(&mut self, first: Option<usize>) {
        let Some(first) = first.filter(|first| *first < self.sent.entries) else { return };
        let tokens = self.shown().take(first).map(|one| u64::from(one.tokens)).sum();
        self.sent = Prefix { entries: first, tokens: Tokens(tokens) };
    }
}

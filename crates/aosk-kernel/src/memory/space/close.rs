//! How the pages of a task leave the window when it has ended: without stubs, since its result stands
//! for them.

use std::collections::BTreeSet;

use aosk_abi::PageId;

use super::AddressSpace;
use crate::memory::arena::Arenas;
use crate::memory::page::{GroupId, Page, Residency};

impl AddressSpace {
    /// The tasks of the process.
    #[must_use]
    pub fn arenas(&self) -> &Arenas {
        &self.arenas
    }

    /// The same, to be changed.
    pub fn arenas_mut(&mut self) -> &mut Arenas {
        &mut self.arenas
    }

    /// What is shown of tasks that have ended and may leave, each with what it takes and whether
    /// what is shown can be closed from there on, in order. What is pinned stays, with its call and the
    /// other results of it.
    pub fn ended(&self) -> Vec<(PageId, u32, bool)> {
        if self.arenas.is_unused() {
            return Vec::new();
        }
        let held: BTreeSet<GroupId> =
            self.shown().filter(|one| one.page.pinned).map(|one| one.page.group).collect();
        let mut ended = Vec::new();
        let mut begun = BTreeSet::new();
        for one in self.shown().skip(self.fixed) {
            let begins = begun.insert(one.page.group);
            if self.arenas.is_over(one.page.arena) && !held.contains(&one.page.group) {
                ended.push((one.id, one.tokens, begins));
            }
        }
        ended
    }

    /// Closes tasks that have ended: what is shown of them leaves, from a page on with which a group
    /// begins. Returns what left, in order, with what it took.
    pub fn close(&mut self, from: PageId) -> Vec<(PageId, u32)> {
        // A result stays by its call.
        let before = self.shown().take_while(|one| one.id < from);
        let held: BTreeSet<GroupId> = before.map(|one| one.page.group).collect();
        let stays = |id: PageId| self.page(id).is_none_or(|page| held.contains(&page.group));
        let left = self.ended().into_iter().filter(|(id, ..)| *id >= from && !stays(*id));
        let left: Vec<(PageId, u32)> = left.map(|(id, tokens, _)| (id, tokens)).collect();
        let mut changed = None;
        let shown = std::mem::take(&mut self.shown);
        let mut kept = Vec::with_capacity(shown.len());
        let mut nexts = shown.iter().skip(1).map(|next| next.0);
        for id in shown.iter().copied() {
            let next = nexts.next().unwrap_or_else(|| self.pages_u32());
            if left.binary_search_by_key(&id, |(id, _)| *id).is_err() {
                kept.push(id);
                continue;
            }
            changed = changed.or(Some(kept.len()));
            let was_stub = self.page(id).is_some_and(|page| page.residency == Residency::Stub);
            self.hide(id, Residency::Closed);
            kept.extend(self.close_behind(id, next).filter(|_| was_stub));
        }
        self.shown = kept;
        self.note_change(changed);
        left
    }

    /// Closes what is not shown between a page that was closed and what was shown next. Returns a
    /// stub for what is there of others.
    fn close_behind(&mut self, closed: PageId, next: u32) -> Option<PageId> {
        let mut heir = None;
        let mut extent = 0_u32;
        for id in (closed.0.saturating_add(1)..next).map(PageId) {
            let is_away = |page: &&Page| page.residency == Residency::Evicted;
            let Some(page) = self.page(id).filter(is_away).copied() else { continue };
            if self.arenas.is_over(page.arena) {
                self.change(id, |page| page.residency = Residency::Closed);
            } else if page.original == id {
                heir = heir.or(Some(id));
                extent = extent.saturating_add(1);
            }
        }
        let heir = heir?;
        self.stand_for(heir, extent);
        Some(heir)
    }
}

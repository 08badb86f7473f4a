//! What a process asks of its own pages: back, kept, or gone.

use aosk_abi::{PageId, Tokens};

use super::Memory;
use crate::memory::{MemoryError, Page, Residency};

/// The part that may be pinned of what the static part leaves of the window, in thousandths.
const PINS_SHARE: u64 = 500;

impl Memory {
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

    /// The tokens that are pinned beside the static part, and the most that may be; none if the window
    /// is not known.
    pub(crate) fn pins(&self) -> (Tokens, Option<Tokens>) {
        let (mut fixed, mut pinned) = (Tokens::ZERO, Tokens::ZERO);
        for one in self.space.shown() {
            if self.space.is_static(one.id) {
                fixed += Tokens(u64::from(one.tokens));
            } else if one.page.pinned {
                pinned += Tokens(u64::from(one.tokens));
            }
        }
        let share = |window: Tokens| window.saturating_sub(fixed).0.saturating_mul(PINS_SHARE);
        (pinned, self.window.map(|window| Tokens(share(window) / 1_000)))
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
}

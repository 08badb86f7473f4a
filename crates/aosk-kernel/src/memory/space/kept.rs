//! What is kept of a page table, page by page.

use aosk_abi::{Hash, MessageIndex};
use serde::{Deserialize, Serialize};

use super::AddressSpace;
use crate::memory::page::{NewPage, Page, PageId, PageKind, Residency};

/// What is kept of a page beside what it was appended with.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Where it is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub residency: Residency,
    /// The page that it is a copy of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_of: Option<PageId>,
    /// Pages that its stub stands for.
    #[serde(default, skip_serializing_if = "is_default")]
    pub extent: u32,
    /// What stands in its place takes so much.
    #[serde(default, skip_serializing_if = "is_default")]
    pub stand_in: u32,
    /// Whether that is a summary.
    #[serde(default, skip_serializing_if = "is_default")]
    pub summary: bool,
    /// What a model made of it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Hash>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl AddressSpace {
    /// Takes in a page as it was kept: where it is, and what stands in its place. Of what is not kept
    /// it is as when it was appended, in the call and the turn of what stands before it.
    pub fn restore(&mut self, new: NewPage, kept: &Kept) -> PageId {
        let id = PageId(self.pages_u32());
        self.append_copy(new, kept.copy_of.unwrap_or(id));
        let Kept { residency, extent, stand_in, summary, text, .. } = *kept;
        if let Some(text) = text.filter(|_| summary) {
            self.summaries.insert(id, text);
        }
        if residency != Residency::Resident
            && let Some(page) = self.page_mut(id)
        {
            page.residency = residency;
            page.extent = extent;
            page.stand_in = stand_in;
            page.summary = summary;
            let tokens = u64::from(page.tokens);
            let shown = if residency == Residency::Stub { u64::from(stand_in) } else { 0 };
            self.total = self.total.saturating_sub(tokens).saturating_add(shown);
            if residency != Residency::Stub {
                self.shown.pop();
            }
        }
        if new.kind == PageKind::Assistant && new.part == 0 {
            self.step = self.step.saturating_add(1);
        }
        id
    }

    /// What is kept of a page.
    #[must_use]
    pub fn kept(&self, id: PageId) -> Kept {
        let Some(page) = self.page(id) else { return Kept::default() };
        let is_stub = page.residency == Residency::Stub;
        Kept {
            residency: page.residency,
            copy_of: (page.original != id).then_some(page.original),
            extent: page.extent,
            stand_in: if is_stub { page.stand_in } else { 0 },
            summary: is_stub && page.summary,
            text: self.summary(id),
        }
    }

    /// The pages of a message of the log, in order.
    pub fn pages_of(&self, source: MessageIndex) -> impl Iterator<Item = (PageId, &Page)> {
        let (mut low, mut high) = (0, self.pages_u32());
        while low < high {
            let middle = low.midpoint(high);
            // The first page, of the tools, is of no message.
            let is_before =
                middle == 0 || self.page(PageId(middle)).is_some_and(|page| page.source < source);
            if is_before { low = middle.saturating_add(1) } else { high = middle }
        }
        let pages = (low..self.pages_u32()).map(PageId);
        let pages = pages.filter_map(|id| Some((id, self.page(id)?)));
        pages.take_while(move |(_, page)| page.source == source)
    }
}

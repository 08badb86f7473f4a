//! What is shown: the page table as frames.

use aosk_abi::{Form, Frame, MessageIndex, PageId, PageKind, TEXT_END, Tokens, Window};

use super::super::{LogPage, ModelCall};
use super::Memory;
use crate::memory::{Page, Residency};

impl Memory {
    /// What is sent in a call, of a log whose messages have their bodies at these addresses.
    pub(crate) fn shown(&self, call: &ModelCall, log: &[LogPage]) -> Window {
        let mut window = Window { long_lived: call.long_lived, ..Window::default() };
        let unchanged = self.space.unchanged().entries;
        for (at, one) in self.space.shown().enumerate() {
            let page = one.page;
            if one.id == PageId(0) {
                continue;
            }
            let Some(frame) = self.frame(one.id, page, log) else { continue };
            let frame = Frame { form: self.form(one.id, page), ..frame };
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
        for (source, page) in (self.taken.0..).map(MessageIndex).zip(log.iter().skip(taken)) {
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
    pub fn behind(&self, frame: &Frame, log: &[LogPage]) -> Vec<Frame> {
        if frame.form == Form::Content {
            return Vec::new();
        }
        let is_away = |page: &&Page| match page.residency {
            Residency::Stub | Residency::Evicted => true,
            Residency::Resident | Residency::Closed | Residency::Forgotten => false,
        };
        // It stands for all that left between it and what is shown next.
        let ids = self.space.shown().map(|one| one.id);
        let next = ids.rev().take_while(|id| *id > frame.page).last();
        let end = next.map_or_else(|| self.space.pages_u32(), |next| next.0);
        let pages = (frame.page.0..end).map(PageId);
        let pages = pages.filter_map(|id| Some((id, self.space.page(id).filter(is_away)?)));
        let pages = pages.filter(|(id, page)| page.original == *id);
        pages.filter_map(|(id, page)| self.frame(id, page, log)).collect()
    }

    /// What a model is shown that is to make a summary in so many tokens: all that leaves for it.
    pub(crate) fn to_summarise(
        &self,
        range: (PageId, PageId),
        tokens: Tokens,
        log: &[LogPage],
    ) -> Window {
        let mut after = self.space.clone();
        after.summarise(range, u32::try_from(tokens.0).unwrap_or(u32::MAX), None);
        let stays =
            |id: PageId| after.page(id).is_some_and(|page| page.residency == Residency::Resident);
        let leaves = self.space.shown().filter(|one| (range.0..=range.1).contains(&one.id));
        let leaves = leaves.filter(|one| !stays(one.id));
        let frames = leaves.filter_map(|one| {
            let frame = self.frame(one.id, one.page, log)?;
            Some(Frame { form: self.form(one.id, one.page), ..frame })
        });
        Window { frames: frames.collect(), summarise: Some(tokens), ..Window::default() }
    }

    fn form(&self, id: PageId, page: &Page) -> Form {
        match page.residency {
            Residency::Stub if page.summary => {
                let (pages, tokens) = (page.extent, page.stand_in);
                Form::Summary { pages, tokens, body: self.space.summary(id) }
            }
            Residency::Stub => Form::Stub { pages: page.extent, tokens: page.tokens },
            Residency::Resident | Residency::Evicted | Residency::Closed | Residency::Forgotten => {
                Form::Content
            }
        }
    }

    fn frame(&self, id: PageId, page: &Page, log: &[LogPage]) -> Option<Frame> {
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
}

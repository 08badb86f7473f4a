//! The memory of a process: its page table, and what is remembered from call to call.
//!
//! Kept is where each page is and what stands in its place; it stands in the row of the message that
//! holds the page. How often and how lately pages were used, what the provider has in its cache and
//! how its tokens compare with the estimate is not kept: after a crash it begins anew, and the next
//! cut may choose other pages.

mod answer;
mod calls;
mod entry;
mod room;
mod show;
mod tasks;
mod warm;

use std::collections::BTreeSet;

use aosk_abi::{MessageIndex, PageId, PageKind, TEXT_END, Tokens};

pub(crate) use self::answer::Missed;
use self::answer::{Common, LastCall};
use self::warm::Warm;
use crate::memory::{
    AddressSpace, ArenaId, BlockId, GroupId, Learner, Memo, NeedTable, NewPage, Page,
};

pub use self::entry::Entry;
pub(crate) use self::room::{Planned, Terms};
pub use self::tasks::EndedTask;

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
    /// What devices have in their caches.
    warm: Warm,
    /// Messages that the table has.
    taken: MessageIndex,
    /// The group of calls whose results come next, and the task that it belongs to.
    calls: (GroupId, ArenaId),
    /// What the model may be shown, by the last call.
    window: Option<Tokens>,
    /// What providers refused is more than this, in tokens of the estimate.
    ceiling: Option<Tokens>,
    /// Whether the provider ever said that it read something from its cache.
    told_reads: bool,
    /// What the call under way has in common with the one before it.
    common: Common,
}

impl PartialEq for Memory {
    fn eq(&self, other: &Self) -> bool {
        let messages = (0..self.taken.0).map(MessageIndex);
        self.taken == other.taken
            && self.space.arenas() == other.space.arenas()
            && messages.into_iter().all(|source| self.entries(source) == other.entries(source))
    }
}

/// What a stub takes at most: a line, and what a message has around it.
pub const STUB_TOKENS: u32 = 48;

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
            source: MessageIndex(0),
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
            warm: Warm::default(),
            taken: MessageIndex(0),
            calls: (GroupId(0), ArenaId::NONE),
            window: None,
            ceiling: None,
            told_reads: false,
            common: Common::default(),
        }
    }

    /// That of a process that begins where this one is. The table is shared until one of them writes,
    /// and what is in the provider's cache serves both.
    pub(crate) fn fork(&self) -> Self {
        let mut fork = self.clone();
        fork.space = self.space.fork();
        fork
    }

    /// The page table.
    #[must_use]
    pub fn space(&self) -> &AddressSpace {
        &self.space
    }

    /// How many messages of the log the page table has.
    #[must_use]
    pub fn taken(&self) -> MessageIndex {
        self.taken
    }

    /// What the model may be shown, by the last call, in tokens of the estimate; none before the first
    /// or if it is not known.
    #[must_use]
    pub fn window(&self) -> Option<Tokens> {
        self.window
    }

    /// Whether there is such a page, and it is one of a message.
    fn is_of_log(&self, page: PageId) -> bool {
        page != PageId(0) && self.space.page(page).is_some()
    }

    /// Where a page begins and ends in the text of its message, in bytes.
    #[must_use]
    pub fn text_of(&self, id: PageId, page: &Page) -> (u32, u32) {
        let before = id.0.checked_sub(1).and_then(|before| self.space.page(PageId(before)));
        let from = before.filter(|before| before.source == page.source && page.part > 0);
        (from.map_or(0, |before| before.end), page.end)
    }

    /// The messages of which what is kept of their pages has changed.
    pub(crate) fn take_changed(&mut self) -> BTreeSet<MessageIndex> {
        self.space.take_changed()
    }
}

#[cfg(test)]
mod tests;

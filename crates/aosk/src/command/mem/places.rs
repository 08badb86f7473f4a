//! Where the pages of a process are, from its page table and its journal. It reads no content.

use aosk::abi::{PageId, PageKind, Tokens};
use aosk::inspect::{KeptPage, PageTable};
use aosk::kernel::memory::Residency;

use super::history::{History, fullness};

/// Where the pages of a process are.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Places {
    /// Every page, in order: first what the tools take.
    pub(super) all: Vec<Place>,
    pub(super) counts: Counts,
    /// What the model is shown, by estimate.
    pub(super) shown: Tokens,
    /// The most that it may be shown, as its provider counts; none if that is not known.
    pub(super) window: Option<Tokens>,
    /// The tokens of the estimate that fit; none if that is not known.
    pub(super) room: Option<Tokens>,
    /// What the provider counts for a thousand tokens of the estimate.
    pub(super) rate: u64,
}

/// A page, and what stands in its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place {
    pub(super) page: PageId,
    /// Where its content is; none for what the tools take.
    pub(super) kept: Option<KeptPage>,
    pub(super) kind: PageKind,
    /// Its own tokens.
    pub(super) tokens: u64,
    /// What it, or what stands for it, takes in the window.
    pub(super) shown: u64,
    /// How many calls ago it was first shown; none if it has not been.
    pub(super) age: Option<usize>,
    pub(super) pinned: bool,
    pub(super) copy_of: Option<PageId>,
    pub(super) at: At,
}

/// Where a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// In the window.
    Resident,
    /// A stub stands for it and for so many pages in all.
    Stub(u64),
    /// A summary of it and so many pages in all.
    Summary(u64),
    /// Counted by the stub or the summary of this page.
    Behind(PageId),
    /// Evicted, and no stub counts it.
    Evicted,
    /// Left with its task, whose result stands for it.
    Closed,
    /// Evicted for good.
    Forgotten,
}

impl At {
    /// Whether it, or something in its place, is in the window.
    pub(super) fn is_shown(self) -> bool {
        match self {
            Self::Resident | Self::Stub(_) | Self::Summary(_) => true,
            Self::Behind(_) | Self::Evicted | Self::Closed | Self::Forgotten => false,
        }
    }
}

/// How many pages of messages are where. The first five add up to all.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) resident: u64,
    pub(super) behind_stubs: u64,
    pub(super) evicted: u64,
    /// Left with their tasks.
    pub(super) closed: u64,
    pub(super) forgotten: u64,
    /// Pinned ones among those in the window.
    pub(super) pinned: u64,
}

impl Counts {
    /// All pages.
    pub(super) fn all(self) -> u64 {
        let Self { resident, behind_stubs, evicted, closed, forgotten, .. } = self;
        [resident, behind_stubs, evicted, closed, forgotten].into_iter().sum()
    }
}

impl Places {
    /// Where pages are.
    pub(super) fn new(table: &PageTable, history: &History) -> Self {
        let mut all: Vec<Place> = table.pages.iter().map(|page| place(page, history)).collect();
        find_stubs(&mut all);
        let mut counts = Counts::default();
        for place in &all {
            let pinned = place.pinned && place.at.is_shown();
            counts.pinned = counts.pinned.saturating_add(u64::from(pinned));
            let count = match place.at {
                At::Resident => &mut counts.resident,
                At::Stub(_) | At::Summary(_) | At::Behind(_) => &mut counts.behind_stubs,
                At::Evicted => &mut counts.evicted,
                At::Closed => &mut counts.closed,
                At::Forgotten => &mut counts.forgotten,
            };
            *count = count.saturating_add(1);
        }
        if let Some(tools) = tools(&all, history) {
            all.insert(0, tools);
        }
        let shown = Tokens(all.iter().map(|place| place.shown).sum());
        let (window, room) = (history.plan.window, history.room());
        Self { all, counts, shown, window, room, rate: history.rate }
    }

    /// What is in the window, in order.
    pub(super) fn shown(&self) -> impl Iterator<Item = &Place> {
        self.all.iter().filter(|place| place.at.is_shown())
    }

    /// How full the window is, in thousandths.
    pub(super) fn fullness(&self) -> Option<u64> {
        fullness(self.shown, self.room?)
    }
}

fn place(page: &KeptPage, history: &History) -> Place {
    let entry = &page.entry;
    let kept = &entry.kept;
    let extent = u64::from(kept.extent.max(1));
    let (at, shown) = match kept.residency {
        Residency::Resident => (At::Resident, entry.tokens),
        Residency::Stub if kept.summary => (At::Summary(extent), kept.stand_in),
        Residency::Stub => (At::Stub(extent), kept.stand_in),
        Residency::Evicted => (At::Evicted, 0),
        Residency::Closed => (At::Closed, 0),
        Residency::Forgotten => (At::Forgotten, 0),
    };
    Place {
        page: page.page,
        kept: Some(*page),
        kind: entry.kind,
        tokens: u64::from(entry.tokens),
        shown: u64::from(shown),
        age: history.age(page.source),
        pinned: entry.pinned,
        copy_of: kept.copy_of,
        at,
    }
}

/// Finds the stub of every page that one counts: those behind it, up to what is shown next.
fn find_stubs(all: &mut [Place]) {
    let mut stub = None;
    for place in all {
        match place.at {
            At::Resident => stub = None,
            At::Stub(pages) | At::Summary(pages) => {
                stub = Some((place.page, pages.saturating_sub(1)));
            }
            At::Behind(_) | At::Closed | At::Forgotten => {}
            At::Evicted => {
                // Of a copy no stub tells: what it is a copy of has its own.
                if let Some((page, left @ 1..)) = stub.filter(|_| place.copy_of.is_none()) {
                    place.at = At::Behind(page);
                    stub = Some((page, left - 1));
                }
            }
        }
    }
}

/// What the tools take: what is shown beside the pages. None if no call was ever planned.
fn tools(pages: &[Place], history: &History) -> Option<Place> {
    let shown = history.shown()?;
    let then = |place: &&Place| {
        let source = place.kept.map(|kept| kept.source);
        shown.messages.is_none_or(|messages| source.is_some_and(|source| source < messages))
    };
    let pages: u64 = pages.iter().filter(then).map(|place| place.shown).sum();
    let tokens = shown.tokens.0.saturating_sub(pages);
    Some(Place {
        page: PageId(0),
        kept: None,
        kind: PageKind::Tools,
        tokens,
        shown: tokens,
        age: history.calls.len().checked_sub(1),
        pinned: false,
        copy_of: None,
        at: At::Resident,
    })
}

#[cfg(test)]
mod tests;

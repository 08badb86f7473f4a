//! A page: the unit that is in the window or is not. It holds no content, only where that is.

use aosk_abi::MessageIndex;
pub use aosk_abi::{ArenaId, PageId, PageKind};
use serde::{Deserialize, Serialize};

/// What stays or goes together: a tool call with its results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GroupId(pub u32);

/// A content block of a request. Breakpoints of caches stand at the ends of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BlockId(pub u32);

/// Where a page is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Residency {
    /// In the window.
    #[default]
    Resident,
    /// Evicted; a stub in its place says so and can be recalled.
    Stub,
    /// Evicted without a trace of its own: a stub before it counts it, or nothing does.
    Evicted,
    /// Left with its task, whose result stands for it. It can be recalled.
    Closed,
    /// Evicted for good: it is not brought back.
    Forgotten,
}

/// What is appended to an address space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewPage {
    /// What it holds.
    pub kind: PageKind,
    /// Its tokens in a request.
    pub tokens: u32,
    /// What it stays or goes with.
    pub group: GroupId,
    /// The block it is rendered in.
    pub block: BlockId,
    /// The task it belongs to.
    pub arena: ArenaId,
    /// The page of the log that holds its content.
    pub source: MessageIndex,
    /// Which piece of that page, from 0.
    pub part: u16,
    /// Where the piece ends in the text of that page, in bytes.
    pub end: u32,
    /// 0 to 1000; 500 is usual.
    pub importance: u16,
    /// Whether it must stay.
    pub pinned: bool,
}

/// An entry of the page table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// What it holds.
    pub kind: PageKind,
    /// Where it is.
    pub residency: Residency,
    /// Whether it must stay.
    pub pinned: bool,
    /// 0 to 1000; 500 is usual. The dearer a fault on it would be.
    pub importance: u16,
    /// Times that later content used it.
    pub refs: u16,
    /// Which piece of `source`, from 0.
    pub part: u16,
    /// Where the piece ends in the text of `source`, in bytes; [`aosk_abi::TEXT_END`] if with it.
    pub end: u32,
    /// Its tokens in a request while it is resident.
    pub tokens: u32,
    /// What it stays or goes with.
    pub group: GroupId,
    /// The block it is rendered in.
    pub block: BlockId,
    /// The task it belongs to.
    pub arena: ArenaId,
    /// The page of the log that holds its content.
    pub source: MessageIndex,
    /// The call before which it was appended.
    pub born: u32,
    /// The call that last used it; `born` if none did.
    pub last_used: u32,
    /// Turns of the user begun when it was last used.
    pub turn: u32,
    /// Pages that its stub stands for; 0 unless it is a stub.
    pub extent: u32,
    /// What its stub, or the summary in its place, takes in a request.
    pub stand_in: u32,
    /// Whether what stands in its place is a summary and no mere stub.
    pub summary: bool,
    /// The page that it is a copy of; itself otherwise.
    pub original: PageId,
}

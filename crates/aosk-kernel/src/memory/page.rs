//! A page: the unit that is in the window or is not. It holds no content, only where that is.

use aosk_abi::PageIndex;
use serde::{Deserialize, Serialize};

/// The place of a page in the page table of one process, counted from 0. Never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PageId(pub u32);

/// What stays or goes together: a tool call with its results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GroupId(pub u32);

/// A content block of a request. Breakpoints of caches stand at the ends of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BlockId(pub u32);

/// A task of the process, or a child that works in its window. 0 is the process itself.
#[derive(
    Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct ArenaId(pub u32);

/// What a page holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageKind {
    /// Standing instructions.
    System,
    /// Descriptions of tools.
    Tools,
    /// What the process is to do.
    Task,
    /// What a person said.
    User,
    /// What the model said, its tool calls included.
    Assistant,
    /// What a tool returned.
    ToolResult,
    /// A message from another process.
    Message,
    /// A copy of an evicted page, brought back.
    Recalled,
    /// A summary of evicted pages.
    Summary,
}

impl PageKind {
    /// Whether pages of this kind, standing first, make up the static part.
    #[must_use]
    pub fn is_static(self) -> bool {
        match self {
            Self::System | Self::Tools => true,
            Self::Task
            | Self::User
            | Self::Assistant
            | Self::ToolResult
            | Self::Message
            | Self::Recalled
            | Self::Summary => false,
        }
    }

    /// Whether it opens a turn of whoever the process works for.
    #[must_use]
    pub fn opens_turn(self) -> bool {
        match self {
            Self::Task | Self::User => true,
            Self::System
            | Self::Tools
            | Self::Assistant
            | Self::ToolResult
            | Self::Message
            | Self::Recalled
            | Self::Summary => false,
        }
    }
}

/// Where a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Residency {
    /// In the window.
    Resident,
    /// Evicted; a stub in its place says so and can be recalled.
    Stub,
    /// Evicted without a trace of its own: a stub before it counts it, or nothing does.
    Evicted,
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
    pub source: PageIndex,
    /// Which piece of that page, from 0.
    pub part: u16,
    /// 0 to 1000; 500 is usual.
    pub importance: u16,
    /// Whether it must stay.
    pub pinned: bool,
}

/// An entry of the page table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Its tokens in a request while it is resident.
    pub tokens: u32,
    /// What it stays or goes with.
    pub group: GroupId,
    /// The block it is rendered in.
    pub block: BlockId,
    /// The task it belongs to.
    pub arena: ArenaId,
    /// The page of the log that holds its content.
    pub source: PageIndex,
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
    /// The page of the log that holds the summary in its place, if that is no mere stub.
    pub summary: Option<PageIndex>,
    /// The page that it is a copy of; itself otherwise.
    pub original: PageId,
}

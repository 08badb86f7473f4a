//! The memory of a process: what the shell says of new content, and what a model is shown of it.
//!
//! A log holds messages. The page table of a process holds pages: a message is one, or several if it
//! is long. Content stays where it is, in the log; here are only places in it and figures.

use serde::{Deserialize, Serialize};

use crate::id::MessageIndex;
use crate::message::Hash;
use crate::unit::Tokens;

/// The place of a page in the page table of one process, counted from 0. Never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PageId(pub u32);

/// A task of a process, with the pages that came while it was open. 0 is the process itself.
#[derive(
    Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct ArenaId(pub u32);

impl ArenaId {
    /// What belongs to no task.
    pub const NONE: Self = Self(0);
}

/// What a page holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

    /// Its name for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Tools => "tools",
            Self::Task => "task",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::ToolResult => "tool result",
            Self::Message => "message",
            Self::Recalled => "recalled",
            Self::Summary => "summary",
        }
    }
}

/// A part of a message of the log that becomes a page of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The message.
    pub source: MessageIndex,
    /// What it holds.
    pub kind: PageKind,
    /// Its tokens in a request.
    pub tokens: u32,
    /// Where it ends in the text of the message, in bytes; [`TEXT_END`] if with the message. It begins
    /// where the piece before it ends.
    pub end: u32,
    /// Whether it answers a tool call of the model's last message before it.
    pub answers: bool,
    /// The page that it brings back.
    pub copy_of: Option<PageId>,
}

/// The end of a message's text.
pub const TEXT_END: u32 = u32::MAX;

/// What a model is shown before it answers.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Window {
    /// In order.
    pub frames: Vec<Frame>,
    /// Places in `frames` behind which breakpoints of the provider's cache go, in order; none for a
    /// provider that wants none.
    pub breakpoints: Vec<usize>,
    /// Whether the cache should be kept for the longer of the provider's lifetimes.
    pub long_lived: bool,
    /// Leading frames that are as in the last call of the process.
    pub unchanged: usize,
    /// What is shown is to be put in so many tokens, and nothing else is asked.
    pub summarise: Option<Tokens>,
    /// What is shown is what somebody outside sent: there are no frames.
    pub relayed: bool,
}

/// A frame of the window: a page of the process, or what stands in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// The page.
    pub page: PageId,
    /// The message that holds it.
    pub body: Hash,
    /// Where that message is in the log.
    pub source: MessageIndex,
    /// What it holds.
    pub kind: PageKind,
    /// Where the page begins and ends in the text of the message, in bytes; 0 and [`TEXT_END`] if it
    /// is all of it.
    pub text: (u32, u32),
    /// How it is shown.
    pub form: Form,
}

/// How a page is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Its content.
    Content,
    /// A line that says that it is elsewhere.
    Stub {
        /// The pages that it stands for, one after another; at least 1.
        pages: u32,
        /// The tokens of the first of them.
        tokens: u32,
    },
    /// A summary of it and of those behind it.
    Summary {
        /// How many pages it stands for.
        pages: u32,
        /// The most tokens it may take.
        tokens: u32,
        /// What a model made of them; lines quoted from them if none.
        body: Option<Hash>,
    },
}

//! What a process may ask, and what it is woken with.
//!
//! Calls and wakes carry ids and page places, never content: the content is in the process's log,
//! where devices put their answers as hardware puts data into memory.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::budget::Resource;
use crate::error::Error;
use crate::id::{MessageIndex, Pid};
use crate::memory::{ArenaId, PageId, Piece};
use crate::message::{Body, Hash, ToolUse};
use crate::model::{Abilities, Failure, FinishReason, ThinkOptions};
use crate::process::{ExitStatus, SpawnSpec};
use crate::unit::{Millis, Tokens};

/// One step of a program: what it adds to its log, what it asks, and the state it will wake in.
/// The three are committed together.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Messages to append to the log first.
    pub append: Vec<Body>,
    /// What it asks.
    pub call: Syscall,
    /// The program's state, JSON text. The kernel never looks inside.
    pub state: Arc<str>,
}

/// Another process, by id or by name. A name is looked for among the parent, the children and the
/// siblings, in this order; of several the one started last. As text it is an id if it looks like one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum Peer {
    /// By id.
    Pid(Pid),
    /// By name.
    Name(String),
}

impl From<String> for Peer {
    fn from(text: String) -> Self {
        text.parse().map_or(Self::Name(text), Self::Pid)
    }
}

impl From<Pid> for Peer {
    fn from(pid: Pid) -> Self {
        Self::Pid(pid)
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pid(pid) => write!(f, "{pid}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// What a process may ask. Each call ends in exactly one [`Wake`], unless it is [`Syscall::Exit`].
#[derive(Debug, Clone, PartialEq)]
pub enum Syscall {
    /// Ask the model. It is shown the log, as far as that fits its window.
    Think {
        /// What to ask of the model.
        options: ThinkOptions,
        /// What the tools take that it is offered.
        tools: Tokens,
        /// The messages of the log that the page table does not have yet, what this step appends
        /// among them, in order and without a gap.
        pieces: Vec<Piece>,
        /// Pages that the newest answer used.
        uses: Vec<PageId>,
    },
    /// Ask the model what somebody outside asks it, in their own words: what is shown is what they sent,
    /// and nothing of the log. The call is admitted, counted and written down like any other. It is not
    /// begun anew when they were told a part of an answer, nor after a crash: nobody would hear it.
    Relay {
        /// What to ask of the model.
        options: ThinkOptions,
        /// What they sent takes so many tokens by estimate.
        input: Tokens,
        /// What not every model can do and this needs.
        needs: Abilities,
    },
    /// Have pages brought back. They come with the wake, and enter the log as the program appends
    /// them.
    Recall {
        /// Which.
        pages: Vec<PageId>,
    },
    /// Keep a page in the window, or let it go again.
    Pin {
        /// Which.
        page: PageId,
        /// Whether it must stay.
        pinned: bool,
    },
    /// Take a page out of the window for good.
    Forget {
        /// Which.
        page: PageId,
    },
    /// Begin a task within the one that is open. What enters the log from now on, but for results of
    /// calls that were made before, belongs to it.
    BeginTask {
        /// What is to be done.
        goal: Body,
    },
    /// End the task that was begun last. What belongs to it leaves the window when that pays, and its
    /// result, which the program appends if it is not in the log, stands for it.
    EndTask {
        /// What came of it.
        result: Body,
    },
    /// Call tools; woken when all have returned.
    CallTools {
        /// The calls, in the order in which their results enter the log.
        calls: Vec<ToolUse>,
    },
    /// Start a child.
    Spawn {
        /// How.
        spec: Box<SpawnSpec>,
    },
    /// Wait until a child has ended, and reap it.
    Wait {
        /// Which; any if none.
        child: Option<Peer>,
        /// How long; forever if none.
        timeout: Option<Millis>,
    },
    /// Put a message into another process's mailbox.
    Send {
        /// Whose.
        to: Peer,
        /// The message as the receiver will see it.
        body: Body,
    },
    /// Take the next message from the mailbox.
    Receive {
        /// Only from this process; from anyone if none.
        from: Option<Peer>,
        /// How long to wait; forever if none.
        timeout: Option<Millis>,
    },
    /// Do nothing for a while.
    Sleep {
        /// How long.
        span: Millis,
    },
    /// End.
    Exit {
        /// How.
        status: ExitStatus,
        /// What the parent gets.
        result: Option<Body>,
    },
}

impl Syscall {
    /// The call's name in the journal.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Think { .. } => "think",
            Self::Relay { .. } => "relay",
            Self::Recall { .. } => "recall",
            Self::Pin { .. } => "pin",
            Self::Forget { .. } => "forget",
            Self::BeginTask { .. } => "begin_task",
            Self::EndTask { .. } => "end_task",
            Self::CallTools { .. } => "call_tools",
            Self::Spawn { .. } => "spawn",
            Self::Wait { .. } => "wait",
            Self::Send { .. } => "send",
            Self::Receive { .. } => "receive",
            Self::Sleep { .. } => "sleep",
            Self::Exit { .. } => "exit",
        }
    }
}

/// Where a page is that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recalled {
    /// The page.
    pub page: PageId,
    /// The message that holds it.
    pub source: MessageIndex,
    /// Where it begins and ends in the text of the message, in bytes; the end is
    /// [`crate::memory::TEXT_END`] if it is that of the message.
    pub text: (u32, u32),
    /// Whether it, or a copy of it, is in the window.
    pub resident: bool,
}

/// Why a program is run again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wake {
    /// It has just begun.
    Started,
    /// The model answered.
    Answered {
        /// Where the answer is.
        page: MessageIndex,
        /// Why the model stopped.
        finish: FinishReason,
    },
    /// The model call failed for good.
    ModelFailed {
        /// How.
        failure: Failure,
    },
    /// Where the pages are that were asked for.
    Recalled {
        /// In the order in which they were asked for.
        pages: Vec<Recalled>,
    },
    /// The page is pinned, or no longer is.
    Pinned,
    /// The page is gone.
    Forgotten {
        /// What that frees.
        freed: Tokens,
    },
    /// The task is open.
    TaskBegun {
        /// Its number.
        task: ArenaId,
    },
    /// The task is over.
    TaskEnded {
        /// Its number.
        task: ArenaId,
        /// The first and the last of its pages, those of tasks within it included; none if it has
        /// none.
        pages: Option<(PageId, PageId)>,
    },
    /// All tools have returned, or failed in a way the model should see.
    ToolsReturned {
        /// Where the first result is.
        first: MessageIndex,
        /// How many there are.
        count: u32,
    },
    /// The child runs.
    Spawned {
        /// Its id.
        pid: Pid,
    },
    /// A child has ended and is reaped.
    ChildExited {
        /// Which.
        pid: Pid,
        /// How.
        status: ExitStatus,
        /// What it left.
        result: Option<Hash>,
    },
    /// The message lies in the other's mailbox.
    Sent,
    /// A message came. It is not in the log; the program appends what it makes of it.
    Received {
        /// The message.
        body: Hash,
        /// From whom; the operator if none.
        from: Option<Pid>,
    },
    /// The sleep is over.
    Slept,
    /// The wait's time is over.
    TimedOut,
    /// The call was not carried out.
    Refused {
        /// Why.
        error: Error,
    },
    /// A budget does not allow the call, now or later.
    OutOfBudget {
        /// What is used up.
        resource: Resource,
    },
    /// TERM: save what must be saved and exit within the grace time.
    Terminated,
}

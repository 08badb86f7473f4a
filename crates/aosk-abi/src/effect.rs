//! Everything the kernel can ask of the world, in the order in which it may happen.

use std::sync::Arc;

use crate::budget::Resource;
use crate::fact::{Entry, Runaway};
use crate::id::{CallId, Pid, RequestId};
use crate::input::Reply;
use crate::memory::Window;
use crate::message::{Body, Hash};
use crate::model::ThinkOptions;
use crate::row::RowChange;
use crate::syscall::Wake;

/// What came of a batch of inputs.
///
/// First the shell runs every [`Resume`] and every inline tool (both are pure) and applies what
/// comes of them, until none is left or it is time for a commit; the rest is done after it. Then
/// rows, journal and bodies are committed in one transaction. Only then may anything of `releases`
/// happen, in its order.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Effects {
    /// Programs to run before the commit.
    pub resumes: Vec<Resume>,
    /// Inline tool calls to make before the commit. Each ends in one `ToolDone`.
    pub inline: Vec<ToolStart>,
    /// Content to store before the rows that point to it.
    pub bodies: Vec<Body>,
    /// Changes of durable state. Filled once per batch.
    pub rows: Vec<RowChange>,
    /// Facts for the journal.
    pub journal: Vec<Entry>,
    /// What leaves after the commit.
    pub releases: Vec<Release>,
}

/// A program that must be run with a wake.
#[derive(Debug, Clone, PartialEq)]
pub struct Resume {
    /// Whose.
    pub pid: Pid,
    /// The number of the turn; its step must carry it back.
    pub turn: u64,
    /// Why.
    pub wake: Wake,
}

/// A tool call to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolStart {
    /// The call.
    pub call: CallId,
    /// The attempt, from 1.
    pub attempt: u32,
    /// The id under which the model expects the result.
    pub use_id: String,
    /// The tool.
    pub tool: String,
    /// The arguments as the model wrote them.
    pub arguments: Arc<str>,
    /// How many tools the process called before this.
    pub ordinal: u32,
}

/// What a model is told at the end of the conversation, in one call only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The budget has room for this call and for none after it: what is to be saved must be now.
    LastStep {
        /// What runs out.
        resource: Resource,
    },
    /// The process does the same again and again, and is ended if it goes on.
    Runaway {
        /// What it does.
        what: Runaway,
        /// How often in a row.
        times: u32,
    },
}

/// Something that leaves the kernel after the commit.
#[derive(Debug, Clone, PartialEq)]
pub enum Release {
    /// Start a model call. It must end in one `ModelDone` with the same call and attempt.
    Think {
        /// The call.
        call: CallId,
        /// The attempt, from 1.
        attempt: u32,
        /// The device that answers.
        device: String,
        /// What it is shown of the conversation.
        window: Window,
        /// What to ask.
        options: Arc<ThinkOptions>,
        /// What of the answer is written already and is to be gone on from: an assistant message.
        begun: Option<Hash>,
        /// What the model is told beside the conversation.
        notice: Option<Notice>,
    },
    /// Start a tool call. It must end in one `ToolDone` with the same call and attempt.
    Tool(ToolStart),
    /// Stop a model call that runs at the next token, for another to take its slot. It must still end
    /// in its one completion, which says what was written.
    Yield {
        /// The call.
        call: CallId,
        /// The attempt.
        attempt: u32,
    },
    /// Stop a call that runs. It must still end in its one completion.
    Cancel {
        /// The call.
        call: CallId,
        /// The attempt.
        attempt: u32,
    },
    /// Answer an operator.
    Reply {
        /// Which request.
        request: RequestId,
        /// The answer.
        reply: Reply,
    },
}

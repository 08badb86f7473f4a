//! What a process is: its specification, its state, its log and its mailbox.
//!
//! Invariant: everything a process waits for is in its [`State`]; queues, slots in use and deadlines
//! are derived from it by `index` and never kept beside it.

mod digest;
mod guard;
mod lifecycle;
mod mailbox;
pub(crate) mod memory;
mod signal;
mod times;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aosk_abi::{
    Abilities, BudgetId, Capabilities, ExitStatus, Hash, Lack, MessageIndex, PageId, Pid,
    ProgramSpec, Spend, ThinkOptions, Timestamp, Tokens, Usage, Wake,
};
use serde::{Deserialize, Serialize};

pub use digest::LogDigest;
pub(crate) use guard::Guard;
pub(crate) use guard::Verdict;
pub use memory::{EndedTask, Entry, Memory, STUB_TOKENS};
pub use times::{Phase, Times};

/// What a process was started with. Never changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// A name for people.
    pub name: String,
    /// What it belongs to, for whoever started it.
    pub label: String,
    /// What drives it.
    pub program: ProgramSpec,
    /// Who started it; the operator if none.
    pub parent: Option<Pid>,
    /// How far from the operator it is.
    pub depth: u32,
    /// What it may touch.
    pub capabilities: Capabilities,
    /// The budget node it spends from.
    pub budget: BudgetId,
    /// The tenant or group that it belongs to; empty if none. That of its node of the budget tree, which
    /// is gone when the process is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// When it was started.
    pub spawned: Timestamp,
}

/// One agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Process {
    /// What it was started with.
    pub spec: Arc<Spec>,
    /// What it does or waits for.
    pub state: State,
    /// 0 (most urgent) to 100.
    pub priority: u8,
    /// Whether it was asked to end.
    pub termination: Termination,
    /// The program's state, JSON text.
    pub program_state: Arc<str>,
    /// The number of the last turn.
    pub turn: u64,
    /// The number of its last device call.
    pub calls: u32,
    /// The number of the last message put into its mailbox.
    pub mail_count: u64,
    /// What it has used so far.
    pub stats: Stats,
    /// What it was served, divided by its weight, on the clock of each pool of models it has asked.
    pub served: BTreeMap<String, u64>,
    /// Whether it does the same without end.
    pub(crate) guard: Guard,
    /// Living processes that descend from it, if the operator started it. Derived.
    pub descendants: u32,
    /// The bound that had no room for what it asked last, of which it was told.
    pub lack: Option<Lack>,
    /// What its log must be.
    pub log: LogDigest,
    /// Its log.
    pub pages: Vec<LogPage>,
    /// What of its log is in the window.
    pub memory: Memory,
    /// Its mailbox, by number.
    pub mailbox: BTreeMap<u64, Mail>,
    /// Its children that are not reaped. Derived from their specifications.
    pub children: BTreeSet<Pid>,
}

/// What a process has used so far.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Counted as budgets count.
    pub spend: Spend,
    /// Model calls answered.
    pub model_calls: u64,
    /// Attempts of model calls that failed and were made again.
    pub model_retries: u64,
    /// Tool calls that ended.
    pub tool_calls: u64,
    /// Input tokens.
    pub input: Tokens,
    /// The part of `input` that providers read from their caches.
    pub cached: Tokens,
    /// The part of `input` that was written to the caches of providers.
    #[serde(default, skip_serializing_if = "is_no_token")]
    pub written: Tokens,
    /// Calls of which a provider's cache had less than could be expected.
    #[serde(default, skip_serializing_if = "is_none")]
    pub cache_misses: u64,
    /// Output tokens.
    pub output: Tokens,
    /// Summaries that models made.
    #[serde(default)]
    pub summaries: u64,
    /// What its time went to.
    #[serde(default, skip_serializing_if = "Times::is_empty")]
    pub times: Times,
    /// How often a call of it was cut off for another.
    #[serde(default)]
    pub preempted: u64,
    /// Output tokens that were generated and could not be gone on from.
    #[serde(default)]
    pub lost: Tokens,
    /// Pages that the model asked for and that were not in the window.
    #[serde(default)]
    pub faults: u64,
    /// Messages sent to other processes.
    pub sent: u64,
    /// Messages received.
    pub received: u64,
}

/// Whether a process was asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Termination {
    /// No.
    None,
    /// Yes; the program is told at its next system call and killed at the deadline.
    Asked {
        /// Why.
        cause: Cause,
        /// When it is killed.
        deadline: Timestamp,
    },
    /// Yes, and the program knows; it is killed at the deadline.
    Told {
        /// Why.
        cause: Cause,
        /// When it is killed.
        deadline: Timestamp,
    },
}

/// Why a process was asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// TERM.
    Term,
    /// The wall time of its budget is over.
    Wall,
}

/// One message of a log. Its body is in the store under its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogPage {
    /// Where its body is.
    pub hash: Hash,
}

/// One message in a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// Who sent it; the operator if none.
    pub from: Option<Pid>,
    /// The message.
    pub body: Hash,
}

/// What a process does or waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its program runs: the shell owes a step for the turn.
    Program {
        /// Why it was woken.
        wake: Wake,
    },
    /// It wants a slot of a model.
    Ready {
        /// For this call.
        call: ModelCall,
    },
    /// It holds a slot.
    Running {
        /// For this call.
        call: ModelCall,
        /// What is reserved for it at every budget node up the tree.
        held: Spend,
        /// When it is cut off, and once it was, when it is given up.
        deadline: Timestamp,
        /// When it is looked at whether it should yield; none if it never is, or was asked to end.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        slice_ends: Option<Timestamp>,
        /// Whether it was asked to end before it is done.
        #[serde(default, skip_serializing_if = "Asked::is_nothing")]
        asked: Asked,
    },
    /// It waits.
    Waiting {
        /// For this.
        on: Wait,
    },
    /// It was stopped and does nothing until CONT. Never holds another `Stopped`.
    Stopped {
        /// What it did.
        was: Box<State>,
    },
    /// It has ended but for calls to be confirmed cancelled and children to end.
    Exiting {
        /// How it ended.
        status: ExitStatus,
        /// What it leaves.
        result: Option<Hash>,
        /// Calls not confirmed yet.
        calls: Vec<Cancelling>,
    },
    /// It has ended and waits to be reaped by its parent.
    Zombie {
        /// How it ended.
        status: ExitStatus,
        /// What it leaves.
        result: Option<Hash>,
    },
}

/// Whether a call was asked to end before it is done.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// It was not.
    #[default]
    Nothing,
    /// To give up its slot.
    Yield,
    /// To stop, as it was not answered in time. It keeps its slot until that is confirmed.
    Late,
}

impl Asked {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
    fn is_nothing(&self) -> bool {
        *self == Self::Nothing
    }
}

/// What a waiting process waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// The next attempt of a failed model call.
    Backoff {
        /// The call.
        call: ModelCall,
        /// When it is tried again.
        until: Timestamp,
    },
    /// Room in a budget for a model call. There is enough once others settle.
    Quota {
        /// The call.
        call: ModelCall,
        /// What has no room.
        #[serde(flatten)]
        lack: Lack,
        /// Whether only a person can make room there, by raising its bounds.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        asks: bool,
    },
    /// Tools.
    Tools {
        /// Every call of the turn, in the order in which results enter the log.
        calls: Vec<ToolWait>,
    },
    /// The end of a child.
    Child {
        /// Which; any if none.
        child: Option<Pid>,
        /// How long; for ever if none.
        until: Option<Timestamp>,
    },
    /// A message.
    Message {
        /// From whom; from anyone if none.
        from: Option<Pid>,
        /// How long; for ever if none.
        until: Option<Timestamp>,
    },
    /// A moment.
    Timer {
        /// When.
        until: Timestamp,
    },
}

/// A model call that is not answered yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelCall {
    /// Its number within the process.
    pub number: u32,
    /// What is asked.
    pub options: Arc<ThinkOptions>,
    /// What the model is shown takes so many tokens by estimate.
    #[serde(default)]
    pub estimate: Tokens,
    /// The tokens that are reserved for it.
    pub input: Tokens,
    /// What not every model can do and it needs.
    #[serde(default, skip_serializing_if = "Abilities::is_empty")]
    pub needs: Abilities,
    /// The pages behind which breakpoints of the provider's cache go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub breakpoints: Vec<PageId>,
    /// Whether the cache is to be kept for the longer lifetime.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub long_lived: bool,
    /// Whether the provider has already said that it is too long, and it was cut.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shrunk: bool,
    /// What it is, if it asks for a summary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Box<SummaryCall>>,
    /// Whether somebody outside asks it, in their own words.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub relayed: bool,
    /// The attempt that runs or ran last; tells a late answer from a good one.
    pub attempt: u32,
    /// How many attempts failed.
    pub failures: u32,
    /// The devices of its route on which it failed since all of them were tried last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed_on: Vec<Arc<str>>,
    /// The node of the budget tree at which it waited first and was let go, if it is looked at again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub woken_at: Option<BudgetId>,
    /// When it became ready, as a number that only grows.
    pub since: u64,
    /// The device that was asked last; another than was asked for if a route leads to several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Arc<str>>,
    /// Where its process stood in virtual time when the call became ready.
    #[serde(default)]
    pub start: u64,
    /// The service it is expected to take, which is counted in advance.
    #[serde(default)]
    pub service: u64,
    /// When the attempt that runs or ran last began.
    #[serde(default)]
    pub started: Timestamp,
    /// What of the answer is written already and is to be gone on from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<Hash>,
    /// The output tokens of which that is.
    #[serde(default, skip_serializing_if = "is_no_token")]
    pub begun_output: Tokens,
    /// How often it was cut off for another.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub preempted: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

fn is_no_token(tokens: &Tokens) -> bool {
    *tokens == Tokens::ZERO
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A model call that asks for a summary, before another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SummaryCall {
    /// The first and the last of the pages that leave for it.
    pub pages: (PageId, PageId),
    /// What is asked when it is there.
    pub then: Arc<ThinkOptions>,
    /// What the tools take that are offered then.
    pub tools: Tokens,
}

/// A tool call of a turn that is not over yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolWait {
    /// Its number within the process.
    pub number: u32,
    /// The id under which the model expects the result.
    pub use_id: String,
    /// The tool.
    pub tool: String,
    /// The arguments as the model wrote them.
    pub arguments: Arc<str>,
    /// How many tools the process called before this.
    pub ordinal: u32,
    /// The attempt that runs or ran last.
    pub attempt: u32,
    /// How far it is.
    pub phase: ToolPhase,
}

/// How far a tool call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolPhase {
    /// It waits for a slot.
    Queued {
        /// When it was queued, as a number that only grows.
        since: u64,
    },
    /// It runs.
    InFlight {
        /// When the kernel gives it up.
        deadline: Timestamp,
    },
    /// It has ended.
    Returned {
        /// The result message.
        body: Hash,
        /// The address of what it says, without the id of the call.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        said: Option<Hash>,
    },
}

/// A call of a process that has ended, not confirmed to be over yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cancelling {
    /// The call's number within the process.
    pub number: u32,
    /// Its attempt.
    pub attempt: u32,
    /// Whether the confirmation is waited for until then, and no longer.
    pub deadline: Timestamp,
    /// What it was.
    pub kind: CancelKind,
}

/// What a cancelled call was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelKind {
    /// A model call; it keeps its slot and its reservation until it is confirmed.
    Model {
        /// What was asked.
        call: Box<ModelCall>,
        /// What is reserved for it.
        held: Spend,
    },
    /// A tool call; it keeps its slot.
    Tool,
}

impl ModelCall {
    /// A call that has not been made yet and asks for an answer; it became ready at `since`. Its input
    /// takes `estimate`, and `input` is reserved for it.
    pub(crate) fn new(
        number: u32,
        options: Arc<ThinkOptions>,
        (estimate, input): (Tokens, Tokens),
        since: u64,
    ) -> Self {
        Self {
            number,
            options,
            estimate,
            input,
            needs: Abilities::NONE,
            breakpoints: Vec::new(),
            long_lived: false,
            shrunk: false,
            summary: None,
            relayed: false,
            attempt: 0,
            failures: 0,
            failed_on: Vec::new(),
            woken_at: None,
            since,
            device: None,
            start: 0,
            service: 0,
            started: Timestamp::ZERO,
            begun: None,
            begun_output: Tokens::ZERO,
            preempted: 0,
        }
    }

    /// The device that was asked last, or what was asked for if none was yet.
    #[must_use]
    pub fn device(&self) -> &str {
        self.device.as_deref().unwrap_or(&self.options.model)
    }

    /// What a call used that gave up its slot: the input is the estimate if the provider's count never
    /// came.
    pub(crate) fn used_so_far(&self, usage: &Usage) -> Usage {
        let mut usage = *usage;
        if usage.estimated && usage.input() == Tokens::ZERO {
            usage.input_uncached = self.input;
        }
        usage
    }
}

impl State {
    /// The state behind a stop, if the process is stopped; the state itself otherwise.
    #[must_use]
    pub fn inner(&self) -> &Self {
        match self {
            Self::Stopped { was } => was,
            Self::Program { .. }
            | Self::Ready { .. }
            | Self::Running { .. }
            | Self::Waiting { .. }
            | Self::Exiting { .. }
            | Self::Zombie { .. } => self,
        }
    }

    /// The model call that it waits for, if it does.
    #[must_use]
    pub fn call(&self) -> Option<&ModelCall> {
        match self.inner() {
            Self::Ready { call }
            | Self::Running { call, .. }
            | Self::Waiting { on: Wait::Backoff { call, .. } | Wait::Quota { call, .. } } => {
                Some(call)
            }
            Self::Program { .. }
            | Self::Waiting { .. }
            | Self::Stopped { .. }
            | Self::Exiting { .. }
            | Self::Zombie { .. } => None,
        }
    }

    /// The same, to be changed.
    pub(crate) fn inner_mut(&mut self) -> &mut Self {
        match self {
            Self::Stopped { was } => was,
            Self::Program { .. }
            | Self::Ready { .. }
            | Self::Running { .. }
            | Self::Waiting { .. }
            | Self::Exiting { .. }
            | Self::Zombie { .. } => self,
        }
    }

    /// Whether the process has ended, reaped or not.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Exiting { .. } | Self::Zombie { .. })
    }

    /// What [`State::word`] says of processes that live.
    pub const WORDS: [&'static str; 11] = [
        "program", "ready", "running", "backoff", "quota", "tool", "child", "message", "timer",
        "stopped", "exiting",
    ];

    /// One word for tables.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Program { .. } => "program",
            Self::Ready { .. } => "ready",
            Self::Running { .. } => "running",
            Self::Waiting { on } => match on {
                Wait::Backoff { .. } => "backoff",
                Wait::Quota { .. } => "quota",
                Wait::Tools { .. } => "tool",
                Wait::Child { .. } => "child",
                Wait::Message { .. } => "message",
                Wait::Timer { .. } => "timer",
            },
            Self::Stopped { .. } => "stopped",
            Self::Exiting { .. } => "exiting",
            Self::Zombie { .. } => "zombie",
        }
    }
}

impl Process {
    /// The number of pages in the log.
    #[must_use]
    pub fn page_count(&self) -> MessageIndex {
        MessageIndex(u32::try_from(self.pages.len()).unwrap_or(u32::MAX))
    }
}

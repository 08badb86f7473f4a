//! Everything that can happen to the kernel.

use serde::{Deserialize, Serialize};

use crate::approval::Answer;
use crate::budget::Limits;
use crate::error::Error;
use crate::id::{BudgetId, CallId, Pid, RequestId};
use crate::message::Body;
use crate::model::{Failure, ModelReply, RateReport, Usage};
use crate::process::{Signal, SpawnSpec};
use crate::syscall::Step;
use crate::unit::Tokens;

/// One thing that happens to the kernel.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The kernel has been restored from the store and begins to run.
    Boot,
    /// Time has passed; whatever is due happens.
    Tick,
    /// The kernel is about to be stopped in order: from now on no call leaves for a device. Calls in
    /// flight may end, and what is asked meanwhile waits in the queues for the next boot.
    Drain,
    /// Somebody outside asks for something.
    Operator {
        /// The reply goes to this request.
        request: RequestId,
        /// What.
        command: Command,
    },
    /// A program took a step.
    Syscall {
        /// Whose.
        pid: Pid,
        /// The turn it answers; a step for any other turn is late and ignored.
        turn: u64,
        /// The step.
        step: Step,
    },
    /// A model call ended.
    ModelDone {
        /// Which.
        call: CallId,
        /// Which attempt of it.
        attempt: u32,
        /// How.
        outcome: ModelOutcome,
    },
    /// A provider said how much more it takes for now.
    RateReported {
        /// The device.
        device: String,
        /// What it said.
        report: RateReport,
    },
    /// A tool call ended.
    ToolDone {
        /// Which.
        call: CallId,
        /// Which attempt of it.
        attempt: u32,
        /// How.
        outcome: ToolOutcome,
    },
}

/// How a model call ended.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelOutcome {
    /// With an answer.
    Answered(Box<ModelReply>),
    /// Without.
    Failed(Failure),
    /// It was cancelled and no longer runs.
    Cancelled {
        /// The output that had come until then, as far as it was seen and by estimate. What the
        /// provider counted never comes.
        output: Tokens,
    },
    /// It gave up its slot before it was done, as it was asked to.
    Yielded {
        /// What of the answer was written, if that can be gone on from: an assistant message.
        begun: Option<Body>,
        /// What it used so far. If it is an estimate without input, the kernel's own estimate of the
        /// input is charged.
        usage: Usage,
    },
}

/// How a tool call ended.
#[derive(Debug, Clone, PartialEq)]
pub enum ToolOutcome {
    /// With a result message, which may itself tell of a failure.
    Returned(Body),
    /// It was cancelled and no longer runs.
    Cancelled,
}

/// What the operator may ask.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Start a process without a parent.
    Spawn(Box<SpawnSpec>),
    /// Signal a process.
    Signal {
        /// Which.
        pid: Pid,
        /// How.
        signal: Signal,
    },
    /// Put a message into a process's mailbox.
    Send {
        /// Whose.
        pid: Pid,
        /// The message as the process will see it.
        body: Body,
    },
    /// Change a process's priority.
    Renice {
        /// Which.
        pid: Pid,
        /// 0 (most urgent) to 100.
        priority: u8,
    },
    /// Bound a node of the budget tree anew. What was used stays; calls in flight are not touched.
    SetLimits {
        /// Which.
        budget: BudgetId,
        /// The new bounds.
        limits: Box<Limits>,
    },
    /// Answer a process that waits for a person. Of several answers to one call the first counts.
    Answer(Box<Answer>),
    /// Change the scheduler policy; calls in flight are not touched.
    SetPolicy {
        /// The policy's name.
        policy: String,
    },
    /// Put the configuration in force that the kernel was offered. Calls in flight are not touched.
    Reconfigure {
        /// What of it is said anew, for the journal.
        changes: Vec<Change>,
    },
}

/// One thing that a configuration says anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What, as the configuration calls it.
    pub key: String,
    /// What it said; none if nothing. Never a secret.
    pub from: Option<String>,
    /// What it says; none if nothing. Never a secret.
    pub to: Option<String>,
}

/// What the operator gets back, after the commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// The process runs.
    Spawned(Pid),
    /// It is done.
    Done,
    /// It was not done.
    Refused(Error),
}

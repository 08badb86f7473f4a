//! What the journal keeps: facts, in the order in which they were committed.
//!
//! A fact says what happened and was decided, with figures. Facts of one process do not mention
//! anything that depends on other processes or on crashes, so a run that was interrupted and
//! resumed leaves the same facts per process as one that was not. What a crash did stands in
//! [`Fact::Booted`], which belongs to no process. Two things may differ: which pages the next cut
//! takes, since how often a page was used is not kept, and what fits by estimate, since how a provider
//! counts is not kept either. Which model of a route answers depends on what others ask, too.

use serde::{Deserialize, Serialize};

use crate::budget::{Lack, Limits, Spend};
use crate::error::ErrorCode;
use crate::id::{BudgetId, CallId, MessageIndex, Pid};
use crate::input::Change;
use crate::memory::{ArenaId, PageId, PageKind};
use crate::message::Hash;
use crate::miss::{Changed, MissReason};
use crate::model::{FailureClass, FinishReason, Usage};
use crate::process::{ExitStatus, Signal};
use crate::route::{Choice, PassedOver};
use crate::tool::Risk;
use crate::unit::{MicroUsd, Millis, Timestamp, Tokens};

/// A fact with its time and its process.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// When the kernel decided it.
    pub at: Timestamp,
    /// Whose; the node's own if none.
    pub pid: Option<Pid>,
    /// What.
    pub fact: Fact,
}

/// Why pages leave the window.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CutCause {
    /// The window is nearly full.
    #[default]
    Pressure,
    /// What is dead costs more to carry than to cut out.
    Price,
    /// What the policy found to cut did not suffice; the oldest goes.
    Emergency,
    /// The provider said that the request is too long.
    Refused,
    /// A task has ended, and its result stands for it.
    Task,
}

/// A page that leaves the window, and why it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evicted {
    /// Which.
    pub page: PageId,
    /// What it holds.
    pub kind: PageKind,
    /// What it takes.
    pub tokens: u32,
    /// The chance that it is needed again, in millionths.
    pub chance_ppm: u32,
    /// Calls until then, if it is, in sixteenths.
    pub gap_16ths: u32,
    /// What a fault on it is expected to cost, in thousandths of an input token.
    pub loss: u64,
}

/// Why a running call gives up its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PreemptCause {
    /// A process that is more urgent waits.
    Urgent,
    /// It has run for its time slice, and others wait.
    Slice,
}

/// What a process does without end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Runaway {
    /// It calls the same tools with the same arguments and gets the same results.
    Repeats,
    /// It exchanges messages with another and does nothing else.
    Exchanges,
    /// It starts processes where none may be started any more.
    Spawns,
}

impl Runaway {
    /// What it is, for people and models.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Repeats => "the same tool calls with the same results",
            Self::Exchanges => "messages to and from one other agent and nothing else",
            Self::Spawns => "attempts to start a process that were refused",
        }
    }
}

macro_rules! facts {
    ($($(#[$doc:meta])* $variant:ident = $kind:literal { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {
        /// One fact.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(untagged)]
        pub enum Fact {
            $($(#[$doc])* $variant { $($(#[$field_doc])* $field: $type,)* },)*
        }

        impl Fact {
            /// Every kind, in the order of the list.
            pub const KINDS: &'static [&'static str] = &[$($kind),*];

            /// The fact's kind as the journal prints it.
            #[must_use]
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $kind,)*
                }
            }

            /// The fact of this kind that the journal keeps as `data`; none if there is no such
            /// kind or the data is not one of it.
            #[must_use]
            pub fn read(kind: &str, data: &str) -> Option<Self> {
                match kind {
                    $($kind => {
                        #[derive(Deserialize)]
                        struct Data { $($(#[$field_doc])* $field: $type,)* }
                        let Data { $($field,)* } = serde_json::from_str(data).ok()?;
                        Some(Self::$variant { $($field,)* })
                    })*
                    _ => None,
                }
            }
        }
    };
}

facts! {
    /// A process began.
    Spawned = "process.spawned" {
        /// Its name.
        name: String,
        /// Its parent.
        parent: Option<Pid>,
        /// Its program.
        program: String,
        /// Its priority.
        priority: u8,
        /// Its first pages of its own.
        pages: Vec<Hash>,
        /// The bounds of its own budget node.
        limits: Limits,
        /// How many messages it has from the log of its parent, if it is a fork.
        forked: Option<MessageIndex>,
    }
    /// A process asked the model.
    ModelCalled = "model.called" {
        /// The call.
        call: CallId,
        /// The device.
        model: String,
        /// How many messages the log has.
        pages: MessageIndex,
        /// The tokens of what the model is shown, by estimate.
        input: Tokens,
        /// The most the answer may have.
        output_max: Tokens,
        /// The most the model may be shown; none if that is not known.
        window: Option<Tokens>,
        /// The tokens of the estimate that fit, by what its provider has counted and refused; none if
        /// that is not known, and where an older kernel did not say it. So with what follows.
        room: Option<Tokens>,
        /// The policy by which pages leave.
        policy: Option<String>,
        /// What matters most when they do.
        prefer: Option<String>,
    }
    /// An attempt of a call to a name that several models answer to goes to one of them.
    ModelRouted = "model.routed" {
        /// The call.
        call: CallId,
        /// The attempt.
        attempt: u32,
        /// The device that was chosen.
        device: String,
        /// By which rule.
        by: Choice,
        /// What it is expected to cost there in micro-dollars or, by latency, to take in milliseconds;
        /// none where the rule has no figures.
        figure: Option<u64>,
        /// Leading tokens of the input that the device is expected to have in its cache.
        cached: Tokens,
        /// How long it waited for a slot.
        waited: Millis,
        /// The others, as the rule has them.
        passed: Vec<PassedOver>,
    }
    /// What must be in the window does not fit, so the model was not asked.
    WindowExceeded = "window.exceeded" {
        /// The device.
        model: String,
        /// How many messages the log has.
        pages: MessageIndex,
        /// The tokens that must be shown, by estimate.
        input: Tokens,
        /// The most the model may be shown; none if that is not known.
        window: Option<Tokens>,
        /// The tokens of the estimate that fit.
        room: Tokens,
        /// The policy by which pages leave.
        policy: String,
        /// What matters most when they do.
        prefer: String,
    }
    /// The model answered.
    ModelAnswered = "model.answered" {
        /// The call.
        call: CallId,
        /// The answer's page.
        page: MessageIndex,
        /// The answer.
        body: Hash,
        /// What it used.
        usage: Usage,
        /// What it cost.
        cost: MicroUsd,
        /// Why the model stopped.
        finish: FinishReason,
    }
    /// A model call failed and will be made again.
    ModelRetried = "model.retried" {
        /// The call.
        call: CallId,
        /// Which failure of the call this is, from 1.
        failure: u32,
        /// How it is taken.
        class: FailureClass,
        /// The code.
        code: ErrorCode,
        /// What went wrong.
        message: String,
        /// How long the kernel waits first.
        wait: Millis,
    }
    /// A model call failed for good.
    ModelFailed = "model.failed" {
        /// The call.
        call: CallId,
        /// The code.
        code: ErrorCode,
        /// What went wrong.
        message: String,
    }
    /// A model call used something and brought no answer: an attempt failed, or nobody waited for it
    /// any more.
    ModelCharged = "model.charged" {
        /// The call.
        call: CallId,
        /// What was charged.
        spend: Spend,
    }
    /// Pages left the window of a process.
    MemoryCut = "memory.cut" {
        /// The call before which they left.
        call: CallId,
        /// The policy that chose them.
        policy: String,
        /// Why.
        cause: CutCause,
        /// The most the model may be shown.
        window: Option<Tokens>,
        /// The tokens of the estimate that fit; none if that is not known, and where an older kernel
        /// did not say it.
        room: Option<Tokens>,
        /// What it would have been shown.
        before: Tokens,
        /// What it is shown.
        after: Tokens,
        /// Tokens of what stays that the provider has to read anew.
        rewritten: Tokens,
        /// What that weighs, in thousandths of an input token: its price, and some times that for the
        /// time that it takes.
        price: u64,
        /// What faults on the evicted pages are expected to weigh, in thousandths of an input token:
        /// their price, and what it is worth that nothing is missing.
        loss: u64,
        /// Tokens that a call adds to the log.
        growth: u64,
        /// The pages that left, in order.
        evicted: Vec<Evicted>,
    }
    /// A model is asked for a summary of pages that leave.
    SummaryCalled = "summary.called" {
        /// The call.
        call: CallId,
        /// The device.
        model: String,
        /// The first and the last of the pages.
        pages: (PageId, PageId),
        /// The tokens of what it is shown, by estimate.
        input: Tokens,
        /// The most the summary may have.
        output_max: Tokens,
    }
    /// A model made a summary of pages that leave.
    Summarised = "summary.answered" {
        /// The call.
        call: CallId,
        /// The first and the last of the pages.
        pages: (PageId, PageId),
        /// The summary.
        body: Hash,
        /// What it used.
        usage: Usage,
        /// What it cost.
        cost: MicroUsd,
    }
    /// There is no summary by a model; lines quoted from the pages stand in their place.
    SummaryFailed = "summary.failed" {
        /// The call for it, or the one that it was for if none was made.
        call: CallId,
        /// The code.
        code: ErrorCode,
        /// Why.
        message: String,
    }
    /// The model asked for a page that was not in the window.
    PageFaulted = "page.faulted" {
        /// The page.
        page: PageId,
        /// Its tokens.
        tokens: u32,
    }
    /// A copy of a page came back into the window, asked for or not.
    PageRecalled = "page.recalled" {
        /// The page.
        page: PageId,
        /// The copy.
        copy: PageId,
        /// The tokens of the copy.
        tokens: u32,
    }
    /// A page must stay in the window, or no longer must.
    PagePinned = "page.pinned" {
        /// The page.
        page: PageId,
        /// Whether it must.
        pinned: bool,
    }
    /// A page left the window for good.
    PageForgotten = "page.forgotten" {
        /// The page.
        page: PageId,
        /// What that freed.
        freed: Tokens,
    }
    /// A process began a task.
    TaskBegun = "task.begun" {
        /// Its number within the process.
        task: ArenaId,
        /// The task that it is part of; 0 if of none.
        within: ArenaId,
        /// What is to be done.
        goal: Hash,
    }
    /// A process ended the task that it had begun last.
    TaskEnded = "task.ended" {
        /// Its number within the process.
        task: ArenaId,
        /// What came of it.
        result: Hash,
        /// Its pages, those of tasks within it included.
        pages: u32,
        /// What of them is in the window takes so much, stubs included.
        tokens: Tokens,
    }
    /// The provider read less from its cache than was sent to it before.
    CacheMissed = "cache.missed" {
        /// The call.
        call: CallId,
        /// Why, as far as it can be told.
        reason: MissReason,
        /// Leading tokens of the input that were as in the last call.
        unchanged: Tokens,
        /// What the provider read from its cache.
        read: Tokens,
        /// What changed, and where; none in journals of kernels that did not say.
        changed: Option<Changed>,
    }
    /// A process called a tool.
    ToolCalled = "tool.called" {
        /// The call.
        call: CallId,
        /// The tool.
        tool: String,
        /// Its risk.
        risk: Risk,
        /// The address of the arguments' bytes.
        arguments: Hash,
    }
    /// A tool call ended.
    ToolReturned = "tool.returned" {
        /// The call.
        call: CallId,
        /// The result message.
        body: Hash,
        /// Whether it tells of a failure.
        is_error: bool,
    }
    /// A system call was refused.
    Refused = "syscall.refused" {
        /// The call's name.
        syscall: String,
        /// The code.
        code: ErrorCode,
        /// Why.
        message: String,
    }
    /// A message was put into this process's mailbox.
    MessageSent = "message.sent" {
        /// By whom; the operator if none.
        from: Option<Pid>,
        /// The message.
        body: Hash,
    }
    /// This process took a message.
    MessageReceived = "message.received" {
        /// From whom; the operator if none.
        from: Option<Pid>,
        /// The message.
        body: Hash,
    }
    /// A signal came.
    Signalled = "process.signalled" {
        /// Which.
        signal: Signal,
    }
    /// The priority changed.
    Reniced = "process.reniced" {
        /// The new one.
        priority: u8,
    }
    /// A process does the same without end: it is told, or ended.
    RunawayFound = "process.runaway" {
        /// What it does.
        what: Runaway,
        /// How often in a row.
        times: u32,
        /// Whether it is ended for it.
        ended: bool,
    }
    /// A process ended.
    Exited = "process.exited" {
        /// How.
        status: ExitStatus,
        /// What it left.
        result: Option<Hash>,
        /// Pages in its log.
        pages: u32,
    }
    /// A budget node's time is over.
    BudgetExpired = "budget.expired" {
        /// The node.
        budget: BudgetId,
    }
    /// A process waits until a person raises the bounds of a budget node.
    BudgetAsked = "budget.asked" {
        /// What has no room.
        #[serde(flatten)]
        lack: Lack,
    }
    /// A person answered a process that waited for one.
    BudgetAnswered = "budget.answered" {
        /// The call that waited.
        call: CallId,
        /// The node that had no room.
        budget: BudgetId,
        /// Whether the node was bounded anew; otherwise the call was not made.
        granted: bool,
        /// Who answered.
        by: String,
        /// Why; may be empty.
        note: String,
    }
    /// The bounds of a budget node were set by a person.
    BudgetSet = "budget.set" {
        /// The node.
        budget: BudgetId,
        /// The new bounds.
        limits: Limits,
    }
    /// A running call was asked to give up its slot.
    ModelPreempted = "model.preempted" {
        /// The call.
        call: CallId,
        /// The device.
        device: String,
        /// Who gets the slot.
        by: Pid,
        /// Why.
        cause: PreemptCause,
        /// How long it had run.
        ran: Millis,
    }
    /// The scheduler policy changed.
    PolicySet = "scheduler.policy" {
        /// The new one.
        policy: String,
    }
    /// The configuration was put in force anew while the kernel ran.
    Reconfigured = "node.reconfigured" {
        /// What of it is new.
        changes: Vec<Change>,
    }
    /// The kernel began to run on this store.
    Booted = "node.booted" {
        /// How often before.
        boots: u64,
        /// Live processes.
        processes: u64,
        /// Model calls that were in flight and are made again.
        asked_again: Vec<CallId>,
        /// Idempotent tool calls that were in flight and are made again.
        called_again: Vec<CallId>,
        /// Tool calls that were in flight and whose outcome is unknown.
        interrupted: Vec<CallId>,
    }
}

impl Fact {
    /// The bodies that the fact names: whoever reads it later must be able to read them.
    #[must_use]
    pub fn bodies(&self) -> Vec<Hash> {
        match self {
            Self::Spawned { pages, .. } => pages.clone(),
            Self::ModelAnswered { body, .. }
            | Self::Summarised { body, .. }
            | Self::ToolReturned { body, .. }
            | Self::MessageSent { body, .. }
            | Self::MessageReceived { body, .. }
            | Self::TaskBegun { goal: body, .. }
            | Self::TaskEnded { result: body, .. } => vec![*body],
            Self::Exited { result, .. } => result.iter().copied().collect(),
            Self::ModelCalled { .. }
            | Self::ModelRouted { .. }
            | Self::WindowExceeded { .. }
            | Self::ModelRetried { .. }
            | Self::ModelFailed { .. }
            | Self::ModelCharged { .. }
            | Self::MemoryCut { .. }
            | Self::SummaryCalled { .. }
            | Self::SummaryFailed { .. }
            | Self::PageFaulted { .. }
            | Self::PageRecalled { .. }
            | Self::PagePinned { .. }
            | Self::PageForgotten { .. }
            | Self::CacheMissed { .. }
            | Self::ToolCalled { .. }
            | Self::Refused { .. }
            | Self::Signalled { .. }
            | Self::Reniced { .. }
            | Self::BudgetExpired { .. }
            | Self::BudgetAsked { .. }
            | Self::BudgetAnswered { .. }
            | Self::RunawayFound { .. }
            | Self::BudgetSet { .. }
            | Self::ModelPreempted { .. }
            | Self::PolicySet { .. }
            | Self::Reconfigured { .. }
            | Self::Booted { .. } => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_of_the_same_fields_are_read_by_their_kind() {
        let from = Some(Pid(3));
        let body = Hash::of(b"hello");
        for fact in [Fact::MessageSent { from, body }, Fact::MessageReceived { from, body }] {
            let data = serde_json::to_string(&fact).expect("serialises");
            assert_eq!(Fact::read(fact.kind(), &data), Some(fact));
        }
        assert_eq!(Fact::read("message.sent", "{}"), None);
        assert_eq!(Fact::read("no.such", "{}"), None);
    }
}

//! The contract of the Agent OS Kernel: every type that crosses a boundary between two crates.
//!
//! | room | what it holds |
//! |---|---|
//! | [`id`] | names of processes, calls, budgets, requests |
//! | [`mod@unit`] | tokens, money, time |
//! | [`message`] | the neutral form of a conversation, and content addresses |
//! | [`memory`] | pages of a conversation, and what a model is shown of it |
//! | [`tool`] | what a tool says of itself |
//! | [`model`] | what models can do, usage, finish reasons and failures of calls |
//! | [`price`] | what tokens cost, and at which hours |
//! | [`route`] | how one of several models is chosen |
//! | [`syscall`] | what a process may ask, and what it is woken with |
//! | [`input`] | everything that can happen to the kernel |
//! | [`effect`] | everything the kernel can ask of the world |
//! | [`fact`] | what the journal keeps |
//! | [`miss`] | why a provider's cache was hit less than it might have been |
//! | [`row`] | the durable form of kernel state |
//! | [`capability`] | what a process may touch |
//! | [`budget`] | what a process may spend |
//! | [`approval`] | what a person says to a process that asks one |
//! | [`process`] | exit status, signals, specification of a process |
//! | [`error`] | the closed list of error codes |
//! | [`limits`] | every bound, with its reason |
//!
//! This crate has types and their invariants only: no I/O, no clock, no policy.

pub mod approval;
pub mod budget;
pub mod capability;
pub mod effect;
pub mod error;
pub mod fact;
pub mod id;
pub mod input;
pub mod limits;
pub mod memory;
pub mod message;
pub mod miss;
pub mod model;
pub mod price;
pub mod process;
pub mod route;
pub mod row;
pub mod syscall;
pub mod tool;
pub mod unit;

pub use approval::{Answer, Verdict};
pub use budget::{Bounds, Lack, Limits, Resource, Scope, Spend, WhenOver};
pub use capability::{Capabilities, Grant, PermissionLevel};
pub use effect::{Effects, Notice, Release, Resume, ToolStart};
pub use error::{Error, ErrorCode};
pub use fact::{CutCause, Entry, Evicted, Fact, PreemptCause, Runaway};
pub use id::{BudgetId, CallId, MessageIndex, Pid, RequestId};
pub use input::{Change, Command, Input, ModelOutcome, Reply, ToolOutcome};
pub use memory::{ArenaId, Form, Frame, PageId, PageKind, Piece, TEXT_END, Window};
pub use message::{Body, Content, Hash, Message, Part, ToolUse};
pub use miss::{Changed, MissReason};
pub use model::{
    Abilities, Ability, Failure, FailureClass, FinishReason, Gauge, ModelReply, Quality,
    RateReport, ThinkOptions, Usage,
};
pub use price::{Hours, OffPeak, Price, Rates, WEEKDAYS};
pub use process::{ExitStatus, ProgramSpec, Signal, SpawnSpec};
pub use route::{Choice, PassedOver, Reason};
pub use row::{Image, RowChange, RowKey, RowOp};
pub use syscall::{Peer, Recalled, Step, Syscall, Wake};
pub use tool::{Risk, ToolSpec, ToolTraits};
pub use unit::{MicroUsd, Millis, Timestamp, Tokens};

//! How a process begins, is signalled and ends.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::budget::{Limits, Resource};
use crate::capability::Capabilities;
use crate::error::ErrorCode;
use crate::message::Body;

/// What drives a process: the name of a program and its parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramSpec {
    /// The program's registered name, such as `react`.
    pub name: String,
    /// The program's own parameter, JSON text. The kernel never looks inside.
    pub param: Arc<str>,
}

/// How a process is to be started.
#[derive(Debug, Clone, PartialEq)]
pub struct SpawnSpec {
    /// A name for people; need not be unique.
    pub name: String,
    /// What it belongs to, for whoever started it; empty if nothing. The kernel never looks inside.
    pub label: String,
    /// What drives it.
    pub program: ProgramSpec,
    /// 0 (most urgent) to 100.
    pub priority: u8,
    /// What it may touch; cut down to what its parent may.
    pub capabilities: Capabilities,
    /// Its own node in the budget tree, if any bound is set; otherwise it shares its parent's.
    pub limits: Limits,
    /// The tenant or group that it belongs to, as `tenant` or `tenant/group`; that of its parent if
    /// empty, and none without a parent. Only the operator may choose it.
    pub group: String,
    /// Whether it begins with the log of its parent, and with what of it is in the window, so that what
    /// the provider has in its cache serves both. Of no meaning without a parent.
    pub fork: bool,
    /// The first pages of its log; behind those of its parent if it is a fork.
    pub pages: Vec<Body>,
}

/// What can be done to a process from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Signal {
    /// Finish in order: the program is told at its next system call and has a grace time.
    Term,
    /// End now; calls in flight are cancelled.
    Kill,
    /// Do nothing more until CONT; calls in flight finish and wait.
    Stop,
    /// Go on.
    Cont,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitStatus {
    /// Its program finished its task.
    Finished,
    /// Its program gave up.
    Failed(ErrorCode),
    /// It ran out of something.
    OutOfBudget(Resource),
    /// It obeyed or fell to a signal.
    Signalled(Signal),
}

impl ExitStatus {
    /// Whether the task was finished.
    #[must_use]
    pub fn is_finished(self) -> bool {
        self == Self::Finished
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finished => f.write_str("finished"),
            Self::Failed(code) => write!(f, "failed ({code})"),
            Self::OutOfBudget(resource) => {
                write!(f, "out of budget ({})", resource.word())
            }
            Self::Signalled(Signal::Term) => f.write_str("terminated"),
            Self::Signalled(Signal::Kill) => f.write_str("killed"),
            Self::Signalled(Signal::Stop | Signal::Cont) => f.write_str("signalled"),
        }
    }
}

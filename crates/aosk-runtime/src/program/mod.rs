//! Programs: what drives a process.
//!
//! A program is a pure state machine. It is given its state and an event and says what it wants
//! next; it never waits, never does I/O and never asks the clock. Its state is committed together
//! with the process at every step, so a process goes on after a crash where it was.

pub mod react;
pub mod replay;

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use aosk_abi::{
    ArenaId, Body, Error, ErrorCode, ExitStatus, Failure, FinishReason, Message, Millis, PageId,
    Peer, Pid, Resource, SpawnSpec, ThinkOptions, Tokens, ToolUse,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What drives a process.
///
/// ```
/// use aosk_runtime::abi::{ExitStatus, Message, ThinkOptions, Tokens};
/// use aosk_runtime::{Action, Call, Event, Program, ProcessView};
///
/// /// Asks the model once and hands its answer to whoever started it.
/// struct AskOnce;
///
/// impl Program for AskOnce {
///     type State = ();
///
///     fn name(&self) -> &str {
///         "ask-once"
///     }
///
///     fn next(&self, _: &mut (), process: &ProcessView<'_>, event: Event) -> Action {
///         match event {
///             Event::Started => Action::call(Call::Think(ThinkOptions {
///                 model: process.param.to_owned(),
///                 output_max: Tokens(500),
///                 tools: Vec::new(),
///                 temperature_milli: None,
///                 window: None,
///             })),
///             Event::Answered { message, .. } => Action::call(Call::Exit {
///                 status: ExitStatus::Finished,
///                 result: Some(message.as_ref().clone()),
///             }),
///             other => Action::give_up(&other),
///         }
///     }
/// }
/// ```
pub trait Program: Send + Sync + 'static {
    /// What it remembers between two events. Kept small: it is written at every step.
    type State: Serialize + DeserializeOwned + Default;

    /// The name processes ask for it by.
    fn name(&self) -> &str;

    /// What it wants next. Called with [`Event::Started`] first, then with what came of each call.
    fn next(&self, state: &mut Self::State, process: &ProcessView<'_>, event: Event) -> Action;
}

/// What a program sees of its process.
#[derive(Debug, Clone, Copy)]
pub struct ProcessView<'a> {
    /// Its id.
    pub pid: Pid,
    /// Its name.
    pub name: &'a str,
    /// Its label.
    pub label: &'a str,
    /// The program's parameter as the process was started with it.
    pub param: &'a str,
    /// Its priority.
    pub priority: u8,
    /// Who started it; the operator if none.
    pub parent: Option<Pid>,
    /// What it may touch.
    pub capabilities: &'a aosk_abi::Capabilities,
    /// What the model said last, if it said anything: a program need not remember it.
    pub answer: Option<&'a Message>,
}

/// Why a program is run: [`aosk_abi::Wake`] with the content it points to.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// It has just begun.
    Started,
    /// The model answered; the answer is in the log.
    Answered {
        /// The answer.
        message: Arc<Message>,
        /// Why the model stopped.
        finish: FinishReason,
    },
    /// The model call failed for good.
    ModelFailed(Failure),
    /// All tools of the turn have returned; the results are in the log.
    ToolsReturned(Vec<Arc<Message>>),
    /// The child runs.
    Spawned(Pid),
    /// A child has ended.
    ChildExited {
        /// Which.
        pid: Pid,
        /// How.
        status: ExitStatus,
        /// What it left.
        result: Option<Arc<Message>>,
    },
    /// Pages that were asked for, with their text; without it those that are in the window.
    Recalled(Vec<(PageId, Option<String>)>),
    /// The page is pinned, or no longer is.
    Pinned,
    /// The page is gone from the window, which frees so much.
    Forgotten(Tokens),
    /// The task is open.
    TaskBegun(ArenaId),
    /// The task is over.
    TaskEnded {
        /// Which.
        task: ArenaId,
        /// The first and the last of its pages; none if it has none.
        pages: Option<(PageId, PageId)>,
    },
    /// The message lies in the other's mailbox.
    Sent,
    /// A message came. It is not in the log; append what is to be made of it.
    Received {
        /// From whom; the operator if none.
        from: Option<Pid>,
        /// The message.
        message: Arc<Message>,
    },
    /// The sleep is over.
    Slept,
    /// The wait's time is over.
    TimedOut,
    /// The call was not carried out.
    Refused(Error),
    /// A budget does not allow the call.
    OutOfBudget(Resource),
    /// It was asked to end: save what must be saved and exit.
    Terminated,
}

/// What a program wants: messages for the end of its log, then a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    /// Appended to the log, in order, before the call.
    pub append: Vec<Message>,
    /// What it asks.
    pub call: Call,
}

/// What a program can ask. See [`aosk_abi::Syscall`].
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// Ask the model. It is shown the log, as far as that fits its window.
    Think(ThinkOptions),
    /// Have pages of the log brought back. Append what is to be made of them.
    Recall(Vec<PageId>),
    /// Keep a page in the window, or let it go again.
    Pin {
        /// Which.
        page: PageId,
        /// Whether it must stay.
        pinned: bool,
    },
    /// Take a page out of the window for good.
    Forget(PageId),
    /// Begin a task, to which what is appended from now on belongs.
    BeginTask {
        /// What is to be done.
        goal: Message,
    },
    /// End the task that was begun last. Append its result, unless the model said it.
    EndTask {
        /// What came of it.
        result: Message,
    },
    /// Call tools, and wait for all of them.
    CallTools(Vec<ToolUse>),
    /// Start a child.
    Spawn(Box<SpawnSpec>),
    /// Wait until a child has ended.
    Wait {
        /// Which; any if none.
        child: Option<Peer>,
        /// How long; for ever if none.
        timeout: Option<Millis>,
    },
    /// Send a message.
    Send {
        /// To whom.
        to: Peer,
        /// The message as the receiver will see it.
        message: Message,
    },
    /// Take the next message.
    Receive {
        /// Only from this one; from anyone if none.
        from: Option<Peer>,
        /// How long to wait; for ever if none.
        timeout: Option<Millis>,
    },
    /// Do nothing for a while.
    Sleep(Millis),
    /// End.
    Exit {
        /// How.
        status: ExitStatus,
        /// What the parent gets.
        result: Option<Message>,
    },
}

impl Action {
    /// A call, and nothing for the log.
    #[must_use]
    pub fn call(call: Call) -> Self {
        Self { append: Vec::new(), call }
    }

    /// Exits in the way that fits an event after which a program has nothing more to do.
    #[must_use]
    pub fn give_up(event: &Event) -> Self {
        let (status, result) = match event {
            Event::Terminated => (ExitStatus::Signalled(aosk_abi::Signal::Term), None),
            Event::OutOfBudget(resource) => (ExitStatus::OutOfBudget(*resource), None),
            Event::ModelFailed(failure) => {
                let mut text = format!("{}: {}", failure.code, failure.message);
                if !failure.hint.is_empty() {
                    text.push_str(&format!("\nhint: {}", failure.hint));
                }
                (ExitStatus::Failed(failure.code), Some(text))
            }
            Event::Refused(error) => {
                let mut text = format!("{}: {}", error.code, error.message);
                if !error.hint.is_empty() {
                    text.push_str(&format!("\nhint: {}", error.hint));
                }
                (ExitStatus::Failed(error.code), Some(text))
            }
            Event::Started
            | Event::Answered { .. }
            | Event::ToolsReturned(_)
            | Event::Spawned(_)
            | Event::ChildExited { .. }
            | Event::Recalled(_)
            | Event::Pinned
            | Event::Forgotten(_)
            | Event::TaskBegun(_)
            | Event::TaskEnded { .. }
            | Event::Sent
            | Event::Received { .. }
            | Event::Slept
            | Event::TimedOut => (ExitStatus::Failed(ErrorCode::ProgramFailed), None),
        };
        Self::call(Call::Exit { status, result: result.map(Message::assistant) })
    }
}

/// What a step of a program comes to, with its state as text.
pub(crate) struct Stepped {
    pub(crate) append: Vec<Body>,
    pub(crate) call: Call,
    pub(crate) state: Arc<str>,
}

/// The state of a process whose program has kept none.
const NO_STATE: &str = "null";

/// A program whose state is text.
trait Erased: Send + Sync {
    fn step(&self, state: &str, process: &ProcessView<'_>, event: Event) -> Result<Stepped, Error>;
}

impl<P: Program> Erased for P {
    fn step(&self, state: &str, process: &ProcessView<'_>, event: Event) -> Result<Stepped, Error> {
        let invalid = |what: serde_json::Error| {
            let text = format!("running {} of {}: its state: {what}", self.name(), process.pid);
            Error::new(ErrorCode::ProgramInvalid, text)
        };
        let mut state: P::State = match event {
            Event::Started => P::State::default(),
            Event::Answered { .. }
            | Event::ModelFailed(_)
            | Event::ToolsReturned(_)
            | Event::Spawned(_)
            | Event::ChildExited { .. }
            | Event::Recalled(_)
            | Event::Pinned
            | Event::Forgotten(_)
            | Event::TaskBegun(_)
            | Event::TaskEnded { .. }
            | Event::Sent
            | Event::Received { .. }
            | Event::Slept
            | Event::TimedOut
            | Event::Refused(_)
            | Event::OutOfBudget(_)
            | Event::Terminated => match serde_json::from_str(state) {
                Ok(state) => state,
                // The first step was refused as a whole, so no state has been kept yet.
                Err(_) if state == NO_STATE => P::State::default(),
                Err(error) => return Err(invalid(error)),
            },
        };
        let action = self.next(&mut state, process, event);
        Ok(Stepped {
            append: action.append.into_iter().map(Body::new).collect(),
            call: action.call,
            state: serde_json::to_string(&state).map_err(invalid)?.into(),
        })
    }
}

/// The programs of one node, by name.
#[derive(Clone)]
pub struct Programs {
    by_name: BTreeMap<String, Arc<dyn Erased>>,
}

impl Default for Programs {
    /// The built-in programs: `react` and `replay`.
    fn default() -> Self {
        let mut programs = Self { by_name: BTreeMap::new() };
        programs.add(react::React);
        programs.add(replay::Replay);
        programs
    }
}

impl Programs {
    /// Adds a program; one of the same name is replaced.
    pub fn add(&mut self, program: impl Program) {
        self.by_name.insert(program.name().to_owned(), Arc::new(program));
    }

    pub(crate) fn step(
        &self,
        name: &str,
        state: &str,
        process: &ProcessView<'_>,
        event: Event,
    ) -> Result<Stepped, Error> {
        let program = self.by_name.get(name).ok_or_else(|| {
            let names: Vec<_> = self.by_name.keys().map(String::as_str).collect();
            let text = format!("running {}: no such program: {name}", process.pid);
            Error::new(ErrorCode::ProgramInvalid, text)
                .hint(format!("programs: {}", names.join(", ")))
        })?;
        // A program is given its state anew at every step, so a panic leaves nothing half done.
        catch_unwind(AssertUnwindSafe(|| program.step(state, process, event))).unwrap_or_else(
            |_| {
                let text = format!("running {name} of {}: the program panicked", process.pid);
                Err(Error::new(ErrorCode::ProgramFailed, text))
            },
        )
    }
}

#[cfg(test)]
mod tests;

impl fmt::Debug for Programs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_name.keys()).finish()
    }
}

//! Processes whose program is outside: a client that asks models through the kernel.
//!
//! Such a process asks for the program [`FOREIGN`], which no [`Programs`](crate::Programs) has. Between
//! two requests of its client the kernel sees its program run, and the step that it owes is taken when the
//! next request comes. What is asked and who hears the answer is kept here and nowhere else: after a crash
//! nobody would hear it, so a process of an earlier kernel ends as soon as it is run.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use aosk_abi::{
    Abilities, Body, Error, ErrorCode, ExitStatus, Failure, Message, Millis, ModelReply, Pid,
    Signal, SpawnSpec, Syscall, ThinkOptions, Tokens, ToolSpec, Wake,
};
use aosk_model::{Delta, Passage, Passed, Wishes};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::trace::TraceParent;

/// The program of processes whose program is outside.
pub const FOREIGN: &str = "foreign";

/// Bytes of an answer that wait for a client that is slow. One that falls further behind is left.
const WAITING_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Who asks.
#[derive(Debug)]
pub enum Asker {
    /// A process that is to be started for it.
    New(Box<SpawnSpec>),
    /// A process that waits for its client.
    Process(Pid),
}

/// What a client asks a model.
#[derive(Debug)]
pub struct Ask {
    /// What is asked.
    pub options: ThinkOptions,
    /// What it takes, by estimate: the conversation and the tools.
    pub input: Tokens,
    /// What not every model can do and it needs.
    pub needs: Abilities,
    /// The tokens of the tools alone.
    pub tool_tokens: Tokens,
    /// What the log does not have yet of the conversation, in order.
    pub append: Vec<Body>,
    /// The whole conversation, for models that are not asked in the client's format.
    pub messages: Vec<Body>,
    /// The client's own tools.
    pub tools: Arc<[ToolSpec]>,
    /// What is asked beside these.
    pub wishes: Arc<Wishes>,
    /// The request as the client wrote it.
    pub passage: Passage,
    /// What brings requests to the same cache; empty for nothing.
    pub cache_key: String,
    /// Whether models that are asked in its format are asked in the client's own words.
    pub passes: bool,
    /// Whether it asks for what only a model in its own format can do.
    pub own_format_only: bool,
    /// The span of the client that asks, if it said one.
    pub parent: Option<TraceParent>,
    /// Whether the kernel keeps the conversation within the window: the model is then shown what the
    /// log of the process has, and not what the client wrote.
    pub paged: bool,
}

/// What a client hears. The last is [`Said::Answered`] or [`Said::Failed`], or nothing more comes
/// because the kernel is gone.
#[derive(Debug)]
pub enum Said {
    /// The process that asks for it.
    Process(Pid),
    /// What the provider wrote, in the client's own format.
    Passed(Passed),
    /// A piece of an answer that the client's format is yet to be found for.
    Delta(Delta),
    /// The answer is over.
    Answered(Box<ModelReply>),
    /// There is no answer, or no more of it.
    Failed {
        /// Why.
        error: Error,
        /// When it may be asked again, if the provider said so.
        retry_after: Option<Millis>,
    },
}

/// What the answer to a client comes out of.
#[derive(Debug)]
pub struct Answers {
    out: mpsc::UnboundedReceiver<Said>,
    waiting: Arc<AtomicUsize>,
}

impl Answers {
    /// What comes next; none when all has come, or the client was left because it fell behind.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Said>> {
        let said = self.out.poll_recv(cx);
        if let Poll::Ready(Some(said)) = &said {
            self.waiting.fetch_sub(size(said), Ordering::Relaxed);
        }
        said
    }

    /// Hears nothing more than what has come already, which [`Self::try_next`] gives.
    pub fn close(&mut self) {
        self.out.close();
    }

    /// What has come, if anything has.
    pub fn try_next(&mut self) -> Option<Said> {
        self.out.try_recv().ok()
    }
}

/// Where the answer to a client goes.
#[derive(Debug, Clone)]
pub(crate) struct Outlet {
    into: mpsc::UnboundedSender<Said>,
    waiting: Arc<AtomicUsize>,
    /// The client fell too far behind and is told nothing more.
    is_left: Arc<AtomicBool>,
    /// All of the answer came.
    is_answered: Arc<AtomicBool>,
    /// A part of the answer was told.
    is_told: Arc<AtomicBool>,
}

impl Outlet {
    pub(crate) fn new() -> (Self, Answers) {
        #[expect(clippy::disallowed_methods, reason = "what waits in it is bounded in bytes")]
        let (into, out) = mpsc::unbounded_channel();
        let waiting = Arc::<AtomicUsize>::default();
        let outlet = Self {
            into,
            waiting: waiting.clone(),
            is_left: Arc::default(),
            is_answered: Arc::default(),
            is_told: Arc::default(),
        };
        (outlet, Answers { out, waiting })
    }

    /// Tells the client. One that is gone hears nothing, and one that has fallen too far behind nothing
    /// more: there would be a gap in what it hears.
    pub(crate) fn tell(&self, said: Said) {
        let before = self.waiting.fetch_add(size(&said), Ordering::Relaxed);
        if before > WAITING_BYTES_MAX {
            self.is_left.store(true, Ordering::Relaxed);
        }
        if matches!(said, Said::Passed(Passed::Event { .. }) | Said::Delta(_)) {
            self.is_told.store(true, Ordering::Relaxed);
        }
        if matches!(said, Said::Answered(_)) {
            // Before the client hears of it, who may ask again at once.
            self.is_answered.store(true, Ordering::Release);
        }
        if !self.is_left.load(Ordering::Relaxed) {
            // Whether the client is gone is seen by the server that speaks for it.
            let _gone = self.into.send(said);
        }
    }

    /// Whether a part of the answer was told, after which it is not begun anew.
    pub(crate) fn is_told(&self) -> bool {
        self.is_told.load(Ordering::Relaxed)
    }

    /// Whether nobody hears any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.into.is_closed()
    }

    /// Whether all of the answer came. It is not in the log before the kernel has taken it.
    fn is_answered(&self) -> bool {
        self.is_answered.load(Ordering::Acquire)
    }

    /// The same of a failure that is no provider's.
    pub(crate) fn fail(&self, error: Error) {
        self.tell(Said::Failed { error, retry_after: None });
    }
}

fn size(said: &Said) -> usize {
    match said {
        Said::Passed(Passed::Event { name, data }) => name.len().saturating_add(data.len()),
        Said::Passed(Passed::Whole(body) | Passed::Refused { body, .. }) => body.len(),
        Said::Delta(Delta::Text(text) | Delta::Reasoning(text) | Delta::Arguments(text)) => {
            text.len()
        }
        Said::Delta(Delta::ToolCall { name, .. }) => name.len(),
        // The last word is always told.
        Said::Process(_) | Said::Answered(_) | Said::Failed { .. } => 0,
    }
}

/// A request of a client on its way to the loop.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) asker: Asker,
    pub(crate) ask: Ask,
    pub(crate) outlet: Outlet,
    /// Its place among those that wait for the loop.
    pub(crate) _place: OwnedSemaphorePermit,
}

/// A request that is under way.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) ask: Ask,
    pub(crate) outlet: Outlet,
}

/// A process of this kind.
#[derive(Debug)]
enum Seat {
    /// It is being started for this request.
    Opening(Box<Live>),
    /// It owes the step of this turn until its client asks again.
    Waits(u64),
    /// This request is under way.
    Asks(Arc<Live>, Then),
}

/// What a process does when a request is no longer under way. A client has its answer before the kernel
/// does, so what it wants next may come before that.
#[derive(Debug)]
enum Then {
    /// It waits for its client.
    Waits,
    /// It asks this.
    Asks(Box<Live>),
    /// It ends, since its client asks no more.
    Ends,
}

/// What becomes of a request of a client of a process that there is.
#[derive(Debug)]
pub(crate) enum Asking {
    /// It is asked in this turn.
    Now(u64, Arc<Live>),
    /// It is asked when the answer before it is in the log.
    Later,
}

/// What a process does that is run.
#[derive(Debug)]
pub(crate) enum Woken {
    /// It waits for its client.
    Waits,
    /// It asks what its client asks.
    Asks(Arc<Live>),
    /// It ends, by this call.
    Ends(Syscall),
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Foreign {
    seats: HashMap<Pid, Seat>,
}

impl Foreign {
    /// The request of a process that is under way.
    pub(crate) fn live(&self, pid: Pid) -> Option<Arc<Live>> {
        match self.seats.get(&pid)? {
            Seat::Asks(live, _) => Some(live.clone()),
            Seat::Opening(_) | Seat::Waits(_) => None,
        }
    }

    /// A process is being started for a request.
    pub(crate) fn open(&mut self, pid: Pid, live: Live) {
        live.outlet.tell(Said::Process(pid));
        self.seats.insert(pid, Seat::Opening(Box::new(live)));
    }

    /// The process is gone; whoever still waits for it hears so.
    pub(crate) fn forget(&mut self, pid: Pid) {
        let (outlet, then) = match self.seats.remove(&pid) {
            Some(Seat::Asks(live, then)) => (live.outlet.clone(), then),
            Some(Seat::Opening(live)) => (live.outlet, Then::Waits),
            Some(Seat::Waits(_)) | None => return,
        };
        let gone =
            || Error::new(ErrorCode::ModelCancelled, format!("asking for {pid}: it has ended"));
        outlet.fail(gone());
        if let Then::Asks(next) = then {
            next.outlet.fail(gone());
        }
    }

    /// The process is run.
    pub(crate) fn woken(&mut self, pid: Pid, turn: u64, wake: Wake) -> Woken {
        let (live, then) = match self.seats.remove(&pid) {
            Some(Seat::Opening(live)) if wake == Wake::Started => {
                return self.begin(pid, *live);
            }
            Some(Seat::Opening(live)) => (Some((*live).into()), Then::Waits),
            Some(Seat::Asks(live, then)) => (Some(live), then),
            Some(Seat::Waits(_)) => (None, Then::Waits),
            // One of an earlier kernel, or one that was started for nobody.
            None => {
                let rests = matches!(wake, Wake::Answered { .. });
                let status = if rests {
                    ExitStatus::Finished
                } else {
                    ExitStatus::Failed(ErrorCode::Interrupted)
                };
                return Woken::Ends(ends(status, "no client of this kernel knows it"));
            }
        };
        let has_answer = matches!(wake, Wake::Answered { .. });
        // Whoever has heard an answer knows the process by it. One who went away without hears of no
        // failure either, and nobody would ever ask again.
        let is_gone = |live: &Arc<Live>| live.outlet.is_gone() && !live.outlet.is_answered();
        let is_unknown = live.as_ref().is_some_and(is_gone);
        // The client was told an answer that the kernel did not take: its log is another.
        let is_other =
            !has_answer && live.as_ref().is_some_and(|live: &Arc<Live>| live.outlet.is_answered());
        let failed = |error, retry_after| {
            if let Some(live) = &live {
                let live: &Arc<Live> = live;
                live.outlet.tell(Said::Failed { error, retry_after });
            }
        };
        match wake {
            Wake::ModelFailed { failure } => {
                let Failure { code, message, hint, retry_after, .. } = failure;
                failed(Error::new(code, message).hint(hint), retry_after);
            }
            Wake::Refused { error } => failed(error, None),
            Wake::OutOfBudget { resource } => {
                let text = format!("asking the model: out of budget: {}", resource.word());
                failed(Error::new(ErrorCode::BudgetExceeded, text), None);
            }
            Wake::Terminated => {
                let text = "asking the model: the process was asked to end";
                failed(Error::new(ErrorCode::ModelCancelled, text), None);
                let status = ExitStatus::Signalled(Signal::Term);
                return Woken::Ends(ends(status, "it was asked to end"));
            }
            Wake::Started
            | Wake::Answered { .. }
            // It asks nothing that ends like these.
            | Wake::Recalled { .. }
            | Wake::Pinned
            | Wake::Forgotten { .. }
            | Wake::TaskBegun { .. }
            | Wake::TaskEnded { .. }
            | Wake::ToolsReturned { .. }
            | Wake::Spawned { .. }
            | Wake::ChildExited { .. }
            | Wake::Sent
            | Wake::Received { .. }
            | Wake::Slept
            | Wake::TimedOut => {}
        }
        if is_unknown || is_other {
            if let Then::Asks(next) = then {
                let text = format!("asking for {pid}: its last answer was lost");
                next.outlet.fail(Error::new(ErrorCode::ModelCancelled, text));
            }
            return Woken::Ends(ends(ExitStatus::Finished, "its client went away"));
        }
        match then {
            Then::Waits => {
                self.seats.insert(pid, Seat::Waits(turn));
                Woken::Waits
            }
            Then::Asks(next) => self.begin(pid, *next),
            Then::Ends => Woken::Ends(Syscall::Exit { status: ExitStatus::Finished, result: None }),
        }
    }

    /// The request is under way from now on.
    fn begin(&mut self, pid: Pid, live: Live) -> Woken {
        let live = Arc::new(live);
        self.seats.insert(pid, Seat::Asks(live.clone(), Then::Waits));
        Woken::Asks(live)
    }

    /// Takes a request of the client of a process. None if the process has no client or its last request
    /// is still under way, which the client hears.
    pub(crate) fn ask(&mut self, pid: Pid, live: Live) -> Option<Asking> {
        let refused = |code, what: &str| {
            live.outlet.fail(Error::new(code, format!("asking for {pid}: {what}")));
        };
        match self.seats.get_mut(&pid) {
            Some(Seat::Waits(turn)) => {
                let turn = *turn;
                live.outlet.tell(Said::Process(pid));
                let live = Arc::new(live);
                self.seats.insert(pid, Seat::Asks(live.clone(), Then::Waits));
                Some(Asking::Now(turn, live))
            }
            Some(Seat::Asks(last, then @ Then::Waits)) if last.outlet.is_answered() => {
                live.outlet.tell(Said::Process(pid));
                *then = Then::Asks(Box::new(live));
                Some(Asking::Later)
            }
            Some(Seat::Asks(..) | Seat::Opening(_)) => {
                refused(ErrorCode::Busy, "its last request is still under way");
                None
            }
            None => {
                let what = "there is no such process, or it has no client";
                refused(ErrorCode::NoSuchProcess, what);
                None
            }
        }
    }

    /// A process was asked to end. Gives the turn in which it does and the call by which it does, if it
    /// waits for its client: it would not hear of it before that asks again.
    pub(crate) fn terminate(&self, pid: Pid) -> Option<(u64, Syscall)> {
        let Seat::Waits(turn) = self.seats.get(&pid)? else { return None };
        let status = ExitStatus::Signalled(Signal::Term);
        Some((*turn, ends(status, "it was asked to end")))
    }

    /// The client of a process asks no more. Gives the turn in which it ends and the call by which it
    /// does, if it waits for its client; otherwise it ends as soon as it would.
    pub(crate) fn leave(&mut self, pid: Pid) -> Option<(u64, Syscall)> {
        match self.seats.get_mut(&pid)? {
            Seat::Waits(turn) => {
                let call = Syscall::Exit { status: ExitStatus::Finished, result: None };
                Some((*turn, call))
            }
            Seat::Asks(_, then @ Then::Waits) => {
                *then = Then::Ends;
                None
            }
            Seat::Asks(_, Then::Asks(_) | Then::Ends) | Seat::Opening(_) => None,
        }
    }
}

fn ends(status: ExitStatus, why: &str) -> Syscall {
    Syscall::Exit { status, result: Some(Body::new(Message::assistant(why))) }
}

#[cfg(test)]
mod tests;

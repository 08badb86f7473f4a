//! Why a process is not running now, in one sentence, from its state, the rows and the journal, while
//! another kernel runs on them or after. What only the running kernel knows (whether a model is left
//! alone after failures, and until when) is told as far as the journal leads to it.

mod model;
mod past;
mod wait;

use std::collections::BTreeMap;
use std::fmt;

use aosk_abi::{BudgetId, Error, Pid, Timestamp};
use aosk_kernel::{BudgetView, Process, Route, State, Termination};
use aosk_store::Reader;

use super::{budgets, group_of, live, process};
use crate::published::Snapshot;
use crate::words::{cut, plural, time};

/// Characters of a name or of a text from outside in the sentence.
const NAME_MAX: usize = 60;

/// What rows and journal do not say.
pub struct Around<'a> {
    /// Names that several models answer to.
    pub routes: BTreeMap<String, Route>,
    /// The policy that a kernel begins with.
    pub policy: String,
    /// Whether a kernel runs.
    pub runs: bool,
    /// Whether that kernel can be asked by `aosk` while it runs.
    pub served: bool,
    /// Now.
    pub now: Timestamp,
    /// Whether whoever asks may see what belongs to this group.
    pub sees: &'a dyn Fn(&str) -> bool,
}

impl fmt::Debug for Around<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Around")
            .field("runs", &self.runs)
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

/// Why a process is not running, or that it is.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Why {
    /// One word for programs.
    pub reason: &'static str,
    /// The sentence without its subject and its period.
    pub says: String,
    /// When that ends, if time ends it.
    pub until: Option<Timestamp>,
    /// The model that it is about.
    pub device: Option<String>,
    /// Those before it in the queue, the first first, as far as whoever asks may see them.
    pub ahead: Vec<Pid>,
    /// The budget that has no room.
    pub budget: Option<BudgetId>,
}

impl Why {
    fn new(reason: &'static str, says: impl Into<String>) -> Self {
        Self { reason, says: says.into(), ..Self::default() }
    }

    /// The whole sentence about this process.
    #[must_use]
    pub fn sentence(&self, process: &Snapshot) -> String {
        format!("{} ({}) {}.", process.pid, cut(&process.spec.name, NAME_MAX), self.says)
    }
}

/// What there is to look at.
struct Scene<'a> {
    reader: &'a dyn Reader,
    around: &'a Around<'a>,
    live: BTreeMap<Pid, Process>,
    budgets: BTreeMap<BudgetId, BudgetView>,
    now: Timestamp,
}

/// Why this process is not running now.
///
/// # Errors
/// If there is none, or the store cannot be read.
pub fn why(reader: &dyn Reader, around: &Around<'_>, pid: Pid) -> Result<Why, Error> {
    let (live, budgets, now) = (live(reader)?, budgets(reader)?, around.now);
    let scene = Scene { reader, around, live, budgets, now };
    match scene.live.get(&pid) {
        Some(process) => scene.why(pid, process),
        // It has been reaped, perhaps just now.
        None => Ok(ended(&process(reader, pid)?)),
    }
}

fn ended(snapshot: &Snapshot) -> Why {
    let how = snapshot.status.map_or_else(|| "is gone".to_owned(), |status| status.to_string());
    Why::new("ended", format!("has ended: {how}"))
}

impl Scene<'_> {
    fn why(&self, pid: Pid, process: &Process) -> Result<Why, Error> {
        let mut why = match &process.state {
            State::Program { .. } => Why::new("program", "has its program take a step now"),
            State::Ready { call } => self.ready(pid, process, call)?,
            State::Running { call, deadline, asked, .. } => {
                self.running(pid, call, (*deadline, *asked))?
            }
            State::Waiting { on } => self.waits(pid, on)?,
            State::Stopped { was } => {
                let doing = match was.inner() {
                    State::Running { call, .. } => {
                        format!("; its call of {} goes on meanwhile", call.device())
                    }
                    State::Waiting { .. } | State::Ready { .. } | State::Program { .. } => {
                        format!("; it was {} before", word(was))
                    }
                    State::Stopped { .. } | State::Exiting { .. } | State::Zombie { .. } => {
                        String::new()
                    }
                };
                Why::new("stopped", format!("was stopped and does nothing until CONT{doing}"))
            }
            State::Exiting { status, calls, .. } => {
                let waits = if calls.is_empty() {
                    let children = self.live.values();
                    let children = children.filter(|child| child.spec.parent == Some(pid)).count();
                    format!("the end of {}", children_of(children))
                } else {
                    format!("{} to be confirmed cancelled", plural(calls.len() as u64, "call"))
                };
                Why::new("ending", format!("has ended ({status}) and waits for {waits}"))
            }
            State::Zombie { status, .. } => {
                let parent = process.spec.parent;
                let parent = parent.map_or_else(String::new, |parent| {
                    format!("; {parent} has not taken its result yet")
                });
                Why::new("ended", format!("has ended: {status}{parent}"))
            }
        };
        if !process.state.is_over() {
            match process.termination {
                Termination::None => {}
                Termination::Asked { deadline, .. } | Termination::Told { deadline, .. } => {
                    why.says.push_str(&format!(
                        "; it was asked to end and is killed {}",
                        self.when(deadline)
                    ));
                }
            }
        }
        if !self.around.runs && !matches!(process.state, State::Zombie { .. }) {
            why.says.push_str(
                "; no kernel runs here, so nothing goes on before the next `aosk run --resume`",
            );
        }
        Ok(why)
    }

    /// A moment to come, or one that has passed.
    fn when(&self, at: Timestamp) -> String {
        let moment = time(at);
        let clock = moment.split_once(' ').map_or(moment.as_str(), |(_, clock)| clock);
        let clock = clock.split_once('.').map_or(clock, |(seconds, _)| seconds);
        if at > self.now {
            format!("at {clock}, in {}", at.since(self.now))
        } else {
            format!("at {moment}")
        }
    }

    /// A process by its id and name, if whoever asks may know of it.
    fn named(&self, pid: Pid) -> String {
        match self.live.get(&pid) {
            Some(_) if !self.sees(pid) => "a process of another tenant".to_owned(),
            Some(process) => format!("{pid} ({})", cut(&process.spec.name, NAME_MAX)),
            None => pid.to_string(),
        }
    }

    fn sees(&self, pid: Pid) -> bool {
        self.live.get(&pid).is_none_or(|process| (self.around.sees)(&process.spec.group))
    }

    /// A node, if whoever asks may see it.
    fn seen(&self, id: BudgetId) -> Option<&BudgetView> {
        let node = self.budgets.get(&id)?;
        (self.around.sees)(group_of(&self.budgets, id)).then_some(node)
    }
}

/// What a stopped process did, as part of a sentence.
fn word(was: &State) -> &'static str {
    match was.inner() {
        State::Program { .. } => "about to take a step",
        State::Ready { .. } => "ready for a model",
        State::Waiting { on } => wait::word(on),
        State::Running { .. }
        | State::Stopped { .. }
        | State::Exiting { .. }
        | State::Zombie { .. } => was.word(),
    }
}

fn children_of(count: usize) -> String {
    match count {
        0 => "what it started".to_owned(),
        1 => "a child".to_owned(),
        more => format!("{more} children"),
    }
}

//! `aosk why`: why a process is not running now, in one sentence, from its state, the rows and the
//! journal, while another kernel runs on them or after. What only the running kernel knows (whether a
//! model is left alone after failures, and until when) is told as far as the journal leads to it.

mod model;
mod past;
mod wait;

use std::collections::BTreeMap;
use std::path::Path;

use aosk::abi::{BudgetId, Error, Pid, Timestamp};
use aosk::kernel::{BudgetView, Process, State, Termination};
use aosk::store::sqlite::presence::{Holder, holder};
use aosk::store::{Reader, Sqlite};
use aosk::{Clock, Snapshot, inspect};
use serde_json::{Value, json};

use crate::cli::{Place, WhyArgs};
use crate::config::{self, Config};
use crate::fail::Done;
use crate::term::{cut, json as print_json, plural, text, time};

/// Characters of a name or of a text from outside in the sentence.
const NAME_MAX: usize = 60;

/// What there is to look at.
struct Scene<'a> {
    reader: &'a dyn Reader,
    config: Config,
    live: BTreeMap<Pid, Process>,
    budgets: BTreeMap<BudgetId, BudgetView>,
    /// Whether a kernel runs.
    runs: bool,
    now: Timestamp,
}

/// Why a process is not running, or that it is.
#[derive(Debug, Default, PartialEq, Eq)]
struct Why {
    /// One word for programs.
    reason: &'static str,
    /// The sentence without its subject.
    says: String,
    /// When that ends, if time ends it.
    until: Option<Timestamp>,
    /// The model that it is about.
    device: Option<String>,
    /// Those before it in the queue, the first first.
    ahead: Vec<Pid>,
    /// The budget that has no room.
    budget: Option<BudgetId>,
}

impl Why {
    fn new(reason: &'static str, says: impl Into<String>) -> Self {
        Self { reason, says: says.into(), ..Self::default() }
    }
}

pub(crate) fn run(place: &Place, args: &WhyArgs) -> Result<Done, Error> {
    let config = config::read(place.config.as_ref())?;
    let dir = crate::paths::data_dir(place.data_dir.as_ref())?;
    let reader = Sqlite::open_reader(&dir)?;
    let snapshot = inspect::process(reader.as_ref(), args.pid)?;
    let scene = scene(reader.as_ref(), config, &dir)?;
    let why = match scene.live.get(&args.pid) {
        Some(process) => scene.why(args.pid, process)?,
        // It has been reaped, perhaps just now.
        None => ended(&inspect::process(reader.as_ref(), args.pid)?),
    };
    if args.json {
        print_json(&object(&snapshot, &why, &scene));
    } else {
        let name = cut(&snapshot.spec.name, NAME_MAX);
        text(&format!("{} ({name}) {}.", args.pid, why.says));
    }
    Ok(Done::Well)
}

fn scene<'a>(reader: &'a dyn Reader, config: Config, dir: &Path) -> Result<Scene<'a>, Error> {
    Ok(Scene {
        reader,
        config,
        live: inspect::live(reader)?,
        budgets: inspect::budgets(reader)?,
        runs: holder(dir) != Holder::Nobody,
        now: Clock::start().now(),
    })
}

fn object(snapshot: &Snapshot, why: &Why, scene: &Scene<'_>) -> Value {
    json!({
        "pid": snapshot.pid,
        "name": snapshot.spec.name,
        "state": snapshot.state,
        "status": snapshot.status.map(|status| status.to_string()),
        "reason": why.reason,
        "why": why.says,
        "until_ms": why.until,
        "device": why.device,
        "ahead": why.ahead,
        "budget": why.budget,
        "kernel_runs": scene.runs,
    })
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
        if !self.runs && !matches!(process.state, State::Zombie { .. }) {
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

    /// A process by its id and name.
    fn named(&self, pid: Pid) -> String {
        match self.live.get(&pid) {
            Some(process) => format!("{pid} ({})", cut(&process.spec.name, NAME_MAX)),
            None => pid.to_string(),
        }
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

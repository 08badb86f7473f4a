//! `aosk trace run`: recorded conversations as processes.
//!
//! Every conversation is a process driven by the program `replay`. The model and the tools answer from
//! the record; each recorded user turn is sent as a message when the process waits for it. Whatever
//! is needed to go on after a crash is in the store: which conversations have a process, and how many
//! messages each was sent.

mod gaps;
pub(crate) mod input;
mod totals;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use aosk::abi::{
    Body, Error, ErrorCode, Limits, Millis, PermissionLevel, Pid, ProgramSpec, SpawnSpec,
    ThinkOptions, Tokens,
};
use aosk::model::Replay;
use aosk::program::replay as program;
use aosk::store::{Reader, Which};
use aosk::tools::Registry;
use aosk::{Clock, Handle, ModelDevice, inspect};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinSet;

use crate::cli::{Place, TraceArgs, TraceCommand, TraceRunArgs};
use crate::fail::Done;
use crate::setup::{self, Home, Memory, Models, Parts};
use crate::stop::{Stop, stopped};
use crate::term::{note, plural};

use input::Conversation;
use totals::{Totals, Unused};

/// The device that answers.
const MODEL: &str = "replay";

/// The most tokens of a recorded answer. It bounds what is reserved for a call, nothing else.
const OUTPUT_MAX: Tokens = Tokens(65_536);

/// The priority of every process.
const PRIORITY: u8 = 50;

pub(crate) async fn run(place: &Place, args: &TraceArgs, mut stop: Stop) -> Result<Done, Error> {
    let TraceCommand::Run(args) = &args.command;
    let clock = Clock::start();
    let began = clock.now();
    let (conversations, skipped) = stop.or(read(args.files.clone())).await?;
    let config = crate::config::read(place.config.as_ref())?;
    // A slip is told before anything is made.
    args.policy.as_deref().map(aosk::kernel::policy).transpose()?;
    let Home { dir, config, store } = setup::home(place, config)?;
    let reader = store.reader();
    let earlier = earlier(reader.as_ref())?;
    let (run, known) = choose_run(args.resume, earlier, &conversations)?;
    let todo: Vec<_> =
        conversations.into_iter().map(|c| (format!("trace/{run}/{}", c.key()), c)).collect();
    let left = todo.iter().filter(|(label, _)| !known.get(label).is_some_and(|k| k.ended)).count();
    if args.resume {
        note(&match (known.is_empty(), left) {
            (true, _) => "nothing to resume: no run here; starting from the beginning".to_owned(),
            (false, 0) => "nothing to resume: the run is finished".to_owned(),
            (false, left) => {
                format!("resuming: {left} of {} to go", plural(todo.len() as u64, "conversation"))
            }
        });
    }
    let records = todo.iter().map(|(label, c)| (label.clone(), c.record.clone())).collect();
    let replay = Arc::new(Replay::new(records));
    let gaps = gaps::tell(todo.iter().map(|(label, c)| (c, replay.calls(label))));
    let mut node = setup::node(&dir, &config, store, parts(&replay, args))?;
    let handle = node.handle();
    let work = replay_all(&handle, &replay, todo, &known, args.concurrency, left);
    let outcome = tokio::select! {
        outcome = work => outcome,
        failed = node.failed() => return Err(failed.err().unwrap_or_else(stopped)),
        () = stop.requested() => {
            note("stopping; once more to end at once");
            stop.end_at_once_on_next();
            node.shutdown().await?;
            return Err(stopped().hint("the same command with --resume goes on where it was"));
        }
    };
    // Why the kernel ended, if it did, says more than that it is gone. Once it is down, everything
    // that the totals are read from is committed.
    node.shutdown().await?;
    outcome?;
    let before = known.values().map(|known| known.steps).sum();
    let totals = Totals::read(reader.as_ref(), run, before, clock.now().since(began))?;
    totals.report(reader.as_ref(), Unused { skipped, gaps }, args.json)
}

/// Reads the conversations on a thread that nobody need wait for: a file may be a pipe or a terminal.
async fn read(files: Vec<PathBuf>) -> Result<(Vec<Conversation>, usize), Error> {
    let read = tokio::task::spawn_blocking(move || input::read(&files)).await;
    read.unwrap_or_else(|error| {
        Err(Error::new(ErrorCode::Io, format!("reading the conversations: {error}")))
    })
}

fn parts(replay: &Arc<Replay>, args: &TraceRunArgs) -> Parts {
    Parts {
        models: Models::one(ModelDevice {
            slots: args.concurrency,
            timeout: Millis::from_secs(60),
            continues: true,
            ..ModelDevice::new(MODEL, Arc::new(replay.as_ref().clone()))
        }),
        embedder: None,
        tools: Registry::new(),
        recorded: Some(replay.clone()),
        policy: args.policy.clone(),
        memory: Memory::default(),
        workspace: std::env::temp_dir(),
    }
}

/// A process of an earlier life.
struct Known {
    pid: Pid,
    name: String,
    ended: bool,
    steps: u64,
}

/// Processes of earlier trace runs, by run and label.
type Earlier = BTreeMap<u64, BTreeMap<String, Known>>;

fn earlier(reader: &dyn Reader) -> Result<Earlier, Error> {
    let mut earlier = Earlier::new();
    for process in inspect::processes(reader, Which::All)? {
        if let Some(run) = run_of(&process.spec.label) {
            let known = Known {
                pid: process.pid,
                name: process.spec.name.clone(),
                ended: process.status.is_some(),
                steps: process.stats.spend.steps,
            };
            earlier.entry(run).or_default().insert(process.spec.label.clone(), known);
        }
    }
    Ok(earlier)
}

/// The run that a label belongs to.
fn run_of(label: &str) -> Option<u64> {
    label.strip_prefix("trace/")?.split_once('/')?.0.parse().ok()
}

/// The number of the run, and the processes it has already.
fn choose_run(
    resume: bool,
    mut earlier: Earlier,
    conversations: &[Conversation],
) -> Result<(u64, BTreeMap<String, Known>), Error> {
    let Some((last, known)) = earlier.pop_last() else {
        return Ok((1, BTreeMap::new()));
    };
    if !resume {
        let all = known.keys().find_map(|label| input::run_length(label)).unwrap_or(known.len());
        let unfinished = all.saturating_sub(known.values().filter(|known| known.ended).count());
        if unfinished > 0 {
            let left = plural(unfinished as u64, "conversation");
            let text = format!("starting a run: an earlier one has {left} left");
            return Err(Error::new(ErrorCode::Usage, text)
                .hint("finish it with --resume, or use another --data-dir"));
        }
        return Ok((last.saturating_add(1), BTreeMap::new()));
    }
    match difference(&known, conversations) {
        None => Ok((last, known)),
        Some(what) => Err(Error::new(ErrorCode::TraceInvalid, format!("resuming a run: {what}"))
            .hint("give the same files as before, in the same order, or use another --data-dir")),
    }
}

/// How the conversations differ from those of the run, in words that those who made the files know;
/// none if they are the same.
fn difference(known: &BTreeMap<String, Known>, conversations: &[Conversation]) -> Option<String> {
    let had = known.keys().find_map(|label| input::run_length(label)).unwrap_or(known.len());
    let has = conversations.len();
    let differing = known.iter().filter_map(|(label, process)| {
        let (index, hash) = input::place(label)?;
        let here = conversations.get(index);
        let is_same = here.is_some_and(|here| here.is_of(hash));
        (!is_same).then_some((index, &process.name, here))
    });
    let first = differing.min_by_key(|(index, _, _)| *index).map(|(index, was, here)| {
        let number = index.saturating_add(1);
        match here.map(Conversation::name) {
            None => format!("its conversation {number}, {was:?}, is beyond their end"),
            Some(is) if is == *was => {
                format!("their conversation {number}, {was:?}, has another content")
            }
            Some(is) => format!("its conversation {number} is {was:?} and theirs is {is:?}"),
        }
    });
    if had == has {
        return first.map(|first| format!("these files have another run: {first}"));
    }
    let beyond = || conversations.get(had).map(|c| format!("{:?} is the first it lacks", c.name()));
    let count = format!("it has {} and these files have {has}", plural(had as u64, "conversation"));
    Some(match first.or_else(beyond) {
        Some(more) => format!("{count}; {more}"),
        None => count,
    })
}

/// Runs every conversation that has not ended, so many at once.
async fn replay_all(
    handle: &Handle,
    replay: &Arc<Replay>,
    todo: Vec<(String, Conversation)>,
    known: &BTreeMap<String, Known>,
    concurrency: u32,
    left: usize,
) -> Result<(), Error> {
    let bar = progress(left);
    let mut waiting: Vec<_> = todo
        .into_iter()
        .filter(|(label, _)| !known.get(label).is_some_and(|known| known.ended))
        // Those that have a process already go first: they live and count.
        .map(|(label, c)| (known.get(&label).map(|known| known.pid), label, c))
        .collect();
    waiting.sort_by_key(|(pid, _, c)| (pid.is_none(), c.index));
    let mut waiting = waiting.into_iter();
    let mut running: JoinSet<Result<(), Error>> = JoinSet::new();
    let mut ended = 0_usize;
    loop {
        while running.len() < usize::try_from(concurrency).unwrap_or(usize::MAX) {
            let Some((pid, label, conversation)) = waiting.next() else {
                break;
            };
            let calls = replay.calls(&label);
            running.spawn(replay_one(handle.clone(), pid, label, conversation, calls));
        }
        match running.join_next().await {
            None => break,
            Some(Ok(outcome)) => outcome?,
            Some(Err(error)) => {
                return Err(Error::new(ErrorCode::KernelPanic, format!("replaying: {error}")));
            }
        }
        ended = ended.saturating_add(1);
        bar.inc(1);
        if bar.is_hidden() && (ended == left || ended.is_multiple_of(between(left))) {
            note(&format!("{ended} of {}", plural(left as u64, "conversation")));
        }
    }
    bar.finish_and_clear();
    Ok(())
}

/// Conversations between two lines of progress, where it is told in lines: ten lines at most, and few
/// for a few conversations, so that what was said before stays in sight.
fn between(left: usize) -> usize {
    left.div_ceil(10).max(10)
}

fn progress(left: usize) -> ProgressBar {
    if !crate::term::is_live() {
        return ProgressBar::hidden();
    }
    let length = u64::try_from(left).unwrap_or(u64::MAX);
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr_with_hz(10));
    let template = "{spinner} conversations: {pos} of {len} [{bar:40}] {elapsed}";
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        // The template is a constant; a bad one would fall back to the usual look.
        Err(_) => bar,
    }
}

/// Runs one conversation to its end.
async fn replay_one(
    handle: Handle,
    known: Option<Pid>,
    label: String,
    conversation: Conversation,
    calls: Vec<(usize, usize, usize)>,
) -> Result<(), Error> {
    let pid = match known {
        Some(pid) => pid,
        None => handle.spawn(process(label, &conversation, conversation.turns(&calls))).await?,
    };
    let mail = conversation.mail(&calls);
    loop {
        // Watched before it is looked at, so that no change falls between.
        let changed = handle.changed(pid);
        match handle.process(pid) {
            Some(process) if process.has_ended => return Ok(()),
            Some(process) if process.state == "message" => {
                let next = usize::try_from(process.mail_count).unwrap_or(usize::MAX);
                let Some(message) = mail.get(next) else {
                    let text = format!(
                        "replaying {pid}: it waits for a message that the record does not have"
                    );
                    return Err(Error::new(ErrorCode::ReplayDiffers, text));
                };
                match handle.send(pid, message.clone()).await {
                    Ok(()) => {}
                    // Whoever sends faster than the kernel takes in tries again.
                    Err(error) if error.code == ErrorCode::Busy => tokio::task::yield_now().await,
                    Err(error) => return Err(error),
                }
            }
            Some(_) => changed.await,
            None => return Ok(()),
        }
    }
}

/// How the process of a conversation is started.
fn process(label: String, conversation: &Conversation, turns: Vec<program::Turn>) -> SpawnSpec {
    let param = program::Param {
        options: ThinkOptions {
            model: MODEL.to_owned(),
            output_max: OUTPUT_MAX,
            tools: Vec::new(),
            temperature_milli: None,
            window: None,
        },
        turns,
    };
    SpawnSpec {
        name: conversation.name(),
        label,
        program: ProgramSpec {
            name: "replay".to_owned(),
            param: serde_json::to_string(&param).unwrap_or_default().into(),
        },
        priority: PRIORITY,
        capabilities: PermissionLevel::Restricted.capabilities(),
        limits: Limits::default(),
        group: String::new(),
        fork: false,
        pages: conversation.head().iter().cloned().map(Body::new).collect(),
    }
}

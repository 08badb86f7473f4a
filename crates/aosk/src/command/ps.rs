//! `aosk ps`: the processes of a data directory, whether a kernel runs on it or not.

use std::collections::BTreeMap;

use aosk::abi::{Error, Pid, Timestamp};
use aosk::kernel::Times;
use aosk::store::sqlite::presence::{Holder, holder};
use aosk::store::{Sqlite, Which};
use aosk::{Clock, Snapshot, inspect};
use serde_json::{Map, Value, json};

use crate::cli::{Place, PsArgs};
use crate::fail::Done;
use crate::term::{count, cut, json as print_json, line, money, note, table};

/// Characters of a name in the table.
const NAME_MAX: usize = 32;

/// Levels of the tree that are shown by indentation. The rest would push the figures off the screen.
const INDENT_MAX: usize = 8;

pub(crate) fn run(place: &Place, args: &PsArgs) -> Result<Done, Error> {
    let dir = crate::paths::data_dir(place.data_dir.as_ref())?;
    let which = if args.all { Which::All } else { Which::Live };
    let reader = Sqlite::open_reader(&dir)?;
    let found = inspect::processes(reader.as_ref(), which)?;
    let now = Clock::start().now();
    let runs = holder(&dir) != Holder::Nobody;
    if args.json {
        let objects = found.iter().map(|process| Value::Object(object(process, runs, now)));
        print_json(&objects.collect());
    }
    if found.is_empty() {
        let dir = dir.display();
        note(&if args.all {
            format!("no processes in {dir}")
        } else {
            format!("no live processes in {dir}; `aosk ps --all` lists ended ones")
        });
        return Ok(Done::Well);
    }
    if !args.json {
        let rows = in_tree_order(&found).into_iter();
        let rows = rows.map(|(depth, process)| {
            let mut row = row(process, depth, now);
            if args.wide {
                row.extend(times(process, runs, now));
            }
            row
        });
        let head = HEAD.iter().chain(if args.wide { &WIDE[..] } else { &[] });
        let head: Vec<&str> = head.copied().collect();
        line(&table(&head, &[&FIGURES[..], &WIDE[..]].concat(), rows.collect()));
    }
    for process in found.iter().filter(|process| !is_under_older(process)) {
        let parent = process.spec.parent.unwrap_or(process.pid);
        note(&format!(
            "damaged: {} has a parent that is not older than it, {parent}; `aosk audit verify` says \
            what else is damaged",
            process.pid
        ));
    }
    if found.iter().any(|process| process.state != "exited") && !runs {
        note("no kernel runs here: live processes are as the last kernel left them");
    }
    Ok(Done::Well)
}

/// What the time of a process went to, what is under way included while a kernel `runs`.
pub(super) fn spent(process: &Snapshot, runs: bool, now: Timestamp) -> Times {
    let times = process.stats.times;
    if runs { times.until(now) } else { times }
}

const HEAD: [&str; 12] = [
    "pid",
    "parent",
    "name",
    "state",
    "pri",
    "model calls",
    "tool calls",
    "in",
    "out",
    "cost",
    "age",
    "status",
];

const FIGURES: [&str; 9] =
    ["pid", "parent", "pri", "model calls", "tool calls", "in", "out", "cost", "age"];

/// What the time of a process went to.
const WIDE: [&str; 5] = ["waited", "ran", "throttled", "preempted", "lost"];

fn times(process: &Snapshot, runs: bool, now: Timestamp) -> [String; 5] {
    let stats = &process.stats;
    let times = spent(process, runs, now);
    [
        times.waited.to_string(),
        times.ran.to_string(),
        times.throttled.to_string(),
        count(stats.preempted),
        count(stats.lost.0),
    ]
}

fn row(process: &Snapshot, depth: usize, now: Timestamp) -> Vec<String> {
    let stats = &process.stats;
    let name = cut(&process.spec.name, NAME_MAX);
    vec![
        process.pid.0.to_string(),
        process.spec.parent.map_or_else(|| "-".to_owned(), |parent| parent.0.to_string()),
        format!("{}{name}", "  ".repeat(depth.min(INDENT_MAX))),
        process.state.to_owned(),
        process.priority.to_string(),
        count(stats.model_calls),
        count(stats.tool_calls),
        count(stats.input.0),
        count(stats.output.0),
        money(stats.spend.micro_usd),
        age(process.spec.spawned, now),
        process.status.map_or_else(String::new, |status| status.to_string()),
    ]
}

/// A process as JSON. What the store keeps elsewhere, its log and its mailbox, is not in it.
pub(super) fn object(process: &Snapshot, runs: bool, now: Timestamp) -> Map<String, Value> {
    let (spec, stats) = (&process.spec, &process.stats);
    let times = spent(process, runs, now);
    let fields = [
        ("pid", json!(process.pid)),
        ("parent", json!(spec.parent)),
        ("name", json!(spec.name)),
        ("label", json!(spec.label)),
        ("program", json!(spec.program.name)),
        ("state", json!(process.state)),
        ("status", json!(process.status.map(|status| status.to_string()))),
        ("finished", json!(process.status.map(|status| status.is_finished()))),
        ("priority", json!(process.priority)),
        ("spawned_ms", json!(spec.spawned)),
        ("steps", json!(stats.spend.steps)),
        ("model_calls", json!(stats.model_calls)),
        ("model_retries", json!(stats.model_retries)),
        ("tool_calls", json!(stats.tool_calls)),
        ("input_tokens", json!(stats.input)),
        ("cached_tokens", json!(stats.cached)),
        ("cache_written_tokens", json!(stats.written)),
        ("output_tokens", json!(stats.output)),
        ("cost_micro_usd", json!(stats.spend.micro_usd)),
        ("waited_ms", json!(times.waited)),
        ("ran_ms", json!(times.ran)),
        ("throttled_ms", json!(times.throttled)),
        ("preempted", json!(stats.preempted)),
        ("lost_tokens", json!(stats.lost)),
        ("children", json!(stats.spend.children)),
        ("sent", json!(stats.sent)),
        ("received", json!(stats.received)),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Parents before their children, each with its depth among those shown; otherwise by id.
fn in_tree_order(processes: &[Snapshot]) -> Vec<(usize, &Snapshot)> {
    let by_pid: BTreeMap<Pid, &Snapshot> = processes.iter().map(|one| (one.pid, one)).collect();
    let mut children: BTreeMap<Option<Pid>, Vec<Pid>> = BTreeMap::new();
    for process in processes {
        let parent = process.spec.parent.filter(|parent| by_pid.contains_key(parent));
        // Ids are counted, so the way up ends; one that a damaged row leads round stands by itself.
        let parent = parent.filter(|_| is_under_older(process));
        children.entry(parent).or_default().push(process.pid);
    }
    let mut order = Vec::with_capacity(processes.len());
    let mut open: Vec<(usize, Pid)> = Vec::new();
    let mut next = children.remove(&None).unwrap_or_default();
    let mut depth = 0;
    loop {
        open.extend(next.into_iter().rev().map(|pid| (depth, pid)));
        let Some((at, pid)) = open.pop() else {
            return order;
        };
        order.extend(by_pid.get(&pid).map(|process| (at, *process)));
        next = children.remove(&Some(pid)).unwrap_or_default();
        depth = at + 1;
    }
}

/// Whether the process has no parent, or one that was there before it.
fn is_under_older(process: &Snapshot) -> bool {
    process.spec.parent.is_none_or(|parent| parent < process.pid)
}

/// How long ago something was, in its two largest units.
pub(super) fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.since(since).0 / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    if days > 0 {
        format!("{days}d{}h", hours % 24)
    } else if hours > 0 {
        format!("{hours}h{}m", minutes % 60)
    } else if minutes > 0 {
        format!("{minutes}m{}s", seconds % 60)
    } else {
        format!("{seconds}s")
    }
}

#[cfg(test)]
mod tests;

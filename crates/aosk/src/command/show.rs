//! `aosk show`: one process, what it is and waits for, what it may do and has used, and its log.

use aosk::abi::{
    BudgetId, Capabilities, Error, ErrorCode, Fact, Grant, Limits, Pid, Risk, RowKey, Spend,
    Timestamp, Tokens,
};
use aosk::kernel::{
    BudgetView, Kernel, ModelCall, Process, State, Termination, Times, ToolPhase, Wait,
};
use aosk::lack::need;
use aosk::store::sqlite::presence::{Holder, holder};
use aosk::store::{JournalQuery, Reader, Sqlite};
use aosk::{Clock, Snapshot, inspect};
use serde::Serialize;
use serde_json::{Value, json};

use super::{logs, ps};
use crate::cli::{Place, ShowArgs};
use crate::fail::Done;
use crate::term::{count, cut, json as print_json, line, money, plural, time};

/// Characters of a text from outside on its line.
const TEXT_MAX: usize = 100;

/// Nodes of the budget tree above a process. The tree is as deep as processes are.
const BUDGETS_MAX: usize = 1 + aosk::abi::limits::PROCESS_DEPTH_MAX as usize;

pub(crate) fn run(place: &Place, args: &ShowArgs) -> Result<Done, Error> {
    let dir = crate::paths::data_dir(place.data_dir.as_ref())?;
    let reader = Sqlite::open_reader(&dir)?;
    let reader = reader.as_ref();
    let snapshot = inspect::process(reader, args.pid)?;
    let log = inspect::log(reader, args.pid)?;
    let process = process(reader, args.pid)?;
    let budgets = budgets(reader, args.pid, &process)?;
    let (runs, now) = (holder(&dir) != Holder::Nobody, Clock::start().now());
    if args.json {
        let log = log.iter().map(|body| {
            json!({ "hash": body.hash(), "bytes": body.bytes().len(), "message": parsed(body.bytes()) })
        });
        let more = [
            ("doing", json!(process.state)),
            ("depth", json!(process.spec.depth)),
            ("param", parsed(&process.spec.program.param)),
            ("program_state", parsed(&process.program_state)),
            ("capabilities", json!(process.spec.capabilities)),
            ("budgets", json!(budgets)),
            ("log", log.collect()),
        ];
        let mut object = ps::object(&snapshot, runs, now);
        object.extend(more.map(|(name, value)| (name.to_owned(), value)));
        print_json(&Value::Object(object));
        return Ok(Done::Well);
    }
    for (name, text) in facts(&snapshot, &process, &budgets, (runs, now)) {
        line(&format!("{name:<11} {text}"));
    }
    line(&format!("{:<11} {}", "log", plural(log.len() as u64, "message")));
    for (at, body) in log.iter().enumerate() {
        let (role, size) = (body.message().role(), count(body.bytes().len() as u64));
        let text = logs::gist(body.message());
        line(format!("{at:>5}  {role:<9} {size:>9} B  {text}").trim_end());
    }
    Ok(Done::Well)
}

/// The process with its state. Its log and mailbox are left out.
fn process(reader: &dyn Reader, pid: Pid) -> Result<Process, Error> {
    let row = |key| {
        let text = reader.row(key)?;
        text.ok_or_else(|| {
            Error::new(ErrorCode::StoreCorrupt, format!("reading {pid}: a row is missing"))
        })
    };
    Ok(Kernel::read_process(pid, &row(RowKey::Spec(pid))?, &row(RowKey::Process(pid))?)?)
}

/// A node of the budget tree, as far as it concerns a person.
#[derive(Debug, Serialize)]
struct Budget {
    /// The node; none if it is gone and only its bounds are known.
    budget: Option<BudgetId>,
    limits: Limits,
    used: Option<Spend>,
    reserved: Option<Spend>,
}

/// The nodes that bound the process, lowest first. Of a process that is gone, the bounds that it was
/// started with.
fn budgets(reader: &dyn Reader, pid: Pid, process: &Process) -> Result<Vec<Budget>, Error> {
    let mut found = Vec::new();
    let mut next = Some(process.spec.budget);
    while let Some(id) = next.take()
        && found.len() < BUDGETS_MAX
        && let Some(text) = reader.row(RowKey::Budget(id))?
    {
        let BudgetView { parent, limits, used, reserved, .. } = Kernel::read_budget(id, &text)?;
        next = parent;
        found.push(Budget { budget: Some(id), limits, used: Some(used), reserved: Some(reserved) });
    }
    found.retain(|budget| !budget.limits.is_unbounded());
    if found.is_empty() {
        found.extend(limits_at_birth(reader, pid)?);
    }
    Ok(found)
}

fn limits_at_birth(reader: &dyn Reader, pid: Pid) -> Result<Option<Budget>, Error> {
    let query = JournalQuery { pid: Some(pid), limit: 1, ..JournalQuery::default() };
    let entries = reader.journal(&query)?;
    let born = entries.first().and_then(|entry| Fact::read(&entry.kind, &entry.data));
    let Some(Fact::Spawned { limits, .. }) = born else {
        return Ok(None);
    };
    let bounded = !limits.is_unbounded();
    Ok(bounded.then_some(Budget { budget: None, limits, used: None, reserved: None }))
}

/// Text that should be JSON, as JSON.
fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
}

/// What there is to say of a process besides its log.
fn facts(
    snapshot: &Snapshot,
    process: &Process,
    budgets: &[Budget],
    (runs, now): (bool, Timestamp),
) -> Vec<(&'static str, String)> {
    let (spec, stats) = (&process.spec, &process.stats);
    let parent = spec.parent.map_or_else(|| "the operator".to_owned(), |parent| parent.to_string());
    let started = format!("{}, {} ago", time(spec.spawned), ps::age(spec.spawned, now));
    let mut facts = vec![
        ("process", format!("{} {}", snapshot.pid, cut(&spec.name, TEXT_MAX))),
        ("state", doing(snapshot, &process.state, now)),
        ("program", cut(&spec.program.name, TEXT_MAX)),
        ("started", format!("{started}, by {parent}")),
        ("priority", process.priority.to_string()),
        ("may", may(&spec.capabilities)),
    ];
    if !spec.label.is_empty() {
        facts.push(("label", cut(&spec.label, TEXT_MAX)));
    }
    match process.termination {
        Termination::None => {}
        Termination::Asked { deadline, .. } | Termination::Told { deadline, .. } => {
            facts.push(("ending", format!("asked to end; killed {}", due(deadline, now))));
        }
    }
    facts.extend(budgets.iter().map(|budget| ("budget", bounds(budget))));
    let written = match stats.written {
        Tokens::ZERO => String::new(),
        written => format!(", {} written to caches", count(written.0)),
    };
    facts.push((
        "used",
        format!(
            "{} ({} retried), {}, {} in ({} cached{written}), {} out, {}",
            plural(stats.model_calls, "model call"),
            plural(stats.model_retries, "attempt"),
            plural(stats.tool_calls, "tool call"),
            plural(stats.input.0, "token"),
            count(stats.cached.0),
            count(stats.output.0),
            money(stats.spend.micro_usd),
        ),
    ));
    let times = ps::spent(snapshot, runs, now);
    if times != Times::default() {
        let mut text = format!(
            "waited {} for a model, was answered for {}, was held back for {}",
            times.waited, times.ran, times.throttled
        );
        if stats.preempted > 0 {
            text.push_str(&format!(
                "; preempted {}, {} lost",
                plural(stats.preempted, "time"),
                plural(stats.lost.0, "token")
            ));
        }
        facts.push(("time", text));
    }
    if stats.sent + stats.received > 0 {
        facts.push(("messages", format!("{} sent, {} received", stats.sent, stats.received)));
    }
    facts
}

/// The state and what it waits for.
fn doing(snapshot: &Snapshot, state: &State, now: Timestamp) -> String {
    let word = snapshot.state;
    match state {
        State::Program { .. } => format!("{word}: its program is about to take a step"),
        State::Ready { call } => format!("{word}: waits for a slot of {}", asked(call)),
        State::Running { call, deadline, .. } => {
            let attempt = call.attempt;
            format!(
                "{word}: asks {}, attempt {attempt}, given up {}",
                asked(call),
                due(*deadline, now)
            )
        }
        State::Waiting { on } => format!("{word}: {}", waits(on, now)),
        State::Stopped { was } => match was.inner() {
            State::Waiting { on } => format!("{word}; was: {}", waits(on, now)),
            inner @ (State::Program { .. }
            | State::Ready { .. }
            | State::Running { .. }
            | State::Stopped { .. }
            | State::Exiting { .. }
            | State::Zombie { .. }) => format!("{word}; was: {}", inner.word()),
        },
        State::Exiting { status, calls, .. } => {
            let calls = plural(calls.len() as u64, "call");
            format!("{word}: {status}; {calls} to be confirmed cancelled")
        }
        State::Zombie { status, .. } => format!("{word}: {status}"),
    }
}

fn waits(on: &Wait, now: Timestamp) -> String {
    let within = |until: &Option<Timestamp>| {
        until.map_or_else(String::new, |until| format!(", gives up {}", due(until, now)))
    };
    match on {
        Wait::Backoff { call, until } => {
            let failed = plural(u64::from(call.failures), "attempt");
            format!("asks {} again {}, {failed} failed", asked(call), due(*until, now))
        }
        Wait::Quota { call, lack, asks: false } => {
            format!("waits for room in {} for {} to ask {}", lack.budget, need(lack), asked(call))
        }
        Wait::Quota { call, lack, asks: true } => {
            format!(
                "waits for a person to raise the {lack} of {}, to ask {}",
                lack.budget,
                asked(call)
            )
        }
        Wait::Tools { calls } => {
            let phase = |phase: ToolPhase| match phase {
                ToolPhase::Queued { .. } => "queued".to_owned(),
                ToolPhase::InFlight { deadline } => {
                    format!("runs, given up {}", due(deadline, now))
                }
                ToolPhase::Returned { .. } => "returned".to_owned(),
            };
            let calls = calls.iter();
            let calls =
                calls.map(|call| format!("c{} {} {}", call.number, call.tool, phase(call.phase)));
            cut(&calls.collect::<Vec<_>>().join("; "), 2 * TEXT_MAX)
        }
        Wait::Child { child, until } => {
            let who = child.map_or_else(|| "any child".to_owned(), |child| child.to_string());
            format!("waits for the end of {who}{}", within(until))
        }
        Wait::Message { from, until } => {
            let who = from.map_or_else(|| "anyone".to_owned(), |from| from.to_string());
            format!("waits for a message from {who}{}", within(until))
        }
        Wait::Timer { until } => format!("sleeps, wakes {}", due(*until, now)),
    }
}

/// A model call: its number and the model.
fn asked(call: &ModelCall) -> String {
    format!("{} (c{})", cut(&call.options.model, TEXT_MAX), call.number)
}

/// A moment to come, or one that has passed without anybody there to see it.
fn due(at: Timestamp, now: Timestamp) -> String {
    if at > now { format!("in {}", at.since(now)) } else { format!("at {}", time(at)) }
}

fn may(capabilities: &Capabilities) -> String {
    let named = |grant: &Grant| match grant {
        Grant::All => "all".to_owned(),
        Grant::Only(names) if names.is_empty() => "none".to_owned(),
        Grant::Only(names) => {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            cut(&names.join(", "), 2 * TEXT_MAX)
        }
    };
    let risk = match capabilities.risk_max {
        Risk::Safe => "safe",
        Risk::Low => "low",
        Risk::Medium => "medium",
        Risk::High => "high",
    };
    let spawn = if capabilities.spawn { "may start agents" } else { "may not start agents" };
    let send = if capabilities.send_anywhere { ", may send to anyone" } else { "" };
    let (tools, models) = (named(&capabilities.tools), named(&capabilities.models));
    format!("tools: {tools}, up to {risk} risk; models: {models}; {spawn}{send}")
}

/// The bounds of a node, each with what is used of it.
fn bounds(budget: &Budget) -> String {
    let Budget { limits, used, reserved, .. } = budget;
    let of = |limit: u64, part: fn(&Spend) -> u64, print: fn(u64) -> String| match (used, reserved)
    {
        (Some(used), Some(reserved)) if part(reserved) > 0 => {
            format!("{} + {} held of {}", print(part(used)), print(part(reserved)), print(limit))
        }
        (Some(used), _) => format!("{} of {}", print(part(used)), print(limit)),
        (None, _) => format!("at most {}", print(limit)),
    };
    let usd = |micros| money(aosk::abi::MicroUsd(micros));
    let parts = [
        limits.tokens.map(|limit| format!("tokens {}", of(limit.0, |spend| spend.tokens.0, count))),
        limits.calls.map(|limit| format!("calls {}", of(limit, |spend| spend.calls, count))),
        limits
            .micro_usd
            .map(|limit| format!("money {}", of(limit.0, |spend| spend.micro_usd.0, usd))),
        limits.steps.map(|limit| format!("steps {}", of(limit, |spend| spend.steps, count))),
        limits
            .children
            .map(|limit| format!("children {}", of(limit, |spend| spend.children, count))),
        limits.wall.map(|limit| format!("wall time {limit}")),
    ];
    let mut parts: Vec<String> = parts.into_iter().flatten().collect();
    for (bounds, span) in [
        (limits.per_minute, "a minute"),
        (limits.per_hour, "an hour"),
        (limits.per_day, "a day"),
        (limits.per_call, "a call"),
    ] {
        let bounds = [
            bounds.tokens.map(|tokens| plural(tokens.0, "token")),
            bounds.calls.map(|calls| plural(calls, "call")),
            bounds.micro_usd.map(money),
        ];
        let bounds = bounds.into_iter().flatten();
        parts.extend(bounds.map(|bound| format!("at most {bound} {span}")));
    }
    let node = budget.budget.map_or_else(String::new, |id| format!("{id}: "));
    format!("{node}{}", parts.join(", "))
}

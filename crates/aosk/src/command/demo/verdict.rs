//! What is left of the demo, read anew from the store when the kernel is gone: the checks, the table
//! and what to try next.

use std::collections::BTreeMap;

use aosk::abi::{CallId, Error, ErrorCode, Millis};
use aosk::store::{Head, Reader, Sqlite, Which, verify};
use aosk::{Snapshot, inspect};
use serde_json::json;

use super::record::{Booted, Call, INTERRUPTED, Record};
use super::stage::Stage;
use super::story::taken_up;
use super::team::{MODEL, TEST_COMMAND, TESTER};
use crate::fail::Done;
use crate::term::{count, json as print_json, line, money, note, plural, table};

/// What came of the demo.
#[derive(Debug)]
pub(super) struct Verdict {
    agents: Vec<Snapshot>,
    record: Record,
    head: Head,
    /// Commands that were really started, and how often.
    started: BTreeMap<String, u32>,
    /// What is not as it should be.
    problems: Vec<String>,
}

/// How the demo went, as its director saw it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Course {
    /// The last entry of the journal when the kernel was dead.
    pub(super) killed_at: u64,
    /// How long everything took.
    pub(super) wall: Millis,
}

impl Verdict {
    /// Reads and checks what the demo left.
    ///
    /// # Errors
    /// If it cannot be read. What can be read and is wrong becomes a problem.
    pub(super) fn reach(stage: &Stage) -> Result<Self, Error> {
        let reader = Sqlite::open_reader(&stage.data())?;
        let reader: &dyn Reader = reader.as_ref();
        let record = Record::read(reader)?;
        let agents = inspect::processes(reader, Which::All)?;
        let head = reader.head()?;
        let started = stage.commands()?;
        let mut problems = problems(&record, &started);
        if let Err(error) = verify(reader, Some(head)) {
            problems.push(error.to_string());
        }
        for agent in &agents {
            if !agent.status.is_some_and(|status| status.is_finished()) {
                problems.push(format!("{} did not finish: {}", agent.spec.name, state(agent)));
            }
        }
        Ok(Self { agents, record, head, started, problems })
    }

    /// Prints what there is and what to try next.
    ///
    /// # Errors
    /// `program.failed` if anything is not as it should be.
    pub(super) fn report(
        &self,
        stage: &Stage,
        course: Course,
        as_json: bool,
    ) -> Result<Done, Error> {
        if as_json && self.problems.is_empty() {
            print_json(&self.object(stage, course));
        } else if !as_json {
            line(&self.table());
            if self.problems.is_empty() {
                line("");
                self.lines(course).iter().for_each(|text| line(text));
            }
        }
        if !self.problems.is_empty() {
            let text = format!("checking the demo: {}", self.problems.join("; "));
            let hint = format!("what is left of it: {}", stage.dir().display());
            return Err(Error::new(ErrorCode::ProgramFailed, text).hint(hint));
        }
        note("");
        note("Try next:");
        for command in next_commands(stage) {
            note(&format!("  {command}"));
        }
        Ok(Done::Well)
    }

    fn table(&self) -> String {
        let head = ["pid", "agent", "priority", "state", "steps", "tool calls", "tokens", "cost"];
        let figures = ["pid", "priority", "steps", "tool calls", "tokens", "cost"];
        let row = |agent: &Snapshot| {
            let stats = &agent.stats;
            vec![
                agent.pid.0.to_string(),
                agent.spec.name.clone(),
                agent.priority.to_string(),
                state(agent),
                count(stats.spend.steps),
                count(stats.tool_calls),
                count((stats.input + stats.output).0),
                money(stats.spend.micro_usd),
            ]
        };
        table(&head, &figures, self.agents.iter().map(row).collect())
    }

    /// What was checked. All of it holds, or it is not shown.
    fn lines(&self, course: Course) -> Vec<String> {
        let booted = self.record.boots.last().cloned().unwrap_or_default();
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let calls = plural(count(self.record.tool_calls.len()), "tool call");
        vec![
            format!(
                "journal  verified: {}, head {}",
                plural(self.head.length, "entry"),
                self.head.hash
            ),
            format!(
                "crash    kill -9 after entry {}; the next boot took up {}: {}",
                course.killed_at,
                plural(booted.processes, "agent"),
                taken_up(&booted),
            ),
            format!(
                "tools    {calls}, each begun once and ended once; {} asked for, {} started",
                plural(count(self.commands().count()), "command"),
                self.started.values().sum::<u32>(),
            ),
            format!("tests    {TEST_COMMAND}: {}", self.tests()),
            format!(
                "model    {MODEL}: the answers are a script; the cost is at an assumed price, nothing was charged"
            ),
            format!("time     {}", course.wall),
        ]
    }

    fn object(&self, stage: &Stage, course: Course) -> serde_json::Value {
        let Booted { asked_again, called_again, interrupted, processes, .. } =
            self.record.boots.last().cloned().unwrap_or_default();
        let agent = |agent: &Snapshot| {
            json!({
                "pid": agent.pid,
                "name": agent.spec.name,
                "priority": agent.priority,
                "state": state(agent),
                "steps": agent.stats.spend.steps,
                "tool_calls": agent.stats.tool_calls,
                "tokens": agent.stats.input + agent.stats.output,
                "cost_micro_usd": agent.stats.spend.micro_usd,
            })
        };
        json!({
            "agents": self.agents.iter().map(agent).collect::<Vec<_>>(),
            "model": MODEL,
            "model_is_scripted": true,
            "model_calls": self.record.model_calls.len(),
            "tool_calls": self.record.tool_calls.len(),
            "commands_asked_for": self.commands().count(),
            "commands_started": self.started.values().sum::<u32>(),
            "tests_passed": true,
            "boots": self.record.boots.len(),
            "killed_after_entry": course.killed_at,
            "processes_taken_up": processes,
            "model_calls_asked_again": asked_again.len(),
            "tool_calls_made_again": called_again.len(),
            "tool_calls_interrupted": interrupted.len(),
            "journal_verified": true,
            "journal_entries": self.head.length,
            "journal_head": self.head.hash,
            "wall_ms": course.wall,
            "dir": stage.dir(),
        })
    }

    fn commands(&self) -> impl Iterator<Item = &Call> {
        commands(&self.record)
    }

    /// How the last test run ended.
    fn tests(&self) -> &str {
        let last = last_test(&self.record);
        last.and_then(|call| call.result.lines().next()).unwrap_or("not run")
    }
}

/// What the journal and the log of started commands say that must not be.
fn problems(record: &Record, started: &BTreeMap<String, u32>) -> Vec<String> {
    let mut problems = Vec::new();
    if record.boots.len() != 2 {
        problems.push(format!("the kernel booted {} times, not twice", record.boots.len()));
    }
    for (id, call) in record.tool_calls.iter().chain(&record.model_calls) {
        if (call.begun, call.ended) != (1, 1) {
            let Call { device, begun, ended, .. } = call;
            problems.push(format!("{device} {id} was begun {begun} times and ended {ended} times"));
        }
    }
    // A command that was cut off may have been started or not; any other was started exactly once.
    let mut asked: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    for call in commands(record) {
        let (least, most) = asked.entry(&call.object).or_default();
        *least = least.saturating_add(u32::from(!call.result.starts_with(INTERRUPTED)));
        *most = most.saturating_add(1);
    }
    for (command, times) in started {
        if !asked.contains_key(command.as_str()) {
            problems.push(format!("`{command}` was started {times} times and never asked for"));
        }
    }
    for (command, (least, most)) in asked {
        let times = started.get(command).copied().unwrap_or_default();
        if !(least..=most).contains(&times) {
            problems.push(format!("`{command}` was started {times} times, asked for {most} times"));
        }
    }
    if !last_test(record).is_some_and(|call| call.result.starts_with("exit code 0\n")) {
        problems.push(format!("`{TEST_COMMAND}` did not pass"));
    }
    problems
}

fn commands(record: &Record) -> impl Iterator<Item = &Call> {
    record.tool_calls.values().filter(|call| call.device == "run_command")
}

/// The last test run of the Tester.
fn last_test(record: &Record) -> Option<&Call> {
    let is_test = |(id, call): &(&CallId, &Call)| {
        record.name(Some(id.pid)) == TESTER && call.object == TEST_COMMAND
    };
    record.tool_calls.iter().rfind(is_test).map(|(_, call)| call)
}

/// How an agent ended, or what it does.
fn state(agent: &Snapshot) -> String {
    agent.status.map_or_else(|| agent.state.to_owned(), |status| status.to_string())
}

/// Commands that show more of what the demo left.
fn next_commands(stage: &Stage) -> [String; 3] {
    // As it was called, so that the commands work where this one did.
    let program = std::env::args().next().unwrap_or_else(|| "aosk".to_owned());
    let program = quoted(&program);
    let data = quoted(&stage.data().to_string_lossy());
    let workspace = quoted(&stage.workspace().to_string_lossy());
    [
        format!("{program} ps --all --data-dir {data}"),
        format!("{program} logs 2 --data-dir {data}"),
        format!(
            "{program} run \"What does this program do?\" --workspace {workspace} --data-dir {data}"
        ),
    ]
}

/// `word` as a shell reads it back.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests;

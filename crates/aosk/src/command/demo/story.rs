//! The demo told as it happens: a line on stderr for every entry of the journal that is worth one.

use aosk::abi::{Pid, Timestamp};
use aosk::store::StoredEntry;

use super::record::{Booted, Call, INTERRUPTED, News, Record};
use crate::term::{cut, is_live, note, plural};

/// Characters of what is told on one line.
const TEXT_MAX: usize = 110;

/// Colours of agents, by their ids.
const COLOURS: [&str; 4] = ["36", "32", "33", "35"];

/// The colour of the kernel.
const KERNEL_COLOUR: &str = "1;31";

/// Tells.
#[derive(Debug)]
pub(super) struct Story {
    /// When the first entry was written.
    began: Option<Timestamp>,
    coloured: bool,
}

impl Story {
    /// Begins; with colours if a person is looking.
    pub(super) fn new() -> Self {
        let welcome = std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
        Self { began: None, coloured: is_live() && welcome }
    }

    /// Tells an entry.
    pub(super) fn tell(&mut self, record: &Record, entry: &StoredEntry, news: &News) {
        let began = *self.began.get_or_insert(entry.at);
        let seconds =
            format!("{:>6}", format!("{:.1} s", entry.at.since(began).duration().as_secs_f32()));
        let (who, what) = line(record, news);
        let colour = who.and_then(|pid| COLOURS.get(usize::try_from(pid.0).ok()? % COLOURS.len()));
        let name = format!("{:<10}", who.map_or("kernel", |pid| record.name(Some(pid))));
        let name = self.paint(&name, colour.copied().unwrap_or(KERNEL_COLOUR));
        note(&format!("{seconds}  {name}  {}", cut(&what, TEXT_MAX)));
    }

    /// Tells what is done to the kernel.
    pub(super) fn announce(&self, what: &str) {
        note(&self.paint(&format!("------  {what}"), KERNEL_COLOUR));
    }

    fn paint(&self, text: &str, colour: &str) -> String {
        if self.coloured { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Whose line it is, the kernel's if nobody's, and what it says.
fn line(record: &Record, news: &News) -> (Option<Pid>, String) {
    match news {
        News::Booted(booted) if booted.boots == 0 => (None, "starts on an empty store".to_owned()),
        News::Booted(booted) => {
            let agents = plural(booted.processes, "agent");
            (None, format!("goes on from the store with {agents}: {}", taken_up(booted)))
        }
        News::Spawned { by: None, pid, priority } => {
            (Some(*pid), format!("begins, priority {priority}"))
        }
        News::Spawned { by: Some(by), pid, priority } => {
            (Some(*pid), format!("is started by {}, priority {priority}", record.name(Some(*by))))
        }
        News::Said { pid, text } => (Some(*pid), format!("\"{text}\"")),
        News::Returned { pid, call } => (Some(*pid), tool(call)),
        News::Sent { from, to, text } => {
            // The receiver is told who wrote; here the line begins with that.
            let text = text.split_once("): ").map_or(text.as_str(), |(_, text)| text);
            (*from, format!("-> {}: {text}", record.name(Some(*to))))
        }
        News::Failed { pid, message } => (Some(*pid), message.clone()),
        News::Exited { pid, status } => (Some(*pid), status.to_string()),
    }
}

/// What a boot made of the calls that were in flight.
pub(super) fn taken_up(booted: &Booted) -> String {
    let [asked, called, cut_off] = [&booted.asked_again, &booted.called_again, &booted.interrupted]
        .map(|calls| u64::try_from(calls.len()).unwrap_or(u64::MAX));
    let mut text = format!(
        "{} asked again, {} interrupted",
        plural(asked, "model call"),
        plural(cut_off, "tool call")
    );
    if called > 0 {
        text.push_str(&format!(", {} made again", plural(called, "idempotent tool call")));
    }
    text
}

/// A tool call that ended.
fn tool(call: &Call) -> String {
    let Call { device, object, result, .. } = call;
    match device.as_str() {
        "run_command" => format!("$ {object}: {}", gist(result)),
        "read_file" | "list_files" => {
            format!("{device} {object}: {}", plural(result.lines().count() as u64, "line"))
        }
        _ => format!("{device}: {}", gist(result)),
    }
}

/// The first line of a result, and the one after it that tells most: what a compiler or a test run
/// says, or else the output.
fn gist(result: &str) -> String {
    if result.starts_with(INTERRUPTED) {
        return "interrupted; whether it took effect is unknown".to_owned();
    }
    let first = result.lines().next().unwrap_or_default();
    let rest = || result.lines().skip(1);
    let real_run = |line: &&str| line.starts_with("test result:") && !line.contains(" 0 passed");
    let telling = rest()
        .find(|line| line.starts_with("error"))
        .or_else(|| rest().find(real_run))
        .or_else(|| rest().skip_while(|line| *line != "--- stdout ---").nth(1))
        .or_else(|| rest().filter(|line| !line.trim().is_empty()).last());
    let telling = telling.map(|line| line.split(';').next().unwrap_or(line).trim());
    telling.map_or_else(|| first.to_owned(), |telling| format!("{first}, {telling}"))
}

#[cfg(test)]
mod tests;

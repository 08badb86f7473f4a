//! What a run comes to, read from the store: the same whether it ran in one life or in many.

use std::collections::BTreeSet;

use aosk::abi::{Error, Millis, Pid, Tokens};
use aosk::store::{JournalQuery, Reader, VerifyError, Which, verify};
use aosk::{Snapshot, inspect};

use super::gaps::Gaps;
use super::run_of;
use crate::fail::{self, Done};
use crate::term::{self, count, cut, note, plural};

/// The sums over all processes of a run, and what this life of it cost.
pub(crate) struct Totals {
    processes: Vec<Snapshot>,
    steps: u64,
    model_calls: u64,
    tool_calls: u64,
    input: Tokens,
    output: Tokens,
    journal_entries: u64,
    journal: Result<(), VerifyError>,
    /// Steps that this life took.
    steps_here: u64,
    wall: Millis,
}

/// What of the files was not run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unused {
    /// Lines that are no conversations.
    pub(crate) skipped: usize,
    /// What the records leave open.
    pub(crate) gaps: Gaps,
}

impl Totals {
    /// Reads what the run has come to. `before` is how many steps it had when this life of it began,
    /// `wall` the time this life took.
    pub(crate) fn read(
        reader: &dyn Reader,
        run: u64,
        before: u64,
        wall: Millis,
    ) -> Result<Self, Error> {
        let processes: Vec<_> = inspect::processes(reader, Which::All)?
            .into_iter()
            .filter(|process| run_of(&process.spec.label) == Some(run))
            .collect();
        let pids: BTreeSet<Pid> = processes.iter().map(|process| process.pid).collect();
        let mut journal_entries = 0_u64;
        inspect::journal(reader, &JournalQuery::default(), |entry| {
            let ours = entry.pid.is_some_and(|pid| pids.contains(&pid));
            journal_entries = journal_entries.saturating_add(u64::from(ours));
            true
        })?;
        let sum =
            |of: fn(&Snapshot) -> u64| processes.iter().map(of).fold(0_u64, u64::saturating_add);
        let steps = sum(|process| process.stats.spend.steps);
        Ok(Self {
            steps,
            steps_here: steps.saturating_sub(before),
            model_calls: sum(|process| process.stats.model_calls),
            tool_calls: sum(|process| process.stats.tool_calls),
            input: Tokens(sum(|process| process.stats.input.0)),
            output: Tokens(sum(|process| process.stats.output.0)),
            journal_entries,
            journal: verify(reader, None).map(|_| ()),
            wall,
            processes,
        })
    }

    /// Prints it, and says which conversations failed and why.
    pub(crate) fn report(
        &self,
        reader: &dyn Reader,
        unused: Unused,
        json: bool,
    ) -> Result<Done, Error> {
        let mut failed = 0_u64;
        for process in &self.processes {
            let Some(status) = process.status.filter(|status| !status.is_finished()) else {
                continue;
            };
            failed = failed.saturating_add(1);
            let why = match process.result {
                Some(hash) => inspect::body(reader, hash)?.message().text(),
                None => String::new(),
            };
            note(&format!("{} ({}): {status}: {}", process.pid, process.spec.name, cut(&why, 400)));
        }
        if json {
            self.print_json(failed, unused);
        } else {
            self.print_table(failed, unused);
        }
        let skipped = unused.skipped;
        if failed > 0 || skipped > 0 {
            note(&format!(
                "told of above: {} failed, {} left out",
                plural(failed, "conversation"),
                plural(skipped as u64, "line")
            ));
        }
        if let Err(error) = &self.journal {
            let error = error.public();
            note(&fail::line(&error));
            return Ok(Done::Failed(error.code));
        }
        let well = failed == 0 && skipped == 0;
        Ok(if well { Done::Well } else { Done::Badly })
    }

    /// The time this life took, in seconds; never nothing.
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    fn wall_seconds(&self) -> f64 {
        self.wall.0.max(1) as f64 / 1000.0
    }

    #[expect(clippy::cast_precision_loss, reason = "figures for people and charts")]
    fn print_json(&self, failed: u64, unused: Unused) {
        let Unused { skipped, gaps } = unused;
        let wall_s = self.wall_seconds();
        term::json(&serde_json::json!({
            "processes": self.processes.len(),
            "steps": self.steps,
            "model_calls": self.model_calls,
            "tool_calls": self.tool_calls,
            "input_tokens": self.input,
            "output_tokens": self.output,
            "wall_s": wall_s,
            "cpu_s": cpu_seconds(),
            "steps_per_s": self.steps_here as f64 / wall_s,
            "peak_rss_mb": peak_rss_mb(),
            "journal_entries": self.journal_entries,
            "journal_ok": self.journal.is_ok(),
            "failed": failed,
            "lines_skipped": skipped,
            "calls_without_result": gaps.calls,
            "results_without_call": gaps.results,
            "without_answer": gaps.silent,
        }));
    }

    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn print_table(&self, failed: u64, unused: Unused) {
        let Unused { skipped, gaps } = unused;
        let wall_s = self.wall_seconds();
        let rate = self.steps_here as f64 / wall_s;
        let rows = [
            (
                "processes",
                format!(
                    "{} ({failed} failed, {} left out)",
                    self.processes.len(),
                    plural(skipped as u64, "line")
                ),
            ),
            ("steps", format!("{} ({rate:.0}/s)", count(self.steps))),
            ("model calls", count(self.model_calls)),
            ("tool calls", count(self.tool_calls)),
            (
                "tokens",
                format!("{} in, {} out (estimated)", count(self.input.0), count(self.output.0)),
            ),
            (
                "journal",
                format!(
                    "{}, {}",
                    plural(self.journal_entries, "entry"),
                    if self.journal.is_ok() { "verified" } else { "BROKEN" }
                ),
            ),
            ("wall time", format!("{wall_s:.2} s")),
            ("CPU time", format!("{:.2} s", cpu_seconds())),
            ("peak memory", format!("{:.0} MB", peak_rss_mb())),
        ];
        for (name, figure) in rows {
            term::line(&format!("{name:<12} {figure}"));
        }
        if let Some(gaps) = gaps.summary() {
            term::line(&format!("{:<12} {gaps}", "gaps"));
        }
    }
}

/// CPU time that this program has used, system calls included.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The most memory that this program ever had, in MB; nothing where the system does not tell.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn peak_rss_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    let kilobytes: u64 =
        line.split_whitespace().nth(1).and_then(|figure| figure.parse().ok()).unwrap_or(0);
    kilobytes as f64 / 1024.0
}

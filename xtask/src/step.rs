//! Steps: commands that are run one after another, timed, and summed up in a table.
//!
//! A failed step does not stop the ones after it: one run shows everything that is wrong.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// A command, where it runs and what it sees.
#[derive(Debug)]
pub(crate) struct Step {
    /// What the summary calls it.
    pub(crate) name: &'static str,
    /// The program and its arguments.
    pub(crate) words: Vec<OsString>,
    /// Variables added to its environment.
    pub(crate) variables: Vec<(&'static str, OsString)>,
}

/// What came of a step.
#[derive(Debug)]
pub(crate) struct Report {
    name: &'static str,
    outcome: Outcome,
    time: Duration,
    tests: Tests,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    Skipped,
    NotRun,
}

/// Tests counted from what a test binary prints.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tests {
    passed: u64,
    failed: u64,
}

impl Step {
    /// A step that runs cargo with `arguments`, given as words with spaces between.
    pub(crate) fn cargo(name: &'static str, arguments: &str) -> Self {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let words = std::iter::once(cargo).chain(arguments.split_whitespace().map(Into::into));
        Self { name, words: words.collect(), variables: Vec::new() }
    }

    /// A step that runs a program with its arguments.
    pub(crate) fn program(name: &'static str, words: impl IntoIterator<Item = OsString>) -> Self {
        Self { name, words: words.into_iter().collect(), variables: Vec::new() }
    }

    /// The same step with one more variable in its environment.
    pub(crate) fn with(mut self, variable: &'static str, value: impl Into<OsString>) -> Self {
        self.variables.push((variable, value.into()));
        self
    }

    /// Runs the command in `root`, shows its output and counts the tests in it.
    pub(crate) fn run(&self, root: &Path) -> Report {
        let program = self.words.first().map(|program| Path::new(program).with_extension(""));
        let program = program.as_deref().and_then(Path::file_name).unwrap_or_default();
        let arguments = self.words.iter().skip(1).map(OsString::as_os_str);
        let line: Vec<_> =
            std::iter::once(program).chain(arguments).map(OsStr::to_string_lossy).collect();
        watch(self.name, &line.join(" "), || self.execute(root))
    }

    fn execute(&self, root: &Path) -> Result<(bool, Tests)> {
        let mut child = command(&self.words)?
            .current_dir(root)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {:?}", self.words))?;
        let mut tests = Tests::default();
        if let Some(output) = child.stdout.take() {
            for line in BufReader::new(output).split(b'\n') {
                let line = line.context("read the output")?;
                let line = String::from_utf8_lossy(&line);
                println!("{line}");
                tests.count(&line);
            }
        }
        Ok((child.wait().context("wait for the command")?.success(), tests))
    }
}

/// Runs `work` as the step `name`: says that it begins, how it ended and how long it took.
pub(crate) fn watch(
    name: &'static str,
    what: &str,
    work: impl FnOnce() -> Result<(bool, Tests)>,
) -> Report {
    println!("\n==> {name}: {what}");
    let start = now();
    let (passed, tests) = work().unwrap_or_else(|error| {
        println!("error: {error:#}");
        (false, Tests::default())
    });
    let outcome = if passed { Outcome::Passed } else { Outcome::Failed };
    let report = Report { name, outcome, time: start.elapsed(), tests };
    println!("<== {}", report.line());
    report
}

/// Prints the table of all steps. True if none failed.
pub(crate) fn sum_up(reports: &[Report]) -> bool {
    println!("\n{:<12} {:<7} {:>9}", "step", "result", "time");
    for report in reports {
        println!("{}", report.line());
    }
    let failed: Vec<_> = reports.iter().filter(|r| !r.passed()).map(|r| r.name).collect();
    if !failed.is_empty() {
        println!("failed: {}", failed.join(", "));
    }
    failed.is_empty()
}

/// Runs the binary of one of our crates, optimised, with `arguments`.
pub(crate) fn pass_on(root: &Path, package: &str, arguments: &[String]) -> Result<bool> {
    let mut step = Step::cargo("run", &format!("run --release --package {package} --"));
    step.words.extend(arguments.iter().map(Into::into));
    let status = command(&step.words)?.current_dir(root).status().context("start cargo")?;
    Ok(status.success())
}

/// Whether a program can be started and says that it is well. Its output is not shown.
pub(crate) fn answers(words: &[OsString]) -> bool {
    command(words)
        .and_then(|mut command| Ok(command.stdout(Stdio::null()).stderr(Stdio::null()).status()?))
        .is_ok_and(|status| status.success())
}

/// What a program prints, if it succeeds.
pub(crate) fn output_of(root: &Path, words: &[OsString]) -> Result<Vec<u8>> {
    let output = command(words)?
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("start {words:?}"))?;
    anyhow::ensure!(output.status.success(), "{words:?} failed: {}", output.status);
    Ok(output.stdout)
}

#[expect(clippy::disallowed_methods, reason = "the one place where xtask starts programs")]
fn command(words: &[OsString]) -> Result<Command> {
    let (program, arguments) = words.split_first().context("a command has a program")?;
    let mut command = Command::new(program);
    command.args(arguments);
    Ok(command)
}

#[expect(clippy::disallowed_methods, reason = "steps are timed for the person who waits")]
fn now() -> Instant {
    Instant::now()
}

impl Report {
    /// A step that this machine lacks something for, which was said elsewhere.
    pub(crate) fn skipped(name: &'static str) -> Self {
        Self { name, outcome: Outcome::Skipped, time: Duration::ZERO, tests: Tests::default() }
    }

    /// A step that has no sense because one before it failed.
    pub(crate) fn not_run(name: &'static str) -> Self {
        Self { name, outcome: Outcome::NotRun, time: Duration::ZERO, tests: Tests::default() }
    }

    /// Whether nothing went wrong: it was run and went well, or could not be run here.
    pub(crate) fn passed(&self) -> bool {
        matches!(self.outcome, Outcome::Passed | Outcome::Skipped)
    }

    /// One line of the summary.
    fn line(&self) -> String {
        let result = match self.outcome {
            Outcome::Passed => "ok",
            Outcome::Failed => "FAILED",
            Outcome::Skipped => "skipped",
            Outcome::NotRun => "not run",
        };
        let line = format!("{:<12} {result:<7} {:>7.1} s", self.name, self.time.as_secs_f64());
        match self.tests {
            Tests { passed: 0, failed: 0 } => line,
            Tests { passed, failed } => format!("{line}   {passed} passed, {failed} failed"),
        }
    }
}

impl Tests {
    /// Adds what a line of the form `test result: ok. 5 passed; 0 failed; ...` tells.
    fn count(&mut self, line: &str) {
        let Some((_, counts)) =
            line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for part in counts.split(';') {
            match part.trim().split_once(' ') {
                Some((number, "passed")) => self.passed += number.parse().unwrap_or(0),
                Some((number, "failed")) => self.failed += number.parse().unwrap_or(0),
                Some(_) | None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;

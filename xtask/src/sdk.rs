//! The packages that people reach models with, such as `openai`, run against the gateway: `tests/sdk`.
//!
//! They are installed into the target folder at the first time. What they are, and what is tested, says
//! `tests/sdk/suite.py`; this only finds it a Python.

use std::ffi::OsString;
use std::path::Path;

use anyhow::Result;

use crate::skip::{self, SkipLog};
use crate::step::{self, Report, Step};

/// What the summary calls it.
const NAME: &str = "sdks";

/// Whether a Python is new enough for the packages, and can make environments for them.
const GOOD: &str = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))";

/// Runs the suite alone: all of its tests, or those named. False means that something failed.
pub(crate) fn alone(root: &Path, tests: &[String]) -> Result<bool> {
    let log = SkipLog::create(root)?;
    let mut reports = vec![Step::cargo("build", "build --package aosk").run(root)];
    if reports.iter().all(Report::passed) {
        reports.push(run(root, &log, tests)?);
    }
    let passed = step::sum_up(&reports);
    log.sum_up()?;
    Ok(passed)
}

/// Runs the suite against the binary that `cargo build` made last.
pub(crate) fn run(root: &Path, log: &SkipLog, tests: &[String]) -> Result<Report> {
    let Some(python) = python() else {
        log.note("SKIP SDKs: there is no python3 from 3.11 on with venv")?;
        return Ok(Report::skipped(NAME));
    };
    let target = skip::target_folder(root);
    let suite = root.join("tests").join("sdk").join("suite.py");
    let cache = target.join("sdk");
    let binary = target.join("debug").join("aosk");
    let words =
        [python, suite.into(), "--aosk".into(), binary.into(), "--cache".into(), cache.into()];
    let words = words.into_iter().chain(tests.iter().map(OsString::from));
    Ok(Step::program(NAME, words).with(skip::VARIABLE, log.path()).run(root))
}

/// A Python that will do.
fn python() -> Option<OsString> {
    let names = ["python3", "python3.13", "python3.12", "python3.11"].map(OsString::from);
    names.into_iter().find(|name| step::answers(&[name.clone(), "-c".into(), GOOD.into()]))
}

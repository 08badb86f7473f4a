//! `cargo xtask ci`: everything that must pass before a change is merged, cheapest first.

use std::path::Path;

use anyhow::Result;

use crate::step::{self, Step, Tests};
use crate::{suite, tidy};

/// Runs all checks, also after one has failed. False means that some did.
pub(crate) fn run(root: &Path) -> Result<bool> {
    let clippy = "clippy --workspace --all-targets -- -D warnings";
    let docs = Step::cargo("docs", "doc --workspace --no-deps").with("RUSTDOCFLAGS", "-D warnings");
    let reports = [
        Step::cargo("format", "fmt --all --check").run(root),
        step::watch("tidy", "cargo xtask tidy", || Ok((tidy::run(root)?, Tests::default()))),
        Step::cargo("clippy", clippy).run(root),
        docs.run(root),
        step::watch("test", "cargo xtask test", || {
            Ok((suite::run(root, /*fast*/ false)?, Tests::default()))
        }),
    ];
    Ok(step::sum_up(&reports))
}

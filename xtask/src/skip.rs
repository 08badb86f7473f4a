//! Tests that had to be skipped because the machine lacks something.
//!
//! A test that cannot run appends a line `SKIP <feature>: <reason>` to the file named by the
//! variable `AOSK_SKIP_LOG` and returns. A file, because the harness swallows what a passing test
//! prints. A skip nobody counts is a test nobody runs, so the lines are counted and shown.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The variable that names the file.
pub(crate) const VARIABLE: &str = "AOSK_SKIP_LOG";

/// The file, new and empty.
#[derive(Debug)]
pub(crate) struct SkipLog {
    path: PathBuf,
}

impl SkipLog {
    /// Makes the file in the target folder of the workspace.
    pub(crate) fn create(root: &Path) -> Result<Self> {
        let folder = target_folder(root);
        std::fs::create_dir_all(&folder).context("make the target folder")?;
        let path = folder.join(format!("skips-{}.log", std::process::id()));
        std::fs::write(&path, "").with_context(|| format!("write {}", path.display()))?;
        Ok(Self { path })
    }

    /// Adds a line.
    pub(crate) fn note(&self, line: &str) -> Result<()> {
        let mut log = std::fs::OpenOptions::new().append(true).open(&self.path)?;
        writeln!(log, "{line}").context("write the log of skipped tests")
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Prints what was skipped and removes the file.
    pub(crate) fn sum_up(self) -> Result<()> {
        let text = std::fs::read_to_string(&self.path).context("read the log of skipped tests")?;
        std::fs::remove_file(&self.path).context("remove the log of skipped tests")?;
        let skips = count(&text);
        println!("skipped: {}", skips.values().sum::<usize>());
        for (what, times) in skips {
            println!("  {times:>3} x {what}");
        }
        Ok(())
    }
}

/// The target folder of the workspace.
pub(crate) fn target_folder(root: &Path) -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    root.join(target)
}

/// How often each `<feature>: <reason>` stands in the log. A line of another form counts as it is.
fn count(text: &str) -> BTreeMap<&str, usize> {
    let mut skips = BTreeMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        *skips.entry(line.strip_prefix("SKIP ").unwrap_or(line)).or_default() += 1;
    }
    skips
}

#[cfg(test)]
mod tests;

//! No file names a place that exists on one machine only.

use std::path::Path;

use super::Finding;

const RULE: &str = "paths";

/// Folders under which homes lie.
const HOMES: [&str; 2] = ["/home/", "/Users/"];

/// Names that stand for the reader in examples.
const ANYONE: [&str; 4] = ["me", "you", "user", "alice"];

/// Paths that hold here and nowhere else: the checkout and where it is built.
pub(super) fn of_this_machine(root: &Path) -> Vec<String> {
    let target = std::env::var("CARGO_TARGET_DIR").ok();
    let paths = [Some(root.display().to_string()), target].into_iter().flatten();
    // A path of one part, such as `/src`, is too likely to stand for something else.
    paths.filter(|path| path.starts_with('/') && path.matches('/').count() > 1).collect()
}

pub(super) fn check(path: &str, text: &str, local: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let local = local.iter().filter(|local| line.contains(local.as_str())).cloned();
        for place in local.chain(homes(line)) {
            let what = format!("`{place}` exists on one machine only");
            findings.push(Finding::new(RULE, path, index + 1, what));
        }
    }
    findings
}

/// Homes of somebody in particular.
fn homes(line: &str) -> Vec<String> {
    let is_name = |c: char| c.is_alphanumeric() || "._-".contains(c);
    let mut found = Vec::new();
    for folder in HOMES {
        for (at, _) in line.match_indices(folder) {
            let (before, after) = line.split_at(at);
            let after = after.strip_prefix(folder).unwrap_or(after);
            let name = after.split(|c| !is_name(c)).next().unwrap_or(after);
            let relative = before.ends_with(is_name);
            if !relative && !name.is_empty() && !ANYONE.contains(&name) {
                found.push(format!("{folder}{name}"));
            }
        }
    }
    found
}

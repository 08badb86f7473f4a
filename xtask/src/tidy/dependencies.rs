//! Every direct dependency has a line that says what it is for, who keeps it and how to leave it.

use std::collections::BTreeSet;

use super::Finding;
use crate::metadata::Metadata;

const RULE: &str = "dependencies";

/// Where the lines stand: a table whose first column is the package's name in backticks.
pub(super) const PATH: &str = "docs/adr/0002-dependencies.md";

/// Columns of the table.
const COLUMNS: usize = 4;

pub(super) fn check(metadata: &Metadata, page: &str) -> Vec<Finding> {
    let direct: BTreeSet<&str> = metadata
        .ours
        .values()
        .flat_map(|package| package.normal.iter().chain(&package.other))
        .filter(|name| !metadata.ours.contains_key(*name))
        .map(String::as_str)
        .collect();
    let mut findings = Vec::new();
    let mut listed = BTreeSet::new();
    for (index, line) in page.lines().enumerate() {
        let Some(name) = line.strip_prefix("| `").and_then(|rest| rest.split('`').next()) else {
            continue;
        };
        let cells = line.trim_matches('|').split('|').filter(|cell| !cell.trim().is_empty());
        let mut found = |what| findings.push(Finding::new(RULE, PATH, index + 1, what));
        if cells.count() != COLUMNS {
            found(format!("the line of `{name}` does not fill its {COLUMNS} columns"));
        }
        if !direct.contains(name) {
            found(format!("`{name}` is not a direct dependency"));
        }
        if !listed.insert(name) {
            found(format!("`{name}` stands twice"));
        }
    }
    let missing = direct.difference(&listed);
    findings.extend(
        missing.map(|name| Finding::new(RULE, PATH, 1, format!("`{name}` has no line here"))),
    );
    findings
}

//! Which of our crates may see which others. The picture is in ARCHITECTURE.md.

use std::collections::BTreeSet;

use super::Finding;
use crate::metadata::Metadata;

const RULE: &str = "arrows";

/// What each crate may depend on. The contract is for everyone and is not named.
const ARROWS: [(&str, &[&str]); 16] = [
    ("aosk-abi", &[]),
    ("aosk-kernel", &[]),
    ("aosk-store", &[]),
    ("aosk-model", &[]),
    ("aosk-sandbox", &[]),
    ("aosk-search", &[]),
    ("aosk-tools", &["aosk-sandbox"]),
    ("aosk-runtime", &["aosk-kernel", "aosk-store", "aosk-model", "aosk-search", "aosk-tools"]),
    ("aosk-insight", &["aosk-store", "aosk-runtime"]),
    ("aosk-server", &["aosk-runtime", "aosk-insight"]),
    ("aosk-gateway", &["aosk-server", "aosk-runtime"]),
    ("aosk-otel", &["aosk-runtime"]),
    ("aosk", &["aosk-gateway", "aosk-otel", "aosk-server", "aosk-runtime"]),
    ("aosk-sim", &["aosk-kernel", "aosk-store"]),
    ("aosk-bench", &[ANYTHING]),
    ("xtask", &[]),
];

/// In the place of a name: every crate.
const ANYTHING: &str = "*";

/// Crates that see none of ours, not even the contract.
const ALONE: [&str; 2] = ["aosk-abi", "xtask"];

/// Crates without I/O, and what would bring I/O in.
const CORE: [&str; 3] = ["aosk-abi", "aosk-kernel", "aosk-search"];
const SHELL_ONLY: [&str; 3] = ["tokio", "reqwest", "rusqlite"];

pub(super) fn check(metadata: &Metadata) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, package) in &metadata.ours {
        let found = |what: String| Finding::new(RULE, &manifest(name), 1, what);
        let Some((_, allowed)) = ARROWS.iter().find(|(from, _)| from == name) else {
            findings.push(found(format!("{name} has no line in the table of arrows")));
            continue;
        };
        let arrows = package.normal.iter().filter(|to| metadata.ours.contains_key(*to));
        for to in arrows.filter(|to| !may(name, allowed, to)) {
            findings.push(found(format!("{name} may not depend on {to}")));
        }
        if CORE.contains(&name.as_str()) {
            let reached = metadata.reached(package);
            for library in SHELL_ONLY.iter().filter(|library| reached.contains(**library)) {
                findings.push(found(format!("{name} may not reach {library}")));
            }
        }
        if let Some(circle) = circle(metadata, name) {
            findings.push(found(format!("a circle: {}", circle.join(" -> "))));
        }
    }
    findings
}

fn may(from: &str, allowed: &[&str], to: &str) -> bool {
    let contract = to == "aosk-abi" && !ALONE.contains(&from);
    contract || allowed.contains(&to) || allowed.contains(&ANYTHING)
}

/// A way from `start` back to itself, through dependencies of any kind.
fn circle(metadata: &Metadata, start: &str) -> Option<Vec<String>> {
    let mut seen = BTreeSet::new();
    let mut open = vec![vec![start.to_owned()]];
    while let Some(way) = open.pop() {
        let package = way.last().and_then(|name| metadata.ours.get(name));
        let next =
            package.into_iter().flat_map(|package| package.normal.iter().chain(&package.other));
        for name in next.filter(|name| metadata.ours.contains_key(*name)) {
            let longer: Vec<_> = way.iter().chain([name]).cloned().collect();
            if name == start {
                return Some(longer);
            }
            if seen.insert(name.clone()) {
                open.push(longer);
            }
        }
    }
    None
}

fn manifest(name: &str) -> String {
    if name == "xtask" { "xtask/Cargo.toml".into() } else { format!("crates/{name}/Cargo.toml") }
}

//! Every dependency may be used and passed on under a licence that deny.toml allows.

use anyhow::{Context, Result};

use super::{Finding, spdx};
use crate::metadata::Metadata;

const RULE: &str = "licences";

/// Where the allowed licences stand, in the form that cargo-deny reads.
pub(super) const PATH: &str = "deny.toml";

pub(super) fn check(metadata: &Metadata, deny: &str) -> Result<Vec<Finding>> {
    let (line, allowed) = allowed(deny).context("deny.toml has no list `allow` in [licenses]")?;
    let mut findings = Vec::new();
    for ((name, version), package) in &metadata.theirs {
        let licence = package.licence.as_deref();
        let judged = licence.ok_or_else(|| "it states none".to_owned()).and_then(|licence| {
            let good = spdx::satisfied(licence, &|name| allowed.contains(&name))?;
            if good { Ok(()) } else { Err(format!("`{licence}` is not in the list")) }
        });
        if let Err(what) = judged {
            let what = format!("licence of {name} {version}: {what}");
            findings.push(Finding::new(RULE, PATH, line, what));
        }
    }
    Ok(findings)
}

/// The line and the content of `allow = [ .. ]` in `[licenses]`. Reads the plain form only: strings
/// without escapes, a comment from `#` to the end of the line.
fn allowed(deny: &str) -> Option<(usize, Vec<&str>)> {
    let mut lines = deny.lines().enumerate().skip_while(|(_, line)| line.trim() != "[licenses]");
    lines.next()?;
    let mut section = lines.take_while(|(_, line)| !line.starts_with('['));
    let (index, first) = section.find(|(_, line)| line.trim_start().starts_with("allow ="))?;
    let mut names = Vec::new();
    for line in std::iter::once(first).chain(section.map(|(_, line)| line)) {
        let plain = line.split('#').next().unwrap_or(line);
        names.extend(plain.split('"').skip(1).step_by(2));
        if plain.contains(']') {
            return Some((index + 1, names));
        }
    }
    None
}

//! Every error code is explained, and nothing is explained that is no error code.

use std::collections::BTreeMap;

use super::Finding;

const RULE: &str = "error-pages";

/// Where the codes are: lines of the form `Name = "area.what",`.
pub(super) const CODES: &str = "crates/aosk-abi/src/error.rs";

/// Where they are explained: a heading `### area.what` each, with text under it.
pub(super) const PAGES: &str = "docs/errors/README.md";

pub(super) fn check(codes: &str, pages: &str) -> Vec<Finding> {
    let codes = numbered(codes).filter_map(|(line, text)| Some((code(text)?, line)));
    let codes: BTreeMap<&str, usize> = codes.collect();
    let mut findings = Vec::new();
    let mut explained: BTreeMap<&str, usize> = BTreeMap::new();
    let mut under = None;
    for (line, text) in numbered(pages) {
        if let Some(heading) = text.strip_prefix("### ") {
            let heading = heading.trim().trim_matches('`');
            if explained.insert(heading, 0).is_some() {
                findings.push(Finding::new(RULE, PAGES, line, format!("`{heading}` stands twice")));
            }
            if !codes.contains_key(heading) {
                findings.push(Finding::new(
                    RULE,
                    PAGES,
                    line,
                    format!("there is no code `{heading}`"),
                ));
            }
            under = Some(heading);
        } else if text.starts_with('#') {
            under = None;
        } else if let Some(words) = under.and_then(|heading| explained.get_mut(heading)) {
            *words += text.split_whitespace().count();
        }
    }
    for (code, line) in codes {
        if explained.get(code).is_none_or(|words| *words == 0) {
            findings.push(Finding::new(
                RULE,
                CODES,
                line,
                format!("`{code}` is not explained in {PAGES}"),
            ));
        }
    }
    findings
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

/// The code that a line of the list declares.
fn code(line: &str) -> Option<&str> {
    let (name, value) = line.trim().split_once(" = ")?;
    let code = value.strip_prefix('"')?.strip_suffix("\",")?;
    let is_code = name.chars().all(char::is_alphanumeric) && code.contains('.');
    is_code.then_some(code)
}

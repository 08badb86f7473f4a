//! `cargo xtask tidy`: the rules that the compiler and its lints do not know.
//!
//! One file per rule. A rule reads and reports, it never changes anything. A finding fails the
//! check, a warning does not; there is no way to silence one from the place it points to.

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result};

use crate::metadata::Metadata;
use crate::step;
use source::Source;

mod arrows;
mod dependencies;
mod error_pages;
mod header;
mod length;
mod lexer;
mod licences;
mod names;
mod paths;
mod purity;
mod readme;
mod refused;
mod source;
mod spdx;

/// Something a rule found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    /// The file, from the root of the repository.
    path: String,
    /// The line, from 1.
    line: usize,
    /// The rule.
    rule: &'static str,
    /// What is wrong.
    what: String,
    /// It does not fail the check.
    warning: bool,
}

/// A rule about one Rust file.
type SourceRule = fn(&Source) -> Vec<Finding>;

const SOURCE_RULES: [SourceRule; 5] =
    [header::check, length::check, names::check, purity::check, refused::check];

/// A file that git has or would add.
struct File {
    path: String,
    text: String,
}

/// Checks the whole tree and prints what it finds. False if something must be mended.
pub(crate) fn run(root: &Path) -> Result<bool> {
    let files = files(root)?;
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".rs")) {
        let source = Source::new(&file.path, &file.text);
        findings.extend(SOURCE_RULES.iter().flat_map(|rule| rule(&source)));
    }
    for file in &files {
        findings.extend(paths::check(&file.path, &file.text, &paths::of_this_machine(root)));
    }
    let metadata = Metadata::load(root)?;
    findings.extend(arrows::check(&metadata));
    findings.extend(licences::check(&metadata, text(&files, licences::PATH)?)?);
    findings.extend(dependencies::check(&metadata, text(&files, dependencies::PATH)?));
    let codes = text(&files, error_pages::CODES)?;
    findings.extend(error_pages::check(codes, text(&files, error_pages::PAGES)?));
    if let (Ok(english), Ok(chinese)) =
        (text(&files, readme::ENGLISH), text(&files, readme::CHINESE))
    {
        findings.extend(readme::check(english, chinese));
    }
    findings.sort();
    for finding in &findings {
        println!("{finding}");
    }
    let warnings = findings.iter().filter(|finding| finding.warning).count();
    let failures = findings.len() - warnings;
    println!("tidy: {} files, {failures} findings, {warnings} warnings", files.len());
    Ok(failures == 0)
}

impl Finding {
    fn new(rule: &'static str, path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, rule, what: what.into(), warning: false }
    }

    /// The same, as a warning.
    fn warning(self) -> Self {
        Self { warning: true, ..self }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, rule, what, warning } = self;
        let mark = if *warning { " (warning)" } else { "" };
        write!(f, "{path}:{line}: {rule}{mark}: {what}")
    }
}

/// The text files that git has or would add.
fn files(root: &Path) -> Result<Vec<File>> {
    let words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let list = step::output_of(root, &words.map(Into::into)).context("ask git for the files")?;
    let mut files = Vec::new();
    for path in String::from_utf8_lossy(&list).split_terminator('\0') {
        // A file may be deleted and not yet committed, and pictures are not text.
        if let Ok(text) = std::fs::read_to_string(root.join(path)) {
            files.push(File { path: path.to_owned(), text });
        }
    }
    Ok(files)
}

/// The text of the file at `path`.
fn text<'a>(files: &'a [File], path: &str) -> Result<&'a str> {
    let file = files.iter().find(|file| file.path == path);
    file.map(|file| file.text.as_str()).with_context(|| format!("{path} is missing"))
}

#[cfg(test)]
mod tests;

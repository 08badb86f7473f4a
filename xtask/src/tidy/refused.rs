//! Things that switch a check off, put work off, or make tests slow and racy.

use super::Finding;
use super::lexer::{self, Token};
use super::source::Source;

const RULE: &str = "refused";

/// Refused everywhere, and why.
const EVERYWHERE: [(&str, &str); 6] = [
    ("#[ignore", "a test runs, or skips with a counted SKIP"),
    ("#[should_panic", "assert on the error instead"),
    ("todo!(", "finish it or leave it out"),
    ("unimplemented!(", "finish it or leave it out"),
    ("#[allow(", "`#[expect(lint, reason = \"...\")]` says why and notices when it is not needed"),
    (
        "#![allow(",
        "`#![expect(lint, reason = \"...\")]` says why and notices when it is not needed",
    ),
];

/// Refused in tests, and why.
const IN_TESTS: [(&str, &str); 2] = [
    ("thread::sleep", "wait for an event, not for time"),
    ("time::sleep", "wait for an event or advance the paused clock"),
];

/// Refused in comments, and why.
const IN_COMMENTS: [(&str, &str); 2] =
    [("FIXME", "mend it or file an issue"), ("XXX", "mend it or file an issue")];

/// What may stand in spite of this: path, pattern, reason. Keep it short.
const EXCEPTIONS: [(&str, &str, &str); 1] = [(
    "crates/aosk/tests/it/machine.rs",
    "thread::sleep",
    "the one poll on another process, between two looks at a condition, with a bound",
)];

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let all = source.tokens();
    let tests = source.tokens_of(/*tests*/ true);
    let mut findings = Vec::new();
    for (tokens, patterns) in [(&all, EVERYWHERE.as_slice()), (&tests, IN_TESTS.as_slice())] {
        for (pattern, reason) in patterns {
            findings.extend(find(source, tokens, pattern, reason));
        }
    }
    for (line, comment) in source.comments() {
        let words: Vec<_> = comment.split(|c: char| !c.is_alphanumeric()).collect();
        let bad = IN_COMMENTS.iter().filter(|(pattern, _)| words.contains(pattern));
        findings.extend(bad.map(|(pattern, reason)| finding(source, line, pattern, reason)));
    }
    findings
}

fn find(source: &Source, tokens: &[Token<'_>], pattern: &str, reason: &str) -> Vec<Finding> {
    if EXCEPTIONS.iter().any(|(path, what, _)| *path == source.path && *what == pattern) {
        return Vec::new();
    }
    let places = lexer::find(tokens, pattern).into_iter().filter_map(|at| tokens.get(at));
    places.map(|token| finding(source, token.line, pattern, reason)).collect()
}

fn finding(source: &Source, line: usize, pattern: &str, reason: &str) -> Finding {
    Finding::new(RULE, &source.path, line, format!("`{pattern}`: {reason}"))
}

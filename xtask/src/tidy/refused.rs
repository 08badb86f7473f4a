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

/// What prints. A test that says with one of them that it was skipped says it to nobody.
const PRINTING: [&str; 4] = ["print!", "println!", "eprint!", "eprintln!"];

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
    for printing in PRINTING {
        findings.extend(printed_skips(source, &tests, printing));
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

/// Where the text that `printing` prints begins with SKIP. The tokens do not have it, so the line is
/// looked at, or the next where the text begins there.
fn printed_skips(source: &Source, tokens: &[Token<'_>], printing: &str) -> Vec<Finding> {
    let places = lexer::find(tokens, printing).into_iter().filter_map(|at| tokens.get(at));
    let is_skip = |token: &&Token<'_>| {
        let mut lines = source.text.lines().skip(token.line.saturating_sub(1));
        let rest = lines.next().and_then(|line| line.split_once(printing)).map(|(_, rest)| rest);
        let text = rest.filter(|rest| rest.contains('"')).or_else(|| lines.next());
        text.is_some_and(|text| text.contains("\"SKIP"))
    };
    let reason = "append it to the file that AOSK_SKIP_LOG names, where it is counted";
    let what = format!("{printing}(\"SKIP");
    places.filter(is_skip).map(|token| finding(source, token.line, &what, reason)).collect()
}

fn finding(source: &Source, line: usize, pattern: &str, reason: &str) -> Finding {
    Finding::new(RULE, &source.path, line, format!("`{pattern}`: {reason}"))
}

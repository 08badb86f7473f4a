//! The core decides from its state and its input alone, and the same way on every machine.
//!
//! The lints in the core's clippy.toml find uses by type; this finds what they cannot name.

use super::Finding;
use super::lexer::{self, Token};
use super::source::Source;

const RULE: &str = "purity";

/// Where the rule holds.
const CORE: [&str; 2] = ["crates/aosk-abi/src/", "crates/aosk-kernel/src/"];

/// What is banned there, and why.
const BANNED: [(&str, &str); 18] = [
    ("HashMap", "its order differs from run to run"),
    ("HashSet", "its order differs from run to run"),
    ("f32", "floats differ between machines; use integers of a smaller unit"),
    ("f64", "floats differ between machines; use integers of a smaller unit"),
    ("Instant", "time comes with the input"),
    ("SystemTime", "time comes with the input"),
    ("std::{", "one path per `use`, so that this rule can read it"),
    ("std::thread", "the core is one thread"),
    ("std::fs", "the core does no I/O"),
    ("std::io", "the core does no I/O"),
    ("std::net", "the core does no I/O"),
    ("std::env", "configuration comes in from outside"),
    ("std::process", "the core does no I/O"),
    ("print!", "the core does no I/O"),
    ("println!", "the core does no I/O"),
    ("eprintln!", "the core does no I/O"),
    ("async", "nothing in the core waits"),
    ("await", "nothing in the core waits"),
];

pub(super) fn check(source: &Source) -> Vec<Finding> {
    if !CORE.iter().any(|core| source.path.starts_with(core)) {
        return Vec::new();
    }
    let tokens = source.tokens_of(/*tests*/ false);
    let found = |at: usize, what: String| {
        let line = tokens.get(at).map_or(1, |token| token.line);
        Finding::new(RULE, &source.path, line, what)
    };
    let mut findings = Vec::new();
    for (pattern, reason) in BANNED {
        let places = lexer::find(&tokens, pattern);
        findings.extend(places.into_iter().map(|at| found(at, format!("`{pattern}`: {reason}"))));
    }
    // A span of time is only a number; all else in the module is a clock.
    let spans = lexer::find(&tokens, "std::time::Duration");
    let clocks = lexer::find(&tokens, "std::time").into_iter().filter(|at| !spans.contains(at));
    findings.extend(clocks.map(|at| found(at, "`std::time`: time comes with the input".into())));
    findings.extend(float_literals(&tokens).map(|at| found(at, "a float literal".into())));
    findings
}

/// Numbers with a point. `x.0.1` is no number and `0..1` has two points.
fn float_literals(tokens: &[Token<'_>]) -> impl Iterator<Item = usize> {
    let number = |token: &Token<'_>| token.text.starts_with(|c: char| c.is_ascii_digit());
    tokens.windows(3).enumerate().filter_map(move |(at, window)| match window {
        [whole, point, part] if number(whole) && point.text == "." && number(part) => {
            let field = at.checked_sub(1).and_then(|before| tokens.get(before));
            field.is_none_or(|before| before.text != ".").then_some(at)
        }
        _ => None,
    })
}

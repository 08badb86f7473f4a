//! Files and functions stay short enough to be read in one go. Tests may be long.

use super::Finding;
use super::lexer::{self, Token};
use super::source::Source;

const RULE: &str = "length";

/// Lines of a file that ask for a split, and lines that demand it.
const FILE_LINES: (usize, usize) = (500, 800);

/// Lines of a function, from `fn` to its closing brace, likewise.
const FUNCTION_LINES: (usize, usize) = (70, 120);

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let lines = source.lines_outside_tests();
    let file = compare(lines, FILE_LINES, "the file", &source.path, 1);
    let tokens = source.tokens_of(/*tests*/ false);
    let functions = lexer::find(&tokens, "fn").into_iter().filter_map(|at| {
        let (name, lines) = function(&tokens, at)?;
        let first = tokens.get(at)?.line;
        compare(lines, FUNCTION_LINES, &format!("function `{name}`"), &source.path, first)
    });
    file.into_iter().chain(functions).collect()
}

fn compare(
    lines: usize,
    (asks, demands): (usize, usize),
    what: &str,
    path: &str,
    line: usize,
) -> Option<Finding> {
    let finding = |bound| {
        Finding::new(RULE, path, line, format!("{what} has {lines} lines, more than {bound}"))
    };
    if lines > demands {
        Some(finding(demands))
    } else {
        (lines > asks).then(|| finding(asks).warning())
    }
}

/// Name and length in lines of the function whose `fn` is at `at`, if it has a name and a body.
fn function<'a>(tokens: &[Token<'a>], at: usize) -> Option<(&'a str, usize)> {
    let name = tokens.get(at + 1)?;
    if name.text == "(" {
        return None;
    }
    let mut open = at + 2;
    loop {
        match tokens.get(open)?.text {
            "{" => break,
            ";" => return None,
            "(" | "[" => open = lexer::close(tokens, open)? + 1,
            _ => open += 1,
        }
    }
    let last = tokens.get(lexer::close(tokens, open)?)?.line;
    Some((name.text, last - tokens.get(at)?.line + 1))
}

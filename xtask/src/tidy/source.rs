//! One Rust file as the rules see it.

use super::lexer::{self, Token};

/// A Rust file.
#[derive(Debug)]
pub(super) struct Source {
    /// Its path from the root of the repository, with `/` between the parts.
    pub(super) path: String,
    /// Its text.
    pub(super) text: String,
    code: String,
    comments: String,
}

impl Source {
    /// Reads the text of the file at `path`.
    pub(super) fn new(path: &str, text: &str) -> Self {
        let (code, comments) = lexer::split(text);
        Self { path: path.to_owned(), text: text.to_owned(), code, comments }
    }

    /// All tokens.
    pub(super) fn tokens(&self) -> Vec<Token<'_>> {
        lexer::tokens(&self.code)
    }

    /// The tokens that belong to tests, or those that do not.
    pub(super) fn tokens_of(&self, tests: bool) -> Vec<Token<'_>> {
        let regions = self.test_regions();
        let inside = |line| regions.iter().any(|(from, to)| (*from..=*to).contains(&line));
        self.tokens().into_iter().filter(|token| inside(token.line) == tests).collect()
    }

    /// The comments as lines with their numbers from 1.
    pub(super) fn comments(&self) -> impl Iterator<Item = (usize, &str)> {
        self.comments.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// How many lines do not belong to tests.
    pub(super) fn lines_outside_tests(&self) -> usize {
        let tests = self.test_regions().iter().map(|(from, to)| to - from + 1).sum();
        self.text.lines().count().saturating_sub(tests)
    }

    /// First and last line of everything that belongs to tests: the whole file when its name or its
    /// folder says so, otherwise each `#[cfg(test)] mod name { .. }`.
    fn test_regions(&self) -> Vec<(usize, usize)> {
        let mut parts = self.path.split('/');
        if parts.any(|part| part == "tests" || part == "tests.rs") {
            return vec![(1, self.text.lines().count().max(1))];
        }
        let tokens = self.tokens();
        let starts = lexer::find(&tokens, "#[cfg(test)]");
        starts.into_iter().filter_map(|start| test_module(&tokens, start)).collect()
    }
}

/// First and last line of the module whose attributes begin at the token `start`.
fn test_module(tokens: &[Token<'_>], start: usize) -> Option<(usize, usize)> {
    let first = tokens.get(start)?.line;
    let mut at = start;
    while tokens.get(at)?.text == "#" {
        at = lexer::close(tokens, at + 1)? + 1;
    }
    let is_module = tokens.get(at)?.text == "mod" && tokens.get(at + 2)?.text == "{";
    let end = is_module.then(|| lexer::close(tokens, at + 2))??;
    Some((first, tokens.get(end)?.line))
}

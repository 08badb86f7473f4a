//! Rust source as tokens with line numbers, and its comments: just enough to look for things
//! without being misled by strings and comments. Not a parser.

/// A word (identifier, keyword or number) or one other character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    /// Its text. The content of string and character literals is not there, only their quotes.
    pub(super) text: &'a str,
    /// Its line, from 1.
    pub(super) line: usize,
}

/// Splits source into its code and its comments. Both keep every line break of the source, so that
/// line numbers are the same; everything that belongs to the other is spaces.
pub(super) fn split(source: &str) -> (String, String) {
    let mut lexer = Lexer { rest: source, ..Lexer::default() };
    while let Some(next) = lexer.rest.chars().next() {
        lexer.step(next);
    }
    (lexer.code, lexer.comments)
}

/// The tokens of code that [`split`] made.
pub(super) fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for (index, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let end = if is_word(first) {
                rest.find(|c| !is_word(c)).unwrap_or(rest.len())
            } else {
                first.len_utf8()
            };
            let (text, tail) = rest.split_at(end);
            tokens.push(Token { text, line: index + 1 });
            rest = tail.trim_start();
        }
    }
    tokens
}

/// Where `pattern`, itself source text, stands in `tokens`: the index of each first token.
pub(super) fn find(tokens: &[Token<'_>], pattern: &str) -> Vec<usize> {
    let wanted = self::tokens(pattern);
    let same = |window: &[Token<'_>]| window.iter().zip(&wanted).all(|(a, b)| a.text == b.text);
    let windows = tokens.windows(wanted.len()).enumerate();
    windows.filter(|(_, window)| same(window)).map(|(index, _)| index).collect()
}

/// The index of the token that closes what the token at `open` opens.
pub(super) fn close(tokens: &[Token<'_>], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return Some(index);
        }
    }
    None
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[derive(Clone, Copy)]
enum Kind {
    Code,
    Comment,
    Literal,
}

#[derive(Default)]
struct Lexer<'a> {
    rest: &'a str,
    code: String,
    comments: String,
}

impl<'a> Lexer<'a> {
    /// Takes one character of code, or one whole comment or literal.
    fn step(&mut self, next: char) {
        if self.rest.starts_with("//") {
            self.take(self.rest.find('\n').unwrap_or(self.rest.len()), Kind::Comment);
        } else if self.rest.starts_with("/*") {
            self.take(block_comment(self.rest), Kind::Comment);
        } else if let Some((prefix, end)) = self.raw_string() {
            self.take(prefix, Kind::Code);
            self.take(end - prefix, Kind::Literal);
        } else if next == '"' {
            self.take(1, Kind::Code);
            self.take(quoted(self.rest, '"'), Kind::Literal);
            self.take(self.rest.len().min(1), Kind::Code);
        } else if let Some(length) = character(self.rest) {
            self.take(length, Kind::Literal);
        } else {
            self.take(next.len_utf8(), Kind::Code);
        }
    }

    /// Moves `length` bytes to the text they belong to.
    fn take(&mut self, length: usize, kind: Kind) {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.rest = rest;
        for c in taken.chars() {
            let blank = if c == '\n' { '\n' } else { ' ' };
            self.code.push(if matches!(kind, Kind::Code) { c } else { blank });
            self.comments.push(if matches!(kind, Kind::Comment) { c } else { blank });
        }
    }

    /// The length of the opening (`r`, hashes, quote) and of the whole of a raw string, if one is
    /// next.
    fn raw_string(&self) -> Option<(usize, usize)> {
        let inside_word = self.code.ends_with(|c| is_word(c) && c != 'b' && c != 'c');
        let after = self.rest.strip_prefix('r').filter(|_| !inside_word)?;
        let hashes = after.len() - after.trim_start_matches('#').len();
        let body = after.get(hashes..)?.strip_prefix('"')?;
        let closing = format!("\"{}", "#".repeat(hashes));
        let prefix = 1 + hashes + 1;
        let length = body.find(&closing).map_or(body.len(), |at| at + closing.len());
        Some((prefix, prefix + length))
    }
}

/// The length of the block comment at the start of `text`; they nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(rest) = text.get(at..) {
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth = depth.saturating_sub(1);
            at += 2;
        } else if let Some(next) = rest.chars().next() {
            at += next.len_utf8();
        } else {
            break;
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of what stands before the closing `quote`, with backslash escapes.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if !escaped && c == quote {
            return at;
        }
        escaped = !escaped && c == '\\';
    }
    text.len()
}

/// The length of the character literal at the start of `text`, if it is one and not a lifetime.
fn character(text: &str) -> Option<usize> {
    let body = text.strip_prefix('\'')?;
    let first = body.chars().next()?;
    let length = if first == '\\' { quoted(body, '\'') } else { first.len_utf8() };
    body.get(length..)?.starts_with('\'').then_some(length + 2)
}

//! Where pieces of a text begin and end: words with what joins them, and runs of scripts that are
//! written without blanks.

/// A piece of a text, in the text's own letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Letters and digits, perhaps with joiners inside: `word`, `don't`, `a.b@c.d`, `src/lib.rs`.
    Joined(&'a str),
    /// A run of Chinese or Japanese characters, or Korean syllables.
    Cjk(&'a str),
}

/// Whether a character belongs to a script whose words are not set apart by blanks, or, as in
/// Korean, carry endings that hide them.
pub(super) fn is_cjk(c: char) -> bool {
    matches!(c,
        '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{323af}' | '\u{3005}' | '\u{3007}')
}

/// Characters that hold the parts of one name together when a part stands on both sides.
fn is_joiner(c: char) -> bool {
    matches!(c, '.' | '/' | '\\' | ':' | '@' | '-' | '\'' | ',')
}

fn is_word(c: char) -> bool {
    (c.is_alphanumeric() || c == '_' || unicode_normalization::char::is_combining_mark(c))
        && !is_cjk(c)
}

/// Longest run of joiners inside one name: `://` of an address.
const JOINERS_MAX: usize = 3;

/// The pieces of `text`, in order.
pub(super) fn pieces(text: &str) -> Pieces<'_> {
    Pieces { rest: text }
}

pub(super) struct Pieces<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let start = self.rest.find(|c| is_word(c) || is_cjk(c))?;
        let (_, from) = self.rest.split_at(start);
        let cjk = from.starts_with(is_cjk);
        let length =
            if cjk { from.find(|c| !is_cjk(c)).unwrap_or(from.len()) } else { joined_length(from) };
        let (piece, rest) = from.split_at(length);
        self.rest = rest;
        Some(if cjk { Piece::Cjk(piece) } else { Piece::Joined(piece) })
    }
}

/// The length in bytes of the name at the start of `text`.
fn joined_length(text: &str) -> usize {
    let mut end = 0;
    let mut joiners = String::new();
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        if is_word(c) {
            if !joiners.is_empty() && !joins(before, &joiners, c) {
                return end;
            }
            joiners.clear();
            before = c;
            end = at + c.len_utf8();
        } else if is_joiner(c) && joiners.len() < JOINERS_MAX {
            joiners.push(c);
        } else {
            return end;
        }
    }
    end
}

/// Whether what stands between two word characters makes them one name.
fn joins(before: char, between: &str, after: char) -> bool {
    match between {
        "," => before.is_ascii_digit() && after.is_ascii_digit(),
        "." | "/" | "\\" | ":" | "@" | "-" | "'" | "::" | "://" | "//" | "\\\\" | ":/" => true,
        _ => false,
    }
}

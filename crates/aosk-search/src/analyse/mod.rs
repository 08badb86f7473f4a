//! From a text to the terms that are looked up.
//!
//! Words are folded, put in lower case and stemmed as English; stop words are left out. Names of
//! machines (paths, numbers, addresses, `snake_case`, `camelCase`) are kept whole and split, so that
//! both the exact name and its words are found.
//!
//! Chinese, Japanese and Korean runs become single characters and overlapping pairs. A dictionary
//! would find true words, but costs 3 MB of binary, 34 MB of memory and 140 ms at every start
//! (jieba-rs 0.11), and misses names and new words. Pairs cost none of it: every word of two
//! characters or more is among them, and those that join two words by chance are rare in the query
//! or common in the pages and weigh little.

mod fold;
mod identifier;
mod split;
mod stop;

use rust_stemmers::{Algorithm, Stemmer};

use split::Piece;

/// Longest term in bytes. Longer ones are cut: a hash or a path fits, an encoded file does not and
/// nobody looks it up.
pub const TERM_MAX: usize = 64;

/// What a term is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A word, stemmed.
    Word,
    /// A number.
    Number,
    /// A whole name whose parts follow as terms of their own.
    Whole,
    /// One character of a script without blanks.
    Character,
    /// Two such characters that stand together.
    Pair,
    /// A word too common to look up, as it stands.
    Stop,
}

impl Kind {
    /// Whether it is a number or a whole name: who writes one means exactly that.
    #[must_use]
    pub fn is_name(self) -> bool {
        matches!(self, Kind::Number | Kind::Whole)
    }
}

/// One term at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term<'a> {
    /// The normal form.
    pub text: &'a str,
    /// The word in lower case, before it was stemmed.
    pub word: &'a str,
    /// What it is.
    pub kind: Kind,
    /// Whether it began with a capital.
    pub capital: bool,
}

/// Turns texts into terms.
#[derive(Default)]
pub struct Analyser {
    lower: String,
    buffer: String,
}

impl std::fmt::Debug for Analyser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Analyser").finish_non_exhaustive()
    }
}

impl Analyser {
    /// Gives `sink` every term of `text`, in order.
    pub fn analyse(&mut self, text: &str, sink: &mut dyn FnMut(Term<'_>)) {
        let stemmer = Stemmer::create(Algorithm::English);
        let folded = fold::fold(text);
        for piece in split::pieces(&folded) {
            match piece {
                Piece::Cjk(run) => self.cjk(run, sink),
                Piece::Joined(name) => self.name(&stemmer, name, sink),
            }
        }
    }

    fn cjk(&mut self, run: &str, sink: &mut dyn FnMut(Term<'_>)) {
        let mut before: Option<char> = None;
        for c in run.chars() {
            if let Some(first) = before {
                self.buffer.clear();
                self.buffer.extend([first, c]);
                emit(&self.buffer, Kind::Pair, sink);
            }
            self.buffer.clear();
            self.buffer.push(c);
            emit(&self.buffer, Kind::Character, sink);
            before = Some(c);
        }
    }

    /// A word, or a name of several parts: whole, then each part.
    fn name(&mut self, stemmer: &Stemmer, name: &str, sink: &mut dyn FnMut(Term<'_>)) {
        if let Some(word) = identifier::plain_word(name) {
            self.word(stemmer, &word, sink);
            return;
        }
        let name: std::borrow::Cow<'_, str> = identifier::without_grouping(name);
        let parts = identifier::parts(&name);
        if parts.len() == 1 && parts.first() == Some(&name.as_ref()) {
            self.word(stemmer, &name, sink);
            return;
        }
        let whole = name.trim_matches('_');
        if parts.len() > 1 {
            self.lower.clear();
            self.lower.extend(cut(whole).chars().flat_map(char::to_lowercase));
            emit(&self.lower, Kind::Whole, sink);
        }
        for part in parts {
            self.word(stemmer, part, sink);
        }
    }

    fn word(&mut self, stemmer: &Stemmer, word: &str, sink: &mut dyn FnMut(Term<'_>)) {
        let capital = word.starts_with(char::is_uppercase);
        self.lower.clear();
        self.lower.extend(cut(word).chars().flat_map(char::to_lowercase));
        let lower = self.lower.as_str();
        if lower.bytes().all(|b| b.is_ascii_digit()) {
            sink(Term { text: lower, word: lower, kind: Kind::Number, capital });
        } else if stop::is_stop(lower) {
            sink(Term { text: lower, word: lower, kind: Kind::Stop, capital });
        } else if lower.is_ascii() && lower.len() > 2 {
            let stem = stemmer.stem(lower);
            sink(Term { text: &stem, word: lower, kind: Kind::Word, capital });
        } else {
            sink(Term { text: lower, word: lower, kind: Kind::Word, capital });
        }
    }
}

fn emit(text: &str, kind: Kind, sink: &mut dyn FnMut(Term<'_>)) {
    sink(Term { text, word: text, kind, capital: false });
}

/// The start of a word, short enough to be a term.
fn cut(word: &str) -> &str {
    word.get(..word.floor_char_boundary(TERM_MAX)).unwrap_or(word)
}

#[cfg(test)]
mod tests;

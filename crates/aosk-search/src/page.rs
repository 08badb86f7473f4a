//! A page as the caller gives it, and what the index keeps of it.

use std::sync::Arc;

use crate::analyse::{Analyser, Kind};
use crate::date::{self, Day, Mention};

/// Most bytes that are read of one page. Pages are split at about 4,000 tokens, which is a tenth of
/// this; what is longer is found by its beginning.
pub const TEXT_BYTES_MAX: usize = 1 << 18;

/// Most numbers a page's vector may have. Embedding models give 384 to 4,096.
pub const VECTOR_MAX: usize = 8_192;

/// A small document with what is known of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Page<'a> {
    /// The caller's name for it. Adding another page of the same id replaces it.
    pub id: u64,
    /// What it says.
    pub text: &'a str,
    /// Who said it, by name. A role, such as "user" or "tool", is a `kind`.
    pub who: Option<&'a str>,
    /// The day on which it was said.
    pub when: Option<Day>,
    /// What it is; a query may ask for some kinds only.
    pub kind: Option<&'a str>,
    /// Pages of one group, such as a session or a task, are neighbours.
    pub group: u64,
    /// Its place in the group.
    pub order: u64,
    /// Its embedding, by the same model as the query's.
    pub vector: Option<&'a [f32]>,
}

/// In a sequence of terms: a stop word.
pub(crate) const GAP: u32 = u32::MAX;

/// What the index keeps of a page.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) id: u64,
    pub(crate) who: Option<Arc<str>>,
    pub(crate) when: Option<Day>,
    pub(crate) kind: Option<Arc<str>>,
    pub(crate) group: u64,
    pub(crate) order: u64,
    /// Of length one, so that the product of two is their similarity.
    pub(crate) vector: Option<Box<[f32]>>,
    /// Words, numbers and characters as they follow each other.
    pub(crate) sequence: Box<[u32]>,
    /// Every distinct term with its count, by term.
    pub(crate) counts: Box<[(u32, u16)]>,
    /// Words and numbers that are no stop words.
    pub(crate) length: u32,
    pub(crate) mentions: Box<[Mention]>,
    pub(crate) signs: Signs,
}

/// What kind of sentence a page is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Signs {
    /// Ends with a question.
    pub(crate) asks: bool,
    /// Words that speak of the speaker.
    pub(crate) first_person: u8,
    /// Words that speak of who is spoken to.
    pub(crate) second_person: u8,
    /// Names: capitals inside sentences.
    pub(crate) names: u8,
    /// Text in quotation marks.
    pub(crate) quotes: bool,
}

/// What a text is made of, its terms as numbers.
pub(crate) struct Read {
    pub(crate) sequence: Vec<u32>,
    /// All terms, of which `sequence` are some.
    pub(crate) all: Vec<u32>,
    pub(crate) length: u32,
    pub(crate) mentions: Vec<Mention>,
    pub(crate) signs: Signs,
}

/// Reads a text. `number` gives a term its number.
pub(crate) fn read(text: &str, when: Option<Day>, number: &mut dyn FnMut(&str) -> u32) -> Read {
    let text = start_of(text, TEXT_BYTES_MAX);
    let mut read = Read {
        sequence: Vec::new(),
        all: Vec::new(),
        length: 0,
        mentions: date::mentions(text, when),
        signs: Signs::default(),
    };
    let signs = &mut read.signs;
    let mut first = true;
    Analyser::default().analyse(text, &mut |term| {
        if term.kind == Kind::Stop {
            match term.text {
                "i" | "im" | "ive" | "id" | "ill" | "my" | "me" | "mine" | "we" | "our"
                | "weve" | "us" | "were" | "myself" => bump(&mut signs.first_person),
                "you" | "your" | "youre" | "youve" | "yours" => bump(&mut signs.second_person),
                _ => {}
            }
            read.sequence.push(GAP);
            first = false;
            return;
        }
        let number = number(term.text);
        read.all.push(number);
        if term.capital && !first {
            bump(&mut signs.names);
        }
        first = false;
        if matches!(term.kind, Kind::Word | Kind::Number | Kind::Character) {
            read.sequence.push(number);
            read.length = read.length.saturating_add(1);
        }
    });
    let spoken = text.split('[').next().unwrap_or_default().trim_end();
    read.signs.asks = spoken.ends_with(['?', '？']);
    read.signs.quotes = text.matches(['"', '“', '「', '《']).count() > 0;
    read
}

fn bump(count: &mut u8) {
    *count = count.saturating_add(1);
}

/// The start of a text, so many bytes at most.
pub(crate) fn start_of(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or(text)
}

/// The vector at length one; none if it has no direction or is no vector.
pub(crate) fn unit(vector: &[f32]) -> Option<Box<[f32]>> {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    let sound = vector.len() <= VECTOR_MAX && length.is_finite() && length > 0.0;
    sound.then(|| vector.iter().map(|x| x / length).collect())
}

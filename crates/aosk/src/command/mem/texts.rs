//! How pages begin: their content, read from the store a message at a time.

use aosk::abi::{Body, Hash};
use aosk::inspect;
use aosk::store::Reader;

use super::places::Place;
use crate::term::cut;

/// Characters that are looked at for each that is shown: runs of spaces become one.
const LOOKED_AT: usize = 8;

/// Reads how pages begin.
pub(super) struct Texts<'a> {
    reader: &'a dyn Reader,
    /// The message that was read last: its pages stand next to each other.
    last: Option<(Hash, Option<Body>)>,
}

impl<'a> Texts<'a> {
    pub(super) fn new(reader: &'a dyn Reader) -> Self {
        Self { reader, last: None }
    }

    /// How a page begins, on one harmless line of so many characters.
    pub(super) fn begin(&mut self, place: &Place, most: usize) -> String {
        let Some(kept) = place.kept else {
            return "descriptions of the tools that are offered".to_owned();
        };
        let is_last = self.last.as_ref().is_some_and(|(hash, _)| *hash == kept.body);
        if !is_last {
            self.last = Some((kept.body, inspect::body(self.reader, kept.body).ok()));
        }
        let body = self.last.as_ref().and_then(|(_, body)| body.as_ref());
        match body.and_then(|body| inspect::page_text(body, &kept)) {
            Some(text) => begin(&text, most),
            None => "(its text is missing or damaged)".to_owned(),
        }
    }

    /// How a message begins that is no page, on one harmless line of so many characters.
    pub(super) fn of(&self, body: Hash, most: usize) -> String {
        match inspect::body(self.reader, body) {
            Ok(body) => begin(&body.message().text(), most),
            Err(_) => "(its text is missing or damaged)".to_owned(),
        }
    }
}

fn begin(text: &str, most: usize) -> String {
    let looked_at: String =
        text.trim_start().chars().take(most.saturating_mul(LOOKED_AT)).collect();
    let words: Vec<&str> = looked_at.split_whitespace().collect();
    cut(&words.join(" "), most)
}

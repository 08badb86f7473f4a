//! Reasoning that stands in the text itself: between `<think>` and `</think>` at its beginning, as some
//! servers leave it.
//!
//! A text that is never closed is no reasoning but a text, whatever it begins with.

use serde::{Deserialize, Serialize};

use crate::order::{self, Item};

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// Bytes before the end of the first mark. A text that begins with more blanks is just that.
const BEGINNING_MAX: usize = 64;

/// A text that comes in pieces, parted in what was thought and what was said.
#[derive(Debug, Default)]
pub(super) struct Inline {
    place: Place,
    /// What has come and may be the beginning of a mark.
    held: String,
    /// What was thought, with its marks and the blanks behind them, as it came.
    thought: String,
}

/// Where in the text it is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before anything that is said.
    #[default]
    Beginning,
    /// Behind the first mark.
    Inside,
    /// Behind the second mark, before anything that is said.
    Behind,
    /// In what is said.
    Outside,
}

/// What is new.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Thought(String),
    Said(String),
}

/// What was thought, as it goes back: in the text, as it came.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename = "think")]
struct Block {
    text: String,
}

impl Inline {
    /// Takes all that comes as said: what is thought comes elsewhere.
    pub(super) fn leave(&mut self) {
        if self.place == Place::Beginning && self.held.is_empty() {
            self.place = Place::Outside;
        }
    }

    /// What is new of the next piece. One that may be the beginning of a mark is held until that is sure.
    pub(super) fn push(&mut self, more: &str) -> Vec<Piece> {
        self.held.push_str(more);
        let mut pieces = Vec::new();
        loop {
            let held = std::mem::take(&mut self.held);
            match self.place {
                Place::Beginning => {
                    let begun = held.trim_start();
                    let inside = begun.strip_prefix(OPEN);
                    let marked = inside.map(|inside| (held.len() - inside.len(), inside));
                    if let Some((mark, inside)) = marked.filter(|(mark, _)| *mark <= BEGINNING_MAX)
                    {
                        self.thought.push_str(held.get(..mark).unwrap_or_default());
                        self.held.push_str(inside);
                        self.place = Place::Inside;
                    } else if OPEN.starts_with(begun) && held.len() <= BEGINNING_MAX {
                        self.held = held;
                        return pieces;
                    } else {
                        self.held = held;
                        self.place = Place::Outside;
                    }
                }
                Place::Inside => {
                    let Some((thought, behind)) = held.split_once(CLOSE) else {
                        let sure = held.len() - begun_mark(&held);
                        let (thought, rest) = held.split_at(sure);
                        self.think(thought, &mut pieces);
                        self.held.push_str(rest);
                        return pieces;
                    };
                    self.think(thought, &mut pieces);
                    self.thought.push_str(CLOSE);
                    self.held.push_str(behind);
                    self.place = Place::Behind;
                }
                Place::Behind => {
                    let said = held.trim_start();
                    let blank = held.len() - said.len();
                    self.thought.push_str(held.get(..blank).unwrap_or_default());
                    if said.is_empty() {
                        return pieces;
                    }
                    self.held.push_str(said);
                    self.place = Place::Outside;
                }
                Place::Outside => {
                    if !held.is_empty() {
                        pieces.push(Piece::Said(held));
                    }
                    return pieces;
                }
            }
        }
    }

    fn think(&mut self, thought: &str, pieces: &mut Vec<Piece>) {
        self.thought.push_str(thought);
        if !thought.is_empty() {
            pieces.push(Piece::Thought(thought.to_owned()));
        }
    }

    /// What was thought, as a list of blocks, and what is left to be said, when nothing more comes.
    pub(super) fn finish(self) -> (Option<String>, String) {
        match self.place {
            Place::Beginning | Place::Inside => (None, self.thought + &self.held),
            Place::Outside if self.thought.is_empty() => (None, self.held),
            Place::Behind | Place::Outside => {
                // It has no map with odd keys, so it always has a JSON form.
                let block = serde_json::to_string(&Block { text: self.thought });
                (block.ok().map(|block| format!("[{block}]")), self.held)
            }
        }
    }
}

/// How many bytes at the end of a text may be the beginning of the second mark.
fn begun_mark(text: &str) -> usize {
    let is_begun = |length: &usize| CLOSE.get(..*length).is_some_and(|mark| text.ends_with(mark));
    (1..CLOSE.len()).rev().find(is_begun).unwrap_or(0)
}

/// What was thought in the text of an earlier answer, as it stood before what was said.
pub(super) fn thought(reasoning: Option<&str>) -> Option<String> {
    let blocks = order::of(reasoning, "", &[], |kind| kind == "think");
    let blocks = blocks.iter().filter_map(|item| match item {
        Item::Own(json) => serde_json::from_str::<Block>(json).ok(),
        Item::Text(..) | Item::Call(..) => None,
    });
    blocks.map(|block| block.text).reduce(|all, next| all + &next)
}

#[cfg(test)]
mod tests;

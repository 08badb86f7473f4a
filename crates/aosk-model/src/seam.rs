//! Where the rest of an answer joins what was begun of it.
//!
//! Some servers repeat what was begun, and a format that refuses white space at its end has the model
//! write that again. Neither is part of the rest.

use crate::continuing::Continuing;

/// Leaves out of the rest what is there already, as the rest comes in pieces.
#[derive(Debug, Clone)]
pub(crate) struct Seam {
    /// What the answer may repeat as a whole, while that is not decided.
    repeated: Option<String>,
    /// What has come of it.
    held: String,
    /// White space that was cut off what was sent, as far as it may still come again.
    cut: String,
}

impl Seam {
    /// The seam behind a text that was begun.
    pub(crate) fn new(begun: &str, continuing: Continuing) -> Self {
        let sent = continuing.sent(begun);
        let cut = if sent.is_empty() { begun } else { begun.get(sent.len()..).unwrap_or_default() };
        let is_white = cut.trim().is_empty();
        Self {
            repeated: (continuing.repeats && !sent.is_empty()).then(|| sent.to_owned()),
            held: String::new(),
            cut: if is_white { cut.to_owned() } else { String::new() },
        }
    }

    /// What of the next piece is new. A piece that may be a repetition is held until that is sure.
    pub(crate) fn push(&mut self, piece: &str) -> String {
        let Some(repeated) = &self.repeated else { return self.without_cut(piece) };
        self.held.push_str(piece);
        if self.held.len() < repeated.len() && repeated.starts_with(&self.held) {
            return String::new();
        }
        let held = std::mem::take(&mut self.held);
        let rest = held.strip_prefix(repeated.as_str()).unwrap_or(&held);
        self.repeated = None;
        self.without_cut(rest)
    }

    /// What was held, when nothing more comes: a repetition is whole, so it was none.
    pub(crate) fn finish(&mut self) -> String {
        self.repeated = None;
        let held = std::mem::take(&mut self.held);
        self.without_cut(&held)
    }

    /// What is new of an answer that is all there.
    pub(crate) fn whole(mut self, text: &str) -> String {
        self.push(text) + &self.finish()
    }

    fn without_cut(&mut self, piece: &str) -> String {
        let again: usize = piece
            .chars()
            .zip(self.cut.chars())
            .take_while(|(one, other)| one == other)
            .map(|(same, _)| same.len_utf8())
            .sum();
        let rest = piece.get(again..).unwrap_or_default();
        if rest.is_empty() {
            self.cut.drain(..again);
        } else {
            self.cut.clear();
        }
        rest.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::continuing::Continuation;

    const TRIMMED: Continuing = Continuing { how: Continuation::Trimmed, repeats: false };
    const REPEATED: Continuing = Continuing { how: Continuation::Plain, repeats: true };
    const BOTH: Continuing = Continuing { how: Continuation::Trimmed, repeats: true };
    const PLAIN: Continuing = Continuing { how: Continuation::Plain, repeats: false };

    /// The rest, the same whether the answer comes whole or in pieces of any length.
    fn rest(begun: &str, continuing: Continuing, answer: &str) -> String {
        let whole = Seam::new(begun, continuing).whole(answer);
        let chars: Vec<char> = answer.chars().collect();
        for length in 1..=chars.len().max(1) {
            let mut seam = Seam::new(begun, continuing);
            let mut pieces: String =
                chars.chunks(length).map(|piece| seam.push(&String::from_iter(piece))).collect();
            pieces += &seam.finish();
            assert_eq!(pieces, whole, "in pieces of {length}");
        }
        whole
    }

    #[test]
    fn white_space_that_was_cut_off_is_there_once() {
        assert_eq!(rest("one ", TRIMMED, " two"), "two");
        assert_eq!(rest("one ", TRIMMED, "two"), "two");
        assert_eq!(rest("one\n", TRIMMED, "\n\ntwo"), "\ntwo");
        assert_eq!(rest("one\n\n", TRIMMED, "\n\n"), "");
        assert_eq!(rest("一\u{3000}", TRIMMED, "\u{3000}二"), "二");
        assert_eq!(rest("one", TRIMMED, " two"), " two");
        // Nothing but white space was begun, so nothing was sent.
        assert_eq!(rest(" \n", TRIMMED, " \none"), "one");
        assert_eq!(rest("one ", PLAIN, " two"), " two");
    }

    #[test]
    fn what_is_repeated_is_left_out() {
        assert_eq!(rest("one two", REPEATED, "one two three"), " three");
        assert_eq!(rest("one two", REPEATED, " three"), " three");
        assert_eq!(rest("one two", REPEATED, "one three"), "one three");
        assert_eq!(rest("one two", REPEATED, "one"), "one");
        assert_eq!(rest("one two", REPEATED, "one two"), "");
        assert_eq!(rest("äö", REPEATED, "äöü"), "ü");
        assert_eq!(rest("one ", BOTH, "one two"), "two");
        assert_eq!(rest("one", PLAIN, "one"), "one");
    }
}

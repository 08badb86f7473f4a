//! Makes bytes of any origin safe to show to a model, in a terminal and in a log.
//!
//! Text stays as it is. Colour sequences vanish; every other control character becomes visible, and
//! so do the characters that reorder or hide text. Nothing is swallowed that could carry a message.

use std::borrow::Cow;
use std::str::Utf8Chunks;

/// The longest colour sequence that is taken for one. Terminals send far shorter ones.
const SEQUENCE_BYTES_MAX: usize = 32;

/// The smallest part that is cut or kept as a whole.
#[derive(Debug)]
pub(super) struct Piece<'a> {
    /// What it was.
    pub(super) raw: &'a [u8],
    /// What is shown for it.
    pub(super) shown: Cow<'a, str>,
}

/// `text` with everything unsafe made visible.
#[must_use]
pub fn clean(text: &str) -> String {
    pieces(text.as_bytes()).map(|piece| piece.shown).collect()
}

/// The pieces of `bytes`, in order and without gaps.
pub(super) fn pieces(bytes: &[u8]) -> Pieces<'_> {
    Pieces { chunks: bytes.utf8_chunks(), valid: "", invalid: &[] }
}

#[derive(Debug)]
pub(super) struct Pieces<'a> {
    chunks: Utf8Chunks<'a>,
    valid: &'a str,
    invalid: &'a [u8],
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        loop {
            if let Some((length, shown)) = first(self.valid) {
                let (raw, rest) = self.valid.split_at(length);
                self.valid = rest;
                let shown = shown.unwrap_or(Cow::Borrowed(raw));
                return Some(Piece { raw: raw.as_bytes(), shown });
            }
            if !self.invalid.is_empty() {
                let raw = std::mem::take(&mut self.invalid);
                return Some(Piece { raw, shown: Cow::Borrowed("\u{fffd}") });
            }
            let chunk = self.chunks.next()?;
            (self.valid, self.invalid) = (chunk.valid(), chunk.invalid());
        }
    }
}

/// The length of the first piece of `text`, and what is shown in its place, if not itself.
fn first(text: &str) -> Option<(usize, Option<Cow<'static, str>>)> {
    let c = text.chars().next()?;
    let length = c.len_utf8();
    Some(match c {
        '\n' | '\t' => (length, None),
        '\r' if text.starts_with("\r\n") => (2, Some(Cow::Borrowed("\n"))),
        // A lone one would overwrite the line in a terminal.
        '\r' => (length, Some(Cow::Borrowed("\n"))),
        '\u{1b}' => colour_sequence(text)
            .map_or((length, Some(Cow::Borrowed("␛"))), |bytes| (bytes, Some(Cow::Borrowed("")))),
        '\0'..='\u{1f}' => (length, Some(Cow::Owned(picture(c)))),
        '\u{7f}' => (length, Some(Cow::Borrowed("␡"))),
        _ if hides_or_reorders(c) => (length, Some(Cow::Owned(c.escape_unicode().to_string()))),
        _ => (length, None),
    })
}

/// The visible picture of a control character.
fn picture(control: char) -> String {
    char::from_u32(u32::from(control) + 0x2400).unwrap_or('\u{fffd}').to_string()
}

/// C1 controls (among them a one-byte escape), line separators, characters that change the direction
/// of text or join it invisibly, and tags, which spell ASCII that nobody sees.
fn hides_or_reorders(c: char) -> bool {
    matches!(c,
        '\u{80}'..='\u{9f}'
        | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{e0000}'..='\u{e007f}')
}

/// The length of the `ESC [ … m` that `text` begins with, if it does.
fn colour_sequence(text: &str) -> Option<usize> {
    let body = text.strip_prefix("\u{1b}[")?;
    let parameters = body
        .bytes()
        .take_while(|byte| byte.is_ascii_digit() || matches!(byte, b';' | b':'))
        .count();
    let ends = body.as_bytes().get(parameters) == Some(&b'm');
    (ends && parameters < SEQUENCE_BYTES_MAX).then_some(2 + parameters + 1)
}

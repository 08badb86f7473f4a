//! Halves of surrogate pairs in JSON.
//!
//! Python's `json.dumps` and some servers escape UTF-16 code units one by one, and write the half
//! of a pair where a text was cut within a character. No UTF-8 text can hold it, so it is read as
//! U+FFFD, as everyone reads what cannot be decoded.

use std::borrow::Cow;

/// Bytes of `\uXXXX`.
const ESCAPE: usize = 6;

/// `json` with each escaped half of a surrogate pair made `\ufffd`. All else is as it was: whole
/// pairs, and escaped backslashes before a `u`.
pub(crate) fn mended(json: &[u8]) -> Cow<'_, [u8]> {
    let mut mended = Cow::Borrowed(json);
    let mut at = 0;
    while let Some(rest) = json.get(at..)
        && let Some(ahead) = rest.iter().position(|byte| *byte == b'\\')
    {
        at += ahead;
        at += match (unit(json, at), unit(json, at + ESCAPE)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 2 * ESCAPE,
            (Some(0xd800..=0xdfff), _) => {
                if let Some(escape) = mended.to_mut().get_mut(at..at + ESCAPE) {
                    escape.copy_from_slice(br"\ufffd");
                }
                ESCAPE
            }
            (Some(_), _) => ESCAPE,
            // The backslash and what it escapes.
            (None, _) => 2,
        };
    }
    mended
}

/// The code unit that is escaped at `at`, if one is.
fn unit(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + ESCAPE)?.strip_prefix(br"\u")?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u16::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests;

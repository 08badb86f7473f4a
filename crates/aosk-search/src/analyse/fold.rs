//! One form for texts that a reader takes for the same: full-width letters and digits, ligatures,
//! and letters with or without accents.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

/// Combining marks of the Latin, Greek and Cyrillic scripts: accents, which people leave out.
/// Marks of other scripts change the word and stay.
const ACCENTS: std::ops::RangeInclusive<char> = '\u{300}'..='\u{36f}';

/// The text in compatibility form without accents. Case is kept: it shows where a name such as
/// `camelCase` has its parts.
pub(super) fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.nfkd().filter(|c| !ACCENTS.contains(c)).nfc().map(plain).collect())
}

/// Typographic apostrophes and dashes as those of the keyboard.
fn plain(c: char) -> char {
    match c {
        '\u{2018}' | '\u{2019}' | '\u{2bc}' => '\'',
        '\u{2010}' | '\u{2011}' => '-',
        _ => c,
    }
}

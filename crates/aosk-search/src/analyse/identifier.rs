//! Names that are more than one word: where their parts are.

use std::borrow::Cow;

/// The word that `name` is, if it is nothing more: letters of one case, perhaps with a capital in
/// front, perhaps with an apostrophe. `Ann's` is `Ann`, `thinkin'` stays, `don't` is `dont`.
pub(super) fn plain_word(name: &str) -> Option<Cow<'_, str>> {
    let mut letters = name.chars();
    letters.next();
    let small = |c: char| c.is_alphabetic() && !c.is_uppercase();
    if letters.clone().all(small) {
        return Some(Cow::Borrowed(name)).filter(|_| name.starts_with(char::is_alphabetic));
    }
    let (stem, ending) = name.split_once('\'')?;
    if !stem.chars().skip(1).all(small) || !ending.chars().all(char::is_alphabetic) {
        return None;
    }
    match ending {
        "s" => Some(Cow::Borrowed(stem)),
        _ => Some(Cow::Owned([stem, ending].concat())),
    }
}

/// The name without the commas that group the digits of a number.
pub(super) fn without_grouping(name: &str) -> Cow<'_, str> {
    if name.contains(',') { Cow::Owned(name.replace(',', "")) } else { Cow::Borrowed(name) }
}

/// What follows a number in English and says nothing.
const ORDINALS: [&str; 4] = ["st", "nd", "rd", "th"];

/// The parts of a name: what joiners and underscores separate, and in it what capitals and digits
/// begin. `getUserName2` is `get`, `User`, `Name` and `2`; `HTTPServer` is `HTTP` and `Server`.
pub(super) fn parts(name: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    for joined in name.split(|c: char| !c.is_alphanumeric() && !is_mark(c)) {
        if !joined.is_empty() {
            humps(joined, &mut parts);
        }
    }
    parts
}

fn is_mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Small,
    Capital,
    Digit,
}

fn class(c: char) -> Class {
    if c.is_numeric() {
        Class::Digit
    } else if c.is_uppercase() {
        Class::Capital
    } else {
        Class::Small
    }
}

/// Adds the parts of a name without joiners.
fn humps<'a>(name: &'a str, parts: &mut Vec<&'a str>) {
    let mut rest = name;
    while let Some(end) = first_hump(rest) {
        let (part, after) = rest.split_at(end);
        parts.push(part);
        rest = after;
    }
    let ordinal = rest.len() < name.len() && ORDINALS.contains(&rest);
    if !ordinal {
        parts.push(rest);
    }
}

/// Where the second part begins.
fn first_hump(name: &str) -> Option<usize> {
    let mut places = name.char_indices().map(|(at, c)| (at, class(c)));
    let mut before = places.next()?;
    for next in places {
        let begins = match (before.1, next.1) {
            (Class::Small, Class::Capital | Class::Digit)
            | (Class::Capital, Class::Digit)
            | (Class::Digit, Class::Small | Class::Capital) => Some(next.0),
            // The last of several capitals begins the word whose small letters follow.
            (Class::Capital, Class::Small) => Some(before.0),
            (Class::Small, Class::Small)
            | (Class::Capital, Class::Capital)
            | (Class::Digit, Class::Digit) => None,
        };
        if let Some(at) = begins.filter(|at| *at > 0) {
            return Some(at);
        }
        before = next;
    }
    None
}

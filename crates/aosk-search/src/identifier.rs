//! What identifies things in a text: paths, numbers, names of machines, e-mail addresses, and words,
//! of which only rare ones tell something.

/// Characters of an identifier.
const CHARS_MIN: usize = 4;
const CHARS_MAX: usize = 120;

/// What could be an identifier in a text, in order, with repetitions.
pub fn identifiers(text: &str) -> impl Iterator<Item = &str> {
    let inside = |c: char| c.is_alphanumeric() || "_./@-+".contains(c);
    text.split(move |c| !inside(c))
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric() && c != '/'))
        .filter(|word| (CHARS_MIN..=CHARS_MAX).contains(&word.chars().count()))
}

/// Whether it is a word of plain letters, which only tells something when it is rare.
#[must_use]
pub fn is_plain(identifier: &str) -> bool {
    let mut letters = identifier.chars();
    letters.next();
    identifier.chars().all(char::is_alphabetic) && letters.all(char::is_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_machines_stay_whole() {
        let text = "See src/main.rs:12, (a_b-c@d.org) and v1.25; 2026 a fox, ÜberSatz 数据库表。";
        let found: Vec<&str> = identifiers(text).collect();
        assert_eq!(found, ["src/main.rs", "a_b-c@d.org", "v1.25", "2026", "ÜberSatz", "数据库表"]);
    }

    #[test]
    fn a_plain_word_is_told_from_a_name() {
        let plain: Vec<bool> = ["window", "Window", "ÜberSatz", "a.b", "2026"].map(is_plain).into();
        assert_eq!(plain, [true, true, false, false, false]);
    }
}

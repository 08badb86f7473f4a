//! Words that belong to one notion: what "pet" finds when a page says "dog".
//!
//! Only queries are widened; the index holds what was written. The table is data, `concepts.txt`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use rust_stemmers::{Algorithm, Stemmer};

const TABLE: &str = include_str!("concepts.txt");

/// The table by stem, read once. It is a constant; only its form is made at run time.
static CONCEPTS: LazyLock<Concepts> = LazyLock::new(|| Concepts::parse(TABLE));

/// For each stem the stems that stand for it.
#[derive(Debug, Default)]
struct Concepts(BTreeMap<String, Vec<String>>);

impl Concepts {
    fn parse(text: &str) -> Self {
        let stemmer = Stemmer::create(Algorithm::English);
        let stems = |words: &str| -> Vec<String> {
            words.split_whitespace().map(|word| stemmer.stem(word).into_owned()).collect()
        };
        let mut concepts = Concepts::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some(words) = line.strip_prefix('=') {
                let same = stems(words);
                concepts.join(&same, &same);
            } else if let Some((heads, members)) = line.split_once(':') {
                let (heads, members) = (stems(heads), stems(members));
                concepts.join(&heads, &heads);
                concepts.join(&heads, &members);
                concepts.join(&members, &heads);
            }
        }
        concepts
    }

    fn join(&mut self, from: &[String], to: &[String]) {
        for word in from {
            let known = self.0.entry(word.clone()).or_default();
            for other in to.iter().filter(|other| *other != word) {
                if !known.contains(other) {
                    known.push(other.clone());
                }
            }
        }
    }
}

/// The stems that share a notion with a stem.
pub(crate) fn related(stem: &str) -> &'static [String] {
    CONCEPTS.0.get(stem).map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(stem: &str, other: &str) -> bool {
        related(stem).iter().any(|word| word == other)
    }

    #[test]
    fn heads_and_members_find_each_other_and_members_do_not() {
        assert!(has("instrument", "violin") && has("violin", "instrument"));
        assert!(!has("violin", "guitar"));
        assert!(has("kid", "child") && has("child", "kid"));
        assert!(related("nosuchword").is_empty());
    }

    #[test]
    fn the_table_is_well_formed() {
        for line in TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            assert!(line.starts_with("= ") || line.contains(": "), "{line}");
            let words = line.trim_start_matches("= ").replace(':', "");
            let plain = |word: &str| word.chars().all(|c| c.is_ascii_lowercase());
            assert!(words.split(' ').all(plain), "{line}");
        }
    }
}

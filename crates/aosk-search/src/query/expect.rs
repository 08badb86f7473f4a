//! What kind of answer a question wants, by its words.

/// What a question wants to know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Expect {
    /// When something was or will be.
    pub(crate) time: bool,
    /// Who, where or which one: the answer is likely to be a name.
    pub(crate) name: bool,
}

/// A question begins within this many words.
const BEGINNING: usize = 4;

impl Expect {
    /// Of a text and its words in lower case.
    pub(crate) fn of(text: &str, words: &[String]) -> Self {
        let has = |wanted: &[&str]| words.iter().any(|word| wanted.contains(&word.as_str()));
        let begins = |wanted: &[&str]| {
            words.iter().take(BEGINNING).any(|word| wanted.contains(&word.as_str()))
        };
        let follows = |first: &str, second: &[&str]| {
            words.windows(2).any(|two| match two {
                [a, b] => a == first && second.contains(&b.as_str()),
                _ => false,
            })
        };
        let says = |wanted: &[&str]| wanted.iter().any(|word| text.contains(word));
        Expect {
            time: begins(&["when"])
                || follows("how", &["long", "often"])
                || follows("what", &["time", "date", "day", "year", "month"])
                || follows("which", &["date", "day", "year", "month"])
                || says(&["什么时候", "何时", "几月", "哪天", "哪年", "几点"]),
            name: begins(&["who", "whose", "whom", "where"])
                || has(&["city", "country", "state", "place", "location"])
                || says(&["谁", "哪里", "哪儿", "何处"]),
        }
    }
}

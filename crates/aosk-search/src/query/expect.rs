//! What kind of answer a question wants, by its first words.

/// What a question wants to know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Expect {
    pub(crate) time: bool,
    pub(crate) place: bool,
    pub(crate) count: bool,
    pub(crate) person: bool,
    pub(crate) reason: bool,
    pub(crate) picture: bool,
    pub(crate) list: bool,
}

impl Expect {
    /// Of the words of a text, in lower case.
    pub(crate) fn of(text: &str, words: &[String]) -> Self {
        let has = |wanted: &[&str]| words.iter().any(|word| wanted.contains(&word.as_str()));
        let begins = |wanted: &[&str]| words.iter().take(4).any(|word| wanted.contains(&word.as_str()));
        let follows = |first: &str, second: &[&str]| {
            words.windows(2).any(|two| match two {
                [a, b] => a == first && second.contains(&b.as_str()),
                _ => false,
            })
        };
        Expect {
            time: begins(&["when"])
                || follows("how", &["long", "often"])
                || follows("what", &["time", "date", "day", "year", "month"])
                || follows("which", &["date", "day", "year", "month"])
                || ["什么时候", "何时", "几月", "哪天", "哪年"].iter().any(|w| text.contains(w)),
            place: begins(&["where"])
                || has(&["city", "country", "state", "place", "location"])
                || ["哪里", "哪儿", "何处"].iter().any(|w| text.contains(w)),
            count: follows("how", &["many", "much", "old", "far"]) || ["多少", "几个"].iter().any(|w| text.contains(w)),
            person: begins(&["who", "whose", "whom"]) || text.contains('谁'),
            reason: begins(&["why"]) || follows("how", &["come"]) || text.contains("为什么"),
            picture: has(&["photo", "picture", "image", "painting", "poster", "pic"]),
            list: begins(&["which"]) || follows("what", &["kind", "kinds", "types", "type", "activities", "items"]),
        }
    }
}

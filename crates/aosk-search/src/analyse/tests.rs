//! What becomes of texts: words, names of machines, Chinese, and texts that mean harm.

use super::*;

/// All terms that are looked up.
fn terms(text: &str) -> Vec<String> {
    let mut terms = Vec::new();
    Analyser::default().analyse(text, &mut |term| {
        if term.kind != Kind::Stop {
            terms.push(term.text.to_owned());
        }
    });
    terms
}

#[test]
fn words_are_folded_stemmed_and_stop_words_left_out() {
    assert_eq!(terms("The dogs were RUNNING to the café"), ["dog", "run", "cafe"]);
    assert_eq!(terms("Melanie's kids don't paint"), ["melani", "kid", "paint"]);
    assert_eq!(terms("O’Brien said ‘hello’"), ["obrien", "said", "hello"]);
    assert_eq!(terms("to be or not to be"), Vec::<String>::new());
}

#[test]
fn names_of_machines_are_kept_whole_and_split() {
    let cases: [(&str, &[&str]); 10] = [
        ("src/lib.rs", &["src/lib.rs", "src", "lib", "rs"]),
        ("max_retry_count", &["max_retry_count", "max", "retri", "count"]),
        ("getUserName", &["getusername", "get", "user", "name"]),
        ("HTTPServer2", &["httpserver2", "http", "server", "2"]),
        ("ann@mail.org", &["ann@mail.org", "ann", "mail", "org"]),
        ("std::fs::read", &["std::fs::read", "std", "fs", "read"]),
        ("https://a.io/x", &["https://a.io/x", "https", "a", "io", "x"]),
        ("3.14", &["3.14", "3", "14"]),
        ("1,250,000", &["1250000"]),
        ("7th", &["7"]),
    ];
    for (text, wanted) in cases {
        let wanted: Vec<_> = wanted.iter().filter(|term| **term != "a").collect();
        assert_eq!(terms(text).iter().collect::<Vec<_>>(), wanted, "{text}");
    }
    assert_eq!(terms("(see: `main.rs`, line 12)"), ["see", "main.rs", "main", "rs", "line", "12"]);
    assert_eq!(terms("Wait...what? yes,no"), ["wait"]);
}

#[test]
fn chinese_gives_characters_and_overlapping_pairs() {
    assert_eq!(terms("操作系统"), ["操", "操作", "作", "作系", "系", "系统", "统"]);
    assert_eq!(terms("用Rust写kernel"), ["用", "rust", "写", "kernel"]);
    assert_eq!(terms("한국어"), ["한", "한국", "국", "국어", "어"]);
}

#[test]
fn full_width_letters_and_digits_are_plain_ones() {
    assert_eq!(terms("２０２３年"), ["2023", "年"]);
    assert_eq!(terms("ＡＢＣ"), ["abc"]);
}

#[test]
fn one_endless_word_is_one_short_term() {
    let word = "x".repeat(1 << 20);
    assert_eq!(terms(&word), ["x".repeat(TERM_MAX)]);
    let humps = "aB".repeat(1 << 17);
    assert!(terms(&humps).iter().all(|term| term.len() <= TERM_MAX));
    let path = "ab/".repeat(1 << 17);
    assert!(terms(&path).iter().all(|term| term.len() <= TERM_MAX));
}

#[test]
fn control_characters_and_emoji_separate_words() {
    assert_eq!(
        terms("red\u{0}blue\u{1b}[31m\u{200b}green"),
        ["red", "blue", "31m", "31", "m", "green"]
    );
    assert_eq!(terms("party🎉time 👩‍👩‍👧"), ["parti", "time"]);
    assert_eq!(terms("\u{301}\u{301}"), Vec::<String>::new());
}

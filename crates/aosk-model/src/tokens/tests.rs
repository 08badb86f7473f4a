//! Tests of `tokens`.

use super::*;

/// Each text with the most tokens that any of the vocabularies named above makes of it.
#[test]
fn text_is_never_estimated_too_low() {
    let known = [
        ("", 0),
        ("The quick brown fox jumps over the lazy dog.", 10),
        ("人人生而自由，在尊严和权利上一律平等。", 21),
        ("すべての人間は、生まれながらにして自由であり", 21),
        ("Все люди рождаются свободными и равными в своем достоинстве", 30),
        ("fn main() { println!(\"{}\", 12345.678); }", 20),
        ("        deeply indented\n\n\n", 5),
        ("👩‍👩‍👧‍👦", 19),
    ];
    for (text, most) in known {
        let estimate = of_text(text).0;
        assert!(estimate >= most, "{text:?}: {estimate} < {most}");
        assert!(estimate <= most * 2 + 4, "{text:?}: {estimate} is far from {most}");
    }
}

#[test]
fn case_and_blanks_make_runs() {
    assert_eq!(of_text("hello"), Tokens(1));
    assert_eq!(of_text("hellos"), Tokens(2));
    assert_eq!(of_text("HelloWorld"), Tokens(2));
    assert_eq!(of_text("HTTP"), Tokens(2));
    assert_eq!(of_text("a b c"), Tokens(3));
    assert_eq!(of_text("a        b"), Tokens(4));
    assert_eq!(of_text("2026"), Tokens(4));
}

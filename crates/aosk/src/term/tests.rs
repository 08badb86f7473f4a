//! Tests of `term`.

use super::*;

/// Clears the screen, sets the title, turns the order of what follows.
const HOSTILE: &str = "a\u{1b}[2J\u{9b}1m\r\u{7f}\u{202e}b\u{2066}\u{200f}\u{61c}c";

#[test]
fn a_terminal_is_not_steered_by_foreign_text() {
    assert_eq!(harmless(HOSTILE), "a [2J 1m   b   c");
    assert_eq!(harmless("one\n\ttwo 日本 é 👩\u{200d}💻"), "one\n\ttwo 日本 é 👩\u{200d}💻");
}

#[test]
fn a_cut_text_is_one_harmless_line() {
    assert_eq!(cut(HOSTILE, 100), "a [2J 1m   b   c");
    assert_eq!(cut("one\n\ttwo", 100), "one  two");
    assert_eq!(cut("日本語", 2), "日…");
}

#[test]
fn a_noun_agrees_with_its_figure() {
    assert_eq!(plural(1, "entry"), "1 entry");
    assert_eq!(plural(0, "entry"), "0 entries");
    assert_eq!(plural(2, "live process"), "2 live processes");
    assert_eq!(plural(1_000, "tool call"), "1,000 tool calls");
}

//! Tests of `inline`.

use super::*;

/// What was thought, what was said, and what goes back, the same whether the text comes whole or in
/// pieces of any length.
fn parted(text: &str) -> (String, String, Option<String>) {
    let chars: Vec<char> = text.chars().collect();
    let by = |length: usize| {
        let (mut inline, mut thoughts, mut said) =
            (Inline::default(), String::new(), String::new());
        for piece in chars.chunks(length) {
            for piece in inline.push(&String::from_iter(piece)) {
                match piece {
                    Piece::Thought(text) => thoughts += &text,
                    Piece::Said(text) => said += &text,
                }
            }
        }
        let (blocks, rest) = inline.finish();
        (thoughts, said + &rest, blocks)
    };
    let whole = by(chars.len().max(1));
    for length in 1..chars.len() {
        assert_eq!(by(length), whole, "{text:?} in pieces of {length}");
    }
    whole
}

#[test]
fn what_was_thought_is_parted_from_what_was_said_and_goes_back_as_it_stood() {
    for text in [
        "<think>hm, 日本</think>\n\nYes.",
        "\n<think>\na < b </ thin\n</think> Yes.",
        "<think></think>Yes.",
        "<think>one</think>Two <think>three</think>.",
    ] {
        let (thoughts, said, blocks) = parted(text);
        let (before, behind) = text.split_once(CLOSE).expect("is closed");
        assert_eq!(thoughts, before.split_once(OPEN).expect("is open").1);
        assert_eq!(said, behind.trim_start());
        let blocks = blocks.expect("something was thought");
        assert!(order::is_blocks(&blocks));
        assert_eq!(thought(Some(&blocks)).expect("is there") + &said, text);
    }
}

#[test]
fn what_is_not_closed_or_does_not_begin_so_is_a_text() {
    for text in ["", " ", "Yes.", "<thin", "<thinker>", " <b>", "Yes <think>no</think>", "\n\nYes."]
    {
        assert_eq!(parted(text), (String::new(), text.to_owned(), None));
    }
    let blank = " ".repeat(BEGINNING_MAX + 1) + "<think>no</think>";
    assert_eq!(parted(&blank).1, blank);
    for text in ["<think>", "<think> is a tag", "<think>hm</thin"] {
        let (_, said, blocks) = parted(text);
        assert_eq!((said.as_str(), blocks), (text, None));
    }
}

#[test]
fn what_another_left_is_no_thought() {
    assert_eq!(thought(None), None);
    assert_eq!(thought(Some("in plain words")), None);
    assert_eq!(thought(Some(r#"[{"type":"thinking","thinking":"x","signature":"s"}]"#)), None);
}

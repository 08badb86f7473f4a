//! Tests of paging: nothing of a message is lost or torn, and pages have the size that is aimed at.

use aosk_abi::{Body, PageId, ToolUse};

use super::*;

const COUNT: Tokenizer = Tokenizer::ESTIMATE;

fn cut_up(message: &Message) -> Vec<Piece> {
    pieces(message, MessageIndex(7), COUNT, PAGE_TOKENS_MAX)
}

/// The texts of the pages of a message.
fn texts(message: &Message, pieces: &[Piece]) -> Vec<String> {
    let mut from = 0;
    pieces
        .iter()
        .map(|piece| {
            let text = text_of(message, (from, piece.end)).expect("a place between characters");
            from = piece.end;
            text
        })
        .collect()
}

/// What must hold of the pages of any message.
fn check(message: &Message) -> Vec<Piece> {
    let pieces = cut_up(message);
    assert_eq!(pieces.last().map(|piece| piece.end), Some(TEXT_END));
    assert!(pieces.windows(2).all(|two| two[0].end < two[1].end), "{pieces:?}");
    let texts = texts(message, &pieces);
    assert_eq!(texts.concat(), spoken(message), "nothing is lost");
    let whole = COUNT.of_message(message).0;
    let sum: u64 = pieces.iter().map(|piece| u64::from(piece.tokens)).sum();
    assert!(sum >= whole && sum <= whole + pieces.len() as u64, "{sum} for {whole}");
    pieces
}

#[test]
fn what_is_short_is_one_page() {
    let call = ToolUse { id: "c".into(), name: "read".into(), arguments: "{}".into() };
    let said = Message::Assistant {
        content: Some(Content::Text("x ".repeat(100_000))),
        reasoning: None,
        tool_calls: vec![call],
    };
    for (message, kind, answers) in [
        (Message::system("s ".repeat(20_000)), PageKind::System, false),
        (Message::user("hello"), PageKind::User, false),
        (Message::user(""), PageKind::User, false),
        (Message::tool("c", "result"), PageKind::ToolResult, true),
        // Tool calls must not be torn, however long the answer is.
        (said, PageKind::Assistant, false),
    ] {
        let pieces = check(&message);
        assert_eq!(pieces.len(), 1);
        assert_eq!((pieces[0].kind, pieces[0].answers), (kind, answers));
        assert_eq!(pieces[0].source, MessageIndex(7));
    }
}

#[test]
fn what_is_long_is_cut_at_borders() {
    let line = "2026-11-21 12:00:00 a line of a log that says something\n";
    let message = Message::tool("c", line.repeat(2_000));
    let pieces = check(&message);
    assert!(pieces.len() > 5);
    for piece in &pieces {
        assert!(u64::from(piece.tokens) <= PAGE_TOKENS_MAX, "{piece:?}");
    }
    let texts = texts(&message, &pieces);
    assert!(texts.iter().all(|text| text.ends_with('\n')), "cut at ends of lines");
}

#[test]
fn what_has_no_borders_is_cut_between_characters() {
    for text in ["字".repeat(30_000), "a".repeat(200_000), "é🦊".repeat(20_000)] {
        let pieces = check(&Message::user(text));
        assert!(pieces.len() > 1);
        assert!(pieces.iter().all(|piece| u64::from(piece.tokens) <= PAGE_TOKENS_MAX));
    }
}

#[test]
fn paragraphs_go_before_lines_and_lines_before_words() {
    let text =
        format!("{}\n\n{}\n{} {}", "a".repeat(80), "b".repeat(4), "c".repeat(4), "d".repeat(4));
    assert_eq!(border(&text, 0, text.len()), 82);
    let text = format!("{}\n{} {}", "a".repeat(80), "b".repeat(4), "c".repeat(4));
    assert_eq!(border(&text, 0, text.len()), 81);
    let text = format!("{} {}", "a".repeat(80), "b".repeat(4));
    assert_eq!(border(&text, 0, text.len()), 81);
    assert_eq!(border("aaaa", 0, 3), 3);
    assert_eq!(border("字字", 0, 1), 3, "at least one character");
}

#[test]
fn the_same_message_is_always_cut_the_same_way() {
    let message = Message::user("one two three four five\n".repeat(3_000));
    let again = Body::from_bytes(Body::new(message.clone()).bytes()).unwrap();
    assert_eq!(cut_up(&message), cut_up(again.message()));
}

#[test]
fn pages_that_were_brought_back_are_pages_again() {
    let pages = [
        (PageId(12), Some("first page".to_owned())),
        (PageId(40), Some("第二页".repeat(100))),
        (PageId(3), None),
    ];
    let message = super::super::recalled_message("c".into(), "recall".into(), &pages);
    let pieces = check(&message);
    let copies: Vec<_> = pieces.iter().map(|piece| piece.copy_of).collect();
    assert_eq!(copies, [Some(PageId(12)), Some(PageId(40))]);
    assert!(pieces.iter().all(|piece| piece.kind == PageKind::Recalled && piece.answers));
    let texts = texts(&message, &pieces);
    assert!(texts[0].contains("first page") && texts[1].contains("第二页"));
    assert!(texts[1].contains("page 3 is in the window already"));
}

#[test]
fn a_recall_of_nothing_but_what_is_there_is_a_result_like_any_other() {
    let message = super::super::recalled_message("c".into(), "recall".into(), &[(PageId(3), None)]);
    let pieces = check(&message);
    assert_eq!(pieces.len(), 1);
    assert_eq!((pieces[0].kind, pieces[0].copy_of), (PageKind::ToolResult, None));
}

#[test]
fn a_place_inside_a_character_is_none() {
    let message = Message::user("é");
    assert_eq!(text_of(&message, (0, 1)), None);
    assert_eq!(text_of(&message, (0, TEXT_END)).as_deref(), Some("é"));
}

#[test]
fn pages_are_small_in_a_small_window() {
    let sizes = [None, Some(100), Some(4_000), Some(8_000), Some(1_000_000)];
    let most = sizes.map(|window| page_tokens(window.map(Tokens)));
    assert_eq!(most, [4_000, 400, 500, 1_000, 4_000]);
    let message = Message::tool("c", "some words of a result\n".repeat(400));
    let pieces = pieces(&message, MessageIndex(0), COUNT, 500);
    assert!(pieces.len() > 4 && pieces.iter().all(|piece| piece.tokens <= 500), "{pieces:?}");
}

#[test]
fn the_longest_message_has_no_more_pages_than_the_page_table_takes() {
    let message = Message::user("7".repeat(8_000_000));
    let pieces = pieces(&message, MessageIndex(0), COUNT, PAGE_TOKENS_MIN);
    assert!(pieces.len() <= usize::from(limits::PIECES_MAX), "{}", pieces.len());
}

//! Tests of stubs and summaries: they are as short as the page table takes them to be.

use aosk_abi::{Hash, MessageIndex, PageId, PageKind, TEXT_END};
use aosk_kernel::STUB_TOKENS;

use super::*;

fn frame(page: u32, form: Form) -> Frame {
    Frame {
        page: PageId(page),
        body: Hash::ZERO,
        source: MessageIndex(page),
        kind: PageKind::ToolResult,
        text: (0, TEXT_END),
        form,
    }
}

#[test]
fn a_stub_says_what_is_there_and_how_it_comes_back() {
    let message = Message::tool("c", "total 48\ndrwxr-xr-x 2 root root");
    let one = frame(12, Form::Stub { pages: 1, tokens: 834 });
    assert_eq!(stub(&one, &message), "[page 12 left out: tool result, 834 tokens: “total 48…”]");
    let many = frame(12, Form::Stub { pages: 46, tokens: 834 });
    assert_eq!(stub(&many, &message), "[page 12 and 45 more left out: tool result: “total 48…”]");
}

#[test]
fn a_stub_never_takes_more_than_the_page_table_counts() {
    let texts = [
        String::new(),
        "\u{0}\u{7}\n\t".repeat(50),
        "数据库".repeat(500),
        "/a/very/long/path/".repeat(100),
        "🦊".repeat(100),
        "A1b2C3d4".repeat(200),
        "word ".repeat(1_000),
        "Ω≈ç√∫˜µ≤≥÷".repeat(50),
    ];
    for text in texts {
        // A log has at most a million messages, and few pages have more tokens.
        for pages in [1, 999_999] {
            let frame = frame(999_999, Form::Stub { pages, tokens: 99_999 });
            let line = stub(&frame, &Message::tool("c", text.as_str()));
            assert!(!line.contains('\n') && line.ends_with(']'), "{line}");
            let whole = Tokenizer::ESTIMATE.of_message(&Message::tool("c", line.as_str())).0;
            assert!(whole <= u64::from(STUB_TOKENS), "{whole}: {line}");
        }
    }
}

#[test]
fn a_summary_keeps_to_its_tokens_and_goes_in_order() {
    let messages: Vec<Message> = (0..100)
        .map(|n| Message::tool("c", format!("result {n} {}", "word ".repeat(60))))
        .collect();
    let pages: Vec<(Frame, &Message)> =
        (1..).zip(&messages).map(|(at, message)| (frame(at, Form::Content), message)).collect();
    for tokens in [100, 500, 2_000] {
        let text = summary(&frame(1, Form::Summary { pages: 100, tokens, body: None }), &pages);
        let whole = Tokenizer::ESTIMATE.of_message(&Message::user(text.as_str())).0;
        assert!(whole <= u64::from(tokens), "{whole} of {tokens}");
        assert!(text.starts_with("[pages 1 and 99 more in short"), "{text}");
        if tokens >= 500 {
            assert!(text.contains("\n1 tool result: “result 0 word") && text.contains("result 1 "));
        }
    }
}

#[test]
fn a_summary_by_a_model_stands_there_as_far_as_it_may() {
    let form = Form::Summary { pages: 3, tokens: 60, body: None };
    let shown = told(&frame(7, form), " They\u{7} met.\nIn Oslo. ");
    assert_eq!(shown, "[page 7 and 2 more left out; in short:]\nThey met.\nIn Oslo.");
    let long = "Sie trafen sich in Oslo und sprachen lange. ".repeat(50);
    let shown = told(&frame(7, form), &long);
    let tokens = Tokenizer::ESTIMATE.of_text(&shown).0;
    assert!((20..=60).contains(&tokens), "{tokens}: {shown}");
}

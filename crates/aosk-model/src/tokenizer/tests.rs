//! Tests of `tokenizer`.

use aosk_abi::ToolUse;

use super::*;

#[test]
fn models_are_known_by_their_names() {
    let vocabulary = |model| Tokenizer::of_model(model).vocabulary;
    assert_eq!(vocabulary("gpt-5.4-mini"), Some("o200k_base"));
    assert_eq!(vocabulary("gpt-4"), Some("cl100k_base"));
    assert_eq!(vocabulary("openai/gpt-4o"), Some("o200k_base"));
    assert_eq!(vocabulary("MiniMax-M3"), vocabulary("minimax-m3"));
    for model in ["deepseek-v4-pro", "qwen3.8-max", "kimi-k3", "glm-5", "meta-llama/llama-3.1-8b"] {
        assert!(vocabulary(model).is_some(), "{model}");
    }
    for model in ["claude-sonnet-5-5", "nobody-knows", "", "tiny.gguf"] {
        assert_eq!(Tokenizer::of_model(model), Tokenizer::ESTIMATE, "{model}");
    }
}

/// Counts of OpenAI's own tokenizer.
#[test]
fn text_is_counted_with_the_vocabulary() {
    let count = |model, text| Tokenizer::of_model(model).of_text(text).0;
    assert_eq!(count("gpt-4o", "hello world"), 2);
    assert_eq!(count("gpt-4", "hello world"), 2);
    assert_eq!(count("gpt-4", "tiktoken is great!"), 6);
    assert_eq!(count("gpt-4o", ""), 0);
    // A marker is text where a person or a tool wrote it.
    assert!(count("gpt-4o", "<|endoftext|>") > 1);
}

/// Chinese is no single word: the reference system counted a whole sentence as one token.
#[test]
fn chinese_is_counted_by_characters() {
    let text = "请帮我查一下明天从北京到上海的航班";
    for model in ["gpt-4o", "deepseek-chat", "qwen3-max", "kimi-k2", "glm-4.6", "nobody-knows"] {
        let tokens = Tokenizer::of_model(model).of_text(text).0;
        assert!((7..=30).contains(&tokens), "{model}: {tokens}");
    }
}

#[test]
fn a_text_that_would_take_long_is_estimated() {
    let long = "a".repeat(COUNTED_BYTES_MAX + 1);
    assert_eq!(Tokenizer::of_model("gpt-4o").of_text(&long), tokens::of_text(&long));
    let short = &long[..1_000];
    assert_ne!(Tokenizer::of_model("gpt-4o").of_text(short), tokens::of_text(short));
}

#[test]
fn a_message_counts_all_it_carries() {
    let count = Tokenizer::ESTIMATE;
    let call = ToolUse {
        id: "call_1".into(),
        name: "read_file".into(),
        arguments: r#"{"path":"a.txt"}"#.into(),
    };
    let plain = count.of_message(&Message::assistant("hello"));
    let calling = Message::Assistant {
        content: Some(Content::Text("hello".into())),
        reasoning: Some("it wants the file".into()),
        tool_calls: vec![call],
    };
    let parts = count.of_text("it wants the file")
        + count.of_text("read_file")
        + count.of_text(r#"{"path":"a.txt"}"#);
    assert_eq!(count.of_message(&calling), plain + parts + Tokens(CALL_OVERHEAD));
    assert_eq!(count.of_tools(&[]), Tokens::ZERO);
}

#[test]
fn a_page_that_was_brought_back_counts_as_its_text() {
    let text = "what was there before ".repeat(40);
    let plain = Message::User {
        content: Content::Parts(vec![Part::Text { text: text.clone() }]),
        name: None,
    };
    let page = Part::Page { page: aosk_abi::PageId(3), text };
    let brought_back = Message::User { content: Content::Parts(vec![page]), name: None };
    for tokenizer in [Tokenizer::ESTIMATE, Tokenizer::of_model("gpt-4o")] {
        assert_eq!(tokenizer.of_message(&brought_back), tokenizer.of_message(&plain));
    }
}

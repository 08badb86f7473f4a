//! Tests of `price`.

use super::*;

#[test]
fn the_file_is_understood_and_sensible() {
    let file: File = serde_json::from_str(include_str!("../models.json")).expect("parses");
    assert!(file.models.len() > 20);
    let mut ids = std::collections::BTreeSet::new();
    for model in &file.models {
        for id in std::iter::once(&model.id).chain(&model.aliases) {
            assert!(ids.insert((model.provider.clone(), id.clone())), "{id} stands twice");
        }
        assert!(crate::provider::find(&model.provider).is_some(), "{}", model.provider);
        let price = model.price().usual;
        assert!(price.cache_read <= price.input && price.input <= price.output, "{}", model.id);
        assert!(price.cache_write >= price.input, "{}", model.id);
        if let Some(long) = model.long_price() {
            assert!(long.usual.cache_write > price.cache_write, "{}", model.id);
            assert_eq!(Rates { cache_write: price.cache_write, ..long.usual }, price);
            assert_eq!((long.long, model.long.is_none()), (None, true), "{}", model.id);
        }
        let _: jiff::civil::Date = model.as_of.parse().expect("a date");
        assert!(!model.source.is_empty());
        if let Some(long) = model.long {
            assert!(long.rates.input > price.input && long.rates.output > price.output);
            assert_eq!(model.price().long, Some((long.above, long.rates)));
        }
    }
}

#[test]
fn versions_are_found_under_their_model() {
    let id = |provider, model| find(provider, model).map(|model| model.id.as_str());
    assert_eq!(id("anthropic", "claude-haiku-4-5"), Some("claude-haiku-4-5"));
    assert_eq!(id("anthropic", "claude-haiku-4-5-20251001"), Some("claude-haiku-4-5"));
    assert_eq!(id("anthropic", "claude-haiku-4-5-latest"), Some("claude-haiku-4-5"));
    assert_eq!(id("openai", "gpt-5.4-mini-2026-03-17"), Some("gpt-5.4-mini"));
    assert_eq!(id("deepseek", "deepseek-v4-flash"), Some("deepseek-flash"));
    assert_eq!(id("openai", "gpt-5.4-mini-turbo"), None);
    assert_eq!(id("openai", "claude-haiku-4-5"), None);
    assert_eq!(id("openai", "12345678"), None);
    assert_eq!(id("openai", ""), None);
}

#[test]
fn what_lives_long_is_dearer_to_write() {
    let model = find("anthropic", "claude-sonnet-5-5").expect("known");
    let written = aosk_abi::Usage { cache_write: Tokens(1_000_000), ..Default::default() };
    assert_eq!(model.price().of(&written), MicroUsd(2_500_000));
    assert_eq!(model.long_price().map(|price| price.of(&written)), Some(MicroUsd(4_000_000)));
    assert_eq!(find("openai", "gpt-6-luna").and_then(Model::long_price), None);
}

//! Tests of `price`.

use super::*;
use crate::catalogue::Catalogue;

fn find(provider: &str, model: &str) -> Option<Model> {
    Catalogue::default().find(provider, model).cloned()
}

#[test]
fn the_file_is_understood_and_sensible() {
    let file: File = serde_json::from_str(include_str!("../models.json")).expect("parses");
    assert!(file.models.len() > 20);
    let mut ids = std::collections::BTreeSet::new();
    for model in &file.models {
        for id in std::iter::once(&model.id).chain(&model.aliases) {
            assert!(ids.insert((model.provider.clone(), id.clone())), "{id} stands twice");
        }
        let provider = crate::provider::find(&model.provider).expect("known");
        assert_eq!(provider.models_of(), model.provider);
        let price = model.price().usual;
        assert!(price.cache_read <= price.input && price.input <= price.output, "{}", model.id);
        assert!(price.cache_write >= price.input, "{}", model.id);
        if let Some(long) = model.long_price() {
            assert!(long.usual.cache_write > price.cache_write, "{}", model.id);
            assert_eq!(Rates { cache_write: price.cache_write, ..long.usual }, price);
            if let (Some((_, usual)), Some((_, long))) = (model.price().long, long.long) {
                assert!(long.cache_write > usual.cache_write, "{}", model.id);
            }
        }
        let _: jiff::civil::Date = model.as_of.parse().expect("a date");
        assert!(!model.source.is_empty() && !model.as_of.is_empty());
        if let Some(long) = model.long {
            assert!(long.rates.input > price.input && long.rates.output > price.output);
            assert_eq!(model.price().long, Some((long.above, long.rates)));
        }
    }
}

#[test]
fn what_lives_long_is_dearer_to_write() {
    let model = find("anthropic", "claude-sonnet-5-5").expect("known");
    let written = aosk_abi::Usage { cache_write: Tokens(1_000_000), ..Default::default() };
    assert_eq!(model.price().of(&written), MicroUsd(2_500_000));
    assert_eq!(model.long_price().map(|price| price.of(&written)), Some(MicroUsd(4_000_000)));
    assert_eq!(find("openai", "gpt-6-luna").and_then(|model| model.long_price()), None);
    // In a long request too.
    let model = find("anthropic", "claude-haiku-5-5").expect("known");
    assert_eq!(model.price().of(&written), MicroUsd(625_000));
    assert_eq!(model.long_price().map(|price| price.of(&written)), Some(MicroUsd(1_000_000)));
}

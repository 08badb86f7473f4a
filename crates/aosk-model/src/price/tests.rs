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
fn deepseek_is_cheaper_outside_of_its_hours() {
    let model = find("deepseek", "deepseek-flash").expect("known");
    let million = aosk_abi::Usage { input_uncached: Tokens(1_000_000), ..Default::default() };
    let price = model.price();
    // Friday, 2026-11-20, at 00:59, 01:00, 04:00 and 09:59, and the next day at 01:00.
    let minutes = [59, 60, 240, 599, 1_500];
    let costs = minutes.map(|minute| {
        price.of(&million, aosk_abi::Timestamp(1_795_132_800_000 + minute * 60_000)).0
    });
    assert_eq!(costs, [150_000, 300_000, 150_000, 300_000, 150_000]);
    assert_eq!(price.worst_case(Tokens(1_000_000), Tokens(0)), MicroUsd(300_000));
    let off = price.off_peak.expect("it has hours");
    assert_eq!(off.peak.to_string(), "mon-fri 01:00-04:00, mon-fri 06:00-10:00");
    assert_eq!((off.rates.cache_read, off.rates.output), (MicroUsd(3_000), MicroUsd(600_000)));
}

#[test]
fn every_model_of_the_file_has_a_class() {
    let without: Vec<_> = models().iter().filter(|model| model.quality.is_none()).collect();
    assert!(without.is_empty(), "{without:#?}");
}

#[test]
fn what_lives_long_is_dearer_to_write() {
    let model = find("anthropic", "claude-sonnet-5-5").expect("known");
    let written = aosk_abi::Usage { cache_write: Tokens(1_000_000), ..Default::default() };
    assert_eq!(model.price().of(&written, aosk_abi::Timestamp::ZERO), MicroUsd(2_500_000));
    assert_eq!(
        model.long_price().map(|price| price.of(&written, aosk_abi::Timestamp::ZERO)),
        Some(MicroUsd(4_000_000))
    );
    assert_eq!(find("openai", "gpt-6-luna").and_then(|model| model.long_price()), None);
    // In a long request too.
    let model = find("anthropic", "claude-haiku-5-5").expect("known");
    assert_eq!(model.price().of(&written, aosk_abi::Timestamp::ZERO), MicroUsd(625_000));
    assert_eq!(
        model.long_price().map(|price| price.of(&written, aosk_abi::Timestamp::ZERO)),
        Some(MicroUsd(1_000_000))
    );
}

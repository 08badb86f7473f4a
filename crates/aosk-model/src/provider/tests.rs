//! Tests of `provider`.

use super::*;

#[test]
fn names_and_aliases_are_unique_and_found_in_any_case() {
    let mut seen = std::collections::BTreeSet::new();
    for provider in PROVIDERS {
        for name in std::iter::once(&provider.name).chain(provider.aliases) {
            assert!(seen.insert(*name), "{name} stands twice");
            assert_eq!(find(&name.to_uppercase()), Some(provider));
        }
        let _: reqwest::Url = provider.base_url.parse().expect("an address");
        assert!(!provider.base_url.ends_with('/'));
        let is_local = provider.base_url.starts_with("http://127.0.0.1");
        assert_eq!(provider.needs_key, !is_local, "{}", provider.name);
        assert_eq!(provider.cache == crate::caching::OWN, is_local, "{}", provider.name);
        let classes = ["anthropic5m", "openai56", "openai", "deepseek", "gemini", "vllm16", "none"];
        assert!(classes.contains(&provider.cache), "{}", provider.name);
    }
    assert_eq!(find("no-such"), None);
}

#[test]
fn near_names_are_slips_of_the_hand() {
    assert_eq!(near("opnai"), ["openai"]);
    assert_eq!(near("antropic"), ["anthropic"]);
    assert_eq!(near("Kmi"), ["moonshot"]);
    assert_eq!(near("xyzzy-corp"), [""; 0]);
}

#[test]
fn edits_count_the_shortest_way() {
    assert_eq!(edits("", "abc"), 3);
    assert_eq!(edits("kitten", "sitting"), 3);
    assert_eq!(edits("same", "same"), 0);
}

#[test]
fn providers_have_their_words_for_wishes() {
    let words = |name| find(name).map(Provider::words);
    for name in ["deepseek", "glm", "zai", "dashscope"] {
        assert_eq!(words(name), Some(Words::Objects), "{name}");
    }
    for name in ["vllm", "llama.cpp", "ollama", "openrouter"] {
        assert_eq!(words(name), Some(Words::Open), "{name}");
    }
    assert_eq!(words("mistral"), Some(Words::Mistral));
    assert_eq!(words("kimi"), Some(Words::Common));
}

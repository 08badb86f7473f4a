//! Tests of `resolve`.

use super::*;

#[test]
fn ollama_host_is_understood_as_ollama_does() {
    let cases = [
        ("127.0.0.1:11500", "http://127.0.0.1:11500/v1"),
        ("box", "http://box:11434/v1"),
        ("0.0.0.0", "http://127.0.0.1:11434/v1"),
        ("http://box:1/", "http://box:1/v1"),
        ("https://ollama.example", "https://ollama.example/v1"),
    ];
    for (host, url) in cases {
        assert_eq!(ollama_url(host), url);
    }
}

#[test]
fn only_the_first_colon_parts_provider_and_model() {
    let parsed = |spec| parse(spec).map(|(provider, model)| (provider.name, model));
    assert_eq!(parsed("ollama:qwen3:8b"), Ok(("ollama", Some("qwen3:8b"))));
    assert_eq!(parsed("Claude"), Ok(("anthropic", None)));
    assert!(parsed("ollama: ").is_err());
}

/// A model may be asked for by a name that newer OpenAI models have, at any address.
#[test]
fn newer_models_are_told_by_name() {
    assert!(is_newer_openai("gpt-5.4-mini") && is_newer_openai("o3-mini"));
    assert!(!is_newer_openai("gpt-4o") && !is_newer_openai("olmo"));
}

//! Which rules of prefix caching hold for a model at an address, and what of them is said on the wire.
//!
//! The classes are the kernel's; here are their names. Where a provider's own address is replaced,
//! a server of another make may stand behind it, so nothing is sent that such a one could refuse.

use crate::openai::Breakpoints;
use crate::price::Model;
use crate::provider::Provider;

/// The class of a server of one's own, where reading the cache costs nothing.
pub(crate) const OWN: &str = "vllm16";

/// How the prefixes of one model are cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caching {
    /// The class.
    pub(crate) class: &'static str,
    /// The class with the longer lifetime, if there is one.
    pub(crate) long_class: Option<&'static str>,
    /// Whether the provider takes a cache key.
    pub(crate) key: bool,
    /// How breakpoints are written, in chat completions.
    pub(crate) breakpoints: Breakpoints,
}

impl Caching {
    /// How `model`, of which `known` is known, is cached at `provider` or, if `is_own`, at an address
    /// that replaces the provider's.
    pub(crate) fn of(
        provider: &Provider,
        model: &str,
        known: Option<&Model>,
        is_own: bool,
    ) -> Self {
        let usual = Self {
            class: provider.cache,
            long_class: provider.long_cache,
            key: false,
            breakpoints: Breakpoints::Nowhere,
        };
        // A model that nobody sells under this name is one that somebody runs.
        if !provider.needs_key || is_own && known.is_none() {
            return Self { class: OWN, long_class: None, ..usual };
        }
        match provider.models_of() {
            "openai" if has_breakpoints(model) => {
                let breakpoints =
                    if is_own { Breakpoints::Nowhere } else { Breakpoints::PromptCache };
                Self { class: "openai56", key: !is_own, breakpoints, ..usual }
            }
            "openai" => Self { key: !is_own, ..usual },
            // Marks are documented for some of its models: those that have a price for writing. The
            // rules are Anthropic's, figure by figure. Unmarked, it caches by itself, without promise.
            "qwen" if !is_own && known.is_some_and(Model::charges_writes) => {
                Self { class: "anthropic5m", breakpoints: Breakpoints::CacheControl, ..usual }
            }
            // They would be cached only where marks are.
            "openrouter" if model.starts_with("anthropic/") => Self { class: "none", ..usual },
            _ => usual,
        }
    }
}

/// Whether the model is GPT-5.6 or later, which have breakpoints and charge for writing.
fn has_breakpoints(model: &str) -> bool {
    let Some(rest) = model.strip_prefix("gpt-") else { return false };
    let version = rest.split('-').next().unwrap_or_default();
    let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
    match (major.parse::<u32>(), minor.parse::<u32>()) {
        (Ok(major), Ok(minor)) => (major, minor) >= (5, 6),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Catalogue, provider};

    fn of(provider: &str, model: &str, is_own: bool) -> Caching {
        let provider = provider::find(provider).expect("known");
        let catalogue = Catalogue::default();
        let known = catalogue.find(provider.models_of(), model);
        Caching::of(provider, model, known, is_own)
    }

    #[test]
    fn the_class_is_the_models_at_the_address() {
        let class = |provider, model, is_own| {
            let caching = of(provider, model, is_own);
            (caching.class, caching.long_class)
        };
        let claude = "claude-sonnet-5-5";
        assert_eq!(class("anthropic", claude, false), ("anthropic5m", Some("anthropic1h")));
        assert_eq!(class("anthropic", claude, true), ("anthropic5m", Some("anthropic1h")));
        assert_eq!(class("anthropic", "any", true), ("vllm16", None));
        assert_eq!(class("openai", "gpt-5.4-mini", false), ("openai", None));
        assert_eq!(class("openai", "gpt-4o", false), ("openai", None));
        assert_eq!(class("openai", "gpt-5.6-sol", false), ("openai56", None));
        assert_eq!(class("openai", "gpt-6-astra", true), ("openai56", None));
        assert_eq!(class("openai", "Qwen/Qwen3-8B", true), ("vllm16", None));
        assert_eq!(class("deepseek", "deepseek-flash", false), ("deepseek", None));
        assert_eq!(class("qwen", "qwen3.8-flash", false), ("anthropic5m", None));
        assert_eq!(class("qwen", "qwen3.8-max", false), ("openai", None));
        assert_eq!(class("openrouter", "anthropic/claude-sonnet-5-5", false), ("none", None));
        assert_eq!(class("openrouter", "openrouter/auto", false), ("openai", None));
        for local in ["ollama", "vllm", "llamacpp"] {
            assert_eq!(class(local, "m", false), ("vllm16", None));
        }
    }

    #[test]
    fn only_those_who_take_it_are_told() {
        let told = |provider, model, is_own| {
            let caching = of(provider, model, is_own);
            (caching.key, caching.breakpoints)
        };
        assert_eq!(told("openai", "gpt-5.6-luna", false), (true, Breakpoints::PromptCache));
        assert_eq!(told("openai", "gpt-5.4-mini", false), (true, Breakpoints::Nowhere));
        assert_eq!(told("openai", "gpt-5.6-luna", true), (false, Breakpoints::Nowhere));
        assert_eq!(told("openai", "gpt-5.4-mini", true), (false, Breakpoints::Nowhere));
        assert!(told("openai-responses", "gpt-5.4-mini", false).0);
        assert_eq!(told("qwen", "qwen3.8-flash", false), (false, Breakpoints::CacheControl));
        assert_eq!(told("qwen", "qwen3.8-flash", true), (false, Breakpoints::Nowhere));
        for provider in provider::PROVIDERS {
            if !matches!(provider.models_of(), "openai" | "qwen") {
                assert_eq!(told(provider.name, "m", false), (false, Breakpoints::Nowhere));
            }
        }
    }

    #[test]
    fn versions_of_gpt_are_compared_as_numbers() {
        for model in ["gpt-5.6", "gpt-5.10-mini", "gpt-6", "gpt-6-luna", "gpt-6.1-sol", "gpt-10"] {
            assert!(has_breakpoints(model), "{model}");
        }
        for model in ["gpt-5", "gpt-5.5", "gpt-4.1", "gpt-4o", "gpt-oss-120b", "o3", "gpt-", "5.6"]
        {
            assert!(!has_breakpoints(model), "{model}");
        }
    }
}

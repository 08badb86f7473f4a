//! Which providers go on from an answer that was begun, and how they want that said.
//!
//! What stands here was read in the source that stands with it; nothing was asked of a provider. One
//! that is not in the table would begin another answer, so it is never given one that was begun. Nor
//! is a server of unknown make at an address that replaces a provider's.

use crate::provider::Provider;

/// How a provider is told to go on from the last message, which is the assistant's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Continuation {
    /// It cannot be.
    Never,
    /// That the message is the last says it.
    Plain,
    /// The same, in a format that refuses a last message which ends in white space.
    Trimmed,
    /// `"prefix": true` in the message.
    Prefix,
    /// `"partial": true` in the message.
    Partial,
    /// `"continue_final_message": true` in the request, and no prompt for a new message.
    FinalMessage,
}

/// How a model goes on from an answer that was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Continuing {
    /// How it is told to.
    pub how: Continuation,
    /// Whether the answer may begin with what was begun, which is then left out of it. Versions of
    /// the same server differ.
    pub repeats: bool,
}

impl Continuing {
    /// One that cannot.
    pub const NEVER: Self = Self { how: Continuation::Never, repeats: false };

    /// What is sent of a text that was begun.
    pub(crate) fn sent(self, begun: &str) -> &str {
        match self.how {
            Continuation::Never => "",
            Continuation::Trimmed => begun.trim_end(),
            Continuation::Plain
            | Continuation::Prefix
            | Continuation::Partial
            | Continuation::FinalMessage => begun,
        }
    }
}

/// What is known of one provider.
struct Row {
    provider: &'static str,
    continuing: Continuing,
    /// Which of its models can.
    models: fn(&str) -> bool,
    /// The base URL that takes it, where that is another one.
    base_url: Option<&'static str>,
}

/// Every provider that can. Those of OpenAI, MiniMax, Zhipu, Groq and OpenRouter either have no word for
/// it or do not say for which models.
const TABLE: &[Row] = &[
    Row {
        // "Prefill Claude's response": the text must not end in white space. Since Claude 4.6 a last
        // message of the assistant is refused ("What's new in Claude 4.6", prefill removal).
        provider: "anthropic",
        continuing: Continuing { how: Continuation::Trimmed, repeats: false },
        models: takes_prefill,
        base_url: None,
    },
    Row {
        // api-docs.deepseek.com, "Chat Prefix Completion (Beta)".
        provider: "deepseek",
        continuing: Continuing { how: Continuation::Prefix, repeats: false },
        models: |_| true,
        base_url: Some("https://api.deepseek.com/beta"),
    },
    Row {
        // platform.kimi.ai, "Use Kimi API's Partial Mode".
        provider: "moonshot",
        continuing: Continuing { how: Continuation::Partial, repeats: false },
        models: |_| true,
        base_url: None,
    },
    Row {
        // help.aliyun.com, model-studio, "Partial mode", with a list of models.
        provider: "qwen",
        continuing: Continuing { how: Continuation::Partial, repeats: false },
        models: has_partial_mode,
        base_url: None,
    },
    Row {
        // docs.mistral.ai, API reference: `prefix` of an assistant's message. The answer has the
        // prefix in it, which clients such as the AI SDK leave out.
        provider: "mistral",
        continuing: Continuing { how: Continuation::Prefix, repeats: true },
        models: |_| true,
        base_url: None,
    },
    Row {
        // docs.vllm.ai, "OpenAI-Compatible Server", extra parameters; `echo` is off by default.
        provider: "vllm",
        continuing: Continuing { how: Continuation::FinalMessage, repeats: false },
        models: |_| true,
        base_url: None,
    },
    Row {
        // `--prefill-assistant`, on by default (pull request 13174). Seen on the wire: builds of 2026
        // repeat what was begun, whole or as the first piece of the stream.
        provider: "llamacpp",
        continuing: Continuing { how: Continuation::Plain, repeats: true },
        models: |_| true,
        base_url: None,
    },
    Row {
        // The maintainers in issue 6778: a last message of the assistant is gone on from.
        provider: "ollama",
        continuing: Continuing { how: Continuation::Plain, repeats: false },
        models: |_| true,
        base_url: None,
    },
];

/// How `model` of `provider` goes on, and the base URL for it where that is another one. `is_own` says
/// that the provider's address is replaced.
pub(crate) fn of(
    provider: &Provider,
    model: &str,
    is_own: bool,
) -> (Continuing, Option<&'static str>) {
    let row = TABLE.iter().find(|row| row.provider == provider.name && (row.models)(model));
    match row {
        Some(row) if !is_own || !provider.needs_key => (row.continuing, row.base_url),
        Some(_) | None => (Continuing::NEVER, None),
    }
}

/// Whether the model is a Claude of a version up to 4.5.
fn takes_prefill(model: &str) -> bool {
    let Some(rest) = model.strip_prefix("claude-") else { return false };
    // The version stands before or behind the name of the family; a date is no part of it.
    let is_version = |part: &&str| part.len() <= 2;
    let mut version = rest.split('-').filter(is_version).map_while(|part| part.parse::<u32>().ok());
    match (version.next(), version.next().unwrap_or(0)) {
        (Some(major), minor) => (major, minor) <= (4, 5),
        (None, _) => false,
    }
}

/// Whether the model is one of a series that is listed for partial mode.
fn has_partial_mode(model: &str) -> bool {
    const SERIES: [&str; 10] = [
        "qwen-max",
        "qwen-plus",
        "qwen-flash",
        "qwen-turbo",
        "qwen2.5-",
        "qwen3-",
        "qwen3.5-",
        "qwen3.6-",
        "qwen3.7-max",
        "qwen3.7-plus",
    ];
    SERIES.iter().any(|series| model.starts_with(series))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider;

    fn how(name: &str, model: &str, is_own: bool) -> Continuation {
        of(provider::find(name).expect("known"), model, is_own).0.how
    }

    #[test]
    fn only_claudes_that_take_a_prefill_are_given_one() {
        for model in [
            "claude-haiku-4-5",
            "claude-sonnet-4-5-20250929",
            "claude-sonnet-4-20250514",
            "claude-opus-4-1-20250805",
            "claude-3-5-sonnet-20241022",
            "claude-3-haiku-20240307",
        ] {
            assert_eq!(how("anthropic", model, false), Continuation::Trimmed, "{model}");
        }
        for model in [
            "claude-sonnet-4-6",
            "claude-opus-4-6",
            "claude-sonnet-5-5",
            "claude-haiku-5-5",
            "claude-fable-5",
            "claude-opus-10-1",
            "claude-sonnet-latest",
            "claude-",
            "gpt-4",
        ] {
            assert_eq!(how("anthropic", model, false), Continuation::Never, "{model}");
        }
    }

    #[test]
    fn the_way_is_the_providers() {
        assert_eq!(how("deepseek", "deepseek-flash", false), Continuation::Prefix);
        assert_eq!(how("kimi", "kimi-k2.6", false), Continuation::Partial);
        assert_eq!(how("qwen", "qwen3.7-plus", false), Continuation::Partial);
        assert_eq!(how("qwen", "qwen3.8-flash", false), Continuation::Never, "it is not listed");
        assert_eq!(how("mistral", "mistral-medium-latest", false), Continuation::Prefix);
        for name in ["openai", "minimax", "zhipu", "groq", "openrouter"] {
            assert_eq!(how(name, "m", false), Continuation::Never, "{name}");
        }
        // A server of one's own is of the make that is named; another address of a provider may be
        // anything.
        for is_own in [false, true] {
            assert_eq!(how("vllm", "m", is_own), Continuation::FinalMessage);
            assert_eq!(how("llamacpp", "m", is_own), Continuation::Plain);
            assert_eq!(how("ollama", "m", is_own), Continuation::Plain);
        }
        assert_eq!(how("deepseek", "deepseek-flash", true), Continuation::Never);
        assert_eq!(how("anthropic", "claude-haiku-4-5", true), Continuation::Never);
    }

    #[test]
    fn every_row_is_of_a_provider() {
        for row in TABLE {
            assert_eq!(provider::find(row.provider).map(|found| found.name), Some(row.provider));
        }
    }
}

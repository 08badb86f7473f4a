//! What is known of each provider: addresses, keys, wire formats, habits.

use crate::anthropic::Version;
use crate::openai::{ReasoningField, Words};

/// The wire format that a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// Chat completions.
    OpenAi {
        /// Where earlier reasoning goes back.
        reasoning: ReasoningField,
        /// Whether usage at the end of a stream is asked for.
        stream_usage: bool,
    },
    /// Anthropic's Messages.
    Anthropic {
        /// The version of the format.
        version: Version,
        /// Whether the provider caches only what is marked.
        cache_marks: bool,
    },
    /// OpenAI's Responses.
    Responses,
    /// Gemini's own.
    Gemini,
}

/// One provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provider {
    /// The name before the colon.
    pub name: &'static str,
    /// Other names for it.
    pub aliases: &'static [&'static str],
    /// The base URL; the wire format adds its path.
    pub base_url: &'static str,
    /// The environment variable that replaces the base URL, if there is a customary one.
    pub base_url_variable: Option<&'static str>,
    /// The environment variable that has the key.
    pub key_variable: &'static str,
    /// Others that may have it, where that one is not set.
    pub other_key_variables: &'static [&'static str],
    /// Whether the provider wants a key at its own address.
    pub needs_key: bool,
    /// The wire format.
    pub wire: Wire,
    /// The model that is taken when none is named; none where it depends on what is installed.
    pub default_model: Option<&'static str>,
    /// Concurrent calls that are sensible without knowing the account's rates.
    pub slots: u32,
    /// The class of its prefix cache, by the name that the kernel has for it. Models of one provider
    /// may be of another class; see [`crate::Resolved::cache`].
    pub cache: &'static str,
    /// The class with the longer of the lifetimes it offers, if it offers one.
    pub long_cache: Option<&'static str>,
}

impl Provider {
    /// Which words it knows for wishes, where it speaks chat completions. Of schemas, so say `DeepSeek`'s
    /// and Zhipu's documentation, and that of `DashScope` for most models (as of 2026-11).
    pub(crate) fn words(&self) -> Words {
        match self.name {
            "deepseek" | "zhipu" | "zai" | "qwen" => Words::Objects,
            "mistral" => Words::Mistral,
            "ollama" | "vllm" | "llamacpp" | "openrouter" => Words::Open,
            _ => Words::Common,
        }
    }

    /// Whether what it reads from its cache does not count to its rate of tokens: so Anthropic says of
    /// its current models in its documentation of rate limits (as of 2026-11).
    pub(crate) fn reads_free(&self) -> bool {
        self.name == "anthropic"
    }
}

const PLAIN: Wire = Wire::OpenAi { reasoning: ReasoningField::Nowhere, stream_usage: true };
const ECHOED: Wire =
    Wire::OpenAi { reasoning: ReasoningField::ReasoningContent, stream_usage: true };
const ALWAYS_ECHOED: Wire =
    Wire::OpenAi { reasoning: ReasoningField::AlwaysReasoningContent, stream_usage: true };

/// Most hosted providers allow more; their rate limits are found out by hitting them.
const HOSTED: u32 = 16;

/// Every provider. The order is the order in which key variables are looked for when no model is
/// named.
pub const PROVIDERS: &[Provider] = &[
    Provider {
        name: "anthropic",
        aliases: &["claude"],
        base_url: "https://api.anthropic.com",
        base_url_variable: Some("ANTHROPIC_BASE_URL"),
        key_variable: "ANTHROPIC_API_KEY",
        other_key_variables: &[],
        needs_key: true,
        wire: Wire::Anthropic { version: Version::V2026, cache_marks: true },
        default_model: Some("claude-sonnet-5-5"),
        slots: HOSTED,
        cache: "anthropic5m",
        long_cache: Some("anthropic1h"),
    },
    Provider {
        name: "openai",
        aliases: &[],
        base_url: "https://api.openai.com/v1",
        base_url_variable: Some("OPENAI_BASE_URL"),
        key_variable: "OPENAI_API_KEY",
        other_key_variables: &[],
        needs_key: true,
        wire: PLAIN,
        default_model: Some("gpt-5.4-mini"),
        slots: HOSTED,
        cache: "openai",
        long_cache: None,
    },
    Provider {
        // The same models, asked in their newer format. It is taken by itself where a model wants it.
        name: "openai-responses",
        aliases: &["responses"],
        base_url: "https://api.openai.com/v1",
        base_url_variable: Some("OPENAI_BASE_URL"),
        key_variable: "OPENAI_API_KEY",
        other_key_variables: &[],
        needs_key: true,
        wire: Wire::Responses,
        default_model: Some("gpt-5.4-mini"),
        slots: HOSTED,
        cache: "openai",
        long_cache: None,
    },
    Provider {
        name: "gemini",
        aliases: &["google"],
        base_url: "https://generativelanguage.googleapis.com",
        base_url_variable: Some("GOOGLE_GEMINI_BASE_URL"),
        key_variable: "GOOGLE_API_KEY",
        other_key_variables: &["GEMINI_API_KEY"],
        needs_key: true,
        wire: Wire::Gemini,
        default_model: Some("gemini-3.8-flash"),
        slots: HOSTED,
        cache: "gemini",
        long_cache: None,
    },
    Provider {
        name: "deepseek",
        aliases: &[],
        base_url: "https://api.deepseek.com",
        base_url_variable: None,
        key_variable: "DEEPSEEK_API_KEY",
        other_key_variables: &[],
        needs_key: true,
        wire: ALWAYS_ECHOED,
        default_model: Some("deepseek-flash"),
        slots: HOSTED,
        cache: "deepseek",
        long_cache: None,
    },
    Provider {
        name: "moonshot",
        aliases: &["kimi"],
        base_url: "https://api.moonshot.ai/v1",
        base_url_variable: None,
        key_variable: "MOONSHOT_API_KEY",
        other_key_variables: &[],
        needs_key: true,
        wire: ALWAYS_ECHOED,
        default_model: Some("kimi-k2.6"),
        slots: HOSTED,
        cache: "openai",
        long_cache: None,
    },
    Provider {
        name: "qwen",
        aliases: &["dashscope"],
        base_url: "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        base_url_variable: None,
        key_variable: "DASHSCOPE_API_KEY",
        other_key_variables: &[],
        needs_key: true,
        wire: ECHOED,
        default_model: Some("qwen3.8-flash"),
        slots: HOSTED,
        cache: "openai",
        long_cache: None,
    },
    Provider {
        // Its chat completions put reasoning into the text; its Messages keep the two apart.
        name: "minimax",
        aliases: &[],
        base_url: "https://api.minimax.io/anthropic",
        base_url_variable: None,
        key_variable: "MINIMAX_API_KEY",
        other_key_variables: &[],
        needs_key: true,
        wire: Wire::Anthropic { version: Version::V2023, cache_marks: false },
        default_model: Some("MiniMax-M3"),
        slots: HOSTED,
        cache: "openai",
        long_cache: None,
    },
    Provider {
        name: "zhipu",
        aliases: &["glm", "bigmodel"],
        base_url: "https://open.bigmodel.cn/api/paas/v4",
        base_url_variable: None,
        key_variable: "ZHIPUAI_API_KEY",
        other_key_variables: &[],
        needs_key: true,
        wire: ECHOED,
        default_model: Some("glm-4.6"),
        slots: HOSTED,
        cache: "openai",
        long_cache: None,
    },
    Provider {
        // The same house abroad: other keys, other prices.
        name: "zai",
        aliases: &["z.ai"],
        base_url: "https://api.z.ai/api/paas/v4",
        base_url_variable: None,
        key_variable: "ZAI_API_KEY",
        other_key_variables: &[],
        needs_key: true,
        wire: ECHOED,
        default_model: Some("glm-5.3-flash"),
        slots: HOSTED,
        cache: "openai",
        long_cache: None,
    },
    Provider {
        name: "mistral",
        aliases: &[],
        base_url: "https://api.mistral.ai/v1",
        base_url_variable: None,
        key_variable: "MISTRAL_API_KEY",
        other_key_variables: &[],
        needs_key: true,
        // It refuses fields that it does not know, and sends usage unasked.
        wire: Wire::OpenAi { reasoning: ReasoningField::Nowhere, stream_usage: false },
        default_model: Some("mistral-medium-latest"),
        slots: HOSTED,
        // Nothing is documented.
        cache: "none",
        long_cache: None,
    },
    Provider {
        name: "groq",
        aliases: &[],
        base_url: "https://api.groq.com/openai/v1",
        base_url_variable: None,
        key_variable: "GROQ_API_KEY",
        other_key_variables: &[],
        needs_key: true,
        wire: PLAIN,
        default_model: Some("openai/gpt-oss-120b"),
        slots: HOSTED,
        cache: "openai",
        long_cache: None,
    },
    Provider {
        name: "openrouter",
        aliases: &[],
        base_url: "https://openrouter.ai/api/v1",
        base_url_variable: None,
        key_variable: "OPENROUTER_API_KEY",
        other_key_variables: &[],
        needs_key: true,
        wire: Wire::OpenAi { reasoning: ReasoningField::Reasoning, stream_usage: true },
        default_model: Some("openrouter/auto"),
        slots: HOSTED,
        cache: "openai",
        long_cache: None,
    },
    Provider {
        name: "ollama",
        aliases: &[],
        base_url: "http://127.0.0.1:11434/v1",
        base_url_variable: None,
        key_variable: "OLLAMA_API_KEY",
        other_key_variables: &[],
        needs_key: false,
        wire: PLAIN,
        default_model: None,
        slots: 1,
        cache: "vllm16",
        long_cache: None,
    },
    Provider {
        name: "vllm",
        aliases: &[],
        base_url: "http://127.0.0.1:8000/v1",
        base_url_variable: None,
        key_variable: "VLLM_API_KEY",
        other_key_variables: &[],
        needs_key: false,
        wire: ECHOED,
        default_model: None,
        slots: 64,
        cache: "vllm16",
        long_cache: None,
    },
    Provider {
        name: "llamacpp",
        aliases: &["llama.cpp", "llama-server"],
        base_url: "http://127.0.0.1:8080/v1",
        base_url_variable: None,
        key_variable: "LLAMA_API_KEY",
        other_key_variables: &[],
        needs_key: false,
        wire: ECHOED,
        // The server has one model and takes any name for it.
        default_model: Some("default"),
        slots: 4,
        cache: "vllm16",
        long_cache: None,
    },
];

impl Provider {
    /// The provider under whose name its models are known. The same models may be asked in two formats.
    #[must_use]
    pub fn models_of(&self) -> &'static str {
        if self.wire == Wire::Responses { "openai" } else { self.name }
    }

    /// The names of the variables that may have the key, for a message.
    #[must_use]
    pub fn key_names(&self) -> String {
        self.key_variables().collect::<Vec<_>>().join(" or ")
    }

    /// The variables that may have the key, the first of which wins.
    pub fn key_variables(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.key_variable).chain(self.other_key_variables.iter().copied())
    }
}

/// The provider of this name or alias, in any case.
#[must_use]
pub fn find(name: &str) -> Option<&'static Provider> {
    PROVIDERS.iter().find(|provider| {
        provider.name.eq_ignore_ascii_case(name)
            || provider.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(name))
    })
}

/// The names nearest to `name`, for a hint: at most three, those that could be a slip of the hand.
#[must_use]
pub fn near(name: &str) -> Vec<&'static str> {
    let name = name.to_ascii_lowercase();
    let mut found: Vec<(usize, &'static str)> = Vec::new();
    for provider in PROVIDERS {
        let names = std::iter::once(&provider.name).chain(provider.aliases);
        let distance = names.map(|known| edits(&name, known)).min().unwrap_or(usize::MAX);
        if distance <= (name.len() / 3).max(1) {
            found.push((distance, provider.name));
        }
    }
    found.sort_unstable();
    found.into_iter().take(3).map(|(_, name)| name).collect()
}

/// Insertions, deletions and replacements that lead from one text to the other.
fn edits(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (index, a) in from.chars().enumerate() {
        let mut left = index + 1;
        let mut above_left = index;
        let mut next = vec![left];
        for (b, &above) in to.chars().zip(row.iter().skip(1)) {
            left = (above_left + usize::from(a != b)).min(above + 1).min(left + 1);
            above_left = above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;

//! The rules by which providers cache prefixes, and what they charge for it.
//!
//! They change a few times a year. Looked up in November 2026 in the documentation of each provider;
//! prices are in thousandths of the price of an input token that is not cached.

use aosk_abi::Millis;

/// What a cached prefix is matched by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matching {
    /// Any prefix that was sent before, rounded down to whole blocks of so many tokens.
    Blocks {
        /// Tokens of a block.
        tokens: u32,
    },
    /// Only prefixes that end where a breakpoint stood.
    Breakpoints {
        /// The most in one request.
        max: usize,
        /// How many content blocks before a breakpoint an earlier one is found.
        look_back: usize,
    },
}

/// How one class of providers caches prefixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheRules {
    /// The name it is chosen by.
    pub name: &'static str,
    /// What is matched.
    pub matching: Matching,
    /// Tokens of the shortest prefix that is cached.
    pub minimum: u32,
    /// How long an entry lives after its last use.
    pub lifetime: Millis,
    /// The price of a token that is read from the cache.
    pub read: u64,
    /// The price of a token that is written to it.
    pub write: u64,
}

const MINUTE: u64 = 60_000;

/// Every class there is.
static RULES: [CacheRules; 7] = [
    CacheRules {
        name: "anthropic5m",
        matching: Matching::Breakpoints { max: 4, look_back: 20 },
        minimum: 1_024,
        lifetime: Millis(5 * MINUTE),
        read: 100,
        write: 1_250,
    },
    CacheRules {
        name: "anthropic1h",
        matching: Matching::Breakpoints { max: 4, look_back: 20 },
        minimum: 1_024,
        lifetime: Millis(60 * MINUTE),
        read: 100,
        write: 2_000,
    },
    CacheRules {
        name: "openai56",
        matching: Matching::Breakpoints { max: 4, look_back: 80 },
        minimum: 1_024,
        lifetime: Millis(30 * MINUTE),
        read: 100,
        write: 1_250,
    },
    CacheRules {
        name: "openai",
        matching: Matching::Blocks { tokens: 128 },
        minimum: 1_024,
        lifetime: Millis(10 * MINUTE),
        read: 100,
        write: 1_000,
    },
    CacheRules {
        name: "deepseek",
        matching: Matching::Blocks { tokens: 64 },
        minimum: 64,
        lifetime: Millis(600 * MINUTE),
        read: 20,
        write: 1_000,
    },
    CacheRules {
        name: "gemini",
        matching: Matching::Blocks { tokens: 1 },
        minimum: 4_096,
        lifetime: Millis(10 * MINUTE),
        read: 100,
        write: 1_000,
    },
    FREE,
];

/// A server of one's own.
const FREE: CacheRules = CacheRules {
    name: "vllm16",
    matching: Matching::Blocks { tokens: 16 },
    minimum: 16,
    lifetime: Millis::MAX,
    read: 0,
    write: 1_000,
};

/// A provider that caches nothing.
static NONE: CacheRules = CacheRules {
    name: "none",
    matching: Matching::Blocks { tokens: 1 },
    minimum: u32::MAX,
    lifetime: Millis::ZERO,
    read: 1_000,
    write: 1_000,
};

/// The rules of this name.
#[must_use]
pub fn rules(name: &str) -> Option<&'static CacheRules> {
    RULES.iter().chain([&NONE]).find(|rules| rules.name == name)
}

impl CacheRules {
    /// Those of a provider that caches nothing.
    #[must_use]
    pub fn none() -> &'static Self {
        &NONE
    }

    /// Those of a server of one's own, where nothing costs anything but time.
    #[must_use]
    pub fn free() -> &'static Self {
        &FREE
    }

    /// The names there are.
    pub fn names() -> impl Iterator<Item = &'static str> {
        RULES.iter().map(|rules| rules.name)
    }

    /// What it costs more to write a token than to read it.
    #[must_use]
    pub fn rewrite(&self) -> u64 {
        self.write.saturating_sub(self.read)
    }

    /// Breakpoints in one request; 0 where the provider wants none.
    #[must_use]
    pub fn breakpoints(&self) -> usize {
        match self.matching {
            Matching::Blocks { .. } => 0,
            Matching::Breakpoints { max, .. } => max,
        }
    }
}

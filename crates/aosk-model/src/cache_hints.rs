//! What the kernel knows of a prefix cache and the provider should be told.
//!
//! The kernel decides where breakpoints go; a driver writes them in its format, or leaves them out
//! where the provider knows no such thing. They change nothing of what the model reads.

use std::borrow::Cow;

use aosk_abi::Hash;

/// What to tell a provider's prefix cache with one request. Nothing by default.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct CacheHints {
    /// Places in the request's messages behind which a breakpoint goes, in order. The last ones count
    /// if they are more than the provider takes.
    pub breakpoints: Vec<usize>,
    /// Leading messages that are as in the last request of the process.
    pub unchanged: usize,
    /// Whether what is written to the cache should live for the longer of the provider's lifetimes.
    pub long_lived: bool,
    /// Brings requests with the same key to the same cache; empty for none.
    pub key: String,
}

/// Characters that OpenAI takes in a cache key: those of a hash.
const OPENAI_KEY_CHARS_MAX: usize = 64;

/// The key in as many characters as OpenAI takes: a longer one is replaced by its hash.
pub(crate) fn openai_key(key: &str) -> Cow<'_, str> {
    if key.chars().count() <= OPENAI_KEY_CHARS_MAX {
        Cow::Borrowed(key)
    } else {
        Cow::Owned(Hash::of(key.as_bytes()).to_string())
    }
}

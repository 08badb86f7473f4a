//! What of an answer a client was told already.

use aosk_abi::Usage;
use serde::Serialize;

use super::Frame;

/// The text and the reasoning that were told in pieces.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) text: String,
    pub(super) reasoning: String,
}

impl Told {
    /// What of the whole text was not told yet. Nothing, if another text was told: what a client was
    /// told cannot be taken back.
    pub(super) fn rest_of_text<'a>(&self, whole: &'a str) -> &'a str {
        whole.strip_prefix(self.text.as_str()).unwrap_or_default()
    }

    /// The same of the reasoning, which comes before any text.
    pub(super) fn rest_of_reasoning<'a>(&self, whole: &'a str) -> &'a str {
        let is_late = !self.text.is_empty();
        let rest = whole.strip_prefix(self.reasoning.as_str());
        rest.filter(|_| !is_late).unwrap_or_default()
    }
}

/// The event of this name and data.
pub(super) fn frame(event: Option<&'static str>, data: &impl Serialize) -> Frame {
    Frame { event, data: json(data) }
}

/// The JSON of what is written here: it has no maps with odd keys, so it always has one.
pub(super) fn json(data: &impl Serialize) -> String {
    serde_json::to_string(data).unwrap_or_default()
}

/// The tokens of a call in the sums that OpenAI's formats have: input has in it what was cached, output
/// what was thought.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sums {
    pub(super) input: u64,
    pub(super) cached: u64,
    pub(super) written: u64,
    pub(super) output: u64,
    pub(super) reasoning: u64,
    pub(super) total: u64,
}

impl Sums {
    pub(super) fn of(usage: &Usage) -> Self {
        let (input, output) = (usage.input().0, usage.output.0);
        Self {
            input,
            cached: usage.cache_read.0,
            written: usage.cache_write.0,
            output,
            reasoning: usage.reasoning.0,
            total: input.saturating_add(output),
        }
    }
}

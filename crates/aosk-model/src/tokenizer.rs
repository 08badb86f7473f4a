//! What counts the tokens of a model: its vocabulary where that is known, else an estimate.
//!
//! Vocabularies are those in the crate `tiktoken`, which knows them by the names of models: OpenAI's,
//! DeepSeek's, Qwen's, Kimi's, GLM's, MiniMax's, Mistral's and Llama's. One is unpacked when it is
//! first asked (some 50 ms and 12 to 24 MB). Text is counted as the provider counts it; what a
//! provider puts around messages and tools is not known and stays an estimate on the safe side.

use aosk_abi::{Content, Message, Part, Tokens, ToolSpec};

use crate::tokens;

/// Longer texts are estimated. A run of a million letters takes the vocabulary's algorithm 200 ms,
/// and it is the kernel's thread that waits.
const COUNTED_BYTES_MAX: usize = 256 * 1024;

/// Role, separators and the like around one message.
const MESSAGE_OVERHEAD: u64 = 8;

/// Id, name and framing of one tool call, besides name and arguments.
const CALL_OVERHEAD: u64 = 24;

/// Id and framing of one tool's result, besides what every message has.
const RESULT_OVERHEAD: u64 = 8;

/// Framing of one tool's description.
const TOOL_OVERHEAD: u64 = 16;

/// The instructions on tool use that a provider adds when any tool is offered. Anthropic states
/// about 350; chat templates of local models take 100 to 300.
const TOOLS_OVERHEAD: u64 = 400;

/// A part that is no text, such as an image: what a large image costs at most providers.
const OTHER_PART: u64 = 2_000;

/// Counts the tokens of one model.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tokenizer {
    /// The vocabulary's name; none for an estimate.
    vocabulary: Option<&'static str>,
}

impl Tokenizer {
    /// An estimate that fits no model in particular and errs on the side of too many.
    pub const ESTIMATE: Self = Self { vocabulary: None };

    /// The tokenizer of a model by the name its provider gives it. A vendor before a slash, as
    /// routers have it, is left aside.
    #[must_use]
    pub fn of_model(model: &str) -> Self {
        let name = model.rsplit('/').next().unwrap_or(model).to_ascii_lowercase();
        Self { vocabulary: tiktoken::model_to_encoding(&name) }
    }

    /// The tokens of a text. Markers such as `<|endoftext|>` are counted as the text they are.
    #[must_use]
    pub fn of_text(self, text: &str) -> Tokens {
        let vocabulary = self.vocabulary.filter(|_| text.len() <= COUNTED_BYTES_MAX);
        match vocabulary.and_then(tiktoken::get_encoding) {
            Some(vocabulary) => Tokens(vocabulary.count(text) as u64),
            None => tokens::of_text(text),
        }
    }

    /// The tokens of one message.
    #[must_use]
    pub fn of_message(self, message: &Message) -> Tokens {
        let mut total = Tokens(MESSAGE_OVERHEAD);
        match message {
            Message::System { content } => total += self.of_content(content),
            Message::User { content, name } => {
                total += self.of_content(content);
                total += name.as_deref().map(|name| self.of_text(name)).unwrap_or_default();
            }
            Message::Assistant { content, reasoning, tool_calls } => {
                total +=
                    content.as_ref().map(|content| self.of_content(content)).unwrap_or_default();
                total += reasoning.as_deref().map(|text| self.of_text(text)).unwrap_or_default();
                for call in tool_calls {
                    total += Tokens(CALL_OVERHEAD)
                        + self.of_text(&call.name)
                        + self.of_text(&call.arguments);
                }
            }
            Message::Tool { tool_call_id: _, name: _, content, is_error: _ } => {
                total += Tokens(RESULT_OVERHEAD) + self.of_content(content);
            }
        }
        total
    }

    /// The tokens of the tools offered.
    #[must_use]
    pub fn of_tools(self, tools: &[ToolSpec]) -> Tokens {
        let mut total = Tokens::ZERO;
        for tool in tools {
            total +=
                Tokens(TOOL_OVERHEAD) + self.of_text(&tool.name) + self.of_text(&tool.description);
            total += self.of_text(&tool.parameters.to_string());
        }
        if tools.is_empty() { total } else { total + Tokens(TOOLS_OVERHEAD) }
    }

    fn of_content(self, content: &Content) -> Tokens {
        match content {
            Content::Text(text) => self.of_text(text),
            Content::Parts(parts) => parts.iter().fold(Tokens::ZERO, |total, part| {
                total
                    + match part {
                        Part::Text { text } | Part::Page { text, .. } => self.of_text(text),
                        Part::Image { .. } | Part::Other { .. } => Tokens(OTHER_PART),
                    }
            }),
        }
    }
}

#[cfg(test)]
mod tests;

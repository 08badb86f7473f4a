//! What a provider counted, and whether to believe it.
//!
//! Budgets are charged with these figures, all the way up the tree. So figures that cannot be, such
//! as those of a counter that ran below zero, are no figures, and the estimate stands in for them.

use aosk_abi::{Content, Message, Part, Tokens, Usage};

use crate::driver::Request;
use crate::tokenizer::Tokenizer;
use crate::tokens;

/// Tokens that a provider may add to what it is sent: instructions of its own, results of its own
/// searches.
const ADDED_INPUT_MAX: u64 = 256 * 1024;

/// Tokens of what a provider keeps for a client: no window of any model has more.
const KEPT_INPUT_MAX: u64 = 16 * 1024 * 1024;

/// Tokens of a part that is no text. It may be the address of a document as long as any window.
const OTHER_PART_MAX: u64 = 1024 * 1024;

/// Tokens that a model may think without showing them, beyond the bound of the answer: as many as
/// the longest answer of any model has.
const HIDDEN_OUTPUT_MAX: u64 = 128 * 1024;

/// The figures of a provider.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted {
    /// The figures.
    pub(crate) usage: Usage,
    /// Whether the output is all counted; else the figure is from before the answer's end.
    pub(crate) output_is_final: bool,
}

/// What an attempt used that was answered, or had begun to be, with `answer`: as the provider
/// counted it, or as far as it can be told. `sent` is the length of the request in bytes.
pub(crate) fn usage(
    counted: Option<Counted>,
    request: &Request,
    sent: usize,
    answer: &Message,
) -> Usage {
    let believed = counted.filter(|counted| is_possible(&counted.usage, request, sent, answer));
    match believed {
        Some(Counted { usage, output_is_final: true }) => usage,
        Some(Counted { usage, output_is_final: false }) => {
            let output = usage.output.max(Tokenizer::ESTIMATE.of_message(answer));
            Usage { output, estimated: true, ..usage }
        }
        None => tokens::of_call(request, answer),
    }
}

/// Whether an attempt can have used so much: no token of a text has less than a byte.
fn is_possible(usage: &Usage, request: &Request, sent: usize, answer: &Message) -> bool {
    let others: u64 = request.messages.iter().map(|body| other_parts(body.message())).sum();
    // What is passed on for a client may point to a conversation or to documents that the provider has.
    let kept = if request.messages.is_empty() { KEPT_INPUT_MAX } else { 0 };
    let input_max = sent as u64 + ADDED_INPUT_MAX + others * OTHER_PART_MAX + kept;
    let output_max = request.options.output_max + Tokens(bytes(answer) + HIDDEN_OUTPUT_MAX);
    usage.input() <= Tokens(input_max) && usage.output <= output_max
}

/// Parts of the message that are no text.
fn other_parts(message: &Message) -> u64 {
    let content = match message {
        Message::System { content } | Message::User { content, .. } => Some(content),
        Message::Tool { content, .. } => Some(content),
        Message::Assistant { content, .. } => content.as_ref(),
    };
    let Some(Content::Parts(parts)) = content else { return 0 };
    parts.iter().filter(|part| matches!(part, Part::Image { .. } | Part::Other { .. })).count()
        as u64
}

/// Bytes of what a model says with the message.
fn bytes(answer: &Message) -> u64 {
    let Message::Assistant { content, reasoning, tool_calls } = answer else { return 0 };
    let text = match content {
        Some(Content::Text(text)) => text.len(),
        Some(Content::Parts(_)) | None => 0,
    };
    let calls = tool_calls.iter().map(|call| call.name.len() + call.arguments.len());
    (text + reasoning.as_ref().map_or(0, String::len) + calls.sum::<usize>()) as u64
}

#[cfg(test)]
mod tests;

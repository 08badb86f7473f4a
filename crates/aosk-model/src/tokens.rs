//! The estimate of tokens: what budgets reserve before a call and what stands in when a provider
//! sends no usage.
//!
//! It is an estimate for any tokenizer, and errs on the side of too many. Held against the
//! vocabularies of cl100k, o200k, Llama 3, DeepSeek, Qwen, Mistral, Kimi, GLM and MiniMax it gave
//! 10 to 50 % too many on English, Chinese and Japanese prose, on code, and on recorded agent
//! conversations as wholes, and two to three times too many on Russian and Arabic. Single short
//! messages of dense machine output (`ls -l`, base64) can come out up to a quarter too low, which
//! the rest of a conversation makes up for.

use aosk_abi::{Content, Message, Part, Tokens, ToolSpec, Usage};

use crate::driver::Request;

/// Role, separators and the like around one message.
const MESSAGE_OVERHEAD: u64 = 8;

/// Id, name and framing of one tool call, besides name and arguments.
const CALL_OVERHEAD: u64 = 24;

/// Framing of one tool's description.
const TOOL_OVERHEAD: u64 = 16;

/// The instructions on tool use that a provider adds when any tool is offered. Anthropic states
/// about 350; chat templates of local models take 100 to 300.
const TOOLS_OVERHEAD: u64 = 400;

/// A part that is no text, such as an image: what a large image costs at most providers.
const OTHER_PART: u64 = 2_000;

/// What a character is to a tokenizer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Lower,
    Upper,
    Blank,
    Other,
}

/// The tokens of `text`.
///
/// A run of letters is a token for every five of its characters, or two if they are capitals; a
/// digit is one, as several tokenizers have it; a Chinese, Japanese or Korean character 1.25; a
/// single blank goes with the word after it.
#[must_use]
pub fn of_text(text: &str) -> Tokens {
    let mut quarters = 0_u64;
    let mut before = Kind::Other;
    let mut run = 0_u64;
    for c in text.chars() {
        let kind = match c {
            'a'..='z' => Kind::Lower,
            'A'..='Z' => Kind::Upper,
            ' ' | '\t' => Kind::Blank,
            _ => Kind::Other,
        };
        // A capital and the small letters after it are one run; a capital after them begins
        // another.
        let goes_on =
            before == kind || (before, kind) == (Kind::Upper, Kind::Lower) && kind != Kind::Other;
        run = if goes_on { run + 1 } else { 0 };
        quarters += match kind {
            Kind::Lower if run.is_multiple_of(5) => 4,
            Kind::Upper if run.is_multiple_of(2) => 4,
            Kind::Blank if run % 4 == 1 => 4,
            Kind::Lower | Kind::Upper | Kind::Blank => 0,
            Kind::Other => match c.len_utf8() {
                1 if c.is_ascii_digit() || c == '\n' => 4,
                1 => 3,
                2 => 4,
                3 => 5,
                _ => 16,
            },
        };
        before = kind;
    }
    Tokens(quarters.div_ceil(4))
}

/// The tokens of one message.
#[must_use]
pub fn of_message(message: &Message) -> Tokens {
    let mut total = Tokens(MESSAGE_OVERHEAD);
    match message {
        Message::System { content } => total += of_content(content),
        Message::User { content, name } => {
            total += of_content(content);
            total += name.as_deref().map(of_text).unwrap_or_default();
        }
        Message::Assistant { content, reasoning, tool_calls } => {
            total += content.as_ref().map(of_content).unwrap_or_default();
            total += reasoning.as_deref().map(of_text).unwrap_or_default();
            for call in tool_calls {
                total += Tokens(CALL_OVERHEAD) + of_text(&call.name) + of_text(&call.arguments);
            }
        }
        Message::Tool { tool_call_id: _, name: _, content, is_error: _ } => {
            total += Tokens(CALL_OVERHEAD) + of_content(content);
        }
    }
    total
}

/// The tokens of the tools offered.
#[must_use]
pub fn of_tools(tools: &[ToolSpec]) -> Tokens {
    let mut total = Tokens::ZERO;
    for tool in tools {
        total += Tokens(TOOL_OVERHEAD) + of_text(&tool.name) + of_text(&tool.description);
        total += of_text(&tool.parameters.to_string());
    }
    if tools.is_empty() { total } else { total + Tokens(TOOLS_OVERHEAD) }
}

/// The usage of a call that was answered with `answer`, as far as it can be told.
#[must_use]
pub fn of_call(request: &Request, answer: &Message) -> Usage {
    let conversation = request.messages.iter().map(|body| of_message(body.message()));
    Usage {
        input_uncached: conversation.fold(of_tools(&request.tools), |total, next| total + next),
        output: of_message(answer),
        estimated: true,
        ..Usage::default()
    }
}

fn of_content(content: &Content) -> Tokens {
    match content {
        Content::Text(text) => of_text(text),
        Content::Parts(parts) => parts.iter().fold(Tokens::ZERO, |total, part| {
            total
                + match part {
                    Part::Text { text } => of_text(text),
                    Part::Other { .. } => Tokens(OTHER_PART),
                }
        }),
    }
}

#[cfg(test)]
mod tests;

//! The request's bytes. The neutral conversation is brought into the shape that Messages insists
//! on: instructions apart, turns of the two sides in alternation, tool results first in their turn.

use std::borrow::Cow;

use aosk_abi::{Content, Message, Part};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, to_writer};

use super::{Dialect, Version};
use crate::driver::Request;

/// The body of the request.
///
/// # Errors
/// None that a conversation could cause: the writer is memory and all keys are text.
pub(super) fn render(
    request: &Request,
    model: &str,
    dialect: Dialect,
    is_stream: bool,
) -> serde_json::Result<Vec<u8>> {
    let bytes: usize = request.messages.iter().map(|body| body.bytes().len() + 32).sum();
    let mut out = Vec::with_capacity(bytes + 256);
    out.extend_from_slice(b"{\"model\":");
    to_writer(&mut out, model)?;
    out.extend_from_slice(b",\"max_tokens\":");
    to_writer(&mut out, &request.options.output_max)?;
    if let (Some(milli), Version::V2023) = (request.options.temperature_milli, dialect.version) {
        let text = format!(",\"temperature\":{}.{:03}", milli / 1000, milli % 1000);
        out.extend_from_slice(text.as_bytes());
    }
    if is_stream {
        out.extend_from_slice(b",\"stream\":true");
    }
    if !request.tools.is_empty() {
        out.extend_from_slice(b",\"tools\":");
        let tools = request.tools.iter().map(|tool| WireTool {
            name: &tool.name,
            description: &tool.description,
            input_schema: &tool.parameters,
        });
        to_writer(&mut out, &tools.collect::<Vec<_>>())?;
    }

    let mut system = Vec::new();
    let mut turns: Vec<Turn<'_>> = Vec::new();
    for body in &request.messages {
        take_message(body.message(), &mut system, &mut turns);
    }
    for turn in &mut turns {
        // A turn's results must stand before what else is said in it. The sort is stable.
        turn.content.sort_by_key(|block| !block.is_result());
    }
    if dialect.cache_marks {
        let last_of_system = system.last_mut();
        let last_of_all = turns.last_mut().and_then(|turn| turn.content.last_mut());
        for block in last_of_system.into_iter().chain(last_of_all) {
            block.mark();
        }
    }
    if !system.is_empty() {
        out.extend_from_slice(b",\"system\":");
        to_writer(&mut out, &system)?;
    }
    out.extend_from_slice(b",\"messages\":");
    to_writer(&mut out, &turns)?;
    out.push(b'}');
    Ok(out)
}

/// Puts a message where it belongs: to the instructions, to the turn that is open, or to a new one.
fn take_message<'a>(message: &'a Message, system: &mut Vec<Block<'a>>, turns: &mut Vec<Turn<'a>>) {
    let (role, blocks) = match message {
        Message::System { content } => {
            system.extend(blocks_of(content));
            return;
        }
        Message::User { content, name: _ } => ("user", blocks_of(content)),
        Message::Tool { tool_call_id, name: _, content, is_error } => {
            ("user", vec![Block::result(tool_call_id, content, *is_error)])
        }
        Message::Assistant { content, reasoning, tool_calls } => {
            let mut blocks = reasoning.as_deref().map(thinking_of).unwrap_or_default();
            blocks.extend(content.iter().flat_map(blocks_of));
            blocks.extend(tool_calls.iter().map(|call| {
                Block::Known(Known::ToolUse {
                    id: fitting(&call.id),
                    name: &call.name,
                    input: object(&call.arguments),
                    cache_control: None,
                })
            }));
            ("assistant", blocks)
        }
    };
    // A turn must not be empty, nor a text: a message that says nothing is left out.
    if blocks.is_empty() {
        return;
    }
    match turns.last_mut() {
        Some(turn) if turn.role == role => turn.content.extend(blocks),
        Some(_) | None => turns.push(Turn { role, content: blocks }),
    }
}

fn blocks_of(content: &Content) -> Vec<Block<'_>> {
    match content {
        Content::Text(text) => Block::text(text).into_iter().collect(),
        Content::Parts(parts) => parts
            .iter()
            .filter_map(|part| match part {
                Part::Text { text } | Part::Page { text, .. } => Block::text(text),
                Part::Other { json } => Some(Block::Verbatim(json)),
            })
            .collect(),
    }
}

/// The signed blocks that an earlier answer of this format left. Reasoning that came as plain text
/// has no signature and would be refused.
fn thinking_of(reasoning: &str) -> Vec<Block<'_>> {
    let blocks = serde_json::from_str::<Vec<&RawValue>>(reasoning).unwrap_or_default();
    blocks.into_iter().map(Block::Raw).collect()
}

/// The arguments as the object that the format wants. What is none is passed on as text, so that
/// the model sees what it wrote.
fn object(arguments: &str) -> Input<'_> {
    let trimmed = arguments.trim();
    match serde_json::from_str::<&RawValue>(trimmed) {
        Ok(json) if trimmed.starts_with('{') => Input::Object(json),
        _ if trimmed.is_empty() => Input::Invalid { arguments: None },
        _ => Input::Invalid { arguments: Some(arguments) },
    }
}

/// The id in the characters that the format takes: other providers' ids may have dots and colons.
fn fitting(id: &str) -> Cow<'_, str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !id.is_empty() && id.chars().all(fits) {
        return Cow::Borrowed(id);
    }
    let replaced: String = id.chars().map(|c| if fits(c) { c } else { '_' }).collect();
    Cow::Owned(if replaced.is_empty() { "_".to_owned() } else { replaced })
}

#[derive(Serialize)]
struct Turn<'a> {
    role: &'a str,
    content: Vec<Block<'a>>,
}

#[derive(Serialize)]
struct WireTool<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    input_schema: &'a Value,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Block<'a> {
    Known(Known<'a>),
    /// A part in the wire form in which it came.
    Verbatim(&'a Value),
    /// A block that goes back byte for byte.
    Raw(&'a RawValue),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Known<'a> {
    Text {
        text: Cow<'a, str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    ToolUse {
        id: Cow<'a, str>,
        name: &'a str,
        input: Input<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    ToolResult {
        tool_use_id: Cow<'a, str>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        content: Vec<Block<'a>>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
}

#[derive(Serialize)]
#[serde(untagged)]
enum Input<'a> {
    Object(&'a RawValue),
    Invalid {
        #[serde(skip_serializing_if = "Option::is_none")]
        arguments: Option<&'a str>,
    },
}

#[derive(Serialize)]
struct CacheControl {
    #[serde(rename = "type")]
    kind: &'static str,
}

impl<'a> Block<'a> {
    fn text(text: &'a str) -> Option<Self> {
        // The format refuses texts of nothing but blanks.
        let is_said = !text.trim().is_empty();
        is_said
            .then_some(Self::Known(Known::Text { text: Cow::Borrowed(text), cache_control: None }))
    }

    fn result(id: &'a str, content: &'a Content, is_error: bool) -> Self {
        Self::Known(Known::ToolResult {
            tool_use_id: fitting(id),
            content: blocks_of(content),
            is_error,
            cache_control: None,
        })
    }

    fn is_result(&self) -> bool {
        matches!(self, Self::Known(Known::ToolResult { .. }))
    }

    /// Marks the block as the end of what is worth caching.
    fn mark(&mut self) {
        match self {
            Self::Known(
                Known::Text { cache_control, .. }
                | Known::ToolUse { cache_control, .. }
                | Known::ToolResult { cache_control, .. },
            ) => *cache_control = Some(CacheControl { kind: "ephemeral" }),
            Self::Verbatim(_) | Self::Raw(_) => {}
        }
    }
}

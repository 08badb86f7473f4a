//! The request's bytes. The neutral conversation is brought into the shape that Messages insists
//! on: instructions apart, turns of the two sides in alternation, tool results first in their turn.

use std::borrow::Cow;

use aosk_abi::{Content, Message, Part};
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Value, to_writer};

use super::marks::{self, CacheControl};
use super::{Dialect, Version, wishes};
use crate::arguments::Arguments;
use crate::driver::Request;
use crate::order::{self, Item};
use crate::picture::Picture;

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
    if let (Some(temperature), Version::V2023) = (request.wishes.temperature, dialect.version) {
        out.extend_from_slice(b",\"temperature\":");
        to_writer(&mut out, &temperature)?;
    } else if let (Some(milli), Version::V2023) =
        (request.options.temperature_milli, dialect.version)
    {
        let text = format!(",\"temperature\":{}.{:03}", milli / 1000, milli % 1000);
        out.extend_from_slice(text.as_bytes());
    }
    if is_stream {
        out.extend_from_slice(b",\"stream\":true");
    }
    wishes::append(request, dialect.version, &mut out)?;
    let instruction = wishes::instruction(request, dialect.version);
    let mut prompt = Prompt::of(request, dialect.version, instruction.as_deref());
    if dialect.cache_marks {
        marks::place(&mut prompt, request);
    }
    // Behind the marks: it is no part of the next request's prefix.
    prompt.take_begun(request.messages.len(), dialect.continuing.sent(request.begun_text()));
    let Prompt { tools, system, turns } = prompt;
    if !tools.is_empty() {
        out.extend_from_slice(b",\"tools\":");
        to_writer(&mut out, &tools)?;
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

/// What the model reads, in the order in which it reads it.
pub(super) struct Prompt<'a> {
    pub(super) tools: Vec<WireTool<'a>>,
    pub(super) system: Vec<Placed<'a>>,
    pub(super) turns: Vec<Turn<'a>>,
}

impl<'a> Prompt<'a> {
    /// `instruction` is what the model is told beside the conversation.
    fn of(request: &'a Request, version: Version, instruction: Option<&'a str>) -> Self {
        let tools = request.tools.iter().map(|tool| WireTool {
            name: &tool.name,
            description: &tool.description,
            input_schema: &tool.parameters,
            strict: wishes::is_strict(request, &tool.name, version),
            cache_control: None,
        });
        let mut prompt = Self { tools: tools.collect(), system: vec![], turns: vec![] };
        let instruction = instruction.and_then(Block::text);
        prompt.system.extend(instruction.map(|block| Placed { message: 0, block }));
        for (index, body) in request.messages.iter().enumerate() {
            prompt.take_message(index, body.message());
        }
        for turn in &mut prompt.turns {
            // A turn's results must stand before what else is said in it. The sort is stable.
            turn.content.sort_by_key(|placed| !placed.block.is_result());
        }
        prompt
    }

    /// Puts the answer that was begun at the end.
    fn take_begun(&mut self, index: usize, text: &'a str) {
        let Some(block) = Block::text(text) else { return };
        let placed = Placed { message: index, block };
        match self.turns.last_mut() {
            Some(turn) if turn.role == "assistant" => turn.content.push(placed),
            Some(_) | None => {
                self.turns.push(Turn { role: "assistant", content: vec![placed] });
            }
        }
    }

    /// Puts a message where it belongs: to the instructions, to the turn that is open, or to a new
    /// one.
    fn take_message(&mut self, index: usize, message: &'a Message) {
        let (role, blocks) = role_and_blocks(message);
        let placed = blocks.into_iter().map(|block| Placed { message: index, block });
        let Some(role) = role else {
            self.system.extend(placed);
            return;
        };
        // A turn must not be empty, nor a text: a message that says nothing is left out.
        if placed.len() == 0 {
            return;
        }
        match self.turns.last_mut() {
            Some(turn) if turn.role == role => turn.content.extend(placed),
            Some(_) | None => self.turns.push(Turn { role, content: placed.collect() }),
        }
    }
}

/// Whose turn the message belongs to, none for instructions, and its blocks.
fn role_and_blocks(message: &Message) -> (Option<&'static str>, Vec<Block<'_>>) {
    match message {
        Message::System { content } => (None, blocks_of(content)),
        Message::User { content, name: _ } => (Some("user"), blocks_of(content)),
        Message::Tool { tool_call_id, name: _, content, is_error } => {
            (Some("user"), vec![Block::result(tool_call_id, content, *is_error)])
        }
        Message::Assistant { content, reasoning, tool_calls } => {
            let (text, parts) = match content {
                Some(Content::Text(text)) => (text.as_str(), None),
                parts => ("", parts.as_ref()),
            };
            // Reasoning that came as plain text has no signature and would be refused.
            let is_own = |kind: &str| matches!(kind, "thinking" | "redacted_thinking");
            let items = order::of(reasoning.as_deref(), text, tool_calls, is_own);
            let parts = parts.into_iter().flat_map(blocks_of);
            (
                Some("assistant"),
                parts.chain(items.into_iter().filter_map(|item| Block::of(&item))).collect(),
            )
        }
    }
}

fn blocks_of(content: &Content) -> Vec<Block<'_>> {
    match content {
        Content::Text(text) => Block::text(text).into_iter().collect(),
        Content::Parts(parts) => parts
            .iter()
            .filter_map(|part| match part {
                Part::Text { text } | Part::Page { text, .. } => Block::text(text),
                Part::Image { media_type, data } => {
                    Some(Block::picture(Picture::Bytes { media_type, data }))
                }
                // What is in this format's own form may say more than is read of it.
                Part::Other { json } => {
                    let is_own = json.get("type").is_some_and(|kind| kind == "image");
                    Some(match Picture::of(part).filter(|_| !is_own) {
                        Some(picture) => Block::picture(picture),
                        None => Block::Verbatim(Verbatim { json, cache_control: None }),
                    })
                }
            })
            .collect(),
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

/// What one side says before the other does.
#[derive(Serialize)]
pub(super) struct Turn<'a> {
    role: &'static str,
    pub(super) content: Vec<Placed<'a>>,
}

/// A block, and where the message stands in the request that it is of.
pub(super) struct Placed<'a> {
    pub(super) message: usize,
    pub(super) block: Block<'a>,
}

impl Serialize for Placed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.block.serialize(serializer)
    }
}

#[derive(Serialize)]
pub(super) struct WireTool<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    input_schema: &'a Value,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    strict: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cache_control: Option<CacheControl>,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Block<'a> {
    Known(Known<'a>),
    /// A part in the wire form in which it came.
    Verbatim(Verbatim<'a>),
    /// A block that goes back byte for byte.
    Raw(&'a RawValue),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Known<'a> {
    Text {
        text: Cow<'a, str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    Image {
        source: Source<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    ToolUse {
        id: Cow<'a, str>,
        name: &'a str,
        input: Arguments<'a>,
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

/// Where the bytes of a picture are.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Source<'a> {
    Base64 { media_type: &'a str, data: &'a str },
    Url { url: &'a str },
}

/// JSON of somebody else's, with no mark but ours: theirs would count towards the most there may be.
pub(super) struct Verbatim<'a> {
    json: &'a Value,
    cache_control: Option<CacheControl>,
}

impl Serialize for Verbatim<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(fields) = self.json.as_object() else { return self.json.serialize(serializer) };
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in fields.iter().filter(|(name, _)| *name != "cache_control") {
            map.serialize_entry(name, value)?;
        }
        if let Some(mark) = &self.cache_control {
            map.serialize_entry("cache_control", mark)?;
        }
        map.end()
    }
}

impl<'a> Block<'a> {
    /// A piece of an earlier answer; none if the format does not take it.
    fn of(item: &Item<'a>) -> Option<Self> {
        match item {
            Item::Own(json) => serde_json::from_str(json).ok().map(Self::Raw),
            Item::Text(text, _) => Self::text(text),
            Item::Call(call, _) => Some(Self::Known(Known::ToolUse {
                id: fitting(&call.id),
                name: &call.name,
                input: Arguments::of(&call.arguments),
                cache_control: None,
            })),
        }
    }

    fn text(text: &'a str) -> Option<Self> {
        // The format refuses texts of nothing but blanks.
        let is_said = !text.trim().is_empty();
        is_said
            .then_some(Self::Known(Known::Text { text: Cow::Borrowed(text), cache_control: None }))
    }

    fn picture(picture: Picture<'a>) -> Self {
        let source = match picture {
            Picture::Bytes { media_type, data } => Source::Base64 { media_type, data },
            Picture::Address(url) => Source::Url { url },
        };
        Self::Known(Known::Image { source, cache_control: None })
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

    /// Where the block's mark goes; none if it cannot carry one, as reasoning cannot.
    pub(super) fn mark(&mut self) -> Option<&mut Option<CacheControl>> {
        match self {
            Self::Known(
                Known::Text { cache_control, .. }
                | Known::Image { cache_control, .. }
                | Known::ToolUse { cache_control, .. }
                | Known::ToolResult { cache_control, .. },
            ) => Some(cache_control),
            Self::Verbatim(Verbatim { json, cache_control }) => {
                let kind = json.get("type").and_then(Value::as_str)?;
                (!kind.ends_with("thinking")).then_some(cache_control)
            }
            Self::Raw(_) => None,
        }
    }
}

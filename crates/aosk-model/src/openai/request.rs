//! The request's bytes: the same conversation gives the same bytes, so that prefix caches hit.

use std::borrow::Cow;

use aosk_abi::{Body, Content, Message, Part, ToolUse};
use serde::{Serialize, Serializer};
use serde_json::{Value, to_writer};

use super::inline;
use super::marks::{self, Mark};
use super::prefix::Prefixes;
use super::{Breakpoints, Dialect, LengthField, ReasoningField, Words, wishes};
use crate::arguments;
use crate::cache_hints::openai_key;
use crate::continuing::Continuation;
use crate::driver::Request;
use crate::order;
use crate::picture::Picture;

/// Characters that OpenAI takes in the name of a speaker.
const NAME_CHARS_MAX: usize = 64;

/// The least that counts as reasoning where there is none.
const NO_REASONING: &str = " ";

/// The body of the request.
///
/// # Errors
/// None that a conversation could cause: the writer is memory and all keys are text.
pub(super) fn render(
    request: &Request,
    model: &str,
    dialect: Dialect,
    is_stream: bool,
    prefixes: &Prefixes,
) -> serde_json::Result<Vec<u8>> {
    let messages: usize = request.messages.iter().map(|body| body.bytes().len() + 16).sum();
    let mut out = Vec::with_capacity(messages + 256);
    out.extend_from_slice(b"{\"model\":");
    to_writer(&mut out, model)?;
    out.extend_from_slice(b",\"messages\":[");
    if let Some(text) = wishes::instruction(request, dialect.words) {
        // What stands first is the same from call to call, as long as the wish is.
        to_writer(&mut out, &WireInstruction { role: "system", content: &text })?;
        if !request.messages.is_empty() {
            out.push(b',');
        }
    }
    let marked = marks::places(request, dialect.breakpoints);
    let write = |body: &Body, is_marked: bool, out: &mut Vec<u8>| {
        let mark = if is_marked { Mark::of(dialect.breakpoints) } else { None };
        render_message(body.message(), dialect.reasoning, mark, out)
    };
    prefixes.append(request.call.pid, &request.messages, &marked, &mut out, write)?;
    let begun = dialect.continuing.sent(request.begun_text());
    if !begun.is_empty() {
        if !request.messages.is_empty() {
            out.push(b',');
        }
        to_writer(&mut out, &WireBegun::new(begun, dialect.continuing.how))?;
    }
    out.extend_from_slice(match dialect.length {
        LengthField::MaxTokens => b"],\"max_tokens\":".as_slice(),
        LengthField::MaxCompletionTokens => b"],\"max_completion_tokens\":".as_slice(),
    });
    to_writer(&mut out, &request.options.output_max)?;
    wishes::temperature(request, &mut out)?;
    if dialect.cache_key && !request.cache.key.is_empty() {
        out.extend_from_slice(b",\"prompt_cache_key\":");
        to_writer(&mut out, &openai_key(&request.cache.key))?;
    }
    if dialect.breakpoints == Breakpoints::PromptCache && !marked.is_empty() {
        out.extend_from_slice(b",\"prompt_cache_options\":{\"mode\":\"explicit\"}");
    }
    render_tools(request, dialect.words, &mut out)?;
    wishes::append(request, dialect.words, &mut out)?;
    if !begun.is_empty() && dialect.continuing.how == Continuation::FinalMessage {
        out.extend_from_slice(b",\"add_generation_prompt\":false,\"continue_final_message\":true");
    }
    if is_stream {
        out.extend_from_slice(b",\"stream\":true");
        if dialect.stream_usage {
            out.extend_from_slice(b",\"stream_options\":{\"include_usage\":true}");
        }
    }
    out.push(b'}');
    Ok(out)
}

/// Appends the tools, if there are any.
fn render_tools(request: &Request, words: Words, out: &mut Vec<u8>) -> serde_json::Result<()> {
    if request.tools.is_empty() {
        return Ok(());
    }
    out.extend_from_slice(b",\"tools\":");
    let tools = request.tools.iter().map(|tool| WireTool {
        kind: "function",
        function: WireFunction {
            name: &tool.name,
            description: &tool.description,
            parameters: &tool.parameters,
            strict: words.is_strict(request, &tool.name),
        },
    });
    to_writer(out, &tools.collect::<Vec<_>>())
}

/// Appends one message to `out`. Depends on nothing but its arguments.
pub(super) fn render_message(
    message: &Message,
    reasoning_field: ReasoningField,
    mark: Option<Mark>,
    out: &mut Vec<u8>,
) -> serde_json::Result<()> {
    let joined;
    let mut wire = WireMessage { role: message.role(), ..WireMessage::default() };
    match message {
        Message::System { content } => wire.content = Some(WireContent { content, mark }),
        Message::User { content, name } => {
            wire.content = Some(WireContent { content, mark });
            wire.name = name.as_deref().filter(|name| is_speaker(name));
        }
        Message::Assistant { content, reasoning, tool_calls } => {
            joined = with_thought(content.as_ref(), reasoning.as_deref());
            let content = joined.as_ref().or(content.as_ref());
            wire.content = content.map(|content| WireContent { content, mark });
            wire.tool_calls = tool_calls.iter().map(WireCall::new).collect();
            // Blocks with a provider's signature mean nothing to another provider.
            let reasoning = reasoning.as_deref().filter(|text| !order::is_blocks(text));
            match reasoning_field {
                ReasoningField::Nowhere => {}
                ReasoningField::ReasoningContent => wire.reasoning_content = reasoning,
                ReasoningField::AlwaysReasoningContent => {
                    wire.reasoning_content = reasoning.or(Some(NO_REASONING));
                }
                ReasoningField::Reasoning => wire.reasoning = reasoning,
            }
        }
        Message::Tool { tool_call_id, name: _, content, is_error: _ } => {
            wire.content = Some(WireContent { content, mark });
            wire.tool_call_id = Some(tool_call_id);
        }
    }
    to_writer(out, &wire)
}

/// What was said behind what was thought in the same text; none if nothing was.
fn with_thought(content: Option<&Content>, reasoning: Option<&str>) -> Option<Content> {
    let thought = inline::thought(reasoning)?;
    Some(Content::Text(thought + &content.map(Content::text).unwrap_or_default()))
}

/// Whether OpenAI takes `name` as the name of a speaker. The text is what counts, so one that does
/// not fit is left out.
fn is_speaker(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    !name.is_empty() && name.len() <= NAME_CHARS_MAX && name.bytes().all(fits)
}

#[derive(Default, Serialize)]
struct WireMessage<'a> {
    role: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
    /// `null` in an answer that only calls tools; servers insist on the key.
    content: Option<WireContent<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<WireCall<'a>>,
}

/// What the model is told beside the conversation.
#[derive(Serialize)]
struct WireInstruction<'a> {
    role: &'static str,
    content: &'a str,
}

/// The last message of a request that is gone on from.
#[derive(Serialize)]
struct WireBegun<'a> {
    role: &'static str,
    content: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    prefix: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    partial: bool,
}

impl<'a> WireBegun<'a> {
    fn new(content: &'a str, how: Continuation) -> Self {
        Self {
            role: "assistant",
            content,
            prefix: how == Continuation::Prefix,
            partial: how == Continuation::Partial,
        }
    }
}

#[derive(Serialize)]
struct WireCall<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    function: WireCalled<'a>,
}

#[derive(Serialize)]
struct WireCalled<'a> {
    name: &'a str,
    arguments: Cow<'a, str>,
}

#[derive(Serialize)]
struct WireTool<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    function: WireFunction<'a>,
}

#[derive(Serialize)]
struct WireFunction<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    parameters: &'a Value,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    strict: bool,
}

impl<'a> WireCall<'a> {
    fn new(call: &'a ToolUse) -> Self {
        let arguments = arguments::as_json(&call.arguments);
        Self {
            id: &call.id,
            kind: "function",
            function: WireCalled { name: &call.name, arguments },
        }
    }
}

#[derive(Clone, Copy)]
struct WireContent<'a> {
    content: &'a Content,
    /// What the last part that can carry it is marked with.
    mark: Option<Mark>,
}

impl Serialize for WireContent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let parts = match (self.content, self.mark) {
            (Content::Text(text), None) => return serializer.serialize_str(text),
            (Content::Text(text), mark) => {
                return serializer.collect_seq([WirePart::text(text, mark)]);
            }
            (Content::Parts(parts), _) => parts,
        };
        // Several providers take lists of parts only where they take images.
        if parts.iter().all(is_text) {
            let joined = self.content.text();
            return match self.mark {
                None => serializer.serialize_str(&joined),
                mark => serializer.collect_seq([WirePart::text(&joined, mark)]),
            };
        }
        let marked = parts.iter().rposition(marks::is_markable);
        serializer.collect_seq(parts.iter().enumerate().map(|(index, part)| {
            let mark = self.mark.filter(|_| marked == Some(index));
            match part {
                Part::Text { text } | Part::Page { text, .. } => WirePart::text(text, mark),
                Part::Image { media_type, data } => {
                    WirePart::picture(Picture::Bytes { media_type, data })
                }
                // What is in this format's own form may say more than is read of it.
                Part::Other { json } => match Picture::of(part).filter(|_| !is_own(json)) {
                    Some(picture) => WirePart::picture(picture),
                    None => WirePart::Other(json),
                },
            }
        }))
    }
}

/// Whether a part has the form that pictures have in this format.
fn is_own(json: &Value) -> bool {
    json.get("type").is_some_and(|kind| kind == "image_url")
}

fn is_text(part: &Part) -> bool {
    match part {
        Part::Text { .. } | Part::Page { .. } => true,
        Part::Image { .. } | Part::Other { .. } => false,
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum WirePart<'a> {
    Text(WireText<'a>),
    Picture(WirePicture),
    Other(&'a Value),
}

impl<'a> WirePart<'a> {
    fn text(text: &'a str, mark: Option<Mark>) -> Self {
        Self::Text(WireText { kind: "text", text, mark })
    }

    fn picture(picture: Picture<'_>) -> Self {
        Self::Picture(WirePicture { kind: "image_url", image_url: WireUrl { url: picture.url() } })
    }
}

#[derive(Serialize)]
struct WirePicture {
    #[serde(rename = "type")]
    kind: &'static str,
    image_url: WireUrl,
}

#[derive(Serialize)]
struct WireUrl {
    url: String,
}

#[derive(Serialize)]
struct WireText<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    text: &'a str,
    #[serde(flatten)]
    mark: Option<Mark>,
}

//! The request's bytes: the same conversation gives the same bytes, so that prefix caches hit.

use std::borrow::Cow;

use aosk_abi::{Content, Message, Part, ToolUse};
use serde::de::IgnoredAny;
use serde::{Serialize, Serializer};
use serde_json::{Value, to_writer};

use super::prefix::Prefixes;
use super::{Dialect, LengthField, ReasoningField};
use crate::driver::Request;

/// Characters that OpenAI takes in the name of a speaker.
const NAME_CHARS_MAX: usize = 64;

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
    prefixes.append(request.call.pid, &request.messages, &mut out, |body, out| {
        render_message(body.message(), dialect.reasoning, out)
    })?;
    out.extend_from_slice(match dialect.length {
        LengthField::MaxTokens => b"],\"max_tokens\":".as_slice(),
        LengthField::MaxCompletionTokens => b"],\"max_completion_tokens\":".as_slice(),
    });
    to_writer(&mut out, &request.options.output_max)?;
    if let Some(milli) = request.options.temperature_milli {
        let text = format!(",\"temperature\":{}.{:03}", milli / 1000, milli % 1000);
        out.extend_from_slice(text.as_bytes());
    }
    if !request.tools.is_empty() {
        out.extend_from_slice(b",\"tools\":");
        let tools = request.tools.iter().map(|tool| WireTool {
            kind: "function",
            function: WireFunction {
                name: &tool.name,
                description: &tool.description,
                parameters: &tool.parameters,
            },
        });
        to_writer(&mut out, &tools.collect::<Vec<_>>())?;
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

/// Appends one message to `out`. Depends on nothing but its arguments.
pub(super) fn render_message(
    message: &Message,
    reasoning_field: ReasoningField,
    out: &mut Vec<u8>,
) -> serde_json::Result<()> {
    let mut wire = WireMessage { role: message.role(), ..WireMessage::default() };
    match message {
        Message::System { content } => wire.content = Some(WireContent(content)),
        Message::User { content, name } => {
            wire.content = Some(WireContent(content));
            wire.name = name.as_deref().filter(|name| is_speaker(name));
        }
        Message::Assistant { content, reasoning, tool_calls } => {
            wire.content = content.as_ref().map(WireContent);
            wire.tool_calls = tool_calls.iter().map(WireCall::new).collect();
            // Blocks with a provider's signature mean nothing to another provider.
            let reasoning = reasoning.as_deref().filter(|text| !text.starts_with("[{\"type\":"));
            match reasoning_field {
                ReasoningField::Nowhere => {}
                ReasoningField::ReasoningContent => wire.reasoning_content = reasoning,
                ReasoningField::Reasoning => wire.reasoning = reasoning,
            }
        }
        Message::Tool { tool_call_id, name: _, content, is_error: _ } => {
            wire.content = Some(WireContent(content));
            wire.tool_call_id = Some(tool_call_id);
        }
    }
    to_writer(out, &wire)
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
}

impl<'a> WireCall<'a> {
    fn new(call: &'a ToolUse) -> Self {
        // Servers parse the arguments of earlier calls again, and some fail for good on what is no
        // JSON. The model still sees what it wrote.
        let arguments = if call.arguments.trim().is_empty() {
            Cow::Borrowed("{}")
        } else if serde_json::from_str::<IgnoredAny>(&call.arguments).is_ok() {
            Cow::Borrowed(call.arguments.as_str())
        } else {
            Cow::Owned(serde_json::json!({"arguments": call.arguments}).to_string())
        };
        Self {
            id: &call.id,
            kind: "function",
            function: WireCalled { name: &call.name, arguments },
        }
    }
}

struct WireContent<'a>(&'a Content);

#[derive(Serialize)]
struct WireText<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    text: &'a str,
}

impl Serialize for WireContent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let parts = match self.0 {
            Content::Text(text) => return serializer.serialize_str(text),
            Content::Parts(parts) => parts,
        };
        // Several providers take lists of parts only where they take images.
        if parts.iter().all(|part| matches!(part, Part::Text { .. } | Part::Page { .. })) {
            return serializer.serialize_str(&self.0.text());
        }
        serializer.collect_seq(parts.iter().map(|part| match part {
            Part::Text { text } | Part::Page { text, .. } => {
                WirePart::Text(WireText { kind: "text", text })
            }
            Part::Other { json } => WirePart::Other(json),
        }))
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum WirePart<'a> {
    Text(WireText<'a>),
    Other(&'a Value),
}

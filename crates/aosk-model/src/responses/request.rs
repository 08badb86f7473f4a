//! The request's bytes. A message becomes several items: what was thought, what was said and what was
//! called each stand by themselves.

use std::borrow::Cow;

use aosk_abi::{Content, Message, Part, Tokens, ToolUse};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Value, to_vec};

use super::Dialect;
use super::wishes::Wished;
use crate::arguments;
use crate::cache_hints::openai_key;
use crate::driver::Request;
use crate::order::{self, Item};
use crate::picture::Picture;

/// OpenAI refuses a lower bound of the answer.
const OUTPUT_MIN: Tokens = Tokens(16);

/// What is asked for, so that it can go back.
const ENCRYPTED: [&str; 1] = ["reasoning.encrypted_content"];

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
    let options = &request.options;
    let milli = options.temperature_milli.map(|milli| f64::from(milli) / 1000.0);
    let tools = request.tools.iter().map(|tool| WireTool {
        kind: "function",
        name: &tool.name,
        description: &tool.description,
        parameters: &tool.parameters,
        strict: request.wishes.strict_tools.contains(&tool.name),
    });
    let key = &request.cache.key;
    let takes_key = dialect.cache_key && !key.is_empty();
    to_vec(&WireRequest {
        model,
        input: request.messages.iter().flat_map(|body| items(body.message())).collect(),
        max_output_tokens: options.output_max.max(OUTPUT_MIN),
        temperature: request.wishes.temperature.or(milli),
        prompt_cache_key: takes_key.then(|| openai_key(key)),
        tools: tools.collect(),
        store: false,
        include: dialect.keeps_reasoning.then_some(ENCRYPTED),
        wished: Wished::of(request),
        stream: is_stream,
    })
}

/// The items that a message becomes.
fn items(message: &Message) -> Vec<WireItem<'_>> {
    match message {
        Message::System { content } | Message::User { content, name: _ } => {
            vec![WireItem::Asked { role: message.role(), content: WireContent(content) }]
        }
        Message::Tool { tool_call_id, name: _, content, is_error: _ } => {
            let output = WireContent(content);
            vec![WireItem::Known(Known::FunctionCallOutput { call_id: tool_call_id, output })]
        }
        Message::Assistant { content, reasoning, tool_calls } => {
            let (text, joined) = match content {
                Some(Content::Text(text)) => (text.as_str(), None),
                Some(parts @ Content::Parts(_)) => ("", Some(parts.text())),
                None => ("", None),
            };
            let joined = joined.filter(|text| !text.is_empty()).map(|text| said(Cow::Owned(text)));
            let is_own = |kind: &str| kind == "reasoning";
            let items = order::of(reasoning.as_deref(), text, tool_calls, is_own);
            joined.into_iter().chain(items.iter().filter_map(item)).collect()
        }
    }
}

/// An item of an earlier answer; none if the format does not take it.
fn item<'a>(item: &Item<'a>) -> Option<WireItem<'a>> {
    match item {
        Item::Own(json) => serde_json::from_str(json).ok().map(WireItem::Raw),
        Item::Text(text, _) => Some(said(Cow::Borrowed(text))),
        Item::Call(call, _) => Some(called(call)),
    }
}

/// Something the model said.
fn said(text: Cow<'_, str>) -> WireItem<'_> {
    WireItem::Known(Known::Message {
        role: "assistant",
        status: "completed",
        content: [WireText { kind: "output_text", text }],
    })
}

fn called(call: &ToolUse) -> WireItem<'_> {
    WireItem::Known(Known::FunctionCall {
        call_id: &call.id,
        name: &call.name,
        arguments: arguments::as_json(&call.arguments),
    })
}

#[derive(Serialize)]
struct WireRequest<'a> {
    model: &'a str,
    input: Vec<WireItem<'a>>,
    max_output_tokens: Tokens,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_cache_key: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<WireTool<'a>>,
    /// Nothing is kept at the provider; what it must know is sent each time.
    store: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    include: Option<[&'static str; 1]>,
    #[serde(flatten)]
    wished: Wished<'a>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
}

#[derive(Serialize)]
struct WireTool<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    parameters: &'a Value,
    /// Strict is what is taken if nothing is said, and most schemas of tools are not.
    strict: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
enum WireItem<'a> {
    /// What is asked: the short form of a message.
    Asked {
        role: &'static str,
        content: WireContent<'a>,
    },
    Known(Known<'a>),
    /// An item that goes back as it came.
    Raw(&'a RawValue),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Known<'a> {
    Message { role: &'static str, status: &'static str, content: [WireText<'a>; 1] },
    FunctionCall { call_id: &'a str, name: &'a str, arguments: Cow<'a, str> },
    FunctionCallOutput { call_id: &'a str, output: WireContent<'a> },
}

#[derive(Serialize)]
struct WireText<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    text: Cow<'a, str>,
}

/// What is said to the model: a text, or parts if some of them are none.
struct WireContent<'a>(&'a Content);

impl Serialize for WireContent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Content::Parts(parts) = self.0 else {
            return serializer.serialize_str(&self.0.text());
        };
        let is_text = |part: &Part| match part {
            Part::Text { .. } | Part::Page { .. } => true,
            Part::Image { .. } | Part::Other { .. } => false,
        };
        if parts.iter().all(is_text) {
            return serializer.serialize_str(&self.0.text());
        }
        serializer.collect_seq(parts.iter().map(WirePart::of))
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum WirePart<'a> {
    Text(WireText<'a>),
    Picture {
        #[serde(rename = "type")]
        kind: &'static str,
        image_url: String,
    },
    Other(&'a Value),
}

impl<'a> WirePart<'a> {
    fn of(part: &'a Part) -> Self {
        let picture =
            |picture: Picture<'_>| Self::Picture { kind: "input_image", image_url: picture.url() };
        match part {
            Part::Text { text } | Part::Page { text, .. } => {
                Self::Text(WireText { kind: "input_text", text: Cow::Borrowed(text) })
            }
            Part::Image { media_type, data } => picture(Picture::Bytes { media_type, data }),
            // What is in this format's own form may say more than is read of it.
            Part::Other { json } => {
                let is_own = json.get("type").is_some_and(|kind| kind == "input_image");
                Picture::of(part).filter(|_| !is_own).map_or(Self::Other(json), picture)
            }
        }
    }
}

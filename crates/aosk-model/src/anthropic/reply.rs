//! What was answered: a whole message or the events of a stream, assembled into one message.
//!
//! Blocks are known by their index alone. Servers open a block before they have closed the one
//! before it, so nothing here depends on nesting.

use std::collections::BTreeMap;

use aosk_abi::{
    Body, Content, Failure, FailureClass, FinishReason, Message, ModelReply, Tokens, ToolUse, Usage,
};
use reqwest::header::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::driver::{Delta, OnDelta, Request, tell};
use crate::endpoint::Endpoint;
use crate::failure::Complaint;
use crate::text::Text;
use crate::tokens;

/// An answer as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    blocks: BTreeMap<usize, Block>,
    stop_reason: Option<String>,
    usage: WireUsage,
    has_stopped: bool,
    /// Bytes kept.
    bytes: usize,
}

/// A block as far as it has come.
#[derive(Debug)]
enum Block {
    Text(String),
    Thinking {
        text: String,
        signature: String,
    },
    /// JSON that goes back as it is.
    Redacted(String),
    ToolUse {
        id: String,
        name: String,
        /// What the block began with; counts if no fragment follows.
        whole: String,
        fragments: String,
    },
    /// A kind that is not understood, such as the provider's own tools.
    Other,
}

impl Assembly {
    /// Takes a whole message.
    pub(super) fn take_whole(
        &mut self,
        json: &[u8],
        endpoint: &Endpoint,
        headers: &HeaderMap,
        on_delta: OnDelta<'_>,
    ) -> Result<(), Failure> {
        let message: WireMessage<'_> = match serde_json::from_slice(json) {
            Ok(message) => message,
            Err(error) => return Err(endpoint.not_understood(json, &error)),
        };
        let Some(content) = message.content else {
            return Err(match Complaint::read(json) {
                Some(_) => endpoint.refused(/*status*/ 200, headers, json),
                None => endpoint.malformed(FailureClass::Transient, "it has no content"),
            });
        };
        for (index, block) in content.into_iter().enumerate() {
            self.begin_block(index, block, on_delta);
        }
        self.stop_reason = message.stop_reason.map(|reason| reason.0.into_owned());
        self.take_usage(message.usage);
        endpoint.check_length(self.bytes)
    }

    /// Takes one event of a stream.
    pub(super) fn take_event(
        &mut self,
        json: &[u8],
        endpoint: &Endpoint,
        headers: &HeaderMap,
        on_delta: OnDelta<'_>,
    ) -> Result<(), Failure> {
        let event: WireEvent<'_> = match serde_json::from_slice(json) {
            Ok(event) => event,
            Err(error) => return Err(endpoint.not_understood(json, &error)),
        };
        match event.kind.as_ref().map(|kind| kind.0.as_ref()) {
            Some("message_start") => self.take_usage(event.message.and_then(|start| start.usage)),
            Some("content_block_start") => {
                if let Some(block) = event.content_block {
                    self.begin_block(event.index, block, on_delta);
                }
            }
            Some("content_block_delta") => {
                if let Some(delta) = event.delta {
                    self.take_delta(event.index, &delta, on_delta);
                }
            }
            Some("message_delta") => {
                let reason = event.delta.and_then(|delta| delta.stop_reason);
                if let Some(reason) = reason {
                    self.stop_reason = Some(reason.0.into_owned());
                }
                self.take_usage(event.usage);
            }
            Some("message_stop") => self.has_stopped = true,
            // `ping`, `content_block_stop` and what the future brings.
            Some(kind) if kind != "error" => {}
            // Errors come in the midst of a stream too, and some servers leave the type out.
            Some(_) | None => return Err(endpoint.refused(/*status*/ 200, headers, json)),
        }
        endpoint.check_length(self.bytes)
    }

    fn begin_block(&mut self, index: usize, block: WireBlock<'_>, on_delta: OnDelta<'_>) {
        let own = |text: Option<Text<'_>>| text.map(|text| text.0.into_owned()).unwrap_or_default();
        let kind = block.kind.as_ref().map(|kind| kind.0.as_ref()).unwrap_or_default();
        let begun = match kind {
            "text" => Block::Text(String::new()),
            "thinking" => Block::Thinking { text: String::new(), signature: own(block.signature) },
            "redacted_thinking" => {
                let data = own(block.data);
                self.bytes += data.len();
                Block::Redacted(data)
            }
            "tool_use" => {
                let input = block.input.map(RawValue::get).unwrap_or_default();
                let (id, name) = (own(block.id), own(block.name));
                self.bytes += id.len() + name.len() + input.len();
                let calls = self.blocks.values().filter(|block| block.is_call()).count();
                tell(on_delta, || Delta::ToolCall { index: calls, name: name.clone() });
                Block::ToolUse { id, name, whole: input.to_owned(), fragments: String::new() }
            }
            _ => Block::Other,
        };
        self.bytes += size_of::<Block>();
        self.blocks.insert(index, begun);
        // A block may begin with its text, or be whole.
        self.add_text(index, Text::some(block.text.as_ref()), on_delta);
        self.add_thinking(index, Text::some(block.thinking.as_ref()), on_delta);
    }

    fn take_delta(&mut self, index: usize, delta: &WireDelta<'_>, on_delta: OnDelta<'_>) {
        if delta.text.is_some() {
            // Some servers leave out the start of a text.
            self.blocks.entry(index).or_insert_with(|| Block::Text(String::new()));
        }
        self.add_text(index, Text::some(delta.text.as_ref()), on_delta);
        self.add_thinking(index, Text::some(delta.thinking.as_ref()), on_delta);
        let block = self.blocks.get_mut(&index);
        match (block, &delta.partial_json, &delta.signature) {
            (Some(Block::ToolUse { fragments, .. }), Some(json), _) => {
                fragments.push_str(&json.0);
                self.bytes += json.0.len();
            }
            (Some(Block::Thinking { signature, .. }), _, Some(more)) => {
                signature.push_str(&more.0);
                self.bytes += more.0.len();
            }
            _ => {}
        }
    }

    fn add_text(&mut self, index: usize, more: Option<&str>, on_delta: OnDelta<'_>) {
        if let (Some(Block::Text(text)), Some(more)) = (self.blocks.get_mut(&index), more) {
            text.push_str(more);
            self.bytes += more.len();
            tell(on_delta, || Delta::Text(more.to_owned()));
        }
    }

    fn add_thinking(&mut self, index: usize, more: Option<&str>, on_delta: OnDelta<'_>) {
        if let (Some(Block::Thinking { text, .. }), Some(more)) =
            (self.blocks.get_mut(&index), more)
        {
            text.push_str(more);
            self.bytes += more.len();
            tell(on_delta, || Delta::Reasoning(more.to_owned()));
        }
    }

    /// Figures are cumulative: a later one replaces an earlier one.
    fn take_usage(&mut self, raw: Option<&RawValue>) {
        let Some(raw) = raw else { return };
        let Ok(wire) = serde_json::from_str::<WireUsage>(raw.get()) else { return };
        let known = &mut self.usage;
        let newer = |new: Option<u64>, known: &mut Option<u64>| *known = new.or(*known);
        newer(wire.input_tokens, &mut known.input_tokens);
        newer(wire.cache_read_input_tokens, &mut known.cache_read_input_tokens);
        newer(wire.cache_creation_input_tokens, &mut known.cache_creation_input_tokens);
        newer(wire.output_tokens, &mut known.output_tokens);
        if wire.output_tokens_details.is_some() {
            known.output_tokens_details = wire.output_tokens_details;
        }
    }

    /// Whether the provider has said why the answer ends.
    pub(super) fn is_finished(&self) -> bool {
        self.stop_reason.is_some()
    }

    /// Whether the last event has come.
    pub(super) fn has_stopped(&self) -> bool {
        self.has_stopped
    }

    /// The finished answer.
    pub(super) fn into_reply(self, request: &Request) -> Result<ModelReply, Failure> {
        let usage = self.usage();
        let mut text = String::new();
        let mut thinking = Vec::new();
        let mut tool_calls = Vec::new();
        for block in self.blocks.into_values() {
            match block {
                Block::Text(more) => text.push_str(&more),
                Block::Thinking { text, signature } => {
                    thinking.push(Thought::Thinking { thinking: text, signature });
                }
                Block::Redacted(data) => thinking.push(Thought::RedactedThinking { data }),
                Block::ToolUse { id, name, whole, fragments } => {
                    let arguments = if fragments.is_empty() { whole } else { fragments };
                    request.add_use(&mut tool_calls, ToolUse { id, name, arguments });
                }
                Block::Other => {}
            }
        }
        let finish = match self.stop_reason.as_deref() {
            Some("max_tokens" | "model_context_window_exceeded") => FinishReason::Length,
            Some("refusal") => FinishReason::Refused,
            _ if tool_calls.is_empty() => FinishReason::Stop,
            _ => FinishReason::ToolCalls,
        };
        let message = Message::Assistant {
            content: (!text.is_empty() || tool_calls.is_empty()).then_some(Content::Text(text)),
            reasoning: reasoning(&thinking),
            tool_calls,
        };
        let usage = usage.unwrap_or_else(|| tokens::of_call(request, &message));
        Ok(ModelReply { body: Body::new(message), usage, finish })
    }

    /// The usage, if the provider counted. Its parts do not overlap in this format.
    fn usage(&self) -> Option<Usage> {
        let wire = &self.usage;
        let input = wire.input_tokens?;
        let cache_read = wire.cache_read_input_tokens.unwrap_or(0);
        let cache_write = wire.cache_creation_input_tokens.unwrap_or(0);
        let output = wire.output_tokens.unwrap_or(0);
        let details = wire.output_tokens_details.as_ref();
        let reasoning = details.and_then(|details| details.thinking_tokens).unwrap_or(0);
        (input + cache_read + cache_write > 0).then_some(Usage {
            input_uncached: Tokens(input),
            cache_read: Tokens(cache_read),
            cache_write: Tokens(cache_write),
            output: Tokens(output),
            reasoning: Tokens(reasoning.min(output)),
            estimated: false,
        })
    }
}

impl Block {
    fn is_call(&self) -> bool {
        matches!(self, Self::ToolUse { .. })
    }
}

/// What goes back on the next call: signed or redacted blocks byte for byte, as JSON; plain text
/// where a server signs nothing.
fn reasoning(thoughts: &[Thought]) -> Option<String> {
    let mut plain = String::new();
    for thought in thoughts {
        match thought {
            Thought::Thinking { thinking, signature } if signature.is_empty() => {
                plain.push_str(thinking);
            }
            Thought::Thinking { .. } | Thought::RedactedThinking { .. } => {
                return serde_json::to_string(thoughts).ok();
            }
        }
    }
    (!plain.is_empty()).then_some(plain)
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Thought {
    Thinking { thinking: String, signature: String },
    RedactedThinking { data: String },
}

#[derive(Deserialize)]
struct WireMessage<'a> {
    #[serde(borrow)]
    content: Option<Vec<WireBlock<'a>>>,
    #[serde(borrow)]
    stop_reason: Option<Text<'a>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireEvent<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(default)]
    index: usize,
    #[serde(borrow)]
    message: Option<WireStart<'a>>,
    #[serde(borrow)]
    content_block: Option<WireBlock<'a>>,
    #[serde(borrow)]
    delta: Option<WireDelta<'a>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireStart<'a> {
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireBlock<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    thinking: Option<Text<'a>>,
    #[serde(borrow)]
    signature: Option<Text<'a>>,
    #[serde(borrow)]
    data: Option<Text<'a>>,
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireDelta<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    thinking: Option<Text<'a>>,
    #[serde(borrow)]
    signature: Option<Text<'a>>,
    #[serde(borrow)]
    partial_json: Option<Text<'a>>,
    #[serde(borrow)]
    stop_reason: Option<Text<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireUsage {
    input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    output_tokens_details: Option<WireDetails>,
}

#[derive(Debug, Default, Deserialize)]
struct WireDetails {
    thinking_tokens: Option<u64>,
}

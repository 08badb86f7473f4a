//! What was answered: a whole message or the events of a stream, assembled into one message.
//!
//! Blocks are known by their index alone. Servers open a block before they have closed the one
//! before it, so nothing here depends on nesting.

use std::collections::BTreeMap;

use aosk_abi::{Failure, Tokens, ToolUse, Usage};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::counted::Counted;
use crate::driver::Delta;
use crate::exchange::{self, Context, Ending, Progress, Said};
use crate::order::Order;
use crate::text::Text;

/// An answer as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    blocks: BTreeMap<usize, Block>,
    stop_reason: Option<String>,
    usage: WireUsage,
    /// Whether the provider has counted the output to its end.
    output_is_final: bool,
    /// Whether the provider has said anything at all as an answer.
    has_begun: bool,
    has_stopped: bool,
    /// How many calls have begun.
    calls: usize,
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

impl Block {
    /// Whether the provider wants it back as it is.
    fn is_signed(&self) -> bool {
        match self {
            Self::Thinking { signature, .. } => !signature.is_empty(),
            Self::Redacted(_) => true,
            Self::Text(_) | Self::ToolUse { .. } | Self::Other => false,
        }
    }
}

impl exchange::Assembly for Assembly {
    fn take_whole(&mut self, json: &[u8], cx: &Context<'_>) -> Result<(), Failure> {
        let message: WireMessage<'_> = cx.parse(json)?;
        let Some(content) = message.content else {
            return Err(cx.lacking(json, "it has no content"));
        };
        self.has_begun = true;
        for (index, block) in content.into_iter().enumerate() {
            self.begin_block(index, block, cx);
        }
        self.stop_reason = message.stop_reason.map(|reason| reason.0.into_owned());
        self.take_usage(message.usage, /*is_last*/ true);
        cx.endpoint.check_length(self.bytes)
    }

    fn take_event(&mut self, json: &[u8], cx: &Context<'_>) -> Result<(), Failure> {
        let event: WireEvent<'_> = cx.parse(json)?;
        match event.kind.as_ref().map(|kind| kind.0.as_ref()) {
            Some("message_start") => {
                self.has_begun = true;
                self.take_usage(
                    event.message.and_then(|start| start.usage),
                    /*is_last*/ false,
                );
            }
            Some("content_block_start") => {
                self.has_begun = true;
                if let Some(block) = event.content_block {
                    self.begin_block(event.index, block, cx);
                }
            }
            Some("content_block_delta") => {
                self.has_begun = true;
                if let Some(delta) = event.delta {
                    self.take_delta(event.index, &delta, cx);
                }
            }
            Some("message_delta") => {
                let reason = event.delta.and_then(|delta| delta.stop_reason);
                if let Some(reason) = reason {
                    self.stop_reason = Some(reason.0.into_owned());
                }
                self.take_usage(event.usage, /*is_last*/ true);
            }
            Some("message_stop") if !self.has_begun => return Err(cx.odd("it has no content")),
            Some("message_stop") => self.has_stopped = true,
            // `ping`, `content_block_stop` and what the future brings.
            Some(kind) if kind != "error" => {}
            // Errors come in the midst of a stream too, and some servers leave the type out.
            Some(_) | None => return Err(cx.refused(json)),
        }
        cx.endpoint.check_length(self.bytes)
    }

    fn progress(&self) -> Progress {
        match (self.has_stopped, &self.stop_reason) {
            (true, _) => Progress::Over,
            (false, Some(_)) => Progress::Finished,
            (false, None) if self.has_begun => Progress::Begun,
            (false, None) => Progress::Nothing,
        }
    }

    fn into_said(self) -> Said {
        let counted = self.counted();
        let (mut text, mut plain, mut calls) = (String::new(), String::new(), Vec::new());
        let mut order = Order::default();
        // Signed or redacted blocks go back byte for byte. Where a server signs nothing, what was
        // thought is plain text.
        let is_signed = self.blocks.values().any(Block::is_signed);
        for block in self.blocks.into_values() {
            match block {
                Block::Text(more) => {
                    order.said(more.len(), None);
                    text.push_str(&more);
                }
                Block::Thinking { text: thinking, .. } if !is_signed => plain.push_str(&thinking),
                Block::Thinking { text: thinking, signature } => {
                    order.own(json(&Thought::Thinking { thinking, signature }));
                }
                Block::Redacted(data) => order.own(json(&Thought::RedactedThinking { data })),
                Block::ToolUse { id, name, whole, fragments } => {
                    order.called(None);
                    let arguments = if fragments.is_empty() { whole } else { fragments };
                    calls.push(ToolUse { id, name, arguments });
                }
                Block::Other => {}
            }
        }
        let reasoning = order.finish().or_else(|| (!plain.is_empty()).then_some(plain));
        let ending = match self.stop_reason.as_deref() {
            Some("max_tokens" | "model_context_window_exceeded") => Ending::Length,
            Some("refusal") => Ending::Refused,
            Some("tool_use") => Ending::Calls,
            Some(_) | None => Ending::Done,
        };
        Said { text, reasoning, calls, ending, counted }
    }
}

impl Assembly {
    fn begin_block(&mut self, index: usize, block: WireBlock<'_>, cx: &Context<'_>) {
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
                let index = self.calls;
                self.calls += 1;
                cx.tell(|| Delta::ToolCall { index, name: name.clone() });
                Block::ToolUse { id, name, whole: input.to_owned(), fragments: String::new() }
            }
            _ => Block::Other,
        };
        self.bytes += size_of::<Block>();
        self.blocks.insert(index, begun);
        // A block may begin with its text, or be whole.
        self.add_text(index, Text::some(block.text.as_ref()), cx);
        self.add_thinking(index, Text::some(block.thinking.as_ref()), cx);
    }

    fn take_delta(&mut self, index: usize, delta: &WireDelta<'_>, cx: &Context<'_>) {
        if delta.text.is_some() {
            // Some servers leave out the start of a text.
            self.blocks.entry(index).or_insert_with(|| Block::Text(String::new()));
        }
        self.add_text(index, Text::some(delta.text.as_ref()), cx);
        self.add_thinking(index, Text::some(delta.thinking.as_ref()), cx);
        let block = self.blocks.get_mut(&index);
        match (block, &delta.partial_json, &delta.signature) {
            (Some(Block::ToolUse { fragments, .. }), Some(json), _) => {
                fragments.push_str(&json.0);
                self.bytes += json.0.len();
                cx.tell_arguments(&json.0);
            }
            (Some(Block::Thinking { signature, .. }), _, Some(more)) => {
                signature.push_str(&more.0);
                self.bytes += more.0.len();
            }
            _ => {}
        }
    }

    fn add_text(&mut self, index: usize, more: Option<&str>, cx: &Context<'_>) {
        if let (Some(Block::Text(text)), Some(more)) = (self.blocks.get_mut(&index), more) {
            text.push_str(more);
            self.bytes += more.len();
            cx.tell(|| Delta::Text(more.to_owned()));
        }
    }

    fn add_thinking(&mut self, index: usize, more: Option<&str>, cx: &Context<'_>) {
        if let (Some(Block::Thinking { text, .. }), Some(more)) =
            (self.blocks.get_mut(&index), more)
        {
            text.push_str(more);
            self.bytes += more.len();
            cx.tell(|| Delta::Reasoning(more.to_owned()));
        }
    }

    /// Figures are cumulative: a later one replaces an earlier one.
    fn take_usage(&mut self, raw: Option<&RawValue>, is_last: bool) {
        let Some(raw) = raw else { return };
        let Ok(wire) = serde_json::from_str::<WireUsage>(raw.get()) else { return };
        self.output_is_final |= is_last && wire.output_tokens.is_some();
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

    /// The usage, if the provider counted. Its parts do not overlap in this format.
    fn counted(&self) -> Option<Counted> {
        let wire = &self.usage;
        let tokens = |figure: Option<u64>| Tokens(figure.unwrap_or(0));
        let details = wire.output_tokens_details.as_ref();
        let reasoning = tokens(details.and_then(|details| details.thinking_tokens));
        let output = tokens(wire.output_tokens);
        let usage = Usage {
            input_uncached: Tokens(wire.input_tokens?),
            cache_read: tokens(wire.cache_read_input_tokens),
            cache_write: tokens(wire.cache_creation_input_tokens),
            output,
            reasoning: reasoning.min(output),
            estimated: false,
        };
        let counted = Counted { usage, output_is_final: self.output_is_final };
        (usage.input() > Tokens::ZERO).then_some(counted)
    }
}

/// A block as it goes back.
fn json(thought: &Thought) -> String {
    // It has no map with odd keys, so it always has a JSON form.
    serde_json::to_string(thought).unwrap_or_default()
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

//! The answer in Messages, whole and as events.

use std::borrow::Cow;

use aosk_abi::{FinishReason, ModelReply, ToolUse, Usage};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::arguments::Arguments;
use crate::client::Frame;
use crate::client::carried::{self, Parts};
use crate::client::told::{Told, frame, json};
use crate::driver::Delta;
use crate::order::{self, Item};

/// Blocks of reasoning that this format knows.
const OWN: &[&str] = &["thinking", "redacted_thinking"];

/// An answer in this format.
#[derive(Debug)]
pub(in crate::client) struct Answer {
    id: String,
    model: String,
    has_begun: bool,
    /// The block that pieces go to.
    open: Option<Open>,
    /// How many blocks have begun.
    blocks: usize,
    told: Told,
}

/// What kind of block is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Thinking,
    Text,
}

impl Answer {
    pub(in crate::client) fn new(model: &str, id: &str) -> Self {
        let (id, model) = (id.to_owned(), model.to_owned());
        Self { id, model, has_begun: false, open: None, blocks: 0, told: Told::default() }
    }

    pub(in crate::client) fn whole(&self, reply: &ModelReply) -> Vec<u8> {
        let parts = Parts::of(reply.body.message());
        let thought = carried::readable(parts.reasoning);
        let content = blocks(&parts, &thought);
        let usage = WireUsage::of(&reply.usage);
        json(&self.message(content, Some(stop_reason(reply.finish)), usage)).into_bytes()
    }

    pub(in crate::client) fn delta(&mut self, delta: &Delta) -> Vec<Frame> {
        let mut frames = Vec::new();
        match delta {
            Delta::Text(text) => {
                self.told.text.push_str(text);
                self.open(Open::Text, &mut frames);
                frames.push(self.piece(WireDelta::Text { text }));
            }
            Delta::Reasoning(thinking) => {
                self.told.reasoning.push_str(thinking);
                self.open(Open::Thinking, &mut frames);
                frames.push(self.piece(WireDelta::Thinking { thinking }));
            }
            Delta::ToolCall { .. } | Delta::Arguments(_) => {}
        }
        frames
    }

    pub(in crate::client) fn finish(&mut self, reply: &ModelReply) -> Vec<Frame> {
        let parts = Parts::of(reply.body.message());
        let thought = carried::readable(parts.reasoning);
        let mut frames = Vec::new();
        self.begin(&mut frames);
        if self.blocks == 0 {
            for block in blocks(&parts, &thought) {
                self.tell(&block, &mut frames);
            }
        } else {
            let more = self.told.rest_of_reasoning(&thought).to_owned();
            let said = self.told.rest_of_text(&parts.text).to_owned();
            if !more.is_empty() {
                frames.extend(self.delta(&Delta::Reasoning(more)));
            }
            if !said.is_empty() {
                frames.extend(self.delta(&Delta::Text(said)));
            }
            self.close(&mut frames);
            // What was thought is told, and only now is known what was signed of it.
            let signed = carried::close(parts.reasoning).map(Cow::Owned);
            let signed = signed.map(|data| Block::Known(Known::RedactedThinking { data }));
            for block in signed.into_iter().chain(parts.calls.iter().map(Block::call)) {
                self.tell(&block, &mut frames);
            }
        }
        let delta = WireEnd { stop_reason: stop_reason(reply.finish), stop_sequence: None };
        let usage = WireUsage::of(&reply.usage);
        frames.push(event(&Event::MessageDelta { delta, usage }));
        frames.push(event(&Event::MessageStop));
        frames
    }

    fn message<'a>(
        &'a self,
        content: Vec<Block<'a>>,
        stop_reason: Option<&'static str>,
        usage: WireUsage,
    ) -> WireMessage<'a> {
        WireMessage {
            id: &self.id,
            kind: "message",
            role: "assistant",
            model: &self.model,
            content,
            stop_reason,
            stop_sequence: None,
            usage,
        }
    }

    fn begin(&mut self, frames: &mut Vec<Frame>) {
        if !std::mem::replace(&mut self.has_begun, true) {
            // What the request used is known at the end, which says it again as a whole.
            let usage = WireUsage::of(&Usage::default());
            let message = self.message(Vec::new(), None, usage);
            frames.push(event(&Event::MessageStart { message }));
        }
    }

    /// Opens a block of this kind, if none is open.
    fn open(&mut self, kind: Open, frames: &mut Vec<Frame>) {
        self.begin(frames);
        if self.open == Some(kind) {
            return;
        }
        self.close(frames);
        let content_block = Block::Known(match kind {
            Open::Text => Known::Text { text: "" },
            Open::Thinking => Known::Thinking { thinking: "", signature: "" },
        });
        frames.push(event(&Event::ContentBlockStart { index: self.blocks, content_block }));
        self.open = Some(kind);
        self.blocks += 1;
    }

    fn close(&mut self, frames: &mut Vec<Frame>) {
        let index = self.blocks.saturating_sub(1);
        let open = self.open.take();
        if open == Some(Open::Thinking) {
            frames.push(self.piece(WireDelta::Signature { signature: carried::UNSIGNED }));
        }
        if open.is_some() {
            frames.push(event(&Event::ContentBlockStop { index }));
        }
    }

    fn piece(&self, delta: WireDelta<'_>) -> Frame {
        event(&Event::ContentBlockDelta { index: self.blocks.saturating_sub(1), delta })
    }

    /// Tells a block from its beginning to its end.
    fn tell(&mut self, block: &Block<'_>, frames: &mut Vec<Frame>) {
        self.close(frames);
        let index = self.blocks;
        self.blocks += 1;
        let (begun, deltas) = block.parted();
        frames.push(event(&Event::ContentBlockStart { index, content_block: begun }));
        let deltas = deltas.into_iter().map(|delta| Event::ContentBlockDelta { index, delta });
        frames.extend(deltas.map(|delta| event(&delta)));
        frames.push(event(&Event::ContentBlockStop { index }));
    }
}

/// The blocks of a whole answer, in its order.
fn blocks<'a>(parts: &'a Parts<'a>, thought: &'a str) -> Vec<Block<'a>> {
    let text = parts.text.as_str();
    if carried::is_native(parts.reasoning, OWN) {
        let is_own = |kind: &str| OWN.contains(&kind);
        let items = order::of(parts.reasoning, text, parts.calls, is_own);
        return items.iter().filter_map(Block::of).collect();
    }
    let thinking = Known::Thinking { thinking: thought, signature: carried::UNSIGNED };
    let signed = carried::close(parts.reasoning).map(Cow::Owned);
    let known = [
        (!thought.is_empty()).then_some(thinking),
        (!text.is_empty()).then_some(Known::Text { text }),
        signed.map(|data| Known::RedactedThinking { data }),
    ];
    let known = known.into_iter().flatten().map(Block::Known);
    known.chain(parts.calls.iter().map(Block::call)).collect()
}

fn stop_reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "end_turn",
        FinishReason::ToolCalls => "tool_use",
        FinishReason::Length => "max_tokens",
        FinishReason::Refused => "refusal",
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Block<'a> {
    Known(Known<'a>),
    /// A block that is given out as it came.
    Raw(&'a RawValue),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Known<'a> {
    Text { text: &'a str },
    Thinking { thinking: &'a str, signature: &'a str },
    RedactedThinking { data: Cow<'a, str> },
    ToolUse { id: &'a str, name: &'a str, input: Arguments<'a> },
}

impl<'a> Block<'a> {
    fn of(item: &Item<'a>) -> Option<Self> {
        match item {
            Item::Own(json) => serde_json::from_str(json).ok().map(Self::Raw),
            Item::Text(text, _) => Some(Self::Known(Known::Text { text })),
            Item::Call(call, _) => Some(Self::call(call)),
        }
    }

    fn call(call: &'a ToolUse) -> Self {
        let input = Arguments::of(&call.arguments);
        Self::Known(Known::ToolUse { id: &call.id, name: &call.name, input })
    }

    /// The block as it begins, and the pieces that follow.
    fn parted(&self) -> (Block<'_>, Vec<WireDelta<'_>>) {
        let known = |known, delta| (Block::Known(known), vec![delta]);
        match self {
            Self::Known(Known::Text { text }) => {
                known(Known::Text { text: "" }, WireDelta::Text { text })
            }
            Self::Known(Known::Thinking { thinking, signature }) => {
                let begun = Block::Known(Known::Thinking { thinking: "", signature: "" });
                let signed = WireDelta::Signature { signature };
                (begun, vec![WireDelta::Thinking { thinking }, signed])
            }
            Self::Known(Known::ToolUse { id, name, input }) => {
                let begun = Known::ToolUse { id, name, input: Arguments::of("") };
                known(begun, WireDelta::Input { partial_json: json(input) })
            }
            Self::Known(Known::RedactedThinking { data }) => {
                let data = Cow::Borrowed(data.as_ref());
                (Block::Known(Known::RedactedThinking { data }), Vec::new())
            }
            // What is given out as it came begins whole.
            Self::Raw(json) => (Block::Raw(json), Vec::new()),
        }
    }
}

fn event(event: &Event<'_>) -> Frame {
    frame(Some(event.name()), event)
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event<'a> {
    MessageStart { message: WireMessage<'a> },
    ContentBlockStart { index: usize, content_block: Block<'a> },
    ContentBlockDelta { index: usize, delta: WireDelta<'a> },
    ContentBlockStop { index: usize },
    MessageDelta { delta: WireEnd, usage: WireUsage },
    MessageStop,
}

impl Event<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::MessageStart { .. } => "message_start",
            Self::ContentBlockStart { .. } => "content_block_start",
            Self::ContentBlockDelta { .. } => "content_block_delta",
            Self::ContentBlockStop { .. } => "content_block_stop",
            Self::MessageDelta { .. } => "message_delta",
            Self::MessageStop => "message_stop",
        }
    }
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum WireDelta<'a> {
    #[serde(rename = "text_delta")]
    Text { text: &'a str },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: &'a str },
    #[serde(rename = "signature_delta")]
    Signature { signature: &'a str },
    #[serde(rename = "input_json_delta")]
    Input { partial_json: String },
}

#[derive(Serialize)]
struct WireEnd {
    stop_reason: &'static str,
    stop_sequence: Option<()>,
}

#[derive(Serialize)]
struct WireMessage<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    role: &'static str,
    model: &'a str,
    content: Vec<Block<'a>>,
    stop_reason: Option<&'static str>,
    stop_sequence: Option<()>,
    usage: WireUsage,
}

/// Input does not have in it what was cached in this format.
#[derive(Serialize)]
struct WireUsage {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    output_tokens: u64,
    output_tokens_details: WireDetails,
}

#[derive(Serialize)]
struct WireDetails {
    thinking_tokens: u64,
}

impl WireUsage {
    fn of(usage: &Usage) -> Self {
        Self {
            input_tokens: usage.input_uncached.0,
            cache_creation_input_tokens: usage.cache_write.0,
            cache_read_input_tokens: usage.cache_read.0,
            output_tokens: usage.output.0,
            output_tokens_details: WireDetails { thinking_tokens: usage.reasoning.0 },
        }
    }
}

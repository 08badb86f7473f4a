//! The answer in chat completions, whole and in chunks.

use aosk_abi::{FinishReason, ModelReply, ToolUse, Usage};
use serde::Serialize;

use crate::client::carried::{self, Parts};
use crate::client::told::{Sums, Told, frame, json};
use crate::client::{Asked, Frame};
use crate::driver::Delta;

/// The field of an answer that has reasoning which only its provider reads.
pub(super) const CARRIED: &str = "reasoning_signed";

/// An answer in this format.
#[derive(Debug)]
pub(in crate::client) struct Answer {
    id: String,
    model: String,
    created: u64,
    /// Whether usage is told at the end of a stream.
    with_usage: bool,
    has_begun: bool,
    told: Told,
}

impl Answer {
    pub(in crate::client) fn new(model: &str, id: &str, created: u64, asked: &Asked) -> Self {
        Self {
            id: id.to_owned(),
            model: model.to_owned(),
            created,
            with_usage: asked.stream_usage,
            has_begun: false,
            told: Told::default(),
        }
    }

    pub(in crate::client) fn whole(&self, reply: &ModelReply) -> Vec<u8> {
        let parts = Parts::of(reply.body.message());
        let reasoning = carried::readable(parts.reasoning);
        let has_text = !parts.text.is_empty() || parts.calls.is_empty();
        let message = WireMessage {
            role: "assistant",
            content: has_text.then_some(parts.text.as_str()),
            refusal: None,
            reasoning_content: Some(reasoning.as_str()).filter(|text| !text.is_empty()),
            reasoning_signed: carried::close(parts.reasoning),
            tool_calls: parts.calls.iter().map(|call| WireCall::new(None, call)).collect(),
        };
        let choice =
            WireChoice { index: 0, message, logprobs: None, finish_reason: finish(reply.finish) };
        let whole = WireWhole {
            id: &self.id,
            object: "chat.completion",
            created: self.created,
            model: &self.model,
            choices: [choice],
            usage: WireUsage::of(&reply.usage),
        };
        json(&whole).into_bytes()
    }

    pub(in crate::client) fn delta(&mut self, delta: &Delta) -> Vec<Frame> {
        match delta {
            Delta::Text(text) => {
                self.told.text.push_str(text);
                self.chunks(WireDelta { content: Some(text), ..WireDelta::default() }, None)
            }
            Delta::Reasoning(text) => {
                self.told.reasoning.push_str(text);
                let delta = WireDelta { reasoning_content: Some(text), ..WireDelta::default() };
                self.chunks(delta, None)
            }
            Delta::ToolCall { .. } | Delta::Arguments(_) => Vec::new(),
        }
    }

    pub(in crate::client) fn finish(&mut self, reply: &ModelReply) -> Vec<Frame> {
        let parts = Parts::of(reply.body.message());
        let reasoning = carried::readable(parts.reasoning);
        let thought = self.told.rest_of_reasoning(&reasoning).to_owned();
        let said = self.told.rest_of_text(&parts.text).to_owned();
        let mut frames = Vec::new();
        if !thought.is_empty() {
            frames.extend(self.delta(&Delta::Reasoning(thought)));
        }
        if !said.is_empty() {
            frames.extend(self.delta(&Delta::Text(said)));
        }
        if let Some(signed) = carried::close(parts.reasoning) {
            let delta = WireDelta { reasoning_signed: Some(signed), ..WireDelta::default() };
            frames.extend(self.chunks(delta, None));
        }
        for (index, call) in parts.calls.iter().enumerate() {
            let call = WireCall::new(Some(index), call);
            let delta = WireDelta { tool_calls: Some([call]), ..WireDelta::default() };
            frames.extend(self.chunks(delta, None));
        }
        frames.extend(self.chunks(WireDelta::default(), Some(finish(reply.finish))));
        if self.with_usage {
            frames.push(frame(None, &self.chunk([], Some(Some(WireUsage::of(&reply.usage))))));
        }
        frames.push(Frame { event: None, data: "[DONE]".to_owned() });
        frames
    }

    /// The chunk of a delta, after the one that begins the answer if nothing has.
    fn chunks(&mut self, delta: WireDelta<'_>, finish_reason: Option<&'static str>) -> Vec<Frame> {
        let mut frames = Vec::with_capacity(2);
        if !std::mem::replace(&mut self.has_begun, true) {
            let begin =
                WireDelta { role: Some("assistant"), content: Some(""), ..WireDelta::default() };
            frames.push(self.choice(begin, None));
        }
        frames.push(self.choice(delta, finish_reason));
        frames
    }

    fn choice(&self, delta: WireDelta<'_>, finish_reason: Option<&'static str>) -> Frame {
        let choice = WirePiece { index: 0, delta, logprobs: None, finish_reason };
        // Where usage comes at the end, it is told before that it is not there yet.
        frame(None, &self.chunk([choice], self.with_usage.then_some(None)))
    }

    fn chunk<'a, const N: usize>(
        &'a self,
        choices: [WirePiece<'a>; N],
        usage: Option<Option<WireUsage>>,
    ) -> WireChunk<'a, Vec<WirePiece<'a>>> {
        WireChunk {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.created,
            model: &self.model,
            choices: choices.into(),
            usage,
        }
    }
}

fn finish(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::Length => "length",
        FinishReason::Refused => "content_filter",
    }
}

impl<'a> WireCall<'a> {
    fn new(index: Option<usize>, call: &'a ToolUse) -> Self {
        let arguments = carried::arguments(call);
        let function = WireCalled { name: &call.name, arguments };
        Self { index, id: &call.id, kind: "function", function }
    }
}

#[derive(Serialize)]
struct WireWhole<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: [WireChoice<'a>; 1],
    usage: WireUsage,
}

#[derive(Serialize)]
struct WireChoice<'a> {
    index: u32,
    message: WireMessage<'a>,
    logprobs: Option<()>,
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct WireMessage<'a> {
    role: &'static str,
    content: Option<&'a str>,
    refusal: Option<()>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_signed: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<WireCall<'a>>,
}

#[derive(Serialize)]
struct WireCall<'a> {
    /// What calls are known by in a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    function: WireCalled<'a>,
}

#[derive(Serialize)]
struct WireCalled<'a> {
    name: &'a str,
    arguments: &'a str,
}

#[derive(Serialize)]
struct WireChunk<'a, C> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: C,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<WireUsage>>,
}

#[derive(Serialize)]
struct WirePiece<'a> {
    index: u32,
    delta: WireDelta<'a>,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

#[derive(Default, Serialize)]
struct WireDelta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_signed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[WireCall<'a>; 1]>,
}

#[derive(Serialize)]
struct WireUsage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: WireInput,
    completion_tokens_details: WireOutput,
}

#[derive(Serialize)]
struct WireInput {
    cached_tokens: u64,
    cache_write_tokens: u64,
}

#[derive(Serialize)]
struct WireOutput {
    reasoning_tokens: u64,
}

impl WireUsage {
    fn of(usage: &Usage) -> Self {
        let Sums { input, cached, written, output, reasoning, total } = Sums::of(usage);
        Self {
            prompt_tokens: input,
            completion_tokens: output,
            total_tokens: total,
            prompt_tokens_details: WireInput { cached_tokens: cached, cache_write_tokens: written },
            completion_tokens_details: WireOutput { reasoning_tokens: reasoning },
        }
    }
}

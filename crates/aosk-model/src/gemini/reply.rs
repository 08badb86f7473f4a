//! What was answered: a whole reply or the chunks of a stream, assembled into one message.
//!
//! A chunk of a stream has the shape of a whole reply, so there is one way to understand both.

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
    text: String,
    calls: Vec<ToolUse>,
    order: Order,
    /// What was thought and not signed so far.
    thought: String,
    /// All that was thought.
    thoughts: String,
    finish: Option<String>,
    /// Why the provider did not ask the model, or withholds what it said, in words.
    withheld: String,
    is_blocked: bool,
    usage: Option<Usage>,
    /// Whether the provider has said anything at all as an answer.
    has_begun: bool,
    /// Bytes kept.
    bytes: usize,
}

/// What was thought, as it goes back. Only what is signed does.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename = "thought")]
pub(super) struct Thought {
    pub(super) text: String,
    pub(super) signature: Option<String>,
}

impl exchange::Assembly for Assembly {
    fn take_whole(&mut self, json: &[u8], cx: &Context<'_>) -> Result<(), Failure> {
        self.take_event(json, cx)?;
        if self.has_begun { Ok(()) } else { Err(cx.lacking(json, "it has no candidates")) }
    }

    fn take_event(&mut self, json: &[u8], cx: &Context<'_>) -> Result<(), Failure> {
        let reply: WireReply<'_> = cx.parse(json)?;
        if reply.error.is_some_and(|error| error.get() != "null") {
            return Err(cx.refused(json));
        }
        // Each chunk counts all that there is so far.
        if let Some(usage) = reply.usage_metadata.and_then(read_usage) {
            self.usage = Some(usage);
        }
        if let Some(reason) =
            reply.prompt_feedback.as_ref().and_then(|told| Text::some(told.block_reason.as_ref()))
        {
            (self.has_begun, self.is_blocked) = (true, true);
            self.withheld = format!("the prompt was blocked: {reason}");
        }
        // Only one answer was asked for.
        if let Some(candidate) = reply.candidates.unwrap_or_default().into_iter().next() {
            self.take_candidate(candidate, cx);
        }
        cx.endpoint.check_length(self.bytes)
    }

    fn progress(&self) -> Progress {
        if self.finish.is_some() || self.is_blocked {
            Progress::Finished
        } else if self.has_begun {
            Progress::Begun
        } else {
            Progress::Nothing
        }
    }

    fn into_said(mut self) -> Said {
        let ending = self.ending();
        if matches!(ending, Ending::Refused) && self.text.is_empty() {
            self.text = self.withheld;
        }
        let output_is_final = self.finish.is_some();
        let counted = self.usage.map(|usage| Counted { usage, output_is_final });
        let thoughts = (!self.thoughts.is_empty()).then_some(self.thoughts);
        let reasoning = self.order.finish().or(thoughts);
        Said { text: self.text, reasoning, calls: self.calls, ending, counted }
    }
}

impl Assembly {
    fn take_candidate(&mut self, candidate: WireCandidate<'_>, cx: &Context<'_>) {
        self.has_begun = true;
        for part in candidate.content.and_then(|content| content.parts).unwrap_or_default() {
            self.take_part(part, cx);
        }
        if let Some(reason) = Text::some(candidate.finish_reason.as_ref()) {
            self.finish = Some(reason.to_owned());
            let why = Text::some(candidate.finish_message.as_ref()).unwrap_or_default();
            let gap = if why.is_empty() { "" } else { ": " };
            self.withheld = format!("the answer was withheld: {reason}{gap}{why}");
        }
    }

    fn take_part(&mut self, part: WirePart<'_>, cx: &Context<'_>) {
        let signature = Text::some(part.thought_signature.as_ref());
        let text = Text::some(part.text.as_ref()).unwrap_or_default();
        self.bytes += text.len() + signature.map_or(0, str::len);
        if let Some(call) = part.function_call {
            self.take_call(call, signature, cx);
        } else if part.thought == Some(true) {
            if !text.is_empty() {
                self.thought.push_str(text);
                self.thoughts.push_str(text);
                // It is kept twice.
                self.bytes += text.len();
                cx.tell(|| Delta::Reasoning(text.to_owned()));
            }
            if let Some(signature) = signature {
                let text = std::mem::take(&mut self.thought);
                let thought = Thought { text, signature: Some(signature.to_owned()) };
                // It has no map with odd keys, so it always has a JSON form.
                self.order.own(serde_json::to_string(&thought).unwrap_or_default());
            }
        } else {
            // A signature may come by itself, behind the text it is of.
            self.order.said(text.len(), signature);
            self.text.push_str(text);
            if !text.is_empty() {
                cx.tell(|| Delta::Text(text.to_owned()));
            }
        }
    }

    fn take_call(&mut self, call: WireCall<'_>, signature: Option<&str>, cx: &Context<'_>) {
        let own = |text: Option<Text<'_>>| text.map(|text| text.0.into_owned()).unwrap_or_default();
        let (id, name) = (own(call.id), own(call.name));
        let arguments = call.args.map_or("{}", RawValue::get).to_owned();
        self.bytes += id.len() + name.len() + arguments.len() + size_of::<ToolUse>();
        self.order.called(signature);
        let index = self.calls.len();
        cx.tell(|| Delta::ToolCall { index, name: name.clone() });
        cx.tell_arguments(&arguments);
        self.calls.push(ToolUse { id, name, arguments });
    }

    fn ending(&self) -> Ending {
        match self.finish.as_deref() {
            None if self.is_blocked => Ending::Refused,
            Some("MAX_TOKENS") => Ending::Length,
            Some(
                "SAFETY"
                | "RECITATION"
                | "LANGUAGE"
                | "BLOCKLIST"
                | "PROHIBITED_CONTENT"
                | "SPII"
                | "IMAGE_SAFETY"
                | "IMAGE_PROHIBITED_CONTENT"
                | "IMAGE_RECITATION",
            ) => Ending::Refused,
            // What the model wrote was no call, or lacks what the provider itself adds: another time
            // it may go better.
            Some(
                reason @ ("MALFORMED_FUNCTION_CALL"
                | "UNEXPECTED_TOOL_CALL"
                | "TOO_MANY_TOOL_CALLS"
                | "MALFORMED_RESPONSE"
                | "MISSING_THOUGHT_SIGNATURE"
                | "OTHER"),
            ) => Ending::GaveUp(reason.to_owned()),
            Some(_) | None => Ending::Done,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireReply<'a> {
    #[serde(borrow)]
    candidates: Option<Vec<WireCandidate<'a>>>,
    #[serde(borrow)]
    prompt_feedback: Option<WireFeedback<'a>>,
    #[serde(borrow)]
    usage_metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireFeedback<'a> {
    #[serde(borrow)]
    block_reason: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireCandidate<'a> {
    #[serde(borrow)]
    content: Option<WireContent<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Text<'a>>,
    #[serde(borrow)]
    finish_message: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct WireContent<'a> {
    #[serde(borrow)]
    parts: Option<Vec<WirePart<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePart<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    thought: Option<bool>,
    #[serde(borrow)]
    thought_signature: Option<Text<'a>>,
    #[serde(borrow)]
    function_call: Option<WireCall<'a>>,
}

#[derive(Deserialize)]
struct WireCall<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    args: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WireUsage {
    prompt_token_count: Option<u64>,
    cached_content_token_count: Option<u64>,
    candidates_token_count: Option<u64>,
    thoughts_token_count: Option<u64>,
    tool_use_prompt_token_count: Option<u64>,
}

/// The usage, if it is one. The prompt has what was cached in it; the candidates have not what was
/// thought.
fn read_usage(raw: &RawValue) -> Option<Usage> {
    let wire: WireUsage = serde_json::from_str(raw.get()).ok()?;
    let prompt = wire.prompt_token_count.filter(|tokens| *tokens > 0)?;
    let input = prompt.saturating_add(wire.tool_use_prompt_token_count.unwrap_or(0));
    let cached = wire.cached_content_token_count.unwrap_or(0).min(input);
    let reasoning = wire.thoughts_token_count.unwrap_or(0);
    Some(Usage {
        input_uncached: Tokens(input - cached),
        cache_read: Tokens(cached),
        cache_write: Tokens::ZERO,
        output: Tokens(wire.candidates_token_count.unwrap_or(0).saturating_add(reasoning)),
        reasoning: Tokens(reasoning),
        estimated: false,
    })
}

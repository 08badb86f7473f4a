//! What was answered: a whole reply or the chunks of a stream, assembled into one message.
//!
//! A whole reply is taken as a stream of one chunk, so there is one way to understand both.

use std::borrow::Cow;

use aosk_abi::{
    Body, Content, ErrorCode, Failure, FailureClass, FinishReason, Message, ModelReply, Tokens,
    ToolUse, Usage,
};
use reqwest::header::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::driver::{Delta, OnDelta, Request, tell};
use crate::endpoint::Endpoint;
use crate::failure::{Complaint, failed};
use crate::text::Text;
use crate::tokens;

/// An answer as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    text: String,
    reasoning: String,
    refusal: String,
    calls: Vec<Call>,
    finish: Option<String>,
    usage: Option<Usage>,
    /// Whether the provider has said anything at all as an answer.
    has_begun: bool,
    /// Bytes kept.
    bytes: usize,
}

/// A tool call as far as it has come.
#[derive(Debug)]
struct Call {
    index: Option<usize>,
    id: String,
    name: String,
    arguments: String,
}

impl Assembly {
    /// Takes a whole reply or one chunk of a stream.
    pub(super) fn take(
        &mut self,
        json: &[u8],
        endpoint: &Endpoint,
        headers: &HeaderMap,
        on_delta: OnDelta<'_>,
    ) -> Result<(), Failure> {
        let reply: WireReply<'_> = match serde_json::from_slice(json) {
            Ok(reply) => reply,
            Err(error) => return Err(endpoint.not_understood(json, &error)),
        };
        let choices = reply.choices.unwrap_or_default();
        if reply.error.is_some_and(|error| error.get() != "null")
            || choices.is_empty() && reply.usage.is_none() && Complaint::read(json).is_some()
        {
            return Err(endpoint.refused(/*status*/ 200, headers, json));
        }
        if let Some(usage) = reply.usage.and_then(read_usage) {
            self.usage = Some(usage);
        }
        // Only one answer was asked for.
        let Some(choice) = choices.into_iter().next() else { return Ok(()) };
        self.has_begun = true;
        if let Some(usage) = choice.usage.and_then(read_usage) {
            self.usage = Some(usage);
        }
        if let Some(finish) = Text::some(choice.finish_reason.as_ref()) {
            self.finish = Some(finish.to_owned());
        }
        let is_whole = choice.message.is_some();
        if let Some(said) = choice.message.or(choice.delta) {
            self.take_said(&said, is_whole, on_delta);
        }
        endpoint.check_length(self.bytes)
    }

    fn take_said(&mut self, said: &WireSaid<'_>, is_whole: bool, on_delta: OnDelta<'_>) {
        let reasoning = Text::some(said.reasoning_content.as_ref());
        if let Some(text) = reasoning.or_else(|| Text::some(said.reasoning.as_ref())) {
            self.reasoning.push_str(text);
            self.bytes += text.len();
            tell(on_delta, || Delta::Reasoning(text.to_owned()));
        }
        if let Some(text) = Text::some(said.content.as_ref()) {
            self.text.push_str(text);
            self.bytes += text.len();
            tell(on_delta, || Delta::Text(text.to_owned()));
        }
        if let Some(text) = Text::some(said.refusal.as_ref()) {
            self.refusal.push_str(text);
            self.bytes += text.len();
            tell(on_delta, || Delta::Text(text.to_owned()));
        }
        for fragment in said.tool_calls.iter().flatten() {
            self.take_call(fragment, is_whole, on_delta);
        }
    }

    /// Takes a tool call or a fragment of one.
    ///
    /// The standard way is an `index` in every fragment, and `id` and `name` in the first only.
    /// Some vendors repeat id and name, leave the id empty, leave out the index, or send whole
    /// calls that all have index 0 and differ in their ids.
    fn take_call(&mut self, fragment: &WireCall<'_>, is_whole: bool, on_delta: OnDelta<'_>) {
        let id = Text::some(fragment.id.as_ref()).unwrap_or_default();
        let function = fragment.function.as_ref();
        let name = function.and_then(|function| Text::some(function.name.as_ref()));
        let name = name.unwrap_or_default();
        let arguments = function.and_then(|function| function.arguments).map(arguments);
        let arguments = arguments.unwrap_or_default();
        self.bytes += id.len() + name.len() + arguments.len();

        let open = match fragment.index {
            _ if is_whole => None,
            Some(index) => self.calls.iter().rposition(|call| call.index == Some(index)),
            None if name.is_empty() => self.calls.len().checked_sub(1),
            None => None,
        };
        let open = open.and_then(|at| self.calls.get_mut(at).map(|call| (at, call)));
        let is_another = |call: &Call| {
            !id.is_empty() && !name.is_empty() && !call.id.is_empty() && call.id != id
        };
        match open {
            Some((at, call)) if !is_another(call) => {
                if call.id.is_empty() {
                    call.id.push_str(id);
                }
                if call.name.is_empty() && !name.is_empty() {
                    call.name.push_str(name);
                    tell(on_delta, || Delta::ToolCall { index: at, name: name.to_owned() });
                }
                call.arguments.push_str(&arguments);
            }
            Some(_) | None => {
                let at = self.calls.len();
                // Many calls without any text are bounded too.
                self.bytes += size_of::<Call>();
                self.calls.push(Call {
                    index: fragment.index,
                    id: id.to_owned(),
                    name: name.to_owned(),
                    arguments: arguments.into_owned(),
                });
                if !name.is_empty() {
                    tell(on_delta, || Delta::ToolCall { index: at, name: name.to_owned() });
                }
            }
        }
    }

    /// Whether the provider has said why the answer ends.
    pub(super) fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    /// An answer must have begun. Some servers never say why it ends, but do say that it does.
    pub(super) fn check_begun(&self, endpoint: &Endpoint) -> Result<(), Failure> {
        if self.has_begun {
            return Ok(());
        }
        Err(endpoint.malformed(FailureClass::Transient, "it has no choices"))
    }

    /// The finished answer.
    pub(super) fn into_reply(
        self,
        request: &Request,
        endpoint: &Endpoint,
    ) -> Result<ModelReply, Failure> {
        let finish = match self.finish.as_deref() {
            Some("length" | "max_tokens" | "model_length") => FinishReason::Length,
            Some("content_filter" | "sensitive") => FinishReason::Refused,
            Some(reason @ ("error" | "insufficient_system_resource" | "network_error")) => {
                let message = format!("asked {}: it gave up: {reason}", endpoint.device());
                return Err(failed(FailureClass::Transient, ErrorCode::ModelServer, message));
            }
            _ if !self.refusal.is_empty() => FinishReason::Refused,
            // Vendors are not of one mind whether calling tools is a stop; the calls themselves
            // tell.
            _ if self.calls.is_empty() => FinishReason::Stop,
            _ => FinishReason::ToolCalls,
        };
        let text = self.text + &self.refusal;
        let mut tool_calls = Vec::with_capacity(self.calls.len());
        for Call { index: _, id, name, arguments } in self.calls {
            request.add_use(&mut tool_calls, ToolUse { id, name, arguments });
        }
        let message = Message::Assistant {
            content: (!text.is_empty() || tool_calls.is_empty()).then_some(Content::Text(text)),
            reasoning: (!self.reasoning.is_empty()).then_some(self.reasoning),
            tool_calls,
        };
        let usage = self.usage.unwrap_or_else(|| tokens::of_call(request, &message));
        Ok(ModelReply { body: Body::new(message), usage, finish })
    }
}

/// The arguments as the model wrote them: a text, or in some vendors' answers the JSON itself.
fn arguments(raw: &RawValue) -> Cow<'_, str> {
    let json = raw.get();
    match serde_json::from_str::<Text<'_>>(json) {
        Ok(Text(text)) if json.starts_with('"') => text,
        _ if json == "null" => Cow::Borrowed(""),
        _ => Cow::Borrowed(json),
    }
}

#[derive(Deserialize)]
struct WireReply<'a> {
    #[serde(borrow)]
    choices: Option<Vec<WireChoice<'a>>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireChoice<'a> {
    #[serde(borrow)]
    message: Option<WireSaid<'a>>,
    #[serde(borrow)]
    delta: Option<WireSaid<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Text<'a>>,
    /// Where older Moonshot models have it.
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireSaid<'a> {
    #[serde(borrow)]
    content: Option<Text<'a>>,
    #[serde(borrow)]
    reasoning_content: Option<Text<'a>>,
    #[serde(borrow)]
    reasoning: Option<Text<'a>>,
    #[serde(borrow)]
    refusal: Option<Text<'a>>,
    #[serde(borrow)]
    tool_calls: Option<Vec<WireCall<'a>>>,
}

#[derive(Deserialize)]
struct WireCall<'a> {
    index: Option<usize>,
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    function: Option<WireFunction<'a>>,
}

#[derive(Deserialize)]
struct WireFunction<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

/// Usage in OpenAI's shape with the fields that others added. Input includes what was cached.
#[derive(Default, Deserialize)]
#[serde(default)]
struct WireUsage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<WireInput>,
    completion_tokens_details: Option<WireOutput>,
    /// DeepSeek.
    prompt_cache_hit_tokens: Option<u64>,
    /// Moonshot.
    cached_tokens: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireInput {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
    /// DashScope, with explicit breakpoints.
    cache_creation_input_tokens: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireOutput {
    reasoning_tokens: Option<u64>,
}

/// The usage, if it is one: figures of zero are sent by servers that do not count, and a shape that
/// is not understood must not cost the answer.
fn read_usage(raw: &RawValue) -> Option<Usage> {
    let wire: WireUsage = serde_json::from_str(raw.get()).ok()?;
    let input = wire.prompt_tokens.filter(|tokens| *tokens > 0)?;
    let details = wire.prompt_tokens_details.unwrap_or_default();
    let cached = details.cached_tokens.max(wire.prompt_cache_hit_tokens).max(wire.cached_tokens);
    let cache_read = cached.unwrap_or(0).min(input);
    let written = details.cache_write_tokens.max(details.cache_creation_input_tokens);
    let cache_write = written.unwrap_or(0).min(input - cache_read);
    let output = wire.completion_tokens.unwrap_or(0);
    let reasoning = wire.completion_tokens_details.unwrap_or_default().reasoning_tokens;
    Some(Usage {
        input_uncached: Tokens(input - cache_read - cache_write),
        cache_read: Tokens(cache_read),
        cache_write: Tokens(cache_write),
        output: Tokens(output),
        reasoning: Tokens(reasoning.unwrap_or(0).min(output)),
        estimated: false,
    })
}

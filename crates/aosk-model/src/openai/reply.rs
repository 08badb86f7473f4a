//! What was answered: a whole reply or the chunks of a stream, assembled into one message.
//!
//! A whole reply is taken as a stream of one chunk, so there is one way to understand both.

use std::borrow::Cow;
use std::collections::BTreeMap;

use aosk_abi::{Failure, Tokens, ToolUse, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::counted::Counted;
use crate::driver::Delta;
use crate::exchange::{self, Context, Ending, Progress, Said};
use crate::failure::Complaint;
use crate::text::Text;

use super::inline::{Inline, Piece};

/// An answer as far as it has come.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    text: String,
    /// What of the text may be reasoning.
    inline: Inline,
    reasoning: String,
    refusal: String,
    calls: Vec<ToolUse>,
    /// Where the last call of each index stands.
    places: BTreeMap<usize, usize>,
    /// The one call that the format knew before it had `tool_calls`.
    function: Option<ToolUse>,
    finish: Option<String>,
    usage: Option<Usage>,
    /// Whether the provider has said anything at all as an answer.
    has_begun: bool,
    /// Whether the provider has said that nothing more comes.
    is_over: bool,
    /// Bytes kept.
    bytes: usize,
}

impl exchange::Assembly for Assembly {
    fn take_whole(&mut self, json: &[u8], cx: &Context<'_>) -> Result<(), Failure> {
        self.take(json, cx)?;
        self.check_begun(cx)
    }

    fn take_event(&mut self, data: &[u8], cx: &Context<'_>) -> Result<(), Failure> {
        if data == b"[DONE]" {
            self.check_begun(cx)?;
            self.is_over = true;
            return Ok(());
        }
        self.take(data, cx)
    }

    fn progress(&self) -> Progress {
        match (self.is_over, &self.finish) {
            (true, _) => Progress::Over,
            (false, Some(_)) => Progress::Finished,
            (false, None) if self.has_begun => Progress::Begun,
            (false, None) => Progress::Nothing,
        }
    }

    fn into_said(mut self) -> Said {
        let ending = self.ending();
        if self.calls.is_empty() {
            self.calls.extend(self.function);
        }
        let (thought, rest) = self.inline.finish();
        let reasoning = thought.or_else(|| (!self.reasoning.is_empty()).then_some(self.reasoning));
        Said {
            text: self.text + &rest + &self.refusal,
            reasoning,
            calls: self.calls,
            ending,
            counted: self.usage.map(|usage| Counted { usage, output_is_final: true }),
        }
    }
}

impl Assembly {
    /// Takes a whole reply or one chunk of a stream.
    fn take(&mut self, json: &[u8], cx: &Context<'_>) -> Result<(), Failure> {
        let reply: WireReply<'_> = cx.parse(json)?;
        let choices = reply.choices.unwrap_or_default();
        if reply.error.is_some_and(|error| error.get() != "null")
            || choices.is_empty() && reply.usage.is_none() && Complaint::read(json).is_some()
        {
            return Err(cx.refused(json));
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
            self.take_said(&said, is_whole, cx);
        }
        cx.endpoint.check_length(self.bytes)
    }

    fn take_said(&mut self, said: &WireSaid<'_>, is_whole: bool, cx: &Context<'_>) {
        let reasoning = Text::some(said.reasoning_content.as_ref());
        if let Some(text) = reasoning.or_else(|| Text::some(said.reasoning.as_ref())) {
            self.reasoning.push_str(text);
            self.bytes += text.len();
            cx.tell(|| Delta::Reasoning(text.to_owned()));
        }
        if let Some(text) = Text::some(said.content.as_ref()) {
            self.bytes += text.len();
            if !self.reasoning.is_empty() {
                self.inline.leave();
            }
            for piece in self.inline.push(text) {
                match piece {
                    Piece::Thought(text) => cx.tell(|| Delta::Reasoning(text)),
                    Piece::Said(text) => {
                        self.text.push_str(&text);
                        cx.tell(|| Delta::Text(text));
                    }
                }
            }
        }
        if let Some(text) = Text::some(said.refusal.as_ref()) {
            self.refusal.push_str(text);
            self.bytes += text.len();
            cx.tell(|| Delta::Text(text.to_owned()));
        }
        for fragment in said.tool_calls.iter().flatten() {
            self.take_call(fragment, is_whole, cx);
        }
        self.take_function(said.function_call, cx);
    }

    /// Takes a tool call or a fragment of one.
    ///
    /// The standard way is an `index` in every fragment, and `id` and `name` in the first only.
    /// Some vendors repeat id and name, leave the id empty, leave out the index, or send whole
    /// calls that all have index 0 and differ in their ids.
    fn take_call(&mut self, fragment: &WireCall<'_>, is_whole: bool, cx: &Context<'_>) {
        let id = Text::some(fragment.id.as_ref()).unwrap_or_default();
        let function = fragment.function.as_ref();
        let name = function.and_then(|function| Text::some(function.name.as_ref()));
        let name = name.unwrap_or_default();
        let arguments = function.and_then(|function| function.arguments).map(arguments);
        let arguments = arguments.unwrap_or_default();
        self.bytes += id.len() + name.len() + arguments.len();

        let open = match fragment.index {
            _ if is_whole => None,
            Some(index) => self.places.get(&index).copied(),
            None if name.is_empty() => self.calls.len().checked_sub(1),
            None => None,
        };
        let open = open.and_then(|at| self.calls.get_mut(at).map(|call| (at, call)));
        let is_another = |call: &ToolUse| {
            !id.is_empty() && !name.is_empty() && !call.id.is_empty() && call.id != id
        };
        match open {
            Some((at, call)) if !is_another(call) => {
                if call.id.is_empty() {
                    call.id.push_str(id);
                }
                if call.name.is_empty() && !name.is_empty() {
                    call.name.push_str(name);
                    cx.tell(|| Delta::ToolCall { index: at, name: name.to_owned() });
                }
                call.arguments.push_str(&arguments);
                cx.tell_arguments(&arguments);
            }
            Some(_) | None => {
                let at = self.calls.len();
                // Many calls without any text are bounded too.
                self.bytes += size_of::<ToolUse>();
                self.places.extend(fragment.index.map(|index| (index, at)));
                if !name.is_empty() {
                    cx.tell(|| Delta::ToolCall { index: at, name: name.to_owned() });
                }
                cx.tell_arguments(&arguments);
                self.calls.push(ToolUse {
                    id: id.to_owned(),
                    name: name.to_owned(),
                    arguments: arguments.into_owned(),
                });
            }
        }
    }

    /// Takes the older form of a call, or a fragment of it. Some vendors send it beside the newer.
    fn take_function(&mut self, function: Option<&RawValue>, cx: &Context<'_>) {
        let function: Option<WireFunction<'_>> =
            function.and_then(|function| serde_json::from_str(function.get()).ok());
        let Some(function) = function else { return };
        let name = Text::some(function.name.as_ref()).unwrap_or_default();
        let arguments = function.arguments.map(arguments).unwrap_or_default();
        if name.is_empty() && arguments.is_empty() {
            return;
        }
        self.bytes += name.len() + arguments.len();
        let call = self.function.get_or_insert_with(|| ToolUse {
            id: String::new(),
            name: String::new(),
            arguments: String::new(),
        });
        if call.name.is_empty() && !name.is_empty() {
            call.name.push_str(name);
            if self.calls.is_empty() {
                cx.tell(|| Delta::ToolCall { index: 0, name: name.to_owned() });
            }
        }
        call.arguments.push_str(&arguments);
        if self.calls.is_empty() {
            cx.tell_arguments(&arguments);
        }
    }

    /// An answer must have begun. Some servers never say why it ends, but do say that it does.
    fn check_begun(&self, cx: &Context<'_>) -> Result<(), Failure> {
        if self.has_begun { Ok(()) } else { Err(cx.odd("it has no choices")) }
    }

    fn ending(&self) -> Ending {
        match self.finish.as_deref() {
            Some("length" | "max_tokens" | "model_length") => Ending::Length,
            Some("content_filter" | "sensitive") => Ending::Refused,
            Some(reason @ ("error" | "insufficient_system_resource" | "network_error")) => {
                Ending::GaveUp(reason.to_owned())
            }
            _ if !self.refusal.is_empty() => Ending::Refused,
            Some("tool_calls" | "function_call") => Ending::Calls,
            Some(_) | None => Ending::Done,
        }
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
    #[serde(borrow)]
    function_call: Option<&'a RawValue>,
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

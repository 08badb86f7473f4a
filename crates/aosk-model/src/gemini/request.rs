//! The request's bytes. The neutral conversation is brought into the shape that Gemini insists on:
//! instructions apart, turns of the two sides in alternation, and the results of a turn's calls together,
//! right behind it.

use std::collections::BTreeMap;

use aosk_abi::{Content, Message, Part, ToolUse};
use serde_json::{Value, to_vec};

use super::Dialect;
use super::reply::Thought;
use super::wire::{
    What, WireBytes, WireCall, WireConfig, WireContent, WireDeclaration, WireFile, WireInstruction,
    WireOutcome, WirePart, WireRequest, WireResult, WireTools,
};
use super::wishes::{WireThinking, WireToolConfig, Wished};
use crate::arguments::Arguments;
use crate::driver::Request;
use crate::order::{self, Item};
use crate::picture::Picture;

/// What Google says to send where there is no signature, because another model made the call.
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// The body of the request.
///
/// # Errors
/// None that a conversation could cause: the writer is memory and all keys are text.
pub(super) fn render(request: &Request, dialect: Dialect) -> serde_json::Result<Vec<u8>> {
    let mut prompt = Prompt::default();
    for body in &request.messages {
        prompt.take_message(body.message(), dialect);
    }
    let Prompt { system, turns, called: _ } = prompt;
    let declared = request.tools.iter().map(|tool| WireDeclaration {
        name: &tool.name,
        description: &tool.description,
        parameters_json_schema: Some(&tool.parameters).filter(|schema| has_properties(schema)),
    });
    let function_declarations: Vec<_> = declared.collect();
    let options = &request.options;
    let milli = options.temperature_milli.map(|milli| f64::from(milli) / 1000.0);
    let temperature = request.wishes.temperature.or(milli);
    to_vec(&WireRequest {
        system_instruction: (!system.is_empty()).then_some(WireInstruction { parts: system }),
        contents: turns.iter().flat_map(Turn::contents).collect(),
        tools: (!function_declarations.is_empty()).then_some([WireTools { function_declarations }]),
        tool_config: WireToolConfig::of(request),
        generation_config: WireConfig {
            max_output_tokens: options.output_max,
            temperature: temperature.filter(|_| dialect.takes_temperature),
            thinking_config: WireThinking::of(request, dialect),
            wished: Wished::of(request, dialect),
        },
    })
}

/// Whether a schema says anything. An object without properties is refused.
fn has_properties(schema: &Value) -> bool {
    schema.get("properties").and_then(Value::as_object).is_some_and(|all| !all.is_empty())
}

/// What the model reads.
#[derive(Default)]
struct Prompt<'a> {
    system: Vec<WirePart<'a>>,
    turns: Vec<Turn<'a>>,
    /// The tools of the calls so far, by the ids of the calls.
    called: BTreeMap<&'a str, &'a str>,
}

/// What one side says before the other does.
struct Turn<'a> {
    role: &'static str,
    /// Results of calls, which must stand first and by themselves.
    results: Vec<WirePart<'a>>,
    parts: Vec<WirePart<'a>>,
}

impl<'a> Turn<'a> {
    fn contents(&self) -> impl Iterator<Item = WireContent<'_, 'a>> {
        let both = [&self.results, &self.parts].into_iter().filter(|parts| !parts.is_empty());
        both.map(|parts| WireContent { role: self.role, parts })
    }
}

impl<'a> Prompt<'a> {
    fn take_message(&mut self, message: &'a Message, dialect: Dialect) {
        match message {
            Message::System { content } => self.system.extend(parts_of(content)),
            Message::User { content, name: _ } => {
                self.say("user", vec![], parts_of(content).collect());
            }
            Message::Tool { tool_call_id, name, content, is_error } => {
                let called = self.called.get(tool_call_id.as_str()).copied();
                let function_response = WireResult {
                    id: tool_call_id,
                    name: name.as_deref().or(called).unwrap_or("tool"),
                    response: WireOutcome::of(content.text(), *is_error),
                };
                let result = WirePart::of(What::Result { function_response });
                self.say("user", vec![result], pictures_of(content).collect());
            }
            Message::Assistant { content, reasoning, tool_calls } => {
                let named = |call: &'a ToolUse| (call.id.as_str(), call.name.as_str());
                self.called.extend(tool_calls.iter().map(named));
                let parts = said(content.as_ref(), reasoning.as_deref(), tool_calls, dialect);
                self.say("model", vec![], parts);
            }
        }
    }

    /// Adds to the turn of this side: to the one that is open, or to a new one.
    fn say(&mut self, role: &'static str, results: Vec<WirePart<'a>>, parts: Vec<WirePart<'a>>) {
        match self.turns.last_mut() {
            Some(turn) if turn.role == role => {
                turn.results.extend(results);
                turn.parts.extend(parts);
            }
            Some(_) | None => self.turns.push(Turn { role, results, parts }),
        }
    }
}

/// What the model said, in its order and with its signatures.
fn said<'a>(
    content: Option<&'a Content>,
    reasoning: Option<&'a str>,
    calls: &'a [ToolUse],
    dialect: Dialect,
) -> Vec<WirePart<'a>> {
    let (text, other) = match content {
        Some(Content::Text(text)) => (text.as_str(), None),
        other => ("", other),
    };
    let mut parts: Vec<_> = other.into_iter().flat_map(parts_of).collect();
    let mut is_first_call = true;
    for item in order::of(reasoning, text, calls, |kind| kind == "thought") {
        let (what, signature) = match item {
            Item::Own(json) => {
                let Ok(thought) = serde_json::from_str::<Thought>(json) else { continue };
                (What::Thought { text: thought.text, thought: true }, thought.signature)
            }
            Item::Text(text, signature) => (What::Text { text }, signature),
            Item::Call(call, signature) => {
                let args = Arguments::of(&call.arguments);
                let function_call = WireCall { id: &call.id, name: &call.name, args };
                // Of calls at once only the first is signed.
                let wants = is_first_call && dialect.wants_signatures;
                is_first_call = false;
                let signature = signature.or_else(|| wants.then(|| NO_SIGNATURE.to_owned()));
                (What::Call { function_call }, signature)
            }
        };
        parts.push(WirePart { what, thought_signature: signature });
    }
    parts
}

fn parts_of(content: &Content) -> impl Iterator<Item = WirePart<'_>> {
    let (text, parts) = match content {
        Content::Text(text) => (Some(text.as_str()), [].as_slice()),
        Content::Parts(parts) => (None, parts.as_slice()),
    };
    let parts = parts.iter().filter_map(|part| match part {
        Part::Text { text } | Part::Page { text, .. } => text_part(text),
        Part::Image { .. } => Picture::of(part).map(picture),
        Part::Other { json } => {
            let verbatim = || json.is_object().then(|| WirePart::of(What::Verbatim(json)));
            Picture::of(part).map(picture).or_else(verbatim)
        }
    });
    text.and_then(text_part).into_iter().chain(parts)
}

fn pictures_of(content: &Content) -> impl Iterator<Item = WirePart<'_>> {
    let parts = match content {
        Content::Text(_) => [].as_slice(),
        Content::Parts(parts) => parts.as_slice(),
    };
    parts.iter().filter_map(Picture::of).map(picture)
}

/// A text; none if it is empty, which is refused.
fn text_part(text: &str) -> Option<WirePart<'_>> {
    (!text.is_empty()).then(|| WirePart::of(What::Text { text }))
}

fn picture(picture: Picture<'_>) -> WirePart<'_> {
    WirePart::of(match picture {
        Picture::Bytes { media_type, data } => {
            What::Bytes { inline_data: WireBytes { mime_type: media_type, data } }
        }
        Picture::Address(url) => What::File { file_data: WireFile { file_uri: url } },
    })
}

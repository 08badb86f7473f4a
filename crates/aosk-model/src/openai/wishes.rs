//! Wishes in the words of this format, and of the copies of it that have fewer or other ones.

use serde::Serialize;
use serde_json::to_writer;
use serde_json::value::RawValue;

use super::Words;
use crate::driver::Request;
use crate::wishes::{AnswerForm, ToolChoice};

/// What a form of answers is called if it has no name, which the format insists on.
const UNNAMED: &str = "answer";

impl Words {
    /// Whether an answer can be held to a schema, and not only to be JSON.
    fn knows_schemas(self) -> bool {
        match self {
            Self::OpenAi | Self::Open | Self::Common | Self::Mistral => true,
            Self::Objects => false,
        }
    }

    /// Whether the provider is told how hard the model is to think.
    fn knows_effort(self) -> bool {
        match self {
            Self::OpenAi | Self::Open | Self::Common => true,
            Self::Objects | Self::Mistral => false,
        }
    }

    /// Whether the arguments of this tool are held to its schema.
    pub(super) fn is_strict(self, request: &Request, tool: &str) -> bool {
        self == Self::OpenAi && request.wishes.strict_tools.iter().any(|strict| strict == tool)
    }
}

/// What the model is told of the form of its answer, where the provider knows no schemas.
pub(super) fn instruction(request: &Request, words: Words) -> Option<String> {
    let answer = request.wishes.answer.as_ref()?;
    match answer {
        AnswerForm::JsonObject => None,
        AnswerForm::JsonSchema { .. } => (!words.knows_schemas()).then(|| answer.in_words()),
    }
}

/// Appends the temperature: the client's or, if it wishes none, that of the process.
pub(super) fn temperature(request: &Request, out: &mut Vec<u8>) -> serde_json::Result<()> {
    if let Some(temperature) = request.wishes.temperature {
        out.extend_from_slice(b",\"temperature\":");
        return to_writer(out, &temperature);
    }
    if let Some(milli) = request.options.temperature_milli {
        let text = format!(",\"temperature\":{}.{:03}", milli / 1000, milli % 1000);
        out.extend_from_slice(text.as_bytes());
    }
    Ok(())
}

/// Appends the wishes but the temperature, which has its place elsewhere.
pub(super) fn append(request: &Request, words: Words, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let wishes = &request.wishes;
    if wishes.is_empty() {
        return Ok(());
    }
    let mut field = |name: &str, value: &dyn Fn(&mut Vec<u8>) -> serde_json::Result<()>| {
        out.extend_from_slice(b",\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        value(out)
    };
    let mut number = |name: &str, value: Option<f64>| match value {
        Some(value) => field(name, &|out| to_writer(out, &value)),
        None => Ok(()),
    };
    number("top_p", wishes.top_p)?;
    number("frequency_penalty", wishes.frequency_penalty)?;
    number("presence_penalty", wishes.presence_penalty)?;
    if let Some(top_k) = wishes.top_k.filter(|_| words == Words::Open) {
        field("top_k", &|out| to_writer(out, &top_k))?;
    }
    if !wishes.stop.is_empty() {
        field("stop", &|out| to_writer(out, &wishes.stop))?;
    }
    if let Some(seed) = wishes.seed {
        let name = if words == Words::Mistral { "random_seed" } else { "seed" };
        field(name, &|out| to_writer(out, &seed))?;
    }
    // Without tools there is nothing to choose, and providers refuse to be told how.
    if !request.tools.is_empty() {
        if let Some(choice) = &wishes.tool_choice {
            field("tool_choice", &|out| to_writer(out, &WireChoice::of(choice)))?;
        }
        if let Some(parallel) = wishes.parallel_tools {
            field("parallel_tool_calls", &|out| to_writer(out, &parallel))?;
        }
    }
    if let Some(answer) = &wishes.answer {
        field("response_format", &|out| to_writer(out, &WireForm::of(answer, words)))?;
    }
    if let Some(effort) = wishes.reasoning_effort.as_ref().filter(|_| words.knows_effort()) {
        field("reasoning_effort", &|out| to_writer(out, effort))?;
    }
    if let Some(verbosity) = wishes.verbosity.as_ref().filter(|_| words == Words::OpenAi) {
        field("verbosity", &|out| to_writer(out, verbosity))?;
    }
    Ok(())
}

#[derive(Serialize)]
#[serde(untagged)]
enum WireChoice<'a> {
    Word(&'static str),
    Tool {
        #[serde(rename = "type")]
        kind: &'static str,
        function: WireName<'a>,
    },
}

#[derive(Serialize)]
struct WireName<'a> {
    name: &'a str,
}

impl<'a> WireChoice<'a> {
    fn of(choice: &'a ToolChoice) -> Self {
        match choice {
            ToolChoice::Auto => Self::Word("auto"),
            ToolChoice::None => Self::Word("none"),
            ToolChoice::Required => Self::Word("required"),
            ToolChoice::Tool(name) => Self::Tool { kind: "function", function: WireName { name } },
        }
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WireForm<'a> {
    JsonObject,
    JsonSchema { json_schema: WireSchema<'a> },
}

#[derive(Serialize)]
struct WireSchema<'a> {
    name: &'a str,
    schema: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

impl<'a> WireForm<'a> {
    fn of(answer: &'a AnswerForm, words: Words) -> Self {
        match answer {
            AnswerForm::JsonSchema { name, schema, strict } if words.knows_schemas() => {
                let name = if name.is_empty() { UNNAMED } else { name };
                let schema = schema.json();
                Self::JsonSchema { json_schema: WireSchema { name, schema, strict: *strict } }
            }
            AnswerForm::JsonSchema { .. } | AnswerForm::JsonObject => Self::JsonObject,
        }
    }
}

#[cfg(test)]
mod tests;

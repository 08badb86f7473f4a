//! Wishes in the words of this format. It knows nothing of where an answer ends, nor of a seed.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::driver::Request;
use crate::wishes::{AnswerForm, ToolChoice};

/// What a form of answers is called if it has no name, which the format insists on.
const UNNAMED: &str = "answer";

/// Wishes, as fields of a request.
#[derive(Serialize)]
pub(super) struct Wished<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<WireChoice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<WireText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<WireReasoning<'a>>,
}

impl<'a> Wished<'a> {
    pub(super) fn of(request: &'a Request) -> Self {
        let wishes = &request.wishes;
        // Without tools there is nothing to choose.
        let has_tools = !request.tools.is_empty();
        let text = WireText {
            format: wishes.answer.as_ref().map(WireForm::of),
            verbosity: wishes.verbosity.as_deref(),
        };
        let effort = wishes.reasoning_effort.as_deref();
        Self {
            top_p: wishes.top_p,
            tool_choice: wishes.tool_choice.as_ref().filter(|_| has_tools).map(WireChoice::of),
            parallel_tool_calls: wishes.parallel_tools.filter(|_| has_tools),
            text: (text.format.is_some() || text.verbosity.is_some()).then_some(text),
            reasoning: effort.map(|effort| WireReasoning { effort }),
        }
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum WireChoice<'a> {
    Word(&'static str),
    Tool {
        #[serde(rename = "type")]
        kind: &'static str,
        name: &'a str,
    },
}

impl<'a> WireChoice<'a> {
    fn of(choice: &'a ToolChoice) -> Self {
        match choice {
            ToolChoice::Auto => Self::Word("auto"),
            ToolChoice::None => Self::Word("none"),
            ToolChoice::Required => Self::Word("required"),
            ToolChoice::Tool(name) => Self::Tool { kind: "function", name },
        }
    }
}

#[derive(Serialize)]
struct WireText<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<WireForm<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verbosity: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WireForm<'a> {
    JsonObject,
    JsonSchema {
        name: &'a str,
        schema: &'a RawValue,
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
    },
}

impl<'a> WireForm<'a> {
    fn of(answer: &'a AnswerForm) -> Self {
        match answer {
            AnswerForm::JsonObject => Self::JsonObject,
            AnswerForm::JsonSchema { name, schema, strict } => {
                let name = if name.is_empty() { UNNAMED } else { name };
                Self::JsonSchema { name, schema: schema.json(), strict: *strict }
            }
        }
    }
}

#[derive(Serialize)]
struct WireReasoning<'a> {
    effort: &'a str,
}

#[cfg(test)]
mod tests;

//! What a response says of its request.

use aosk_abi::{Tokens, ToolSpec};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::client::Asked;
use crate::wishes::{AnswerForm, ToolChoice};

/// What was asked, as a response says it again. It is written once, since a stream says it three times.
#[derive(Debug, Serialize)]
pub(super) struct Echo {
    background: bool,
    instructions: Option<()>,
    max_output_tokens: Option<Tokens>,
    metadata: Empty,
    parallel_tool_calls: bool,
    previous_response_id: Option<()>,
    reasoning: Reasoning,
    store: bool,
    temperature: Option<f64>,
    text: Option<Box<RawValue>>,
    tool_choice: Option<Box<RawValue>>,
    tools: Option<Box<RawValue>>,
    top_p: Option<f64>,
    truncation: &'static str,
    user: Option<String>,
}

#[derive(Debug, Serialize)]
struct Empty {}

#[derive(Debug, Serialize)]
struct Reasoning {
    effort: Option<String>,
    summary: Option<()>,
}

impl Echo {
    pub(super) fn of(asked: &Asked) -> Self {
        let wishes = &asked.wishes;
        let tools = asked.tools.iter().map(|tool| Tool::of(tool, &wishes.strict_tools));
        let tools: Vec<_> = tools.collect();
        let format = Format::of(wishes.answer.as_ref());
        // None of these has a map with odd keys, so they always have a JSON form.
        Self {
            background: false,
            instructions: None,
            max_output_tokens: asked.output_max,
            metadata: Empty {},
            parallel_tool_calls: wishes.parallel_tools.unwrap_or(true),
            previous_response_id: None,
            reasoning: Reasoning { effort: wishes.reasoning_effort.clone(), summary: None },
            store: false,
            temperature: wishes.temperature,
            text: to_raw_value(&Text { format }).ok(),
            tool_choice: to_raw_value(&Choice::of(wishes.tool_choice.as_ref())).ok(),
            tools: to_raw_value(&tools).ok(),
            top_p: wishes.top_p,
            truncation: "disabled",
            user: asked.user.clone(),
        }
    }
}

#[derive(Serialize)]
struct Tool<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'a str,
    description: &'a str,
    parameters: &'a Value,
    strict: bool,
}

impl<'a> Tool<'a> {
    fn of(tool: &'a ToolSpec, strict: &[String]) -> Self {
        Self {
            kind: "function",
            name: &tool.name,
            description: &tool.description,
            parameters: &tool.parameters,
            strict: strict.contains(&tool.name),
        }
    }
}

#[derive(Serialize)]
struct Text<'a> {
    format: Format<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Format<'a> {
    Text,
    JsonObject,
    JsonSchema { name: &'a str, schema: &'a RawValue, strict: Option<bool> },
}

impl<'a> Format<'a> {
    fn of(form: Option<&'a AnswerForm>) -> Self {
        match form {
            None => Self::Text,
            Some(AnswerForm::JsonObject) => Self::JsonObject,
            Some(AnswerForm::JsonSchema { name, schema, strict }) => {
                Self::JsonSchema { name, schema: schema.json(), strict: *strict }
            }
        }
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Choice<'a> {
    Word(&'static str),
    Tool {
        #[serde(rename = "type")]
        kind: &'static str,
        name: &'a str,
    },
}

impl<'a> Choice<'a> {
    fn of(choice: Option<&'a ToolChoice>) -> Self {
        match choice {
            None | Some(ToolChoice::Auto) => Self::Word("auto"),
            Some(ToolChoice::None) => Self::Word("none"),
            Some(ToolChoice::Required) => Self::Word("required"),
            Some(ToolChoice::Tool(name)) => Self::Tool { kind: "function", name },
        }
    }
}

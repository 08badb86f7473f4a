//! Wishes in the words of this format. Its newest version takes none on how tokens are drawn, and it
//! alone has words for answers with schemas and for how hard the model thinks.

use serde::Serialize;
use serde_json::to_writer;
use serde_json::value::RawValue;

use super::Version;
use crate::driver::Request;
use crate::wishes::{AnswerForm, Thinking, ToolChoice};

/// What the model is told of the form of its answer, where the format has no word for it: for any JSON,
/// for schemas that an answer need not be held to, and in the older version for all of them.
pub(super) fn instruction(request: &Request, version: Version) -> Option<String> {
    let answer = request.wishes.answer.as_ref()?;
    schema(request, version).is_none().then(|| answer.in_words())
}

/// The schema that the answer is held to.
fn schema(request: &Request, version: Version) -> Option<&RawValue> {
    match (request.wishes.answer.as_ref()?, version) {
        // The format refuses schemas that others take as a hint.
        (AnswerForm::JsonSchema { schema, strict: Some(true), .. }, Version::V2026) => {
            Some(schema.json())
        }
        (
            AnswerForm::JsonSchema { .. } | AnswerForm::JsonObject,
            Version::V2023 | Version::V2026,
        ) => None,
    }
}

/// Whether the arguments of this tool are held to its schema.
pub(super) fn is_strict(request: &Request, tool: &str, version: Version) -> bool {
    version == Version::V2026 && request.wishes.strict_tools.iter().any(|strict| strict == tool)
}

/// Appends the wishes but the temperature, which has its place elsewhere.
pub(super) fn append(
    request: &Request,
    version: Version,
    out: &mut Vec<u8>,
) -> serde_json::Result<()> {
    let wishes = &request.wishes;
    if wishes.is_empty() {
        return Ok(());
    }
    if let (Some(top_p), Version::V2023) = (wishes.top_p, version) {
        out.extend_from_slice(b",\"top_p\":");
        to_writer(&mut *out, &top_p)?;
    }
    if let (Some(top_k), Version::V2023) = (wishes.top_k, version) {
        out.extend_from_slice(b",\"top_k\":");
        to_writer(&mut *out, &top_k)?;
    }
    if !wishes.stop.is_empty() {
        out.extend_from_slice(b",\"stop_sequences\":");
        to_writer(&mut *out, &wishes.stop)?;
    }
    if let Some(choice) = WireChoice::of(request) {
        out.extend_from_slice(b",\"tool_choice\":");
        to_writer(&mut *out, &choice)?;
    }
    if let Some(thinking) = wishes.thinking {
        out.extend_from_slice(b",\"thinking\":");
        to_writer(&mut *out, &WireThinking::of(thinking))?;
    }
    let config = WireConfig {
        effort: wishes
            .reasoning_effort
            .as_deref()
            .filter(|_| version == Version::V2026)
            .map(effort),
        format: schema(request, version).map(|schema| WireForm { kind: "json_schema", schema }),
    };
    if config.effort.is_some() || config.format.is_some() {
        out.extend_from_slice(b",\"output_config\":");
        to_writer(&mut *out, &config)?;
    }
    Ok(())
}

/// How hard the model thinks, in the words of this format: it has none for less than `low`.
fn effort(effort: &str) -> &str {
    if matches!(effort, "none" | "minimal") { "low" } else { effort }
}

#[derive(Serialize)]
struct WireChoice<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    disable_parallel_tool_use: bool,
}

impl<'a> WireChoice<'a> {
    /// The choice, if there is anything to choose and any wish about it.
    fn of(request: &'a Request) -> Option<Self> {
        let wishes = &request.wishes;
        let one_by_one = wishes.parallel_tools == Some(false);
        let (kind, name) = match &wishes.tool_choice {
            _ if request.tools.is_empty() => return None,
            None if !one_by_one => return None,
            None | Some(ToolChoice::Auto) => ("auto", None),
            Some(ToolChoice::None) => ("none", None),
            Some(ToolChoice::Required) => ("any", None),
            Some(ToolChoice::Tool(name)) => ("tool", Some(name.as_str())),
        };
        let disable_parallel_tool_use = one_by_one && kind != "none";
        Some(Self { kind, name, disable_parallel_tool_use })
    }
}

#[derive(Serialize)]
struct WireThinking {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget_tokens: Option<u64>,
}

impl WireThinking {
    fn of(thinking: Thinking) -> Self {
        match thinking {
            Thinking::Off => Self { kind: "disabled", budget_tokens: None },
            Thinking::Adaptive => Self { kind: "adaptive", budget_tokens: None },
            Thinking::Budget(tokens) => Self { kind: "enabled", budget_tokens: Some(tokens) },
        }
    }
}

#[derive(Serialize)]
struct WireConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<WireForm<'a>>,
}

#[derive(Serialize)]
struct WireForm<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    schema: &'a RawValue,
}

#[cfg(test)]
mod tests;

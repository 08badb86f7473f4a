//! Wishes in the words of this format.

use serde::Serialize;
use serde_json::value::RawValue;

use super::Dialect;
use crate::driver::Request;
use crate::wishes::{AnswerForm, Thinking, ToolChoice};

/// Wishes, as fields of the configuration of an answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Wished<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop_sequences: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    response_mime_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_json_schema: Option<&'a RawValue>,
}

impl<'a> Wished<'a> {
    pub(super) fn of(request: &'a Request, dialect: Dialect) -> Self {
        let wishes = &request.wishes;
        // A model that takes no temperature takes none of the like.
        let draws = dialect.takes_temperature;
        Self {
            top_p: wishes.top_p.filter(|_| draws),
            top_k: wishes.top_k.filter(|_| draws),
            frequency_penalty: wishes.frequency_penalty.filter(|_| draws),
            presence_penalty: wishes.presence_penalty.filter(|_| draws),
            seed: wishes.seed,
            stop_sequences: &wishes.stop,
            response_mime_type: wishes.answer.as_ref().map(|_| "application/json"),
            response_json_schema: match &wishes.answer {
                Some(AnswerForm::JsonSchema { schema, .. }) => Some(schema.json()),
                Some(AnswerForm::JsonObject) | None => None,
            },
        }
    }
}

/// How the model thinks.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireThinking {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    include_thoughts: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_level: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_budget: Option<u64>,
}

impl WireThinking {
    /// How the model thinks; none if it does not.
    pub(super) fn of(request: &Request, dialect: Dialect) -> Option<Self> {
        let wishes = &request.wishes;
        let effort = wishes.reasoning_effort.as_deref().and_then(Effort::of);
        let budget = match wishes.thinking {
            Some(Thinking::Budget(tokens)) => Some(tokens),
            Some(Thinking::Off | Thinking::Adaptive) | None => None,
        };
        // Those that sign their calls are told in words how hard to think, those before them in tokens.
        let (thinking_level, thinking_budget) = if dialect.wants_signatures {
            (effort.map(Effort::level), None)
        } else {
            (None, budget.or_else(|| effort.map(Effort::tokens)))
        };
        dialect.shows_thoughts.then_some(Self {
            include_thoughts: true,
            thinking_level,
            thinking_budget,
        })
    }
}

/// How hard the model thinks, as far as this format tells it apart.
#[derive(Clone, Copy)]
enum Effort {
    Low,
    Medium,
    High,
}

impl Effort {
    fn of(word: &str) -> Option<Self> {
        match word {
            "none" | "minimal" | "low" => Some(Self::Low),
            "medium" => Some(Self::Medium),
            "high" | "xhigh" | "max" => Some(Self::High),
            _ => None,
        }
    }

    fn level(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    /// What Google itself takes the words for, where it is asked in OpenAI's format.
    fn tokens(self) -> u64 {
        match self {
            Self::Low => 1_024,
            Self::Medium => 8_192,
            Self::High => 24_576,
        }
    }
}

/// Which tools are called.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireToolConfig<'a> {
    function_calling_config: WireCalling<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireCalling<'a> {
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_function_names: Option<[&'a str; 1]>,
}

impl<'a> WireToolConfig<'a> {
    /// The choice, if there is anything to choose and any wish about it.
    pub(super) fn of(request: &'a Request) -> Option<Self> {
        let choice = request.wishes.tool_choice.as_ref().filter(|_| !request.tools.is_empty())?;
        let (mode, only) = match choice {
            ToolChoice::Auto => ("AUTO", None),
            ToolChoice::None => ("NONE", None),
            ToolChoice::Required => ("ANY", None),
            ToolChoice::Tool(name) => ("ANY", Some([name.as_str()])),
        };
        Some(Self { function_calling_config: WireCalling { mode, allowed_function_names: only } })
    }
}

#[cfg(test)]
mod tests;

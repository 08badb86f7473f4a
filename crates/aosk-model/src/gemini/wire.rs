//! The shapes of a request, as they are written.

use aosk_abi::Tokens;
use serde::Serialize;
use serde_json::Value;

use super::wishes::{WireThinking, WireToolConfig, Wished};
use crate::arguments::Arguments;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireRequest<'a, 'p> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) system_instruction: Option<WireInstruction<'a>>,
    pub(super) contents: Vec<WireContent<'p, 'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tools: Option<[WireTools<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_config: Option<WireToolConfig<'a>>,
    pub(super) generation_config: WireConfig<'a>,
}

#[derive(Serialize)]
pub(super) struct WireInstruction<'a> {
    pub(super) parts: Vec<WirePart<'a>>,
}

#[derive(Serialize)]
pub(super) struct WireContent<'p, 'a> {
    pub(super) role: &'static str,
    pub(super) parts: &'p [WirePart<'a>],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WirePart<'a> {
    #[serde(flatten)]
    pub(super) what: What<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thought_signature: Option<String>,
}

impl<'a> WirePart<'a> {
    /// A part that is not signed.
    pub(super) fn of(what: What<'a>) -> Self {
        Self { what, thought_signature: None }
    }
}

/// What a part is, told by its only field.
#[derive(Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub(super) enum What<'a> {
    Text {
        text: &'a str,
    },
    Thought {
        text: String,
        thought: bool,
    },
    Call {
        function_call: WireCall<'a>,
    },
    Result {
        function_response: WireResult<'a>,
    },
    Bytes {
        inline_data: WireBytes<'a>,
    },
    File {
        file_data: WireFile<'a>,
    },
    /// A part in the wire form in which it came.
    Verbatim(&'a Value),
}

#[derive(Serialize)]
pub(super) struct WireCall<'a> {
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    pub(super) args: Arguments<'a>,
}

#[derive(Serialize)]
pub(super) struct WireResult<'a> {
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    pub(super) response: WireOutcome,
}

/// What came of a call. The names are those that the format knows.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum WireOutcome {
    Output(String),
    Error(String),
}

impl WireOutcome {
    /// What a tool returned, or why it failed.
    pub(super) fn of(text: String, is_error: bool) -> Self {
        if is_error { Self::Error(text) } else { Self::Output(text) }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireBytes<'a> {
    pub(super) mime_type: &'a str,
    pub(super) data: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireFile<'a> {
    pub(super) file_uri: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireTools<'a> {
    pub(super) function_declarations: Vec<WireDeclaration<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireDeclaration<'a> {
    pub(super) name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parameters_json_schema: Option<&'a Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireConfig<'a> {
    pub(super) max_output_tokens: Tokens,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thinking_config: Option<WireThinking>,
    #[serde(flatten)]
    pub(super) wished: Wished<'a>,
}

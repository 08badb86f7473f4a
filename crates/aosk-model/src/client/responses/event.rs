//! The events of a stream of Responses, and the items that they tell.

use aosk_abi::ToolUse;
use serde::Serialize;
use serde_json::value::RawValue;

/// An event with its number.
#[derive(Serialize)]
pub(super) struct Event<'a> {
    #[serde(flatten)]
    pub(super) event: Wire<'a>,
    pub(super) sequence_number: u64,
}

/// Of which item a piece is.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Place<'a> {
    pub(super) item_id: &'a str,
    pub(super) output_index: usize,
}

macro_rules! events {
    ($($variant:ident = $name:literal { $($(#[$meta:meta])* $field:ident: $kind:ty,)* },)*) => {
        /// An event, by its kind.
        #[derive(Serialize)]
        #[serde(tag = "type")]
        pub(super) enum Wire<'a> {
            $(#[serde(rename = $name)] $variant { $($(#[$meta])* $field: $kind,)* },)*
        }

        impl Wire<'_> {
            /// What the event is called.
            pub(super) fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $name,)*
                }
            }
        }
    };
}

events! {
    Created = "response.created" { response: &'a RawValue, },
    InProgress = "response.in_progress" { response: &'a RawValue, },
    Completed = "response.completed" { response: &'a RawValue, },
    Incomplete = "response.incomplete" { response: &'a RawValue, },
    ItemAdded = "response.output_item.added" { output_index: usize, item: &'a Item<'a>, },
    ItemDone = "response.output_item.done" { output_index: usize, item: &'a Item<'a>, },
    PartAdded = "response.content_part.added" {
        #[serde(flatten)] place: Place<'a>,
        content_index: usize,
        part: OutputText<'a>,
    },
    PartDone = "response.content_part.done" {
        #[serde(flatten)] place: Place<'a>,
        content_index: usize,
        part: OutputText<'a>,
    },
    TextDelta = "response.output_text.delta" {
        #[serde(flatten)] place: Place<'a>,
        content_index: usize,
        delta: &'a str,
        logprobs: [(); 0],
    },
    TextDone = "response.output_text.done" {
        #[serde(flatten)] place: Place<'a>,
        content_index: usize,
        text: &'a str,
        logprobs: [(); 0],
    },
    SummaryAdded = "response.reasoning_summary_part.added" {
        #[serde(flatten)] place: Place<'a>,
        summary_index: usize,
        part: SummaryText<'a>,
    },
    SummaryDone = "response.reasoning_summary_part.done" {
        #[serde(flatten)] place: Place<'a>,
        summary_index: usize,
        part: SummaryText<'a>,
    },
    ReasoningDelta = "response.reasoning_summary_text.delta" {
        #[serde(flatten)] place: Place<'a>,
        summary_index: usize,
        delta: &'a str,
    },
    ReasoningDone = "response.reasoning_summary_text.done" {
        #[serde(flatten)] place: Place<'a>,
        summary_index: usize,
        text: &'a str,
    },
    ArgumentsDelta = "response.function_call_arguments.delta" {
        #[serde(flatten)] place: Place<'a>,
        delta: &'a str,
    },
    ArgumentsDone = "response.function_call_arguments.done" {
        #[serde(flatten)] place: Place<'a>,
        name: &'a str,
        arguments: &'a str,
    },
}

/// An item of the output.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Item<'a> {
    Known(Known<'a>),
    /// An item that is given out as it came.
    Own(&'a RawValue),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Known<'a> {
    Reasoning {
        id: &'a str,
        summary: Vec<SummaryText<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        encrypted_content: Option<&'a str>,
    },
    Message {
        id: &'a str,
        status: &'static str,
        role: &'static str,
        content: Vec<OutputText<'a>>,
    },
    FunctionCall {
        id: &'a str,
        status: &'static str,
        call_id: &'a str,
        name: &'a str,
        arguments: &'a str,
    },
}

impl<'a> Item<'a> {
    pub(super) fn reasoning(id: &'a str, text: Option<&'a str>, signed: Option<&'a str>) -> Self {
        let summary = text.map(SummaryText::of).into_iter().collect();
        Self::Known(Known::Reasoning { id, summary, encrypted_content: signed })
    }

    pub(super) fn message(id: &'a str, status: &'static str, text: Option<&'a str>) -> Self {
        let content = text.map(OutputText::of).into_iter().collect();
        Self::Known(Known::Message { id, status, role: "assistant", content })
    }

    pub(super) fn call(
        id: &'a str,
        status: &'static str,
        call: &'a ToolUse,
        arguments: &'a str,
    ) -> Self {
        let (call_id, name) = (call.id.as_str(), call.name.as_str());
        Self::Known(Known::FunctionCall { id, status, call_id, name, arguments })
    }
}

/// Some of what was said.
#[derive(Serialize)]
pub(super) struct OutputText<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    text: &'a str,
    annotations: [(); 0],
    logprobs: [(); 0],
}

impl<'a> OutputText<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self { kind: "output_text", text, annotations: [], logprobs: [] }
    }
}

/// Some of what was thought.
#[derive(Serialize)]
pub(super) struct SummaryText<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    text: &'a str,
}

impl<'a> SummaryText<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self { kind: "summary_text", text }
    }
}

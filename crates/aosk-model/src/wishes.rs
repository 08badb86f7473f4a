//! What is asked of a model beside the conversation and the tools.
//!
//! Each wire format says it in its provider's words, as far as the provider knows it. What a provider
//! does not know is left out; an answer in a form is then asked for in words.

use serde_json::value::RawValue;

/// What is asked beside the conversation and the tools. With none of it a request is the same bytes as
/// without it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wishes {
    /// Sampling temperature. It counts more than that of the process.
    pub temperature: Option<f64>,
    /// Of which share of the likeliest tokens one is drawn.
    pub top_p: Option<f64>,
    /// Of how many of the likeliest tokens one is drawn.
    pub top_k: Option<u64>,
    /// How much what was said often is avoided.
    pub frequency_penalty: Option<f64>,
    /// How much what was said at all is avoided.
    pub presence_penalty: Option<f64>,
    /// Texts before which the answer ends.
    pub stop: Vec<String>,
    /// What chance begins with.
    pub seed: Option<i64>,
    /// Whether tools are called, and which.
    pub tool_choice: Option<ToolChoice>,
    /// Whether an answer may call several tools.
    pub parallel_tools: Option<bool>,
    /// Tools whose arguments are held to their schema.
    pub strict_tools: Vec<String>,
    /// The form of the answer, if it is not free.
    pub answer: Option<AnswerForm>,
    /// How hard the model thinks, in the word that was asked with: such as `low`, `high`, `none`.
    pub reasoning_effort: Option<String>,
    /// Whether the model thinks, where that is asked apart from how hard.
    pub thinking: Option<Thinking>,
    /// How much is said, in the word that was asked with.
    pub verbosity: Option<String>,
}

/// Whether tools are called, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice {
    /// As the model likes.
    Auto,
    /// None is called.
    None,
    /// One at least is called.
    Required,
    /// The one of this name is called.
    Tool(String),
}

/// The form of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum AnswerForm {
    /// A JSON object.
    JsonObject,
    /// JSON that fits a schema.
    JsonSchema {
        /// What the form is called; may be empty.
        name: String,
        /// The schema.
        schema: Schema,
        /// Whether the answer is held to it. None leaves it to the provider.
        strict: Option<bool>,
    },
}

/// A JSON Schema as it was written: models answer in the order of its properties.
#[derive(Debug, Clone)]
pub struct Schema(Box<RawValue>);

/// Whether a model thinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thinking {
    /// It does not.
    Off,
    /// As much as it likes.
    Adaptive,
    /// At most so many tokens.
    Budget(u64),
}

impl Wishes {
    /// Whether nothing is asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl AnswerForm {
    /// What a model is told where the provider cannot hold it to the form.
    pub(crate) fn in_words(&self) -> String {
        match self {
            Self::JsonObject => {
                "Answer with one JSON object and nothing else: no words around it, no code fence."
                    .to_owned()
            }
            Self::JsonSchema { schema, .. } => format!(
                "Answer with JSON that fits this JSON Schema and nothing else: no words around it, \
                 no code fence.\n{}",
                schema.json().get()
            ),
        }
    }
}

impl Schema {
    /// The schema that is written so.
    #[must_use]
    pub fn new(json: Box<RawValue>) -> Self {
        Self(json)
    }

    /// The schema as it was written.
    #[must_use]
    pub fn json(&self) -> &RawValue {
        &self.0
    }
}

/// Schemas are the same if they are written the same.
impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

//! How a tool call fails, and how a tool is refused at registration.

use aosk_abi::error::ErrorCode;
use aosk_abi::unit::Millis;

/// Why a tool call failed. Its text goes to the model, which can act on it; never a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ToolError {
    /// No tool has this name.
    #[error("no tool is named {name:?}{}", near_text(near))]
    Unknown {
        /// The name called.
        name: String,
        /// Names of tools that look like it.
        near: Vec<String>,
    },
    /// The arguments are not JSON, or do not fit the tool's schema. Nothing was done.
    #[error("{0}")]
    Arguments(String),
    /// The path leads outside the workspace. Nothing was done.
    #[error("{path:?} leads outside the workspace; give a path relative to its root")]
    PathEscape {
        /// The path as it was given.
        path: String,
    },
    /// The tool did not finish in time and was stopped.
    #[error("did not finish within {after}{}", output_text(output))]
    Timeout {
        /// How long it had.
        after: Millis,
        /// What it had written until then; may be empty.
        output: String,
    },
    /// The tool failed.
    #[error("{0}")]
    Failed(String),
}

impl ToolError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Unknown { .. } => ErrorCode::ToolUnknown,
            Self::Arguments(_) => ErrorCode::ToolArguments,
            Self::PathEscape { .. } => ErrorCode::ToolPathEscape,
            Self::Timeout { .. } => ErrorCode::ToolTimeout,
            Self::Failed(_) => ErrorCode::ToolFailed,
        }
    }
}

fn near_text(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(" or ")) }
}

fn output_text(output: &str) -> String {
    if output.is_empty() { String::new() } else { format!("\n{output}") }
}

/// Why a tool was not registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// The name is not one that every provider accepts.
    #[error("tool name {0:?} is not 1 to 64 letters, digits, `_` or `-`")]
    Name(String),
    /// A tool or a kernel call already has the name.
    #[error("a tool named {0:?} is already there")]
    Duplicate(String),
    /// The parameters are not a JSON Schema of type `object`.
    #[error("the parameters of tool {name:?} are not a usable JSON Schema: {reason}")]
    Schema {
        /// The tool.
        name: String,
        /// What is wrong.
        reason: String,
    },
}

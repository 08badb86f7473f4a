//! What a tool says of itself, to the model and to the kernel.

use serde::{Deserialize, Serialize};

use crate::unit::Millis;

/// How much harm a tool can do. Ordered from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    /// Touches nothing: the calculator.
    Safe,
    /// Reads inside the workspace.
    Low,
    /// Writes inside the workspace.
    Medium,
    /// Runs programs or speaks to the network.
    High,
}

/// The face of a tool that a model is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// The name the model calls it by: letters, digits, `_` and `-`, at most 64 characters.
    pub name: String,
    /// What it does and when to use it, for the model.
    pub description: String,
    /// JSON Schema (draft 2020-12) of the arguments, always of type `object`.
    pub parameters: serde_json::Value,
}

/// The face of a tool that the kernel needs for its decisions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolTraits {
    /// How much harm it can do.
    pub risk: Risk,
    /// Calling it twice with the same call id is the same as calling it once.
    ///
    /// After a crash such a call is made again; any other is reported as interrupted.
    pub idempotent: bool,
    /// The call is pure and takes microseconds: it may run on the event loop and before the commit,
    /// because nobody outside can tell whether it ran.
    pub inline: bool,
    /// Calls of one turn may run at the same time as others that may. Of a tool that changes what
    /// another one reads, each call waits until those before it have returned: a model that writes a
    /// file and runs a test in one turn means the one and then the other.
    pub parallel: bool,
    /// How long one call may take.
    pub timeout: Millis,
}

//! The trait a tool implements, and what a call brings along.

use std::fmt;
use std::sync::Arc;

use aosk_abi::id::CallId;
use aosk_abi::tool::{ToolSpec, ToolTraits};
use async_trait::async_trait;
use serde_json::Value;

use crate::error::ToolError;
use crate::workspace::Workspace;

/// One call of a tool, as the kernel released it.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The call. The same after a crash, so a tool can tell that it is asked again.
    pub call: CallId,
    /// The attempt, from 1.
    pub attempt: u32,
    /// The name of the process that asks.
    pub process: String,
    /// The label of the process that asks; may be empty.
    pub label: String,
    /// The id under which the model expects the result.
    pub use_id: String,
    /// The tool.
    pub tool: String,
    /// The arguments as the model wrote them.
    pub arguments: Arc<str>,
    /// How many tools the process called before this.
    pub ordinal: u32,
    /// The directory the process works in.
    pub workspace: Arc<Workspace>,
}

/// Something a tool cannot work without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Need {
    /// A directory to work in.
    Workspace,
    /// To start programs of the host.
    Subprocess,
}

/// What a tool returns when it succeeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The text for the model. The registry bounds and cleans it.
    pub text: String,
}

impl Output {
    /// An output of plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into() }
    }
}

/// A device that a model can call.
///
/// Arguments have passed the tool's own schema before either method is called. Dropping the future
/// of [`Tool::call`] cancels the call: what it started is ended at once, and of work on files no
/// more is done than the one operation that has begun.
#[async_trait]
pub trait Tool: Send + Sync + fmt::Debug {
    /// The face the model is shown. Never changes.
    fn spec(&self) -> &ToolSpec;

    /// The face the kernel decides by. Never changes.
    fn traits(&self) -> &ToolTraits;

    /// What it cannot work without.
    fn needs(&self) -> &[Need] {
        &[]
    }

    /// Does what is asked.
    ///
    /// # Errors
    /// What the model should read instead of a result.
    async fn call(&self, invocation: &Invocation, arguments: Value) -> Result<Output, ToolError>;

    /// Does what is asked at once, if the tool is `inline`; none otherwise.
    fn call_inline(
        &self,
        _invocation: &Invocation,
        _arguments: &Value,
    ) -> Option<Result<Output, ToolError>> {
        None
    }
}

//! Adds to the end of a file.
//!
//! A tool of its own, not an option of `write_file`: whether a call may be made again after a crash
//! is decided by the tool's name, and appending twice is not appending once.

use std::sync::Arc;

use aosk_abi::tool::{Risk, ToolSpec, ToolTraits};
use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{WORKSPACE, file_traits};
use crate::arguments::typed;
use crate::blocking::blocking;
use crate::bound::grouped;
use crate::error::ToolError;
use crate::tool::{Invocation, Need, Output, Tool};

/// Adds to the end of a file. Not idempotent.
#[derive(Debug)]
pub struct AppendFile {
    spec: ToolSpec,
    traits: ToolTraits,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    path: String,
    content: String,
}

impl AppendFile {
    /// The tool `append_file`.
    #[must_use]
    pub fn new() -> Self {
        let spec = ToolSpec {
            name: "append_file".into(),
            description: "Adds text to the end of a file of the workspace, exactly as given: put \
                a line feed at its end if lines shall follow. Creates the file, with the \
                directories it needs, if there is none. Use it for logs and for long files that \
                are written in parts. Returns how many bytes were added."
                .into(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "path": {
                        "type": "string",
                        "minLength": 1,
                        "description": "The file, relative to the workspace."
                    },
                    "content": {
                        "type": "string",
                        "description": "What to add; at most about 1 MB."
                    }
                },
                "required": ["path", "content"],
                "additionalProperties": false
            }),
        };
        Self { spec, traits: file_traits(Risk::Medium, false) }
    }
}

impl Default for AppendFile {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Tool for AppendFile {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn traits(&self) -> &ToolTraits {
        &self.traits
    }

    fn needs(&self) -> &[Need] {
        WORKSPACE
    }

    async fn call(&self, invocation: &Invocation, arguments: Value) -> Result<Output, ToolError> {
        let Arguments { path, content } = typed(arguments)?;
        let workspace = Arc::clone(&invocation.workspace);
        blocking(move |cancel| {
            cancel.check()?;
            let relative = workspace.relative(&path)?;
            workspace.append(&relative, content.as_bytes())?;
            let bytes = grouped(content.len() as u64);
            Ok(Output::text(format!("appended to {}: {bytes} bytes", relative.display())))
        })
        .await
    }
}

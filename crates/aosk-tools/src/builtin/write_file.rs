//! Writes a whole file in one step.

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

/// Writes a whole file. Idempotent: doing it twice leaves what doing it once does.
#[derive(Debug)]
pub struct WriteFile {
    spec: ToolSpec,
    traits: ToolTraits,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    path: String,
    content: String,
}

impl WriteFile {
    /// The tool `write_file`.
    #[must_use]
    pub fn new() -> Self {
        let spec = ToolSpec {
            name: "write_file".into(),
            description: "Writes a file of the workspace: creates it, with the directories it \
                needs, or replaces all of its content. Give the whole content, not a part. To add \
                to the end of a file use append_file. Returns how many bytes were written."
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
                        "description": "The whole content of the file; at most about 1 MB."
                    }
                },
                "required": ["path", "content"],
                "additionalProperties": false
            }),
        };
        Self { spec, traits: file_traits(Risk::Medium, true) }
    }
}

impl Default for WriteFile {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Tool for WriteFile {
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
        // Nobody else uses this name: a call runs once at a time, and kernels are told apart.
        let temporary = format!(".aosk-{}-{}.tmp", std::process::id(), invocation.call);
        blocking(move |cancel| {
            cancel.check()?;
            let relative = workspace.relative(&path)?;
            let existed = workspace.replace(&relative, content.as_bytes(), &temporary)?;
            Ok(Output::text(format!(
                "{} {}: {} bytes",
                if existed { "replaced" } else { "created" },
                relative.display(),
                grouped(content.len() as u64)
            )))
        })
        .await
    }
}

//! Writes a whole file in one step.

use aosk_abi::tool::{Risk, ToolSpec};
use serde::Deserialize;
use serde_json::json;

use super::file_tool::{FileCall, FileTool};
use crate::bound::grouped;
use crate::error::ToolError;
use crate::tool::Output;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    path: String,
    content: String,
}

/// The tool `write_file`.
pub(super) fn write_file() -> FileTool<Arguments> {
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
    FileTool::new(spec, Risk::Medium, /*idempotent*/ true, write)
}

fn write(arguments: &Arguments, call: &FileCall<'_>) -> Result<Output, ToolError> {
    let Arguments { path, content } = arguments;
    let FileCall { call, workspace, cancel, .. } = call;
    // Nobody else uses this name: a call runs once at a time, and kernels are told apart.
    let temporary = format!(".aosk-{}-{call}.tmp", std::process::id());
    cancel.check()?;
    let relative = workspace.relative(path)?;
    let existed = workspace.replace(&relative, content.as_bytes(), &temporary)?;
    Ok(Output::text(format!(
        "{} {}: {} bytes",
        if existed { "replaced" } else { "created" },
        relative.display(),
        grouped(content.len() as u64)
    )))
}

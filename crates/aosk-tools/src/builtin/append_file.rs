//! Adds to the end of a file.
//!
//! A tool of its own, not an option of `write_file`: whether a call may be made again after a crash
//! is decided by the tool's name, and appending twice is not appending once.

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

/// The tool `append_file`.
pub(super) fn append_file() -> FileTool<Arguments> {
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
    FileTool::new(spec, Risk::Medium, /*idempotent*/ false, append)
}

fn append(arguments: &Arguments, call: &FileCall<'_>) -> Result<Output, ToolError> {
    let Arguments { path, content } = arguments;
    let FileCall { workspace, cancel, .. } = call;
    cancel.check()?;
    let relative = workspace.relative(path)?;
    workspace.append(&relative, content.as_bytes())?;
    let bytes = grouped(content.len() as u64);
    Ok(Output::text(format!("appended to {}: {bytes} bytes", relative.display())))
}

//! Lists the files of a directory.

use std::ops::ControlFlow;

use aosk_abi::tool::{Risk, ToolSpec};
use serde::Deserialize;
use serde_json::json;

use super::file_tool::{FileCall, FileTool};
use super::walk::{End, Entry, Kind, walk};
use crate::error::ToolError;
use crate::glob::Glob;
use crate::limits;
use crate::tool::Output;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    #[serde(default = "here")]
    path: String,
    #[serde(default)]
    recursive: bool,
    #[serde(default)]
    glob: Option<String>,
}

fn here() -> String {
    ".".into()
}

/// The tool `list_files`, of which one call shows about `page_bytes_max` bytes.
pub(super) fn list_files(page_bytes_max: usize) -> FileTool<Arguments> {
    let spec = ToolSpec {
        name: "list_files".into(),
        description: format!(
            "Lists a directory of the workspace, sorted by name: one path a line, relative to \
             the workspace; files with a tab and their size in bytes, directories with `/` at \
             the end, symbolic links with `@`. At most {} entries: narrow a larger listing \
             down with path or glob.",
            limits::LIST_ENTRIES_MAX
        ),
        parameters: json!({
            "type": "object",
            "properties": {
                "path": {
                    "type": "string",
                    "minLength": 1,
                    "description": "The directory, relative to the workspace. Default: all of it."
                },
                "recursive": {
                    "type": "boolean",
                    "description": "Also list what lies in directories below, except inside \
                        .git. Default false."
                },
                "glob": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 1000,
                    "description": "Only list files that fit, such as `*.rs` (any directory) or \
                        `src/**/*.{ts,vue}` (whole path)."
                }
            },
            "required": [],
            "additionalProperties": false
        }),
    };
    FileTool::new(spec, Risk::Low, /*idempotent*/ true, list).with_page(page_bytes_max)
}

fn list(arguments: &Arguments, call: &FileCall<'_>) -> Result<Output, ToolError> {
    let (workspace, cancel, mut page) = (call.workspace, call.cancel, call.page());
    let start = workspace.relative(&arguments.path)?;
    let glob = arguments.glob.as_deref().map(Glob::new).transpose()?;
    let mut count = 0;
    let end = walk(workspace, &start, arguments.recursive, cancel, |entry| {
        let wanted = match &glob {
            // A pattern asks for files; directories would only pad the answer.
            Some(glob) => {
                entry.kind != Kind::Directory && glob.matches(&entry.path.to_string_lossy())
            }
            None => true,
        };
        if !wanted {
            return Ok(ControlFlow::Continue(()));
        }
        if count == limits::LIST_ENTRIES_MAX || !page.push(&line(entry)) {
            return Ok(ControlFlow::Break(()));
        }
        count += 1;
        Ok(ControlFlow::Continue(()))
    })?;
    match end {
        End::Complete if count == 0 => page.text.push_str("[no files]"),
        End::Complete => {}
        End::Stopped => page.text.push_str(&format!(
            "[more than these {count} entries; narrow the listing down with path or glob]"
        )),
        End::TooLarge => page
            .text
            .push_str("[the directory tree is too large to walk; begin further down with path]"),
    }
    Ok(Output::text(page.text))
}

fn line(entry: &Entry) -> String {
    let shown = entry.shown();
    match entry.kind {
        Kind::File { bytes } => format!("{shown}\t{bytes}"),
        Kind::Directory => format!("{shown}/"),
        Kind::Link => format!("{shown}@"),
        Kind::Special => format!("{shown} (not an ordinary file)"),
    }
}

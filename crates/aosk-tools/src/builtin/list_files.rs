//! Lists the files of a directory.

use std::ops::ControlFlow;
use std::sync::Arc;

use aosk_abi::tool::{Risk, ToolSpec, ToolTraits};
use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};

use super::walk::{End, Entry, Kind, walk};
use super::{Page, WORKSPACE, file_traits};
use crate::arguments::typed;
use crate::blocking::{Cancel, blocking};
use crate::error::ToolError;
use crate::glob::Glob;
use crate::limits;
use crate::tool::{Invocation, Need, Output, Tool};
use crate::workspace::Workspace;

/// Lists the files of a directory.
#[derive(Debug)]
pub struct ListFiles {
    spec: ToolSpec,
    traits: ToolTraits,
    page_bytes_max: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
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

impl ListFiles {
    /// The tool `list_files`, of which one call shows about `page_bytes_max` bytes.
    #[must_use]
    pub fn new(page_bytes_max: usize) -> Self {
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
        Self { spec, traits: file_traits(Risk::Low, true), page_bytes_max }
    }
}

#[async_trait]
impl Tool for ListFiles {
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
        let arguments: Arguments = typed(arguments)?;
        let workspace = Arc::clone(&invocation.workspace);
        let page = Page::new(self.page_bytes_max);
        blocking(move |cancel| list(&workspace, &arguments, page, cancel)).await
    }
}

fn list(
    workspace: &Workspace,
    arguments: &Arguments,
    mut page: Page,
    cancel: &Cancel,
) -> Result<Output, ToolError> {
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

//! Searches the text files of a directory for a regular expression.

use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;

use aosk_abi::tool::{Risk, ToolSpec};
use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use serde_json::json;

use super::file_tool::{FileCall, FileTool, Page};
use super::walk::{End, Entry, Kind, walk};
use crate::bound::clean_prefix;
use crate::error::ToolError;
use crate::glob::Glob;
use crate::limits;
use crate::tool::Output;
use crate::workspace::{Workspace, fault};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    pattern: String,
    #[serde(default = "here")]
    path: String,
    #[serde(default)]
    glob: Option<String>,
    #[serde(default)]
    ignore_case: bool,
    #[serde(default = "matches_default")]
    max_matches: u64,
}

fn here() -> String {
    ".".into()
}

fn matches_default() -> u64 {
    limits::SEARCH_MATCHES_DEFAULT
}

/// The tool `search_files`, of which one call shows about `page_bytes_max` bytes.
pub(super) fn search_files(page_bytes_max: usize) -> FileTool<Arguments> {
    let spec = ToolSpec {
        name: "search_files".into(),
        description: format!(
            "Searches the text files of the workspace for a regular expression and returns \
             the lines that match as `path:line: text`, sorted by path. Use it to find where \
             something is before you read a file. Binary files and files over {} MB are \
             skipped; long lines are cut.",
            limits::SEARCH_FILE_BYTES_MAX / 1024 / 1024
        ),
        parameters: json!({
            "type": "object",
            "properties": {
                "pattern": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 1000,
                    "description": "A regular expression (Rust or RE2 syntax, no look-around), \
                        matched within one line."
                },
                "path": {
                    "type": "string",
                    "minLength": 1,
                    "description": "A directory or one file, relative to the workspace. \
                        Default: all of it."
                },
                "glob": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 1000,
                    "description": "Only search files that fit, such as `*.rs` (any directory) \
                        or `src/**/*.{ts,vue}` (whole path)."
                },
                "ignore_case": {
                    "type": "boolean",
                    "description": "Take upper and lower case as the same. Default false."
                },
                "max_matches": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": limits::SEARCH_MATCHES_MAX,
                    "description": "How many lines to return at most. Default 100."
                }
            },
            "required": ["pattern"],
            "additionalProperties": false
        }),
    };
    FileTool::new(spec, Risk::Low, /*idempotent*/ true, search).with_page(page_bytes_max)
}

fn search(arguments: &Arguments, call: &FileCall<'_>) -> Result<Output, ToolError> {
    let (workspace, cancel, page) = (call.workspace, call.cancel, call.page());
    let regex = RegexBuilder::new(&arguments.pattern)
        .case_insensitive(arguments.ignore_case)
        .size_limit(limits::REGEX_BYTES_MAX)
        .build()
        .map_err(|error| ToolError::Arguments(format!("argument `pattern`: {error}")))?;
    let glob = arguments.glob.as_deref().map(Glob::new).transpose()?;
    let start = workspace.relative(&arguments.path)?;
    let mut search = Search {
        workspace,
        regex,
        glob,
        matches_left: arguments.max_matches,
        page,
        files_skipped: 0,
    };
    let metadata =
        workspace.dir().metadata(&start).map_err(|error| fault("search", &start, &error))?;
    let end = if metadata.is_dir() {
        walk(workspace, &start, /*recursive*/ true, cancel, |entry| search.visit(entry))?
    } else {
        let entry = Entry { path: start, kind: Kind::File { bytes: metadata.len() } };
        if search.visit(&entry)?.is_break() { End::Stopped } else { End::Complete }
    };
    Ok(Output::text(search.finish(end)))
}

#[derive(Debug)]
struct Search<'a> {
    workspace: &'a Workspace,
    regex: Regex,
    glob: Option<Glob>,
    matches_left: u64,
    page: Page,
    files_skipped: u64,
}

impl Search<'_> {
    fn visit(&mut self, entry: &Entry) -> Result<ControlFlow<()>, ToolError> {
        let fits = |glob: &Glob| glob.matches(&entry.path.to_string_lossy());
        let Kind::File { bytes } = entry.kind else { return Ok(ControlFlow::Continue(())) };
        if !self.glob.as_ref().is_none_or(fits) {
            return Ok(ControlFlow::Continue(()));
        }
        if bytes > limits::SEARCH_FILE_BYTES_MAX {
            self.files_skipped += 1;
            return Ok(ControlFlow::Continue(()));
        }
        // A file that has vanished or cannot be read does not spoil the search.
        let Ok(content) = read(self.workspace, &entry.path) else {
            self.files_skipped += 1;
            return Ok(ControlFlow::Continue(()));
        };
        if content.iter().take(limits::BINARY_PROBE_BYTES).any(|byte| *byte == 0) {
            self.files_skipped += 1;
            return Ok(ControlFlow::Continue(()));
        }
        Ok(self.search_lines(&entry.shown(), &content))
    }

    fn search_lines(&mut self, path: &str, content: &[u8]) -> ControlFlow<()> {
        for (index, line) in content.split(|byte| *byte == b'\n').enumerate() {
            if !self.regex.is_match(&String::from_utf8_lossy(line)) {
                continue;
            }
            let shown = clean_prefix(line, limits::SEARCH_LINE_BYTES_MAX).replace('\n', "");
            let cut = if line.len() > limits::SEARCH_LINE_BYTES_MAX { " […]" } else { "" };
            let full = self.matches_left == 0;
            if full || !self.page.push(&format!("{path}:{}: {shown}{cut}", index + 1)) {
                return ControlFlow::Break(());
            }
            self.matches_left -= 1;
        }
        ControlFlow::Continue(())
    }

    fn finish(self, end: End) -> String {
        let mut text = self.page.text;
        match end {
            End::Complete if text.is_empty() => text.push_str("[no match]\n"),
            End::Complete => {}
            End::Stopped => text.push_str("[more matches follow; make the search narrower]\n"),
            End::TooLarge => {
                text.push_str("[the directory tree is too large; begin further down with path]\n");
            }
        }
        if self.files_skipped > 0 {
            let count = self.files_skipped;
            text.push_str(&format!("[{count} binary, large or unreadable files were skipped]\n"));
        }
        text
    }
}

fn read(workspace: &Workspace, path: &Path) -> Result<Vec<u8>, ToolError> {
    let (file, _) = workspace.open_file(path)?;
    let mut content = Vec::new();
    // The file may have grown since its size was looked at.
    file.take(limits::SEARCH_FILE_BYTES_MAX)
        .read_to_end(&mut content)
        .map_err(|error| fault("read", path, &error))?;
    Ok(content)
}

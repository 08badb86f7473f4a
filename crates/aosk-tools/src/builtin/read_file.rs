//! Reads lines of a text file.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use aosk_abi::tool::{Risk, ToolSpec};
use serde::Deserialize;
use serde_json::json;

use super::file_tool::{FileCall, FileTool};
use crate::bound::{clean_prefix, grouped, without_broken_end};
use crate::error::ToolError;
use crate::limits;
use crate::tool::Output;
use crate::workspace::fault;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    path: String,
    #[serde(default = "first_line")]
    offset: u64,
    #[serde(default = "lines_default")]
    limit: u64,
    #[serde(default)]
    line_numbers: bool,
}

fn first_line() -> u64 {
    1
}

fn lines_default() -> u64 {
    limits::READ_LINES_DEFAULT
}

/// The tool `read_file`, of which one call shows about `page_bytes_max` bytes.
pub(super) fn read_file(page_bytes_max: usize) -> FileTool<Arguments> {
    let spec = ToolSpec {
        name: "read_file".into(),
        description: format!(
            "Reads a text file of the workspace and returns its lines. Long files come in \
             parts of about {} KB: the last line says at which offset to go on. Lines longer \
             than {} bytes are cut. Binary files are refused.",
            page_bytes_max / 1024,
            limits::LINE_BYTES_MAX
        ),
        parameters: json!({
            "type": "object",
            "properties": {
                "path": {
                    "type": "string",
                    "minLength": 1,
                    "description": "The file, relative to the workspace."
                },
                "offset": {
                    "type": "integer",
                    "minimum": 1,
                    "description": "The first line to return, counted from 1. Default 1."
                },
                "limit": {
                    "type": "integer",
                    "minimum": 1,
                    "description": "How many lines to return at most. Default 2000."
                },
                "line_numbers": {
                    "type": "boolean",
                    "description": "Put its number and a tab before each line. Default false."
                }
            },
            "required": ["path"],
            "additionalProperties": false
        }),
    };
    FileTool::new(spec, Risk::Low, /*idempotent*/ true, read).with_page(page_bytes_max)
}

fn read(arguments: &Arguments, call: &FileCall<'_>) -> Result<Output, ToolError> {
    let (workspace, cancel, mut page) = (call.workspace, call.cancel, call.page());
    let path = workspace.relative(&arguments.path)?;
    let (file, metadata) = workspace.open_file(&path)?;
    let mut reader = BufReader::with_capacity(64 * 1024, file.take(limits::READ_BYTES_MAX));
    refuse_binary(&mut reader, &path, metadata.len())?;
    let after_last = arguments.offset.saturating_add(arguments.limit);
    let mut number = 0;
    let mut line = Line::default();
    loop {
        cancel.check()?;
        if !line.read(&mut reader).map_err(|error| fault("read", &path, &error))? {
            break;
        }
        number += 1;
        if number < arguments.offset {
            continue;
        }
        let shown = line.show(arguments.line_numbers.then_some(number));
        if number >= after_last || !page.push(&shown) {
            page.text.push_str(&format!("[more lines follow; go on with offset {number}]"));
            return Ok(Output::text(page.text));
        }
    }
    if number < arguments.offset && number > 0 {
        return Err(ToolError::Failed(format!("{path:?} has only {} lines", grouped(number))));
    }
    if metadata.len() > limits::READ_BYTES_MAX {
        page.text.push_str("[the rest of the file is beyond what this tool reads]");
    } else if number == 0 {
        page.text.push_str("[the file is empty]");
    }
    Ok(Output::text(page.text))
}

fn refuse_binary(
    reader: &mut BufReader<impl Read>,
    path: &Path,
    bytes: u64,
) -> Result<(), ToolError> {
    let start = reader.fill_buf().map_err(|error| fault("read", path, &error))?;
    if start.iter().take(limits::BINARY_PROBE_BYTES).any(|byte| *byte == 0) {
        return Err(ToolError::Failed(format!(
            "cannot read {path:?}: it is a binary file of {} bytes",
            grouped(bytes)
        )));
    }
    Ok(())
}

/// One line of a file, of which only the beginning is kept.
#[derive(Debug, Default)]
struct Line {
    kept: Vec<u8>,
    bytes: u64,
}

impl Line {
    /// Reads the next line without its end; false if there is none. Memory stays bounded.
    fn read(&mut self, reader: &mut impl BufRead) -> io::Result<bool> {
        self.kept.clear();
        self.bytes = 0;
        let mut any = false;
        loop {
            let buffer = match reader.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                filled => filled?,
            };
            if buffer.is_empty() {
                return Ok(any);
            }
            any = true;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let (part, _) = buffer.split_at(end.unwrap_or(buffer.len()));
            let room = limits::LINE_BYTES_MAX.saturating_sub(self.kept.len());
            self.kept.extend(part.iter().take(room));
            self.bytes += part.len() as u64;
            let consumed = part.len() + usize::from(end.is_some());
            reader.consume(consumed);
            if end.is_some() {
                return Ok(true);
            }
        }
    }

    fn show(&self, number: Option<u64>) -> String {
        let kept = if self.bytes > self.kept.len() as u64 {
            without_broken_end(&self.kept)
        } else {
            self.kept.strip_suffix(b"\r").unwrap_or(&self.kept)
        };
        let mut text = number.map_or_else(String::new, |number| format!("{number}\t"));
        text.push_str(&clean_prefix(kept, limits::LINE_BYTES_MAX));
        let cut = self.bytes - self.kept.len() as u64;
        if cut > 0 {
            // Writing to a string cannot fail.
            let _written = write!(text, " [… {} bytes cut …]", grouped(cut));
        }
        text
    }
}

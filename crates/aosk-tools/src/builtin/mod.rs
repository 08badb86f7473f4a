//! The tools that come with the kernel, one file each.

mod append_file;
mod calculator;
mod command;
mod hold;
mod list_files;
mod read_file;
mod run_command;
mod search_files;
mod supervisor;
mod walk;
mod write_file;

use std::sync::Arc;

use aosk_abi::tool::{Risk, ToolTraits};
use aosk_abi::unit::Millis;

use crate::error::RegisterError;
use crate::limits;
use crate::registry::Registry;
use crate::tool::{Need, Tool};

pub use append_file::AppendFile;
pub use calculator::Calculator;
pub use command::{CommandTimes, Launcher, environment};
pub use list_files::ListFiles;
pub use read_file::ReadFile;
pub use run_command::RunCommand;
pub use search_files::SearchFiles;
pub use supervisor::supervise;
pub use write_file::WriteFile;

/// What file tools need.
const WORKSPACE: &[Need] = &[Need::Workspace];

/// A registry of all built-in tools. Results keep at most `output_bytes_max` bytes of output;
/// commands are started through `launcher`.
///
/// # Errors
/// Never, as long as the built-in schemas are sound; a test registers them all.
pub fn registry(output_bytes_max: usize, launcher: Launcher) -> Result<Registry, RegisterError> {
    let output_bytes_max = output_bytes_max.max(limits::OUTPUT_BYTES_MIN);
    let page = output_bytes_max - limits::OUTPUT_BYTES_SLACK;
    let tools: [Arc<dyn Tool>; 7] = [
        Arc::new(Calculator::new()),
        Arc::new(ReadFile::new(page)),
        Arc::new(WriteFile::new()),
        Arc::new(AppendFile::new()),
        Arc::new(ListFiles::new(page)),
        Arc::new(SearchFiles::new(page)),
        Arc::new(RunCommand::new(launcher, CommandTimes::default(), page)),
    ];
    let mut registry = Registry::with_output_bytes_max(output_bytes_max);
    for tool in tools {
        registry.add(tool)?;
    }
    Ok(registry)
}

/// The traits of a tool that stays inside the workspace.
fn file_traits(risk: Risk, idempotent: bool) -> ToolTraits {
    ToolTraits { risk, idempotent, inline: false, timeout: limits::FILE_TIMEOUT }
}

/// Lines of output up to a number of bytes.
#[derive(Debug)]
struct Page {
    text: String,
    bytes_max: usize,
}

impl Page {
    fn new(bytes_max: usize) -> Self {
        Self { text: String::new(), bytes_max }
    }

    /// Adds `line`, unless it does not fit any more. The first one always fits.
    fn push(&mut self, line: &str) -> bool {
        let full = self.text.len() + line.len() + 1 > self.bytes_max;
        if full && !self.text.is_empty() {
            return false;
        }
        self.text.push_str(line);
        self.text.push('\n');
        true
    }
}

/// `seconds` as a span, for schemas that speak in seconds.
fn seconds(span: Millis) -> u64 {
    span.0 / 1000
}

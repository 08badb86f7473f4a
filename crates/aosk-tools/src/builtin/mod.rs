//! The tools that come with the kernel, one file each.

mod append_file;
mod calculator;
mod command;
mod file_tool;
mod hold;
mod list_files;
mod read_file;
mod run_command;
mod search_files;
mod supervisor;
mod touch;
mod walk;
mod write_file;

use std::sync::Arc;

use aosk_abi::unit::Millis;

use crate::error::RegisterError;
use crate::limits;
use crate::registry::Registry;
use crate::tool::Tool;

pub use calculator::Calculator;
pub use command::{CommandTimes, Launcher, environment};
pub use run_command::RunCommand;
pub use supervisor::supervise;
pub use touch::{Touch, touched};

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
        Arc::new(read_file::read_file(page)),
        Arc::new(write_file::write_file()),
        Arc::new(append_file::append_file()),
        Arc::new(list_files::list_files(page)),
        Arc::new(search_files::search_files(page)),
        Arc::new(RunCommand::new(launcher, CommandTimes::default(), page)),
    ];
    let mut registry = Registry::with_output_bytes_max(output_bytes_max);
    for tool in tools {
        registry.add(tool)?;
    }
    Ok(registry)
}

/// `seconds` as a span, for schemas that speak in seconds.
fn seconds(span: Millis) -> u64 {
    span.0 / 1000
}

//! `aosk completions`.

use aosk::abi::Error;
use clap::{Command, CommandFactory};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::fail::Done;
use crate::term;

pub(crate) fn run(shell: Shell) -> Result<Done, Error> {
    // The generator panics at a closed pipe, so it writes into memory.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut visible(&Cli::command()), "aosk", &mut script);
    term::line(String::from_utf8_lossy(&script).trim_end());
    Ok(Done::Well)
}

/// The command without hidden commands and arguments, which the generator would offer like any
/// other.
fn visible(whole: &Command) -> Command {
    let arguments = whole.get_arguments().filter(|argument| !argument.is_hide_set());
    let commands = whole.get_subcommands().filter(|command| !command.is_hide_set()).map(visible);
    let mut part = Command::new(whole.get_name().to_owned()).args(arguments).subcommands(commands);
    if let Some(about) = whole.get_about() {
        part = part.about(about.clone());
    }
    if let Some(version) = whole.get_version() {
        part = part.version(version.to_owned());
    }
    part
}

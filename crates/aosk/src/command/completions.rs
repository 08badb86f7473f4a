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

/// The command line without hidden commands, which the generator would offer like any other.
fn visible(whole: &Command) -> Command {
    let commands = whole.get_subcommands().filter(|command| !command.is_hide_set());
    Command::new("aosk")
        .version(env!("CARGO_PKG_VERSION"))
        .args(whole.get_arguments())
        .subcommands(commands)
}

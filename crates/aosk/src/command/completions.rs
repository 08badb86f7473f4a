//! `aosk completions`.

use aosk::abi::Error;
use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::fail::Done;

pub(crate) fn run(shell: Shell) -> Result<Done, Error> {
    clap_complete::generate(shell, &mut Cli::command(), "aosk", &mut std::io::stdout());
    Ok(Done::Well)
}

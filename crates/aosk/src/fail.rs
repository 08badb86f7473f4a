//! Errors and exit statuses: the one place where a code becomes a number.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use aosk::abi::{Error, ErrorCode};
use clap::CommandFactory;
use clap::error::ErrorKind;

use crate::cli::Cli;
use crate::term::{self, cut, note};

/// How a command that did its work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    /// All went well.
    Well,
    /// The command worked; what it ran or checked did not: an agent failed, the journal is broken.
    Badly,
    /// What was run or checked failed with this code, and why is said already.
    Failed(ErrorCode),
    /// An agent failed with this code, and why is said already.
    AgentFailed(ErrorCode),
}

/// The exit status of an agent's failure. A name that the agent got wrong is not one that was typed.
fn status_of_agent(code: ErrorCode) -> u8 {
    match (code, status(code)) {
        // So said the provider: what was typed was good enough to ask it.
        (ErrorCode::ModelUnknown, _) => 3,
        (_, 2) => 1,
        (_, other) => other,
    }
}

/// The exit status of an error. Documented in the README, in `docs/errors` and in `aosk --help`.
fn status(code: ErrorCode) -> u8 {
    match code {
        ErrorCode::ProgramFailed
        | ErrorCode::ProgramInvalid
        | ErrorCode::ReplayDiffers
        | ErrorCode::BudgetExceeded
        | ErrorCode::Forbidden
        | ErrorCode::Busy
        | ErrorCode::BadSyscall
        | ErrorCode::Deadlock
        | ErrorCode::NotAsking
        | ErrorCode::Runaway
        | ErrorCode::MemoryNoPage
        | ErrorCode::MemoryPinsFull
        | ErrorCode::MemoryTask
        | ErrorCode::ToolUnknown
        | ErrorCode::ToolArguments
        | ErrorCode::ToolFailed
        | ErrorCode::ToolTimeout
        | ErrorCode::ToolInterrupted
        | ErrorCode::ToolPathEscape
        | ErrorCode::ToolDenied
        | ErrorCode::ApiRateLimited => 1,
        ErrorCode::Usage
        | ErrorCode::ConfigInvalid
        | ErrorCode::TraceInvalid
        | ErrorCode::NoSuchProcess
        | ErrorCode::ApiBadRequest
        | ErrorCode::ApiUnauthorized
        | ErrorCode::ApiNotFound
        | ErrorCode::ApiMethod
        | ErrorCode::ApiTooLarge
        | ErrorCode::ApiMediaType
        | ErrorCode::ModelUnknown => 2,
        ErrorCode::ModelKeyMissing
        | ErrorCode::ModelUnauthorized
        | ErrorCode::ModelUnreachable
        | ErrorCode::ModelTimeout
        | ErrorCode::ModelRateLimited
        | ErrorCode::ModelQuota
        | ErrorCode::ModelServer
        | ErrorCode::ModelBadRequest
        | ErrorCode::ModelUnable
        | ErrorCode::ModelContextLength
        | ErrorCode::ModelMalformed
        | ErrorCode::ModelTruncated
        | ErrorCode::ModelRefused
        | ErrorCode::ModelCancelled
        | ErrorCode::ScriptExhausted => 3,
        ErrorCode::StoreLocked
        | ErrorCode::StoreNewer
        | ErrorCode::StoreFull
        | ErrorCode::StoreIo
        | ErrorCode::ApiNoDaemon
        | ErrorCode::ApiTimeout
        | ErrorCode::Io => 4,
        ErrorCode::StoreCorrupt | ErrorCode::JournalBroken => 5,
        ErrorCode::KernelPanic => 70,
        ErrorCode::Interrupted => 130,
    }
}

/// An error in one line: what was attempted, what is wrong, the code, and a hint.
pub(crate) fn line(error: &Error) -> String {
    let one_line =
        |text: &str| cut(text, usize::MAX).split_whitespace().collect::<Vec<_>>().join(" ");
    let mut line = format!("error[{}]: {}", error.code, one_line(&error.message));
    if !error.hint.is_empty() {
        line.push_str(&format!("; hint: {}", one_line(&error.hint)));
    }
    line
}

/// Says what went wrong and gives the exit status.
pub(crate) fn exit(outcome: Result<Done, Error>, json: bool) -> ExitCode {
    let status = match outcome {
        Ok(Done::Well) => 0,
        Ok(Done::Badly) => 1,
        Ok(Done::Failed(code)) => status(code),
        Ok(Done::AgentFailed(code)) => status_of_agent(code),
        Err(error) => {
            if json {
                term::json(&serde_json::json!({ "error": error }));
            }
            note(&line(&error));
            status(error.code)
        }
    };
    ExitCode::from(after_writing(status))
}

/// The exit status, once it is known whether the output was written. A reader that went away has
/// seen what it wanted; a disk that is full lost what the caller believes to have.
fn after_writing(outcome: u8) -> u8 {
    match term::lost() {
        Some(lost) if lost.kind() != io::ErrorKind::BrokenPipe => {
            let error = Error::new(ErrorCode::Io, format!("writing the output: {lost}"))
                .hint("the output is not whole; write it elsewhere, or free some space");
            note(&line(&error));
            status(error.code)
        }
        Some(_) | None => outcome,
    }
}

/// Shows help, or says what is wrong with the command line.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let is_help = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if is_help || !error.use_stderr() {
        if let Err(lost) = error.print().and_then(|()| io::stdout().flush()) {
            term::lose(lost);
        }
        let outcome = if is_help { status(ErrorCode::Usage) } else { 0 };
        return ExitCode::from(after_writing(outcome));
    }
    let arguments = || std::env::args_os().skip(1).take_while(|argument| argument != "--");
    let command = command(arguments());
    let json = arguments().any(|argument| argument == "--json");
    exit(Err(misused(&error.to_string(), &command)), json)
}

/// The command that the arguments are for, as it is called: the one whose help says more.
fn command(mut arguments: impl Iterator<Item = OsString>) -> String {
    let root = Cli::command();
    let (mut command, mut name) = (&root, root.get_name().to_owned());
    while let Some(argument) = arguments.next() {
        let argument = argument.to_string_lossy();
        if let Some(option) = argument.strip_prefix("--") {
            // What follows an option is its value and may look like a command.
            let known = command.get_arguments().chain(root.get_arguments());
            let mut known = known.filter(|known| known.get_action().takes_values());
            if known.any(|known| known.get_long() == Some(option)) {
                arguments.next();
            }
        } else if !argument.starts_with('-') {
            let Some(next) = command.find_subcommand(argument.as_ref()) else {
                break;
            };
            command = next;
            name = format!("{name} {argument}");
        }
    }
    name
}

/// The error that clap has written out in paragraphs: what is wrong, tips, and the usage.
fn misused(said: &str, command: &str) -> Error {
    let mut paragraphs = said.split("\n\n");
    let wrong = paragraphs.next().unwrap_or_default().trim_start_matches("error:").trim();
    let wrong = bounded_below(wrong);
    let tips = paragraphs.flat_map(str::lines).filter_map(|line| line.trim().strip_prefix("tip:"));
    let help = format!("see `{command} --help`");
    let hint: Vec<_> = tips.map(str::trim).chain([help.as_str()]).collect();
    Error::new(ErrorCode::Usage, format!("reading the command line: {wrong}")).hint(hint.join("; "))
}

/// The sentence with a range that nothing ends but the size of numbers told by its beginning.
fn bounded_below(wrong: &str) -> String {
    let ends = [format!("..{}", u64::MAX), format!("..={}", u32::MAX)];
    let cut = ends.iter().find_map(|end| wrong.strip_suffix(end.as_str()));
    let range = cut.and_then(|cut| cut.rsplit_once(" is not in "));
    range.map_or_else(
        || wrong.to_owned(),
        |(figure, least)| format!("{figure} is less than {least}"),
    )
}

#[cfg(test)]
mod tests;

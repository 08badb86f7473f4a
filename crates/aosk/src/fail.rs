//! Errors and exit statuses: the one place where a code becomes a number.

use std::process::ExitCode;

use aosk::abi::{Error, ErrorCode};

/// How a command that did its work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    /// All went well.
    Well,
    /// The command worked; what it ran or checked did not: an agent failed, the journal is broken.
    Badly,
    /// An agent failed, and why is said already.
    Failed(ErrorCode),
}

/// The exit status of an error. Documented in the README and in `aosk --help`.
fn status(code: ErrorCode) -> u8 {
    match code {
        ErrorCode::ProgramFailed
        | ErrorCode::ProgramInvalid
        | ErrorCode::ReplayDiffers
        | ErrorCode::BudgetExceeded
        | ErrorCode::NoSuchProcess
        | ErrorCode::Forbidden
        | ErrorCode::Busy
        | ErrorCode::BadSyscall
        | ErrorCode::Deadlock
        | ErrorCode::ToolUnknown
        | ErrorCode::ToolArguments
        | ErrorCode::ToolFailed
        | ErrorCode::ToolTimeout
        | ErrorCode::ToolInterrupted
        | ErrorCode::ToolPathEscape
        | ErrorCode::ToolDenied => 1,
        ErrorCode::Usage | ErrorCode::ConfigInvalid | ErrorCode::TraceInvalid => 2,
        ErrorCode::ModelUnknown
        | ErrorCode::ModelKeyMissing
        | ErrorCode::ModelUnauthorized
        | ErrorCode::ModelUnreachable
        | ErrorCode::ModelTimeout
        | ErrorCode::ModelRateLimited
        | ErrorCode::ModelQuota
        | ErrorCode::ModelServer
        | ErrorCode::ModelBadRequest
        | ErrorCode::ModelContextLength
        | ErrorCode::ModelMalformed
        | ErrorCode::ModelCancelled
        | ErrorCode::ScriptExhausted => 3,
        ErrorCode::StoreLocked
        | ErrorCode::StoreNewer
        | ErrorCode::StoreFull
        | ErrorCode::StoreIo
        | ErrorCode::Io => 4,
        ErrorCode::StoreCorrupt | ErrorCode::JournalBroken => 5,
        ErrorCode::KernelPanic => 70,
        ErrorCode::Interrupted => 130,
    }
}

/// An error in one line: what was attempted, what is wrong, the code, and a hint.
pub(crate) fn line(error: &Error) -> String {
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut line = format!("error[{}]: {}", error.code, one_line(&error.message));
    if !error.hint.is_empty() {
        line.push_str(&format!("; hint: {}", one_line(&error.hint)));
    }
    line
}

/// Says what went wrong and gives the exit status.
pub(crate) fn exit(outcome: Result<Done, Error>, json: bool) -> ExitCode {
    match outcome {
        Ok(Done::Well) => ExitCode::SUCCESS,
        Ok(Done::Badly) => ExitCode::from(1),
        Ok(Done::Failed(code)) => ExitCode::from(status(code)),
        Err(error) => {
            if json {
                crate::term::json(&serde_json::json!({ "error": error }));
            }
            crate::term::note(&line(&error));
            ExitCode::from(status(error.code))
        }
    }
}

/// Shows help, or what is wrong with the command line.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    // Nobody may be reading.
    drop(error.print());
    if error.use_stderr() { ExitCode::from(status(ErrorCode::Usage)) } else { ExitCode::SUCCESS }
}

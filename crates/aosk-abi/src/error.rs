//! The closed list of error codes. A code never changes its meaning and is never removed.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal,)*) => {
        /// A stable error code. The printed form is `area.what`; docs/errors has a page on each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum ErrorCode {
            $($(#[$doc])* #[serde(rename = $code)] $variant,)*
        }

        impl ErrorCode {
            /// Every code, in the order of the list.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The printed form.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)*
                }
            }
        }
    };
}

codes! {
    /// The command line makes no sense.
    Usage = "cli.usage",
    /// The configuration file is wrong.
    ConfigInvalid = "config.invalid",
    /// No process has this id.
    NoSuchProcess = "kernel.no_such_process",
    /// The process may not do this.
    Forbidden = "kernel.forbidden",
    /// A bound of the kernel is reached; try again later.
    Busy = "kernel.busy",
    /// The system call's arguments make no sense.
    BadSyscall = "kernel.bad_syscall",
    /// The process waits on what nobody will answer.
    Deadlock = "kernel.deadlock",
    /// The process does not wait for a person, or no longer for this.
    NotAsking = "kernel.not_asking",
    /// A process does the same again and again, or starts processes without end, after it was told.
    Runaway = "kernel.runaway",
    /// An input made the kernel panic and was set aside.
    KernelPanic = "kernel.panic",
    /// The program of a process is unknown or its state does not load.
    ProgramInvalid = "program.invalid",
    /// A program gave up: its model or its task cannot be carried on.
    ProgramFailed = "program.failed",
    /// What was sent to the model differs from the record.
    ReplayDiffers = "program.replay_differs",
    /// A budget does not allow it.
    BudgetExceeded = "budget.exceeded",
    /// No such provider or model.
    ModelUnknown = "model.unknown",
    /// The provider needs a key and none is set.
    ModelKeyMissing = "model.key_missing",
    /// The provider refused the key.
    ModelUnauthorized = "model.unauthorized",
    /// The provider could not be reached.
    ModelUnreachable = "model.unreachable",
    /// The provider did not answer in time.
    ModelTimeout = "model.timeout",
    /// The provider asks for patience.
    ModelRateLimited = "model.rate_limited",
    /// The account's money or quota at the provider is used up.
    ModelQuota = "model.quota",
    /// The provider failed.
    ModelServer = "model.server",
    /// The provider refused the request.
    ModelBadRequest = "model.bad_request",
    /// None of the models of a route can do what the call needs.
    ModelUnable = "model.unable",
    /// The conversation is longer than the model's window.
    ModelContextLength = "model.context_length",
    /// The provider's answer or stream is not what its protocol says.
    ModelMalformed = "model.malformed",
    /// The answer reached its greatest length before it was done.
    ModelTruncated = "model.truncated",
    /// The provider withheld the answer.
    ModelRefused = "model.refused",
    /// The call was given up before it ended.
    ModelCancelled = "model.cancelled",
    /// The script of the scripted model has no answer for this.
    ScriptExhausted = "model.script_exhausted",
    /// The process has no such page.
    MemoryNoPage = "memory.no_page",
    /// So much is pinned already that no more may be.
    MemoryPinsFull = "memory.pins_full",
    /// A task cannot be begun or ended.
    MemoryTask = "memory.task",
    /// No tool has this name.
    ToolUnknown = "tool.unknown",
    /// The arguments do not fit the tool's schema.
    ToolArguments = "tool.arguments",
    /// The tool failed.
    ToolFailed = "tool.failed",
    /// The tool did not finish in time.
    ToolTimeout = "tool.timeout",
    /// The call was in flight when the kernel died; whether it happened is unknown.
    ToolInterrupted = "tool.interrupted",
    /// The path leads outside the workspace.
    ToolPathEscape = "tool.path_escape",
    /// The policy does not allow this tool.
    ToolDenied = "tool.denied",
    /// Another kernel has this data directory.
    StoreLocked = "store.locked",
    /// The data directory was written by a newer version.
    StoreNewer = "store.newer_version",
    /// The disk is full.
    StoreFull = "store.full",
    /// The store cannot be read or written.
    StoreIo = "store.io",
    /// What is stored is not what was written.
    StoreCorrupt = "store.corrupt",
    /// The journal's chain is broken.
    JournalBroken = "journal.broken",
    /// A trace file or one of its lines cannot be used.
    TraceInvalid = "trace.invalid",
    /// A request to the server makes no sense.
    ApiBadRequest = "api.bad_request",
    /// The server does not know who asks.
    ApiUnauthorized = "api.unauthorized",
    /// The server has nothing at this path.
    ApiNotFound = "api.not_found",
    /// The path does not take this method.
    ApiMethod = "api.method_not_allowed",
    /// The body of a request is too large.
    ApiTooLarge = "api.too_large",
    /// The body of a request is of a type that the server does not read.
    ApiMediaType = "api.media_type",
    /// A request does not arrive whole in time.
    ApiTimeout = "api.request_timeout",
    /// An address sends more requests, or a token has more connections, than the server takes.
    ApiRateLimited = "api.rate_limited",
    /// A command needs a kernel that runs, and none does.
    ApiNoDaemon = "api.no_daemon",
    /// A file or folder cannot be read or written.
    Io = "io.failed",
    /// The run was interrupted by the person.
    Interrupted = "cli.interrupted",
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error as a person or a program sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// The stable code.
    pub code: ErrorCode,
    /// One line: what was attempted, then what is wrong.
    pub message: String,
    /// What can be done about it; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

impl Error {
    /// An error without a hint.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: String::new() }
    }

    /// The same error with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.message, self.code)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_have_an_area() {
        let mut seen = std::collections::BTreeSet::new();
        for code in ErrorCode::ALL {
            assert!(seen.insert(code.as_str()), "{code} stands twice");
            let (area, what) = code.as_str().split_once('.').expect("area.what");
            assert!(!area.is_empty() && !what.is_empty());
            let json = serde_json::to_string(code).expect("serialises");
            assert_eq!(json, format!("\"{code}\""));
        }
    }
}

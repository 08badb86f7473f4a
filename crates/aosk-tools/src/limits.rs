//! Every bound of the tools, with its reason. Units are in the names.

use aosk_abi::unit::Millis;

/// Bytes of one tool's output that a model gets to see, head and tail together. About 4,000 tokens:
/// one result must not push the rest of a conversation out of a small window.
pub const OUTPUT_BYTES_MAX: usize = 16 * 1024;

/// The smallest output bound that still leaves room for headings and markers.
pub const OUTPUT_BYTES_MIN: usize = 1024;

/// What a tool leaves free below the output bound for its headings and markers.
pub const OUTPUT_BYTES_SLACK: usize = 512;

/// Bytes of a path. Linux has the same bound.
pub const PATH_BYTES_MAX: usize = 4096;

/// Bytes of a line that `read_file` shows; the rest of a longer one is counted.
pub const LINE_BYTES_MAX: usize = 2000;

/// Bytes of a file that `read_file` looks through to find its lines.
pub const READ_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Lines that `read_file` shows if the call does not say.
pub const READ_LINES_DEFAULT: u64 = 2000;

/// Bytes at the start of a file in which a zero byte makes it a binary file. Git looks as far.
pub const BINARY_PROBE_BYTES: usize = 8000;

/// Entries that one walk of a directory tree looks at.
pub const WALK_ENTRIES_MAX: usize = 100_000;

/// How deep a walk goes. Deeper trees are made by mistake or in bad faith.
pub const WALK_DEPTH_MAX: usize = 64;

/// Entries that `list_files` returns at most.
pub const LIST_ENTRIES_MAX: u64 = 1000;

/// Lines that `search_files` returns if the call does not say.
pub const SEARCH_MATCHES_DEFAULT: u64 = 100;

/// Lines that `search_files` returns at most.
pub const SEARCH_MATCHES_MAX: u64 = 1000;

/// Bytes of a line that `search_files` shows.
pub const SEARCH_LINE_BYTES_MAX: usize = 300;

/// Bytes of a file that `search_files` looks into; larger ones are data, not text.
pub const SEARCH_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Bytes that a compiled regular expression may take.
pub const REGEX_BYTES_MAX: usize = 1024 * 1024;

/// Characters of an expression for the calculator.
pub const EXPRESSION_CHARS_MAX: usize = 1000;

/// Nesting of an expression. Its evaluation recurses this deep on the caller's stack.
pub const EXPRESSION_DEPTH_MAX: usize = 64;

/// Characters of a command. The kernel allows 128 KiB for one argument of a program.
pub const COMMAND_CHARS_MAX: usize = 32 * 1024;

/// How long a command may run if the call does not say.
pub const COMMAND_TIMEOUT_DEFAULT: Millis = Millis::from_secs(60);

/// How long a command may run at most.
pub const COMMAND_TIMEOUT_MAX: Millis = Millis::from_secs(600);

/// How long a command has between TERM and KILL.
pub const COMMAND_GRACE: Millis = Millis::from_secs(2);

/// How long output is read after a command has exited: what it left running holds the pipes.
pub const COMMAND_DRAIN: Millis = Millis::from_secs(2);

/// How long a tool that only touches the workspace may take.
pub const FILE_TIMEOUT: Millis = Millis::from_secs(30);

/// Mistakes in arguments that one error message names.
pub const MISTAKES_SHOWN_MAX: usize = 5;

/// The longest sleep and the longest wait that a model may ask for.
pub const WAIT_SECONDS_MAX: u64 = 7 * 24 * 3600;

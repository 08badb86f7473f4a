//! Every bound of the kernel, with its reason. Units are in the names.

use crate::unit::{Millis, Tokens};

/// Live processes on one node. The core keeps about 2 KB for each.
pub const PROCESSES_MAX: usize = 100_000;

/// Depth of the process tree. A deeper one is a runaway, and walks up the tree stay short.
pub const PROCESS_DEPTH_MAX: u32 = 32;

/// Live children of one process.
pub const CHILDREN_MAX: usize = 10_000;

/// Messages in one mailbox. Senders get `busy` beyond; a mailbox that long is not being read.
pub const MAILBOX_MAX: usize = 256;

/// Pages in one log. At one page a message this is weeks of work.
pub const PAGES_MAX: u32 = 1_000_000;

/// Pieces of one message in the page table. A piece has some hundred tokens at least, so the longest
/// body of ordinary text is far below it.
pub const PIECES_MAX: u16 = 16_384;

/// Pages that are recalled at once. Beyond it a window of usual size would fill with what was cut from
/// it.
pub const RECALL_MAX: usize = 16;

/// Tasks of one process that are open within one another. Who is deeper has lost the thread, and a
/// child does such work better.
pub const TASK_DEPTH_MAX: usize = 8;

/// Tool calls in one model turn. Providers allow up to 128.
pub const TOOL_CALLS_PER_TURN_MAX: usize = 128;

/// Bytes of one page's body. A tool's output is cut long before.
pub const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Bytes of the arguments of one tool call.
pub const ARGUMENTS_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of a program's parameter or state. State is committed at every step.
pub const PROGRAM_STATE_BYTES_MAX: usize = 256 * 1024;

/// Bytes of a process's name and of its label.
pub const NAME_BYTES_MAX: usize = 256;

/// Attempts of one model call, the first included.
pub const MODEL_ATTEMPTS_MAX: u32 = 6;

/// The wait after the first failed attempt; doubles with each further one. The official SDKs of the
/// large providers begin at half a second.
pub const RETRY_WAIT_BASE: Millis = Millis(500);

/// The longest wait that doubling leads to.
pub const RETRY_WAIT_MAX: Millis = Millis::from_secs(60);

/// The longest `Retry-After` that is obeyed; a longer one fails the call.
pub const RETRY_AFTER_MAX: Millis = Millis::from_secs(600);

/// Failed attempts in a row after which a device is left alone.
pub const CIRCUIT_FAILURES_MAX: u32 = 8;

/// How long it is left alone before one call tries it again.
pub const CIRCUIT_OPEN: Millis = Millis::from_secs(15);

/// How long one attempt of a model call may take. The official SDKs give up after ten minutes.
pub const MODEL_TIMEOUT: Millis = Millis::from_secs(600);

/// How long a process has after TERM before it is killed.
pub const TERM_GRACE: Millis = Millis::from_secs(10);

/// How long a cancelled call may take to confirm before its slot is taken back.
pub const CANCEL_GRACE: Millis = Millis::from_secs(5);

/// Added to a tool's own timeout before the kernel gives the call up on its behalf.
pub const TOOL_GRACE: Millis = Millis::from_secs(5);

/// Concurrent tool calls on one node. Each may be a process of the host.
pub const TOOL_SLOTS: u32 = 64;

/// Output tokens of one model call if the process sets no bound.
pub const OUTPUT_MAX_DEFAULT: Tokens = Tokens(4096);

/// System calls a program may make without waiting for anything outside, in one batch. A program
/// beyond it is in a loop and is ended.
pub const STEPS_PER_BATCH_MAX: u32 = 10_000;

/// Inputs applied before one commit, and of those that follow from one input before the loop does
/// anything else. Bounds the work lost to a crash and the delay of the first.
pub const BATCH_MAX: usize = 1_024;

/// Bytes of content applied before one commit, after which nothing more is taken in until the store
/// has caught up. One input can go beyond it by what it brings.
pub const BATCH_BYTES_MAX: usize = 64 * 1024 * 1024;

//! Every bound of the kernel, with its reason. Units are in the names.

use crate::unit::{Millis, Tokens};

/// Live processes on one node. The core keeps about 2 KB for each.
pub const PROCESSES_MAX: usize = 100_000;

/// Of these places the last, which only tenants get that have few processes, so that none takes all.
pub const PROCESSES_RESERVED: usize = PROCESSES_MAX / 10;

/// Processes of a tenant that has few.
pub const PROCESSES_FEW: usize = 1_000;

/// Depth of the process tree. A deeper one is a runaway, and walks up the tree stay short.
pub const PROCESS_DEPTH_MAX: u32 = 32;

/// Live children of one process.
pub const CHILDREN_MAX: usize = 10_000;

/// Living processes that descend from one that the operator started. A tree that large has lost its
/// purpose; a bomb of children is stopped by it before it holds up anybody else.
pub const DESCENDANTS_MAX: u32 = 10_000;

/// Refused attempts to start a process after which the one that tries is ended. It was told each time.
pub const SPAWNS_REFUSED_MAX: u32 = 8;

/// Turns of the same tool calls with the same results after which a process is told that it repeats
/// itself. A model that looks twice, or tries once more, is not meant.
pub const REPEATS_TOLD: u32 = 4;

/// Such turns after which it is ended.
pub const REPEATS_MAX: u32 = 8;

/// Messages that two agents send each other in turn, while the sender does nothing else, after which
/// it is told. People who have two agents debate mean fewer.
pub const EXCHANGES_TOLD: u32 = 32;

/// Such messages after which the sender is ended.
pub const EXCHANGES_MAX: u32 = 64;

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

/// Bytes of what a person says of an answer to a process. A paragraph; what is longer is a message.
pub const NOTE_BYTES_MAX: usize = 4 * 1024;

/// Tenants and groups of one data directory. Each is a row; beyond it those make room that nobody is in
/// and nobody configured.
pub const GROUPS_MAX: usize = 10_000;

/// Groups of one tenant that nobody configured. Beyond it those make room that nobody is in, so that
/// one tenant does not take what all share.
pub const GROUPS_PER_TENANT_MAX: usize = 100;

/// How many levels of groups there are: a tenant, and groups of it.
pub const GROUP_DEPTH_MAX: usize = 2;

/// The service, in tenths of an input token, that a process or group which waited for something else
/// may claim when it comes back: some calls of usual size. More would let who slept keep all others
/// waiting.
pub const SERVICE_CREDIT: u64 = 200_000;

/// Tokens that are kept for what the kernel tells a model beside the conversation: the longest of its
/// notices has some sixty.
pub const NOTICE_TOKENS: Tokens = Tokens(80);

/// Attempts of one model call, the first included.
pub const MODEL_ATTEMPTS_MAX: u32 = 6;

/// Attempts of a model call that ends in refusals for the device's rates: some six minutes, if all of
/// them do. The device is well, and whoever asked it too much is made to wait.
pub const RATE_LIMITED_ATTEMPTS_MAX: u32 = 12;

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

/// How many steps of priority more urgent a process must be for which a running call is cut off. Less
/// would have calls cut off for little.
pub const PREEMPT_MARGIN: u8 = 20;

/// How long a call must be expected to go on for it to be cut off: to end it and to go on with it later
/// takes about as long.
pub const PREEMPT_REMAINING_MIN: Millis = Millis::from_secs(1);

/// How often one call is cut off. Then it is left to end, however urgent others are.
pub const PREEMPTIONS_MAX: u32 = 3;

/// Calls that a device of a route by weight is behind the others at most, for each that the lightest
/// of them is given in its turn. One that was out for an hour would else be given all calls of the
/// next.
pub const ROUTE_DEBT_MAX: u32 = 8;

/// How long a call waits for a model that is busy and comes first by the cost or quality of its route
/// while a worse one is free, if the route says nothing. As long as an ordinary answer takes.
pub const ROUTE_WAIT: Millis = Millis::from_secs(10);

/// The longest that a route may say. A call has waited for an answer by then.
pub const ROUTE_WAIT_MAX: Millis = Millis::from_secs(600);

/// How long the pace of a model that was not asked meanwhile is believed where a route goes by latency.
/// One that was slow once would else never be asked again.
pub const PACE_LIFETIME: Millis = Millis::from_secs(600);

/// How long a call may run while others wait, before it yields to them, where the model can go on from
/// what was written. Ordinary answers take less.
pub const TIME_SLICE: Millis = Millis::from_secs(30);

/// The longest time after which a provider may say that a rate is there again. One that says more is
/// not believed: its rates are in minutes.
pub const RATE_RESET_MAX: Millis = Millis::from_secs(120);

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

/// How long what a client asks waits for room in a bound of an hour or a day; one that would wait longer
/// is told at once when there is. Clients give up after some minutes, and keep a connection until then.
/// A bound of a minute always has room in time.
pub const RELAY_WAIT_MAX: Millis = Millis::from_secs(90);

/// System calls a program may make without waiting for anything outside, in one batch. A program
/// beyond it is in a loop and is ended.
pub const STEPS_PER_BATCH_MAX: u32 = 10_000;

/// Inputs applied before one commit, and of those that follow from one input before the loop does
/// anything else. Bounds the work lost to a crash and the delay of the first.
pub const BATCH_MAX: usize = 1_024;

/// Bytes of content applied before one commit, after which nothing more is taken in until the store
/// has caught up. One input can go beyond it by what it brings.
pub const BATCH_BYTES_MAX: usize = 64 * 1024 * 1024;

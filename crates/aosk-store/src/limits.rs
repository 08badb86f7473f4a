//! Every bound of this crate, with its reason. Units are in the names.

use std::time::Duration;

/// Rows that one read of [`Reader`](crate::Reader) gives at most; a caller pages through more.
/// At a few hundred bytes each this stays within some megabytes.
pub const ROWS_PER_READ_MAX: u32 = 10_000;

/// How often a commit that found the disk full or the database busy is tried again.
pub const COMMIT_RETRIES_MAX: u32 = 5;

/// The wait before the first of these tries; doubles with each further one, three seconds in all.
pub const COMMIT_RETRY_WAIT: Duration = Duration::from_millis(100);

/// How long SQLite waits for another program that holds the database: a copy being made, or a person
/// with a shell.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Frames of the write-ahead log (one database page each) from which an idle store moves them into
/// the database file.
pub const WAL_FRAMES_IDLE: u64 = 1_000;

/// Frames from which a busy store does so too, beside its commits. Bounds the log at about 64 MiB, with
/// what comes while it is moved, and what a restart has to read.
pub const WAL_FRAMES_BUSY: u64 = 15_000;

/// Frames that came while the others were moved and are few enough to be moved between two commits: some
/// milliseconds.
pub const WAL_FRAMES_REST: u64 = 500;

/// Bytes to which room is made in the write-ahead log before it is needed: as long as a busy store lets
/// it grow.
pub const LOG_BYTES_MAX: u64 = 64 << 20;

/// Bytes of room behind the log below which more is made between two commits: more than most commits
/// write.
pub const LOG_AHEAD_BUSY: u64 = 512 << 10;

/// The same when nothing comes, so that the next commits find room.
pub const LOG_AHEAD_IDLE: u64 = 4 << 20;

/// The least that is made at once: a node that lives for a minute needs no more.
pub const LOG_STEP_MIN: u64 = 1 << 20;

/// The most that is made at once. The next commit may wait for it, some ten milliseconds, but that is
/// one of some hundred, and none once the log is as long as it becomes.
pub const LOG_STEP_MAX: u64 = 8 << 20;

/// Connections that a reader keeps open between reads.
pub const IDLE_CONNECTIONS_MAX: usize = 4;

/// Entries that [`verify`](crate::verify) reads at a time.
pub const VERIFY_CHUNK: u32 = 1_000;

/// Findings of one kind that a look for damage gives at most. More of them say nothing new.
pub const DAMAGE_MAX: u32 = 1_000;

/// Entries from a break onward among which the check looks for the place that a moved entry came
/// from. The search is quadratic.
pub const REORDER_WINDOW: u32 = 64;

/// How long nothing must have come before a store counts as idle. Long enough not to hit between
/// two steps of one agent, short enough that the log is moved before people look.
pub const IDLE_AFTER: Duration = Duration::from_millis(500);

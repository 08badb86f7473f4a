//! Every bound of the gateway, with its reason.

use std::time::Duration;

/// Bytes of a request. A conversation of a million tokens has some four megabytes of text; the rest is
/// room for pictures.
pub(crate) const REQUEST_BYTES_MAX: usize = 32 * 1024 * 1024;

/// How long a request may take to arrive.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a conversation waits for its client to go on with it. A person who reads an answer takes
/// minutes; whoever comes later begins a new process with the same conversation, which costs nothing but
/// the row.
pub(crate) const IDLE: Duration = Duration::from_secs(10 * 60);

/// How often it is looked whether one has waited for too long.
pub(crate) const SWEEP_EVERY: Duration = Duration::from_secs(30);

/// Conversations of one session that wait for their client. A client that asks one question after another,
/// each for itself, leaves many; those that it left first end first.
pub(crate) const WAITING_OF_SESSION_MAX: usize = 64;

/// The same of all sessions together. Each is a process with a row and some kilobytes.
pub(crate) const WAITING_MAX: usize = 4_096;

/// Bytes of a message whose tokens are counted with the vocabulary; longer ones are estimated, since the
/// count is wanted for what is reserved, and the provider's own comes with the answer.
pub(crate) const COUNTED_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a name that a client gives its session.
pub(crate) const SESSION_BYTES_MAX: usize = 128;

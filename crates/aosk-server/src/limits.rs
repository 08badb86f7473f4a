//! Every bound of the server, with its reason.

use std::time::Duration;

/// Bytes of a request body of the REST interface. A task or a message is text that a person or a
/// program wrote; what is longer belongs into a file of the workspace.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// How long a body may take to arrive. A client on the same machine or in the same house needs
/// milliseconds; one that sends a byte a second only holds a connection.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the head of a request may take, and how long a connection may be idle between two.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes of an id that a client gives its request. Every way to write one that is in use is shorter.
pub const REQUEST_ID_BYTES_MAX: usize = 128;

/// Bytes of the head of a request, and of what is read ahead of a body. A head that is in use has some
/// thousand, and each connection may hold so much before anybody knows who it is.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Connections of the unix socket at once, event streams included. Those beyond wait unaccepted.
pub const SOCKET_CONNECTIONS_MAX: usize = 4_096;

/// Connections over TCP at once. They have a bound of their own, so that a network full of clients
/// cannot keep the owner of the machine from the unix socket.
pub const TCP_CONNECTIONS_MAX: usize = 4_096;

/// Requests that one address may send in a second over TCP. What the server can answer with a core
/// of its own; a client that sends more is broken, and would keep others waiting.
pub const REQUESTS_PER_SECOND: u32 = 10_000;

/// Addresses whose requests are counted at once. Those that were quiet for a second are forgotten.
pub const PEERS_MAX: usize = 4_096;

/// Items of a page for which no number is named, and the most that one may have.
pub const ITEMS_USUAL: u32 = 100;
/// See [`ITEMS_USUAL`].
pub const ITEMS_MAX: u32 = 1_000;

/// Rows that are looked through for one page. With filters that little passes, a page has fewer items
/// than it may, rather than that a request reads the whole store.
pub const SCAN_MAX: u32 = 10_000;

/// Rows that are read at once for a page of `limit` items: one more than it has, so that it is known
/// whether there are more, and never so few that a filter makes many small reads.
pub(crate) fn read_at_once(limit: u32) -> u32 {
    limit.saturating_add(1).max(ROWS_MIN)
}

/// See [`read_at_once`].
const ROWS_MIN: u32 = 128;

/// How long a request may wait for the end of a process; clients ask again.
pub const WAIT_MAX: Duration = Duration::from_secs(300);
/// The same for which no time is named.
pub const WAIT_USUAL: Duration = Duration::from_secs(30);

/// Facts that a stream of events reads at once; some hundred kilobytes at worst.
pub const EVENTS_PER_READ: u32 = 256;

/// How often a stream without events says that it is there. Proxies close what is silent for a minute.
pub const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(15);

/// How long a watcher waits that was woken for nothing, before it looks again.
pub const WAKE_PAUSE: Duration = Duration::from_millis(50);

/// How long answers that are under way may take to end when the server is stopped.
pub const DRAIN: Duration = Duration::from_secs(5);

/// How long to wait before connections are accepted again when the system has none left to give.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

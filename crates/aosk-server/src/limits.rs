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

/// How long the head of the first request may take over TCP. Until it is there nobody knows who asks,
/// and the connection takes a place from those who are known.
pub const FIRST_HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a write to a client may make no progress. The buffers of the system hold some hundred
/// kilobytes; a client that takes nothing of them for so long is gone, or means to be waited for.
pub const WRITE_STALL: Duration = Duration::from_secs(30);

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

/// Connections over TCP of one address, or of one network of IPv6, on which nobody has shown a token
/// that is known. A client shows one at once, but may open a pool for a thousand agents in a moment. A
/// quarter of all places, so that no address fills them by itself.
pub const UNKNOWN_CONNECTIONS_MAX: usize = 1_024;

/// Connections of one tenant at once, or of one token that is of no tenant. A connection for each of a
/// thousand agents is below it, and others have as many places again.
pub const CALLER_CONNECTIONS_MAX: usize = 2_048;

/// Bytes of answers that one tenant, or one token that is of no tenant, may have made and not read.
/// One answer may be longer by itself.
pub const UNREAD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bytes of an answer that are not counted: the buffers of its connection have as many.
pub const UNCOUNTED_BYTES_MAX: usize = 64 * 1024;

/// How often it is looked whether the token of a request that lasts is still there.
pub const TOKEN_CHECK_EVERY: Duration = Duration::from_secs(5);

/// Reads of the store at once. More would be in each other's way, and each holds what it has read.
pub const READS_MAX: usize = 16;

/// Of those that follow the journal or a process. They have places of their own: a commit wakes all of
/// them, and whoever asks something else is not to wait until they have read.
pub const FOLLOWER_READS_MAX: usize = 4;

/// Requests that one address may send in a second over TCP. What the server can answer with a core
/// of its own; a client that sends more is broken, and would keep others waiting.
pub const REQUESTS_PER_SECOND: u32 = 10_000;

/// Addresses whose requests are counted at once. Those that were quiet for a second are forgotten.
pub const PEERS_MAX: usize = 4_096;

/// Items of a page for which no number is named, and the most that one may have.
pub const ITEMS_USUAL: u32 = 100;
/// See [`ITEMS_USUAL`].
pub const ITEMS_MAX: u32 = 1_000;

/// Bytes of content after which a page of messages or of entries ends. One has at least one item, which
/// may be longer by itself.
pub const PART_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Pages that a search tells of if no number is named.
pub const RESULTS_USUAL: u32 = 8;

/// Bytes of a query. A question has some hundred; its time grows with its words.
pub const QUERY_BYTES_MAX: usize = 1_024;

/// Logs that are searched at once. Each makes an index of a log for itself, which takes a core.
pub const SEARCHES_MAX: usize = 2;

/// Bytes of a part of a file, the most and the usual.
pub const FILE_PART_BYTES_MAX: usize = 1024 * 1024;

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

/// Entries of the journal that are read at once. Most have some hundred bytes, but one that tells of
/// many pages has a megabyte.
pub(crate) const ENTRIES_AT_ONCE_MAX: u32 = 256;

/// How long a request may wait for the end of a process; clients ask again.
pub const WAIT_MAX: Duration = Duration::from_secs(300);
/// The same for which no time is named.
pub const WAIT_USUAL: Duration = Duration::from_secs(30);

/// Facts that a stream of events reads at once.
pub const EVENTS_PER_READ: u32 = 256;

/// Bytes of facts after which a read of a stream ends. They are kept until they have left, for each
/// stream that is open.
pub const EVENTS_BYTES_MAX: usize = 256 * 1024;

/// How often a stream without events says that it is there. Proxies close what is silent for a minute.
pub const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(15);

/// How long a watcher waits that was woken for nothing, before it looks again.
pub const WAKE_PAUSE: Duration = Duration::from_millis(50);

/// How long answers that are under way may take to end when the server is stopped.
pub const DRAIN: Duration = Duration::from_secs(5);

/// How long to wait before connections are accepted again when the system has none left to give.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

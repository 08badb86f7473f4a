//! Every bound of what is told to a collector, with its reason.

use std::time::Duration;

/// Spans that wait to be sent. A busy kernel makes some thousand a second, so a collector may be away
/// for seconds; what comes beyond is dropped and counted. Each takes about a kilobyte.
pub(crate) const SPANS_WAITING_MAX: usize = 8_192;

/// Spans in one request: what collectors are set up for.
pub(crate) const SPANS_PER_REQUEST: usize = 512;

/// How often the journal is read, at most. Nobody looks at a trace while it is made, and a read for
/// each commit would cost as much as the commit.
pub(crate) const PACE: Duration = Duration::from_millis(200);

/// Entries that one read of the journal gives.
pub(crate) const ENTRIES_PER_READ: u32 = 1_000;

/// How long a request to the collector may take: what is usual for OTLP.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes that are read of an answer of the collector, which has some.
pub(crate) const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// Waits before a request that failed is made again. After the last it is given up.
pub(crate) const WAITS: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// The longest wait that a collector may ask for.
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);

/// How long the last requests may take all together when the kernel has stopped.
pub(crate) const DRAIN: Duration = Duration::from_secs(5);

/// How often metrics are sent if nothing is said: what is usual for OTLP.
pub(crate) const METRICS_EVERY: Duration = Duration::from_secs(60);

/// Events of one span. A process may live for months.
pub(crate) const EVENTS_MAX: usize = 128;

/// Messages of a conversation that a span shows, the last ones.
pub(crate) const MESSAGES_MAX: usize = 64;

/// Bytes of what a span shows of what was said. Collectors refuse requests of some megabytes.
pub(crate) const CONTENT_BYTES_MAX: usize = 32 * 1024;

/// Calls of which it is known where they went and which have not ended. There are fewer than slots,
/// except for those whose end was missed.
pub(crate) const NOTED_MAX: usize = 65_536;

/// How far up from a process its oldest ancestor is looked for. Processes may not be deeper.
pub(crate) const DEPTH_MAX: usize = 256;

//! The one place where the shell asks for the time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aosk_abi::Timestamp;
use tokio::time::Instant;

/// A clock that never runs backwards: the wall clock's time when it was made, moved on by the
/// monotonic clock, which is the one that timers go by.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    began: Instant,
    epoch: Duration,
}

impl Clock {
    /// A clock that goes.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn start() -> Self {
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { began: Instant::now(), epoch }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let millis = self.epoch.saturating_add(self.began.elapsed()).as_millis();
        Timestamp(u64::try_from(millis).unwrap_or(u64::MAX))
    }

    /// The time since the clock was made, finer than [`Clock::now`]; for measuring how long a thing takes.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// How long until `at`; nothing if it is past.
    #[must_use]
    pub fn until(&self, at: Timestamp) -> Duration {
        at.since(self.now()).duration()
    }
}

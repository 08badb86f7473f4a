//! Circuit breakers.

use aosk_abi::{Timestamp, limits};

/// A circuit breaker: after too many failures in a row the device is left alone for a while, then
/// one call tries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Circuit {
    /// Calls go through.
    Closed {
        /// Failures since the last success.
        failures: u32,
    },
    /// No call goes through.
    Open {
        /// Until then.
        until: Timestamp,
    },
    /// One call goes through and decides.
    HalfOpen,
}

impl Circuit {
    /// Whether a call may start while `in_use` others run.
    pub(crate) fn admits(self, now: Timestamp, in_use: u32) -> bool {
        match self {
            Self::Closed { .. } => true,
            Self::Open { until } => now >= until && in_use == 0,
            Self::HalfOpen => in_use == 0,
        }
    }

    /// Until when no call goes through, if none does.
    pub(crate) fn until(self) -> Option<Timestamp> {
        match self {
            Self::Open { until } => Some(until),
            Self::Closed { .. } | Self::HalfOpen => None,
        }
    }

    /// One word for readers.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Closed { .. } => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen => "half_open",
        }
    }

    pub(super) fn succeeded(self) -> Self {
        Self::Closed { failures: 0 }
    }

    pub(super) fn failed(self, now: Timestamp) -> Self {
        match self {
            Self::Closed { failures }
                if failures.saturating_add(1) < limits::CIRCUIT_FAILURES_MAX =>
            {
                Self::Closed { failures: failures.saturating_add(1) }
            }
            Self::Closed { .. } | Self::HalfOpen => {
                Self::Open { until: now.after(limits::CIRCUIT_OPEN) }
            }
            // A call that was in flight when the circuit opened does not prolong it.
            Self::Open { until } => Self::Open { until },
        }
    }
}

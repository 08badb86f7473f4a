//! Small models of two parts of the kernel, written from the documentation and not from the code:
//! the order of the ready queue, and the circuit breaker.

use aosk_abi::{Timestamp, limits};

/// What decides who is first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contender {
    /// The id.
    pub pid: u64,
    /// 0 (most urgent) to 100.
    pub priority: u8,
    /// When it asked, as a number that only grows.
    pub since: u64,
}

/// Whether `a` goes before `b` under the policy.
#[must_use]
pub fn goes_first(policy: &str, a: &Contender, b: &Contender) -> bool {
    match policy {
        "fifo" => a.pid < b.pid,
        "round-robin" => a.since < b.since,
        // It goes by what they were served, which is held against another model.
        "fair" => false,
        _ => (a.priority, a.since) < (b.priority, b.since),
    }
}

/// A circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breaker {
    /// Healthy, with this many failures in a row.
    Closed(u32),
    /// Left alone until then.
    Open(Timestamp),
    /// One call tries it.
    Probing,
}

impl Breaker {
    /// A call was answered, or refused for good by a device that works.
    pub fn succeeded(&mut self) {
        *self = Self::Closed(0);
    }

    /// A call failed for a reason that lies with the device.
    pub fn failed(&mut self, now: Timestamp) {
        *self = match *self {
            Self::Closed(failures) if failures + 1 < limits::CIRCUIT_FAILURES_MAX => {
                Self::Closed(failures + 1)
            }
            Self::Closed(_) | Self::Probing => Self::Open(now.after(limits::CIRCUIT_OPEN)),
            Self::Open(until) => Self::Open(until),
        };
    }

    /// A call was started while `in_flight` calls run, itself included.
    ///
    /// # Errors
    /// If it should not have been.
    pub fn started(&mut self, now: Timestamp, in_flight: u32) -> Result<(), String> {
        match *self {
            Self::Closed(_) => Ok(()),
            Self::Open(until) if now < until => {
                Err(format!("a call was started although the device is left alone until {until:?}"))
            }
            Self::Open(_) | Self::Probing => {
                *self = Self::Probing;
                if in_flight == 1 {
                    Ok(())
                } else {
                    Err(format!("{in_flight} calls try a device that failed"))
                }
            }
        }
    }
}

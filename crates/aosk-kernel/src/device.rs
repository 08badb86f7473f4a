//! Devices of class model: their slots and their circuit breakers.
//!
//! Which slots are in use is derived from the process table (`index`); only the breaker is kept
//! here. It is not stored: after a restart a device is given a new chance.

use aosk_abi::{Failure, FailureClass, Millis, Timestamp, limits};

use crate::config::{Config, ModelConfig};
use crate::mutant::{Broken, broken};

/// The number of a device in this kernel's configuration.
pub(crate) type DeviceId = usize;

/// One model as a device.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    /// Its name.
    pub(crate) name: String,
    /// How many calls may run at once.
    pub(crate) slots: u32,
    /// Whether it is left alone.
    pub(crate) circuit: Circuit,
}

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

    fn succeeded(self) -> Self {
        Self::Closed { failures: 0 }
    }

    fn failed(self, now: Timestamp) -> Self {
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

/// How long to wait before the next attempt after `failures` failed ones: doubling, with a part
/// taken off that differs from call to call so that calls which failed together come back apart.
/// What the device asked for is a lower bound.
pub(crate) fn backoff(failure: &Failure, failures: u32, salt: u64) -> Millis {
    let doublings = failures.saturating_sub(1).min(16);
    let doubled = limits::RETRY_WAIT_BASE.0.saturating_mul(1 << doublings);
    let full = doubled.min(limits::RETRY_WAIT_MAX.0);
    let wait = full.saturating_sub(mix(salt) % (full / 4).max(1));
    Millis(wait.max(failure.retry_after.map_or(0, |asked| asked.0)))
}

/// SplitMix64's output function (Steele, Lea, Flood 2014): spreads a small number over 64 bits.
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// All devices of class model, in the order of their names.
#[derive(Debug, Clone)]
pub(crate) struct Devices {
    list: Vec<Device>,
    pub(crate) broken: Broken,
}

impl Devices {
    /// The devices of a configuration, none of which has failed yet.
    pub(crate) fn new(config: &Config) -> Self {
        let device = |(name, model): (&String, &ModelConfig)| Device {
            name: name.clone(),
            slots: model.slots,
            circuit: Circuit::Closed { failures: 0 },
        };
        Self { list: config.models.iter().map(device).collect(), broken: config.broken() }
    }

    /// The device of this name.
    pub(crate) fn find(&self, name: &str) -> Option<DeviceId> {
        self.list.binary_search_by(|device| device.name.as_str().cmp(name)).ok()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (DeviceId, &Device)> {
        self.list.iter().enumerate()
    }

    /// A call has taken a slot. One that goes out after the device was left alone decides.
    pub(crate) fn started(&mut self, id: DeviceId) {
        if let Some(device) = self.list.get_mut(id) {
            device.circuit = match device.circuit {
                Circuit::Open { .. } | Circuit::HalfOpen => Circuit::HalfOpen,
                closed @ Circuit::Closed { .. } => closed,
            };
        }
    }

    /// A call was answered.
    pub(crate) fn succeeded(&mut self, id: DeviceId) {
        if let Some(device) = self.list.get_mut(id) {
            device.circuit = device.circuit.succeeded();
        }
    }

    /// A call failed. A final failure says nothing about the device's health: it answered. Returns
    /// until when the device is left alone now, if it is.
    pub(crate) fn failed(
        &mut self,
        now: Timestamp,
        id: DeviceId,
        class: FailureClass,
    ) -> Option<Timestamp> {
        let deaf = broken!(self, CircuitStaysClosed);
        let device = self.list.get_mut(id).filter(|_| !deaf)?;
        device.circuit = match class {
            FailureClass::Final => device.circuit.succeeded(),
            FailureClass::Transient | FailureClass::RateLimited => device.circuit.failed(now),
        };
        device.circuit.until()
    }
}

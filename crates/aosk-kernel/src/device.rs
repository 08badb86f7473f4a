//! Devices of class model: their slots and their circuit breakers.
//!
//! Which slots are in use is derived from the process table (`index`); only the breaker is kept
//! here. It is not stored: after a restart a device is given a new chance.

use aosk_abi::{Failure, FailureClass, Millis, Pid, Price, Timestamp, limits};

use crate::kernel::{Config, Kernel};
use crate::mutant::broken;
use crate::process::State;

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

impl Kernel {
    /// The devices of a configuration.
    pub(crate) fn devices(config: &Config) -> Vec<Device> {
        config
            .models
            .iter()
            .map(|(name, model)| Device {
                name: name.clone(),
                slots: model.slots,
                circuit: Circuit::Closed { failures: 0 },
            })
            .collect()
    }

    /// The device of this name. Devices are in the order of their names.
    pub(crate) fn device(&self, name: &str) -> Option<DeviceId> {
        self.devices.binary_search_by(|device| device.name.as_str().cmp(name)).ok()
    }

    /// The device of the call that the process holds a slot for.
    pub(crate) fn device_of(&self, pid: Pid) -> Option<DeviceId> {
        match self.processes.get(pid)?.state.inner() {
            State::Running { call, .. } => self.device(&call.options.model),
            State::Program { .. }
            | State::Ready { .. }
            | State::Waiting { .. }
            | State::Stopped { .. }
            | State::Exiting { .. }
            | State::Zombie { .. } => None,
        }
    }

    /// What a model's tokens cost; nothing if the model is unknown.
    pub(crate) fn price(&self, model: &str) -> Price {
        self.config.models.get(model).map(|model| model.price).unwrap_or_default()
    }

    /// A call of the process has taken a slot.
    pub(crate) fn device_started(&mut self, id: DeviceId, _pid: Pid) {
        let Some(device) = self.devices.get_mut(id) else {
            return;
        };
        device.circuit = match device.circuit {
            Circuit::Open { .. } | Circuit::HalfOpen => Circuit::HalfOpen,
            closed @ Circuit::Closed { .. } => closed,
        };
        self.index.set_device_deadline(id, None);
    }

    /// A call on the device was answered.
    pub(crate) fn device_succeeded(&mut self, model: &str) {
        if let Some(device) = self.device(model).and_then(|id| self.devices.get_mut(id)) {
            device.circuit = device.circuit.succeeded();
        }
    }

    /// A call on the device failed. A final failure says nothing about the device's health: it
    /// answered.
    pub(crate) fn device_failed(&mut self, now: Timestamp, model: &str, class: FailureClass) {
        let Some(id) = self.device(model) else {
            return;
        };
        if broken!(self, CircuitStaysClosed) {
            return;
        }
        let Some(device) = self.devices.get_mut(id) else {
            return;
        };
        device.circuit = match class {
            FailureClass::Final => device.circuit.succeeded(),
            FailureClass::Transient | FailureClass::RateLimited => device.circuit.failed(now),
        };
        let until = match device.circuit {
            Circuit::Open { until } => Some(until),
            Circuit::Closed { .. } | Circuit::HalfOpen => None,
        };
        self.index.set_device_deadline(id, until);
    }

    /// The device's time alone is over; the scheduler will try it.
    pub(crate) fn device_due(&mut self, id: DeviceId) {
        self.index.set_device_deadline(id, None);
    }
}

//! Queues that are held back: a slot is free and nobody takes it, since rates have no room or the device
//! is left alone after a refusal.
//!
//! What a process waited for while its queue was held back is no wait for a slot. Thousands may wait in
//! one queue, so it is the queue that keeps the time, and each process counts its part when its wait ends.

use std::collections::BTreeMap;

use aosk_abi::{Millis, Timestamp};

use crate::device::Devices;
use crate::kernel::Kernel;
use crate::process::{Process, State, Wait};

/// For how long queues were held back since the kernel began, by their keys: a new configuration numbers
/// them anew.
#[derive(Debug, Clone, Default)]
pub(crate) struct Holds(BTreeMap<String, Hold>);

/// The same of one queue.
#[derive(Debug, Clone, Copy, Default)]
struct Hold {
    /// What is over.
    total: Millis,
    /// Since when it is held back now.
    since: Option<Timestamp>,
}

impl Holds {
    /// For how long it was held back until `now`.
    fn of(&self, queue: &str, now: Timestamp) -> Millis {
        let Hold { total, since } = self.0.get(queue).copied().unwrap_or_default();
        total + since.map_or(Millis::ZERO, |since| now.since(since))
    }

    /// For how long the queue was held back in which the process is, or from which it has just come.
    pub(crate) fn of_process(
        &self,
        devices: &Devices,
        process: &Process,
        now: Timestamp,
    ) -> Option<Millis> {
        let call = match process.state.inner() {
            State::Ready { call } | State::Running { call, .. } => call,
            State::Waiting { on: Wait::Quota { call, .. } | Wait::Backoff { call, .. } } => call,
            State::Program { .. }
            | State::Waiting { .. }
            | State::Stopped { .. }
            | State::Exiting { .. }
            | State::Zombie { .. } => return None,
        };
        let queue = devices.queue_for(call)?;
        Some(self.of(&devices.key(queue), now))
    }

    /// Notes whether it is held back from `now` on.
    fn note(&mut self, queue: &str, now: Timestamp, held: bool) {
        let was = self.0.get(queue).is_some_and(|hold| hold.since.is_some());
        if was != held {
            let total = self.of(queue, now);
            self.0.insert(queue.to_owned(), Hold { total, since: held.then_some(now) });
        }
    }
}

impl Kernel {
    /// Notes which queues are held back, once nothing more can start: somebody is ready there, and a slot
    /// is free.
    pub(crate) fn note_holds(&mut self, now: Timestamp) {
        let is_free = |id| {
            self.devices.get(id).is_some_and(|device| self.index.slots_in_use(id) < device.slots)
        };
        let queues = self.devices.pools().flat_map(|pool| pool.queues.iter().copied());
        let mut holds = std::mem::take(&mut self.holds);
        for queue in queues {
            // Who waits for a better device waits for a slot.
            let first = self.index.first_ready(queue);
            let first = first.filter(|(_, pid)| !self.waits_by_choice(now, (queue, *pid)));
            let held = !self.draining
                && first.is_some()
                && self.devices.backends(queue).into_iter().any(is_free);
            holds.note(&self.devices.key(queue), now, held);
        }
        self.holds = holds;
    }
}

//! Devices under another configuration.

use crate::config::Config;

use super::{Device, Devices, Patience};

impl Devices {
    /// The devices of another configuration, with what is known of those that were there before.
    pub(crate) fn renewed(&self, config: &Config) -> Self {
        let mut renewed = Self::new(config);
        for device in &mut renewed.list {
            let known = self.list.iter().find(|known| known.name == device.name);
            if let Some(known) = known {
                device.learn(known);
            }
        }
        for queue in &mut renewed.queues {
            let Some(before) = self.queues.iter().find(|before| before.name == queue.name) else {
                continue;
            };
            for backend in &mut queue.backends {
                let name = renewed.list.get(backend.device).map(|device| &device.name);
                let given = before
                    .backends
                    .iter()
                    .find(|one| self.list.get(one.device).map(|device| &device.name) == name);
                backend.given = given.map_or(0, |one| one.given);
            }
        }
        renewed
    }

    /// Gives every device so many slots that none is ever missing.
    pub(crate) fn forget_slots(&mut self) {
        for device in &mut self.list {
            device.slots = device.slots.saturating_mul(4);
            device.patience = Patience::new(device.slots);
        }
    }
}

impl Device {
    /// Takes over what is known of it. Whose calls its rates have no room for, and for whom a slot is
    /// given up, is found out anew.
    fn learn(&mut self, known: &Self) {
        self.circuit = known.circuit;
        self.patience = known.patience.of_slots(known.slots, self.slots);
        self.pace = known.pace;
        self.loses = known.loses;
    }
}

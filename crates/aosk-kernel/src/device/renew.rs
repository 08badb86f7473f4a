//! Devices under another configuration.

use crate::config::Config;

use super::{Device, DeviceId, Devices, Patience};

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
        let keys: Vec<String> =
            (0..renewed.queues.len()).map(|id| renewed.key(id).into_owned()).collect();
        for (queue, key) in renewed.queues.iter_mut().zip(keys) {
            let before = (0..self.queues.len()).find(|id| self.key(*id) == key);
            let Some(before) = before.and_then(|id| self.queues.get(id)) else { continue };
            let name =
                |devices: &[Device], id: DeviceId| devices.get(id).map(|one| one.name.clone());
            queue.count_on(before, |now, then| name(&renewed.list, now) == name(&self.list, then));
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

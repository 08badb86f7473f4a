//! Devices of class model: their slots, their circuit breakers, and which of them answer to a name.
//!
//! Which slots are in use is derived from the process table (`index`); only what was learned of the
//! devices' health is kept here. It is not stored: after a restart a device is given a new chance.

mod backoff;
mod circuit;
mod pace;
mod patience;
mod queue;
mod renew;

use std::borrow::Cow;
use std::collections::BTreeMap;

use aosk_abi::{Abilities, Failure, FailureClass, Millis, Pid, Timestamp, Tokens};

use crate::config::{Config, ModelConfig, Route};
use crate::mutant::{Broken, broken};
use crate::process::ModelCall;

pub(crate) use self::backoff::backoff;
pub(crate) use self::circuit::Circuit;
pub(crate) use self::pace::Pace;
pub(crate) use self::patience::Patience;
pub(crate) use self::queue::{Pool, Queue};

/// The number of a device in this kernel's configuration.
pub(crate) type DeviceId = usize;

/// The number of a name that processes ask for: a device, or a route to several.
pub(crate) type QueueId = usize;

/// The number of a pool.
pub(crate) type PoolId = usize;

/// That a call which is first in its queue does not go to a device until a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Whose call it is.
    pub(crate) pid: Pid,
    pub(crate) until: Timestamp,
    pub(crate) why: Why,
}

/// Why a call does not go to a device that has a slot free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// Its rates have no room.
    Rates,
    /// The call waits for one that is busy and better.
    Waits,
}

/// One model as a device.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    /// Its name.
    pub(crate) name: String,
    /// How many calls may run at once.
    pub(crate) slots: u32,
    /// Whether it is left alone.
    pub(crate) circuit: Circuit,
    /// What its refusals taught.
    pub(crate) patience: Patience,
    /// How fast it answers.
    pub(crate) pace: Pace,
    /// Whether it can go on from an answer that was begun.
    pub(crate) continues: bool,
    /// What the configuration says of time slices.
    pub(crate) slices: Option<bool>,
    /// Whether a call of it was cut off that could not be gone on from, as answers that begin with
    /// thoughts cannot. It may be so with each of them.
    pub(crate) loses: bool,
    /// The most tokens that a request and its answer may have together; none if that is not known.
    pub(crate) context: Option<Tokens>,
    /// What it can do; none if that is not known.
    pub(crate) abilities: Option<Abilities>,
    /// Which call, of those first in their queues, does not go to it for now.
    pub(crate) full: BTreeMap<QueueId, Kept>,
    /// For whom a running call gives up its slot.
    pub(crate) promised: Option<Pid>,
    /// Slots that were in use when there came to be fewer, as far as they still are. No call starts in
    /// them.
    pub(crate) lent: u32,
}

impl Device {
    /// Whether a call may start while `in_use` others run.
    pub(crate) fn admits(&self, now: Timestamp, in_use: u32) -> bool {
        in_use < self.slots && self.circuit.admits(now, in_use) && self.patience.admits(now, in_use)
    }

    /// Whether what is written of an answer is kept when its call is cut off, as far as is known.
    pub(crate) fn keeps_begun(&self) -> bool {
        self.continues && !self.loses
    }

    /// Whether its calls yield when their time slice is over.
    pub(crate) fn slices(&self) -> bool {
        self.slices.unwrap_or_else(|| self.keeps_begun())
    }

    /// Whether this may be when it is looked at again: nothing that holds calls back ends then, or it
    /// does.
    pub(crate) fn may_be_due(&self, told: Option<Timestamp>) -> bool {
        let full = self.full.values().map(|kept| Some(kept.until));
        let held = [self.circuit.until(), Some(self.patience.end())];
        told.is_none() || held.into_iter().chain(full).any(|until| until == told)
    }

    /// When it is to be looked at again, if calls are held back until then.
    pub(crate) fn deadline(&self, now: Timestamp) -> Option<Timestamp> {
        let full = self.full.values().map(|kept| kept.until);
        let ahead = self.circuit.until().into_iter().chain(full).filter(|until| *until > now);
        ahead.chain(self.patience.until(now)).min()
    }
}

/// All devices of class model, in the order of their names, and the names for them.
#[derive(Debug, Clone)]
pub(crate) struct Devices {
    list: Vec<Device>,
    /// Those of names, in the order of the names, and behind them those of calls that only some of the
    /// devices of a name can take.
    queues: Vec<Queue>,
    /// How many of them are of names.
    named: usize,
    pools: Vec<Pool>,
    pub(crate) broken: Broken,
}

impl Devices {
    /// The devices of a configuration, none of which has failed yet.
    pub(crate) fn new(config: &Config) -> Self {
        let device = |(name, model): (&String, &ModelConfig)| Device {
            name: name.clone(),
            slots: model.slots,
            circuit: Circuit::Closed { failures: 0 },
            patience: Patience::new(model.slots),
            pace: Pace::default(),
            continues: model.continues,
            slices: model.slices,
            loses: false,
            context: model.context,
            abilities: model.abilities,
            full: BTreeMap::new(),
            promised: None,
            lent: 0,
        };
        let list: Vec<_> = config.models.iter().map(device).collect();
        let alone = |name: &String| Route::to(name);
        // A route hides a device of its name.
        let mut routes: BTreeMap<&String, Route> =
            config.models.keys().map(|name| (name, alone(name))).collect();
        routes.extend(config.routes.iter().map(|(name, route)| (name, route.clone())));
        let find = |name: &str| list.binary_search_by(|device| device.name.as_str().cmp(name)).ok();
        let queues = routes.into_iter().map(|(name, route)| {
            let quality = |device: &String| config.models.get(device).and_then(|one| one.quality);
            Queue::new(name, &route, |device| {
                let known = quality(device);
                let id = find(device).filter(|_| route.takes(device, known))?;
                Some((id, route.class(device, known)))
            })
        });
        let mut queues: Vec<Queue> =
            queues.filter(|queue: &Queue| !queue.backends.is_empty()).collect();
        let named = queues.len();
        queue::split(&list, &mut queues);
        let pools = queue::pools(&list, &mut queues);
        Self { list, queues, named, pools, broken: config.broken() }
    }

    /// The queue for this name.
    pub(crate) fn queue(&self, name: &str) -> Option<QueueId> {
        let named = self.queues.get(..self.named).unwrap_or_default();
        named.binary_search_by(|queue| queue.name.as_str().cmp(name)).ok()
    }

    /// The queue in which a call waits: that of its name or, where only some of its devices can take
    /// the call, the one for those.
    pub(crate) fn queue_for(&self, call: &ModelCall) -> Option<QueueId> {
        let id = self.queue(&call.options.model)?;
        let queue = self.queues.get(id)?;
        if queue.parts.is_empty() {
            return Some(id);
        }
        let takers = queue.takers(&self.list, call.needs, call.input + call.options.output_max);
        Some(queue.parts.get(&takers).copied().unwrap_or(id))
    }

    /// The queue.
    pub(crate) fn queue_of(&self, id: QueueId) -> Option<&Queue> {
        self.queues.get(id)
    }

    /// Why the first device of the name cannot take such a call, if none can for what it needs.
    pub(crate) fn lacks(&self, name: &str, needs: Abilities) -> Option<aosk_abi::Ability> {
        let queue = self.queues.get(self.queue(name)?)?;
        if queue.backends.len() < 2 || !queue.takers(&self.list, needs, Tokens::ZERO).is_empty() {
            return None;
        }
        let first = self.list.get(queue.backends.first()?.device)?;
        needs.lacking_in(first.abilities?)
    }

    /// What tells a queue from all others, whatever their numbers: its name and, of a part, the devices
    /// that are left out.
    pub(crate) fn key(&self, queue: QueueId) -> Cow<'_, str> {
        let Some(queue) = self.queues.get(queue) else { return Cow::Borrowed("") };
        if queue.left_out.is_empty() {
            return Cow::Borrowed(&queue.name);
        }
        let mut key = queue.name.clone();
        for device in queue.left_out.iter().filter_map(|id| self.list.get(*id)) {
            key.push('\n');
            key.push_str(&device.name);
        }
        Cow::Owned(key)
    }

    /// The device of this name.
    pub(crate) fn find(&self, name: &str) -> Option<DeviceId> {
        self.list.binary_search_by(|device| device.name.as_str().cmp(name)).ok()
    }

    pub(crate) fn get(&self, id: DeviceId) -> Option<&Device> {
        self.list.get(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (DeviceId, &Device)> {
        self.list.iter().enumerate()
    }

    pub(crate) fn pools(&self) -> impl Iterator<Item = &Pool> {
        self.pools.iter()
    }

    /// The queues of the pool of this name.
    pub(crate) fn queues_of(&self, pool: &str) -> &[QueueId] {
        let pool = self.pools.iter().find(|one| one.name == pool);
        pool.map_or(&[], |pool| &pool.queues)
    }

    /// The pool of the queue.
    pub(crate) fn pool_number(&self, queue: QueueId) -> Option<PoolId> {
        self.queues.get(queue).map(|queue| queue.pool)
    }

    /// What the queue's pool is called.
    pub(crate) fn pool_of(&self, queue: QueueId) -> &str {
        let pool = self.queues.get(queue).and_then(|queue| self.pools.get(queue.pool));
        pool.map_or("", |pool| &pool.name)
    }

    /// What the pool is called of the queue for this name; empty if there is none.
    pub(crate) fn pool_for(&self, name: &str) -> &str {
        self.queue(name).map_or("", |queue| self.pool_of(queue))
    }

    /// The devices of the queue, the one to be asked first at the front as far as the call does not
    /// matter: as the route lists them, or the one that was given least for its weight.
    pub(crate) fn backends(&self, queue: QueueId) -> Vec<DeviceId> {
        self.queues.get(queue).map(Queue::in_order).unwrap_or_default()
    }

    /// A call of the queue has taken a slot. One that goes out after the device was left alone decides.
    pub(crate) fn started(&mut self, queue: QueueId, id: DeviceId) {
        if let Some(queue) = self.queues.get_mut(queue) {
            queue.gave(id);
        }
        if let Some(device) = self.list.get_mut(id) {
            device.circuit = match device.circuit {
                Circuit::Open { .. } | Circuit::HalfOpen => Circuit::HalfOpen,
                closed @ Circuit::Closed { .. } => closed,
            };
        }
    }

    /// A call was answered, after so long and with so many tokens.
    pub(crate) fn succeeded(
        &mut self,
        now: Timestamp,
        id: DeviceId,
        (took, output): (Millis, Tokens),
    ) {
        if let Some(device) = self.list.get_mut(id) {
            device.circuit = device.circuit.succeeded();
            device.patience.answered(device.slots);
            device.pace.answered(now, took, output);
        }
    }

    /// A call failed while `in_use` ran. A final failure says nothing about the device's health, nor
    /// does one that asks for patience: it answered.
    pub(crate) fn failed(&mut self, now: Timestamp, id: DeviceId, in_use: u32, failure: &Failure) {
        let deaf = broken!(self, CircuitStaysClosed);
        let impatient = broken!(self, PatienceIgnored);
        let Some(device) = self.list.get_mut(id).filter(|_| !deaf) else {
            return;
        };
        match failure.class {
            FailureClass::Final => device.circuit = device.circuit.succeeded(),
            FailureClass::Transient => device.circuit = device.circuit.failed(now),
            FailureClass::RateLimited => {
                device.circuit = device.circuit.succeeded();
                if !impatient {
                    device.patience.refused(now, in_use, failure.retry_after);
                }
            }
        }
    }

    /// Slots that are given up are for whoever comes first.
    pub(crate) fn forget_promises(&mut self) {
        for device in &mut self.list {
            device.promised = None;
        }
    }

    /// The device, to be changed.
    pub(crate) fn get_mut(&mut self, id: DeviceId) -> Option<&mut Device> {
        self.list.get_mut(id)
    }
}

#[cfg(test)]
mod tests;

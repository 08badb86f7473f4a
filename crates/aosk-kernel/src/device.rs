//! Devices of class model: their slots, their circuit breakers, and which of them answer to a name.
//!
//! Which slots are in use is derived from the process table (`index`); only what was learned of the
//! devices' health is kept here. It is not stored: after a restart a device is given a new chance.

mod backoff;
mod circuit;
mod pace;
mod patience;
mod renew;

use std::collections::BTreeMap;

use aosk_abi::{Failure, FailureClass, Millis, Pid, Timestamp, Tokens, limits};

use crate::config::{Choice, Config, ModelConfig, Route};
use crate::mutant::{Broken, broken};

pub(crate) use self::backoff::backoff;
pub(crate) use self::circuit::Circuit;
pub(crate) use self::pace::Pace;
pub(crate) use self::patience::Patience;

/// The number of a device in this kernel's configuration.
pub(crate) type DeviceId = usize;

/// The number of a name that processes ask for: a device, or a route to several.
pub(crate) type QueueId = usize;

/// The number of a pool.
pub(crate) type PoolId = usize;

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
    /// For whose call, of those first in their queues, its rates have no room, and until when.
    pub(crate) full: BTreeMap<QueueId, (Pid, Timestamp)>,
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
        let full = self.full.values().map(|(_, until)| Some(*until));
        let held = [self.circuit.until(), Some(self.patience.end())];
        told.is_none() || held.into_iter().chain(full).any(|until| until == told)
    }

    /// When it is to be looked at again, if calls are held back until then.
    pub(crate) fn deadline(&self, now: Timestamp) -> Option<Timestamp> {
        let full = self.full.values().map(|(_, until)| *until);
        let ahead = self.circuit.until().into_iter().chain(full).filter(|until| *until > now);
        ahead.chain(self.patience.until(now)).min()
    }
}

/// A name that processes ask for.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    name: String,
    /// The devices that answer to it, with their weights.
    backends: Vec<Backend>,
    choice: Choice,
    pool: PoolId,
}

#[derive(Debug, Clone)]
struct Backend {
    device: DeviceId,
    weight: u64,
    /// Calls of this queue that it was given since the kernel began, and what it lost its claim to.
    given: u64,
}

impl Queue {
    /// Counts a call that the device was given. The others have a claim to as many by their weights,
    /// as far as they are not too far behind.
    fn gave(&mut self, id: DeviceId) {
        let Some(backend) = self.backends.iter_mut().find(|one| one.device == id) else {
            return;
        };
        backend.given = backend.given.saturating_add(1);
        let (given, weight) = (u128::from(backend.given), u128::from(backend.weight));
        let lightest = self.backends.iter().map(|one| one.weight).min().unwrap_or(1);
        for one in &mut self.backends {
            let claim = given * u128::from(one.weight) / weight;
            let debt = u128::from(limits::ROUTE_DEBT_MAX) * u128::from(one.weight);
            let least = claim.saturating_sub(debt.div_ceil(u128::from(lightest)));
            one.given = one.given.max(u64::try_from(least).unwrap_or(u64::MAX));
        }
    }
}

/// Names that have devices in common. Their queues are compared with each other, so what processes
/// were served is counted for the pool.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    /// The first of its devices.
    pub(crate) name: String,
    pub(crate) queues: Vec<QueueId>,
}

/// All devices of class model, in the order of their names, and the names for them.
#[derive(Debug, Clone)]
pub(crate) struct Devices {
    list: Vec<Device>,
    queues: Vec<Queue>,
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
            let backends = route.backends.iter().filter_map(|(device, weight)| {
                Some(Backend { device: find(device)?, weight: u64::from(*weight).max(1), given: 0 })
            });
            Queue {
                name: name.clone(),
                backends: backends.collect(),
                choice: route.choice,
                pool: 0,
            }
        });
        let mut queues: Vec<Queue> =
            queues.filter(|queue: &Queue| !queue.backends.is_empty()).collect();
        let pools = pools(&list, &mut queues);
        Self { list, queues, pools, broken: config.broken() }
    }

    /// The queue for this name.
    pub(crate) fn queue(&self, name: &str) -> Option<QueueId> {
        self.queues.binary_search_by(|queue| queue.name.as_str().cmp(name)).ok()
    }

    /// The name of a queue.
    pub(crate) fn name_of(&self, queue: QueueId) -> &str {
        self.queues.get(queue).map_or("", |queue| &queue.name)
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

    /// The devices that answer to the queue's name, the one to be asked first at the front: as the
    /// route lists them, or the one that was given least for its weight.
    pub(crate) fn backends(&self, queue: QueueId) -> Vec<DeviceId> {
        let Some(queue) = self.queues.get(queue) else {
            return Vec::new();
        };
        let mut backends: Vec<_> = queue.backends.iter().enumerate().collect();
        match queue.choice {
            Choice::InOrder => {}
            Choice::ByWeight => backends.sort_by(|(a_at, a), (b_at, b)| {
                let load = |one: &Backend, by: u64| (u128::from(one.given) + 1) * u128::from(by);
                load(a, b.weight).cmp(&load(b, a.weight)).then(a_at.cmp(b_at))
            }),
        }
        backends.into_iter().map(|(_, backend)| backend.device).collect()
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
    pub(crate) fn succeeded(&mut self, id: DeviceId, took: Millis, output: Tokens) {
        if let Some(device) = self.list.get_mut(id) {
            device.circuit = device.circuit.succeeded();
            device.patience.answered(device.slots);
            device.pace.answered(took, output);
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

/// Joins queues that have a device in common, and says to which pool each belongs.
fn pools(devices: &[Device], queues: &mut [Queue]) -> Vec<Pool> {
    // Which device stands for those that were joined with it: the first of them.
    let mut first: Vec<DeviceId> = (0..devices.len()).collect();
    let stands = |first: &[DeviceId], id: DeviceId| first.get(id).copied().unwrap_or(id);
    for queue in queues.iter() {
        let of: Vec<_> = queue.backends.iter().map(|one| stands(&first, one.device)).collect();
        let Some(least) = of.iter().min().copied() else {
            continue;
        };
        for stand in first.iter_mut().filter(|stand| of.contains(*stand)) {
            *stand = least;
        }
    }
    let mut pools: Vec<Pool> = Vec::new();
    for (id, queue) in queues.iter_mut().enumerate() {
        let device = queue.backends.first().map_or(0, |one| stands(&first, one.device));
        let name = devices.get(device).map_or("", |device| device.name.as_str());
        let at = pools.iter().position(|pool| pool.name == name).unwrap_or_else(|| {
            pools.push(Pool { name: name.to_owned(), queues: Vec::new() });
            pools.len() - 1
        });
        queue.pool = at;
        if let Some(pool) = pools.get_mut(at) {
            pool.queues.push(id);
        }
    }
    pools
}

#[cfg(test)]
mod tests;

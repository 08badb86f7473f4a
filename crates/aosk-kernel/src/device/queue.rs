//! Queues for devices: one for each name, and one for calls that only some of its devices can take.

use std::collections::{BTreeMap, BTreeSet};

use aosk_abi::{Abilities, Ability, Choice, Millis, Quality, Tokens, limits};

use super::{Device, DeviceId, PoolId, QueueId};
use crate::config::Route;

/// Calls that wait for the same devices.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    /// The name that they ask for.
    pub(super) name: String,
    /// The devices that answer, with their weights.
    pub(crate) backends: Vec<Backend>,
    /// Which of them is asked.
    pub(crate) choice: Choice,
    /// How long a call waits for a better device while another is free.
    pub(crate) wait: Millis,
    pub(super) pool: PoolId,
    /// The queues of calls of this name that only some of the devices can take, by which.
    pub(super) parts: BTreeMap<Vec<DeviceId>, QueueId>,
    /// The devices of the name that cannot take its calls.
    pub(crate) left_out: Vec<DeviceId>,
}

/// A device that answers.
#[derive(Debug, Clone)]
pub(crate) struct Backend {
    pub(crate) device: DeviceId,
    weight: u64,
    /// Its class, if it is known.
    pub(crate) class: Option<Quality>,
    /// Calls of this queue that it was given since the kernel began, and what it lost its claim to.
    given: u64,
}

/// Names that have devices in common. Their queues are compared with each other, so what processes
/// were served is counted for the pool.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    /// The first of its devices.
    pub(crate) name: String,
    pub(crate) queues: Vec<QueueId>,
}

impl Queue {
    /// That of a route. `find` says which device a name is, and its class.
    pub(super) fn new(
        name: &str,
        route: &Route,
        find: impl Fn(&String) -> Option<(DeviceId, Option<Quality>)>,
    ) -> Self {
        let backends = route.backends.iter().filter_map(|(device, weight)| {
            let (device, class) = find(device)?;
            Some(Backend { device, weight: u64::from(*weight).max(1), class, given: 0 })
        });
        Self {
            name: name.to_owned(),
            backends: backends.collect(),
            choice: route.choice,
            wait: route.wait,
            pool: 0,
            parts: BTreeMap::new(),
            left_out: Vec::new(),
        }
    }

    /// Its devices, as the route lists them or the one at the front that was given least for its weight.
    pub(super) fn in_order(&self) -> Vec<DeviceId> {
        let mut backends: Vec<_> = self.backends.iter().enumerate().collect();
        match self.choice {
            Choice::InOrder | Choice::ByCost | Choice::ByQuality | Choice::ByLatency => {}
            Choice::ByWeight => backends.sort_by(|(a_at, a), (b_at, b)| {
                let load = |one: &Backend, by: u64| (u128::from(one.given) + 1) * u128::from(by);
                load(a, b.weight).cmp(&load(b, a.weight)).then(a_at.cmp(b_at))
            }),
        }
        backends.into_iter().map(|(_, backend)| backend.device).collect()
    }

    /// The devices that can take a call with such needs that has so many tokens, its answer included. A
    /// device alone takes all. Where no window is large enough these are the ones with
    /// the largest.
    pub(super) fn takers(
        &self,
        devices: &[Device],
        needs: Abilities,
        tokens: Tokens,
    ) -> Vec<DeviceId> {
        let all = self.backends.iter().map(|one| one.device);
        if self.backends.len() < 2 {
            return all.collect();
        }
        let context = |id: &DeviceId| devices.get(*id).and_then(|device| device.context);
        let able = |needs: Abilities| {
            let can = move |id: &DeviceId| {
                let known = devices.get(*id).and_then(|device| device.abilities);
                known.is_none_or(|abilities| needs.lacking_in(abilities).is_none())
            };
            all.clone().filter(can).collect::<Vec<DeviceId>>()
        };
        // Any model can be told of a schema in words.
        let able = match able(needs) {
            none if none.is_empty() => able(needs.without(Ability::Schema)),
            able => able,
        };
        let holds = |id: &&DeviceId| context(id).is_none_or(|context| tokens <= context);
        let fit: Vec<DeviceId> = able.iter().filter(holds).copied().collect();
        if !fit.is_empty() {
            return fit;
        }
        let largest = able.iter().filter_map(context).max();
        able.into_iter().filter(|id| context(id) == largest).collect()
    }

    /// The part of it for these of its devices.
    fn part(&self, takers: &[DeviceId]) -> Self {
        let is_taker = |one: &&Backend| takers.contains(&one.device);
        let (backends, others): (Vec<&Backend>, _) = self.backends.iter().partition(is_taker);
        Self {
            backends: backends.into_iter().cloned().collect(),
            left_out: others.into_iter().map(|one| one.device).collect(),
            parts: BTreeMap::new(),
            ..self.clone()
        }
    }

    /// Takes over what its devices were given under another configuration. `same` says whether a device
    /// here is the one there.
    pub(super) fn count_on(&mut self, before: &Self, same: impl Fn(DeviceId, DeviceId) -> bool) {
        for one in &mut self.backends {
            let known = before.backends.iter().find(|known| same(one.device, known.device));
            one.given = known.map_or(0, |known| known.given);
        }
    }

    /// Counts a call that the device was given. The others have a claim to as many by their weights,
    /// as far as they are not too far behind.
    pub(super) fn gave(&mut self, id: DeviceId) {
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

/// Adds a queue for each set of devices to which the calls of a name may be left, by what they need and
/// by how long they are. So no call waits behind one that only another device can take.
pub(super) fn split(devices: &[Device], queues: &mut Vec<Queue>) {
    for id in 0..queues.len() {
        let Some(queue) = queues.get(id) else { continue };
        let known = queue.backends.iter().filter_map(|one| devices.get(one.device)?.context);
        // One more than fits each of them, and what fits all.
        let lengths: BTreeSet<Tokens> =
            known.map(|context| context + Tokens(1)).chain([Tokens::ZERO]).collect();
        let mut parts: BTreeMap<Vec<DeviceId>, Queue> = BTreeMap::new();
        for needs in every_need() {
            for tokens in &lengths {
                let takers = queue.takers(devices, needs, *tokens);
                if !takers.is_empty() && takers.len() < queue.backends.len() {
                    parts.entry(takers).or_insert_with_key(|takers| queue.part(takers));
                }
            }
        }
        for (takers, part) in parts {
            let at = queues.len();
            queues.push(part);
            if let Some(queue) = queues.get_mut(id) {
                queue.parts.insert(takers, at);
            }
        }
    }
}

/// All that calls may need.
fn every_need() -> impl Iterator<Item = Abilities> {
    (0..1_u8 << Ability::ALL.len()).map(|set| {
        let has = |at: &usize| set >> at & 1 == 1;
        let chosen = Ability::ALL.into_iter().enumerate().filter(move |(at, _)| has(at));
        chosen.map(|(_, ability)| ability).collect()
    })
}

/// Joins queues that have a device in common, and says to which pool each belongs.
pub(super) fn pools(devices: &[Device], queues: &mut [Queue]) -> Vec<Pool> {
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

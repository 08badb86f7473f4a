//! Which device of a route a call goes to.
//!
//! The devices that can take the call are ranked by the rule of the route, those on which the call
//! failed behind the others. It goes to the first that has a slot free, is not left alone and has room
//! in its rates and in the budgets of the process. Where one that is ranked higher is only busy, the
//! call waits for it for as long as the route says, from when it came to wait for a slot, and meanwhile
//! goes to none that is ranked lower.
//!
//! What a call is expected to cost is its input, of which what the device has in its prefix cache costs
//! what reading it does, and an answer as long as those before. So a conversation stays where it is as
//! long as going elsewhere would cost more than it saves.

use aosk_abi::{
    BudgetId, Choice, Fact, Millis, PassedOver, Pid, Price, Quality, Reason, Spend, Timestamp,
    Tokens, Usage,
};

use crate::budget::{Shortage, is_worse};
use crate::device::{Device, DeviceId, Kept, QueueId, Why};
use crate::kernel::{Ctx, Kernel};
use crate::memory::CacheRules;
use crate::mutant::broken;
use crate::process::{ModelCall, Process};
use crate::scheduler::expected_output;

/// A device that a call may go to, as the rule has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ranked {
    device: DeviceId,
    /// Whether the call failed there.
    failed: bool,
    /// How much worse its class is than the best, where that matters.
    class: u8,
    /// What it is expected to cost in micro-dollars, or to take in milliseconds; none where the rule has
    /// no figures.
    figure: Option<u64>,
    /// Leading tokens of the input that are in its cache.
    cached: Tokens,
}

/// How a call came to its device.
#[derive(Debug)]
pub(crate) struct Way {
    chosen: Ranked,
    ranked: Vec<Ranked>,
    /// Why not those that are ranked higher.
    passed: Vec<(DeviceId, Reason)>,
}

/// Where a call goes, and whether it may.
#[derive(Debug)]
pub(crate) struct Chosen {
    /// The call as it goes there.
    pub(crate) call: ModelCall,
    /// What it may use there at worst.
    pub(crate) amount: Spend,
    pub(crate) device: DeviceId,
    /// Whether its budgets have room for that.
    pub(crate) room: Result<(), Shortage>,
    pub(crate) way: Way,
}

impl Way {
    fn new(chosen: Ranked, ranked: &[Ranked], passed: &[(DeviceId, Reason)]) -> Self {
        Self { chosen, ranked: ranked.to_vec(), passed: passed.to_vec() }
    }
}

impl Kernel {
    /// The best of the devices that are free by the rule of the route, whose rates have room for the call
    /// and for which its budgets have; if they have for none, the one for which they lack the least.
    /// Devices whose rates have no room, and those that it does not go to as it waits for a better one,
    /// are noted to be kept from it.
    pub(crate) fn choose_backend(
        &mut self,
        cx: &Ctx<'_>,
        (queue, pid): (QueueId, Pid),
        (call, budget): (&ModelCall, BudgetId),
        free: &[DeviceId],
    ) -> Option<Chosen> {
        let process = self.processes.get(pid)?;
        let ranked = self.ranked(cx.now, queue, (process, call));
        let waits_until = self.waits_until(queue, process);
        let waits = waits_until > cx.now && !broken!(self, RouteImpatient);
        let mut better_is_busy = false;
        let mut passed: Vec<(DeviceId, Reason)> = Vec::new();
        let mut least: Option<Chosen> = None;
        for one in &ranked {
            let id = one.device;
            // What it did not go to while it waited for a better one may be the best by now.
            let held = self.held_back(cx.now, (queue, pid), id);
            if !free.contains(&id) && held != Some(Reason::Later) {
                let why = held.unwrap_or(Reason::Busy);
                better_is_busy |= why == Reason::Busy && !one.failed;
                passed.push((id, why));
                continue;
            }
            // What was given up for it, it takes.
            let promised = self.devices.get(id).and_then(|device| device.promised);
            if better_is_busy && waits && promised != Some(pid) {
                passed.push((id, Reason::Later));
                self.keep_from(
                    cx.now,
                    id,
                    queue,
                    Kept { pid, until: waits_until, why: Why::Waits },
                );
                continue;
            }
            let call = self.on_device(call.clone(), id);
            let amount = self.worst_case(&call);
            let node = self.budgets.device(call.device()).and_then(|id| self.budgets.get(id));
            let node = node.filter(|_| !broken!(self, RateUncounted));
            match node.and_then(|node| node.device_room_at(&amount, cx.now)) {
                None => {
                    let room = self.budgets.fits_on(call.device(), budget, &amount, cx.now);
                    let room = if broken!(self, BudgetUnchecked) { Ok(()) } else { room };
                    let way = Way::new(*one, &ranked, &passed);
                    let chosen = Chosen { call, amount, device: id, room, way };
                    if chosen.room.is_ok() {
                        return Some(chosen);
                    }
                    passed.push((id, Reason::Budget));
                    if least.as_ref().is_none_or(|least| is_worse(&least.room, &chosen.room)) {
                        least = Some(chosen);
                    }
                }
                Some(until) => {
                    passed.push((id, Reason::Rates));
                    self.keep_from(cx.now, id, queue, Kept { pid, until, why: Why::Rates });
                }
            }
        }
        least
    }

    /// Notes that the first of a queue does not go to the device for now.
    fn keep_from(&mut self, now: Timestamp, id: DeviceId, queue: QueueId, kept: Kept) {
        if let Some(device) = self.devices.get_mut(id) {
            device.full.insert(queue, kept);
            // Its slot is not kept for it meanwhile.
            device.promised = device.promised.filter(|promised| *promised != kept.pid);
        }
        self.look_again(now, id);
    }

    /// The devices of the queue that a call may go to, the best at the front.
    fn ranked(
        &self,
        now: Timestamp,
        queue: QueueId,
        (process, call): (&Process, &ModelCall),
    ) -> Vec<Ranked> {
        let choice = self.devices.queue_of(queue).map(|queue| queue.choice).unwrap_or_default();
        let mut ranked: Vec<Ranked> = self
            .devices
            .backends(queue)
            .into_iter()
            .filter_map(|id| {
                let device = self.devices.get(id)?;
                let failed = call.failed_on.iter().any(|name| **name == *device.name);
                let class = self.class(queue, id);
                let (figure, cached) = self.figure(now, choice, device, (process, call));
                let class = if choice == Choice::ByQuality { class } else { 0 };
                Some(Ranked { device: id, failed, class, figure, cached })
            })
            .collect();
        if broken!(self, RouteByList) {
            ranked.sort_by_key(|one| one.failed);
        } else {
            ranked.sort_by_key(|one| (one.failed, one.class, one.figure));
        }
        ranked
    }

    /// How much worse than the best the class of the device is in the queue. One that is not known is
    /// worse than any.
    fn class(&self, queue: QueueId, id: DeviceId) -> u8 {
        let queue = self.devices.queue_of(queue);
        let backends = queue.into_iter().flat_map(|queue| &queue.backends);
        let mut of = backends.filter(|one| one.device == id).map(|one| one.class);
        match of.next().flatten() {
            Some(Quality::High) => 0,
            Some(Quality::Medium) => 1,
            Some(Quality::Low) => 2,
            None => 3,
        }
    }

    /// What a rule looks at, and what of the input the device has in its cache.
    fn figure(
        &self,
        now: Timestamp,
        choice: Choice,
        device: &Device,
        (process, call): (&Process, &ModelCall),
    ) -> (Option<u64>, Tokens) {
        let output = expected_output(call, &process.stats);
        match choice {
            Choice::InOrder | Choice::ByWeight => (None, Tokens::ZERO),
            Choice::ByLatency => (Some(device.pace.time_now(now, output).0), Tokens::ZERO),
            Choice::ByCost | Choice::ByQuality => {
                let price = self.config.price(&device.name, call.long_lived);
                let rules = self.config.cache(&device.name, call.long_lived);
                let cached = process.memory.prefix_at(&device.name, call, rules, now);
                let cached = if broken!(self, PrefixForgotten) { Tokens::ZERO } else { cached };
                (Some(cost(&price, rules, now, (call.input, cached, output))), cached)
            }
        }
    }

    /// Why the device cannot take a call of this process now; none if it may.
    fn held_back(
        &self,
        now: Timestamp,
        (queue, pid): (QueueId, Pid),
        id: DeviceId,
    ) -> Option<Reason> {
        let device = self.devices.get(id)?;
        let in_use = self.index.slots_in_use(id);
        let kept = device.full.get(&queue).filter(|kept| kept.pid == pid && kept.until > now);
        if !device.circuit.admits(now, in_use) {
            return Some(Reason::Failing);
        }
        if device.patience.until(now).is_some() {
            return Some(Reason::Refusing);
        }
        if !device.admits(now, in_use) {
            return Some(Reason::Busy);
        }
        match kept.map(|kept| kept.why) {
            Some(Why::Rates) => Some(Reason::Rates),
            Some(Why::Waits) => Some(Reason::Later),
            None => None,
        }
    }

    /// Until when the first of a queue waits for a device that is busy and better.
    fn waits_until(&self, queue: QueueId, process: &Process) -> Timestamp {
        let wait = self.devices.queue_of(queue).map_or(Millis::ZERO, |queue| queue.wait);
        process.stats.times.phase.map_or(Timestamp::ZERO, |(_, came)| came.after(wait))
    }

    /// Whether the first of a queue has a device that it could have and waits for a better one.
    pub(crate) fn waits_by_choice(&self, now: Timestamp, (queue, pid): (QueueId, Pid)) -> bool {
        self.devices.backends(queue).into_iter().any(|id| {
            let device = self.devices.get(id);
            let kept = device.and_then(|device| device.full.get(&queue));
            kept.is_some_and(|kept| kept.pid == pid && kept.until > now && kept.why == Why::Waits)
                && device.is_some_and(|device| device.admits(now, self.index.slots_in_use(id)))
        })
    }

    /// Writes down where an attempt goes, if its name leads to several devices.
    pub(crate) fn tell_way(
        &self,
        cx: &mut Ctx<'_>,
        pid: Pid,
        call: &ModelCall,
        (queue, way, waited): (QueueId, &Way, Millis),
    ) {
        let Some(queue) = self.devices.queue_of(queue) else { return };
        if queue.backends.len() + queue.left_out.len() < 2 {
            return;
        }
        let name = |id: DeviceId| self.devices.get(id).map(|device| device.name.clone());
        let others = way.ranked.iter().filter(|one| one.device != way.chosen.device);
        let others = others.filter_map(|one| {
            let told = way.passed.iter().find(|(id, _)| *id == one.device);
            let why = told.map_or(Reason::Later, |(_, why)| *why);
            let why = if one.failed { Reason::Failed } else { why };
            Some(PassedOver { device: name(one.device)?, why, figure: one.figure })
        });
        let unable = queue.left_out.iter().filter_map(|id| {
            let known = self.devices.get(*id)?.abilities;
            let lacking = known.and_then(|abilities| call.needs.lacking_in(abilities));
            let why = lacking.map_or(Reason::Window, Reason::Lacks);
            Some(PassedOver { device: name(*id)?, why, figure: None })
        });
        cx.fact(
            pid,
            Fact::ModelRouted {
                call: Self::call_id(pid, call.number),
                attempt: call.attempt,
                device: call.device().to_owned(),
                by: queue.choice,
                figure: way.chosen.figure,
                cached: way.chosen.cached,
                waited,
                passed: others.chain(unable).collect(),
            },
        );
    }
}

/// What a call is expected to cost that begins now: input of which a part is in the cache, and an answer.
fn cost(
    price: &Price,
    rules: &CacheRules,
    now: Timestamp,
    (input, cached, output): (Tokens, Tokens, Tokens),
) -> u64 {
    let cache_read = cached.min(input);
    let new = input.saturating_sub(cache_read);
    // Where breakpoints are set, what is new is written to the cache.
    let (input_uncached, cache_write) =
        if rules.breakpoints() > 0 { (Tokens::ZERO, new) } else { (new, Tokens::ZERO) };
    let usage = Usage { input_uncached, cache_read, cache_write, output, ..Usage::default() };
    price.of(&usage, now).0
}

//! When a running call gives up its slot.
//!
//! For an urgent process: one that is the first to wait, and is so much more urgent than a running call
//! that waiting would be wrong, takes the slot of the least urgent one that began before it came to
//! wait; of several, of the one that began last, as the least is lost with it. Who is urgent and not
//! the first has had more than its share: that is for the policy, and a call that was just given its
//! slot is not cut off at once.
//!
//! For a time slice: a call that has run for its slice while others wait goes back into the queue, where
//! it stands by what it has had.
//!
//! A call is cut off only where that is worth it. What is left of it is estimated from the answers its
//! process had before and from the pace of the device. It must be more than ending the call and going
//! on with it takes. Where the model can go on from what was written, nothing else is lost: the prefix
//! is read again from the provider's cache. Where it cannot, what was generated is lost, so a call is
//! cut off for an urgent process only while less has passed than is left, and for a slice only if the
//! operator said that calls of this device are. A device that lost what a call of it wrote, as one does
//! whose answers begin with thoughts, counts from then on as one that cannot. And a call is cut off a
//! bounded number of times, and one that somebody outside asks never: they may have heard a part of the
//! answer.

use aosk_abi::{Fact, ModelOutcome, Pid, PreemptCause, Release, Spend, Timestamp, Tokens, limits};

use crate::device::{Device, DeviceId, QueueId};
use crate::kernel::{Ctx, Kernel};
use crate::mutant::broken;
use crate::process::{Asked, ModelCall, Process, State};
use crate::scheduler::expected_output;

impl Kernel {
    /// Has a running call give up its slot for the first of a queue that has no slot free, if it is
    /// urgent.
    pub(crate) fn preempt_a_call(&mut self, cx: &mut Ctx<'_>) -> bool {
        if !self.config.policy.preempts() {
            return false;
        }
        let found = self.devices.pools().flat_map(|pool| &pool.queues).find_map(|queue| {
            let (_, pid) = self.index.first_ready(*queue)?;
            if self.waits_by_choice(cx.now, (*queue, pid)) {
                return None;
            }
            let process = self.processes.get(pid)?;
            let (_, came) = process.stats.times.phase?;
            let priority = process.priority;
            let (device, victim) = self.devices.backends(*queue).into_iter().find_map(|id| {
                let victim = self.victim((cx.now, came), id, priority)?;
                self.needs_a_slot(cx.now, id, (*queue, pid)).then_some((id, victim))
            })?;
            Some((pid, device, victim))
        });
        let Some((by, device, victim)) = found else {
            return false;
        };
        self.ask_to_yield(cx, victim, (device, by), PreemptCause::Urgent);
        true
    }

    /// Whether this is all that the first of a queue needs to start: a slot of the device. One slot at a
    /// time is given up there.
    fn needs_a_slot(&self, now: Timestamp, id: DeviceId, (queue, pid): (QueueId, Pid)) -> bool {
        let in_use = self.index.slots_in_use(id);
        let would_be_free = self.devices.get(id).is_some_and(|device| {
            device.promised.is_none()
                && !device.full.contains_key(&queue)
                && !device.admits(now, in_use)
                && device.admits(now, in_use.saturating_sub(1))
        });
        would_be_free && self.has_room(now, id, pid)
    }

    /// Whose call on the device is cut off for a process of this priority, if anybody's is.
    fn victim(
        &self,
        (now, came): (Timestamp, Timestamp),
        device: DeviceId,
        priority: u8,
    ) -> Option<Pid> {
        let margin = if broken!(self, MarginIgnored) { 0 } else { limits::PREEMPT_MARGIN };
        let urgent = |of: u8| priority.saturating_add(margin) <= of;
        let running = self.index.running(device).take_while(|(of, _)| urgent(*of));
        running.map(|(_, pid)| pid).find(|pid| {
            let process = self.processes.get(*pid);
            process.is_some_and(|process| {
                let began = process.state.call().map(|call| call.started);
                let urgent = PreemptCause::Urgent;
                began <= Some(came) && self.is_worth_cutting(now, device, process, urgent)
            })
        })
    }

    /// Whether it is worth it to cut off the call of the process, by the rule of this module.
    fn is_worth_cutting(
        &self,
        now: Timestamp,
        device: DeviceId,
        process: &Process,
        cause: PreemptCause,
    ) -> bool {
        let State::Running { call, .. } = process.state.inner() else {
            return false;
        };
        let Some(device) = self.devices.get(device) else {
            return false;
        };
        let ran = now.since(call.started);
        let remaining = device.pace.remaining(ran, expected_output(call, &process.stats));
        let is_heard = call.relayed && !broken!(self, RelayBegunAnew);
        !is_heard
            && (call.preempted < limits::PREEMPTIONS_MAX || broken!(self, PreemptionsUnbounded))
            && remaining >= limits::PREEMPT_REMAINING_MIN
            && match cause {
                PreemptCause::Urgent => device.keeps_begun() || ran <= remaining,
                PreemptCause::Slice => device.slices(),
            }
    }

    /// A call that runs has a time slice from now on, if it has none and the policy and its device have
    /// slices.
    pub(crate) fn begin_slice(&mut self, now: Timestamp, pid: Pid) {
        let slice = self.config.slice.filter(|_| self.config.policy.slices());
        let (Some(slice), Some(process)) = (slice, self.processes.get(pid)) else {
            return;
        };
        let State::Running { call, slice_ends: None, asked: Asked::Nothing, .. } =
            process.state.inner()
        else {
            return;
        };
        let device = self.devices.find(call.device()).and_then(|id| self.devices.get(id));
        if !device.is_some_and(Device::slices) {
            return;
        }
        if let Some(process) = self.processes.get_mut(pid)
            && let State::Running { slice_ends, .. } = process.state.inner_mut()
        {
            *slice_ends = Some(now.after(slice));
        }
    }

    /// A call has run for its time slice.
    pub(crate) fn slice_over(&mut self, cx: &mut Ctx<'_>, pid: Pid) {
        let slice = self.config.slice.filter(|_| self.config.policy.slices());
        let Some(process) = self.processes.get(pid) else {
            return;
        };
        let State::Running { call, .. } = process.state.inner() else {
            return;
        };
        // The policy may be another than when the call began, and nothing starts after the drain.
        let device = self.devices.find(call.device()).filter(|_| slice.is_some() && !self.draining);
        let yields =
            device.filter(|id| self.is_worth_cutting(cx.now, *id, process, PreemptCause::Slice));
        let yields = yields.and_then(|id| Some((id, self.first_for(cx.now, id)?)));
        if let Some((device, by)) = yields {
            self.ask_to_yield(cx, pid, (device, by), PreemptCause::Slice);
            return;
        }
        let next = slice.map(|slice| cx.now.after(slice));
        if let Some(process) = self.processes.get_mut(pid)
            && let State::Running { slice_ends, .. } = process.state.inner_mut()
        {
            *slice_ends = next;
        }
    }

    /// Who is first, of all names that the device answers to, and needs nothing but its slot.
    fn first_for(&self, now: Timestamp, id: DeviceId) -> Option<Pid> {
        let queues = self.devices.pools().flat_map(|pool| &pool.queues);
        let queues = queues.filter(|queue| self.devices.backends(**queue).contains(&id));
        let firsts = queues.filter_map(|queue| {
            let (rank, pid) = self.index.first_ready(*queue)?;
            self.needs_a_slot(now, id, (*queue, pid)).then_some((rank, pid))
        });
        firsts.min().map(|(_, pid)| pid)
    }

    fn ask_to_yield(
        &mut self,
        cx: &mut Ctx<'_>,
        pid: Pid,
        (device, by): (DeviceId, Pid),
        cause: PreemptCause,
    ) {
        let Some(process) = self.processes.get_mut(pid) else {
            return;
        };
        let State::Running { call, slice_ends, asked, .. } = process.state.inner_mut() else {
            return;
        };
        (*asked, *slice_ends) = (Asked::Yield, None);
        let (id, attempt) = (Self::call_id(pid, call.number), call.attempt);
        let ran = cx.now.since(call.started);
        cx.fx.releases.push(Release::Yield { call: id, attempt });
        if let Some(device) = self.devices.get_mut(device) {
            device.promised = Some(by);
            cx.node_fact(Fact::ModelPreempted {
                call: id,
                device: device.name.clone(),
                by,
                cause,
                ran,
            });
        }
    }

    /// A call gave up its slot: what it used is charged, and it goes on later.
    pub(crate) fn yielded(
        &mut self,
        cx: &mut Ctx<'_>,
        pid: Pid,
        (mut call, held): (ModelCall, Spend),
        outcome: &ModelOutcome,
    ) {
        let ModelOutcome::Yielded { begun, usage } = outcome else {
            return;
        };
        let usage = call.used_so_far(usage);
        self.settle_unanswered(cx, pid, &call, &held, &usage, /*calls*/ 0);
        if broken!(self, YieldChargedTwice) {
            self.settle_unanswered(cx, pid, &call, &Spend::default(), &usage, /*calls*/ 0);
        }
        call.preempted = call.preempted.saturating_add(1);
        let is_lost = begun.is_none() && (usage.output > Tokens::ZERO || call.begun.is_some());
        let device = self.devices.find(call.device()).filter(|_| is_lost);
        if let Some(device) = device.and_then(|id| self.devices.get_mut(id)) {
            device.loses = true;
        }
        let forgets = broken!(self, BegunDropped);
        if let Some(begun) = begun.as_ref().filter(|_| !forgets) {
            call.begun = Some(begun.hash());
            call.begun_output += usage.output;
            cx.fx.bodies.push(begun.clone());
        } else {
            call.begun_output += usage.output;
            self.lose_begun(pid, &mut call);
        }
        if let Some(process) = self.processes.get_mut(pid) {
            process.stats.preempted = process.stats.preempted.saturating_add(1);
        }
        self.enqueue(pid, call);
        self.interrupt(cx, pid);
    }

    /// What of the answer was written cannot be gone on from.
    pub(crate) fn lose_begun(&mut self, pid: Pid, call: &mut ModelCall) {
        call.begun = None;
        let lost = std::mem::take(&mut call.begun_output);
        if let Some(process) = self.processes.get_mut(pid) {
            process.stats.lost += lost;
        }
    }
}

//! What may start and what may be cut off, and who should have been served and was not.

use aosk_abi::{CallId, Effects, Fact, Hash, Pid, PreemptCause, Timestamp, Tokens, limits};
use aosk_kernel::{Kernel, State};

use super::ledger::Scope;
use super::{Flight, Judge, Place, Proc};
use crate::checker::{Rule, ensure};
use crate::faults::Feature;
use crate::reference::{Contender, goes_first};

/// Beyond so many waiting processes only some starts are held against all of them.
const MANY: usize = 100;

impl Judge<'_> {
    pub(super) fn started(
        &mut self,
        kernel: &Kernel,
        now: Timestamp,
        (id, attempt): (CallId, u32),
        device: &str,
        begun: Option<Hash>,
    ) -> Result<(), Rule> {
        let what = || format!("{id}, attempt {attempt}, on {device} at {now:?}");
        let backends = self.backends();
        ensure(backends.contains(&device), "a call goes where its name leads", what)?;
        let call = self.procs.get(&id.pid).and_then(|proc| proc.call.as_ref());
        let Some(call) = call.filter(|call| call.id == id) else {
            return Err(Rule("only what was asked starts", what()));
        };
        ensure(call.flight.is_none(), "a call runs once at a time", what)?;
        ensure(attempt == call.attempts + 1, "an attempt is made once", what)?;
        let continues = self.devices.get(device).is_some_and(|device| device.continues);
        let expected = call.begun.filter(|_| continues);
        ensure(begun == expected, "what was begun is gone on from where that can be", || {
            format!("{}: {begun:?}, expected {expected:?}", what())
        })?;
        // What its budget kept waiting until now did not wait for the others.
        let from_quota = matches!(call.place, Place::Quota(..));
        let waits_from = if from_quota { self.delivered } else { call.waits_from };
        let input = call.input;
        self.check_choice(kernel, now, id, device)?;
        self.check_order(kernel, now, (id.pid, device))?;
        self.check_wait(id.pid, waits_from)?;
        let held = self.worst(device, input);
        self.ledger.start(now, &self.scopes(id.pid, device), (id, attempt), &held)?;
        self.run_on(now, (id, attempt), device)?;
        self.put(id.pid, Place::Running);
        if let Some(proc) = self.procs.get_mut(&id.pid) {
            self.fair.start(id.pid, (&proc.group, proc.priority));
            if let Some(call) = &mut proc.call {
                call.attempts = attempt;
                if begun.is_none() {
                    call.begun = None;
                }
                let device = device.to_owned();
                call.flight = Some(Flight {
                    device,
                    attempt,
                    held,
                    started: now,
                    yielding: false,
                    given_up: None,
                });
            }
        }
        self.starts += 1;
        if kernel.process_count() < MANY || self.starts.is_multiple_of(1_000) {
            kernel.check().map_err(|violation| Rule("kernel", violation.0))?;
        }
        Ok(())
    }

    /// The device takes it, and may.
    fn run_on(&mut self, now: Timestamp, id: (CallId, u32), name: &str) -> Result<(), Rule> {
        let Some(device) = self.devices.get_mut(name) else { return Ok(()) };
        device.running.insert(id);
        device.promised = None;
        let in_use = device.in_use();
        let slots = device.slots;
        ensure(in_use <= slots, "a slot is held by one call", || {
            format!("{name}: {in_use} calls in {slots} slots")
        })?;
        let (until, allowed) = (device.until, device.allowed);
        ensure(now >= until, "a device that asks for patience is left alone", || {
            format!("{name} is asked at {now:?}, not before {until:?}")
        })?;
        ensure(in_use <= allowed, "a device that refused is asked less", || {
            format!("{name}: {in_use} calls, {allowed} allowed")
        })?;
        device
            .breaker
            .started(now, in_use)
            .map_err(|what| Rule("a failing device is left alone", what))
    }

    /// Nobody who waits should have gone first, but those who would not have gone there.
    fn check_order(
        &self,
        kernel: &Kernel,
        now: Timestamp,
        (pid, device): (Pid, &str),
    ) -> Result<(), Rule> {
        // Of a route, it may have another slot than the one that was given up for it.
        let promised = self.devices.values().any(|device| device.promised == Some(pid));
        let few = self.queue.len() < MANY || self.starts.is_multiple_of(64);
        let Some(proc) = self.procs.get(&pid).filter(|_| !promised && few) else {
            return Ok(());
        };
        for other in self.queue.iter().filter(|other| **other != pid) {
            let Some(second) = self.procs.get(other) else { continue };
            let passed_over = self.passes_over((pid, proc), (*other, second));
            // Where budgets are bounded, or the money of a device, it may have been looked at, and come
            // back.
            let bounded = self.case.has(Feature::Spans)
                || self.config.models.values().any(|model| model.rates.per_day.is_some());
            if let Some(why) = passed_over
                && !bounded
                && !self.declines(kernel, now, *other, device)
                && !self.stands_behind(kernel, now, (pid, *other), device)
            {
                return Err(Rule("the first in the queue goes first", why));
            }
        }
        Ok(())
    }

    /// Why the second should have been chosen and not the first, if it should.
    fn passes_over(&self, one: (Pid, &Proc), other: (Pid, &Proc)) -> Option<String> {
        let ((pid, proc), (second, behind)) = (one, other);
        if self.policy == "fair" {
            let chosen = (pid, proc.group.as_str(), proc.priority);
            return self.fair.passes_over(chosen, (second, &behind.group, behind.priority));
        }
        let contender =
            |pid: Pid, priority| Contender { pid: pid.0, priority, since: self.fair.since(pid) };
        let (a, b) = (contender(second, behind.priority), contender(pid, proc.priority));
        goes_first(&self.policy, &a, &b).then(|| format!("{b:?} before {a:?}"))
    }

    /// Of those who wait for room in one node, nobody is let go before one whom the policy has first.
    /// Who was looked at in between is not held against it: there may have been no room for that one.
    ///
    /// Where groups stand changes with every start, so those of two groups are compared only where no
    /// other call starts.
    pub(super) fn check_let_go(
        &mut self,
        kernel: &Kernel,
        pid: Pid,
        (changed, starts): (&[Pid], &[Pid]),
    ) -> Result<(), Rule> {
        let state = kernel.process(pid).map(|process| &process.state);
        let goes = matches!(state, Some(State::Ready { .. } | State::Running { .. }));
        let few = self.quota.len() < MANY || self.starts.is_multiple_of(64);
        let proc = self.procs.get(&pid).filter(|_| goes && few);
        let place = proc.and_then(|proc| Some(proc.call.as_ref()?.place));
        let (Some(proc), Some(place @ Place::Quota(_, false))) = (proc, place) else {
            return Ok(());
        };
        let (mut among_others, alone) = (false, starts.iter().all(|one| *one == pid));
        for other in self.quota.iter().filter(|other| !changed.contains(other)) {
            let Some(second) = self.procs.get(other) else { continue };
            let waits_too = second.call.as_ref().is_some_and(|call| call.place == place);
            if !waits_too || (!alone && proc.group != second.group) {
                continue;
            }
            among_others = true;
            if let Some(why) = self.passes_over((pid, proc), (*other, second)) {
                return Err(Rule("the first of those who wait for room is let go first", why));
            }
        }
        if among_others {
            self.seen.insert("let go before others");
        }
        Ok(())
    }

    /// While a process waits for a slot, each of the others is served at most what brings it from
    /// behind the clock to where the process will be after its call, and one call beyond that.
    ///
    /// A process asks at `S`, at most one call ahead of the clock, and is ranked one call further: so
    /// it is passed by those only that are at most two calls ahead of the clock by its own weight. One
    /// of them that was last served begins at most a call behind the clock, or the credit if it slept;
    /// and one call is under way, one is begun last. The largest call stands for all.
    fn check_wait(&self, pid: Pid, waits_from: u128) -> Result<(), Rule> {
        let flat = !self.case.has(Feature::Groups);
        if !self.steady || !flat {
            return Ok(());
        }
        let (most, least, count) = self.weights;
        let call = u128::from(self.largest);
        let lag = call.max(u128::from(limits::SERVICE_CREDIT));
        let own = self.procs.get(&pid).map_or(least, |proc| aosk_kernel::weight(proc.priority));
        let ahead = 2 * call * u128::from(most) / u128::from(own.max(1));
        let bound = u128::from(count) * (ahead + lag + 2 * call);
        let waited = self.delivered - waits_from;
        ensure(waited <= bound, "nobody starves", || {
            format!("{pid} waited while {waited} were served, at most {bound}")
        })
    }

    /// A call is asked to give up its slot.
    pub(super) fn yields(
        &mut self,
        now: Timestamp,
        (id, attempt): (CallId, u32),
        fx: &Effects,
    ) -> Result<(), Rule> {
        let what = || format!("{id}, attempt {attempt}, at {now:?}");
        let told = fx.journal.iter().find_map(|entry| {
            if let Fact::ModelPreempted { call, by, cause, device, .. } = &entry.fact
                && *call == id
            {
                return Some((*by, *cause, device.clone()));
            }
            None
        });
        let Some((by, cause, device)) = told else {
            return Err(Rule("a call that is cut off is told", what()));
        };
        let slice = self.config.slice;
        let margin = limits::PREEMPT_MARGIN;
        let urgency = self.procs.get(&by).map(|proc| proc.priority);
        let Some(proc) = self.procs.get_mut(&id.pid) else { return Ok(()) };
        let priority = proc.priority;
        let call = proc.call.as_mut().filter(|call| call.id == id);
        let Some(call) = call.filter(|call| call.flight.is_some()) else {
            return Err(Rule("only what runs is cut off", what()));
        };
        let sliced = cause == PreemptCause::Slice;
        let keeps = self.devices.get(&device).is_some_and(|device| device.continues);
        ensure(!sliced || keeps, "a call is sliced only where it can be gone on from", what)?;
        let rule = "a call is cut off a bounded number of times";
        ensure(call.cut < limits::PREEMPTIONS_MAX, rule, what)?;
        let Some(flight) = &mut call.flight else { return Ok(()) };
        ensure(!flight.yielding, "a call is asked once to give up its slot", what)?;
        flight.yielding = true;
        let ran = now.since(flight.started);
        let worth = match cause {
            PreemptCause::Urgent => urgency.is_some_and(|of| of.saturating_add(margin) <= priority),
            PreemptCause::Slice => slice.is_some_and(|slice| ran >= slice),
        };
        ensure(
            worth,
            "a call is cut off for one that is much more urgent, or after its slice",
            || format!("{}: {cause:?} for {by}", what()),
        )?;
        self.seen.insert(match cause {
            PreemptCause::Urgent => "cut for the urgent",
            PreemptCause::Slice => "cut for a slice",
        });
        if let Some(device) = self.devices.get_mut(&device) {
            device.promised = Some(by);
        }
        Ok(())
    }

    /// Whether nobody who waits is more urgent, or it is the first of all.
    pub(super) fn is_first(&self, by: Pid) -> bool {
        let urgency = |pid: &Pid| {
            let proc = self.procs.get(pid);
            (proc.map_or(100, |proc| proc.priority), self.fair.since(*pid))
        };
        self.queue.contains(&by) && self.queue.iter().all(|other| urgency(&by) <= urgency(other))
    }

    pub(super) fn check_promise(&self, now: Timestamp, device: &str, by: Pid) -> Result<(), Rule> {
        let rates = self.ledger.limits(&Scope::Device(device.to_owned()));
        let bounded = rates.is_some_and(|limits| !limits.is_unbounded());
        let Some(device) = self.devices.get(device).filter(|one| !bounded && !one.told) else {
            return Ok(());
        };
        let left_alone = now < device.until || device.in_use() > device.allowed;
        // Where budgets are bounded it may have been looked at, and come back.
        let looked_at = self.case.has(Feature::Spans);
        let waits = self.queue.contains(&by) && !left_alone && !looked_at;
        ensure(!waits, "a slot that was given up is for whom it was given up", || {
            format!("{by} still waits")
        })
    }

    /// Nothing is due any more: no slot is idle that somebody could have, and nobody waits for room
    /// that there is.
    pub(crate) fn check_idle(&self, kernel: &Kernel, now: Timestamp) -> Result<(), Rule> {
        let most = self.queue.iter().take(MANY).filter_map(|pid| self.procs.get(pid));
        let most = most.filter_map(|proc| Some(proc.call.as_ref()?.input)).max();
        for name in self.backends() {
            let (Some(device), Some(most)) = (self.devices.get(*name), most) else { continue };
            let scope = [Scope::Device((*name).to_owned())];
            let input = Tokens(most.0 + 1_000);
            let room = self.ledger.has_room(now, &scope, &self.worst(name, input));
            let idle = device.admits(now) && !device.told && room && self.queue.len() < MANY;
            let idle = idle && !self.waits_by_rule(kernel, now, name);
            ensure(!idle, "no slot is idle while somebody waits for it", || {
                format!("{name} at {now:?}: {device:?}, waiting {:?}", self.queue)
            })?;
        }
        // Those that wait for the same room are let go one after another, each when the one before it
        // has its slot.
        if let (1, Some(pid)) = (self.quota.len(), self.quota.first().copied())
            && self.queue.is_empty()
        {
            let call = self.procs.get(&pid).and_then(|proc| proc.call.as_ref());
            // It may wait because only the dearest of the devices was free.
            let has_room = |name: &&str| {
                let worst = call.map(|call| self.worst(name, call.input));
                let scopes = self.scopes(pid, name);
                worst.is_some_and(|worst| self.ledger.has_room(now, &scopes, &worst))
            };
            let room = self.backends().iter().all(has_room);
            ensure(!room, "nobody waits for room that there is", || {
                format!("{pid} at {now:?} waits, and there is room")
            })?;
        }
        Ok(())
    }
}

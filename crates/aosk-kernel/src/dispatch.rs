//! Dispatch: who stands where, and who starts. The glue between the process table, the queues, the
//! policy, the devices and the budgets.

use std::sync::Arc;

use aosk_abi::{
    BudgetId, Error, ErrorCode, Fact, Failure, Form, Lack, Millis, Notice, Pid, Release, Resource,
    RowKey, Scope, Spend, ThinkOptions, Timestamp, Tokens, Window, limits,
};

use crate::budget::Shortage;
use crate::device::{DeviceId, QueueId};
use crate::index::{Index, Place};
use crate::kernel::{Ctx, Kernel};
use crate::mutant::broken;
use crate::process::{Asked, Cause, ModelCall, Process, State, Wait};
use crate::route::{Chosen, Way};
use crate::scheduler::{Position, policy};
use crate::syscall::limit;

impl Kernel {
    /// Starts the call that is first in the queues of a pool that has a slot free.
    pub(crate) fn start_a_model_call(&mut self, cx: &mut Ctx<'_>) -> bool {
        let next = self.devices.pools().find_map(|pool| {
            let queues = pool.queues.iter().filter_map(|queue| {
                let first = self.index.first_ready(*queue)?;
                let free = self.free_backends(cx.now, *queue);
                // What gave up its slot did so for this one.
                let promised = free.iter().find_map(|id| self.promised(*id, *queue));
                let has_room = |pid: &Pid| {
                    free.iter().any(|id| !self.is_full_for(cx.now, *id, (*queue, *pid)))
                };
                let promised = promised.filter(has_room);
                let promised = promised.map(|pid| (Position::default(), pid));
                let (rank, pid) = promised.unwrap_or(first);
                let has_room = |id: &DeviceId| !self.is_full_for(cx.now, *id, (*queue, pid));
                let free: Vec<_> = free.into_iter().filter(has_room).collect();
                (!free.is_empty()).then_some((rank, pid, *queue, free))
            });
            queues.min()
        });
        let Some((_, pid, queue, free)) = next else {
            return false;
        };
        let Some(process) = self.processes.get(pid) else {
            return false;
        };
        let State::Ready { call } = process.state.clone() else {
            return false;
        };
        let budget = process.spec.budget;
        let Some(chosen) = self.choose_backend(cx, (queue, pid), (&call, budget), &free) else {
            return true;
        };
        let Chosen { call, amount, device, room, way } = chosen;
        match room {
            Ok(()) => self.start(cx, pid, (call, amount), (queue, device, &way)),
            Err(Shortage::Wait { lack, until }) => {
                if let Some(until) = until {
                    self.budgets.set_room_at(lack.budget, until);
                }
                let outwaits = |until: &Timestamp| until.since(cx.now) > limits::RELAY_WAIT_MAX;
                match until.filter(|until| call.relayed && outwaits(until)) {
                    Some(until) => self.put_off(cx, pid, &call, lack, until),
                    None => self.wait_for_room(pid, call, lack, /*asks*/ false),
                }
            }
            Err(Shortage::Ask { lack }) => {
                cx.fact(pid, Fact::BudgetAsked { lack });
                self.wait_for_room(pid, call, lack, /*asks*/ true);
                // Whoever waits there behind it may need less, or asks too.
                self.budgets.release_only(lack.budget);
            }
            Err(Shortage::Never { lack }) => self.refuse_call(cx, pid, &call, lack),
        }
        true
    }

    /// Does not make a call for which there is no room, and never will be.
    pub(crate) fn refuse_call(&mut self, cx: &mut Ctx<'_>, pid: Pid, call: &ModelCall, lack: Lack) {
        match &call.summary {
            Some(summary) => {
                let (code, what) = (ErrorCode::BudgetExceeded, format!("out of budget: {lack}"));
                self.summary_failed(cx, pid, call, summary, code, &what);
            }
            None => self.refuse_budget(cx, pid, call, lack),
        }
    }

    /// Has a process wait for room in a node. If it was let go at another, it is the turn of the next one
    /// there.
    fn wait_for_room(&mut self, pid: Pid, mut call: ModelCall, lack: Lack, asks: bool) {
        if let Some(woken_at) = call.woken_at.take().filter(|at| *at != lack.budget) {
            self.budgets.release_only(woken_at);
        }
        self.set_state(pid, State::Waiting { on: Wait::Quota { call, lack, asks } });
    }

    /// For whom of the queue a slot of the device was given up, if it still waits there and nobody came
    /// before it who is more urgent.
    fn promised(&self, id: DeviceId, queue: QueueId) -> Option<Pid> {
        let pid = self.devices.get(id)?.promised.filter(|_| !broken!(self, PromiseIgnored))?;
        let process = self.processes.get(pid)?;
        let State::Ready { call } = &process.state else {
            return None;
        };
        let (_, first) = self.index.first_ready(queue)?;
        let overtaken =
            self.processes.get(first).is_some_and(|first| first.priority < process.priority);
        (self.devices.queue_for(call) == Some(queue) && !overtaken).then_some(pid)
    }

    /// The devices that have a slot free for the queue.
    fn free_backends(&self, now: Timestamp, queue: QueueId) -> Vec<DeviceId> {
        let mut backends = self.devices.backends(queue);
        if broken!(self, RouteSticks) {
            backends.truncate(1);
        }
        let oversubscribed = broken!(self, SlotOversubscribed);
        backends.retain(|id| {
            let in_use = self.index.slots_in_use(*id);
            let in_use = in_use.saturating_sub(u32::from(oversubscribed));
            self.devices.get(*id).is_some_and(|device| device.admits(now, in_use))
        });
        backends
    }

    /// Whether a call of this process is known not to go to the device for now.
    fn is_full_for(&self, now: Timestamp, id: DeviceId, (queue, pid): (QueueId, Pid)) -> bool {
        let full = self.devices.get(id).and_then(|device| device.full.get(&queue));
        full.is_some_and(|kept| kept.pid == pid && kept.until > now)
    }

    /// Whether the rates of the device and the budgets of a process that is ready have room for its
    /// call.
    pub(crate) fn has_room(&self, now: Timestamp, id: DeviceId, pid: Pid) -> bool {
        let Some(process) = self.processes.get(pid) else {
            return false;
        };
        let State::Ready { call } = &process.state else {
            return false;
        };
        let call = self.on_device(call.clone(), id);
        let amount = self.worst_case(&call);
        let node = self.budgets.device(call.device()).and_then(|id| self.budgets.get(id));
        node.is_none_or(|node| node.device_room_at(&amount, now).is_none())
            && self.budgets.fits_on(call.device(), process.spec.budget, &amount, now).is_ok()
    }

    /// Notes when the device is to be looked at again.
    pub(crate) fn look_again(&mut self, now: Timestamp, id: DeviceId) {
        let deadline = self.devices.get(id).and_then(|device| device.deadline(now));
        self.index.set_device_deadline(id, deadline);
    }

    /// The call as it goes to this device.
    pub(crate) fn on_device(&self, mut call: ModelCall, device: DeviceId) -> ModelCall {
        let name = self.devices.get(device).map_or("", |device| device.name.as_str());
        call.device = (name != call.options.model).then(|| name.into());
        call
    }

    /// The most one attempt of a call can use.
    pub(crate) fn worst_case(&self, call: &ModelCall) -> Spend {
        let price = self.config.price(call.device(), call.long_lived);
        Spend {
            tokens: call.input + call.options.output_max,
            calls: 1,
            micro_usd: price.worst_case(call.input, call.options.output_max),
            steps: 1,
            children: 0,
        }
    }

    fn start(
        &mut self,
        cx: &mut Ctx<'_>,
        pid: Pid,
        (mut call, held): (ModelCall, Spend),
        (queue, device, way): (QueueId, DeviceId, &Way),
    ) {
        let continues = self.devices.get(device).is_some_and(|device| device.continues);
        if !continues && call.begun.is_some() {
            self.lose_begun(pid, &mut call);
        }
        self.serve(pid, &call);
        call.attempt = call.attempt.saturating_add(1);
        call.woken_at = None;
        call.started = cx.now;
        let came = self.processes.get(pid).and_then(|process| process.stats.times.phase);
        let waited = came.map_or(Millis::ZERO, |(_, came)| cx.now.since(came));
        self.tell_way(cx, pid, &call, (queue, way, waited));
        let timeout = self
            .config
            .models
            .get(call.device())
            .map_or(limits::MODEL_TIMEOUT, |model| model.timeout);
        let (notice, options, held) = self.notice(cx.now, pid, &call, held);
        let Some(process) = self.processes.get_mut(pid) else {
            return;
        };
        let budget = process.spec.budget;
        self.budgets.hold(budget, &held, cx.now);
        if let Some(node) = self.budgets.device(call.device()) {
            self.budgets.hold(node, &held, cx.now);
        }
        let mut window = match &call.summary {
            Some(summary) => {
                let tokens = call.options.output_max;
                process.memory.to_summarise(summary.pages, tokens, &process.pages)
            }
            None if call.relayed => Window { relayed: true, ..Window::default() },
            None => process.memory.shown(&call, &process.pages),
        };
        if broken!(self, StubForgotten) {
            window.frames.retain(|frame| !matches!(frame.form, Form::Stub { .. }));
        }
        if broken!(self, PrefixReordered) {
            let space = process.memory.space();
            window.frames.sort_by_key(|frame| space.page(frame.page).map(|page| page.original));
        }
        if broken!(self, PrefixOverstated) {
            window.unchanged = window.frames.len();
        }
        cx.fx.releases.push(Release::Think {
            call: Self::call_id(pid, call.number),
            attempt: call.attempt,
            device: call.device().to_owned(),
            window,
            options,
            begun: call.begun,
            notice,
        });
        let rules = self.config.cache(call.device(), call.long_lived);
        let limit = limit(&self.config, &call.options);
        if call.summary.is_none() && !call.relayed {
            process.memory.sent(&call, rules, limit, cx.now);
        } else if call.relayed {
            process.memory.relayed(&call, cx.now);
        }
        process.state = State::Running {
            call,
            held,
            deadline: cx.now.after(timeout),
            slice_ends: None,
            asked: Asked::Nothing,
        };
        self.begin_slice(cx.now, pid);
        self.devices.started(queue, device);
        if let Some(device) = self.devices.get_mut(device) {
            device.full.clear();
            device.promised = None;
        }
        self.look_again(cx.now, device);
        // There may be room for the next one that waits on the same nodes.
        self.budgets.release(budget);
    }

    /// What the model is told beside the conversation, how it is asked then, and what that may use. What
    /// it is told takes tokens, and the answer may be so much shorter. Where that leaves less than half
    /// of it, or no room, it is not told.
    fn notice(
        &self,
        now: Timestamp,
        pid: Pid,
        call: &ModelCall,
        held: Spend,
    ) -> (Option<Notice>, Arc<ThinkOptions>, Spend) {
        let untold = (None, call.options.clone(), held);
        // Who makes a summary is told nothing of what the process is to do, and nothing is put into the
        // words of somebody outside.
        let is_told = call.summary.is_none() && !call.relayed;
        let Some(process) = self.processes.get(pid).filter(|_| is_told) else {
            return untold;
        };
        let budget = process.spec.budget;
        // If this call takes all that it may, is there room for another one like it?
        let last = self.budgets.runs_out(budget, &held.plus(&held), now);
        let last = last.map(|resource| Notice::LastStep { resource });
        let Some(notice) = last.or_else(|| process.guard.notice()) else {
            return untold;
        };
        let output_max = call.options.output_max.saturating_sub(limits::NOTICE_TOKENS);
        if output_max < limits::NOTICE_TOKENS {
            return untold;
        }
        let options = ThinkOptions { output_max, ..(*call.options).clone() };
        let input = call.input + limits::NOTICE_TOKENS;
        let told = ModelCall { input, options: Arc::new(options), ..call.clone() };
        let amount = self.worst_case(&told);
        let context = self.config.models.get(call.device()).and_then(|model| model.context);
        let fits = self.budgets.fits_on(call.device(), budget, &amount, now).is_ok()
            && limit(&self.config, &told.options).is_none_or(|limit| input <= limit)
            && context.is_none_or(|context| input + output_max <= context);
        if fits { (Some(notice), told.options, amount) } else { untold }
    }

    /// Puts the policy of this name in force. Queues are built anew; what is in flight goes on, and its
    /// time slice begins if the policy has slices.
    pub(crate) fn set_policy(&mut self, cx: &mut Ctx<'_>, name: &str) -> Result<(), Error> {
        self.config.policy = policy(name)?;
        self.devices.forget_promises();
        for pid in self.processes.ids() {
            self.begin_slice(cx.now, pid);
            self.index_process(pid);
        }
        cx.node_fact(Fact::PolicySet { policy: name.to_owned() });
        Ok(())
    }

    /// Finds the places of everything that was touched.
    pub(crate) fn reindex(&mut self) {
        for pid in self.processes.take_touched() {
            self.dirty.insert(RowKey::Process(pid));
            self.index_process(pid);
        }
        for id in self.budgets.take_touched() {
            self.dirty.insert(RowKey::Budget(id));
            let deadline = self.budgets.get(id).and_then(|budget| budget.deadline());
            self.index.set_budget_deadline(id, deadline);
            self.budgets.rank(id, &self.devices, &mut self.index);
        }
    }

    fn place_of(&self, pid: Pid, process: &Process) -> Place {
        Place::of(pid, process, &self.config, &self.devices, &self.budgets)
    }

    pub(crate) fn index_process(&mut self, pid: Pid) {
        let place = match self.processes.get(pid) {
            Some(process) => self.place_of(pid, process),
            None => Place::default(),
        };
        let Some(woken_at) = self.index.move_to(pid, place) else {
            return;
        };
        let process = self.processes.get(pid);
        let waits =
            |process: &Process| matches!(process.state, State::Waiting { on: Wait::Quota { .. } });
        if process.is_some_and(waits) {
            return;
        }
        // It no longer competes, so whoever waits behind it for a budget may have room, and where it was
        // let go, which may be the node of a device.
        if let Some(process) = process {
            self.budgets.release(process.spec.budget);
        }
        if let Some(node) = woken_at {
            self.budgets.release_only(node);
        }
    }

    /// The index as it must be, built from the tables alone. Only whether the deadline of a device
    /// that is left alone has been told is taken over: no table says so.
    pub(crate) fn index_from_nothing(&self) -> Index {
        let mut index = Index::default();
        for (pid, process) in self.processes.iter() {
            index.move_to(pid, self.place_of(pid, process));
        }
        for (id, budget) in self.budgets.iter() {
            index.set_budget_deadline(id, budget.deadline());
            self.budgets.rank(id, &self.devices, &mut index);
        }
        for (id, device) in self.devices.iter() {
            // When it was told, and what was ahead then, no table says.
            let told = self.index.device_deadline(id);
            if device.may_be_due(told) {
                index.set_device_deadline(id, told);
            }
        }
        index
    }

    /// Lets those compete again who waited first for room in a released budget.
    pub(crate) fn retry_quota_waiters(&mut self) -> bool {
        if broken!(self, QuotaWakeLost) {
            self.budgets.forget_released();
        }
        while let Some(node) = self.budgets.take_released() {
            let waiters = self.index.first_quota_waiters(node);
            for pid in &waiters {
                let state = self.processes.get(*pid).map(|process| &process.state);
                if let Some(State::Waiting { on: Wait::Quota { call, .. } }) = state {
                    let call = ModelCall { woken_at: Some(node), ..call.clone() };
                    if self.devices.queue(&call.options.model).is_none() {
                        // It will not start before another boot, so those behind it go ahead.
                        self.budgets.release_only(node);
                    }
                    self.set_state(*pid, State::Ready { call });
                }
            }
            if !waiters.is_empty() {
                return true;
            }
        }
        false
    }

    /// Something of the node is due: its wall time is over, and everyone under it is asked to end; or
    /// time has made room for who waits for it.
    pub(crate) fn budget_due(&mut self, cx: &mut Ctx<'_>, id: BudgetId) {
        let Some(budget) = self.budgets.get_mut(id) else {
            return;
        };
        if budget.room_at.is_some_and(|at| at <= cx.now) {
            budget.room_at = None;
            self.budgets.release_only(id);
        }
        let Some(budget) = self.budgets.get_mut(id) else {
            return;
        };
        if budget.expired || budget.expires.is_none_or(|at| at > cx.now) {
            return;
        }
        budget.expired = true;
        cx.node_fact(Fact::BudgetExpired { budget: id });
        let under: Vec<_> = self
            .processes
            .iter()
            .filter(|(_, process)| self.budgets.chain(process.spec.budget).contains(&id))
            .map(|(pid, _)| pid)
            .collect();
        let lack = Lack { budget: id, scope: Scope::All, resource: Resource::Wall, amount: 0 };
        for pid in under {
            self.note_lack(pid, lack);
            self.terminate(cx, pid, Cause::Wall);
        }
    }

    /// A call on the device was answered.
    pub(crate) fn device_succeeded(
        &mut self,
        now: Timestamp,
        device: &str,
        (took, output): (Millis, Tokens),
    ) {
        if let Some(id) = self.devices.find(device) {
            self.devices.succeeded(now, id, (took, output));
            self.look_again(now, id);
        }
    }

    /// A call on the device failed.
    pub(crate) fn device_failed(&mut self, now: Timestamp, device: &str, failure: &Failure) {
        if let Some(id) = self.devices.find(device) {
            let in_use = self.index.slots_in_use(id);
            self.devices.failed(now, id, in_use, failure);
            self.look_again(now, id);
            // Who waits for it may not wait for it any more.
            let others: Vec<_> = self.devices.iter().map(|(id, _)| id).collect();
            for other in others {
                if let Some(device) = self.devices.get_mut(other)
                    && !device.full.is_empty()
                {
                    device.full.clear();
                    self.look_again(now, other);
                }
            }
        }
    }

    /// A device that was held back is looked at: the scheduler tries it again.
    pub(crate) fn device_due(&mut self, now: Timestamp, id: DeviceId) {
        if let Some(device) = self.devices.get_mut(id) {
            device.full.retain(|_, kept| kept.until > now);
        }
        self.look_again(now, id);
    }
}

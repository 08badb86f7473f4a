//! Dispatch: who stands where, and who starts. The glue between the process table, the queues, the
//! policy, the devices and the budgets.

use aosk_abi::{BudgetId, Error, Fact, FailureClass, Form, Pid, Release, RowKey, Spend, Timestamp};

use crate::budget::Shortage;
use crate::device::{DeviceId, QueueId};
use crate::index::{Index, Place};
use crate::kernel::{Ctx, Kernel};
use crate::mutant::broken;
use crate::process::{Cause, ModelCall, Process, State, Wait};
use crate::scheduler::policy;
use crate::syscall::limit;

impl Kernel {
    /// Starts the call that is first in the queues of a pool that has a slot free.
    pub(crate) fn start_a_model_call(&mut self, cx: &mut Ctx<'_>) -> bool {
        let next = self.devices.pools().find_map(|pool| {
            let queues = pool.queues.iter().filter_map(|queue| {
                let (rank, pid) = self.index.first_ready(*queue)?;
                Some((rank, pid, *queue, self.free_backend(cx.now, *queue)?))
            });
            queues.min()
        });
        let Some((_, pid, queue, device)) = next else {
            return false;
        };
        let Some(process) = self.processes.get(pid) else {
            return false;
        };
        let State::Ready { call } = process.state.clone() else {
            return false;
        };
        let budget = process.spec.budget;
        let call = self.on_device(call, device);
        let amount = self.worst_case(&call);
        let reserved = if broken!(self, BudgetUnchecked) {
            self.budgets.hold(budget, &amount);
            Ok(())
        } else {
            self.budgets.reserve(budget, &amount)
        };
        match reserved {
            Ok(()) => self.start(cx, pid, call, amount, (queue, device)),
            Err(Shortage::Wait { node }) => {
                self.set_state(pid, State::Waiting { on: Wait::Quota { call, budget: node } });
                self.budgets.release_below(budget, node);
            }
            Err(Shortage::Never { resource }) => {
                self.refuse_budget(cx, pid, &call, resource);
            }
        }
        true
    }

    /// The device that a call of the queue would go to now, if there is one.
    fn free_backend(&self, now: Timestamp, queue: QueueId) -> Option<DeviceId> {
        let oversubscribed = u32::from(broken!(self, SlotOversubscribed));
        self.devices.backends(queue).into_iter().find(|id| {
            let in_use = self.index.slots_in_use(*id);
            self.devices.get(*id).is_some_and(|device| {
                in_use < device.slots.saturating_add(oversubscribed)
                    && device.circuit.admits(now, in_use)
            })
        })
    }

    /// The call as it goes to this device.
    fn on_device(&self, mut call: ModelCall, device: DeviceId) -> ModelCall {
        let name = self.devices.get(device).map_or("", |device| device.name.as_str());
        call.device = (name != call.options.model).then(|| name.into());
        call
    }

    /// The most one attempt of a call can use.
    fn worst_case(&self, call: &ModelCall) -> Spend {
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
        mut call: ModelCall,
        held: Spend,
        (queue, device): (QueueId, DeviceId),
    ) {
        self.serve(pid, &call);
        call.attempt = call.attempt.saturating_add(1);
        let timeout = self
            .config
            .models
            .get(call.device())
            .map_or(aosk_abi::limits::MODEL_TIMEOUT, |model| model.timeout);
        let Some(process) = self.processes.get_mut(pid) else {
            return;
        };
        let mut window = process.memory.shown(&call, &process.pages);
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
            options: call.options.clone(),
        });
        let rules = self.config.cache(call.device(), call.long_lived);
        let limit = limit(&self.config, &call.options);
        process.memory.sent(&call, rules, limit, cx.now);
        process.state = State::Running { call, held, deadline: cx.now.after(timeout) };
        let budget = process.spec.budget;
        self.devices.started(queue, device);
        self.index.set_device_deadline(device, None);
        // There may be room for the next one that waits on the same nodes.
        self.budgets.release(budget);
    }

    /// Puts the policy of this name in force. Queues are built anew; nothing in flight is touched.
    pub(crate) fn set_policy(&mut self, cx: &mut Ctx<'_>, name: &str) -> Result<(), Error> {
        self.config.policy = policy(name)?;
        for pid in self.processes.ids() {
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
        if self.index.move_to(pid, place)
            && let Some(process) = self.processes.get(pid)
            && !matches!(process.state, State::Waiting { on: Wait::Quota { .. } })
        {
            // It no longer competes, so whoever waits behind it for a budget may have room.
            self.budgets.release(process.spec.budget);
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
            if self.index.has_device_deadline(id) {
                index.set_device_deadline(id, device.circuit.until());
            }
        }
        index
    }

    /// Lets the first process that waits for room in a released budget compete again.
    pub(crate) fn retry_a_quota_waiter(&mut self) -> bool {
        if broken!(self, QuotaWakeLost) {
            self.budgets.forget_released();
        }
        while let Some(node) = self.budgets.take_released() {
            let Some(pid) = self.index.first_quota_waiter(node) else {
                continue;
            };
            let Some(process) = self.processes.get(pid) else {
                continue;
            };
            if let State::Waiting { on: Wait::Quota { call, .. } } = &process.state {
                let call = call.clone();
                if self.devices.queue(&call.options.model).is_none() {
                    // It will not start before another boot, so those behind it go ahead.
                    self.budgets.release_only(node);
                }
                self.set_state(pid, State::Ready { call });
                return true;
            }
        }
        false
    }

    /// The node's wall time is over: everyone under it is asked to end.
    pub(crate) fn budget_due(&mut self, cx: &mut Ctx<'_>, id: BudgetId) {
        let Some(budget) = self.budgets.get_mut(id) else {
            return;
        };
        budget.expired = true;
        cx.node_fact(Fact::BudgetExpired { budget: id });
        let under: Vec<_> = self
            .processes
            .iter()
            .filter(|(_, process)| self.budgets.chain(process.spec.budget).contains(&id))
            .map(|(pid, _)| pid)
            .collect();
        for pid in under {
            self.terminate(cx, pid, Cause::Wall);
        }
    }

    /// A call on the device was answered.
    pub(crate) fn device_succeeded(&mut self, model: &str) {
        if let Some(id) = self.devices.find(model) {
            self.devices.succeeded(id);
            self.index.set_device_deadline(id, None);
        }
    }

    /// A call on the device failed.
    pub(crate) fn device_failed(&mut self, now: Timestamp, model: &str, class: FailureClass) {
        if let Some(id) = self.devices.find(model) {
            let until = self.devices.failed(now, id, class);
            self.index.set_device_deadline(id, until);
        }
    }
}

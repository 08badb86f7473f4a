//! Dispatch: who stands where, and who starts. The glue between the process table, the queues, the
//! policy, the devices and the budgets.

use aosk_abi::{
    BudgetId, Error, ErrorCode, Fact, FailureClass, Form, Pid, Release, RowKey, Spend, Timestamp,
};

use crate::budget::Shortage;
use crate::index::{Index, Place};
use crate::kernel::{Ctx, Kernel};
use crate::mutant::broken;
use crate::process::{Cause, ModelCall, State, Wait};
use crate::scheduler::policy;
use crate::syscall::limit;

impl Kernel {
    /// Starts the call that is first in the queue of a device with a free slot.
    pub(crate) fn start_a_model_call(&mut self, cx: &mut Ctx<'_>) -> bool {
        let oversubscribed = u32::from(broken!(self, SlotOversubscribed));
        let next = self.devices.iter().find_map(|(id, device)| {
            let in_use = self.index.slots_in_use(id);
            let free = in_use < device.slots.saturating_add(oversubscribed);
            (free && device.circuit.admits(cx.now, in_use)).then(|| self.index.first_ready(id))?
        });
        let Some(pid) = next else {
            return false;
        };
        let Some(process) = self.processes.get(pid) else {
            return false;
        };
        let State::Ready { call } = process.state.clone() else {
            return false;
        };
        let budget = process.spec.budget;
        let amount = self.worst_case(&call);
        let reserved = if broken!(self, BudgetUnchecked) {
            self.budgets.hold(budget, &amount);
            Ok(())
        } else {
            self.budgets.reserve(budget, &amount)
        };
        match reserved {
            Ok(()) => self.start(cx, pid, call, amount),
            Err(Shortage::Wait { node }) => {
                self.set_state(pid, State::Waiting { on: Wait::Quota { call, budget: node } });
                self.budgets.release_below(budget, node);
            }
            Err(Shortage::Never { resource }) => match &call.summary {
                Some(summary) => {
                    let (code, what) = (ErrorCode::BudgetExceeded, "out of budget");
                    self.summary_failed(
                        cx,
                        pid,
                        &call,
                        summary,
                        code,
                        &format!("{what}: {resource:?}"),
                    );
                }
                None => self.refuse_budget(cx, pid, &call, resource),
            },
        }
        true
    }

    /// The most one attempt of a call can use.
    fn worst_case(&self, call: &ModelCall) -> Spend {
        let price = self.config.price(&call.options.model, call.long_lived);
        Spend {
            tokens: call.input + call.options.output_max,
            calls: 1,
            micro_usd: price.worst_case(call.input, call.options.output_max),
            steps: 1,
            children: 0,
        }
    }

    fn start(&mut self, cx: &mut Ctx<'_>, pid: Pid, mut call: ModelCall, held: Spend) {
        call.attempt = call.attempt.saturating_add(1);
        let timeout = self
            .config
            .models
            .get(&call.options.model)
            .map_or(aosk_abi::limits::MODEL_TIMEOUT, |model| model.timeout);
        let device = self.devices.find(&call.options.model);
        let Some(process) = self.processes.get_mut(pid) else {
            return;
        };
        let mut window = match &call.summary {
            Some(summary) => {
                let tokens = call.options.output_max;
                process.memory.to_summarise(summary.pages, tokens, &process.pages)
            }
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
            window,
            options: call.options.clone(),
        });
        let rules = self.config.cache(&call.options.model, call.long_lived);
        let limit = limit(&self.config, &call.options);
        if call.summary.is_none() {
            process.memory.sent(&call, rules, limit, cx.now);
        }
        process.state = State::Running { call, held, deadline: cx.now.after(timeout) };
        let budget = process.spec.budget;
        if let Some(device) = device {
            self.devices.started(device);
            self.index.set_device_deadline(device, None);
        }
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
        }
    }

    pub(crate) fn index_process(&mut self, pid: Pid) {
        let place = match self.processes.get(pid) {
            Some(process) => Place::of(pid, process, &self.config, &self.devices),
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
            index.move_to(pid, Place::of(pid, process, &self.config, &self.devices));
        }
        for (id, budget) in self.budgets.iter() {
            index.set_budget_deadline(id, budget.deadline());
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
                if self.devices.find(&call.options.model).is_none() {
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

//! Who gets a free slot next.
//!
//! A policy gives every ready process a rank; the smallest rank goes first. A rank depends on the
//! candidate alone, so the queues can be built anew from the process table after a restart and when
//! the policy is changed.

mod fifo;
mod priority;
mod round_robin;

use std::fmt::Debug;

use aosk_abi::{Error, ErrorCode, Fact, Pid, Release, Spend};

use crate::kernel::{Ctx, Kernel};
use crate::mutant::broken;
use crate::process::{ModelCall, Process, State, Wait};

/// The place of a candidate in its queue; smaller goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank(pub u64, pub u64);

/// A process that wants a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub pid: Pid,
    /// 0 (most urgent) to 100.
    pub priority: u8,
    /// When it became ready, as a number that only grows.
    pub since: u64,
}

/// A scheduler policy.
pub trait Policy: Debug + Send + Sync {
    /// The name it is chosen by.
    fn name(&self) -> &'static str;

    /// Where the candidate stands.
    fn rank(&self, candidate: &Candidate) -> Rank;
}

/// The policy a kernel begins with unless told otherwise.
pub(crate) const DEFAULT: &dyn Policy = &priority::Priority;

/// Every policy there is.
const POLICIES: &[&dyn Policy] = &[&fifo::Fifo, &round_robin::RoundRobin, &priority::Priority];

/// The policy of this name.
///
/// # Errors
/// If there is none; the hint lists those there are.
pub fn policy(name: &str) -> Result<&'static dyn Policy, Error> {
    POLICIES.iter().copied().find(|policy| policy.name() == name).ok_or_else(|| {
        let names: Vec<_> = POLICIES.iter().map(|policy| policy.name()).collect();
        Error::new(ErrorCode::Usage, format!("choosing a scheduler policy: no such policy: {name}"))
            .hint(format!("policies: {}", names.join(", ")))
    })
}

impl Kernel {
    /// Starts the call that is first in the queue of a device with a free slot.
    pub(crate) fn start_a_model_call(&mut self, cx: &mut Ctx<'_>) -> bool {
        let oversubscribed = u32::from(broken!(self, SlotOversubscribed));
        let next = self.devices.iter().enumerate().find_map(|(id, device)| {
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
            self.hold(budget, &amount);
            Ok(())
        } else {
            self.reserve(budget, &amount)
        };
        match reserved {
            Ok(()) => self.start(cx, pid, call, amount),
            Err(crate::budget::Shortage::Wait { node }) => {
                self.set_state(pid, State::Waiting { on: Wait::Quota { call, budget: node } });
                self.mark_released_below(budget, node);
            }
            Err(crate::budget::Shortage::Never { resource }) => {
                self.refuse_budget(cx, pid, &call, resource);
            }
        }
        true
    }

    /// The most one attempt of a call can use.
    fn worst_case(&self, call: &ModelCall) -> Spend {
        let price = self.price(&call.options.model);
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
        let Some(process) = self.processes.get_mut(pid) else {
            return;
        };
        let shown = usize::try_from(call.pages.0).unwrap_or(usize::MAX);
        cx.fx.releases.push(Release::Think {
            call: Self::call_id(pid, call.number),
            attempt: call.attempt,
            pages: process.pages.iter().take(shown).map(|page| page.hash).collect(),
            options: call.options.clone(),
        });
        process.state = State::Running { call, held, deadline: cx.now.after(timeout) };
        let budget = process.spec.budget;
        if let Some(device) = self.device_of(pid) {
            self.device_started(device, pid);
        }
        // There may be room for the next one that waits on the same nodes.
        self.mark_released(budget);
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

    /// The process as a candidate, if it wants a slot.
    pub(crate) fn candidate(pid: Pid, process: &Process) -> Option<(&ModelCall, Candidate)> {
        match &process.state {
            State::Ready { call } => {
                let candidate = Candidate { pid, priority: process.priority, since: call.since };
                Some((call, candidate))
            }
            State::Program { .. }
            | State::Running { .. }
            | State::Waiting { .. }
            | State::Stopped { .. }
            | State::Exiting { .. }
            | State::Zombie { .. } => None,
        }
    }
}

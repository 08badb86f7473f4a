//! Bounds of budget nodes that change: who waits for them looks again, and what is in flight counts
//! where nothing was counted before.

use aosk_abi::{BudgetId, Error, ErrorCode, Fact, Limits, Spend, Timestamp};

use crate::kernel::{Ctx, Kernel};
use crate::mutant::broken;
use crate::process::{CancelKind, State, Wait};

impl Kernel {
    /// Bounds a node anew for a person.
    pub(crate) fn set_limits(
        &mut self,
        cx: &mut Ctx<'_>,
        id: BudgetId,
        limits: &Limits,
    ) -> Result<(), Error> {
        if self.budgets.get(id).is_none_or(|node| node.device.is_some()) {
            let what = format!("bounding {id}: no such budget");
            return Err(Error::new(ErrorCode::BadSyscall, what).hint("`aosk budget` lists them"));
        }
        self.bound(cx, id, limits);
        cx.node_fact(Fact::BudgetSet { budget: id, limits: *limits });
        Ok(())
    }

    /// Bounds a node of the tree anew.
    pub(crate) fn bound(&mut self, cx: &Ctx<'_>, id: BudgetId, limits: &Limits) {
        let Some(node) = self.budgets.get_mut(id) else {
            return;
        };
        let before = node.limits;
        node.set_limits(*limits, cx.now);
        self.count_in_flight(id, &before);
        if broken!(self, RaiseUnheard) {
            return;
        }
        self.budgets.release_only(id);
        // Nothing else lets those who asked a person compete again.
        for pid in self.index.asking(id) {
            let state = self.processes.get(pid).map(|process| &process.state);
            if let Some(State::Waiting { on: Wait::Quota { call, .. } }) = state {
                let call = call.clone();
                self.set_state(pid, State::Ready { call });
            }
        }
    }

    /// The clock may have been ahead while the last kernel ran. What was used then counts as if it were
    /// used now, and who waits for it to count no more looks again.
    pub(crate) fn set_clock_right(&mut self, now: Timestamp) {
        let ahead = self.budgets.iter().filter(|(_, node)| node.windows.is_ahead(now));
        let ahead: Vec<_> = ahead.map(|(id, _)| id).collect();
        for id in ahead {
            if let Some(node) = self.budgets.get_mut(id) {
                node.windows.set_right(now);
                node.room_at = None;
            }
            self.budgets.release_only(id);
        }
    }

    /// Counts what is in flight in those spans of the node that are bounded and were not `before`:
    /// when it ends, its place there is corrected.
    pub(crate) fn count_in_flight(&mut self, id: BudgetId, before: &Limits) {
        let new = self.budgets.get(id).is_some_and(|node| {
            let spans = |limits: &Limits| [limits.per_minute, limits.per_hour, limits.per_day];
            let (were, are) = (spans(before), spans(&node.limits));
            were.iter().zip(&are).any(|(was, is)| was.is_unbounded() && !is.is_unbounded())
        });
        if !new {
            return;
        }
        for (started, held) in self.in_flight_under(id) {
            if let Some(node) = self.budgets.get_mut(id) {
                node.windows.add_newly_bounded(started, before, &node.limits, &held);
            }
        }
    }

    /// What is held for calls in flight that belong to the node, and when they began.
    pub(crate) fn in_flight_under(&self, id: BudgetId) -> Vec<(Timestamp, Spend)> {
        let device = self.budgets.get(id).and_then(|node| node.device.as_deref());
        let mut found = Vec::new();
        for (_, process) in self.processes.iter() {
            let mut add = |device_of: &str, started, held: &Spend| {
                let belongs = match device {
                    Some(device) => device_of == device,
                    None => self.budgets.chain(process.spec.budget).contains(&id),
                };
                if belongs {
                    found.push((started, *held));
                }
            };
            match process.state.inner() {
                State::Running { call, held, .. } => add(call.device(), call.started, held),
                State::Exiting { calls, .. } => {
                    for cancelling in calls {
                        if let CancelKind::Model { call, held } = &cancelling.kind {
                            add(call.device(), call.started, held);
                        }
                    }
                }
                State::Program { .. }
                | State::Ready { .. }
                | State::Waiting { .. }
                | State::Stopped { .. }
                | State::Zombie { .. } => {}
            }
        }
        found
    }
}

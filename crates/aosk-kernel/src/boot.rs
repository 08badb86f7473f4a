//! What happens to work that was in flight when the kernel died.
//!
//! A model call is asked again, unless its process was asked to end: an answer that nobody committed
//! never was. One that somebody outside asked has failed, since nobody would hear the answer. A tool
//! call that is idempotent is made again under the same call id. Of any other tool call nobody knows whether it
//! happened, so its process is told that and decides. A process that waits for a model this
//! configuration does not have keeps waiting: a later boot may have it.

use aosk_abi::{CallId, ErrorCode, Fact, Millis, Pid, Resume, RowKey};

use crate::budget::ROOT;
use crate::kernel::{Ctx, Kernel};
use crate::mutant::broken;
use crate::process::{CancelKind, State, ToolPhase, ToolWait, Wait};
use crate::syscall::failed_result;

/// Calls that were in flight, by what becomes of them.
#[derive(Default)]
struct InFlight {
    asked_again: Vec<CallId>,
    called_again: Vec<CallId>,
    interrupted: Vec<CallId>,
}

impl Kernel {
    /// Begins to run on what was restored.
    pub(crate) fn boot(&mut self, cx: &mut Ctx<'_>) {
        let limits = self.config.limits;
        if self.budgets.get(ROOT).is_some_and(|root| root.limits != limits) {
            self.bound(cx, ROOT, &limits);
        }
        if let Some(root) = self.budgets.get_mut(ROOT) {
            // Its time begins with each boot.
            root.expires = limits.wall.map(|wall| cx.now.after(wall));
            root.expired = false;
        }
        self.set_groups(cx);
        self.set_rates(cx);
        self.set_clock_right(cx.now);
        let mut calls = InFlight::default();
        for pid in self.processes.ids() {
            self.boot_process(cx, pid, &mut calls);
            self.boot_summary(cx, pid);
        }
        let boots = self.counters.boots;
        self.counters.boots = boots.saturating_add(1);
        self.dirty.insert(RowKey::Kernel);
        cx.node_fact(Fact::Booted {
            boots,
            processes: u64::try_from(self.processes.len()).unwrap_or(u64::MAX),
            asked_again: calls.asked_again,
            called_again: calls.called_again,
            interrupted: calls.interrupted,
        });
    }

    fn boot_process(&mut self, cx: &mut Ctx<'_>, pid: Pid, calls: &mut InFlight) {
        let Some(process) = self.processes.get(pid) else {
            return;
        };
        if process.stats.times.phase.is_some()
            && let Some(process) = self.processes.get_mut(pid)
        {
            // Nobody knows when the last kernel ended.
            process.stats.times.phase = None;
            process.stats.times.held = Millis::ZERO;
        }
        let Some(process) = self.processes.get(pid) else {
            return;
        };
        let stopped = matches!(process.state, State::Stopped { .. });
        match process.state.inner().clone() {
            State::Program { wake } if !stopped => {
                cx.fx.resumes.push(Resume { pid, turn: process.turn, wake });
            }
            State::Ready { call }
            | State::Waiting { on: Wait::Backoff { call, .. } | Wait::Quota { call, .. } }
                if call.relayed && !broken!(self, RelayBegunAnew) =>
            {
                self.relay_lost(cx, pid, &call);
            }
            State::Running { call, held, .. } if call.relayed && !broken!(self, RelayBegunAnew) => {
                self.give_back(pid, &call, &held);
                self.relay_lost(cx, pid, &call);
            }
            State::Running { mut call, held, .. } => {
                if broken!(self, ModelCallForgotten) {
                    return;
                }
                if broken!(self, AttemptReused) {
                    call.attempt = call.attempt.saturating_sub(1);
                }
                self.give_back(pid, &call, &held);
                let id = Self::call_id(pid, call.number);
                self.enqueue(pid, call);
                // One that was asked to end would have been told instead of answered.
                if !self.interrupt(cx, pid) {
                    calls.asked_again.push(id);
                }
            }
            State::Waiting { on: Wait::Tools { calls: waits } } => {
                self.boot_tools(cx, pid, waits, calls);
            }
            State::Exiting { calls, .. } => {
                for call in calls {
                    if let CancelKind::Model { held, call } = call.kind {
                        self.give_back(pid, &call, &held);
                    }
                }
                if let Some(State::Exiting { calls, .. }) =
                    self.processes.get_mut(pid).map(|process| &mut process.state)
                {
                    calls.clear();
                }
                self.finish_if_over(cx, pid);
            }
            State::Program { .. }
            | State::Ready { .. }
            | State::Waiting { .. }
            | State::Stopped { .. }
            | State::Zombie { .. } => {}
        }
    }

    fn boot_tools(
        &mut self,
        cx: &mut Ctx<'_>,
        pid: Pid,
        waits: Vec<ToolWait>,
        calls: &mut InFlight,
    ) {
        for mut wait in waits {
            if !matches!(wait.phase, ToolPhase::InFlight { .. }) {
                continue;
            }
            let id = Self::call_id(pid, wait.number);
            let traits = self.config.tools.get(&wait.tool);
            // A tool that this configuration does not have was more than that when it was called.
            let inline = traits.is_some_and(|traits| traits.inline);
            let again = traits.is_some_and(|traits| traits.idempotent);
            if inline {
                let start = self.start_tool(cx, pid, &mut wait);
                cx.fx.inline.push(start);
            } else if again || broken!(self, ToolCalledAgain) {
                calls.called_again.push(id);
                wait.phase = ToolPhase::Queued { since: self.next_since() };
            } else {
                calls.interrupted.push(id);
                let body = failed_result(
                    &wait,
                    ErrorCode::ToolInterrupted,
                    "the kernel stopped while this call ran; whether it took effect is unknown",
                );
                wait.phase = self.tool_result(cx, id, &body);
            }
            if let Some(slot) = self.tool_wait_mut(id) {
                *slot = wait;
            }
        }
        self.tools_returned_if_all(cx, pid);
    }
}

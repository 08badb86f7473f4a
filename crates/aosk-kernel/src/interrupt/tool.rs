//! Completions of tool calls.

use aosk_abi::{CallId, ErrorCode, Hash, Pid, Release, ToolOutcome, Wake};

use crate::kernel::{Ctx, Kernel};
use crate::mutant::broken;
use crate::process::{CancelKind, State, ToolPhase, Wait};
use crate::syscall::failed_result;

impl Kernel {
    /// A tool call ended.
    pub(crate) fn tool_done(
        &mut self,
        cx: &mut Ctx<'_>,
        id: CallId,
        attempt: u32,
        outcome: &ToolOutcome,
    ) {
        if self.tool_cancel_confirmed(cx, id, attempt) {
            return;
        }
        let wait = self.tool_wait(id).filter(|wait| {
            wait.attempt == attempt && matches!(wait.phase, ToolPhase::InFlight { .. })
        });
        let Some(wait) = wait.cloned() else {
            self.ignore();
            return;
        };
        let phase = match outcome {
            ToolOutcome::Returned(body) => self.tool_result(cx, id, body),
            ToolOutcome::Cancelled => {
                let body = failed_result(&wait, ErrorCode::ToolInterrupted, "the call was cut off");
                self.tool_result(cx, id, &body)
            }
        };
        self.tool_phase(cx, id, phase);
    }

    /// Sets how far a call is and wakes the process when it was the last one.
    fn tool_phase(&mut self, cx: &mut Ctx<'_>, id: CallId, phase: ToolPhase) {
        if broken!(self, ResultsOutOfOrder)
            && let Some(process) = self.processes.get_mut(id.pid)
            && let State::Waiting { on: Wait::Tools { calls } } = process.state.inner_mut()
        {
            calls.sort_by_key(|call| matches!(call.phase, ToolPhase::InFlight { .. }));
        }
        if let Some(wait) = self.tool_wait_mut(id) {
            wait.phase = phase;
        }
        self.tools_returned_if_all(cx, id.pid);
    }

    /// When every call of the turn has returned, puts the results into the log in the order of the
    /// calls and wakes the process.
    pub(crate) fn tools_returned_if_all(&mut self, cx: &mut Ctx<'_>, pid: Pid) {
        let Some(process) = self.processes.get(pid) else {
            return;
        };
        let State::Waiting { on: Wait::Tools { calls } } = process.state.inner() else {
            return;
        };
        let results: Option<Vec<Hash>> = calls
            .iter()
            .map(|call| match call.phase {
                ToolPhase::Returned { body, .. } => Some(body),
                ToolPhase::Queued { .. } | ToolPhase::InFlight { .. } => None,
            })
            .collect();
        let Some(results) = results else {
            return;
        };
        if self.repeats(cx, pid) {
            return;
        }
        let Some(process) = self.processes.get(pid) else {
            return;
        };
        let first = process.page_count();
        let count = u32::try_from(results.len()).unwrap_or(u32::MAX);
        for hash in results {
            self.append_hash(pid, hash);
        }
        self.wake(cx, pid, Wake::ToolsReturned { first, count });
    }

    /// Tool calls that are past their deadline are given up.
    pub(crate) fn tools_timed_out(&mut self, cx: &mut Ctx<'_>, pid: Pid) {
        if broken!(self, ToolDeadlineLost) {
            return;
        }
        let Some(process) = self.processes.get(pid) else {
            return;
        };
        let State::Waiting { on: Wait::Tools { calls } } = process.state.inner() else {
            return;
        };
        let now = cx.now;
        let late: Vec<_> = calls
            .iter()
            .filter(
                |call| matches!(call.phase, ToolPhase::InFlight { deadline } if deadline <= now),
            )
            .cloned()
            .collect();
        for wait in late {
            let id = Self::call_id(pid, wait.number);
            cx.fx.releases.push(Release::Cancel { call: id, attempt: wait.attempt });
            let body = failed_result(&wait, ErrorCode::ToolTimeout, "no result in time");
            let phase = self.tool_result(cx, id, &body);
            self.tool_phase(cx, id, phase);
        }
    }

    /// Takes the report of a tool call of an ended process. Returns whether it was one.
    fn tool_cancel_confirmed(&mut self, cx: &mut Ctx<'_>, id: CallId, attempt: u32) -> bool {
        let leak = broken!(self, SlotLeak);
        let Some(process) = self.processes.get(id.pid) else {
            return false;
        };
        let State::Exiting { calls, .. } = &process.state else {
            return false;
        };
        let at = calls.iter().position(|call| {
            call.number == id.number && call.attempt == attempt && call.kind == CancelKind::Tool
        });
        let Some(at) = at else {
            return false;
        };
        if leak {
            return true;
        }
        if let Some(process) = self.processes.get_mut(id.pid)
            && let State::Exiting { calls, .. } = &mut process.state
        {
            calls.remove(at);
        }
        self.finish_if_over(cx, id.pid);
        true
    }
}

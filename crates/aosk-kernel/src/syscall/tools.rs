//! Calling tools.

use aosk_abi::{
    Body, CallId, Error, ErrorCode, Fact, Hash, Message, Pid, Release, Risk, Spend, ToolStart,
    ToolUse, limits,
};

use crate::kernel::{Ctx, Kernel};
use crate::mutant::broken;
use crate::process::{State, ToolPhase, ToolWait, Wait};

impl Kernel {
    /// Queues the calls of one turn. Inline tools run before the commit, the others after it and
    /// when a slot is free. A call that is denied returns at once with the reason.
    pub(crate) fn call_tools(
        &mut self,
        cx: &mut Ctx<'_>,
        pid: Pid,
        wanted: &[ToolUse],
    ) -> Result<(), Error> {
        let wrong =
            |what: String| Err(Error::new(ErrorCode::BadSyscall, format!("calling tools: {what}")));
        if wanted.is_empty() || wanted.len() > limits::TOOL_CALLS_PER_TURN_MAX {
            let max = limits::TOOL_CALLS_PER_TURN_MAX;
            return wrong(format!("a turn has 1 to {max} calls: {}", wanted.len()));
        }
        if wanted.iter().any(|call| call.arguments.len() > limits::ARGUMENTS_BYTES_MAX) {
            return wrong(format!("arguments have at most {} bytes", limits::ARGUMENTS_BYTES_MAX));
        }
        let Some(process) = self.processes.get(pid) else {
            return Ok(());
        };
        let spend =
            Spend { calls: u64::try_from(wanted.len()).unwrap_or(u64::MAX), ..Spend::default() };
        if let Err(lack) = self.budgets.charge(process.spec.budget, &spend) {
            cx.fact(
                pid,
                Fact::Refused {
                    syscall: "call_tools".to_owned(),
                    code: ErrorCode::BudgetExceeded,
                    message: format!("out of budget: {lack}"),
                },
            );
            self.tell_lack(cx, pid, lack);
            return Ok(());
        }
        let mut calls = Vec::with_capacity(wanted.len());
        for call in wanted {
            let wait = self.queue_tool(cx, pid, call);
            calls.extend(wait);
        }
        if let Some(process) = self.processes.get_mut(pid) {
            process.stats.spend = process.stats.spend.plus(&spend);
        }
        self.set_state(pid, State::Waiting { on: Wait::Tools { calls } });
        self.tools_returned_if_all(cx, pid);
        Ok(())
    }

    /// Numbers one call and starts it if it is inline.
    fn queue_tool(&mut self, cx: &mut Ctx<'_>, pid: Pid, wanted: &ToolUse) -> Option<ToolWait> {
        let traits = self.config.tools.get(&wanted.name).cloned();
        let since = self.next_since();
        let denied = self
            .processes
            .get(pid)
            .and_then(|process| self.tool_permitted(process, &wanted.name).err());
        let process = self.processes.get_mut(pid)?;
        let ordinal = u32::try_from(process.stats.tool_calls).unwrap_or(u32::MAX);
        process.calls = process.calls.saturating_add(1);
        process.stats.tool_calls = process.stats.tool_calls.saturating_add(1);
        let number = process.calls;
        let call = CallId { pid, number };
        cx.fact(
            pid,
            Fact::ToolCalled {
                call,
                tool: wanted.name.clone(),
                risk: traits.as_ref().map_or(Risk::Safe, |traits| traits.risk),
                arguments: Hash::of(wanted.arguments.as_bytes()),
            },
        );
        let mut wait = ToolWait {
            number,
            use_id: wanted.id.clone(),
            tool: wanted.name.clone(),
            arguments: wanted.arguments.as_str().into(),
            ordinal,
            attempt: 0,
            phase: ToolPhase::Queued { since },
        };
        if let Some(reason) = denied {
            let body = failed_result(&wait, ErrorCode::ToolDenied, &reason);
            wait.phase = self.tool_result(cx, call, &body);
        } else if self.config.is_inline(&wanted.name) {
            let start = self.start_tool(cx, pid, &mut wait);
            cx.fx.inline.push(start);
        }
        Some(wait)
    }

    /// Starts the tool call that the policy has first, if a slot is free.
    pub(crate) fn start_a_tool_call(&mut self, cx: &mut Ctx<'_>) -> bool {
        let one_more = u32::from(broken!(self, ToolSlotOversubscribed));
        if self.index.tool_slots_in_use() >= self.config.tool_slots.saturating_add(one_more) {
            return false;
        }
        let Some(call) = self.index.first_queued_tool() else {
            return false;
        };
        let Some(mut wait) = self.tool_wait(call).cloned() else {
            return false;
        };
        let start = self.start_tool(cx, call.pid, &mut wait);
        // A call may have been queued when this kernel was configured otherwise.
        if self.config.is_inline(&wait.tool) {
            cx.fx.inline.push(start);
        } else {
            cx.fx.releases.push(Release::Tool(start));
        }
        if let Some(slot) = self.tool_wait_mut(call) {
            *slot = wait;
        }
        true
    }

    pub(crate) fn start_tool(&self, cx: &Ctx<'_>, pid: Pid, wait: &mut ToolWait) -> ToolStart {
        let timeout =
            self.config.tools.get(&wait.tool).map_or(limits::TOOL_GRACE, |tool| tool.timeout);
        let deadline = cx.now.after(timeout).after(limits::TOOL_GRACE);
        wait.attempt = wait.attempt.saturating_add(1);
        wait.phase = ToolPhase::InFlight { deadline };
        ToolStart {
            call: Self::call_id(pid, wait.number),
            attempt: wait.attempt,
            use_id: wait.use_id.clone(),
            tool: wait.tool.clone(),
            arguments: wait.arguments.clone(),
            ordinal: wait.ordinal,
        }
    }

    /// The tool call, if its process waits for it.
    pub(crate) fn tool_wait(&self, call: CallId) -> Option<&ToolWait> {
        match self.processes.get(call.pid)?.state.inner() {
            State::Waiting { on: Wait::Tools { calls } } => {
                calls.iter().find(|wait| wait.number == call.number)
            }
            State::Waiting { .. }
            | State::Program { .. }
            | State::Ready { .. }
            | State::Running { .. }
            | State::Stopped { .. }
            | State::Exiting { .. }
            | State::Zombie { .. } => None,
        }
    }

    /// The same, to be changed.
    pub(crate) fn tool_wait_mut(&mut self, call: CallId) -> Option<&mut ToolWait> {
        match self.processes.get_mut(call.pid)?.state.inner_mut() {
            State::Waiting { on: Wait::Tools { calls } } => {
                calls.iter_mut().find(|wait| wait.number == call.number)
            }
            State::Waiting { .. }
            | State::Program { .. }
            | State::Ready { .. }
            | State::Running { .. }
            | State::Stopped { .. }
            | State::Exiting { .. }
            | State::Zombie { .. } => None,
        }
    }

    /// Stores a result and writes down the fact.
    pub(crate) fn tool_result(&self, cx: &mut Ctx<'_>, call: CallId, body: &Body) -> ToolPhase {
        cx.fx.bodies.push(body.clone());
        let is_error = matches!(body.message().as_ref(), Message::Tool { is_error: true, .. });
        cx.fact(call.pid, Fact::ToolReturned { call, body: body.hash(), is_error });
        let said = match body.message().as_ref() {
            Message::Tool { content, is_error, .. } => {
                let text = serde_json::to_string(&(content, is_error));
                text.ok().map(|text| Hash::of(text.as_bytes()))
            }
            Message::System { .. } | Message::User { .. } | Message::Assistant { .. } => None,
        };
        ToolPhase::Returned { body: body.hash(), said }
    }
}

/// The result of a call that the kernel itself ends.
pub(crate) fn failed_result(wait: &ToolWait, code: ErrorCode, what: &str) -> Body {
    Body::new(Message::failed(&wait.use_id, &wait.tool, code, what))
}

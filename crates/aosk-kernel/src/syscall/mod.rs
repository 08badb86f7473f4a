//! System calls. This is the one place where a step of a program enters the kernel and where its
//! capabilities are checked.

mod family;
mod ipc;
mod memory;
mod peer;
mod permission;
mod relay;
mod summary;
mod tasks;
mod think;
mod tools;

pub(crate) use think::limit;
pub(crate) use tools::failed_result;

use aosk_abi::{Body, Error, ErrorCode, ExitStatus, Fact, Lack, Pid, Step, Syscall, Wake, limits};

use crate::kernel::{Ctx, Kernel};
use crate::process::{ModelCall, State, Wait};

impl Kernel {
    /// Carries out a step of a program.
    pub(crate) fn syscall(&mut self, cx: &mut Ctx<'_>, pid: Pid, turn: u64, step: &Step) {
        let awaited = self.processes.get(pid).is_some_and(|process| {
            process.turn == turn && matches!(process.state.inner(), State::Program { .. })
        });
        if !awaited {
            self.ignore();
            return;
        }
        if let Err(error) = self.append(cx, pid, step) {
            self.refuse(cx, pid, &step.call, error);
            return;
        }
        // A program that was asked to end hears of it instead of waiting for anything more.
        if !matches!(step.call, Syscall::Exit { .. }) && self.tell_termination(cx, pid) {
            return;
        }
        if let Err(error) = self.permitted(pid, &step.call) {
            self.refuse(cx, pid, &step.call, error);
            return;
        }
        let done = match &step.call {
            Syscall::Think { options, tools, pieces, uses } => {
                let asked = think::Asked { options, tools: *tools, pieces, uses };
                self.think(cx, pid, &asked)
            }
            Syscall::Relay { options, input, needs } => {
                self.relay(cx, pid, options, (*input, *needs))
            }
            Syscall::Recall { pages } => self.recall(cx, pid, pages),
            Syscall::Pin { page, pinned } => self.pin(cx, pid, *page, *pinned),
            Syscall::Forget { page } => self.forget(cx, pid, *page),
            Syscall::BeginTask { goal } => self.begin_task(cx, pid, goal),
            Syscall::EndTask { result } => self.end_task(cx, pid, result),
            Syscall::CallTools { calls } => self.call_tools(cx, pid, calls),
            Syscall::Spawn { spec } => {
                let child = self.spawn(cx, Some(pid), spec);
                if self.counted_spawn(cx, pid, child.is_ok()) {
                    return;
                }
                child.map(|child| self.wake(cx, pid, Wake::Spawned { pid: child }))
            }
            Syscall::Wait { child, timeout } => self.wait(cx, pid, child.as_ref(), *timeout),
            Syscall::Send { to, body } => self.send(cx, pid, to, body),
            Syscall::Receive { from, timeout } => {
                self.receive_call(cx, pid, from.as_ref(), *timeout)
            }
            Syscall::Sleep { span } => {
                let until = cx.now.after(*span);
                self.set_state(pid, State::Waiting { on: Wait::Timer { until } });
                Ok(())
            }
            Syscall::Exit { status, result } => {
                cx.fx.bodies.extend(result.iter().cloned());
                self.end(cx, pid, *status, result.as_ref().map(Body::hash));
                Ok(())
            }
        };
        if let Err(error) = done {
            if error.code == ErrorCode::Runaway {
                self.end(cx, pid, ExitStatus::Failed(ErrorCode::Runaway), None);
                return;
            }
            self.refuse(cx, pid, &step.call, error);
        }
    }

    /// Takes over what a step brings: its pages and the program's state.
    fn append(&mut self, cx: &mut Ctx<'_>, pid: Pid, step: &Step) -> Result<(), Error> {
        let wrong =
            |what: String| Err(Error::new(ErrorCode::BadSyscall, format!("step of {pid}: {what}")));
        if step.state.len() > limits::PROGRAM_STATE_BYTES_MAX {
            return wrong(format!(
                "program state has at most {} bytes: {}",
                limits::PROGRAM_STATE_BYTES_MAX,
                step.state.len()
            ));
        }
        let too_long = |body: &Body| body.bytes().len() > limits::BODY_BYTES_MAX;
        let result_too_long = matches!(
            &step.call,
            Syscall::Exit { result: Some(body), .. }
                | Syscall::BeginTask { goal: body }
                | Syscall::EndTask { result: body } if too_long(body)
        );
        if step.append.iter().any(too_long) || result_too_long {
            return wrong(format!("a page has at most {} bytes", limits::BODY_BYTES_MAX));
        }
        let Some(process) = self.processes.get_mut(pid) else {
            return Ok(());
        };
        let pages = process.pages.len().saturating_add(step.append.len());
        if pages > usize::try_from(limits::PAGES_MAX).unwrap_or(usize::MAX) {
            return wrong(format!("a log has at most {} pages", limits::PAGES_MAX));
        }
        process.program_state = step.state.clone();
        for body in &step.append {
            self.append_page(cx, pid, body);
        }
        Ok(())
    }

    /// Tells the program that its call was not carried out.
    fn refuse(&mut self, cx: &mut Ctx<'_>, pid: Pid, call: &Syscall, error: Error) {
        cx.fact(
            pid,
            Fact::Refused {
                syscall: call.name().to_owned(),
                code: error.code,
                message: error.message.clone(),
            },
        );
        self.wake(cx, pid, Wake::Refused { error });
    }

    /// Tells the program that a budget does not allow its model call.
    pub(crate) fn refuse_budget(
        &mut self,
        cx: &mut Ctx<'_>,
        pid: Pid,
        call: &ModelCall,
        lack: Lack,
    ) {
        cx.fact(
            pid,
            Fact::ModelFailed {
                call: Self::call_id(pid, call.number),
                code: ErrorCode::BudgetExceeded,
                message: format!("out of budget: {lack}"),
            },
        );
        self.tell_lack(cx, pid, lack);
    }

    /// Tells the program that a bound has no room for what it asked.
    pub(crate) fn tell_lack(&mut self, cx: &mut Ctx<'_>, pid: Pid, lack: Lack) {
        self.note_lack(pid, lack);
        self.wake(cx, pid, Wake::OutOfBudget { resource: lack.resource });
    }

    /// Notes the bound, for those who ask why the process ended.
    pub(crate) fn note_lack(&mut self, pid: Pid, lack: Lack) {
        if let Some(process) = self.processes.get_mut(pid) {
            process.lack = Some(lack);
        }
    }
}

//! Signals, priorities and deadlines of one process.

use aosk_abi::{
    Error, ErrorCode, ExitStatus, Fact, Pid, Release, Resource, Resume, Signal, Timestamp, Wake,
    limits,
};

use super::{Asked, Cause, Process, State, Termination, Wait};
use crate::kernel::{Ctx, Kernel};
use crate::mutant::broken;

impl Kernel {
    /// Signals a process for the operator.
    pub(crate) fn signal(
        &mut self,
        cx: &mut Ctx<'_>,
        pid: Pid,
        signal: Signal,
    ) -> Result<(), Error> {
        self.living(pid, "signalling")?;
        cx.fact(pid, Fact::Signalled { signal });
        match signal {
            Signal::Term => self.terminate(cx, pid, Cause::Term),
            Signal::Kill => self.end(cx, pid, ExitStatus::Signalled(Signal::Kill), None),
            Signal::Stop => self.stop(pid),
            Signal::Cont => self.cont(cx, pid),
        }
        Ok(())
    }

    /// Changes the priority of a process for the operator.
    pub(crate) fn renice(&mut self, cx: &mut Ctx<'_>, pid: Pid, priority: u8) -> Result<(), Error> {
        self.living(pid, "changing the priority of")?;
        if priority > 100 {
            let text = format!("changing the priority of {pid}: must be 0 to 100: {priority}");
            return Err(Error::new(ErrorCode::BadSyscall, text));
        }
        if let Some(process) = self.processes.get_mut(pid) {
            process.priority = priority;
        }
        // Who was urgent enough for the slot of another may no longer be.
        self.devices.forget_promises();
        cx.fact(pid, Fact::Reniced { priority });
        Ok(())
    }

    /// The process, if it lives.
    pub(crate) fn living(&self, pid: Pid, attempted: &str) -> Result<&Process, Error> {
        match self.processes.get(pid) {
            Some(process) if !process.state.is_over() => Ok(process),
            Some(_) => Err(Error::new(
                ErrorCode::NoSuchProcess,
                format!("{attempted} {pid}: it has ended"),
            )),
            None => Err(Error::new(
                ErrorCode::NoSuchProcess,
                format!("{attempted} {pid}: no such process"),
            )
            .hint("`aosk ps --all` lists processes, ended ones included")),
        }
    }

    /// Asks a process to end within the grace time. What it waits for is interrupted, unless it is
    /// the end of tool calls: what those do to the world it must know.
    pub(crate) fn terminate(&mut self, cx: &mut Ctx<'_>, pid: Pid, cause: Cause) {
        let forgotten = broken!(self, GraceForgotten);
        let Some(process) = self.processes.get_mut(pid) else {
            return;
        };
        if process.state.is_over() || process.termination != Termination::None {
            return;
        }
        let deadline = if forgotten { Timestamp::MAX } else { cx.now.after(limits::TERM_GRACE) };
        process.termination = Termination::Asked { cause, deadline };
        self.interrupt(cx, pid);
    }

    /// Tells a process that was asked to end, if it waits for something other than the end of tool
    /// calls. A model call in flight is cancelled, and the process told when that is confirmed. One
    /// that is stopped is told after CONT. Returns whether it was told.
    pub(crate) fn interrupt(&mut self, cx: &mut Ctx<'_>, pid: Pid) -> bool {
        let Some(process) = self.processes.get(pid) else {
            return false;
        };
        if !matches!(process.termination, Termination::Asked { .. }) {
            return false;
        }
        let abandoned = match &process.state {
            State::Ready { call }
            | State::Waiting { on: Wait::Backoff { call, .. } | Wait::Quota { call, .. } } => {
                Some(call.number)
            }
            State::Waiting {
                on: Wait::Child { .. } | Wait::Message { .. } | Wait::Timer { .. },
            } => None,
            // Its end is waited for already.
            State::Running { asked: Asked::Late, .. } => return false,
            State::Running { call, asked: Asked::Nothing | Asked::Yield, .. } => {
                let (call, attempt) = (Self::call_id(pid, call.number), call.attempt);
                cx.fx.releases.push(Release::Cancel { call, attempt });
                return false;
            }
            State::Waiting { on: Wait::Tools { .. } }
            | State::Program { .. }
            | State::Stopped { .. }
            | State::Exiting { .. }
            | State::Zombie { .. } => return false,
        };
        if let Some(number) = abandoned {
            self.model_call_abandoned(cx, pid, number);
        }
        self.tell_termination(cx, pid)
    }

    /// Tells the program that it must end, if it does not know yet. Returns whether it was told.
    pub(crate) fn tell_termination(&mut self, cx: &mut Ctx<'_>, pid: Pid) -> bool {
        let Some(process) = self.processes.get_mut(pid) else {
            return false;
        };
        let Termination::Asked { cause, deadline } = process.termination else {
            return false;
        };
        process.termination = Termination::Told { cause, deadline };
        let wake = match cause {
            Cause::Term => Wake::Terminated,
            Cause::Wall => Wake::OutOfBudget { resource: Resource::Wall },
        };
        self.wake(cx, pid, wake);
        true
    }

    fn stop(&mut self, pid: Pid) {
        let Some(process) = self.processes.get_mut(pid) else {
            return;
        };
        if matches!(process.state, State::Stopped { .. }) || process.state.is_over() {
            return;
        }
        let was = process.state.clone();
        process.state = State::Stopped { was: Box::new(was) };
    }

    fn cont(&mut self, cx: &mut Ctx<'_>, pid: Pid) {
        let forgotten = broken!(self, ContForgotten);
        let Some(process) = self.processes.get_mut(pid) else {
            return;
        };
        let State::Stopped { was } = &process.state else {
            return;
        };
        let was = was.as_ref().clone();
        let turn = process.turn;
        process.state = match was {
            State::Program { wake } => {
                if !forgotten {
                    cx.fx.resumes.push(Resume { pid, turn, wake: wake.clone() });
                }
                State::Program { wake }
            }
            // It was not in the queue of those who wait for room, so it asks again.
            State::Waiting { on: Wait::Quota { call, .. } } => State::Ready { call },
            other @ (State::Ready { .. }
            | State::Running { .. }
            | State::Waiting { .. }
            | State::Stopped { .. }
            | State::Exiting { .. }
            | State::Zombie { .. }) => other,
        };
        // What came while it was stopped.
        if matches!(process.state, State::Waiting { on: Wait::Message { .. } }) {
            self.receive_waiting(cx, pid);
        }
        // TERM that came while it was stopped takes effect now.
        self.interrupt(cx, pid);
    }

    /// Something of the process is due.
    pub(crate) fn process_due(&mut self, cx: &mut Ctx<'_>, pid: Pid) {
        let Some(process) = self.processes.get_mut(pid) else {
            return;
        };
        if let Termination::Asked { deadline, cause } | Termination::Told { deadline, cause } =
            process.termination
            && deadline <= cx.now
            && !process.state.is_over()
        {
            let status = match cause {
                Cause::Term => ExitStatus::Signalled(Signal::Kill),
                Cause::Wall => ExitStatus::OutOfBudget(Resource::Wall),
            };
            self.end(cx, pid, status, None);
            return;
        }
        match process.state.inner().clone() {
            State::Running { deadline, .. } if deadline <= cx.now => self.model_timed_out(cx, pid),
            State::Running { slice_ends: Some(ends), .. } if ends <= cx.now => {
                self.slice_over(cx, pid);
            }
            State::Waiting { on } => match on {
                Wait::Backoff { call, until } if until <= cx.now => {
                    self.enqueue(pid, call);
                }
                Wait::Timer { until } if until <= cx.now => self.wake(cx, pid, Wake::Slept),
                Wait::Child { until: Some(until), .. }
                | Wait::Message { until: Some(until), .. }
                    if until <= cx.now =>
                {
                    self.wake(cx, pid, Wake::TimedOut);
                }
                Wait::Tools { .. } => self.tools_timed_out(cx, pid),
                Wait::Backoff { .. }
                | Wait::Timer { .. }
                | Wait::Child { .. }
                | Wait::Message { .. }
                | Wait::Quota { .. } => {}
            },
            State::Exiting { .. } => self.cancel_timed_out(cx, pid),
            State::Program { .. }
            | State::Ready { .. }
            | State::Running { .. }
            | State::Stopped { .. }
            | State::Zombie { .. } => {}
        }
    }
}

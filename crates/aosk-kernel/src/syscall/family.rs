//! Waiting for children.

use aosk_abi::{Error, ErrorCode, Millis, Peer, Pid, Wake};

use crate::kernel::{Ctx, Kernel};
use crate::mutant::broken;
use crate::process::{State, Wait};

impl Kernel {
    /// Waits until a child has ended, and reaps it.
    pub(crate) fn wait(
        &mut self,
        cx: &mut Ctx<'_>,
        pid: Pid,
        child: Option<&Peer>,
        timeout: Option<Millis>,
    ) -> Result<(), Error> {
        let child = child.map(|child| self.peer(pid, child, "waiting for")).transpose()?;
        let Some(process) = self.processes.get(pid) else {
            return Ok(());
        };
        match child {
            Some(child) if !process.children.contains(&child) => {
                let text =
                    format!("waiting for {child}: not a child that is still to be waited for");
                return Err(Error::new(ErrorCode::NoSuchProcess, text));
            }
            None if process.children.is_empty() => {
                let text = "waiting for a child: there is none";
                return Err(Error::new(ErrorCode::NoSuchProcess, text));
            }
            Some(_) | None => {}
        }
        let zombie = process
            .children
            .iter()
            .copied()
            .filter(|candidate| child.is_none_or(|child| child == *candidate))
            .find(|pid| {
                self.processes.get(*pid).is_some_and(|c| matches!(c.state, State::Zombie { .. }))
            });
        match zombie {
            Some(zombie) if !broken!(self, ZombieMissed) => self.hand_over(cx, pid, zombie),
            Some(_) | None => {
                let until = timeout.map(|timeout| cx.now.after(timeout));
                self.set_state(pid, State::Waiting { on: Wait::Child { child, until } });
            }
        }
        Ok(())
    }

    /// A child has become a zombie: its parent gets it now if it waits for it.
    pub(crate) fn child_ended(&mut self, cx: &mut Ctx<'_>, parent: Pid, child: Pid) {
        let waits = self.processes.get(parent).is_some_and(|process| match process.state.inner() {
            State::Waiting { on: Wait::Child { child: wanted, .. } } => {
                wanted.is_none_or(|wanted| wanted == child)
            }
            State::Waiting { .. }
            | State::Program { .. }
            | State::Ready { .. }
            | State::Running { .. }
            | State::Stopped { .. }
            | State::Exiting { .. }
            | State::Zombie { .. } => false,
        });
        if waits {
            self.hand_over(cx, parent, child);
        }
    }

    /// Reaps a zombie and wakes its parent with what it left.
    fn hand_over(&mut self, cx: &mut Ctx<'_>, parent: Pid, zombie: Pid) {
        let Some(process) = self.processes.get(zombie) else {
            return;
        };
        if let State::Zombie { status, result } = process.state {
            self.reap(cx, zombie);
            self.wake(cx, parent, Wake::ChildExited { pid: zombie, status, result });
        }
    }
}

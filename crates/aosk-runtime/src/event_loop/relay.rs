//! What clients ask models, on its way into the kernel.

use aosk_abi::{Command, Input, Pid, Release, Reply, RequestId, Step, Syscall};
use aosk_kernel::State;

use crate::foreign::{Asker, Live, Relay};

use super::{End, EventLoop};

impl EventLoop {
    /// Takes what a client asks. It shares a commit with the process that is started for it.
    pub(super) fn relay(&mut self, relay: Relay) -> Result<(), End> {
        let Relay { asker, ask, outlet, .. } = relay;
        let live = Live { ask, outlet };
        match asker {
            Asker::Process(pid) => {
                let (kernel, bodies) = (&self.kernel, &mut self.bodies);
                match self.turns.asked(kernel, bodies, &mut self.devices, (pid, live)) {
                    Some(step) => self.apply(&step),
                    None => Ok(()),
                }
            }
            Asker::New(spec) => {
                let request = self.request_id();
                if !self.has_more() {
                    self.turns.begin_batch();
                }
                self.apply_one(&Input::Operator { request, command: Command::Spawn(spec) })?;
                match self.fx.releases.iter().rev().find_map(|one| reply_to(one, request)) {
                    Some(Reply::Spawned(pid)) => self.turns.foreign.open(*pid, live),
                    Some(Reply::Refused(error)) => live.outlet.fail(error.clone()),
                    // The reply to what was just applied is always there.
                    Some(Reply::Done) | None => {}
                }
                self.go_on()
            }
        }
    }

    /// The client of a process asks no more: it ends, if it waits for its client.
    pub(super) fn leave(&mut self, pid: Pid) -> Result<(), End> {
        let left = self.turns.foreign.leave(pid);
        self.end(pid, left)
    }

    /// A process was asked to end: it does, if it waits for its client and is not stopped.
    pub(super) fn terminated(&mut self, pid: Pid) -> Result<(), End> {
        let ended = self.turns.foreign.terminate(pid);
        let process = self.kernel.process(pid);
        let runs = process.is_some_and(|process| matches!(process.state, State::Program { .. }));
        self.end(pid, ended.filter(|_| runs))
    }

    fn end(&mut self, pid: Pid, by: Option<(u64, Syscall)>) -> Result<(), End> {
        let (Some((turn, call)), Some(process)) = (by, self.kernel.process(pid)) else {
            return Ok(());
        };
        let step = Step { append: Vec::new(), call, state: process.program_state.clone() };
        self.apply(&Input::Syscall { pid, turn, step })
    }
}

/// The reply to a request, if this is it.
pub(super) fn reply_to(release: &Release, to: RequestId) -> Option<&Reply> {
    match release {
        Release::Reply { request, reply } => (*request == to).then_some(reply),
        Release::Think { .. }
        | Release::Tool(_)
        | Release::Yield { .. }
        | Release::Cancel { .. } => None,
    }
}

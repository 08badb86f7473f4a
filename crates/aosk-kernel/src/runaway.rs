//! Processes that do the same without end are told, and ended if they go on.

use aosk_abi::{Error, ErrorCode, ExitStatus, Fact, Hash, Pid, Runaway};

use crate::kernel::{Ctx, Kernel};
use crate::process::{State, ToolPhase, ToolWait, Verdict, Wait};

impl Kernel {
    /// Writes down what a guard found. Returns whether the process is to be ended for it.
    pub(crate) fn heed(&self, cx: &mut Ctx<'_>, pid: Pid, verdict: Verdict) -> bool {
        let (what, times, ended) = match verdict {
            Verdict::Fine => return false,
            Verdict::Told(what, times) => (what, times, false),
            Verdict::Ended(what, times) => (what, times, true),
        };
        cx.fact(pid, Fact::RunawayFound { what, times, ended });
        ended
    }

    /// The tool calls of a turn have returned. Returns whether the process was ended because they were
    /// the same too often.
    pub(crate) fn repeats(&mut self, cx: &mut Ctx<'_>, pid: Pid) -> bool {
        let Some(process) = self.processes.get_mut(pid) else {
            return false;
        };
        let State::Waiting { on: Wait::Tools { calls } } = process.state.inner() else {
            return false;
        };
        let turn = digest(calls);
        let verdict = process.guard.turn_over(turn);
        let ended = self.heed(cx, pid, verdict);
        if ended {
            self.end(cx, pid, ExitStatus::Failed(ErrorCode::Runaway), None);
        }
        ended
    }

    /// Refuses a message that is one too many between two that do nothing else, and ends its sender.
    pub(crate) fn check_exchange(
        &mut self,
        cx: &mut Ctx<'_>,
        pid: Pid,
        to: Pid,
    ) -> Result<(), Error> {
        let Some(process) = self.processes.get_mut(pid) else {
            return Ok(());
        };
        let verdict = process.guard.sent(to);
        if self.heed(cx, pid, verdict) {
            let what = Runaway::Exchanges.word();
            return Err(Error::new(ErrorCode::Runaway, format!("sending to {to}: {what}")));
        }
        Ok(())
    }

    /// A process was started by another, or was not. Returns whether the other was ended for trying.
    pub(crate) fn counted_spawn(&mut self, cx: &mut Ctx<'_>, pid: Pid, started: bool) -> bool {
        let Some(process) = self.processes.get_mut(pid) else {
            return false;
        };
        let verdict = process.guard.spawned(started);
        let ended = self.heed(cx, pid, verdict);
        if ended {
            self.end(cx, pid, ExitStatus::Failed(ErrorCode::Runaway), None);
        }
        ended
    }

    /// How many living processes descend from the one that the operator started, above this one.
    pub(crate) fn descendants_of_root(&self, pid: Pid) -> u32 {
        let root = self.root_of(pid);
        self.processes.get(root).map_or(0, |process| process.descendants)
    }

    /// The process that the operator started above this one, or this one itself.
    pub(crate) fn root_of(&self, pid: Pid) -> Pid {
        let mut root = pid;
        while let Some(parent) = self.processes.get(root).and_then(|process| process.spec.parent) {
            root = parent;
        }
        root
    }
}

/// What was called and what came of it, in the order of the calls; none if a result is not known.
fn digest(calls: &[ToolWait]) -> Option<Hash> {
    let mut all = Vec::new();
    for call in calls {
        let ToolPhase::Returned { said: Some(said), .. } = call.phase else {
            return None;
        };
        for part in [call.tool.as_bytes(), call.arguments.as_bytes()] {
            all.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            all.extend_from_slice(part);
        }
        all.extend_from_slice(said.to_string().as_bytes());
    }
    Some(Hash::of(&all))
}

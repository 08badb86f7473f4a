//! What a process may do. Checked against the caller's own capabilities, before anything happens.

use aosk_abi::{Error, ErrorCode, Peer, Pid, Syscall};

use crate::kernel::Kernel;
use crate::mutant::broken;
use crate::process::Process;

impl Kernel {
    /// Whether the process may make this call. Tool calls are judged one by one, since one that is
    /// denied must not keep the others of the turn from running.
    pub(crate) fn permitted(&self, pid: Pid, call: &Syscall) -> Result<(), Error> {
        let Some(process) = self.processes.get(pid) else {
            return Ok(());
        };
        let may = &process.spec.capabilities;
        let denied = |what: String| {
            Err(Error::new(ErrorCode::Forbidden, format!("{pid} ({}) {what}", process.spec.name))
                .hint("its parent or the operator did not grant it this capability"))
        };
        match call {
            Syscall::Think { options, .. } | Syscall::Relay { options, .. }
                if !may.models.allows(&options.model) =>
            {
                denied(format!("may not use the model: {}", options.model))
            }
            Syscall::Spawn { .. } if !may.spawn => denied("may not start processes".to_owned()),
            Syscall::Send { to, .. } if !may.send_anywhere && !self.related(pid, process, to) => {
                denied(format!("may send to its parent, children and siblings only: {to}"))
            }
            Syscall::Think { .. }
            | Syscall::Relay { .. }
            | Syscall::Recall { .. }
            | Syscall::Pin { .. }
            | Syscall::Forget { .. }
            | Syscall::BeginTask { .. }
            | Syscall::EndTask { .. }
            | Syscall::CallTools { .. }
            | Syscall::Spawn { .. }
            | Syscall::Wait { .. }
            | Syscall::Send { .. }
            | Syscall::Receive { .. }
            | Syscall::Sleep { .. }
            | Syscall::Exit { .. } => Ok(()),
        }
    }

    /// Whether the process may call the tool; the reason if not.
    pub(crate) fn tool_permitted(&self, process: &Process, tool: &str) -> Result<(), String> {
        let may = &process.spec.capabilities;
        if !may.tools.allows(tool) {
            return Err(format!("{} may not call {tool}", process.spec.name));
        }
        // A tool the kernel does not know does nothing: its device answers that there is none.
        match self.config.tools.get(tool) {
            Some(_) if broken!(self, RiskUnchecked) => Ok(()),
            Some(traits) if traits.risk > may.risk_max => Err(format!(
                "{} may call tools of risk {:?} at most; {tool} is {:?}",
                process.spec.name, may.risk_max, traits.risk
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether `other` is the parent, a child or a sibling. Names lead to no one else.
    fn related(&self, pid: Pid, process: &Process, other: &Peer) -> bool {
        let other = match other {
            Peer::Pid(other) => *other,
            Peer::Name(_) => return true,
        };
        let same_parent = process.spec.parent.is_some()
            && self.processes.get(other).is_some_and(|o| o.spec.parent == process.spec.parent);
        other == pid
            || process.spec.parent == Some(other)
            || process.children.contains(&other)
            || same_parent
    }
}

//! Who is meant: a process names another by its id or by its name.

use aosk_abi::{Error, ErrorCode, Peer, Pid, limits};

use crate::kernel::Kernel;

impl Kernel {
    /// The id of a peer of `pid`. `attempted` begins the message of the error.
    pub(crate) fn peer(&self, pid: Pid, peer: &Peer, attempted: &str) -> Result<Pid, Error> {
        let name = match peer {
            Peer::Pid(peer) => return Ok(*peer),
            Peer::Name(name) => name.as_str(),
        };
        self.named(pid, name).ok_or_else(|| {
            // A model wrote the name; one that no process can have need not be repeated.
            let shown = if name.len() > limits::NAME_BYTES_MAX { "(a long name)" } else { name };
            let text = format!("{attempted} {shown}: no parent, child or sibling has this name");
            Error::new(ErrorCode::NoSuchProcess, text)
        })
    }

    fn named(&self, pid: Pid, name: &str) -> Option<Pid> {
        let process = self.processes.get(pid)?;
        let is_named = |candidate: &Pid| {
            self.processes.get(*candidate).is_some_and(|process| process.spec.name == name)
        };
        let parent = process.spec.parent;
        let siblings = parent.and_then(|parent| self.processes.get(parent));
        let siblings = siblings.iter().flat_map(|parent| parent.children.iter().rev().copied());
        parent
            .filter(is_named)
            .or_else(|| process.children.iter().rev().copied().find(is_named))
            .or_else(|| siblings.into_iter().find(|other| *other != pid && is_named(other)))
    }
}

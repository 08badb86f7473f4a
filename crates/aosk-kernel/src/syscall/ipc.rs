//! Sending and receiving.

use aosk_abi::{Body, Error, ErrorCode, Millis, Peer, Pid, Wake};

use crate::kernel::{Ctx, Kernel};
use crate::process::{State, Wait};

impl Kernel {
    /// Puts a message into the mailbox of `to`.
    pub(crate) fn send(
        &mut self,
        cx: &mut Ctx<'_>,
        pid: Pid,
        to: &Peer,
        body: &Body,
    ) -> Result<(), Error> {
        let to = self.peer(pid, to, "sending to")?;
        self.check_exchange(cx, pid, to)?;
        self.deliver(cx, Some(pid), to, body)?;
        if let Some(process) = self.processes.get_mut(pid) {
            process.stats.sent = process.stats.sent.saturating_add(1);
        }
        self.wake(cx, pid, Wake::Sent);
        Ok(())
    }

    /// Takes the next message, or waits for it.
    pub(crate) fn receive_call(
        &mut self,
        cx: &mut Ctx<'_>,
        pid: Pid,
        from: Option<&Peer>,
        timeout: Option<Millis>,
    ) -> Result<(), Error> {
        let from = from.map(|from| self.peer(pid, from, "receiving from")).transpose()?;
        if self.receive(cx, pid, from) {
            return Ok(());
        }
        if let Some(from) = from {
            self.living(from, "receiving from")?;
            if from == pid {
                let text = format!("receiving from {pid}: a process cannot wait for itself");
                return Err(Error::new(ErrorCode::Deadlock, text));
            }
        }
        let until = timeout.map(|timeout| cx.now.after(timeout));
        self.set_state(pid, State::Waiting { on: Wait::Message { from, until } });
        Ok(())
    }
}

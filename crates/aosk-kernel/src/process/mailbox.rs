//! Mailboxes: bounded, ordered, read by filter.

use aosk_abi::{Body, Error, ErrorCode, Fact, Pid, RowKey, Wake, limits};

use super::{Mail, State, Wait};
use crate::kernel::{Ctx, Kernel};
use crate::mutant::broken;

impl Kernel {
    /// Puts a message into the mailbox of `to`, and hands it over if `to` waits for it.
    pub(crate) fn deliver(
        &mut self,
        cx: &mut Ctx<'_>,
        from: Option<Pid>,
        to: Pid,
        body: &Body,
    ) -> Result<(), Error> {
        let receiver = self.living(to, "sending to")?;
        if receiver.mailbox.len() >= limits::MAILBOX_MAX {
            let text =
                format!("sending to {to}: its mailbox is full: {} messages", limits::MAILBOX_MAX);
            return Err(Error::new(ErrorCode::Busy, text).hint("send again when it has read some"));
        }
        if body.bytes().len() > limits::BODY_BYTES_MAX {
            let text =
                format!("sending to {to}: a message has at most {} bytes", limits::BODY_BYTES_MAX);
            return Err(Error::new(ErrorCode::BadSyscall, text));
        }
        cx.fx.bodies.push(body.clone());
        if let Some(receiver) = self.processes.get_mut(to) {
            receiver.mail_count = receiver.mail_count.saturating_add(1);
            let number = receiver.mail_count;
            receiver.mailbox.insert(number, Mail { from, body: body.hash() });
            self.dirty.insert(RowKey::Mail(to, number));
        }
        cx.fact(to, Fact::MessageSent { from, body: body.hash() });
        self.receive_waiting(cx, to);
        Ok(())
    }

    /// Hands a waiting process the first message it waits for, if there is one.
    pub(crate) fn receive_waiting(&mut self, cx: &mut Ctx<'_>, pid: Pid) {
        if let Some(process) = self.processes.get(pid)
            && let State::Waiting { on: Wait::Message { from, .. } } = &process.state
        {
            let from = *from;
            self.receive(cx, pid, from);
        }
    }

    /// Takes the first message from `from` (or anyone) out of the mailbox and wakes the process with
    /// it. Returns whether there was one.
    pub(crate) fn receive(&mut self, cx: &mut Ctx<'_>, pid: Pid, from: Option<Pid>) -> bool {
        let stays = broken!(self, MailDeliveredTwice);
        let from = if broken!(self, MailFilterIgnored) { None } else { from };
        let Some(process) = self.processes.get_mut(pid) else {
            return false;
        };
        let first = process.mailbox.iter().find(|(_, mail)| from.is_none() || mail.from == from);
        let Some((number, mail)) = first.map(|(number, mail)| (*number, *mail)) else {
            return false;
        };
        if !stays {
            process.mailbox.remove(&number);
        }
        process.stats.received = process.stats.received.saturating_add(1);
        process.guard.received(mail.from);
        self.dirty.insert(RowKey::Mail(pid, number));
        cx.fact(pid, Fact::MessageReceived { from: mail.from, body: mail.body });
        self.wake(cx, pid, Wake::Received { body: mail.body, from: mail.from });
        true
    }

    /// The process that `waiter` waited to hear from at the last look at the queues has ended.
    pub(crate) fn sender_gone(&mut self, cx: &mut Ctx<'_>, waiter: Pid, sender: Pid) {
        let waits = self.processes.get(waiter).is_some_and(|process| {
            matches!(
                process.state.inner(),
                State::Waiting { on: Wait::Message { from, .. } } if *from == Some(sender)
            )
        });
        // A receiver that is stopped may have its last message still before it.
        if !waits || self.receive(cx, waiter, Some(sender)) {
            return;
        }
        let error = Error::new(
            ErrorCode::NoSuchProcess,
            format!("receiving from {sender}: it ended without sending"),
        );
        self.wake(cx, waiter, Wake::Refused { error });
    }
}

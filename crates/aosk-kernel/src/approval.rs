//! What becomes of a process that waits for a person when one answers.
//!
//! An answer is to one call. Whoever answers second answers nothing: the process has gone on, or asks
//! for another call by then.

use aosk_abi::{Answer, Error, ErrorCode, Fact, Verdict, limits};

use crate::kernel::{Ctx, Kernel};
use crate::process::{State, Wait};

impl Kernel {
    /// Answers a process that waits for a person.
    ///
    /// # Errors
    /// If it does not wait for this, or the bounds cannot be set.
    pub(crate) fn answer(&mut self, cx: &mut Ctx<'_>, answer: &Answer) -> Result<(), Error> {
        let Answer { call: id, verdict, by, note } = answer;
        if note.len() > limits::NOTE_BYTES_MAX || by.len() > limits::NAME_BYTES_MAX {
            let (note, name) = (limits::NOTE_BYTES_MAX, limits::NAME_BYTES_MAX);
            let text = format!(
                "answering {id}: a note has at most {note} bytes, and a name at most {name}"
            );
            return Err(
                Error::new(ErrorCode::BadSyscall, text).hint("send what is longer as a message")
            );
        }
        let process = self.processes.get(id.pid);
        // Whoever answers too late may find that the process has gone on to its end.
        let process = process.ok_or_else(|| late(answer, "its process has ended, or never was"))?;
        let State::Waiting { on: Wait::Quota { call, lack, asks: true } } = &process.state else {
            return Err(late(answer, "its process does not wait for a person"));
        };
        if call.number != id.number {
            return Err(late(answer, "its process waits for another by now"));
        }
        let (call, lack) = (call.clone(), *lack);
        let granted = match verdict {
            Verdict::Granted(limits) => {
                self.set_limits(cx, lack.budget, limits)?;
                true
            }
            Verdict::Denied => false,
        };
        let (by, note) = (by.clone(), note.clone());
        cx.fact(id.pid, Fact::BudgetAnswered { call: *id, budget: lack.budget, granted, by, note });
        if !granted {
            self.refuse_call(cx, id.pid, &call, lack);
        }
        Ok(())
    }
}

fn late(answer: &Answer, what: &str) -> Error {
    Error::new(ErrorCode::NotAsking, format!("answering {}: {what}", answer.call))
        .hint("somebody else may have answered; `aosk approvals` lists what waits for a person")
}

//! Asking the model what somebody outside asks it.
//!
//! The kernel sees how much is asked and of whom, and neither the question nor the window: these are
//! theirs. So such a call waits, is paid for and fails over like any other, but nothing is cut from it,
//! nothing is added to it, and whatever they were told a part of is not begun anew.

use std::sync::Arc;

use aosk_abi::{
    Abilities, Error, ErrorCode, Fact, Failure, FailureClass, Lack, Pid, ThinkOptions, Timestamp,
    Tokens, Wake,
};

use crate::kernel::{Ctx, Kernel};
use crate::process::ModelCall;

impl Kernel {
    /// Queues a call that somebody outside asks.
    pub(super) fn relay(
        &mut self,
        cx: &mut Ctx<'_>,
        pid: Pid,
        options: &ThinkOptions,
        (input, needs): (Tokens, Abilities),
    ) -> Result<(), Error> {
        if self.devices.queue(&options.model).is_none() {
            let text = format!("asking the model: no such device: {}", options.model);
            return Err(Error::new(ErrorCode::ModelUnknown, text));
        }
        self.check_able(&options.model, needs)?;
        let since = self.next_since();
        let Some(process) = self.processes.get_mut(pid) else {
            return Ok(());
        };
        let number = process.calls.saturating_add(1);
        process.calls = number;
        let tokens = (input, process.memory.scaled(input));
        let pages = process.page_count();
        let call = ModelCall {
            relayed: true,
            needs,
            ..ModelCall::new(number, Arc::new(options.clone()), tokens, since)
        };
        cx.fact(
            pid,
            Fact::ModelCalled {
                call: Self::call_id(pid, number),
                model: options.model.clone(),
                pages,
                input,
                output_max: options.output_max,
                window: None,
                room: None,
                policy: None,
                prefer: None,
            },
        );
        self.enqueue(pid, call);
        Ok(())
    }

    /// Tells whoever asks when there is room again, as that is too long for their client to wait.
    pub(crate) fn put_off(
        &mut self,
        cx: &mut Ctx<'_>,
        pid: Pid,
        call: &ModelCall,
        lack: Lack,
        until: Timestamp,
    ) {
        let after = until.since(cx.now);
        let model = &call.options.model;
        let message =
            format!("asking {model}: out of budget: {lack}; there is room again in {after}");
        let code = ErrorCode::BudgetExceeded;
        let failure = Failure {
            class: FailureClass::RateLimited,
            code,
            message: message.clone(),
            hint: String::new(),
            retry_after: Some(after),
            usage: None,
        };
        cx.fact(pid, Fact::ModelFailed { call: Self::call_id(pid, call.number), code, message });
        self.note_lack(pid, lack);
        self.wake(cx, pid, Wake::ModelFailed { failure });
    }

    /// The call of a process was not answered when the kernel died, and nobody would hear the answer.
    pub(crate) fn relay_lost(&mut self, cx: &mut Ctx<'_>, pid: Pid, call: &ModelCall) {
        let failure = Failure {
            class: FailureClass::Final,
            code: ErrorCode::ModelCancelled,
            message: format!("asking {}: the kernel stopped meanwhile", call.options.model),
            hint: String::new(),
            retry_after: None,
            usage: None,
        };
        self.model_call_abandoned(cx, pid, call.number);
        self.wake(cx, pid, Wake::ModelFailed { failure });
    }
}

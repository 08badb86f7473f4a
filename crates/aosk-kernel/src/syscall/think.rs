//! Asking the model.

use std::sync::Arc;

use aosk_abi::{Error, ErrorCode, Fact, Pid, ThinkOptions, Tokens};

use crate::kernel::{Ctx, Kernel};
use crate::process::{ModelCall, State};

impl Kernel {
    /// Queues a model call. It starts when a slot is free and its worst case fits the budget.
    pub(crate) fn think(
        &mut self,
        cx: &mut Ctx<'_>,
        pid: Pid,
        options: &ThinkOptions,
        input: Tokens,
    ) -> Result<(), Error> {
        if self.devices.find(&options.model).is_none() {
            let text = format!("asking the model: no such device: {}", options.model);
            return Err(Error::new(ErrorCode::ModelUnknown, text));
        }
        let since = self.next_since();
        let Some(process) = self.processes.get_mut(pid) else {
            return Ok(());
        };
        process.calls = process.calls.saturating_add(1);
        let call = ModelCall {
            number: process.calls,
            options: Arc::new(options.clone()),
            pages: process.page_count(),
            input,
            attempt: 0,
            failures: 0,
            since,
        };
        cx.fact(
            pid,
            Fact::ModelCalled {
                call: Self::call_id(pid, call.number),
                model: options.model.clone(),
                pages: call.pages,
                input,
                output_max: options.output_max,
            },
        );
        *process.state.inner_mut() = State::Ready { call };
        Ok(())
    }
}

//! What devices do with what the kernel lets out.

use aosk_abi::{CallId, Input, Millis, ModelOutcome, ThinkOptions, Tokens, ToolOutcome, ToolStart};

use super::{Event, World};
use crate::checker::{Rule, ensure};
use crate::model::{self, Attempt};
use crate::tools;

impl World<'_> {
    pub(super) fn think(
        &mut self,
        call: CallId,
        attempt: u32,
        input: Tokens,
        options: &ThinkOptions,
    ) -> Result<(), Rule> {
        self.checker.given(call, attempt)?;
        self.report.model_calls += 1;
        self.running.insert((call, attempt));
        let started =
            Attempt { call, attempt, input, options, now: self.now, healthy: self.healthy };
        for (delay, outcome) in model::reports(self.case, &started) {
            self.report_later(call, attempt, delay, Input::ModelDone { call, attempt, outcome });
        }
        Ok(())
    }

    pub(super) fn call_tool(&mut self, start: &ToolStart) -> Result<(), Rule> {
        let ToolStart { call, attempt, .. } = *start;
        self.checker.given(call, attempt)?;
        self.report.tool_calls += 1;
        self.running.insert((call, attempt));
        for (delay, outcome) in self.tools.start(self.case, start, self.healthy) {
            self.report_later(call, attempt, delay, Input::ToolDone { call, attempt, outcome });
        }
        let once = tools::tool(&start.tool).is_some_and(|tool| !tool.idempotent);
        let count = self.tools.carried_out(call);
        ensure(!once || count == 1, "nothing is done twice in silence", || {
            format!("{} was called {count} times for {call}", start.tool)
        })
    }

    /// Stops a call, if the device obeys. Nobody waits for one of which nothing will be heard.
    pub(super) fn cancel(&mut self, call: CallId, attempt: u32) {
        let Some(keys) = self.under_way.remove(&(call, attempt)) else {
            self.running.remove(&(call, attempt));
            return;
        };
        let (confirmed, comes_anyway) = model::cancelled(self.case, call, attempt, self.healthy);
        let (mut is_tool, mut all) = (false, Tokens::ZERO);
        for key in keys {
            match self.events.get(&key) {
                Some(Event::Report(Input::ToolDone { .. })) => is_tool = true,
                Some(Event::Report(Input::ModelDone {
                    outcome: ModelOutcome::Answered(reply),
                    ..
                })) => all = reply.usage.output,
                Some(_) | None => {}
            }
            if !comes_anyway {
                self.events.remove(&key);
            }
        }
        if confirmed.is_none() && !comes_anyway {
            self.running.remove(&(call, attempt));
        }
        if let Some(delay) = confirmed {
            let input = if is_tool {
                Input::ToolDone { call, attempt, outcome: ToolOutcome::Cancelled }
            } else {
                let output = model::seen(self.case, call, attempt, all);
                Input::ModelDone { call, attempt, outcome: ModelOutcome::Cancelled { output } }
            };
            self.schedule(self.now.after(delay), Event::Report(input));
        }
    }

    /// A model stops at the next token and says what it has. One that hangs says nothing.
    pub(super) fn give_up_slot(&mut self, call: CallId, attempt: u32) {
        let Some(keys) = self.under_way.get(&(call, attempt)).cloned() else {
            return;
        };
        let answers = keys.iter().find_map(|key| match self.events.get(key) {
            Some(Event::Report(Input::ModelDone {
                outcome: ModelOutcome::Answered(reply),
                ..
            })) => Some(reply.usage),
            Some(_) | None => None,
        });
        let Some(usage) = answers else {
            return;
        };
        for key in keys {
            self.events.remove(&key);
        }
        self.under_way.remove(&(call, attempt));
        let (delay, outcome) = model::yielded(self.case, call, attempt, &usage);
        self.report_later(call, attempt, delay, Input::ModelDone { call, attempt, outcome });
    }

    fn report_later(&mut self, call: CallId, attempt: u32, delay: Millis, input: Input) {
        let key = self.schedule(self.now.after(delay), Event::Report(input));
        self.under_way.entry((call, attempt)).or_default().push(key);
    }
}

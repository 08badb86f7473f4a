//! Summaries by a model: a call of the same process, before the one for which pages leave.
//!
//! It takes a slot and is paid for like any other. Until it is answered nothing has left; when it is,
//! or cannot be, the call that waits for it is made, with the summary or with lines quoted from the
//! pages in their place.

use std::sync::Arc;

use aosk_abi::{
    Error, ErrorCode, Fact, FinishReason, ModelReply, Pid, Spend, ThinkOptions, Tokens, Wake,
};

use super::think::limit;
use crate::kernel::{Ctx, Kernel};
use crate::mutant::broken;
use crate::process::memory::Planned;
use crate::process::{Memory, ModelCall, SummaryCall};

/// What is asked takes so much, beside the pages.
const INSTRUCTION_TOKENS: u64 = 400;

/// What stands before each page takes so much.
const HEADING_TOKENS: u64 = 16;

/// What stands around a summary in the window.
const FRAME_TOKENS: u64 = 48;

impl Kernel {
    /// The model that makes summaries for a process, if there is one that it may use.
    pub(super) fn summary_model(&self, pid: Pid) -> Option<&str> {
        let model = self.config.summary_model.as_deref()?;
        let may = &self.processes.get(pid)?.spec.capabilities;
        (self.devices.queue(model).is_some() && may.models.allows(model)).then_some(model)
    }

    /// Queues a call for a summary of pages that are to leave.
    pub(super) fn ask_for_summary(
        &mut self,
        cx: &mut Ctx<'_>,
        pid: Pid,
        summary: &SummaryCall,
        planned: &Planned,
    ) -> Result<(), Error> {
        let since = self.next_since();
        let terms = self.terms(pid, &summary.then, cx.now);
        let model = self.summary_model(pid).unwrap_or_default().to_owned();
        let Some(process) = self.processes.get(pid) else {
            return Ok(());
        };
        let output_max = Memory::summary_tokens(planned.window);
        let frames = process.memory.to_summarise(summary.pages, output_max, &process.pages).frames;
        let space = process.memory.space();
        let shown = space.shown().filter(|one| frames.iter().any(|frame| frame.page == one.id));
        let pages = shown.map(|one| u64::from(one.tokens).saturating_add(HEADING_TOKENS));
        let estimate = Tokens(pages.sum::<u64>().saturating_add(INSTRUCTION_TOKENS));
        let options = Arc::new(ThinkOptions {
            model,
            output_max,
            tools: Vec::new(),
            temperature_milli: None,
            window: None,
        });
        let number = process.calls.saturating_add(1);
        let input = process.memory.scaled(estimate);
        let id = Self::call_id(pid, number);
        let room = limit(&self.config, &options);
        self.planned(cx, id, &terms, planned);
        if frames.is_empty() {
            // What is pinned or under way holds all of them.
            self.go_on_thinking(cx, pid, summary, None);
            return Ok(());
        }
        if let Some(room) = room.filter(|room| input > *room) {
            let code = ErrorCode::ModelContextLength;
            let model = &options.model;
            let message =
                format!("summarising with {model}: the pages take {input} tokens, and {room} fit");
            cx.fact(pid, Fact::SummaryFailed { call: id, code, message });
            self.go_on_thinking(cx, pid, summary, None);
            return Ok(());
        }
        let call = ModelCall {
            summary: Some(Box::new(summary.clone())),
            ..ModelCall::new(number, options.clone(), (estimate, input), since)
        };
        cx.fact(
            pid,
            Fact::SummaryCalled {
                call: id,
                model: options.model.clone(),
                pages: summary.pages,
                input: estimate,
                output_max,
            },
        );
        if let Some(process) = self.processes.get_mut(pid) {
            process.calls = number;
        }
        self.enqueue(pid, call);
        Ok(())
    }

    /// A model answered that was asked for a summary.
    pub(crate) fn summary_answered(
        &mut self,
        cx: &mut Ctx<'_>,
        pid: Pid,
        call: &ModelCall,
        summary: &SummaryCall,
        held: &Spend,
        reply: &ModelReply,
    ) {
        let most = call.options.output_max;
        let flaw = match reply.finish {
            FinishReason::Length => Some((ErrorCode::ModelTruncated, "it is too long")),
            FinishReason::Refused => Some((ErrorCode::ModelRefused, "the provider withheld it")),
            FinishReason::Stop | FinishReason::ToolCalls => {
                let is_empty = reply.body.message().text().trim().is_empty();
                is_empty.then_some((ErrorCode::ModelMalformed, "it is empty"))
            }
        };
        if let Some((code, what)) = flaw {
            self.settle_unanswered(cx, pid, call, held, &reply.usage, /*calls*/ 1);
            self.summary_failed(cx, pid, call, summary, code, what);
            return;
        }
        let spend = self.settle_usage(cx.now, (pid, call), held, &reply.usage, /*calls*/ 1);
        if let Some(process) = self.processes.get_mut(pid) {
            process.stats.summaries = process.stats.summaries.saturating_add(1);
        }
        if !broken!(self, SummaryNotStored) {
            cx.fx.bodies.push(reply.body.clone());
        }
        cx.fact(
            pid,
            Fact::Summarised {
                call: Self::call_id(pid, call.number),
                pages: summary.pages,
                body: reply.body.hash(),
                usage: reply.usage,
                cost: spend.micro_usd,
            },
        );
        // Another model's tokens may be larger; whoever renders it keeps to what it is given.
        let written = reply.usage.output.0.saturating_mul(5) / 4;
        // What it wrote before it gave up its slot is not in that count.
        let is_counted = !reply.usage.estimated && written > 0 && call.begun.is_none();
        let tokens = if is_counted { Tokens(written.saturating_add(FRAME_TOKENS)) } else { most };
        self.go_on_thinking(cx, pid, summary, Some((reply.body.hash(), tokens)));
    }

    /// There is no summary; the call that waits for it is made without.
    pub(crate) fn summary_failed(
        &mut self,
        cx: &mut Ctx<'_>,
        pid: Pid,
        call: &ModelCall,
        summary: &SummaryCall,
        code: ErrorCode,
        what: &str,
    ) {
        let message = format!("summarising with {}: {what}", call.options.model);
        let call = Self::call_id(pid, call.number);
        cx.fact(pid, Fact::SummaryFailed { call, code, message });
        self.go_on_thinking(cx, pid, summary, None);
    }

    fn go_on_thinking(
        &mut self,
        cx: &mut Ctx<'_>,
        pid: Pid,
        summary: &SummaryCall,
        text: Option<(aosk_abi::Hash, Tokens)>,
    ) {
        let terms = self.terms(pid, &summary.then, cx.now);
        let Some(process) = self.processes.get_mut(pid) else {
            return;
        };
        let planned = process.memory.summarised(summary.pages, text, &terms);
        match self.queue(cx, pid, (&summary.then, summary.tools), &terms, &planned) {
            Ok(()) => {
                self.interrupt(cx, pid);
            }
            Err(error) => {
                let (code, message) = (error.code, error.message.clone());
                cx.fact(pid, Fact::Refused { syscall: "think".to_owned(), code, message });
                self.wake(cx, pid, Wake::Refused { error });
            }
        }
    }

    /// A summary that this configuration allows no more is not waited for.
    pub(crate) fn boot_summary(&mut self, cx: &mut Ctx<'_>, pid: Pid) {
        let Some(call) = self.processes.get(pid).and_then(|process| process.state.call()) else {
            return;
        };
        let Some(summary) = call.summary.as_deref().cloned() else { return };
        if self.summary_model(pid) == Some(call.options.model.as_str()) {
            return;
        }
        let (call, code) = (call.clone(), ErrorCode::ModelUnknown);
        self.summary_failed(cx, pid, &call, &summary, code, "it is no longer the summary model");
    }
}

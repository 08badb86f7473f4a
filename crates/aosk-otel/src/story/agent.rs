//! A process as a span: an agent that is invoked.

use std::sync::Arc;

use aosk_abi::{ExitStatus, MicroUsd, Pid, Timestamp, Usage};
use aosk_runtime::kernel::Spec;
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::{Span, Status, status};

use crate::figures::nanos;
use crate::ids::Place;
use crate::value::{number, text};

use super::add_event;

/// A process that has not ended.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) place: Place,
    spec: Option<Arc<Spec>>,
    events: Vec<Event>,
    input: u64,
    output: u64,
    cost: u64,
}

impl Agent {
    pub(super) fn new(place: Place, spec: Option<Arc<Spec>>) -> Self {
        Self { place, spec, events: Vec::new(), input: 0, output: 0, cost: 0 }
    }

    pub(super) fn happened(&mut self, event: Event) {
        add_event(&mut self.events, event);
    }

    /// A call of it used so much.
    pub(super) fn used(&mut self, usage: &Usage, cost: MicroUsd) {
        self.input = self.input.saturating_add(usage.input().0);
        self.output = self.output.saturating_add(usage.output.0);
        self.cost = self.cost.saturating_add(cost.0);
    }

    /// The span of a process that ends now; none if it is not to be told of, or nobody knows any more
    /// how it began.
    pub(super) fn span(self, pid: Pid, at: Timestamp, status: ExitStatus) -> Option<Span> {
        let spec = self.spec.filter(|_| self.place.is_told)?;
        let mut attributes = vec![
            text("gen_ai.operation.name", "invoke_agent"),
            text("gen_ai.agent.id", pid.to_string()),
            text("gen_ai.agent.name", &spec.name),
            text("gen_ai.conversation.id", pid.to_string()),
            number("gen_ai.usage.input_tokens", self.input),
            number("gen_ai.usage.output_tokens", self.output),
            number("aosk.cost_micro_usd", self.cost),
            text("aosk.program", &spec.program.name),
            text("aosk.exit", status.to_string()),
        ];
        if !spec.group.is_empty() {
            attributes.push(text("aosk.group", &spec.group));
        }
        let mut told = Status::default();
        if !status.is_finished() {
            told.code = status::StatusCode::Error.into();
            let error = match status {
                ExitStatus::Failed(code) => code.as_str(),
                ExitStatus::OutOfBudget(_) => "out_of_budget",
                ExitStatus::Signalled(_) => "signalled",
                ExitStatus::Finished => "",
            };
            attributes.push(text("error.type", error));
        }
        Some(Span {
            trace_id: self.place.trace.to_vec(),
            span_id: self.place.span.to_vec(),
            parent_span_id: self.place.above.map(|above| above.to_vec()).unwrap_or_default(),
            name: format!("invoke_agent {}", spec.name),
            kind: SpanKind::Internal.into(),
            start_time_unix_nano: nanos(spec.spawned),
            end_time_unix_nano: nanos(at),
            attributes,
            events: self.events,
            status: Some(told),
            ..Span::default()
        })
    }
}

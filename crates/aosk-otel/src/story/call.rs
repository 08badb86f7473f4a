//! A call of a process as a span: a model that is asked, or a tool that is executed.

use std::time::Duration;

use aosk_abi::{Body, CallId, FailureClass, FinishReason, MicroUsd, Timestamp, Usage};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::{Span, Status, status};

use crate::content;
use crate::figures::nanos;
use crate::ids::Place;
use crate::provider;
use crate::value::{fraction, number, text, texts, truth};

/// What is called.
#[derive(Debug)]
pub(super) enum Kind {
    /// A model, by the name that was asked.
    Model { asked: String, output_max: u64 },
    /// A model that makes a summary of what leaves the window.
    Summary { asked: String, output_max: u64 },
    /// A tool.
    Tool { name: String },
}

/// A call that has not ended.
#[derive(Debug)]
pub(super) struct Call {
    kind: Kind,
    pub(super) began: Timestamp,
    pub(super) events: Vec<Event>,
    /// Millionths of a dollar that attempts cost which brought no answer.
    pub(super) charged: u64,
}

/// How a call ended.
#[derive(Debug)]
pub(super) struct End {
    pub(super) at: Timestamp,
    pub(super) usage: Option<Usage>,
    pub(super) cost: MicroUsd,
    finish: Option<FinishReason>,
    /// What went wrong, in a word.
    pub(super) error: Option<String>,
    content: Vec<KeyValue>,
}

impl End {
    fn at(at: Timestamp) -> Self {
        let content = Vec::new();
        Self { at, usage: None, cost: MicroUsd(0), finish: None, error: None, content }
    }

    /// A model answered.
    pub(super) fn answered(
        at: Timestamp,
        usage: &Usage,
        cost: MicroUsd,
        finish: Option<FinishReason>,
    ) -> Self {
        Self { usage: Some(*usage), cost, finish, ..Self::at(at) }
    }

    /// It brought nothing.
    pub(super) fn failed(at: Timestamp, error: &str) -> Self {
        Self { error: Some(error.to_owned()), ..Self::at(at) }
    }

    /// A tool returned.
    pub(super) fn returned(at: Timestamp, is_error: bool) -> Self {
        Self { error: is_error.then(|| "tool_error".to_owned()), ..Self::at(at) }
    }

    /// What was said.
    pub(super) fn say(&mut self, before: &[Body], answer: &Body) {
        self.content.push(text("gen_ai.input.messages", content::messages(before)));
        let answer = content::messages(std::slice::from_ref(answer));
        self.content.push(text("gen_ai.output.messages", answer));
    }

    /// What a tool returned.
    pub(super) fn result(&mut self, result: &Body) {
        self.content.push(text("gen_ai.tool.call.result", content::plain(result)));
    }
}

impl Call {
    pub(super) fn new(kind: Kind, began: Timestamp) -> Self {
        Self { kind, began, events: Vec::new(), charged: 0 }
    }

    /// The name of the model that was asked, if one was.
    pub(super) fn asked(&self) -> Option<&str> {
        match &self.kind {
            Kind::Model { asked, .. } | Kind::Summary { asked, .. } => Some(asked),
            Kind::Tool { .. } => None,
        }
    }

    /// Its span. `told` is the device that it went to and when its first token came, as far as is known,
    /// and `beside` the span of its process if it stands under another.
    pub(super) fn span(
        self,
        id: CallId,
        (place, beside): (Place, Option<Place>),
        told: Option<(&str, Option<Duration>)>,
        end: &End,
    ) -> Span {
        let mut attributes = vec![
            text("gen_ai.agent.id", id.pid.to_string()),
            text("gen_ai.conversation.id", id.pid.to_string()),
        ];
        let (name, kind) = match &self.kind {
            Kind::Tool { name } => {
                attributes.push(text("gen_ai.operation.name", "execute_tool"));
                attributes.push(text("gen_ai.tool.name", name));
                attributes.push(text("gen_ai.tool.call.id", id.to_string()));
                (format!("execute_tool {name}"), SpanKind::Internal)
            }
            Kind::Model { asked, output_max } | Kind::Summary { asked, output_max } => {
                let device = told.map_or(asked.as_str(), |(device, _)| device);
                let (provider, model) = provider::of(device);
                attributes.push(text("gen_ai.operation.name", "chat"));
                attributes.push(text("gen_ai.provider.name", provider));
                attributes.push(text("gen_ai.request.model", model));
                attributes.push(text("aosk.call", id.to_string()));
                attributes.push(text("aosk.asked", asked));
                if *output_max > 0 {
                    attributes.push(number("gen_ai.request.max_tokens", *output_max));
                }
                attributes
                    .push(number("aosk.cost_micro_usd", end.cost.0.saturating_add(self.charged)));
                (format!("chat {model}"), SpanKind::Client)
            }
        };
        if matches!(self.kind, Kind::Summary { .. }) {
            attributes.push(truth("aosk.summary", true));
        }
        if let Some(usage) = &end.usage {
            attributes.extend(used(usage));
        }
        if let Some(finish) = end.finish {
            attributes.push(texts("gen_ai.response.finish_reasons", &[finish_word(finish)]));
        }
        if let Some(first) = told.and_then(|(_, first)| first).filter(|_| end.usage.is_some()) {
            let seconds = first.as_secs_f64();
            attributes.push(fraction("gen_ai.response.time_to_first_chunk", seconds));
        }
        let mut said = Status::default();
        if let Some(error) = &end.error {
            attributes.push(text("error.type", error));
            said.code = status::StatusCode::Error.into();
        }
        attributes.extend(end.content.iter().cloned());
        let links = beside.map(|beside| Link {
            trace_id: beside.trace.to_vec(),
            span_id: beside.span.to_vec(),
            ..Link::default()
        });
        Span {
            trace_id: place.trace.to_vec(),
            span_id: place.span.to_vec(),
            parent_span_id: place.above.map(|above| above.to_vec()).unwrap_or_default(),
            name,
            kind: kind.into(),
            start_time_unix_nano: nanos(self.began),
            end_time_unix_nano: nanos(end.at),
            attributes,
            events: self.events,
            links: links.into_iter().collect(),
            status: Some(said),
            ..Span::default()
        }
    }
}

/// Tokens. Those of the cache are a part of the input, those of reasoning a part of the output.
fn used(usage: &Usage) -> [KeyValue; 6] {
    [
        number("gen_ai.usage.input_tokens", usage.input().0),
        number("gen_ai.usage.output_tokens", usage.output.0),
        number("gen_ai.usage.cache_read.input_tokens", usage.cache_read.0),
        number("gen_ai.usage.cache_creation.input_tokens", usage.cache_write.0),
        number("gen_ai.usage.reasoning.output_tokens", usage.reasoning.0),
        truth("aosk.usage.estimated", usage.estimated),
    ]
}

fn finish_word(finish: FinishReason) -> &'static str {
    match finish {
        FinishReason::Stop => "stop",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::Length => "length",
        FinishReason::Refused => "content_filter",
    }
}

/// How a failure is taken, in a word.
pub(super) fn class_word(class: FailureClass) -> &'static str {
    match class {
        FailureClass::Transient => "transient",
        FailureClass::RateLimited => "rate_limited",
        FailureClass::Final => "final",
    }
}

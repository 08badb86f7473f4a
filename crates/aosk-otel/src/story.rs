//! Facts in, spans out: a process is a span under that of its parent, and each of its calls a span under
//! its own. It reads no clock and sends nothing.

mod agent;
mod call;

use std::collections::BTreeMap;
use std::sync::Arc;

use aosk_abi::{Body, CallId, Entry, Fact, Hash, MessageIndex, Pid, Timestamp, Usage};
use aosk_runtime::TraceParent;
use aosk_runtime::kernel::Spec;
use aosk_runtime::meter::{Happening, Moment};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::Event;

use crate::figures::{Figure, Figures, Labels, nanos};
use crate::ids::{Ids, Place};
use crate::limits::{DEPTH_MAX, EVENTS_MAX, NOTED_MAX};
use crate::provider;
use crate::value::{number, text, truth};

use self::agent::Agent;
use self::call::{Call, End, Kind};

/// What can be looked up about what facts name.
pub(crate) struct Library<'a> {
    /// What a process was started with.
    pub(crate) spec: &'a dyn Fn(Pid) -> Option<Arc<Spec>>,
    /// The last messages of the log of a process before a page, if content is told.
    pub(crate) log: &'a dyn Fn(Pid, MessageIndex) -> Vec<Body>,
    /// A body, if content is told.
    pub(crate) body: &'a dyn Fn(Hash) -> Option<Body>,
}

/// What moments said of a call.
#[derive(Debug, Clone)]
struct Noted {
    /// When it was given its last slot.
    at: Timestamp,
    device: String,
    parent: Option<TraceParent>,
    events: Vec<Event>,
    first: Option<std::time::Duration>,
}

/// What is told of a kernel.
#[derive(Debug)]
pub(crate) struct Story {
    ids: Ids,
    agents: BTreeMap<Pid, Agent>,
    calls: BTreeMap<CallId, Call>,
    noted: BTreeMap<CallId, Noted>,
}

impl Story {
    pub(crate) fn new(ids: Ids) -> Self {
        Self { ids, agents: BTreeMap::new(), calls: BTreeMap::new(), noted: BTreeMap::new() }
    }

    /// Something happened to a call. It is to be heard before the fact of the call's end.
    pub(crate) fn hear(&mut self, moment: Moment) {
        let Moment { call, what } = moment;
        match what {
            Happening::Slot { at, device, attempt, waited, parent } => {
                if self.noted.len() >= NOTED_MAX {
                    self.noted.pop_first();
                }
                let event = event(
                    at,
                    "aosk.slot",
                    vec![
                        text("aosk.device", &device),
                        number("aosk.attempt", u64::from(attempt)),
                        number("aosk.waited_ms", waited.0),
                    ],
                );
                let before = self.noted.remove(&call).map(|noted| noted.events);
                let mut events = before.unwrap_or_default();
                add_event(&mut events, event);
                self.noted.insert(call, Noted { at, device, parent, events, first: None });
            }
            Happening::FirstToken(after) => {
                if let Some(noted) = self.noted.get_mut(&call) {
                    noted.first = Some(after);
                }
            }
        }
    }

    /// Takes a fact. Spans that end with it are added to `spans`.
    pub(crate) fn take(
        &mut self,
        entry: &Entry,
        library: &Library<'_>,
        (figures, spans): (&mut Figures, &mut Vec<Span>),
    ) {
        let (Some(pid), at) = (entry.pid, entry.at) else {
            return;
        };
        match &entry.fact {
            Fact::Spawned { .. } => drop(self.agent(pid, library)),
            Fact::ModelCalled { call, model, output_max, .. } => {
                let kind = Kind::Model { asked: model.clone(), output_max: output_max.0 };
                self.calls.insert(*call, Call::new(kind, at));
            }
            Fact::SummaryCalled { call, model, output_max, .. } => {
                let kind = Kind::Summary { asked: model.clone(), output_max: output_max.0 };
                self.calls.insert(*call, Call::new(kind, at));
            }
            Fact::ToolCalled { call, tool, .. } => {
                self.calls.insert(*call, Call::new(Kind::Tool { name: tool.clone() }, at));
            }
            Fact::ModelAnswered { call, page, body, usage, cost, finish } => {
                let mut end = End::answered(at, usage, *cost, Some(*finish));
                if let Some(answer) = (library.body)(*body) {
                    end.say((library.log)(pid, *page).as_slice(), &answer);
                }
                self.ended((*call, pid), &end, library, (figures, spans));
            }
            Fact::Summarised { call, usage, cost, .. } => {
                let end = End::answered(at, usage, *cost, None);
                self.ended((*call, pid), &end, library, (figures, spans));
            }
            Fact::ModelFailed { call, code, .. } | Fact::SummaryFailed { call, code, .. } => {
                let end = End::failed(at, code.as_str());
                self.ended((*call, pid), &end, library, (figures, spans));
            }
            Fact::ToolReturned { call, body, is_error } => {
                let mut end = End::returned(at, *is_error);
                if let Some(result) = (library.body)(*body) {
                    end.result(&result);
                }
                self.ended((*call, pid), &end, library, (figures, spans));
            }
            Fact::ModelRetried { call, .. }
            | Fact::ModelRouted { call, .. }
            | Fact::ModelPreempted { call, .. }
            | Fact::MemoryCut { call, .. } => {
                if let Some(event) = call_event(&entry.fact, at) {
                    self.happened(*call, event);
                }
            }
            Fact::ModelCharged { call, spend } => {
                if let Some(call) = self.calls.get_mut(call) {
                    call.charged = call.charged.saturating_add(spend.micro_usd.0);
                }
            }
            Fact::RunawayFound { what, times, .. } => {
                let said =
                    vec![text("aosk.what", what.word()), number("aosk.times", u64::from(*times))];
                self.agent(pid, library).happened(event(at, "aosk.runaway", said));
            }
            Fact::BudgetAsked { .. } => {
                let asked = event(at, "aosk.budget.asked", Vec::new());
                self.agent(pid, library).happened(asked);
            }
            Fact::BudgetAnswered { granted, .. } => {
                let said = vec![truth("aosk.granted", *granted)];
                let answered = event(at, "aosk.budget.answered", said);
                self.agent(pid, library).happened(answered);
            }
            Fact::Exited { status, .. } => {
                // What is still under way is cut off and will not be heard of.
                for call in self.open_calls(pid) {
                    let end = End::failed(at, "cancelled");
                    self.ended((call, pid), &end, library, (figures, spans));
                }
                self.agent(pid, library);
                if let Some(agent) = self.agents.remove(&pid) {
                    spans.extend(agent.span(pid, at, *status));
                }
            }
            Fact::WindowExceeded { .. }
            | Fact::PageFaulted { .. }
            | Fact::PageRecalled { .. }
            | Fact::PagePinned { .. }
            | Fact::PageForgotten { .. }
            | Fact::TaskBegun { .. }
            | Fact::TaskEnded { .. }
            | Fact::CacheMissed { .. }
            | Fact::Refused { .. }
            | Fact::MessageSent { .. }
            | Fact::MessageReceived { .. }
            | Fact::Signalled { .. }
            | Fact::Reniced { .. }
            | Fact::BudgetExpired { .. }
            | Fact::BudgetSet { .. }
            | Fact::PolicySet { .. }
            | Fact::Reconfigured { .. }
            | Fact::Booted { .. } => {}
        }
    }

    /// A call has ended.
    fn ended(
        &mut self,
        (id, pid): (CallId, Pid),
        end: &End,
        library: &Library<'_>,
        (figures, spans): (&mut Figures, &mut Vec<Span>),
    ) {
        let noted = self.noted.remove(&id);
        let Some(mut call) = self.calls.remove(&id).or_else(|| begun_before(noted.as_ref(), end))
        else {
            return;
        };
        if let Some(noted) = &noted {
            noted.events.iter().cloned().for_each(|event| add_event(&mut call.events, event));
        }
        let span = self.ids.call(id);
        let agent = self.agent(pid, library);
        if let Some(usage) = &end.usage {
            agent.used(usage, end.cost);
        }
        let own = agent.place;
        let client = noted.as_ref().and_then(|noted| noted.parent);
        // A client that asks knows the call as a part of its own work; the process is beside it.
        let (place, beside) = match &client {
            Some(client) => (Place::under_client(client, span), Some(own)),
            None => (own.under(span), None),
        };
        if let Some(asked) = call.asked() {
            let device = noted.as_ref().map_or(asked, |noted| noted.device.as_str());
            count(figures, device, (noted.as_ref(), call.began), end);
        }
        let told = noted.as_ref().map(|noted| (noted.device.as_str(), noted.first));
        if place.is_told {
            spans.push(call.span(id, (place, beside), told, end));
        }
    }

    fn happened(&mut self, call: CallId, event: Event) {
        if let Some(call) = self.calls.get_mut(&call) {
            add_event(&mut call.events, event);
        }
    }

    fn open_calls(&self, pid: Pid) -> Vec<CallId> {
        let all = CallId { pid, number: 0 }..=CallId { pid, number: u32::MAX };
        self.calls.range(all).map(|(call, _)| *call).collect()
    }

    /// What is known of a process; one that began before anybody followed is looked up.
    fn agent(&mut self, pid: Pid, library: &Library<'_>) -> &mut Agent {
        let ids = self.ids;
        self.agents.entry(pid).or_insert_with(|| {
            let spec = (library.spec)(pid);
            Agent::new(place(ids, pid, spec.as_ref(), library), spec)
        })
    }
}

/// Where a process stands: under its parent, or under the span that it was started under, or at the
/// beginning of a trace.
fn place(ids: Ids, pid: Pid, spec: Option<&Arc<Spec>>, library: &Library<'_>) -> Place {
    let span = ids.process(pid);
    let parent = spec.and_then(|spec| spec.parent);
    let (mut root, mut oldest) = (pid, spec.cloned());
    for _ in 0..DEPTH_MAX {
        let Some(above) = oldest.as_ref().and_then(|spec| spec.parent) else { break };
        (root, oldest) = (above, (library.spec)(above));
    }
    let client = oldest.and_then(|spec| TraceParent::kept_in(&spec.program));
    match (client, parent) {
        (Some(client), None) => Place::under_client(&client, span),
        (Some(client), Some(parent)) => {
            Place { above: Some(ids.process(parent)), ..Place::under_client(&client, span) }
        }
        (None, parent) => Place {
            trace: ids.trace(root),
            span,
            above: parent.map(|parent| ids.process(parent)),
            is_told: true,
        },
    }
}

/// A model call whose beginning nobody followed.
fn begun_before(noted: Option<&Noted>, end: &End) -> Option<Call> {
    let Noted { at, device, .. } = noted?;
    end.usage?;
    Some(Call::new(Kind::Model { asked: device.clone(), output_max: 0 }, *at))
}

/// Counts a model call.
fn count(
    figures: &mut Figures,
    device: &str,
    (noted, began): (Option<&Noted>, Timestamp),
    end: &End,
) {
    let (provider, model) = provider::of(device);
    let labels = |more: Option<(&'static str, &str)>| Labels {
        provider: provider.to_owned(),
        model: model.to_owned(),
        more: more.map(|(key, value)| (key, value.to_owned())),
    };
    let began = noted.map_or(began, |noted| noted.at);
    let error = end.error.as_ref().map(|error| ("error.type", error.as_str()));
    figures.took(Figure::Duration, labels(error), end.at.since(began).duration());
    if let Some(Usage { output, .. }) = &end.usage {
        let input = end.usage.map_or(0, |usage| usage.input().0);
        figures.used(labels(Some(("gen_ai.token.type", "input"))), input);
        figures.used(labels(Some(("gen_ai.token.type", "output"))), output.0);
        if let Some(first) = noted.and_then(|noted| noted.first) {
            figures.took(Figure::FirstChunk, labels(None), first);
            figures.took(Figure::FirstToken, labels(None), first);
        }
    }
}

fn event(at: Timestamp, name: &str, attributes: Vec<KeyValue>) -> Event {
    let (time_unix_nano, name) = (nanos(at), name.to_owned());
    Event { time_unix_nano, name, attributes, dropped_attributes_count: 0 }
}

/// Adds an event, if there is room for one more.
fn add_event(events: &mut Vec<Event>, event: Event) {
    if events.len() < EVENTS_MAX {
        events.push(event);
    }
}

#[cfg(test)]
mod tests;

/// What a fact says that happened to a call that goes on.
fn call_event(fact: &Fact, at: Timestamp) -> Option<Event> {
    let (name, said) = if let Fact::ModelRetried { failure, class, code, wait, .. } = fact {
        let said = vec![
            number("aosk.failure", u64::from(*failure)),
            text("error.type", code.as_str()),
            text("aosk.failure.class", call::class_word(*class)),
            number("aosk.wait_ms", wait.0),
        ];
        ("aosk.retry", said)
    } else if let Fact::ModelRouted { device, by, waited, .. } = fact {
        let said = vec![
            text("aosk.device", device),
            text("aosk.route.by", by.word()),
            number("aosk.wait_ms", waited.0),
        ];
        ("aosk.routed", said)
    } else if let Fact::ModelPreempted { ran, .. } = fact {
        ("aosk.preempted", vec![number("aosk.ran_ms", ran.0)])
    } else if let Fact::MemoryCut { before, after, .. } = fact {
        let said = vec![
            number("aosk.memory.before_tokens", before.0),
            number("aosk.memory.after_tokens", after.0),
        ];
        ("aosk.memory.cut", said)
    } else {
        return None;
    };
    Some(event(at, name, said))
}

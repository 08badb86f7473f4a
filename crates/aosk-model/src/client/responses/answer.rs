//! The answer in Responses, whole and as events, in the order in which OpenAI sends them.

use aosk_abi::{ErrorCode, FinishReason, ModelReply, ToolUse, Usage};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::echo::Echo;
use super::event::{Event, Item, OutputText, Place, SummaryText, Wire};
use crate::client::carried::{self, Parts};
use crate::client::error;
use crate::client::told::{Sums, Told, frame, json};
use crate::client::{Asked, Frame};
use crate::driver::Delta;
use crate::order;

/// Items of reasoning that this format knows.
const OWN: &[&str] = &["reasoning"];

/// An answer in this format.
#[derive(Debug)]
pub(in crate::client) struct Answer {
    id: String,
    model: String,
    created: u64,
    echo: Echo,
    /// How many events there were.
    events: u64,
    /// The item that pieces go to.
    open: Option<Open>,
    /// The items that are whole.
    items: Vec<Box<RawValue>>,
    told: Told,
}

/// An item as far as it has come.
#[derive(Debug)]
struct Open {
    kind: Kind,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Reasoning,
    Message,
}

impl Answer {
    pub(in crate::client) fn new(model: &str, id: &str, created: u64, asked: &Asked) -> Self {
        Self {
            id: id.to_owned(),
            model: model.to_owned(),
            created,
            echo: Echo::of(asked),
            events: 0,
            open: None,
            items: Vec::new(),
            told: Told::default(),
        }
    }

    pub(in crate::client) fn whole(&self, reply: &ModelReply) -> Vec<u8> {
        let parts = Parts::of(reply.body.message());
        let thought = carried::readable(parts.reasoning);
        let status = Ending::of(reply.finish).status;
        let wholes = pieces(&parts, &thought);
        let items = wholes.iter().enumerate().filter_map(|(index, piece)| {
            to_raw_value(&piece.item(&self.item_id(piece.prefix(), index), status)).ok()
        });
        json(&self.response(&items.collect::<Vec<_>>(), Some(reply))).into_bytes()
    }

    pub(in crate::client) fn delta(&mut self, delta: &Delta) -> Vec<Frame> {
        let mut frames = Vec::new();
        match delta {
            Delta::Text(text) => {
                self.told.text.push_str(text);
                self.piece(Kind::Message, text, &mut frames);
            }
            Delta::Reasoning(text) => {
                self.told.reasoning.push_str(text);
                self.piece(Kind::Reasoning, text, &mut frames);
            }
            Delta::ToolCall { .. } | Delta::Arguments(_) => {}
        }
        frames
    }

    pub(in crate::client) fn finish(&mut self, reply: &ModelReply) -> Vec<Frame> {
        let parts = Parts::of(reply.body.message());
        let thought = carried::readable(parts.reasoning);
        let ending = Ending::of(reply.finish);
        let mut frames = Vec::new();
        self.begin(&mut frames);
        if self.open.is_none() && self.items.is_empty() {
            for piece in pieces(&parts, &thought) {
                self.tell(&piece, ending.status, &mut frames);
            }
        } else {
            let more = self.told.rest_of_reasoning(&thought).to_owned();
            let said = self.told.rest_of_text(&parts.text).to_owned();
            if !more.is_empty() {
                self.piece(Kind::Reasoning, &more, &mut frames);
            }
            if !said.is_empty() {
                self.piece(Kind::Message, &said, &mut frames);
            }
            self.close(ending.status, &mut frames);
            // What was thought is told, and only now is known what was signed of it.
            let signed = carried::close(parts.reasoning);
            let signed = signed.map(|signed| Piece::Thought { text: "", signed: Some(signed) });
            for piece in signed.into_iter().chain(parts.calls.iter().map(Piece::Call)) {
                self.tell(&piece, ending.status, &mut frames);
            }
        }
        self.close(ending.status, &mut frames);
        let response = to_raw_value(&self.response(&self.items, Some(reply))).unwrap_or_default();
        let end = match ending.status {
            "completed" => Wire::Completed { response: &response },
            _ => Wire::Incomplete { response: &response },
        };
        self.push(end, &mut frames);
        frames
    }

    /// The event of a failure, after which nothing more comes.
    pub(in crate::client) fn failed(&mut self, status: u16, code: ErrorCode, text: &str) -> Frame {
        let number = self.events;
        self.events += 1;
        error::numbered(status, code, text, number)
    }

    fn response<'a>(
        &'a self,
        output: &'a [Box<RawValue>],
        reply: Option<&ModelReply>,
    ) -> WireResponse<'a> {
        let ending = reply.map(|reply| Ending::of(reply.finish));
        WireResponse {
            id: &self.id,
            object: "response",
            created_at: self.created,
            status: ending.map_or("in_progress", |ending| ending.status),
            error: None,
            incomplete_details: ending
                .and_then(|ending| ending.reason)
                .map(|reason| Why { reason }),
            model: &self.model,
            output,
            usage: reply.map(|reply| WireUsage::of(&reply.usage)),
            echo: &self.echo,
        }
    }

    /// The id of an item, by its place in the answer.
    fn item_id(&self, prefix: &str, index: usize) -> String {
        let of = self.id.strip_prefix("resp_").unwrap_or(&self.id);
        format!("{prefix}_{of}_{index}")
    }

    fn push(&mut self, event: Wire<'_>, frames: &mut Vec<Frame>) {
        let sequence_number = self.events;
        self.events += 1;
        frames.push(frame(Some(event.name()), &Event { sequence_number, event }));
    }

    fn begin(&mut self, frames: &mut Vec<Frame>) {
        if self.events == 0 {
            let response = to_raw_value(&self.response(&[], None)).unwrap_or_default();
            self.push(Wire::Created { response: &response }, frames);
            self.push(Wire::InProgress { response: &response }, frames);
        }
    }

    /// Tells a piece of the item that is open, or of a new one.
    fn piece(&mut self, kind: Kind, delta: &str, frames: &mut Vec<Frame>) {
        self.begin(frames);
        if self.open.as_ref().is_none_or(|open| open.kind != kind) {
            self.close("completed", frames);
            self.open(kind, frames);
        }
        if let Some(open) = &mut self.open {
            open.text.push_str(delta);
        }
        let item_id = self.item_id(kind.prefix(), self.items.len());
        let place = Place { item_id: &item_id, output_index: self.items.len() };
        let event = match kind {
            Kind::Reasoning => Wire::ReasoningDelta { place, summary_index: 0, delta },
            Kind::Message => Wire::TextDelta { place, content_index: 0, delta, logprobs: [] },
        };
        self.push(event, frames);
    }

    fn open(&mut self, kind: Kind, frames: &mut Vec<Frame>) {
        let output_index = self.items.len();
        let item_id = self.item_id(kind.prefix(), output_index);
        let place = Place { item_id: &item_id, output_index };
        let (item, part) = match kind {
            Kind::Reasoning => (
                Item::reasoning(&item_id, None, None),
                Wire::SummaryAdded { place, summary_index: 0, part: SummaryText::of("") },
            ),
            Kind::Message => (
                Item::message(&item_id, "in_progress", None),
                Wire::PartAdded { place, content_index: 0, part: OutputText::of("") },
            ),
        };
        self.push(Wire::ItemAdded { output_index, item: &item }, frames);
        self.push(part, frames);
        self.open = Some(Open { kind, text: String::new() });
    }

    /// Ends the item that is open, as it stands with this status.
    fn close(&mut self, status: &'static str, frames: &mut Vec<Frame>) {
        let Some(Open { kind, text }) = self.open.take() else { return };
        let output_index = self.items.len();
        let item_id = self.item_id(kind.prefix(), output_index);
        let place = Place { item_id: &item_id, output_index };
        let text = text.as_str();
        let (item, done, part) = match kind {
            Kind::Reasoning => (
                Item::reasoning(&item_id, Some(text), Some(carried::UNSIGNED)),
                Wire::ReasoningDone { place, summary_index: 0, text },
                Wire::SummaryDone { place, summary_index: 0, part: SummaryText::of(text) },
            ),
            Kind::Message => (
                Item::message(&item_id, status, Some(text)),
                Wire::TextDone { place, content_index: 0, text, logprobs: [] },
                Wire::PartDone { place, content_index: 0, part: OutputText::of(text) },
            ),
        };
        self.push(done, frames);
        self.push(part, frames);
        self.end(&item, frames);
    }

    /// Tells that an item is whole, and keeps it.
    fn end(&mut self, item: &Item<'_>, frames: &mut Vec<Frame>) {
        self.push(Wire::ItemDone { output_index: self.items.len(), item }, frames);
        // An item has no map with odd keys, so it always has a JSON form.
        self.items.extend(to_raw_value(item).ok());
    }

    /// Tells a piece that came whole.
    fn tell(&mut self, piece: &Piece<'_>, status: &'static str, frames: &mut Vec<Frame>) {
        let output_index = self.items.len();
        let item_id = self.item_id(piece.prefix(), output_index);
        match piece {
            Piece::Said(text) => {
                self.piece(Kind::Message, text, frames);
                self.close(status, frames);
            }
            Piece::Thought { text, signed: None } => {
                self.piece(Kind::Reasoning, text, frames);
                self.close(status, frames);
            }
            Piece::Thought { .. } | Piece::Own(_) => {
                let item = piece.item(&item_id, status);
                self.push(Wire::ItemAdded { output_index, item: &item }, frames);
                self.end(&item, frames);
            }
            Piece::Call(call) => {
                let place = Place { item_id: &item_id, output_index };
                let (name, arguments) = (call.name.as_str(), carried::arguments(call));
                let begun = Item::call(&item_id, "in_progress", call, "");
                self.push(Wire::ItemAdded { output_index, item: &begun }, frames);
                self.push(Wire::ArgumentsDelta { place, delta: arguments }, frames);
                self.push(Wire::ArgumentsDone { place, name, arguments }, frames);
                self.end(&piece.item(&item_id, status), frames);
            }
        }
    }
}

impl Kind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Reasoning => "rs",
            Self::Message => "msg",
        }
    }
}

/// A piece of an answer that becomes an item.
enum Piece<'a> {
    /// Reasoning in words, and what was signed of it.
    Thought {
        text: &'a str,
        signed: Option<String>,
    },
    /// An item that is given out as it came.
    Own(&'a RawValue),
    Said(&'a str),
    Call(&'a ToolUse),
}

/// The pieces of a whole answer, in its order.
fn pieces<'a>(parts: &'a Parts<'a>, thought: &'a str) -> Vec<Piece<'a>> {
    let text = parts.text.as_str();
    if carried::is_native(parts.reasoning, OWN) {
        let items = order::of(parts.reasoning, text, parts.calls, |kind| OWN.contains(&kind));
        let piece = |item| match item {
            order::Item::Own(json) => serde_json::from_str(json).ok().map(Piece::Own),
            order::Item::Text(text, _) => Some(Piece::Said(text)),
            order::Item::Call(call, _) => Some(Piece::Call(call)),
        };
        return items.into_iter().filter_map(piece).collect();
    }
    let signed = carried::close(parts.reasoning);
    let has_thought = !thought.is_empty() || signed.is_some();
    let thought = has_thought.then_some(Piece::Thought { text: thought, signed });
    let said = (!text.is_empty()).then_some(Piece::Said(text));
    thought.into_iter().chain(said).chain(parts.calls.iter().map(Piece::Call)).collect()
}

impl Piece<'_> {
    fn prefix(&self) -> &'static str {
        match self {
            Self::Thought { .. } | Self::Own(_) => "rs",
            Self::Said(_) => "msg",
            Self::Call(_) => "fc",
        }
    }

    /// The item that it is as a whole.
    fn item<'a>(&'a self, id: &'a str, status: &'static str) -> Item<'a> {
        match self {
            Self::Thought { text, signed } => {
                let text = Some(*text).filter(|text| !text.is_empty());
                Item::reasoning(id, text, signed.as_deref().or(Some(carried::UNSIGNED)))
            }
            Self::Own(json) => Item::Own(json),
            Self::Said(text) => Item::message(id, status, Some(text)),
            Self::Call(call) => Item::call(id, status, call, carried::arguments(call)),
        }
    }
}

/// How a response ends.
#[derive(Clone, Copy)]
struct Ending {
    status: &'static str,
    reason: Option<&'static str>,
}

impl Ending {
    fn of(finish: FinishReason) -> Self {
        match finish {
            FinishReason::Stop | FinishReason::ToolCalls => {
                Self { status: "completed", reason: None }
            }
            FinishReason::Length => {
                Self { status: "incomplete", reason: Some("max_output_tokens") }
            }
            FinishReason::Refused => Self { status: "incomplete", reason: Some("content_filter") },
        }
    }
}

#[derive(Serialize)]
struct WireResponse<'a> {
    id: &'a str,
    object: &'static str,
    created_at: u64,
    status: &'static str,
    error: Option<()>,
    incomplete_details: Option<Why>,
    model: &'a str,
    output: &'a [Box<RawValue>],
    usage: Option<WireUsage>,
    #[serde(flatten)]
    echo: &'a Echo,
}

#[derive(Serialize)]
struct Why {
    reason: &'static str,
}

#[derive(Serialize)]
struct WireUsage {
    input_tokens: u64,
    input_tokens_details: WireInput,
    output_tokens: u64,
    output_tokens_details: WireOutput,
    total_tokens: u64,
}

#[derive(Serialize)]
struct WireInput {
    cached_tokens: u64,
    cache_write_tokens: u64,
}

#[derive(Serialize)]
struct WireOutput {
    reasoning_tokens: u64,
}

impl WireUsage {
    fn of(usage: &Usage) -> Self {
        let Sums { input, cached, written, output, reasoning, total } = Sums::of(usage);
        Self {
            input_tokens: input,
            input_tokens_details: WireInput { cached_tokens: cached, cache_write_tokens: written },
            output_tokens: output,
            output_tokens_details: WireOutput { reasoning_tokens: reasoning },
            total_tokens: total,
        }
    }
}

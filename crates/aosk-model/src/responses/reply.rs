//! What was answered: a whole response or the events of a stream, assembled into one message.
//!
//! Items are known by their id, since not every server says where in the answer they stand. What an event
//! says at an item's end counts more than its pieces before. A server may call complete what it cut off, so
//! calls are checked to be whole.

use std::collections::BTreeMap;

use aosk_abi::{Failure, Tokens, ToolUse, Usage};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::arguments;
use crate::counted::Counted;
use crate::driver::Delta;
use crate::exchange::{self, Context, Ending, Progress, Said};
use crate::order::Order;
use crate::text::Text;

/// An answer as far as it has come.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    items: Vec<Item>,
    /// Where the item of each id stands.
    places: BTreeMap<String, usize>,
    /// How many calls have begun.
    calls: usize,
    /// Why it ends, when that is said.
    status: Option<Status>,
    usage: Option<Usage>,
    /// The most tokens that were asked for.
    bound: Tokens,
    has_begun: bool,
    /// Bytes kept.
    bytes: usize,
}

/// How a response ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Completed,
    Length,
    Filtered,
    /// It is not complete, for a reason that is not known.
    Incomplete,
}

/// An item as far as it has come.
#[derive(Debug)]
struct Item {
    id: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Message {
        text: String,
        refusal: String,
    },
    Reasoning {
        plain: String,
        item: Option<String>,
    },
    Call(ToolUse),
    /// A kind that is not understood, such as the provider's own tools.
    Other,
}

/// Reasoning as it goes back: the item without what only the answer has.
#[derive(Serialize)]
struct Thought<'a> {
    r#type: &'static str,
    id: &'a str,
    summary: Option<&'a RawValue>,
    encrypted_content: &'a str,
}

impl exchange::Assembly for Assembly {
    fn take_whole(&mut self, json: &[u8], cx: &Context<'_>) -> Result<(), Failure> {
        let response: WireResponse<'_> = cx.parse(json)?;
        if response.output.is_none() {
            return Err(cx.lacking(json, "it has no output"));
        }
        self.take_response(response, json, cx)?;
        cx.endpoint.check_length(self.bytes)
    }

    fn take_event(&mut self, json: &[u8], cx: &Context<'_>) -> Result<(), Failure> {
        let event: WireEvent<'_> = cx.parse(json)?;
        let delta = event.delta.as_ref().map(|delta| delta.0.as_ref()).unwrap_or_default();
        let id = event.item_id.as_ref().map(|id| id.0.as_ref()).unwrap_or_default();
        match event.kind.as_ref().map(|kind| kind.0.as_ref()) {
            Some("response.output_item.added" | "response.output_item.done") => {
                if let Some(item) = event.item {
                    self.take_item(&item, cx);
                }
            }
            Some("response.output_text.delta") => self.add_text(id, delta, cx),
            Some("response.refusal.delta") => self.add_refusal(id, delta, cx),
            Some("response.reasoning_text.delta" | "response.reasoning_summary_text.delta") => {
                self.add_reasoning(id, delta, cx);
            }
            Some("response.function_call_arguments.delta") => self.add_arguments(id, delta, cx),
            Some("response.completed" | "response.incomplete" | "response.failed") => {
                if let Some(raw) = event.response {
                    let raw = raw.get().as_bytes();
                    self.take_response(cx.parse(raw)?, raw, cx)?;
                }
            }
            // Those without a type are errors of servers that have none for them.
            Some("error") | None => return Err(cx.refused(json)),
            Some(_) => {}
        }
        cx.endpoint.check_length(self.bytes)
    }

    fn progress(&self) -> Progress {
        match self.status {
            // Nothing follows, not even a mark that the stream is over.
            Some(_) => Progress::Over,
            None if self.has_begun => Progress::Begun,
            None => Progress::Nothing,
        }
    }

    fn into_said(self) -> Said {
        let ending = self.ending();
        let counted = self.usage.map(|usage| Counted { usage, output_is_final: true });
        let (mut text, mut plain, mut calls) = (String::new(), String::new(), Vec::new());
        let mut order = Order::default();
        for item in self.items {
            match item.kind {
                Kind::Message { text: said, refusal } => {
                    order.said(said.len() + refusal.len(), None);
                    text.push_str(&said);
                    text.push_str(&refusal);
                }
                Kind::Reasoning { plain: _, item: Some(item) } => order.own(item),
                Kind::Reasoning { plain: thought, item: None } => plain.push_str(&thought),
                Kind::Call(call) => {
                    order.called(None);
                    calls.push(call);
                }
                Kind::Other => {}
            }
        }
        let plain = (!plain.is_empty()).then_some(plain);
        Said { text, reasoning: order.finish().or(plain), calls, ending, counted }
    }
}

impl Assembly {
    fn take_response(
        &mut self,
        response: WireResponse<'_>,
        json: &[u8],
        cx: &Context<'_>,
    ) -> Result<(), Failure> {
        if let Some(usage) = response.usage.and_then(read_usage) {
            self.usage = Some(usage);
        }
        if response.error.is_some_and(|error| error.get() != "null") {
            return Err(cx.refused(json));
        }
        // A stream has brought its items already.
        if self.items.is_empty() {
            for item in response.output.unwrap_or_default() {
                self.take_item(&item, cx);
            }
        }
        let reason = response.incomplete_details.and_then(|details| details.reason);
        let status = Text::some(response.status.as_ref());
        self.has_begun = true;
        self.bound = cx.request.options.output_max;
        self.status = Some(match (status, Text::some(reason.as_ref())) {
            (_, Some("max_output_tokens" | "max_tokens")) => Status::Length,
            (_, Some("content_filter")) => Status::Filtered,
            (Some("incomplete" | "failed" | "cancelled"), _) | (_, Some(_)) => Status::Incomplete,
            (Some(_) | None, None) => Status::Completed,
        });
        Ok(())
    }

    /// Takes an item, new or at its end.
    fn take_item(&mut self, item: &WireItem<'_>, cx: &Context<'_>) {
        self.has_begun = true;
        let id = item.id.as_ref().map(|id| id.0.as_ref()).unwrap_or_default();
        match item.kind.as_ref().map(|kind| kind.0.as_ref()) {
            Some("message") => self.take_message(id, item.content, cx),
            Some("reasoning") => self.take_reasoning(id, item, cx),
            Some("function_call") => self.take_call(id, item, cx),
            Some(_) | None => {
                self.place(id, |_| true, || Kind::Other);
            }
        }
    }

    fn take_message(&mut self, id: &str, content: Option<&RawValue>, cx: &Context<'_>) {
        let parts =
            content.and_then(|raw| serde_json::from_str::<Vec<WirePart<'_>>>(raw.get()).ok());
        let said = |field: fn(&WirePart<'_>) -> Option<String>| -> String {
            parts.iter().flatten().filter_map(field).collect()
        };
        let text = said(|part| Text::some(part.text.as_ref()).map(str::to_owned));
        let refusal = said(|part| Text::some(part.refusal.as_ref()).map(str::to_owned));
        let is_new = |kind: &Kind| matches!(kind, Kind::Message { text, refusal } if text.is_empty() && refusal.is_empty());
        let at = self.place(id, |kind| matches!(kind, Kind::Message { .. }), Kind::message);
        // What came in pieces is there already.
        if self.items.get(at).is_some_and(|item| is_new(&item.kind)) {
            self.add_text(id, &text, cx);
            self.add_refusal(id, &refusal, cx);
        }
    }

    fn take_reasoning(&mut self, id: &str, wire: &WireItem<'_>, cx: &Context<'_>) {
        let is_reasoning = |kind: &Kind| matches!(kind, Kind::Reasoning { .. });
        let at = self.place(id, is_reasoning, Kind::reasoning);
        if let Some(encrypted) = Text::some(wire.encrypted_content.as_ref()) {
            let summary = wire.summary;
            let thought =
                Thought { r#type: "reasoning", id, summary, encrypted_content: encrypted };
            let json = serde_json::to_string(&thought).ok();
            self.bytes += json.as_ref().map_or(0, String::len);
            if let Some(Item { kind: Kind::Reasoning { item, .. }, .. }) = self.items.get_mut(at) {
                *item = json;
            }
        }
        let is_new = self.items.get(at).is_some_and(
            |item| matches!(&item.kind, Kind::Reasoning { plain, .. } if plain.is_empty()),
        );
        // A summary that is there as a whole is shown as one.
        let read = |raw: Option<&RawValue>| -> String {
            let parts = raw.and_then(|raw| serde_json::from_str::<Text<'_>>(raw.get()).ok());
            parts.map(|text| text.0.into_owned()).unwrap_or_default()
        };
        if is_new {
            let said = read(wire.content);
            let said = if said.is_empty() { read(wire.summary) } else { said };
            self.add_reasoning(id, &said, cx);
        }
    }

    fn take_call(&mut self, id: &str, item: &WireItem<'_>, cx: &Context<'_>) {
        let own = |text: Option<&Text<'_>>| Text::some(text).unwrap_or_default().to_owned();
        let (call_id, name) = (own(item.call_id.as_ref()), own(item.name.as_ref()));
        let arguments = own(item.arguments.as_ref());
        let at = self.place(id, |kind| matches!(kind, Kind::Call(_)), Kind::call);
        let Some(Item { kind: Kind::Call(call), .. }) = self.items.get_mut(at) else { return };
        let is_first_name = call.name.is_empty() && !name.is_empty();
        if is_first_name {
            self.bytes += call_id.len() + name.len();
            (call.id, call.name) = (call_id, name.clone());
        }
        if !arguments.is_empty() {
            self.bytes += arguments.len().saturating_sub(call.arguments.len());
            call.arguments = arguments;
        }
        if is_first_name {
            let index = self.calls;
            self.calls += 1;
            cx.tell(|| Delta::ToolCall { index, name });
        }
    }

    fn add_text(&mut self, id: &str, more: &str, cx: &Context<'_>) {
        let at = self.place(id, |kind| matches!(kind, Kind::Message { .. }), Kind::message);
        if let Some(Item { kind: Kind::Message { text, .. }, .. }) = self.items.get_mut(at) {
            text.push_str(more);
            self.grow(more, Delta::Text, cx);
        }
    }

    fn add_refusal(&mut self, id: &str, more: &str, cx: &Context<'_>) {
        let at = self.place(id, |kind| matches!(kind, Kind::Message { .. }), Kind::message);
        if let Some(Item { kind: Kind::Message { refusal, .. }, .. }) = self.items.get_mut(at) {
            refusal.push_str(more);
            self.grow(more, Delta::Text, cx);
        }
    }

    fn add_reasoning(&mut self, id: &str, more: &str, cx: &Context<'_>) {
        let is_reasoning = |kind: &Kind| matches!(kind, Kind::Reasoning { .. });
        let at = self.place(id, is_reasoning, Kind::reasoning);
        if let Some(Item { kind: Kind::Reasoning { plain, .. }, .. }) = self.items.get_mut(at) {
            plain.push_str(more);
            self.grow(more, Delta::Reasoning, cx);
        }
    }

    fn add_arguments(&mut self, id: &str, more: &str, cx: &Context<'_>) {
        let at = self.place(id, |kind| matches!(kind, Kind::Call(_)), Kind::call);
        if let Some(Item { kind: Kind::Call(call), .. }) = self.items.get_mut(at) {
            call.arguments.push_str(more);
            self.bytes += more.len();
            cx.tell_arguments(more);
        }
    }

    fn grow(&mut self, more: &str, delta: fn(String) -> Delta, cx: &Context<'_>) {
        self.bytes += more.len();
        if !more.is_empty() {
            cx.tell(|| delta(more.to_owned()));
        }
    }

    /// Where the item stands: the one of this id or, where ids are left out, the last if it is of this
    /// kind; else a new one.
    fn place(&mut self, id: &str, is_it: fn(&Kind) -> bool, new: fn() -> Kind) -> usize {
        self.has_begun = true;
        if let Some(at) = self.places.get(id) {
            return *at;
        }
        let is_it = |item: &Item| is_it(&item.kind) && (id.is_empty() || item.id.is_empty());
        let last = self.items.last().is_some_and(is_it);
        if let (true, Some(last)) = (last, self.items.len().checked_sub(1)) {
            return last;
        }
        // Many items without anything in them are bounded too.
        self.bytes += size_of::<Item>() + id.len();
        self.items.push(Item { id: id.to_owned(), kind: new() });
        if !id.is_empty() {
            self.places.insert(id.to_owned(), self.items.len() - 1);
        }
        self.items.len() - 1
    }

    fn ending(&self) -> Ending {
        let refused = |item: &Item| matches!(&item.kind, Kind::Message { refusal, .. } if !refusal.is_empty());
        match self.status {
            Some(Status::Length) => Ending::Length,
            Some(Status::Filtered) => Ending::Refused,
            Some(Status::Incomplete) => Ending::GaveUp("the response is incomplete".to_owned()),
            Some(Status::Completed) | None if self.items.iter().any(refused) => Ending::Refused,
            Some(Status::Completed) | None if self.is_cut() => Ending::Length,
            Some(Status::Completed) | None => Ending::Done,
        }
    }

    /// Whether the answer was cut off although it is called complete: as llama.cpp's server does.
    fn is_cut(&self) -> bool {
        let reached = self.usage.is_some_and(|usage| usage.output >= self.bound);
        let is_whole = |item: &Item| match &item.kind {
            Kind::Call(call) => arguments::is_json(&call.arguments),
            Kind::Message { .. } | Kind::Reasoning { .. } | Kind::Other => true,
        };
        reached && (self.calls == 0 || !self.items.iter().all(is_whole))
    }
}

impl Kind {
    fn message() -> Self {
        Self::Message { text: String::new(), refusal: String::new() }
    }

    fn reasoning() -> Self {
        Self::Reasoning { plain: String::new(), item: None }
    }

    fn call() -> Self {
        let empty = String::new;
        Self::Call(ToolUse { id: empty(), name: empty(), arguments: empty() })
    }
}

#[derive(Deserialize)]
struct WireEvent<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    item_id: Option<Text<'a>>,
    #[serde(borrow)]
    delta: Option<Text<'a>>,
    #[serde(borrow)]
    item: Option<WireItem<'a>>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireResponse<'a> {
    #[serde(borrow)]
    status: Option<Text<'a>>,
    #[serde(borrow)]
    output: Option<Vec<WireItem<'a>>>,
    #[serde(borrow)]
    incomplete_details: Option<WireIncomplete<'a>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireIncomplete<'a> {
    #[serde(borrow)]
    reason: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct WireItem<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    summary: Option<&'a RawValue>,
    #[serde(borrow)]
    encrypted_content: Option<Text<'a>>,
    #[serde(borrow)]
    call_id: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    arguments: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct WirePart<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    refusal: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    input_tokens_details: Option<WireInput>,
    output_tokens_details: Option<WireOutput>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireInput {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireOutput {
    reasoning_tokens: Option<u64>,
}

/// The usage, if it is one. Input has what was cached in it.
fn read_usage(raw: &RawValue) -> Option<Usage> {
    let wire: WireUsage = serde_json::from_str(raw.get()).ok()?;
    let input = wire.input_tokens.filter(|tokens| *tokens > 0)?;
    let details = wire.input_tokens_details.unwrap_or_default();
    let cache_read = details.cached_tokens.unwrap_or(0).min(input);
    let cache_write = details.cache_write_tokens.unwrap_or(0).min(input - cache_read);
    let output = wire.output_tokens.unwrap_or(0);
    let reasoning = wire.output_tokens_details.unwrap_or_default().reasoning_tokens;
    Some(Usage {
        input_uncached: Tokens(input - cache_read - cache_write),
        cache_read: Tokens(cache_read),
        cache_write: Tokens(cache_write),
        output: Tokens(output),
        reasoning: Tokens(reasoning.unwrap_or(0).min(output)),
        estimated: false,
    })
}

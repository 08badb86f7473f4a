//! A conversation as it is read, message by message, whichever format it came in.

use std::collections::BTreeMap;

use aosk_abi::{Content, Message, Part, ToolSpec, ToolUse};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::carried;
use super::read::{self, Object, Read, Wrong};
use crate::order::Order;
use crate::picture::Picture;

/// The messages so far.
#[derive(Default)]
pub(super) struct Talk {
    messages: Vec<Message>,
    /// The tools of the calls so far, by the ids of the calls.
    called: BTreeMap<String, String>,
    /// Whether earlier messages may be elsewhere, so that a result may be of a call that is not here.
    pub(super) begins_elsewhere: bool,
    /// Whether an answer has reasoning that was given out in a translation.
    pub(super) is_translated: bool,
}

impl Talk {
    /// Something was said to the model.
    pub(super) fn take(&mut self, message: Message) {
        for call in message.tool_calls() {
            self.called.insert(call.id.clone(), call.name.clone());
        }
        self.messages.push(message);
    }

    /// The model answered something.
    pub(super) fn take_answer(&mut self, answer: Answer) {
        self.is_translated |= answer.is_translated;
        self.take(answer.finish());
    }

    /// A tool returned something to an earlier call.
    pub(super) fn take_result(&mut self, id: &str, content: Content, is_error: bool) -> Read<()> {
        let name = self.called.get(id).cloned();
        if name.is_none() && !self.begins_elsewhere {
            return Err(Wrong::new(format!("no earlier message calls a tool as {id:?}")));
        }
        let tool_call_id = id.to_owned();
        self.messages.push(Message::Tool { tool_call_id, name, content, is_error });
        Ok(())
    }

    /// How many messages there are so far.
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// The last call so far of the tool.
    pub(super) fn last_call_of(&self, tool: &str) -> Option<String> {
        let calls =
            self.messages.iter().rev().flat_map(|message| message.tool_calls().iter().rev());
        calls.into_iter().find(|call| call.name == tool).map(|call| call.id.clone())
    }

    /// The messages, in order, and whether something in them was given out in a translation.
    pub(super) fn finish(self) -> (Vec<Message>, bool) {
        (self.messages, self.is_translated)
    }
}

/// An answer of the model as it is read, piece by piece.
#[derive(Default)]
pub(super) struct Answer {
    text: String,
    /// What was said, if not all of it is text.
    parts: Vec<Part>,
    has_other: bool,
    /// What was thought and not signed.
    plain: String,
    order: Order,
    calls: Vec<ToolUse>,
    /// The reasoning as the kernel had it, if it was given to the client and came back.
    carried: Option<String>,
    is_translated: bool,
}

impl Answer {
    /// Some text.
    pub(super) fn text(&mut self, text: &str) {
        self.order.said(text.len(), None);
        self.text.push_str(text);
        if !text.is_empty() {
            self.parts.push(Part::Text { text: text.to_owned() });
        }
    }

    /// A part of what was said.
    pub(super) fn part(&mut self, part: Part) {
        match part {
            Part::Text { text } => self.text(&text),
            other @ (Part::Page { .. } | Part::Image { .. } | Part::Other { .. }) => {
                self.has_other = true;
                self.parts.push(other);
            }
        }
    }

    /// Something that was thought, in words.
    pub(super) fn thought(&mut self, text: &str) {
        self.plain.push_str(text);
    }

    /// The same, given out in a translation.
    pub(super) fn thought_translated(&mut self, text: &str) {
        self.thought(text);
        self.is_translated = true;
    }

    /// A block of the provider's own, which goes back as it is.
    pub(super) fn own(&mut self, json: String) {
        self.order.own(json);
    }

    /// What may be reasoning of another provider that was given to the client; says whether it was.
    pub(super) fn carried(&mut self, data: &str) -> bool {
        let carried = carried::open(data);
        let is_carried = carried.is_some();
        self.is_translated |= is_carried;
        self.carried = carried.map(str::to_owned).or_else(|| self.carried.take());
        is_carried
    }

    /// A call.
    pub(super) fn call(&mut self, call: ToolUse) {
        self.order.called(None);
        self.calls.push(call);
    }

    /// Whether anything was called.
    pub(super) fn has_calls(&self) -> bool {
        !self.calls.is_empty()
    }

    /// Whether anything was said in words.
    pub(super) fn has_text(&self) -> bool {
        !self.parts.is_empty()
    }

    /// Whether there is anything in it.
    pub(super) fn has_begun(&self) -> bool {
        self.has_text() || self.has_calls() || !self.plain.is_empty() || self.order.has_begun()
    }

    /// The message.
    fn finish(self) -> Message {
        let Self { text, parts, has_other, plain, order, calls, carried, is_translated: _ } = self;
        let plain = (!plain.is_empty()).then_some(plain);
        let content = if has_other { Content::Parts(parts) } else { Content::Text(text) };
        let says = has_other || calls.is_empty() || !content.text().is_empty();
        Message::Assistant {
            content: says.then_some(content),
            reasoning: carried.or_else(|| order.finish()).or(plain),
            tool_calls: calls,
        }
    }
}

/// What stands in a message: a text, or parts as `part` reads them.
pub(super) fn content(
    json: &RawValue,
    mut part: impl FnMut(&Object<'_>, &RawValue) -> Read<Part>,
) -> Read<Content> {
    if read::is_text(json) {
        return Ok(Content::Text(read::text(json)?.into_owned()));
    }
    if !json.get().starts_with('[') {
        return Err(Wrong::expected("a string or a list of parts", json));
    }
    let mut parts = Vec::new();
    read::each(json, |json| {
        parts.push(part(&Object::read(json)?, json)?);
        Ok(())
    })?;
    Ok(Content::Parts(parts))
}

/// A part of another kind than text. Pictures that say nothing more than their bytes are told in the
/// form that every driver knows; what else there is stays as it came.
pub(super) fn other(json: &RawValue) -> Read<Part> {
    let other = Part::Other { json: read::value(json)? };
    let says_more = |json: &Value| {
        let picture = json.get("image_url").unwrap_or(json);
        let detail = picture.get("detail").or_else(|| json.get("detail"));
        detail.and_then(Value::as_str).is_some_and(|detail| detail != "auto")
    };
    Ok(match (Picture::of(&other), &other) {
        (Some(Picture::Bytes { media_type, data }), Part::Other { json }) if !says_more(json) => {
            Part::Image { media_type: media_type.to_owned(), data: data.to_owned() }
        }
        (Some(_) | None, _) => other,
    })
}

/// Whether a part of the conversation would be lost in another format than the one it came in.
pub(super) fn is_bound_to_its_format(messages: &[Message]) -> bool {
    let is_bound = |part: &Part| matches!(part, Part::Other { .. }) && Picture::of(part).is_none();
    messages.iter().any(|message| match message {
        Message::System { content }
        | Message::User { content, .. }
        | Message::Tool { content, .. }
        | Message::Assistant { content: Some(content), .. } => match content {
            Content::Text(_) => false,
            Content::Parts(parts) => parts.iter().any(is_bound),
        },
        Message::Assistant { content: None, .. } => false,
    })
}

/// A tool of the client's own, of which `schema` is the field with its parameters.
pub(super) fn tool(object: &Object<'_>, schema: &str, known: &[ToolSpec]) -> Read<ToolSpec> {
    let name = object.needed("name")?.into_owned();
    if known.iter().any(|other| other.name == name) {
        return Err(Wrong::new(format!("another tool is called {name:?} too")).within("name"));
    }
    let parameters = object.read_with(schema, |json| {
        let is_object = json.get().starts_with('{');
        if is_object { read::value(json) } else { Err(Wrong::expected("an object", json)) }
    })?;
    Ok(ToolSpec {
        name,
        description: object.owned("description")?.unwrap_or_default(),
        parameters: parameters.unwrap_or_else(|| json!({"type": "object", "properties": {}})),
    })
}

//! From what is shown to messages. Depends on the frames and the messages behind them alone, so the
//! same frames give the same bytes, and a prefix of frames gives a prefix of messages.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use aosk_abi::{
    Body, Content, Error, ErrorCode, Form, Frame, Hash, Message, MessageIndex, TEXT_END, Window,
};

use super::paging::{part, spoken};
use super::stub::{stub, summary, told};
use super::summary::request;

/// What stands first if the conversation would begin with an answer, because what was asked has left.
const BEGINNING: &str = "[the beginning of this conversation is left out]";

/// What a driver is given of a window.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    /// In order.
    pub(crate) messages: Vec<Body>,
    /// Of how many frames each of them is made.
    pub(crate) pages: Vec<usize>,
    /// Places in `messages` behind which breakpoints of the cache go.
    pub(crate) breakpoints: Vec<usize>,
    /// Leading messages that are as in the last call of the process.
    pub(crate) unchanged: usize,
    /// Whether the cache should be kept for the longer of the provider's lifetimes.
    pub(crate) long_lived: bool,
    /// Whether a summary is asked for, which nobody watches grow.
    pub(crate) summarises: bool,
}

/// Where content comes from.
pub(crate) trait Source {
    /// The body at an address.
    fn body(&mut self, hash: Hash) -> Result<Body, Error>;

    /// The pages that a summary at this frame stands for, the first among them.
    fn behind(&mut self, frame: &Frame) -> Vec<Frame>;
}

/// The messages of a window.
pub(crate) fn render(window: &Window, source: &mut dyn Source) -> Result<Shown, Error> {
    if let Some(tokens) = window.summarise {
        let messages = request(&window.frames, tokens, source)?;
        return Ok(Shown { messages, summarises: true, ..Shown::default() });
    }
    let mut shown = Shown { long_lived: window.long_lived, ..Shown::default() };
    // The calls that are shown and may still be answered.
    let mut called: Vec<String> = Vec::new();
    let mut rest = window.frames.as_slice();
    let mut at = 0_usize;
    // Whether something else than instructions is shown, and which message comes next if none left.
    let (mut opened, mut next) = (false, MessageIndex(0));
    while let Some(first) = rest.first() {
        let length = rest.iter().take_while(|frame| frame.source == first.source).count();
        let (frames, after) = rest.split_at(length);
        rest = after;
        let body = source.body(first.body)?;
        let message = message(frames, &body, &called, source)?;
        let role = message.message().role();
        // Without what a person said first, some providers and templates refuse a conversation.
        if !opened && role != "system" {
            if role != "user" && first.source > next {
                shown.messages.push(Body::new(Message::user(BEGINNING)));
                shown.pages.push(0);
            }
            opened = true;
        }
        next = MessageIndex(first.source.0.saturating_add(1));
        if let Message::Assistant { tool_calls, .. } = message.message().as_ref() {
            called = tool_calls.iter().map(|call| call.id.clone()).collect();
        }
        shown.messages.push(message);
        shown.pages.push(length);
        let place = shown.messages.len().saturating_sub(1);
        let range = at..at.saturating_add(length);
        if window.breakpoints.iter().any(|frame| range.contains(frame)) {
            shown.breakpoints.push(place);
        }
        at = range.end;
        // What ends before its message does may have lost its last page, which leaves no trace if it was
        // a copy.
        let is_whole = frames.last().is_some_and(|last| last.text.1 == TEXT_END);
        if at < window.unchanged || at == window.unchanged && is_whole {
            shown.unchanged = shown.messages.len();
        }
    }
    Ok(shown)
}

/// The message of frames that are all of one message.
fn message(
    frames: &[Frame],
    body: &Body,
    called: &[String],
    source: &mut dyn Source,
) -> Result<Body, Error> {
    if is_whole(frames) {
        return Ok(body.clone());
    }
    let message = body.message();
    let said = spoken(message);
    let mut text = String::new();
    for frame in frames {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        match frame.form {
            Form::Content => {
                text.push_str(part(&said, frame.text).ok_or_else(|| torn(frame))?);
            }
            Form::Stub { .. } | Form::Summary { .. } => {
                text.push_str(&stand_in(frame, message, source)?);
            }
        }
    }
    let content = Content::Text(text);
    Ok(Body::new(match message.as_ref() {
        // What answers a call that is shown must go on answering it.
        Message::Tool { tool_call_id, name, is_error, .. } if called.contains(tool_call_id) => {
            Message::Tool {
                tool_call_id: tool_call_id.clone(),
                name: name.clone(),
                content,
                is_error: *is_error,
            }
        }
        Message::User { name, .. } => Message::User { content, name: name.clone() },
        Message::System { .. } | Message::Assistant { .. } | Message::Tool { .. } => {
            Message::User { content, name: None }
        }
    }))
}

/// Whether the frames are all of a message, as it is.
fn is_whole(frames: &[Frame]) -> bool {
    let mut end = 0;
    for frame in frames {
        if frame.form != Form::Content || frame.text.0 != end {
            return false;
        }
        end = frame.text.1;
    }
    end == TEXT_END
}

/// What stands in the place of pages; nothing in that of content.
pub(super) fn stand_in(
    frame: &Frame,
    message: &Message,
    source: &mut dyn Source,
) -> Result<String, Error> {
    match frame.form {
        Form::Content => Ok(String::new()),
        Form::Stub { .. } => Ok(stub(frame, message)),
        Form::Summary { body: Some(body), .. } => {
            Ok(told(frame, &source.body(body)?.message().text()))
        }
        Form::Summary { body: None, .. } => summarised(frame, source),
    }
}

fn summarised(frame: &Frame, source: &mut dyn Source) -> Result<String, Error> {
    let pages = source.behind(frame);
    let mut bodies: HashMap<MessageIndex, Body> = HashMap::new();
    for page in &pages {
        if let Entry::Vacant(place) = bodies.entry(page.source) {
            place.insert(source.body(page.body)?);
        }
    }
    let told: Vec<(Frame, &Message)> = pages
        .iter()
        .filter_map(|page| Some((*page, bodies.get(&page.source)?.message().as_ref())))
        .collect();
    Ok(summary(frame, &told))
}

pub(super) fn torn(frame: &Frame) -> Error {
    let what = format!("showing page {}: its place in the message is not text", frame.page.0);
    Error::new(ErrorCode::StoreCorrupt, what).hint("`aosk audit verify` says what else is damaged")
}

#[cfg(test)]
mod tests;

//! The formats as clients speak them: what a client asks is understood, and what it is answered is
//! written, in chat completions, in Responses and in Messages.
//!
//! This is the other side of the drivers, which speak the same formats to providers. All of it is pure:
//! bytes in, bytes out. What a client asks is kept as far as the neutral form of a conversation has a
//! place for it; of what has none, [`Asked::provider_tools`] tells.

mod carried;
mod chat;
mod embeddings;
mod error;
mod messages;
mod read;
mod responses;
mod talk;
mod told;
mod wished;

use aosk_abi::{Error, ErrorCode, Message, ModelReply, Tokens, ToolSpec};
use serde_json::value::RawValue;

use crate::driver::Delta;
use crate::surrogate;
use crate::wishes::Wishes;

pub use error::{error_body, error_event};

/// A wire format that clients speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Chat completions: OpenAI's, and that of everyone who copied it.
    Chat,
    /// Responses: OpenAI's newer one.
    Responses,
    /// Messages: Anthropic's.
    Messages,
    /// Embeddings: OpenAI's. It is passed on or refused, and never put into other words.
    Embeddings,
}

/// What a client asks.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The model, as the client calls it.
    pub model: String,
    /// The conversation, in order. Instructions are system messages, results of calls are tool
    /// messages; parts of a kind that has no neutral form are kept as they came.
    pub messages: Vec<Message>,
    /// The client's own tools.
    pub tools: Vec<ToolSpec>,
    /// Whether it asks for what only a provider of its own format can do: tools that the provider runs,
    /// a conversation that the provider keeps, parts or fields that another format has no place for.
    pub provider_tools: bool,
    /// Whether it brings back reasoning that a [`Writer`] gave out. A provider of its own format would
    /// refuse that, so such a body is not passed on as it is.
    pub translated: bool,
    /// The most tokens the answer may have, if it says so.
    pub output_max: Option<Tokens>,
    /// Whether it wants the answer as a stream.
    pub stream: bool,
    /// Whether it wants usage at the end of a stream of chat completions. The other formats always
    /// have it.
    pub stream_usage: bool,
    /// How many answers it wants, from 1.
    pub choices: u32,
    /// For whom it asks, if it says so.
    pub user: Option<String>,
    /// What it asks beside the conversation and the tools.
    pub wishes: Wishes,
}

/// What the body of a client's request asks. Halves of surrogate pairs are read as U+FFFD.
///
/// # Errors
/// [`ErrorCode::ApiBadRequest`] if it makes no sense; the message says which field is wrong.
pub fn understand(format: Format, body: &[u8]) -> Result<Asked, Error> {
    let mended = surrogate::mended(body);
    let wrong = |what: String| {
        Error::new(ErrorCode::ApiBadRequest, format!("reading the request: {what}"))
            .hint("the body is a JSON object in UTF-8")
    };
    let text =
        str::from_utf8(&mended).map_err(|error| wrong(format!("it is no UTF-8: {error}")))?;
    let json: &RawValue =
        serde_json::from_str(text).map_err(|error| wrong(format!("it is no JSON: {error}")))?;
    let asked = match format {
        Format::Chat => chat::understand(json),
        Format::Responses => responses::understand(json),
        Format::Messages => messages::understand(json),
        Format::Embeddings => embeddings::understand(json),
    };
    asked.map_err(read::Wrong::into_error)
}

/// One server-sent event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its name, in the formats that name events.
    pub event: Option<&'static str>,
    /// Its data, on one line.
    pub data: String,
}

/// Writes one answer for a client, whole or as a stream.
#[derive(Debug)]
pub struct Writer(Wire);

#[derive(Debug)]
enum Wire {
    Chat(chat::Answer),
    Responses(Box<responses::Answer>),
    Messages(messages::Answer),
}

impl Writer {
    /// A writer of the answer `id` to what was asked. `created` is in seconds since 1970.
    #[must_use]
    pub fn new(format: Format, model: &str, id: &str, created: u64, asked: &Asked) -> Self {
        Self(match format {
            // Of vectors there is nothing to write.
            Format::Chat | Format::Embeddings => {
                Wire::Chat(chat::Answer::new(model, id, created, asked))
            }
            Format::Responses => {
                Wire::Responses(Box::new(responses::Answer::new(model, id, created, asked)))
            }
            Format::Messages => Wire::Messages(messages::Answer::new(model, id)),
        })
    }

    /// The body of an answer that is not streamed.
    #[must_use]
    pub fn whole(&self, reply: &ModelReply) -> Vec<u8> {
        match &self.0 {
            Wire::Chat(answer) => answer.whole(reply),
            Wire::Responses(answer) => answer.whole(reply),
            Wire::Messages(answer) => answer.whole(reply),
        }
    }

    /// The events of a piece of the answer. Text and reasoning are told at once. Calls are told at the
    /// end, from the reply: pieces have no ids.
    pub fn delta(&mut self, delta: &Delta) -> Vec<Frame> {
        match &mut self.0 {
            Wire::Chat(answer) => answer.delta(delta),
            Wire::Responses(answer) => answer.delta(delta),
            Wire::Messages(answer) => answer.delta(delta),
        }
    }

    /// The events of what was not told yet, and of the end. A driver that does not stream tells no
    /// pieces; then this is the whole stream.
    pub fn finish(&mut self, reply: &ModelReply) -> Vec<Frame> {
        match &mut self.0 {
            Wire::Chat(answer) => answer.finish(reply),
            Wire::Responses(answer) => answer.finish(reply),
            Wire::Messages(answer) => answer.finish(reply),
        }
    }

    /// The event of a failure in the midst of the stream, after which nothing more comes.
    pub fn failed(&mut self, status: u16, code: ErrorCode, message: &str) -> Frame {
        match &mut self.0 {
            Wire::Chat(_) => error_event(Format::Chat, status, code, message),
            Wire::Responses(answer) => answer.failed(status, code, message),
            Wire::Messages(_) => error_event(Format::Messages, status, code, message),
        }
    }
}

#[cfg(test)]
mod tests;

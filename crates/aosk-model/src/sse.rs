//! The event-stream format (`text/event-stream`), decoded from chunks of any size.
//!
//! The crate `sse-stream` decodes; this file does what it leaves out. It bounds the bytes of an
//! event before the decoder sees them, and it takes a last event that lacks its blank line. The
//! whole stream is bounded, and its silences are, by the one who reads it.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use aosk_abi::FailureClass;
use bytes::Bytes;
use futures_core::Stream;
use sse_stream::SseByteStream;

/// One event of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// The event's type; empty if the stream gave none.
    pub(crate) name: String,
    /// The data lines, joined by line feeds.
    pub(crate) data: String,
}

/// Why a stream cannot be decoded any further.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Undecodable {
    /// An event is longer than the decoder may keep.
    #[error("an event of the stream is longer than {max} bytes")]
    EventTooLong { max: usize },
    /// A field is not UTF-8.
    #[error(transparent)]
    Malformed(#[from] sse_stream::Error),
}

impl Undecodable {
    /// Whether it may go better another time.
    pub(crate) fn class(&self) -> FailureClass {
        match self {
            Self::EventTooLong { .. } => FailureClass::Final,
            Self::Malformed(_) => FailureClass::Transient,
        }
    }
}

/// Turns chunks into events.
pub(crate) struct Decoder {
    /// What has come and was not yet decoded.
    rest: Bytes,
    input: Input,
    blocks: SseByteStream<Input>,
    /// Bytes decoded since the last event, which is no less than the event that has begun.
    bytes: usize,
    bytes_max: usize,
}

impl Decoder {
    /// A decoder that keeps at most `bytes_max` bytes of one event, its framing and the comments
    /// before it included.
    pub(crate) fn new(bytes_max: usize) -> Self {
        let input = Input::default();
        let blocks = SseByteStream::new(input.clone());
        Self { rest: Bytes::new(), input, blocks, bytes: 0, bytes_max }
    }

    /// Takes the next chunk, once `event` has none left of the one before.
    pub(crate) fn push(&mut self, chunk: Bytes) {
        debug_assert!(self.rest.is_empty(), "the chunk before was not read to its end");
        self.rest = chunk;
    }

    /// Takes the end of the stream: `event` may have one more.
    ///
    /// The standard drops an event without its blank line; some servers leave it out after their
    /// last event, and a cut event is found out by its JSON.
    pub(crate) fn finish(&mut self) {
        self.push(Bytes::from_static(b"\n\n"));
    }

    /// The next event of the chunk; none if the chunk completes no more.
    ///
    /// # Errors
    /// If the stream cannot be decoded any further.
    pub(crate) fn event(&mut self) -> Result<Option<Event>, Undecodable> {
        // Nobody is to be woken: whoever pushes a chunk asks again.
        let mut context = Context::from_waker(Waker::noop());
        loop {
            match Pin::new(&mut self.blocks).poll_next(&mut context) {
                Poll::Ready(Some(block)) => {
                    let block = block?;
                    self.bytes = 0;
                    // A block without data, such as a lone `id` or `retry`, is no event.
                    if let Some(data) = block.data {
                        return Ok(Some(Event { name: block.event.unwrap_or_default(), data }));
                    }
                }
                Poll::Ready(None) => return Ok(None),
                Poll::Pending if self.rest.is_empty() => return Ok(None),
                Poll::Pending => self.feed()?,
            }
        }
    }

    /// Gives the decoder the next line, or what has come of it. An event ends with a line, so no
    /// byte of the next event is counted with it.
    fn feed(&mut self) -> Result<(), Undecodable> {
        let end = self.rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        let line = self.rest.split_to(end.map_or(self.rest.len(), |end| end + 1));
        self.bytes += line.len();
        if self.bytes > self.bytes_max {
            return Err(Undecodable::EventTooLong { max: self.bytes_max });
        }
        self.input.put(line);
        Ok(())
    }
}

/// The decoder's input: a place for one piece. It never ends, as the decoder would then drop the
/// event that has begun.
#[derive(Clone, Default)]
struct Input(Arc<Mutex<Option<Bytes>>>);

impl Input {
    fn put(&self, piece: Bytes) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(piece);
    }
}

impl Stream for Input {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let piece = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        piece.map_or(Poll::Pending, |piece| Poll::Ready(Some(Ok(piece))))
    }
}

#[cfg(test)]
mod tests;

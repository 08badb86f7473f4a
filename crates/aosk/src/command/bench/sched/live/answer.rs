//! What a model server answers: words, as many as it was asked for or some fewer, in one piece or in
//! a stream. A word is a token here.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::account::Serving;

/// From one token of a stream to the next.
const PACE: Duration = Duration::from_millis(20);

/// Tokens that a message takes beside its words.
const FRAMING: u64 = 3;

/// A word of an answer.
const WORD: &str = "report ";

/// What of a request matters.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    messages: Vec<Said>,
    #[serde(alias = "max_completion_tokens")]
    max_tokens: u64,
    #[serde(default)]
    pub(super) stream: bool,
}

#[derive(Debug, Deserialize)]
struct Said {
    role: String,
    #[serde(default)]
    content: Value,
}

impl Asked {
    /// The request in these bytes, if they are one.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    fn input(&self) -> u64 {
        self.messages.iter().map(|said| FRAMING + said.words()).sum()
    }

    /// How many words the answer to the `number`-th call has. Answers differ in length, as those of
    /// models do; a stream is half as long as it may be at least. One that was begun is gone on with.
    fn length(&self, number: u64) -> u64 {
        let part = number.wrapping_mul(40_503) % 65_536;
        let least = if self.stream { self.max_tokens / 2 } else { 0 };
        let whole = least + (self.max_tokens - least).saturating_mul(part) / 65_536 + 1;
        let begun = self.messages.last().filter(|last| last.role == "assistant");
        whole.min(self.max_tokens).saturating_sub(begun.map_or(0, Said::words)).max(1)
    }
}

impl Said {
    fn words(&self) -> u64 {
        let words = self.content.as_str().unwrap_or_default().split_whitespace().count();
        u64::try_from(words).unwrap_or(u64::MAX)
    }
}

/// An answer on its way.
#[derive(Debug)]
pub(super) struct Answer {
    /// What is still to be sent, each piece with the tokens it stands for.
    pieces: VecDeque<(Bytes, u64)>,
    /// Whether they come one after another.
    pace: Option<Interval>,
    /// None if nothing was asked.
    serving: Option<Serving>,
}

impl Answer {
    /// The answer to no call.
    pub(super) fn nothing() -> Self {
        Self { pieces: VecDeque::new(), pace: None, serving: None }
    }

    /// The answer to `asked`.
    pub(super) fn to(asked: &Asked, serving: Serving) -> Self {
        let (input, output) = (asked.input(), asked.length(serving.number));
        let usage = json!({
            "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
        });
        if !asked.stream {
            let text = WORD.repeat(usize::try_from(output).unwrap_or(0));
            let answer = json!({
                "id": "x", "object": "chat.completion", "created": 0, "model": "bench",
                "choices": [{
                    "index": 0, "finish_reason": "stop",
                    "message": { "role": "assistant", "content": text },
                }],
                "usage": usage,
            });
            let pieces = VecDeque::from([(Bytes::from(answer.to_string()), input + output)]);
            return Self { pieces, pace: None, serving: Some(serving) };
        }
        // What is read is counted when the stream begins.
        serving.count(input);
        let word = Bytes::from(chunk(&Value::Null, &Value::Null));
        let mut pieces: VecDeque<_> = (1..output).map(|_| (word.clone(), 1)).collect();
        let last = chunk(&json!("stop"), &usage) + "data: [DONE]\n\n";
        pieces.push_back((Bytes::from(last), 1));
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { pieces, pace: Some(pace), serving: Some(serving) }
    }
}

/// An event of a stream: one more word, and at the end why it ends and what it used.
fn chunk(finish: &Value, usage: &Value) -> String {
    let chunk = json!({
        "id": "x", "object": "chat.completion.chunk", "created": 0, "model": "bench",
        "choices": [{ "index": 0, "delta": { "content": WORD }, "finish_reason": finish }],
        "usage": usage,
    });
    format!("data: {chunk}\n\n")
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.pieces.is_empty() {
            return Poll::Ready(None);
        }
        if let Some(pace) = &mut self.pace {
            ready!(pace.poll_tick(cx));
        }
        let piece = self.pieces.pop_front();
        Poll::Ready(piece.map(|(bytes, tokens)| {
            if let Some(serving) = &self.serving {
                serving.count(tokens);
            }
            Ok(Frame::data(bytes))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        if self.pace.is_some() {
            return SizeHint::default();
        }
        let bytes: usize = self.pieces.iter().map(|(bytes, _)| bytes.len()).sum();
        SizeHint::with_exact(u64::try_from(bytes).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests;

//! A model that plays recorded conversations, and the results that their tools returned.
//!
//! Each answer is given only if what it is asked is what the record has up to there, message by
//! message. So a replay that runs to its end proves that the whole way from log to request left the
//! conversation as it was.

use std::collections::BTreeMap;
use std::sync::Arc;

use aosk_abi::{
    Body, Content, ErrorCode, Failure, FailureClass, FinishReason, Message, ModelReply, ToolUse,
};
use async_trait::async_trait;

use crate::driver::{Delta, Driver, OnDelta, Request};
use crate::failure::failed;
use crate::record::Record;
use crate::tokens;

/// Characters shown on either side of a difference.
const EXCERPT_CHARS: usize = 30;

/// A driver that plays recorded conversations. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Replay {
    records: Arc<BTreeMap<String, Tape>>,
}

/// A record and its tool calls in order.
#[derive(Debug)]
struct Tape {
    record: Record,
    calls: Vec<TapedCall>,
}

/// Where a tool call and its result stand in a record.
#[derive(Debug)]
struct TapedCall {
    message: usize,
    call: usize,
    result: usize,
}

impl Replay {
    /// The driver that plays these records, each under its label.
    #[must_use]
    pub fn new(records: BTreeMap<String, Record>) -> Self {
        let tapes = records.into_iter().map(|(label, record)| {
            let calls = taped_calls(&record.messages);
            (label, Tape { record, calls })
        });
        Self { records: Arc::new(tapes.collect()) }
    }

    /// The record with this label.
    #[must_use]
    pub fn record(&self, label: &str) -> Option<&Record> {
        self.records.get(label).map(|tape| &tape.record)
    }

    /// The record's tool call with this ordinal (from 0, counted over the whole record in the order
    /// of the results) and its result. A call without a recorded result does not count.
    #[must_use]
    pub fn tool_result(&self, label: &str, ordinal: usize) -> Option<(&ToolUse, &Message)> {
        let Tape { record, calls } = self.records.get(label)?;
        let taped = calls.get(ordinal)?;
        let call = record.messages.get(taped.message)?.tool_calls().get(taped.call)?;
        Some((call, record.messages.get(taped.result)?))
    }

    /// Where the calls that have results stand, as (message, place among its calls, message of the
    /// result), in the order of the results: what a replay has to call.
    #[must_use]
    pub fn calls(&self, label: &str) -> Vec<(usize, usize, usize)> {
        let tape = self.records.get(label);
        let calls = tape.map(|tape| tape.calls.iter()).into_iter().flatten();
        calls.map(|taped| (taped.message, taped.call, taped.result)).collect()
    }

    /// The recorded answer to what is asked.
    fn answer(&self, request: &Request) -> Result<&Message, Failure> {
        let differs = |what: String| {
            let message = format!("replaying {}: {what}", request.label);
            failed(FailureClass::Final, ErrorCode::ReplayDiffers, message)
        };
        let Some(record) = self.record(&request.label) else {
            return Err(differs("there is no record with this label".to_owned()));
        };
        for (index, asked) in request.messages.iter().enumerate() {
            let asked = asked.message().as_ref();
            let Some(recorded) = record.messages.get(index) else {
                return Err(differs(format!(
                    "message {index} ({}) is beyond its end",
                    asked.role()
                )));
            };
            if asked != recorded {
                return Err(differs(difference(index, asked, recorded)));
            }
        }
        let next = request.messages.len();
        match record.messages.get(next) {
            Some(answer @ Message::Assistant { .. }) => Ok(answer),
            Some(other) => {
                let role = other.role();
                Err(differs(format!("message {next} of the record is the {role}'s, not an answer")))
            }
            None => Err(differs(format!("the record ends before message {next}"))),
        }
    }
}

/// The calls of a conversation with the places of their results: the tool message of the following
/// run that has the call's id, or else the first that no call has by its id.
fn taped_calls(messages: &[Message]) -> Vec<TapedCall> {
    let mut taped = Vec::new();
    for (message, answer) in messages.iter().enumerate() {
        let calls = answer.tool_calls();
        if calls.is_empty() {
            continue;
        }
        let following = messages.iter().enumerate().skip(message + 1);
        let run: Vec<(usize, &str)> = following
            .map_while(|(at, message)| match message {
                Message::Tool { tool_call_id, .. } => Some((at, tool_call_id.as_str())),
                Message::System { .. } | Message::User { .. } | Message::Assistant { .. } => None,
            })
            .collect();
        let mut taken: Vec<usize> = Vec::new();
        let mut results: Vec<Option<usize>> = Vec::with_capacity(calls.len());
        for call in calls {
            let of_call = run.iter().find(|(at, id)| *id == call.id && !taken.contains(at));
            let at = of_call.map(|(at, _)| *at);
            taken.extend(at);
            results.push(at);
        }
        let mut left = run.iter().map(|(at, _)| *at).filter(|at| !taken.contains(at));
        for (call, result) in results.into_iter().enumerate() {
            if let Some(result) = result.or_else(|| left.next()) {
                taped.push(TapedCall { message, call, result });
            }
        }
    }
    taped.sort_by_key(|taped| taped.result);
    taped
}

/// Where two messages differ, with a little of both around it.
fn difference(index: usize, asked: &Message, recorded: &Message) -> String {
    if asked.role() != recorded.role() {
        let (asked, recorded) = (asked.role(), recorded.role());
        return format!("message {index} is the {asked}'s where the record has the {recorded}'s");
    }
    let role = asked.role();
    // The text is what a person wants to see; if it is the same, the difference is in the rest.
    let (mut a, mut b) = (asked.text(), recorded.text());
    if a == b {
        let json = |message: &Message| Body::new(message.clone()).bytes().to_string();
        (a, b) = (json(asked), json(recorded));
    }
    let same = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    let excerpt = |text: &str| -> String {
        text.chars().skip(same.saturating_sub(EXCERPT_CHARS)).take(2 * EXCERPT_CHARS).collect()
    };
    let (a, b) = (excerpt(&a), excerpt(&b));
    format!(
        "message {index} ({role}) differs at character {same}: {a:?} where the record has {b:?}"
    )
}

/// What of the recorded answer comes behind what was begun of it.
fn rest(recorded: &Message, request: &Request) -> Result<Message, Failure> {
    let mut answer = recorded.clone();
    let begun = request.begun_text();
    if begun.is_empty() {
        return Ok(answer);
    }
    if let Message::Assistant { content: Some(Content::Text(text)), .. } = &mut answer
        && let Some(rest) = text.strip_prefix(begun)
    {
        *text = rest.to_owned();
        return Ok(answer);
    }
    let message = format!("replaying {}: the answer does not begin as was begun", request.label);
    Err(failed(FailureClass::Final, ErrorCode::ReplayDiffers, message))
}

#[async_trait]
impl Driver for Replay {
    async fn complete(
        &self,
        request: Request,
        on_delta: OnDelta<'_>,
    ) -> Result<ModelReply, Failure> {
        let answer = rest(self.answer(&request)?, &request)?;
        let calls = answer.tool_calls();
        if let Some(on_delta) = on_delta {
            let text = answer.text();
            if !text.is_empty() {
                on_delta(Delta::Text(text));
            }
            for (index, call) in calls.iter().enumerate() {
                on_delta(Delta::ToolCall { index, name: call.name.clone() });
            }
        }
        Ok(ModelReply {
            usage: tokens::of_call(&request, &answer),
            finish: if calls.is_empty() { FinishReason::Stop } else { FinishReason::ToolCalls },
            body: Body::new(answer),
        })
    }
}

#[cfg(test)]
mod tests;

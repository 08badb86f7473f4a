//! One attempt over HTTP: the request goes out, the answer comes in, whole or as a stream.
//!
//! Here is what the wire formats have in common. A format writes its request and understands its
//! answer ([`Assembly`]); what counts as an answer, and what a failed attempt used, is decided here.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use aosk_abi::{
    Body, Content, ErrorCode, Failure, FailureClass, FinishReason, Message, ModelReply, ToolUse,
};
use reqwest::header::HeaderMap;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::continuing::{Continuation, Continuing};
use crate::counted::{self, Counted};
use crate::driver::{Delta, OnDelta, Request, tell};
use crate::endpoint::{Answer, Endpoint};
use crate::failure::{Complaint, failed};
use crate::seam::Seam;
use crate::surrogate;

/// An answer as far as it has come, in one wire format.
pub(crate) trait Assembly: Default + Send {
    /// Takes a whole answer.
    fn take_whole(&mut self, json: &[u8], cx: &Context<'_>) -> Result<(), Failure>;

    /// Takes the data of one event of a stream.
    fn take_event(&mut self, data: &[u8], cx: &Context<'_>) -> Result<(), Failure>;

    /// How far it has come.
    fn progress(&self) -> Progress;

    /// What was said.
    fn into_said(self) -> Said;
}

/// How far an answer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Progress {
    /// Nothing of an answer was said.
    Nothing,
    /// Something was said.
    Begun,
    /// The provider has said why the answer ends.
    Finished,
    /// The provider has said that nothing more comes.
    Over,
}

/// What a provider said, in no format any more.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) text: String,
    pub(crate) reasoning: Option<String>,
    /// The calls; their ids may be empty, or the same.
    pub(crate) calls: Vec<ToolUse>,
    pub(crate) ending: Ending,
    /// What the provider counted, if it did.
    pub(crate) counted: Option<Counted>,
}

/// Why the provider said that the answer ends.
#[derive(Debug)]
pub(crate) enum Ending {
    /// It is done, or gave no reason that is known.
    Done,
    /// It wants tools called.
    Calls,
    /// The answer reached its maximum length.
    Length,
    /// The provider withheld the answer.
    Refused,
    /// The provider could not go on, for the reason it gives.
    GaveUp(String),
}

/// What an answer is the answer to, and who wants to see it.
pub(crate) struct Context<'a> {
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) request: &'a Request,
    /// The head of the answer.
    pub(crate) headers: &'a HeaderMap,
    pub(crate) on_delta: OnDelta<'a>,
}

/// Makes one attempt. `body` is the request as the format writes it, and `continuing` how it goes on
/// from an answer that was begun.
pub(crate) async fn complete<A: Assembly>(
    endpoint: &Endpoint,
    request: &Request,
    body: serde_json::Result<Vec<u8>>,
    continuing: Continuing,
    on_delta: OnDelta<'_>,
) -> Result<ModelReply, Failure> {
    let Some(seam) = seam(request, continuing) else {
        return attempt::<A>(endpoint, request, body, None, on_delta).await;
    };
    let shown = Mutex::new(seam.clone());
    let pieces = |more: &dyn Fn(&mut Seam) -> String| {
        let piece = more(&mut shown.lock().unwrap_or_else(PoisonError::into_inner));
        if !piece.is_empty() {
            tell(on_delta, || Delta::Text(piece));
        }
    };
    let joined = |delta| match delta {
        Delta::Text(text) => pieces(&|seam| seam.push(&text)),
        other @ (Delta::Reasoning(_) | Delta::ToolCall { .. } | Delta::Arguments(_)) => {
            tell(on_delta, || other);
        }
    };
    let joined: OnDelta<'_> = if on_delta.is_some() { Some(&joined) } else { None };
    let reply = attempt::<A>(endpoint, request, body, Some(seam), joined).await;
    pieces(&Seam::finish);
    reply
}

/// Where the rest joins what was begun; none if the request goes on from nothing.
fn seam(request: &Request, continuing: Continuing) -> Option<Seam> {
    let goes_on = request.begun.is_some() && continuing.how != Continuation::Never;
    goes_on.then(|| Seam::new(request.begun_text(), continuing))
}

async fn attempt<A: Assembly>(
    endpoint: &Endpoint,
    request: &Request,
    body: serde_json::Result<Vec<u8>>,
    seam: Option<Seam>,
    on_delta: OnDelta<'_>,
) -> Result<ModelReply, Failure> {
    let body = body.map_err(|error| endpoint.unwritable(&error))?;
    let sent = body.len();
    let mut answer = endpoint.post(body, on_delta.is_some(), &request.on_rates).await?;
    let mut assembly = A::default();
    let mut whole = Vec::new();
    let read = if on_delta.is_some() && answer.is_event_stream() {
        read_stream(answer, &mut assembly, request, on_delta).await
    } else {
        match answer.whole(&mut whole).await {
            Ok(()) => {
                let headers = answer.headers();
                let cx = Context { endpoint, request, headers, on_delta };
                assembly.take_whole(&surrogate::mended(&whole), &cx)
            }
            Err(failure) => Err(failure),
        }
    };
    conclude(assembly, (read, &whole), sent, endpoint, request, seam)
}

/// What comes of an answer, of which `whole` came if it was no stream. If it goes on from one that was
/// begun it may be empty, and `seam` is where it joins.
pub(crate) fn conclude<A: Assembly>(
    assembly: A,
    (read, whole): (Result<(), Failure>, &[u8]),
    sent: usize,
    endpoint: &Endpoint,
    request: &Request,
    seam: Option<Seam>,
) -> Result<ModelReply, Failure> {
    let has_begun = assembly.progress() > Progress::Nothing;
    let mut said = assembly.into_said();
    let goes_on = seam.is_some();
    if let Some(seam) = seam {
        said.text = seam.whole(&said.text);
    }
    let finish = read.and_then(|()| said.finish(endpoint, request, goes_on));
    let counted = said.counted;
    let is_cut = !has_begun && is_cut(whole);
    let message = if is_cut {
        Message::assistant(String::from_utf8_lossy(whole))
    } else {
        said.into_message(request)
    };
    let usage = || counted::usage(counted, request, sent, &message);
    match finish {
        Ok(finish) => Ok(ModelReply { usage: usage(), body: Body::new(message), finish }),
        Err(failure) => {
            let is_begun = has_begun || is_cut || counted.is_some();
            Err(Failure { usage: is_begun.then(usage), ..failure })
        }
    }
}

/// What comes of an answer that is passed on to a client: it may be empty, for that is theirs to judge.
pub(crate) fn conclude_passed<A: Assembly>(
    assembly: A,
    came: (Result<(), Failure>, &[u8]),
    sent: usize,
    endpoint: &Endpoint,
    request: &Request,
) -> Result<ModelReply, Failure> {
    // An answer that goes on from nothing joins it without a seam.
    let seam = Seam::new("", Continuing::NEVER);
    conclude(assembly, came, sent, endpoint, request, Some(seam))
}

async fn read_stream<A: Assembly>(
    mut answer: Answer<'_>,
    assembly: &mut A,
    request: &Request,
    on_delta: OnDelta<'_>,
) -> Result<(), Failure> {
    let endpoint = answer.endpoint();
    loop {
        match answer.event().await {
            Ok(Some(event)) if event.data.is_empty() => {}
            Ok(Some(event)) => {
                let cx = Context { endpoint, request, headers: answer.headers(), on_delta };
                assembly.take_event(&surrogate::mended(event.data.as_bytes()), &cx)?;
                if assembly.progress() == Progress::Over {
                    answer.drain().await;
                    return Ok(());
                }
            }
            // All is said; only usage or the last event may be missing.
            Ok(None) | Err(_) if assembly.progress() >= Progress::Finished => return Ok(()),
            Ok(None) => return Err(endpoint.broke_off()),
            Err(failure) => return Err(failure),
        }
    }
}

/// Whether `body` is the beginning of an answer.
fn is_cut(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"{") && serde_json::from_slice::<IgnoredAny>(body).is_err()
}

impl Said {
    /// How the answer ends; a failure if it is none.
    fn finish(
        &self,
        endpoint: &Endpoint,
        request: &Request,
        goes_on: bool,
    ) -> Result<FinishReason, Failure> {
        match &self.ending {
            Ending::Length => Ok(FinishReason::Length),
            Ending::Refused => Ok(FinishReason::Refused),
            Ending::GaveUp(reason) => {
                let message = format!("asked {}: it gave up: {reason}", endpoint.device());
                Err(failed(FailureClass::Transient, ErrorCode::ModelServer, message))
            }
            // Vendors are not of one mind whether calling tools is a stop; the calls themselves
            // tell.
            Ending::Done | Ending::Calls if !self.calls.is_empty() => Ok(FinishReason::ToolCalls),
            Ending::Calls => Err(odd(endpoint, request, "it ends to call tools and calls none")),
            // Nobody wants a success without a result; what was begun is one.
            Ending::Done if self.text.trim().is_empty() && !goes_on => {
                Err(odd(endpoint, request, "it is empty: neither text nor a tool call"))
            }
            Ending::Done => Ok(FinishReason::Stop),
        }
    }

    fn into_message(self, request: &Request) -> Message {
        let Self { text, reasoning, calls, .. } = self;
        let tool_calls = named(calls, request);
        Message::Assistant {
            content: (!text.is_empty() || tool_calls.is_empty()).then_some(Content::Text(text)),
            reasoning,
            tool_calls,
        }
    }
}

/// The calls with an id each. A missing or repeated id is replaced by one that is unique in the
/// process and the same at every attempt.
fn named(mut calls: Vec<ToolUse>, request: &Request) -> Vec<ToolUse> {
    let mut taken = BTreeSet::new();
    for (index, call) in calls.iter_mut().enumerate() {
        if call.id.is_empty() || taken.contains(&call.id) {
            call.id = request.use_id(index);
        }
        taken.insert(call.id.clone());
    }
    calls
}

impl Context<'_> {
    /// Reads what the format says must be there.
    pub(crate) fn parse<'j, T: Deserialize<'j>>(&self, json: &'j [u8]) -> Result<T, Failure> {
        serde_json::from_slice(json).map_err(|error| {
            let is_whole = serde_json::from_slice::<IgnoredAny>(json).is_ok();
            if is_whole { self.odd(error) } else { self.endpoint.not_understood(json, &error) }
        })
    }

    /// The failure that an error inside a success stands for.
    pub(crate) fn refused(&self, json: &[u8]) -> Failure {
        self.endpoint.refused(/*status*/ 200, self.headers, json)
    }

    /// The failure of an answer that lacks its substance, as an error or without any reason.
    pub(crate) fn lacking(&self, json: &[u8], what: &str) -> Failure {
        if Complaint::read(json).is_some() { self.refused(json) } else { self.odd(what) }
    }

    /// The failure of an answer that came whole and is none.
    pub(crate) fn odd(&self, what: impl fmt::Display) -> Failure {
        odd(self.endpoint, self.request, what)
    }

    /// Shows a piece of the answer to whoever wants to see it.
    pub(crate) fn tell(&self, delta: impl FnOnce() -> Delta) {
        tell(self.on_delta, delta);
    }

    /// The same of the arguments of a tool call, if it is anything.
    pub(crate) fn tell_arguments(&self, more: &str) {
        if !more.is_empty() {
            self.tell(|| Delta::Arguments(more.to_owned()));
        }
    }
}

/// The failure of an answer that came whole and is none. Chance may have made it, so it is asked for
/// once more, but not again and again: what a server means to say it says every time.
fn odd(endpoint: &Endpoint, request: &Request, what: impl fmt::Display) -> Failure {
    let is_first = request.attempt <= 1;
    let class = if is_first { FailureClass::Transient } else { FailureClass::Final };
    endpoint.malformed(class, what)
}

#[cfg(test)]
mod tests;

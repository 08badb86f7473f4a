//! The answer to a request, whole or as it comes.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use aosk_abi::{Error, ErrorCode, Millis, ModelReply, Pid, Tokens};
use aosk_runtime::foreign::{Answers, Said};
use aosk_runtime::model::Passed;
use aosk_runtime::model::client::{Asked, Format, Frame, Writer, error_event};
use aosk_server::App;
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_core::Stream;

use crate::conversation::{Conversations, Left, Thread};
use crate::refusal;

/// The header with the process that asked.
const PROCESS: HeaderName = HeaderName::from_static("x-aosk-process");

/// Bytes of events that leave together if they are there together.
const TOGETHER_MAX: usize = 16 * 1024;

/// A request that is under way. When it is dropped before it is over, its client went away, and the call
/// is cut off.
#[derive(Debug)]
pub(crate) struct Under {
    app: App,
    kept: Arc<Conversations>,
    format: Format,
    asked: Asked,
    thread: Thread,
    tokens: Tokens,
    answers: Answers,
    pid: Option<Pid>,
    is_over: bool,
}

impl Under {
    pub(crate) fn new(
        app: &App,
        kept: &Arc<Conversations>,
        (format, asked): (Format, Asked),
        (thread, tokens): (Thread, Tokens),
        (answers, pid): (Answers, Option<Pid>),
    ) -> Self {
        let (app, kept) = (app.clone(), kept.clone());
        Self { app, kept, format, asked, thread, tokens, answers, pid, is_over: false }
    }

    /// What is said next. The process is noted on the way.
    pub(crate) async fn next(&mut self) -> Option<Said> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Said>> {
        loop {
            match self.answers.poll_next(cx) {
                Poll::Ready(Some(Said::Process(pid))) => self.pid = Some(pid),
                other @ (Poll::Ready(_) | Poll::Pending) => return other,
            }
        }
    }

    /// The answer came: the process waits for its client to go on.
    pub(crate) fn answered(&mut self, reply: &ModelReply) {
        self.thread.say(reply.body.message());
        self.tokens += reply.usage.output;
        self.rests();
    }

    /// It failed. The process waits for its client to try again, unless it has ended.
    pub(crate) fn failed(&mut self, error: &Error) {
        let gone = [ErrorCode::ModelCancelled, ErrorCode::NoSuchProcess, ErrorCode::Busy];
        if gone.contains(&error.code) {
            self.is_over = true;
        } else {
            self.rests();
        }
    }

    /// Nothing more comes. Nobody knows the process by what was said, so it ends.
    pub(crate) fn broken_off(&mut self) -> Error {
        self.is_over = true;
        self.kept.leave(&self.app, self.pid.map(Left::Waiting));
        broken_off()
    }

    fn rests(&mut self) {
        self.is_over = true;
        if self.format == Format::Embeddings {
            // Nobody goes on with vectors.
            self.kept.leave(&self.app, self.pid.map(Left::Waiting));
        } else if let Some(pid) = self.pid {
            let now = self.app.clock().elapsed();
            let left = self.kept.put(&self.thread, (pid, self.tokens), now);
            self.kept.leave(&self.app, left.into_iter().map(Left::Waiting));
        }
    }

    /// What writes the answer in the client's format.
    pub(crate) fn writer(&self) -> Writer {
        let seconds = self.app.clock().now().0 / 1_000;
        let of_format = match self.format {
            Format::Chat | Format::Embeddings => "chatcmpl",
            Format::Responses => "resp",
            Format::Messages => "msg",
        };
        let id = format!("{of_format}_{}", aosk_server::request_id());
        Writer::new(self.format, &self.asked.model, &id, seconds, &self.asked)
    }

    /// How long the process has waited for slots of models so far; nothing before it is known which it is.
    pub(crate) fn waited(&self) -> Millis {
        let process = self.pid.and_then(|pid| self.app.handle().process(pid));
        process.map_or(Millis(0), |process| process.stats.times.waited)
    }

    fn head(&self, response: &mut Response) {
        let pid = self.pid.and_then(|pid| HeaderValue::try_from(pid.to_string()).ok());
        response.headers_mut().extend(pid.map(|pid| (PROCESS, pid)));
    }
}

impl Drop for Under {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        self.answers.close();
        while let Some(said) = self.answers.try_next() {
            match said {
                Said::Process(pid) => self.pid = Some(pid),
                // It was over already.
                Said::Answered(reply) => return self.answered(&reply),
                Said::Failed { error, .. } => return self.failed(&error),
                Said::Passed(_) | Said::Delta(_) => {}
            }
        }
        // A call that has not begun finds nobody to hear it.
        self.kept.leave(&self.app, self.pid.map(Left::Asking));
    }
}

/// Nothing more comes, and the last word did not.
fn broken_off() -> Error {
    let text = "asking the model: the answer was not read in time, or the kernel stopped meanwhile";
    Error::new(ErrorCode::Interrupted, text)
}

/// The answer to a request.
pub(crate) async fn of(mut under: Under) -> Response {
    let (mut whole, mut refused) = (None, None);
    loop {
        match under.next().await {
            Some(Said::Process(_)) => {}
            Some(Said::Passed(Passed::Whole(body))) => whole = Some(body),
            Some(Said::Passed(Passed::Refused { status, body })) => refused = Some((status, body)),
            Some(Said::Passed(Passed::Event { name, data })) => {
                let mut events = Events::new(under, /*writes*/ false);
                events.passed(&name, &data);
                return events.response();
            }
            Some(Said::Delta(delta)) if under.asked.stream => {
                let mut events = Events::new(under, /*writes*/ true);
                events.take(Said::Delta(delta));
                return events.response();
            }
            Some(Said::Delta(_)) => {}
            Some(Said::Answered(reply)) => {
                let written = match whole {
                    // A provider may answer in one piece what was asked as a stream.
                    Some(body) if !under.asked.stream => body,
                    Some(_) | None if under.asked.stream => {
                        let mut events = Events::new(under, /*writes*/ true);
                        events.take(Said::Answered(reply));
                        return events.response();
                    }
                    Some(_) | None => under.writer().whole(&reply).into(),
                };
                under.answered(&reply);
                let json = [(CONTENT_TYPE, "application/json")];
                let mut response = (json, Body::from(written)).into_response();
                under.head(&mut response);
                return response;
            }
            Some(Said::Failed { error, retry_after }) => {
                under.failed(&error);
                let mut response = refusal(under.format, &error, retry_after, refused);
                under.head(&mut response);
                return response;
            }
            None => {
                let error = under.broken_off();
                return refusal::answer(under.format, &error, None);
            }
        }
    }
}

/// The answer to a request that failed: what the provider said, if it is about the request.
fn refusal(
    format: Format,
    error: &Error,
    retry_after: Option<Millis>,
    refused: Option<(u16, Bytes)>,
) -> Response {
    let own = refusal::answer(format, error, retry_after);
    // What the provider says of the kernel's key, its account or its rate is not for the client, nor is
    // what another model of the route said before.
    let is_theirs =
        [ErrorCode::ModelBadRequest, ErrorCode::ModelContextLength].contains(&error.code);
    let is_of_request = |status: u16| matches!(status, 400 | 404 | 405 | 409 | 413 | 415 | 422);
    match refused
        .filter(|(status, body)| is_theirs && is_of_request(*status) && body.starts_with(b"{"))
    {
        Some((status, body)) => {
            let status = StatusCode::from_u16(status).unwrap_or_else(|_| own.status());
            (status, [(CONTENT_TYPE, "application/json")], body).into_response()
        }
        None => own,
    }
}

/// An answer as events.
struct Events {
    under: Under,
    /// What writes them, unless they are passed on as they come.
    writer: Option<Writer>,
    ready: BytesMut,
}

impl Events {
    fn new(under: Under, writes: bool) -> Self {
        let writer = writes.then(|| under.writer());
        Self { under, writer, ready: BytesMut::new() }
    }

    fn response(self) -> Response {
        let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")];
        let mut head = headers.into_response();
        self.under.head(&mut head);
        let (parts, _) = head.into_parts();
        Response::from_parts(parts, Body::from_stream(self))
    }

    /// An event of the provider's.
    fn passed(&mut self, name: &str, data: &str) {
        write(&mut self.ready, Some(name).filter(|name| !name.is_empty()), data);
    }

    fn frames(&mut self, frames: Vec<Frame>) {
        for frame in frames {
            write(&mut self.ready, frame.event, &frame.data);
        }
    }

    fn take(&mut self, said: Said) {
        match said {
            Said::Passed(Passed::Event { name, data }) => self.passed(&name, &data),
            Said::Delta(delta) => {
                let frames = self.writer.as_mut().map(|writer| writer.delta(&delta));
                self.frames(frames.unwrap_or_default());
            }
            Said::Answered(reply) => {
                let frames = self.writer.as_mut().map(|writer| writer.finish(&reply));
                self.frames(frames.unwrap_or_default());
                self.under.answered(&reply);
            }
            Said::Failed { error, .. } => {
                self.broken(&error);
                self.under.failed(&error);
            }
            // They come before the first event, or in the place of events.
            Said::Process(_) | Said::Passed(Passed::Whole(_) | Passed::Refused { .. }) => {}
        }
    }

    /// Tells of a failure in the midst of the answer.
    fn broken(&mut self, error: &Error) {
        let (status, line) = (refusal::status_of(error.code).as_u16(), refusal::line(error));
        let frame = match &mut self.writer {
            Some(writer) => writer.failed(status, error.code, &line),
            None => error_event(self.under.format, status, error.code, &line),
        };
        self.frames(vec![frame]);
    }
}

impl Stream for Events {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        while !this.under.is_over && this.ready.len() < TOGETHER_MAX {
            match this.under.poll(cx) {
                Poll::Ready(Some(said)) => this.take(said),
                Poll::Ready(None) => {
                    let error = this.under.broken_off();
                    this.broken(&error);
                }
                Poll::Pending if this.ready.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        let ready = this.ready.split().freeze();
        Poll::Ready((!ready.is_empty()).then_some(Ok(ready)))
    }
}

/// Writes an event in the form of event streams.
fn write(out: &mut BytesMut, name: Option<&str>, data: &str) {
    if let Some(name) = name {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\n");
    }
    for line in data.split('\n') {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(b"\n");
    }
    out.extend_from_slice(b"\n");
}

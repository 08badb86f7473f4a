//! The form of event streams, and what keeps them within bounds.
//!
//! A stream is pulled by its connection: an event is made when the one before has left, so nothing is
//! kept for a client that is slow.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_core::Stream;
use serde::Serialize;
use tokio::time::{Interval, MissedTickBehavior};

use aosk_abi::{Error, ErrorCode};

use crate::app::App;
use crate::limits::{EVENTS_BYTES_MAX, EVENTS_PER_READ, KEEP_ALIVE_EVERY};
use crate::metrics::Open;

/// The header with the id of the last event that a client saw.
const LAST_EVENT_ID: &str = "last-event-id";

/// A comment that shows that the connection is there.
pub(super) const KEEP_ALIVE: &[u8] = b": the connection is alive\n\n";

/// How many facts a stream reads at once, and how many bytes.
pub(super) const AT_ONCE: (u32, usize) = (EVENTS_PER_READ, EVENTS_BYTES_MAX);

/// When a stream says that it is there, however busy it is otherwise.
pub(super) fn keep_alive() -> Interval {
    let mut ticks = tokio::time::interval(KEEP_ALIVE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first is due at once.
    ticks.reset();
    ticks
}

/// Where events come from.
pub(super) trait Source: Send + 'static {
    /// The next piece of the stream; none at its end.
    fn next(&mut self) -> impl Future<Output = Option<Bytes>> + Send;
}

/// An event as it is sent. Its data is one line, since JSON has line ends only in escapes.
pub(super) fn event(id: Option<u64>, name: &str, data: &impl Serialize) -> Bytes {
    let data = serde_json::to_string(data).unwrap_or_default();
    let id = id.map_or_else(String::new, |id| format!("id: {id}\n"));
    Bytes::from(format!("{id}event: {name}\ndata: {data}\n\n"))
}

/// The number of the last event that the client saw, if it says so.
///
/// # Errors
/// If what it says is no number.
fn last_id(headers: &HeaderMap) -> Result<Option<u64>, Error> {
    let Some(value) = headers.get(LAST_EVENT_ID) else { return Ok(None) };
    let number = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    number.map(Some).ok_or_else(|| {
        let text = "reading the request: the header Last-Event-ID is not the number of an entry";
        Error::new(ErrorCode::ApiBadRequest, text)
    })
}

/// The same, if the journal has an entry of that number.
///
/// # Errors
/// If it has not: its reader has seen another journal, and would miss what this one gets until it is as
/// long.
pub(super) async fn last_seen(app: &App, headers: &HeaderMap) -> Result<Option<u64>, Error> {
    let Some(last) = last_id(headers)? else { return Ok(None) };
    // Followers are told of a commit after readers can see it.
    let told = *app.handle().journal().borrow();
    let length =
        if last <= told { told } else { app.read(|store| Ok(store.head()?.length)).await? };
    if last <= length {
        return Ok(Some(last));
    }
    let text = format!(
        "reading the request: the header Last-Event-ID is {last}, and the journal has {length} \
        entries"
    );
    Err(Error::new(ErrorCode::ApiBadRequest, text)
        .hint("it is from another journal; begin without it"))
}

/// The answer that streams what a source gives.
pub(super) fn stream(app: &App, source: impl Source) -> Response {
    let open = app.metrics().stream();
    let events = Events { next: None, source: Some(source), _open: open };
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")];
    (headers, Body::from_stream(events)).into_response()
}

/// What comes next, with the source that it came from.
type Next<S> = Pin<Box<dyn Future<Output = (Option<Bytes>, S)> + Send>>;

struct Events<S> {
    next: Option<Next<S>>,
    source: Option<S>,
    _open: Open,
}

// The source moves only into the box that is pinned.
impl<S> Unpin for Events<S> {}

impl<S: Source> Stream for Events<S> {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let next = match (&mut this.next, this.source.take()) {
            (Some(next), _) => next,
            (None, Some(mut source)) => this.next.insert(Box::pin(async move {
                let piece = source.next().await;
                (piece, source)
            })),
            (None, None) => return Poll::Ready(None),
        };
        let Poll::Ready((piece, source)) = next.as_mut().poll(cx) else {
            return Poll::Pending;
        };
        this.next = None;
        this.source = piece.is_some().then_some(source);
        Poll::Ready(piece.map(Ok))
    }
}

//! Watching one process: what it does, and its answers while they are written.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use aosk_abi::{Error, Pid};
use aosk_runtime::model::Delta;
use aosk_runtime::{Growth, Snapshot};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Interval;
use utoipa::ToSchema;

use super::journal::Filter;
use super::process::{find, with_result};
use super::sse::{self, AT_ONCE, KEEP_ALIVE, Source, event};
use super::view::Process;
use crate::access::Caller;
use crate::app::App;
use crate::extract::{Path, Query};
use crate::limits::WAKE_PAUSE;
use crate::problem::Problem;

/// From where on.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventQuery {
    /// The first entry of the journal; the first of the process if nothing is said. The header
    /// `Last-Event-ID` goes before it.
    from: Option<u64>,
    /// Whether answers are shown while they are written; if nothing is said, they are.
    tokens: Option<bool>,
}

/// A piece of an answer that is being written.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "of", rename_all = "snake_case")]
enum Piece {
    /// Of its text.
    Text {
        /// The piece.
        text: String,
    },
    /// Of the reasoning before it.
    Reasoning {
        /// The piece.
        text: String,
    },
    /// It begins to call a tool.
    ToolCall {
        /// The place of the call in the answer, from 0.
        index: usize,
        /// The tool.
        name: String,
    },
}

impl Piece {
    /// The piece as it is told; none of arguments, which come whole with the fact of the answer.
    fn of(delta: Delta) -> Option<Self> {
        match delta {
            Delta::Text(text) => Some(Self::Text { text }),
            Delta::Reasoning(text) => Some(Self::Reasoning { text }),
            Delta::ToolCall { index, name } => Some(Self::ToolCall { index, name }),
            Delta::Arguments(_) => None,
        }
    }
}

/// Events of a process until it has ended. `fact`: an entry of the journal, whose place is the event's
/// id. `state`: the process, when what it does has changed. `token`: a piece of an answer that is being
/// written. `missed`: so many pieces were left out because the client was slow; the fact of the answer
/// comes in any case. `end`: the process, at its end, with its result.
///
/// A connection that was lost is taken up with `Last-Event-ID`: no fact is missed and none comes twice.
/// One that asks for what comes after the end is told that there is no more, with the status 204.
#[utoipa::path(
    get,
    path = "/api/v1/processes/{pid}/events",
    tag = "processes",
    params(
        ("pid" = String, Path, pattern = "^p?[0-9]{1,19}$", description = "Its id"),
        EventQuery,
        ("Last-Event-ID" = Option<u64>, Header, description = "The last entry that was seen"),
    ),
    responses(
        (status = 200, description = "Events", content_type = "text/event-stream", body = String),
        (status = 204, description = "It has ended, and all of it was seen"),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such process", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn events(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Path(pid): Path<String>,
    Query(query): Query<EventQuery>,
) -> Result<Response, Problem> {
    // From here on nothing of it is missed.
    let growth = query.tokens.unwrap_or(true).then(|| app.handle().growth());
    let process = find(&app, &caller, &pid).await?;
    let filter = Filter { pid: Some(process.pid), kind: None, caller };
    let last = sse::last_seen(&app, &headers).await?;
    let next = last.map(|last| last.saturating_add(1)).or(query.from).unwrap_or(1);
    if last.is_some() && process.has_ended {
        let left = filter.clone();
        let left = app.read(move |reader| left.read(reader, next, (1, 0))).await?;
        if left.entries.is_empty() && !left.more {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
    }
    let source = Watcher {
        pid: process.pid,
        app: app.clone(),
        filter,
        growth,
        change: None,
        next,
        state: "",
        ready: VecDeque::new(),
        ended: false,
        alive: sse::keep_alive(),
    };
    Ok(sse::stream(&app, source))
}

struct Watcher {
    app: App,
    pid: Pid,
    filter: Filter,
    growth: Option<broadcast::Receiver<Growth>>,
    /// The next change of the process, asked for before it was last looked at.
    change: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// The entry to read next.
    next: u64,
    /// What it did when it was last told of.
    state: &'static str,
    /// At most one read, and what is told with it.
    ready: VecDeque<Bytes>,
    ended: bool,
    alive: Interval,
}

impl Watcher {
    /// Looks for what is new. Facts come before the state that they led to.
    async fn look(&mut self) -> Result<(), Error> {
        let (pid, handle) = (self.pid, self.app.handle());
        // It counts from here on, so that no change is missed.
        let change = handle.changed(pid);
        let process = match handle.process(pid) {
            Some(process) => process,
            // It ended long ago.
            None => {
                self.app.read_on(move |reader| aosk_runtime::inspect::process(reader, pid)).await?
            }
        };
        let (filter, from) = (self.filter.clone(), self.next);
        let part = self.app.read_on(move |reader| filter.read(reader, from, AT_ONCE)).await?;
        self.next = part.next;
        let facts = part.entries.iter();
        self.ready.extend(facts.map(|entry| event(Some(entry.seq), "fact", entry)));
        if part.more {
            // The rest comes first.
            self.change = None;
            return Ok(());
        }
        self.tell(&process).await?;
        // A change without anything new may come again at once, as when the kernel has stopped.
        let pause = if self.ready.is_empty() { WAKE_PAUSE } else { Duration::ZERO };
        self.change = Some(Box::pin(async move {
            change.await;
            tokio::time::sleep(pause).await;
        }));
        Ok(())
    }

    async fn tell(&mut self, process: &Snapshot) -> Result<(), Error> {
        if process.has_ended {
            let process = with_result(&self.app, process).await?;
            self.ready.push_back(event(None, "end", &process));
            self.ended = true;
        } else if process.state != self.state {
            self.state = process.state;
            self.ready.push_back(event(None, "state", &Process::from(process)));
        }
        Ok(())
    }
}

impl Source for Watcher {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Some(ready);
            }
            if self.ended {
                return None;
            }
            let Some(change) = self.change.as_mut() else {
                if let Err(error) = self.look().await {
                    tracing::warn!(%error, "a watcher's read failed");
                    return None;
                }
                continue;
            };
            tokio::select! { biased;
                () = self.app.stopping() => return None,
                grown = grown(self.growth.as_mut()) => match grown {
                    Ok(Growth { pid, delta }) if pid == self.pid => {
                        if let Some(piece) = Piece::of(delta) {
                            return Some(event(None, "token", &piece));
                        }
                    }
                    Ok(_) => {}
                    Err(RecvError::Lagged(count)) => {
                        let missed = serde_json::json!({ "pieces": count });
                        return Some(event(None, "missed", &missed));
                    }
                    Err(RecvError::Closed) => self.growth = None,
                },
                () = change => self.change = None,
                _ = self.alive.tick() => {
                    return Some(Bytes::from_static(KEEP_ALIVE));
                }
            }
        }
    }
}

/// The next piece of any answer; never if nobody watches them.
async fn grown(growth: Option<&mut broadcast::Receiver<Growth>>) -> Result<Growth, RecvError> {
    match growth {
        Some(growth) => growth.recv().await,
        None => std::future::pending().await,
    }
}

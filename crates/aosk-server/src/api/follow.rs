//! Following the journal while it grows.
//!
//! A follower is woken by commits and reads the store, so one that is slow reads later and misses
//! nothing.

use std::collections::VecDeque;

use aosk_runtime::store::Reader;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::Interval;

use super::journal::Filter;
use super::sse::{self, AT_ONCE, KEEP_ALIVE, Source, event};
use crate::access::Caller;
use crate::app::App;
use crate::extract::Query;
use crate::problem::Problem;

/// Which entries.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct FollowQuery {
    /// The first, counted from 1; the next to be written if nothing is said. The header
    /// `Last-Event-ID` goes before it.
    from: Option<u64>,
    /// Only those of this process.
    #[param(pattern = "^p?[0-9]{1,19}$")]
    pid: Option<String>,
    /// Only those of this kind.
    kind: Option<String>,
}

/// The entries of the journal as they are committed: events `fact`, whose ids are their places. A
/// connection that was lost is taken up with `Last-Event-ID`; nothing is missed and nothing comes twice.
#[utoipa::path(
    get,
    path = "/api/v1/journal/follow",
    tag = "journal",
    params(
        FollowQuery,
        ("Last-Event-ID" = Option<u64>, Header, description = "The last entry that was seen"),
    ),
    responses(
        (status = 200, description = "Events", content_type = "text/event-stream", body = String),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn follow(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Query(query): Query<FollowQuery>,
) -> Result<Response, Problem> {
    let filter = Filter::of(caller, query.pid.as_deref(), query.kind)?;
    let mut journal = app.handle().journal();
    let head = *journal.borrow_and_update();
    let last = sse::last_seen(&app, &headers).await?;
    let next = last.map_or(query.from, |last| Some(last.saturating_add(1)));
    let next = next.unwrap_or_else(|| head.saturating_add(1));
    let (alive, ready) = (sse::keep_alive(), VecDeque::new());
    let source = Follower { app: app.clone(), filter, journal, next, more: true, ready, alive };
    Ok(sse::stream(&app, source))
}

struct Follower {
    app: App,
    filter: Filter,
    journal: watch::Receiver<u64>,
    /// The entry to read next.
    next: u64,
    /// Whether it may be there already.
    more: bool,
    /// At most one read.
    ready: VecDeque<Bytes>,
    alive: Interval,
}

impl Source for Follower {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Some(ready);
            }
            if self.more {
                let (filter, next) = (self.filter.clone(), self.next);
                let read = move |reader: &dyn Reader| filter.read(reader, next, AT_ONCE);
                match self.app.read_on(read).await {
                    Ok(part) => {
                        (self.next, self.more) = (part.next, part.more);
                        let events = part.entries.iter();
                        self.ready.extend(events.map(|one| event(Some(one.seq), "fact", one)));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a follower's read failed");
                        return None;
                    }
                }
                continue;
            }
            tokio::select! { biased;
                () = self.app.stopping() => return None,
                changed = self.journal.changed() => {
                    // The kernel is gone.
                    changed.ok()?;
                    self.more = true;
                }
                _ = self.alive.tick() => {
                    return Some(Bytes::from_static(KEEP_ALIVE));
                }
            }
        }
    }
}

//! What a process has in its log, and where the pages of it are.

use aosk_abi::ArenaId;
use aosk_runtime::inspect::{self, KeptPage, LogPart};
use aosk_runtime::kernel::memory::Residency;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::process::find;
use crate::access::Caller;
use crate::app::App;
use crate::extract::{Json, Path, Query};
use crate::limits::{ITEMS_MAX, ITEMS_USUAL, PART_BYTES_MAX};
use crate::problem::Problem;

/// Which messages.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LogQuery {
    /// The first, counted from 0.
    #[serde(default)]
    from: u32,
    /// At most so many: 100 if nothing is said, 1000 at most.
    limit: Option<u32>,
}

/// Messages of a log, in order.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MessageList {
    /// Those that were asked for.
    messages: Vec<LogMessage>,
    /// How many the log has.
    length: u64,
    /// The `from` of the next page, if there is more. A page may have fewer than were asked for.
    next: Option<u64>,
}

/// A message of a log.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LogMessage {
    /// Its place, counted from 0.
    index: u64,
    /// The address of its content.
    hash: String,
    /// The message: `role`, `content`, and what else its role has.
    #[schema(value_type = Object)]
    message: serde_json::Value,
}

/// The messages of a process's log.
#[utoipa::path(
    get,
    path = "/api/v1/processes/{pid}/messages",
    tag = "processes",
    params(("pid" = String, Path, pattern = "^p?[0-9]{1,19}$", description = "Its id"), LogQuery),
    responses(
        (status = 200, description = "A page of them", body = MessageList),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such process", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn messages(
    State(app): State<App>,
    caller: Caller,
    Path(pid): Path<String>,
    Query(query): Query<LogQuery>,
) -> Result<Json<MessageList>, Problem> {
    let pid = find(&app, &caller, &pid).await?.pid;
    let from = usize::try_from(query.from).unwrap_or(usize::MAX);
    let limit = query.limit.unwrap_or(ITEMS_USUAL).clamp(1, ITEMS_MAX);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let part = LogPart { from, limit, bytes: PART_BYTES_MAX };
    let (bodies, length) = app.read(move |reader| inspect::log_part(reader, pid, part)).await?;
    let messages = bodies.iter().enumerate().map(|(at, body)| LogMessage {
        index: from.saturating_add(at) as u64,
        hash: body.hash().to_string(),
        message: serde_json::to_value(body.message()).unwrap_or_default(),
    });
    let messages: Vec<_> = messages.collect();
    let end = from.saturating_add(messages.len());
    let next = (end < length && !messages.is_empty()).then_some(end as u64);
    Ok(Json(MessageList { messages, length: length as u64, next }))
}

/// The pages of a process.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PageList {
    /// The messages of its log.
    messages: u32,
    /// Those of them that are pages already. The others came after it last asked its model.
    taken: u32,
    /// Every page, in order.
    pages: Vec<Page>,
}

/// A page: a message, or a part of a long one.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Page {
    /// Its number, from 1.
    page: u32,
    /// The message that holds it.
    message: u32,
    /// What it holds: `system`, `task`, `user`, `assistant`, `tool_result`, `message`, `recalled` or
    /// `summary`.
    #[schema(value_type = String)]
    kind: aosk_abi::PageKind,
    /// Its tokens, by estimate.
    tokens: u32,
    /// What it, or what stands for it, takes in the window.
    shown_tokens: u32,
    /// Where it is.
    residency: Where,
    /// Whether it is pinned.
    pinned: bool,
    /// The task that it belongs to, if to one.
    task: Option<u32>,
    /// How many pages its stub or its summary stands for, if it has one.
    stands_for: Option<u32>,
    /// The page that it is a copy of, if it is one.
    copy_of: Option<u32>,
}

/// Where a page is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Where {
    /// In the window.
    Resident,
    /// A stub stands for it.
    Stub,
    /// A summary stands for it.
    Summary,
    /// Not in the window.
    Evicted,
    /// Left with its task, whose result stands for it.
    Closed,
    /// Evicted for good.
    Forgotten,
}

impl From<&KeptPage> for Page {
    fn from(page: &KeptPage) -> Self {
        let entry = &page.entry;
        let kept = &entry.kept;
        let (residency, shown_tokens, stands_for) = match kept.residency {
            Residency::Resident => (Where::Resident, entry.tokens, None),
            Residency::Stub if kept.summary => (Where::Summary, kept.stand_in, Some(kept.extent)),
            Residency::Stub => (Where::Stub, kept.stand_in, Some(kept.extent)),
            Residency::Evicted => (Where::Evicted, 0, None),
            Residency::Closed => (Where::Closed, 0, None),
            Residency::Forgotten => (Where::Forgotten, 0, None),
        };
        Self {
            page: page.page.0,
            message: page.source.0,
            kind: entry.kind,
            tokens: entry.tokens,
            shown_tokens,
            residency,
            pinned: entry.pinned,
            task: Some(entry.arena).filter(|task| *task != ArenaId::NONE).map(|task| task.0),
            stands_for: stands_for.map(|pages| pages.max(1)),
            copy_of: kept.copy_of.map(|page| page.0),
        }
    }
}

/// The page table of a process: what of its log is in the window.
#[utoipa::path(
    get,
    path = "/api/v1/processes/{pid}/pages",
    tag = "processes",
    params(("pid" = String, Path, pattern = "^p?[0-9]{1,19}$", description = "Its id")),
    responses(
        (status = 200, description = "All of them", body = PageList),
        (status = 400, description = "This is no id", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such process", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn pages(
    State(app): State<App>,
    caller: Caller,
    Path(pid): Path<String>,
) -> Result<Json<PageList>, Problem> {
    let pid = find(&app, &caller, &pid).await?.pid;
    let table = app.read(move |reader| inspect::page_table(reader, pid)).await?;
    Ok(Json(PageList {
        messages: table.messages.0,
        taken: table.taken.0,
        pages: table.pages.iter().map(Page::from).collect(),
    }))
}

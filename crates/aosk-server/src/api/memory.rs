//! The memory of a process: its pages searched, and one of them with what it says.

use aosk_abi::{Error, ErrorCode};
use aosk_runtime::inspect::search::{FoundPage, PAGES_MAX, RESULTS_MAX};
use aosk_runtime::inspect::{self, search};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::log::Page;
use super::process::{find, parse};
use crate::access::Caller;
use crate::app::App;
use crate::extract::{Json, Path, Query};
use crate::limits::{QUERY_BYTES_MAX, RESULTS_USUAL};
use crate::problem::Problem;

/// What is searched for.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SearchQuery {
    /// Words, or a question.
    #[param(min_length = 1, pattern = r"\S")]
    query: String,
    /// At most so many pages: 8 if nothing is said, 32 at most.
    limit: Option<u32>,
}

/// Pages that were found.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Recollections {
    /// The pages that fit, the best first.
    found: Vec<Recollection>,
    /// Pages that were looked through.
    looked_at: usize,
    /// Whether these are all. Of a log that is longer than can be searched the oldest are left out.
    complete: bool,
}

/// A page that was found.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Recollection {
    #[serde(flatten)]
    page: Page,
    /// How it begins.
    begins: String,
}

impl From<&FoundPage> for Recollection {
    fn from(found: &FoundPage) -> Self {
        Self { page: Page::from(&found.page), begins: found.begins.clone() }
    }
}

/// Searches the pages of a process, as its own call `search_memory` does by words.
#[utoipa::path(
    get,
    path = "/api/v1/processes/{pid}/memory",
    tag = "processes",
    params(("pid" = String, Path, pattern = "^p?[0-9]{1,19}$", description = "Its id"), SearchQuery),
    responses(
        (status = 200, description = "What was found", body = Recollections),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such process", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn recall(
    State(app): State<App>,
    caller: Caller,
    Path(pid): Path<String>,
    Query(wanted): Query<SearchQuery>,
) -> Result<Json<Recollections>, Problem> {
    let pid = find(&app, &caller, &pid).await?.pid;
    let (query, bytes) = (wanted.query, QUERY_BYTES_MAX);
    if query.trim().is_empty() || query.len() > bytes {
        let text = format!("searching the memory of {pid}: a query has 1 to {bytes} bytes");
        return Err(Error::new(ErrorCode::ApiBadRequest, text)
            .hint("ask for some words of what is looked for")
            .into());
    }
    let limit = wanted.limit.unwrap_or(RESULTS_USUAL);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX).clamp(1, RESULTS_MAX);
    let found = app.search(move |reader| search::search(reader, pid, &query, limit)).await?;
    debug_assert!(found.looked_at <= PAGES_MAX, "a search is bounded");
    Ok(Json(Recollections {
        found: found.found.iter().map(Recollection::from).collect(),
        looked_at: found.looked_at,
        complete: found.complete,
    }))
}

/// A page with what it says.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PageText {
    #[serde(flatten)]
    page: Page,
    /// Its text, tool calls among it.
    text: String,
}

/// One page of a process, with its text, wherever the page is.
#[utoipa::path(
    get,
    path = "/api/v1/processes/{pid}/pages/{page}",
    tag = "processes",
    params(
        ("pid" = String, Path, pattern = "^p?[0-9]{1,19}$", description = "Its id"),
        ("page" = String, Path, pattern = "^[0-9]{1,9}$", description = "The number of the page"),
    ),
    responses(
        (status = 200, description = "The page", body = PageText),
        (status = 400, description = "One of these is no number", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such process, or no such page", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn page(
    State(app): State<App>,
    caller: Caller,
    Path((pid, page)): Path<(String, String)>,
) -> Result<Json<PageText>, Problem> {
    let pid = find(&app, &caller, &pid).await?.pid;
    let number: u32 = parse(&page, "the number of a page")?;
    let read = app.read(move |reader| {
        let table = inspect::page_table(reader, pid)?;
        let page = table.pages.iter().find(|page| page.page.0 == number);
        let Some(page) = page else { return Ok(None) };
        let text = inspect::page_text(&inspect::body(reader, page.body)?, page);
        Ok(Some(PageText { page: Page::from(page), text: text.unwrap_or_default() }))
    });
    let found = read.await?.ok_or_else(|| {
        Error::new(
            ErrorCode::MemoryNoPage,
            format!("reading page {number} of {pid}: there is none"),
        )
        .hint(format!("GET /api/v1/processes/{}/pages lists them", pid.0))
    })?;
    Ok(Json(found))
}

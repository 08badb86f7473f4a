//! Processes: listed, and one by one.

use std::time::Duration;

use aosk_abi::{Error, ErrorCode, Pid};
use aosk_runtime::store::{ProcessQuery, Reader, Which};
use aosk_runtime::{Snapshot, inspect};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::view::Process;
use crate::access::Caller;
use crate::app::App;
use crate::extract::{Json, Path, Query};
use crate::limits::{ITEMS_MAX, ITEMS_USUAL, SCAN_MAX, WAIT_MAX, WAIT_USUAL, read_at_once};
use crate::problem::Problem;

/// Which processes.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Ended ones too.
    #[serde(default)]
    all: bool,
    /// Only those in this state.
    state: Option<String>,
    /// Only those of this tenant or group.
    group: Option<String>,
    /// Only those of this name.
    name: Option<String>,
    /// At most so many: 100 if nothing is said, 1000 at most.
    limit: Option<u32>,
    /// The `next` of the page before.
    #[param(pattern = "^p?[0-9]{1,19}$")]
    cursor: Option<String>,
}

/// A page of processes, in order of their ids.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct ProcessList {
    /// Those that were found.
    processes: Vec<Process>,
    /// Where the next page begins, if there may be more. A page may have fewer than were asked for.
    next: Option<String>,
}

/// Lists processes.
#[utoipa::path(
    get,
    path = "/api/v1/processes",
    tag = "processes",
    params(ListQuery),
    responses(
        (status = 200, description = "A page of them", body = ProcessList),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Json<ProcessList>, Problem> {
    let after = match &query.cursor {
        Some(cursor) => parse(cursor, "the cursor")?,
        None => Pid(0),
    };
    let page = app.read(move |reader| query.page(reader, after, &caller)).await?;
    Ok(Json(page))
}

impl ListQuery {
    fn means(&self, process: &Snapshot) -> bool {
        let is = |wanted: &Option<String>, has: &str| wanted.as_deref().is_none_or(|w| w == has);
        is(&self.state, process.state)
            && is(&self.name, &process.spec.name)
            && self.group.as_deref().is_none_or(|group| is_of(&process.spec.group, group))
    }

    /// The page behind this process, of what the caller may see.
    fn page(&self, reader: &dyn Reader, after: Pid, by: &Caller) -> Result<ProcessList, Error> {
        let limit = self.limit.unwrap_or(ITEMS_USUAL).clamp(1, ITEMS_MAX);
        let which = if self.all { Which::All } else { Which::Live };
        let mut query = ProcessQuery { which, after, limit: read_at_once(limit) };
        let mut page = ProcessList { processes: Vec::new(), next: None };
        let mut left = SCAN_MAX;
        while left > 0 {
            let part = inspect::some_processes(reader, &query)?;
            if part.is_empty() {
                return Ok(page);
            }
            for process in part {
                if by.sees(&process.spec.group) && self.means(&process) {
                    if page.processes.len() as u64 == u64::from(limit) {
                        page.next = Some(query.after.0.to_string());
                        return Ok(page);
                    }
                    page.processes.push(Process::from(&process));
                }
                query.after = process.pid;
                left = left.saturating_sub(1);
            }
        }
        page.next = Some(query.after.0.to_string());
        Ok(page)
    }
}

/// Whether a process of the group `own` is one of the tenant or group `wanted`.
fn is_of(own: &str, wanted: &str) -> bool {
    own.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// One process.
#[utoipa::path(
    get,
    path = "/api/v1/processes/{pid}",
    tag = "processes",
    params(("pid" = String, Path, pattern = "^p?[0-9]{1,19}$", description = "Its id, such as 7")),
    responses(
        (status = 200, description = "The process, with its result", body = Process),
        (status = 400, description = "This is no id", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    Path(pid): Path<String>,
) -> Result<Json<Process>, Problem> {
    let process = find(&app, &caller, &pid).await?;
    Ok(Json(with_result(&app, &process).await?))
}

/// How long to wait.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WaitQuery {
    /// Milliseconds: 30000 if nothing is said, 300000 at most.
    timeout_ms: Option<u64>,
}

/// Waits until a process has ended, and answers with it; also when the time is up before.
#[utoipa::path(
    get,
    path = "/api/v1/processes/{pid}/wait",
    tag = "processes",
    params(("pid" = String, Path, pattern = "^p?[0-9]{1,19}$", description = "Its id"), WaitQuery),
    responses(
        (status = 200, description = "The process; `ended` says whether it has", body = Process),
        (status = 400, description = "This is no id", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The kernel is being stopped", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn wait(
    State(app): State<App>,
    caller: Caller,
    Path(pid): Path<String>,
    Query(query): Query<WaitQuery>,
) -> Result<Json<Process>, Problem> {
    let process = find(&app, &caller, &pid).await?;
    if process.has_ended {
        return Ok(Json(with_result(&app, &process).await?));
    }
    let time = query.timeout_ms.map_or(WAIT_USUAL, Duration::from_millis).min(WAIT_MAX);
    let process = tokio::select! {
        ended = app.handle().wait(process.pid) => ended?,
        () = tokio::time::sleep(time) => find(&app, &caller, &pid).await?,
        () = app.stopping() => {
            let text = format!("waiting for {}: the kernel is being stopped", process.pid);
            return Err(Error::new(ErrorCode::Interrupted, text).hint("ask again later").into());
        }
    };
    Ok(Json(with_result(&app, &process).await?))
}

/// The process of this id, if the caller may see it.
pub(super) async fn find(app: &App, caller: &Caller, pid: &str) -> Result<Snapshot, Error> {
    let pid: Pid = parse(pid, "the id of a process")?;
    let found = match app.handle().process(pid) {
        Some(process) => process,
        None => app.read(move |reader| inspect::process(reader, pid)).await?,
    };
    if caller.sees(&found.spec.group) {
        return Ok(found);
    }
    // As if it were not there.
    Err(Error::new(ErrorCode::NoSuchProcess, format!("reading {pid}: no such process"))
        .hint("`aosk ps --all` lists processes, ended ones included"))
}

/// An id, or that it is none.
pub(super) fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(
    text: &str,
    what: &str,
) -> Result<T, Error> {
    text.parse().map_err(|error| {
        Error::new(ErrorCode::ApiBadRequest, format!("reading {what} {text:?}: {error}"))
    })
}

/// The process with what it left.
pub(super) async fn with_result(app: &App, process: &Snapshot) -> Result<Process, Error> {
    let mut seen = Process::from(process);
    if let Some(hash) = process.result {
        let body = app.read(move |reader| inspect::body(reader, hash)).await?;
        seen.result = Some(body.message().text());
    }
    Ok(seen)
}

//! Why a process is not running now.

use aosk_runtime::inspect;
use aosk_runtime::inspect::why::Around;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::process::find;
use crate::access::Caller;
use crate::app::App;
use crate::extract::{Json, Path};
use crate::problem::Problem;

/// Why a process is not running, or that it is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Reason {
    /// The process.
    pid: u64,
    /// Its state, as that of a process.
    state: String,
    /// One word: `program`, `running`, `slot`, `preempted`, `circuit`, `refused`, `rate`, `backoff`,
    /// `budget`, `person`, `tool`, `child`, `message`, `timer`, `stopped`, `ending` or `ended`.
    reason: String,
    /// The sentence. Moments in it are in the time zone of the kernel's machine.
    sentence: String,
    /// When that ends, if time ends it, in milliseconds since 1970.
    until_ms: Option<u64>,
    /// The model that it is about.
    model: Option<String>,
    /// Those before it in the queue, the first first, as far as the caller may see them.
    ahead: Vec<u64>,
    /// The budget that has no room.
    budget: Option<u64>,
}

/// Why a process is not running now, in one sentence and for programs.
#[utoipa::path(
    get,
    path = "/api/v1/processes/{pid}/why",
    tag = "processes",
    params(("pid" = String, Path, pattern = "^p?[0-9]{1,19}$", description = "Its id")),
    responses(
        (status = 200, description = "The reason", body = Reason),
        (status = 400, description = "This is no id", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such process", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn why(
    State(app): State<App>,
    caller: Caller,
    Path(pid): Path<String>,
) -> Result<Json<Reason>, Problem> {
    let process = find(&app, &caller, &pid).await?;
    let pid = process.pid;
    let routes = app.handle().equipment().routes.clone();
    let (policy, now) = (app.handle().policy().to_owned(), app.clock().now());
    let why = app.read(move |reader| {
        let sees = |group: &str| caller.sees(group);
        let around = Around { routes, policy, runs: true, served: true, now, sees: &sees };
        inspect::why::why(reader, &around, pid)
    });
    let why = why.await?;
    Ok(Json(Reason {
        pid: pid.0,
        state: process.state.to_owned(),
        reason: why.reason.to_owned(),
        sentence: why.sentence(&process),
        until_ms: why.until.map(|at| at.0),
        model: why.device,
        ahead: why.ahead.iter().map(|pid| pid.0).collect(),
        budget: why.budget.map(|id| id.0),
    }))
}

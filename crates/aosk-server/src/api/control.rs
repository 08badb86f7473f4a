//! What can be done to a process.

use aosk_abi::{Message, Signal};
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::process::find;
use crate::access::Operator;
use crate::app::App;
use crate::extract::{Json, Path};
use crate::problem::Problem;

/// A signal.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignalRequest {
    /// Which.
    signal: SignalName,
}

/// A signal's name.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
enum SignalName {
    /// Finish in order.
    Term,
    /// End now.
    Kill,
    /// Do nothing more until CONT.
    Stop,
    /// Go on.
    Cont,
}

impl From<SignalName> for Signal {
    fn from(name: SignalName) -> Self {
        match name {
            SignalName::Term => Self::Term,
            SignalName::Kill => Self::Kill,
            SignalName::Stop => Self::Stop,
            SignalName::Cont => Self::Cont,
        }
    }
}

/// Signals a process.
#[utoipa::path(
    post,
    path = "/api/v1/processes/{pid}/signal",
    tag = "processes",
    params(("pid" = String, Path, pattern = "^p?[0-9]{1,19}$", description = "Its id")),
    request_body = SignalRequest,
    responses(
        (status = 204, description = "It is done, and kept"),
        (status = 400, description = "The request makes no sense", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller may not do this", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such process, or it has ended", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn signal(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(pid): Path<String>,
    Json(wanted): Json<SignalRequest>,
) -> Result<StatusCode, Problem> {
    let process = find(&app, &caller, &pid).await?;
    app.handle().signal(process.pid, wanted.signal.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A message.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageRequest {
    /// What it says.
    text: String,
}

/// Puts a message into the mailbox of a process.
#[utoipa::path(
    post,
    path = "/api/v1/processes/{pid}/messages",
    tag = "processes",
    params(("pid" = String, Path, pattern = "^p?[0-9]{1,19}$", description = "Its id")),
    request_body = MessageRequest,
    responses(
        (status = 204, description = "It is there, and kept"),
        (status = 400, description = "The request makes no sense", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller may not do this", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such process, or it has ended", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The mailbox is full", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn message(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(pid): Path<String>,
    Json(wanted): Json<MessageRequest>,
) -> Result<StatusCode, Problem> {
    let process = find(&app, &caller, &pid).await?;
    app.handle().send(process.pid, Message::user(wanted.text)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A priority.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PriorityRequest {
    /// 0 (most urgent) to 100.
    #[schema(maximum = 100)]
    priority: u8,
}

/// Changes the priority of a process.
#[utoipa::path(
    put,
    path = "/api/v1/processes/{pid}/priority",
    tag = "processes",
    params(("pid" = String, Path, pattern = "^p?[0-9]{1,19}$", description = "Its id")),
    request_body = PriorityRequest,
    responses(
        (status = 204, description = "It is done, and kept"),
        (status = 400, description = "The request makes no sense", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller may not do this", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such process, or it has ended", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn renice(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(pid): Path<String>,
    Json(wanted): Json<PriorityRequest>,
) -> Result<StatusCode, Problem> {
    let process = find(&app, &caller, &pid).await?;
    app.handle().renice(process.pid, wanted.priority).await?;
    Ok(StatusCode::NO_CONTENT)
}

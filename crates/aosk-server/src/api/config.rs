//! The configuration of the kernel, read anew while it runs.

use aosk_abi::{Change, Error, ErrorCode};
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Admin;
use crate::app::App;
use crate::extract::Json;
use crate::problem::Problem;

/// What came of reading the configuration anew.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Reloaded {
    /// What is in force now.
    changed: Vec<Said>,
    /// What the configuration says anew and only a restart puts in force.
    needs_restart: Vec<Said>,
}

/// One thing that the configuration says anew.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Said {
    /// What, as the configuration calls it.
    key: String,
    /// What it said; none if nothing. Secrets are not shown.
    from: Option<String>,
    /// What it says; none if nothing. Secrets are not shown.
    to: Option<String>,
}

impl Said {
    fn all(changes: Vec<Change>) -> Vec<Self> {
        let one = |Change { key, from, to }| Self { key, from, to };
        changes.into_iter().map(one).collect()
    }
}

/// Reads the configuration anew, as SIGHUP does. What can change does, without losing a call; what needs a
/// restart is named. A configuration with a mistake changes nothing.
#[utoipa::path(
    post,
    path = "/api/v1/config/reload",
    tag = "kernel",
    responses(
        (status = 200, description = "It was read", body = Reloaded),
        (status = 400, description = "It has a mistake, which the answer names with its line; nothing is changed", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller may not do this", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "It is being read already, or the kernel is stopping", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn reload(
    State(app): State<App>,
    Admin(caller): Admin,
) -> Result<Json<Reloaded>, Problem> {
    caller.must_be_of_all()?;
    let Some(reload) = &app.setup().reload else {
        let text = "reading the configuration: this kernel was started without one";
        return Err(Error::new(ErrorCode::ConfigInvalid, text).into());
    };
    let reloaded = reload.ask().await?;
    Ok(Json(Reloaded {
        changed: Said::all(reloaded.changed),
        needs_restart: Said::all(reloaded.needs_restart),
    }))
}

//! How it is decided who is next.

use aosk_runtime::kernel;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::Admin;
use crate::app::App;
use crate::extract::Json;
use crate::problem::Problem;

/// The policies.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Policies {
    /// Who gets a free slot of a model next.
    scheduler: Scheduler,
}

/// The policies of the scheduler.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Scheduler {
    /// The one in force. A kernel begins with the one that the configuration names.
    current: &'static str,
    /// All of them.
    available: Vec<&'static str>,
}

/// The policies there are, and those in force.
#[utoipa::path(
    get,
    path = "/api/v1/policies",
    tag = "kernel",
    responses((status = 200, description = "The policies", body = Policies))
)]
pub(super) async fn list(State(app): State<App>) -> Json<Policies> {
    Json(policies(&app))
}

fn policies(app: &App) -> Policies {
    let available = kernel::policy_names().collect();
    Policies { scheduler: Scheduler { current: app.handle().policy(), available } }
}

/// A policy that is to be in force.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyRequest {
    /// Its name.
    policy: String,
}

/// Changes the policy of the scheduler. Calls in flight are not touched.
#[utoipa::path(
    put,
    path = "/api/v1/policies/scheduler",
    tag = "kernel",
    request_body = PolicyRequest,
    responses(
        (status = 200, description = "It is in force", body = Policies),
        (status = 400, description = "There is none of this name", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller may not do this", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn set(
    State(app): State<App>,
    Admin(caller): Admin,
    Json(wanted): Json<PolicyRequest>,
) -> Result<Json<Policies>, Problem> {
    caller.must_be_of_all()?;
    app.handle().set_policy(&wanted.policy).await?;
    Ok(Json(policies(&app)))
}

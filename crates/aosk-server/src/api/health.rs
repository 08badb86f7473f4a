//! Whether the kernel is there, and which one it is.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::extract::Json;

/// That the kernel answers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// Always `ok`: a kernel that cannot go on ends, and answers nothing.
    status: &'static str,
    /// Processes that live.
    live: usize,
}

/// Whether the kernel is there.
#[utoipa::path(
    get,
    path = "/api/v1/health",
    tag = "server",
    responses((status = 200, description = "It is", body = Health))
)]
pub(super) async fn health(State(app): State<App>) -> Json<Health> {
    Json(Health { status: "ok", live: app.handle().live_count() })
}

/// Which kernel this is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Version {
    /// The program.
    name: &'static str,
    /// Its version.
    version: &'static str,
}

/// Which kernel this is.
#[utoipa::path(
    get,
    path = "/api/v1/version",
    tag = "server",
    responses((status = 200, description = "The version", body = Version))
)]
pub(super) async fn version() -> Json<Version> {
    Json(Version { name: "aosk", version: env!("CARGO_PKG_VERSION") })
}

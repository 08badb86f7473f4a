//! The nodes that a kernel runs on. There is one so far; more would be further items of the same list.

use aosk_abi::{Error, ErrorCode};
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::extract::{Json, Path};
use crate::problem::Problem;

/// What a process does whose call has a slot, in the word of its state.
const RUNNING: &str = "running";

/// The nodes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NodeList {
    /// Each.
    nodes: Vec<Node>,
}

/// A node: a kernel with its store and its devices.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Node {
    /// Its id, which stays that of its data directory.
    id: String,
    /// Its version.
    version: &'static str,
    /// When it began to serve, in milliseconds since 1970.
    started_ms: u64,
    /// The kind of its store, such as `sqlite`.
    store: &'static str,
    /// Processes that live.
    live: usize,
    /// Calls of models at once.
    slots: Slots,
}

/// Calls of models at once, of all models together.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Slots {
    /// How many may run.
    total: u64,
    /// How many run.
    used: u64,
}

impl Node {
    fn this(app: &App) -> Self {
        let handle = app.handle();
        let models = &handle.equipment().models;
        let used = handle.census().states.get(RUNNING).copied().unwrap_or_default();
        Self {
            id: app.node().to_owned(),
            version: env!("CARGO_PKG_VERSION"),
            started_ms: app.started().0,
            store: handle.reader().kind(),
            live: handle.live_count(),
            slots: Slots { total: models.iter().map(|model| u64::from(model.slots)).sum(), used },
        }
    }
}

/// The nodes that a kernel runs on.
#[utoipa::path(
    get,
    path = "/api/v1/nodes",
    tag = "kernel",
    responses((status = 200, description = "The nodes", body = NodeList))
)]
pub(super) async fn list(State(app): State<App>) -> Json<NodeList> {
    Json(NodeList { nodes: vec![Node::this(&app)] })
}

/// One node.
#[utoipa::path(
    get,
    path = "/api/v1/nodes/{id}",
    tag = "kernel",
    params(("id" = String, Path, pattern = "^[a-z0-9]{1,32}$", description = "Its id")),
    responses(
        (status = 200, description = "The node", body = Node),
        (status = 400, description = "This is no id", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is none of this id", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<Node>, Problem> {
    if id == app.node() {
        return Ok(Json(Node::this(&app)));
    }
    let text = format!("reading the node {id:?}: there is none of this id");
    Err(Error::new(ErrorCode::ApiNotFound, text).hint("GET /api/v1/nodes lists them").into())
}

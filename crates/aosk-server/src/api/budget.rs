//! The budget tree: who may spend what, and what was used and is held.

use std::collections::BTreeMap;

use aosk_abi::{BudgetId, Error, ErrorCode, Limits};
use aosk_runtime::inspect::{self, group_of};
use aosk_runtime::kernel::BudgetView;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::process::parse;
use super::view::{Amount, Bound};
use crate::access::{Admin, Caller};
use crate::app::App;
use crate::extract::{Json, Path};
use crate::problem::Problem;

/// The nodes of the tree, and those of devices, in order of their ids.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct BudgetList {
    /// Each.
    budgets: Vec<Budget>,
}

/// A node of the budget tree.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct Budget {
    /// Its id.
    budget: u64,
    /// The node above; none for the root and for those of devices.
    parent: Option<u64>,
    /// What it is.
    kind: Kind,
    /// The name of the group or device, if it is one.
    name: Option<String>,
    /// Its share among those beside it, if it is a group: 0 (the largest) to 100.
    priority: Option<u8>,
    /// What may be spent here and below.
    limits: Bound,
    /// What was spent here and below.
    used: Amount,
    /// What is held for calls in flight.
    reserved: Amount,
    /// What was used beyond what was held or allowed.
    overdraft: Amount,
    /// When its wall time is over, in milliseconds since 1970.
    expires_ms: Option<u64>,
    /// When time will have made room for the first that waits for it.
    room_at_ms: Option<u64>,
}

/// What a node of the budget tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// That of everything.
    Root,
    /// That of a tenant or a group.
    Group,
    /// That of a model.
    Device,
    /// That of a process and those under it.
    Process,
}

impl Kind {
    pub(super) fn of(view: &BudgetView) -> Self {
        match (&view.device, &view.group, view.parent) {
            (Some(_), _, _) => Self::Device,
            (None, Some(_), _) => Self::Group,
            (None, None, None) => Self::Root,
            (None, None, Some(_)) => Self::Process,
        }
    }
}

impl Budget {
    fn of(id: BudgetId, view: &BudgetView) -> Self {
        let group = view.group.as_ref();
        Self {
            budget: id.0,
            parent: view.parent.map(|parent| parent.0),
            kind: Kind::of(view),
            name: group.map(|group| group.name.clone()).or_else(|| view.device.clone()),
            priority: group.map(|group| group.priority),
            limits: Bound::from(&view.limits),
            used: Amount::from(&view.used),
            reserved: Amount::from(&view.reserved),
            overdraft: Amount::from(&view.overdraft),
            expires_ms: view.expires.map(|at| at.0),
            room_at_ms: view.room_at.map(|at| at.0),
        }
    }
}

/// The nodes of the tree, by their ids.
pub(super) type Views = BTreeMap<BudgetId, BudgetView>;

/// The budgets that the caller may see: all, or those of its tenant.
#[utoipa::path(
    get,
    path = "/api/v1/budgets",
    tag = "budgets",
    responses((status = 200, description = "All of them", body = BudgetList))
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<BudgetList>, Problem> {
    let views = app.read(|reader| inspect::budgets(reader)).await?;
    let seen = views.iter().filter(|(id, _)| caller.sees(group_of(&views, **id)));
    Ok(Json(BudgetList { budgets: seen.map(|(id, view)| Budget::of(*id, view)).collect() }))
}

/// Bounds the budget of a process and those under it anew. What was used stays; whoever waits for room
/// looks again.
#[utoipa::path(
    put,
    path = "/api/v1/budgets/{budget}/limits",
    tag = "budgets",
    params(("budget" = String, Path, pattern = "^b?[0-9]{1,19}$", description = "Its id, such as 3")),
    request_body = Bound,
    responses(
        (status = 200, description = "It holds, and is kept", body = Budget),
        (status = 400, description = "The request makes no sense", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller may not do this", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such budget", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn set(
    State(app): State<App>,
    Admin(caller): Admin,
    Path(budget): Path<String>,
    Json(bound): Json<Bound>,
) -> Result<Json<Budget>, Problem> {
    let id: BudgetId = parse(&budget, "the id of a budget")?;
    let views = app.read(|reader| inspect::budgets(reader)).await?;
    let view = views.get(&id).filter(|_| caller.sees(group_of(&views, id)));
    let view = view.ok_or_else(|| none(id))?;
    if Kind::of(view) != Kind::Process {
        let text = format!("bounding {id}: it is not a process's own");
        return Err(Error::new(ErrorCode::ApiBadRequest, text)
            .hint("bounds of groups and devices are those of the configuration")
            .into());
    }
    app.handle().set_limits(id, Limits::from(&bound)).await?;
    // As it is now; or as it was, if its process has gone on and ended already.
    let now = app.read(|reader| inspect::budgets(reader)).await?;
    let seen = Budget::of(id, now.get(&id).unwrap_or(view));
    Ok(Json(Budget { limits: bound, ..seen }))
}

fn none(id: BudgetId) -> Error {
    Error::new(ErrorCode::ApiNotFound, format!("reading {id}: there is no such budget"))
        .hint("GET /api/v1/budgets lists them; that of a process is gone when the process is")
}

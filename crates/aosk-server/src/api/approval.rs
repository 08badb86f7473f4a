//! Processes that wait for a person, and the answers of persons.

use aosk_abi::{
    Answer, BudgetId, CallId, Error, ErrorCode, Lack, Limits, Pid, Resource, Scope, Verdict, limits,
};
use aosk_runtime::kernel::BudgetView;
use aosk_runtime::{Snapshot, inspect, lack};
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::budget::{Kind, Views};
use super::process::{find, parse};
use super::view::Bound;
use crate::access::{Caller, Operator, Role};
use crate::app::App;
use crate::extract::{Json, Path, Query};
use crate::limits::{ITEMS_MAX, ITEMS_USUAL};
use crate::problem::Problem;

/// Which approvals.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ApprovalQuery {
    /// At most so many: 100 if nothing is said, 1000 at most.
    limit: Option<u32>,
    /// The `next` of the page before.
    #[param(pattern = "^p?[0-9]{1,19}$")]
    cursor: Option<String>,
}

/// Processes that wait for a person, in order of their ids.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ApprovalList {
    /// Those that were found.
    pub approvals: Vec<Approval>,
    /// Where the next page begins, if there are more.
    pub next: Option<String>,
}

/// A process that waits for a person.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Approval {
    /// What is answered: the call that waits, such as p7.c3.
    pub id: String,
    /// The process.
    pub pid: u64,
    /// Its name.
    pub name: String,
    /// The tenant or group that it belongs to; empty if none.
    pub group: String,
    /// The model that it is about to ask.
    pub model: Option<String>,
    /// The budget that has no room.
    pub budget: u64,
    /// Whether that budget is of a process. Bounds of others are those of the configuration, and cannot
    /// be granted here.
    pub grantable: bool,
    /// What is counted: `tokens`, `calls`, `micro_usd`, `steps`, `children` or `wall`.
    #[schema(value_type = String)]
    pub resource: Resource,
    /// In which span: `all`, `minute`, `hour`, `day` or `call`.
    #[schema(value_type = String)]
    pub scope: Scope,
    /// How much is asked for.
    pub amount: u64,
    /// The bounds of that budget as they are, if the caller may see them.
    pub limits: Option<Bound>,
    /// The same in words, such as "needs 1,100 tokens (900 of 1,000 used)".
    pub needs: String,
}

impl Approval {
    fn of(process: &Snapshot, views: &Views, caller: &Caller) -> Option<Self> {
        let (lack, call) = (process.asks?, process.call?);
        let view = seen(views, lack.budget, caller);
        let bound = view.map(|view| lack::bound(&lack, view)).unwrap_or_default();
        Some(Self {
            id: call.to_string(),
            pid: process.pid.0,
            name: process.spec.name.clone(),
            group: process.spec.group.clone(),
            model: process.model.clone(),
            budget: lack.budget.0,
            grantable: view.is_some_and(|view| Kind::of(view) == Kind::Process),
            resource: lack.resource,
            scope: lack.scope,
            amount: lack.amount,
            limits: view.map(|view| Bound::from(&view.limits)),
            needs: format!("needs {}{bound}", lack::need(&lack)),
        })
    }
}

/// A node of the budget tree, if the caller may see it.
fn seen<'a>(views: &'a Views, id: BudgetId, caller: &Caller) -> Option<&'a BudgetView> {
    views.get(&id).filter(|_| caller.sees(inspect::group_of(views, id)))
}

/// Processes that wait for a person.
#[utoipa::path(
    get,
    path = "/api/v1/approvals",
    tag = "approvals",
    params(ApprovalQuery),
    responses(
        (status = 200, description = "A page of them", body = ApprovalList),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<ApprovalQuery>,
) -> Result<Json<ApprovalList>, Problem> {
    let after = match &query.cursor {
        Some(cursor) => parse(cursor, "the cursor")?,
        None => Pid(0),
    };
    let limit = query.limit.unwrap_or(ITEMS_USUAL).clamp(1, ITEMS_MAX);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let asks = |process: &Snapshot| {
        process.asks.is_some() && process.pid > after && caller.sees(&process.spec.group)
    };
    let mut asking = app.handle().processes();
    asking.retain(asks);
    let more = asking.len() > limit;
    asking.truncate(limit);
    let next = asking.last().filter(|_| more).map(|process| process.pid.0.to_string());
    let views = app.read(|reader| inspect::budgets(reader)).await?;
    let approvals = asking.iter().filter_map(|process| Approval::of(process, &views, &caller));
    Ok(Json(ApprovalList { approvals: approvals.collect(), next }))
}

/// What a person says.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AnswerRequest {
    /// What is said. To grant, an admin is needed.
    verdict: Word,
    /// The bounds of the budget from now on, all of them: what is not said is not bounded. Needed to
    /// grant, and only then.
    limits: Option<Bound>,
    /// Why. The journal keeps it.
    #[serde(default)]
    #[schema(max_length = 4096)]
    note: String,
}

/// What is said.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Word {
    /// The budget is bounded anew, and the process goes on if it has room then.
    Grant,
    /// The call is not made; the process is told that its budget is used up, and ends.
    Deny,
}

/// Answers a process that waits for a person. Of several answers the first counts.
#[utoipa::path(
    post,
    path = "/api/v1/approvals/{id}",
    tag = "approvals",
    params(("id" = String, Path, pattern = "^p[0-9]{1,19}\\.c[0-9]{1,9}$", description = "What is answered, such as p7.c3")),
    request_body = AnswerRequest,
    responses(
        (status = 204, description = "It is done, and kept"),
        (status = 400, description = "The request makes no sense", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller may not do this", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such process", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It does not wait for this, or no longer: somebody else was first", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn answer(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(id): Path<String>,
    Json(wanted): Json<AnswerRequest>,
) -> Result<StatusCode, Problem> {
    let call: CallId = parse(&id, "what is answered")?;
    let process = find(&app, &caller, &call.pid.0.to_string()).await?;
    let verdict = match (wanted.verdict, wanted.limits) {
        (Word::Deny, None) => Verdict::Denied,
        (Word::Grant, Some(bound)) => {
            caller.must(Role::Admin)?;
            if let Some(lack) = process.asks {
                may_grant(&app, &caller, &lack).await?;
            }
            Verdict::Granted(Box::new(Limits::from(&bound)))
        }
        (Word::Deny, Some(_)) | (Word::Grant, None) => {
            let text =
                format!("answering {call}: `limits` belong to a grant, and a grant needs them");
            return Err(Error::new(ErrorCode::ApiBadRequest, text)
                .hint("GET /api/v1/approvals has the bounds as they are")
                .into());
        }
    };
    let most = limits::NOTE_BYTES_MAX;
    if wanted.note.len() > most {
        let text = format!("answering {call}: the note has more than {most} bytes");
        return Err(Error::new(ErrorCode::ApiBadRequest, text)
            .hint("send what is longer as a message")
            .into());
    }
    let answer = Answer { call, verdict, by: caller.name, note: wanted.note };
    app.handle().answer(answer).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Checks that the bounds are those of a process, and of the caller's tenant.
async fn may_grant(app: &App, caller: &Caller, lack: &Lack) -> Result<(), Error> {
    let views = app.read(|reader| inspect::budgets(reader)).await?;
    let id = lack.budget;
    // One that is gone went with its process, which asks no more: that the kernel says.
    let Some(view) = views.get(&id) else { return Ok(()) };
    if seen(&views, id, caller).is_none() {
        let text = format!("granting room in {id}: it is of no process of the caller's");
        return Err(Error::new(ErrorCode::Forbidden, text).hint("use a token without a tenant"));
    }
    if Kind::of(view) == Kind::Process {
        return Ok(());
    }
    let text = format!("granting room in {id}: it is not a process's own");
    Err(Error::new(ErrorCode::ApiBadRequest, text)
        .hint("bounds of groups and devices are those of the configuration"))
}

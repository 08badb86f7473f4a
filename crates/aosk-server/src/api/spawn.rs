//! Starting an agent.

use std::path::Path as FilePath;

use aosk_abi::{Error, ErrorCode, Limits, PermissionLevel, ThinkOptions, Tokens};
use aosk_runtime::agent::{self, Agent, GrantError};
use aosk_runtime::program::react;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;

use super::process;
use super::view::{Bound, Process};
use crate::access::{self, Caller, Operator, Role};
use crate::app::App;
use crate::extract::Json;
use crate::problem::Problem;
use crate::request::trace_parent;

/// An agent that is to be started.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Spawn {
    /// What it is to do.
    #[schema(pattern = r"\S")]
    task: String,
    /// A name for people; `agent` if none is given.
    name: Option<String>,
    /// What it belongs to, for whoever starts it; `api` if nothing is given.
    label: Option<String>,
    /// Standing instructions.
    system: Option<String>,
    /// A model or a route that the kernel has; the usual one if none is named.
    model: Option<String>,
    /// What it may touch; `standard` if nothing is said. Beyond that an admin is needed.
    permission: Option<Permission>,
    /// Offer only these tools.
    tools: Option<Vec<String>>,
    /// Offer the calls that begin and end tasks as well.
    #[serde(default)]
    tasks: bool,
    /// The directory its tools work in. Only for the admin of all tenants; agents of a tenant work in
    /// one that they share.
    workspace: Option<String>,
    /// 0 (most urgent) to 100; 50 if nothing is said.
    #[schema(maximum = 100)]
    priority: Option<u8>,
    /// The tenant or group that it belongs to. For a token of a tenant that tenant, or a group of it.
    group: Option<String>,
    /// What it may spend; 100 steps if nothing is said of those.
    #[serde(default)]
    limits: Bound,
    /// The most tokens of one answer; 4096 if nothing is said.
    #[schema(minimum = 1)]
    max_output: Option<u64>,
    /// Tokens that a request and its answer may take together, if fewer than the model allows.
    window: Option<u64>,
    /// After an answer without tool calls it waits for the next message instead of ending.
    #[serde(default)]
    chat: bool,
}

/// What an agent may touch.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Permission {
    /// Only what touches nothing.
    Restricted,
    /// Reads and writes the workspace; may start other agents.
    Standard,
    /// Also runs commands, without a sandbox.
    Advanced,
    /// As advanced; may also send messages to any process.
    Full,
}

impl From<Permission> for PermissionLevel {
    fn from(level: Permission) -> Self {
        match level {
            Permission::Restricted => Self::Restricted,
            Permission::Standard => Self::Standard,
            Permission::Advanced => Self::Advanced,
            Permission::Full => Self::Full,
        }
    }
}

/// Starts an agent. When this answers, it is kept and survives a crash.
#[utoipa::path(
    post,
    path = "/api/v1/processes",
    tag = "processes",
    request_body = Spawn,
    responses(
        (status = 201, description = "It runs; `Location` is its path", body = Process),
        (status = 400, description = "Something of it makes no sense", body = Problem, content_type = "application/problem+json"),
        (status = 402, description = "A budget does not allow it", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller may not start it", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The kernel has as much as it takes", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn spawn(
    State(app): State<App>,
    Operator(caller): Operator,
    Json(wanted): Json<Spawn>,
) -> Result<Response, Problem> {
    let agent = agent(&app, &caller, wanted)?;
    let mut spec = agent.spec();
    if let Some(parent) = trace_parent() {
        parent.keep_in(&mut spec.program);
    }
    let pid = app.handle().spawn(spec).await?;
    let started = process::find(&app, &caller, &pid.to_string()).await?;
    let location = format!("/api/v1/processes/{}", pid.0);
    let body = Json(process::with_result(&app, &started).await?);
    Ok((StatusCode::CREATED, [(LOCATION, location)], body).into_response())
}

fn wrong(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorCode::ApiBadRequest, format!("starting an agent: {what}"))
}

fn agent(app: &App, caller: &Caller, wanted: Spawn) -> Result<Agent, Error> {
    if wanted.task.trim().is_empty() {
        return Err(wrong("the task says nothing"));
    }
    let level = wanted.permission.map_or(PermissionLevel::Standard, PermissionLevel::from);
    if matches!(level, PermissionLevel::Advanced | PermissionLevel::Full) {
        // Commands run with the rights of the account that the kernel runs under.
        caller.must(Role::Admin)?;
        caller.must_be_of_all()?;
    }
    let equipment = app.handle().equipment();
    let tools = &equipment.tools;
    let granted = agent::choose(tools, level, wanted.tools.as_deref(), wanted.tasks);
    let granted = granted.map_err(refused)?;
    let group = group(caller, wanted.group)?;
    let workspace = workspace(app, caller, wanted.workspace)?;
    let output = wanted.max_output.map_or(agent::OUTPUT_MAX, Tokens);
    if output == Tokens::ZERO {
        return Err(wrong("an answer of no tokens is none"));
    }
    let param = react::Param {
        options: ThinkOptions {
            model: model(app, wanted.model)?,
            output_max: output,
            tools: granted.tools,
            temperature_milli: None,
            window: room(wanted.window, output)?,
        },
        workspace: Some(workspace),
        base_url: None,
        replacement: None,
        prefer: None,
        chat: wanted.chat,
    };
    Ok(Agent {
        name: wanted.name.unwrap_or_else(|| "agent".to_owned()),
        label: wanted.label.unwrap_or_else(|| "api".to_owned()),
        task: wanted.task,
        system: wanted.system,
        param,
        capabilities: granted.capabilities,
        priority: wanted.priority.unwrap_or(agent::PRIORITY),
        limits: Limits::from(&wanted.limits),
        group,
    })
}

fn refused(error: GrantError) -> Error {
    match error {
        GrantError::Unknown { error, allowed } => {
            wrong(error).hint(format!("tools: {}", allowed.join(", ")))
        }
        GrantError::TooMuch { name, needed } => {
            let hint = match needed {
                Some(PermissionLevel::Restricted) => "restricted allows it",
                Some(PermissionLevel::Standard) => "`permission` standard allows it",
                Some(PermissionLevel::Advanced) => "`permission` advanced allows it",
                Some(PermissionLevel::Full) => "`permission` full allows it",
                None => "no level allows it",
            };
            wrong(format!("its permission does not allow {name}")).hint(hint)
        }
    }
}

fn model(app: &App, named: Option<String>) -> Result<String, Error> {
    let equipment = app.handle().equipment();
    let name = named.unwrap_or_else(|| app.setup().model.clone());
    if equipment.answers(&name) {
        return Ok(name);
    }
    let models = equipment.models.iter().map(|device| device.name.as_str());
    let all: Vec<&str> = equipment.routes.keys().map(String::as_str).chain(models).collect();
    let text = format!("starting an agent: this kernel has no model {name:?}");
    Err(Error::new(ErrorCode::ModelUnknown, text).hint(format!("models: {}", all.join(", "))))
}

/// What a model may be shown beside its answer; none if as much as it takes.
fn room(window: Option<u64>, output: Tokens) -> Result<Option<Tokens>, Error> {
    let Some(window) = window else { return Ok(None) };
    match window.checked_sub(output.0).filter(|room| *room > 0) {
        Some(room) => Ok(Some(Tokens(room))),
        None => Err(wrong(format!(
            "a window of {window} tokens has no room beside an answer of {}",
            output.0
        ))),
    }
}

fn group(caller: &Caller, named: Option<String>) -> Result<String, Error> {
    let group = named.or_else(|| caller.tenant.clone()).unwrap_or_default();
    if caller.sees(&group) {
        return Ok(group);
    }
    let text = format!("starting an agent: a token of another tenant may not choose {group:?}");
    Err(Error::new(ErrorCode::Forbidden, text).hint("leave `group` out, or name one of the tenant"))
}

/// Where it works: a directory of its tenant, or one that the owner names, or the usual one.
fn workspace(app: &App, caller: &Caller, named: Option<String>) -> Result<String, Error> {
    let setup = app.setup();
    match (&caller.tenant, named) {
        (None, None) => Ok(setup.workspace.clone()),
        (None, Some(named)) => {
            caller.must(Role::Admin)?;
            let named = directory(FilePath::new(&named))?;
            let data = app.dir().canonicalize().map_err(|error| {
                let text = format!("opening {}: {error}", app.dir().display());
                Error::new(ErrorCode::Io, text)
            })?;
            access::workspace::check(&data, FilePath::new(&named))
                .map_err(|error| wrong(error.message))?;
            Ok(named)
        }
        (Some(_), Some(_)) => {
            caller.must_be_of_all()?;
            Ok(setup.workspace.clone())
        }
        (Some(tenant), None) => {
            // The name of a tenant is one of a file; see `Tokens::create`.
            let dir = access::workspace::of(app.dir(), tenant);
            std::fs::create_dir_all(&dir).map_err(|error| {
                let text = format!("making the workspace {}: {error}", dir.display());
                Error::new(ErrorCode::Io, text)
            })?;
            directory(&dir)
        }
    }
}

fn directory(dir: &FilePath) -> Result<String, Error> {
    let shown = dir.display();
    let found =
        dir.canonicalize().map_err(|error| wrong(format!("the workspace {shown}: {error}")))?;
    if !found.is_dir() {
        return Err(wrong(format!("the workspace {shown} is not a directory")));
    }
    let path = found.into_os_string().into_string();
    path.map_err(|_| wrong(format!("the path of the workspace {shown} is not UTF-8")))
}

//! `aosk run` where a kernel runs already: the agent is started in that one, and watched.

use std::path::Path;

use aosk::abi::{Error, ErrorCode, Limits, PermissionLevel, Pid};
use aosk::inspect;
use aosk::store::Sqlite;
use aosk_server::api::Bound;
use hyper::Method;
use serde_json::{Value, json};

use super::{Done, RunArgs, Stop, report, thinks_with};
use crate::client::{Client, Events};
use crate::progress;
use crate::stop::stopped;
use crate::term::note;

/// Starts the agent, waits for its end and prints what it left.
pub(super) async fn run(
    mut client: Client,
    (dir, args): (&Path, &RunArgs),
    (level, tasks, workspace): (PermissionLevel, bool, &str),
    mut stop: Stop,
) -> Result<Done, Error> {
    let wanted = request(args, level, tasks, workspace)?;
    let started = client.ask(Method::POST, "/api/v1/processes", Some(&wanted)).await?;
    let pid = Pid(started.get("pid").and_then(Value::as_u64).unwrap_or_default());
    note(&format!("{pid} runs in the kernel that `aosk serve` started"));
    let events = client.events(&format!("/api/v1/processes/{}/events?tokens=false", pid.0)).await?;
    tokio::select! {
        ended = end(pid, events) => ended?,
        () = stop.requested() => {
            let hint = format!("{pid} goes on in its kernel; `aosk kill {}` ends it", pid.0);
            return Err(stopped().hint(hint));
        }
    }
    // What it left is read as after any run.
    let reader = Sqlite::open_reader(dir)?;
    let process = inspect::process(reader.as_ref(), pid)?;
    for miss in progress::misses(reader.as_ref(), pid)? {
        note(&format!("{pid}: {miss}"));
    }
    let model = thinks_with(&process);
    report(reader.as_ref(), &[process], &model, args.json)
}

/// Waits for the end of the agent, and says when it waits for a person.
async fn end(pid: Pid, mut events: Events) -> Result<(), Error> {
    while let Some((name, data)) = events.next().await? {
        match name.as_str() {
            "end" => return Ok(()),
            "state" if data.get("asks").is_some_and(Value::is_u64) => {
                let number = pid.0;
                note(&format!(
                    "{pid} asks for a larger budget: `aosk approve {number}` or `aosk deny {number}`"
                ));
            }
            _ => {}
        }
    }
    Err(Error::new(ErrorCode::ApiNoDaemon, format!("running {pid}: its kernel was stopped"))
        .hint("`aosk serve` goes on with it"))
}

/// What the kernel is asked to start.
fn request(
    args: &RunArgs,
    level: PermissionLevel,
    tasks: bool,
    workspace: &str,
) -> Result<Value, Error> {
    let refused = |what: &str, hint: &str| {
        let text = format!("running: a kernel runs in this data directory already, {what}");
        Err(Error::new(ErrorCode::Usage, text).hint(hint))
    };
    let Some(task) = &args.task else {
        return refused("and goes on with the agents of earlier runs", "`aosk ps` lists them");
    };
    let model = &args.model;
    let own = [
        ("--base-url", model.base_url.is_some()),
        ("--slots", model.slots.is_some()),
        ("--replacement", model.replacement.is_some()),
        ("--prefer", model.prefer.is_some()),
        ("--need-table", model.need_table.is_some()),
        ("--summary-model", model.summary_model.is_some()),
        ("--embedder", args.embedder.embedder.is_some()),
        ("--embedder-url", args.embedder.embedder_url.is_some()),
    ];
    if let Some((option, _)) = own.iter().find(|(_, given)| *given) {
        let what = format!("whose models and memory are set up; {option} cannot change them");
        return refused(&what, "give it to `aosk serve`, or run elsewhere with --data-dir");
    }
    let limits = Bound::from(&args.bounds.over(Limits::default()));
    let permission = match level {
        PermissionLevel::Restricted => "restricted",
        PermissionLevel::Standard => "standard",
        PermissionLevel::Advanced => "advanced",
        PermissionLevel::Full => "full",
    };
    Ok(json!({
        "task": task, "label": "run", "system": args.system, "model": model.model,
        "permission": permission, "tools": args.tools, "tasks": tasks, "workspace": workspace,
        "priority": args.priority, "group": args.group, "limits": limits,
        "max_output": args.max_output, "window": model.window,
    }))
}

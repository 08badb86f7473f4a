//! Bounding a process anew by asking the kernel that runs.

use std::path::Path;

use aosk::abi::{BudgetId, Error, ErrorCode, Limits};
use aosk_server::api::Bound;
use hyper::Method;
use serde_json::{Value, json};

use crate::cli::{BudgetSetArgs, Target};
use crate::client::Client;
use crate::fail::Done;
use crate::term::{json as print_json, note};

/// Bounds a process or a node anew. `locked` is what is wrong if the kernel cannot be asked.
pub(super) async fn set(
    dir: &Path,
    args: &BudgetSetArgs,
    json: bool,
    locked: Error,
) -> Result<Done, Error> {
    let Some(mut client) = Client::find(dir).await? else {
        let raise = "stop it with Ctrl-C first; `aosk run --resume` with larger bounds does both";
        return Err(locked.hint(raise));
    };
    let id = match args.target {
        Target::Node(id) => id,
        Target::Process(pid) => {
            let path = format!("/api/v1/processes/{}", pid.0);
            let process = client.ask(Method::GET, &path, None).await?;
            if process.get("ended") == Some(&Value::Bool(true)) {
                return Err(Error::new(ErrorCode::Usage, format!("bounding {pid}: it has ended"))
                    .hint("`aosk budget` lists who still spends"));
            }
            BudgetId(process.get("budget").and_then(Value::as_u64).unwrap_or_default())
        }
    };
    let limits = limits_of(&mut client, id).await?;
    let wanted = args.bounds.over(limits);
    if wanted == limits {
        let text = format!("bounding {id}: no other bounds are given");
        return Err(
            Error::new(ErrorCode::Usage, text).hint("give some, such as --budget-tokens 200000")
        );
    }
    let path = format!("/api/v1/budgets/{}/limits", id.0);
    client.ask(Method::PUT, &path, Some(&json!(Bound::from(&wanted)))).await?;
    if json {
        print_json(&json!({ "budget": id, "limits": wanted }));
    } else {
        note(&format!("{id} is bounded anew; who waits for room looks again"));
    }
    Ok(Done::Well)
}

/// The bounds of a node as they are.
async fn limits_of(client: &mut Client, id: BudgetId) -> Result<Limits, Error> {
    let all = client.ask(Method::GET, "/api/v1/budgets", None).await?;
    let nodes = all.get("budgets").and_then(Value::as_array);
    let is_it = |node: &&Value| node.get("budget").and_then(Value::as_u64) == Some(id.0);
    let node = nodes.into_iter().flatten().find(is_it);
    let bound = node.and_then(|node| node.get("limits")).cloned();
    let bound = bound.and_then(|bound| serde_json::from_value::<Bound>(bound).ok());
    bound.as_ref().map(Limits::from).ok_or_else(|| {
        Error::new(ErrorCode::Usage, format!("bounding {id}: there is no such budget"))
            .hint("`aosk budget` lists them")
    })
}

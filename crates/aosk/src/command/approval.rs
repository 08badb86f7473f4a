//! `aosk approvals`, `approve` and `deny`: what processes of a kernel that runs ask a person.

use aosk::abi::{Error, ErrorCode, Limits, Pid};
use aosk_server::api::{Approval, ApprovalList, Bound};
use hyper::Method;
use serde_json::{Value, json};

use crate::cli::{ApprovalsArgs, ApproveArgs, DenyArgs, Place};
use crate::client::Client;
use crate::fail::Done;
use crate::term::{self, cut, json as print_json, note};

/// Characters of a name.
const NAME_MAX: usize = 40;

/// Lists processes that wait for a person.
pub(crate) async fn list(place: &Place, args: &ApprovalsArgs) -> Result<Done, Error> {
    let mut client = Client::connect(place).await?;
    let (mut all, mut path) = (Vec::new(), "/api/v1/approvals?limit=1000".to_owned());
    loop {
        let page = read(client.ask(Method::GET, &path, None).await?)?;
        all.extend(page.approvals);
        let Some(next) = page.next else { break };
        path = format!("/api/v1/approvals?limit=1000&cursor={next}");
    }
    if args.json {
        print_json(&json!(all));
        return Ok(Done::Well);
    }
    if all.is_empty() {
        note("nothing waits for a person");
        return Ok(Done::Well);
    }
    let rows = all.iter().map(row).collect();
    let head = ["pid", "name", "group", "budget", "what it asks"];
    term::text(&term::table(&head, &["pid"], rows));
    note("`aosk approve PID` with larger bounds lets one go on; `aosk deny PID` ends it");
    Ok(Done::Well)
}

fn row(one: &Approval) -> Vec<String> {
    let configured = if one.grantable { "" } else { ", bounded by the configuration" };
    vec![
        one.pid.to_string(),
        cut(&one.name, NAME_MAX),
        one.group.clone(),
        format!("b{}", one.budget),
        format!("{}{configured}", one.needs),
    ]
}

/// Gives a process what it asks for.
pub(crate) async fn approve(place: &Place, args: &ApproveArgs) -> Result<Done, Error> {
    let mut client = Client::connect(place).await?;
    let asked = asked(&mut client, args.pid).await?;
    let limits = asked.limits.as_ref().map(Limits::from).unwrap_or_default();
    let wanted = args.bounds.over(limits);
    if wanted == limits {
        let text =
            format!("approving {}: it {}, and no larger bounds are given", args.pid, asked.needs);
        return Err(
            Error::new(ErrorCode::Usage, text).hint("give some, such as --budget-tokens 200000")
        );
    }
    let bound = Bound::from(&wanted);
    let body = json!({ "verdict": "grant", "limits": bound, "note": args.note });
    answer(&mut client, &asked, &body).await?;
    note(&format!("{} is bounded anew, and goes on if it has room", args.pid));
    Ok(Done::Well)
}

/// Refuses a process what it asks for.
pub(crate) async fn deny(place: &Place, args: &DenyArgs) -> Result<Done, Error> {
    let mut client = Client::connect(place).await?;
    let asked = asked(&mut client, args.pid).await?;
    let body = json!({ "verdict": "deny", "note": args.note });
    answer(&mut client, &asked, &body).await?;
    note(&format!("{} is told that its budget is used up", args.pid));
    Ok(Done::Well)
}

/// What the process asks.
async fn asked(client: &mut Client, pid: Pid) -> Result<Approval, Error> {
    let path = format!("/api/v1/approvals?limit=1&cursor={}", pid.0.saturating_sub(1));
    let page = read(client.ask(Method::GET, &path, None).await?)?;
    page.approvals.into_iter().find(|one| one.pid == pid.0).ok_or_else(|| {
        Error::new(ErrorCode::NotAsking, format!("answering {pid}: it does not wait for a person"))
            .hint("`aosk approvals` lists those that do")
    })
}

async fn answer(client: &mut Client, asked: &Approval, body: &Value) -> Result<(), Error> {
    let path = format!("/api/v1/approvals/{}", asked.id);
    client.ask(Method::POST, &path, Some(body)).await.map(|_| ())
}

fn read(page: Value) -> Result<ApprovalList, Error> {
    serde_json::from_value(page).map_err(|error| {
        Error::new(ErrorCode::ApiNoDaemon, format!("reading what waits for a person: {error}"))
            .hint("the kernel that runs may be of another version")
    })
}

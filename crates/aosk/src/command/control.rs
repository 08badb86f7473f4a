//! What is done to processes of a kernel that runs: signals, messages, priorities, and its policy.

use aosk::abi::{Error, Pid, Signal};
use hyper::Method;
use serde_json::{Value, json};

use crate::cli::{Place, PolicyArgs, ReniceArgs, SendArgs};
use crate::client::Client;
use crate::fail::Done;
use crate::term::{self, note};

/// Signals a process.
pub(crate) async fn signal(place: &Place, pid: Pid, signal: Signal) -> Result<Done, Error> {
    let path = format!("/api/v1/processes/{}/signal", pid.0);
    let body = json!({ "signal": signal });
    Client::connect(place).await?.ask(Method::POST, &path, Some(&body)).await?;
    let done = match signal {
        Signal::Term => "is asked to end",
        Signal::Kill => "is killed",
        Signal::Stop => "is stopped until `aosk cont`",
        Signal::Cont => "goes on",
    };
    note(&format!("{pid} {done}"));
    Ok(Done::Well)
}

/// Puts a message into the mailbox of a process.
pub(crate) async fn send(place: &Place, args: &SendArgs) -> Result<Done, Error> {
    let path = format!("/api/v1/processes/{}/messages", args.pid.0);
    let body = json!({ "text": args.text });
    Client::connect(place).await?.ask(Method::POST, &path, Some(&body)).await?;
    note(&format!("{} has it in its mailbox", args.pid));
    Ok(Done::Well)
}

/// Changes the priority of a process.
pub(crate) async fn renice(place: &Place, args: &ReniceArgs) -> Result<Done, Error> {
    let path = format!("/api/v1/processes/{}/priority", args.pid.0);
    let body = json!({ "priority": args.priority });
    Client::connect(place).await?.ask(Method::PUT, &path, Some(&body)).await?;
    note(&format!("{} has the priority {}", args.pid, args.priority));
    Ok(Done::Well)
}

/// Shows the policies of the scheduler, or chooses one.
pub(crate) async fn policy(place: &Place, args: &PolicyArgs) -> Result<Done, Error> {
    let mut client = Client::connect(place).await?;
    let policies = match &args.policy {
        None => client.ask(Method::GET, "/api/v1/policies", None).await?,
        Some(policy) => {
            let body = json!({ "policy": policy });
            client.ask(Method::PUT, "/api/v1/policies/scheduler", Some(&body)).await?
        }
    };
    if args.json {
        term::json(&policies);
        return Ok(Done::Well);
    }
    let scheduler = policies.get("scheduler");
    let current = scheduler.and_then(|it| it.get("current")).and_then(Value::as_str);
    let all = scheduler.and_then(|it| it.get("available")).and_then(Value::as_array);
    for name in all.into_iter().flatten().filter_map(Value::as_str) {
        let mark = if Some(name) == current { "*" } else { " " };
        term::line(&format!("{mark} {name}"));
    }
    Ok(Done::Well)
}

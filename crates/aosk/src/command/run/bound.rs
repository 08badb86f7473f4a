//! Agents whose budget asks a person: how they are told of, and how they are bounded anew.

use std::collections::BTreeSet;

use aosk::abi::{BudgetId, Error, ErrorCode, Fact, Pid, Resource, RowKey};
use aosk::kernel::{BudgetView, Kernel};
use aosk::store::{JournalQuery, Reader};
use aosk::{Handle, Snapshot, inspect};

use super::LOOK;
use crate::cli::BoundArgs;
use crate::command::budget::is_own;
use crate::term::{count, cut, money, note};

/// Bounds the node of an agent that is taken up as the command line says, if it says anything.
pub(super) async fn anew(
    handle: &Handle,
    process: &Snapshot,
    bounds: &BoundArgs,
) -> Result<(), Error> {
    let reader = handle.reader();
    let id = process.spec.budget;
    let Some(node) = node(reader.as_ref(), id)? else { return Ok(()) };
    let limits = bounds.over(node.limits);
    if limits == node.limits {
        return Ok(());
    }
    if !is_own(&node) {
        note(&format!("{} has no bounds of its own, so none are set", process.pid));
        return Ok(());
    }
    handle.set_limits(id, limits).await
}

fn node(reader: &dyn Reader, id: BudgetId) -> Result<Option<BudgetView>, Error> {
    let text = reader.row(RowKey::Budget(id))?;
    Ok(text.map(|text| Kernel::read_budget(id, &text)).transpose()?)
}

/// Says of each agent that begins to wait for a person that it does, and how it goes on. Ends when
/// nobody can do anything else: this kernel lives as long as this command, so nobody can raise a bound
/// while it does.
pub(super) async fn asked(handle: &Handle) -> Error {
    let mut looks = tokio::time::interval(LOOK);
    let mut said: BTreeSet<Pid> = BTreeSet::new();
    let mut before = Vec::new();
    loop {
        looks.tick().await;
        let all = handle.processes();
        let live: Vec<_> = all.iter().filter(|process| !process.has_ended).collect();
        let asking: Vec<_> =
            live.iter().filter_map(|process| Some((*process, process.asks?))).collect();
        said.retain(|pid| asking.iter().any(|(process, _)| process.pid == *pid));
        let idle = live.iter().all(|process| process.asks.is_some() || process.waits_for_others);
        let now: Vec<_> = live.iter().map(|p| (p.pid, p.stats, p.mail_count)).collect();
        if let Some((process, node)) = asking.first()
            && idle
            && now == before
        {
            return error(handle, process, *node);
        }
        before = now;
        for (process, node) in asking {
            if !idle && said.insert(process.pid) {
                let Error { message, hint, .. } = error(handle, process, node);
                note(&format!("{}; {hint}", message.trim_start_matches("running ")));
            }
        }
    }
}

/// That an agent waits for a person, and what that person can do.
fn error(handle: &Handle, process: &Snapshot, id: BudgetId) -> Error {
    let reader = handle.reader();
    let resource = resource(reader.as_ref(), process.pid);
    let (pid, name) = (process.pid, cut(&process.spec.name, 64));
    let node = node(reader.as_ref(), id).ok().flatten();
    let part = node.as_ref().and_then(|node| used(node, resource?));
    let part = part.map_or_else(String::new, |part| format!(" ({part} used)"));
    let group = node.and_then(|node| node.group);
    let (word, option, key) = match resource {
        Some(Resource::Tokens) => ("tokens", "--budget-tokens N", "tokens"),
        Some(Resource::MicroUsd) => ("money", "--budget-usd USD", "usd"),
        Some(Resource::Steps) => ("steps", "--max-steps N", "steps"),
        Some(Resource::Wall) => ("time", "--budget-seconds S", "wall"),
        Some(Resource::Calls) => ("calls", "with larger bounds", "calls"),
        Some(Resource::Children) => ("children", "with larger bounds", "children"),
        None => ("anything", "with larger bounds", "the bounds"),
    };
    let (whose, raise) = match group {
        Some(group) => (
            format!("the group {}", group.name),
            format!(
                "raise {key} of the group {} in the configuration, then `aosk run --resume`",
                group.name
            ),
        ),
        None => (format!("its budget {id}"), format!("`aosk run --resume {option}`")),
    };
    let text = format!(
        "running {pid} ({name}): {whose} has no room for more {word}{part}, and asks a person"
    );
    Error::new(ErrorCode::BudgetExceeded, text)
        .hint(format!("{raise} goes on with it; `aosk budget` shows what is used"))
}

/// What the process asked for last.
fn resource(reader: &dyn Reader, pid: Pid) -> Option<Resource> {
    let mut last = None;
    let query = JournalQuery { pid: Some(pid), ..JournalQuery::default() };
    let read = inspect::journal(reader, &query, |entry| {
        if let Some(Fact::BudgetAsked { resource, .. }) = Fact::read(&entry.kind, &entry.data) {
            last = Some(resource);
        }
        true
    });
    read.ok().and(last)
}

/// How much of a bound is used.
fn used(node: &BudgetView, resource: Resource) -> Option<String> {
    let (limits, spend) = (&node.limits, &node.used);
    let of = |limit: Option<u64>, used: u64| {
        limit.map(|limit| format!("{} of {}", count(used), count(limit)))
    };
    match resource {
        Resource::Tokens => of(limits.tokens.map(|tokens| tokens.0), spend.tokens.0),
        Resource::MicroUsd => {
            limits.micro_usd.map(|usd| format!("{} of {}", money(spend.micro_usd), money(usd)))
        }
        Resource::Steps => of(limits.steps, spend.steps),
        Resource::Calls => of(limits.calls, spend.calls),
        Resource::Children => of(limits.children, spend.children),
        Resource::Wall => None,
    }
}

//! Agents whose budget asks a person: how they are told of, and how they are bounded anew.

use std::collections::BTreeSet;

use aosk::abi::{BudgetId, Error, ErrorCode, Lack, Pid, RowKey};
use aosk::kernel::{BudgetView, Kernel};
use aosk::store::Reader;
use aosk::{Handle, Snapshot, lack};

use super::LOOK;
use crate::cli::BoundArgs;
use crate::command::budget::is_own;
use crate::term::{cut, note};

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

pub(super) fn node(reader: &dyn Reader, id: BudgetId) -> Result<Option<BudgetView>, Error> {
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
        if let Some((process, lack)) = asking.first()
            && idle
            && now == before
        {
            return error(handle, process, lack);
        }
        before = now;
        for (process, lack) in asking {
            if !idle && said.insert(process.pid) {
                let Error { message, hint, .. } = error(handle, process, &lack);
                note(&format!("{}; {hint}", message.trim_start_matches("running ")));
            }
        }
    }
}

/// That an agent waits for a person, and what that person can do.
fn error(handle: &Handle, process: &Snapshot, lack: &Lack) -> Error {
    let id = lack.budget;
    let (pid, name) = (process.pid, cut(&process.spec.name, 64));
    let node = node(handle.reader().as_ref(), id).ok().flatten();
    let is_agents_own = |other: &Snapshot| {
        !other.has_ended && other.spec.parent.is_none() && other.spec.budget == id
    };
    let is_agents_own = handle.processes().iter().any(is_agents_own);
    let bound = node.as_ref().map_or_else(String::new, |node| lack::bound(lack, node));
    let (need, whose) = (lack::need(lack), lack::whose(lack, node.as_ref()));
    let text =
        format!("running {pid} ({name}): {whose} has no room for {need}{bound}, and asks a person");
    let raise = lack::raise(lack, node.as_ref(), is_agents_own);
    Error::new(ErrorCode::BudgetExceeded, text)
        .hint(format!("{raise} goes on with it; `aosk budget` shows what is used"))
}

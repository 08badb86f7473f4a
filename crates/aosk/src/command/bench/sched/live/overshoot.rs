//! A thousand children on one budget that is enough for a part of them. Looked at in every state that
//! is committed, and in the account of the server, which knows nothing of budgets.

use std::time::Duration;

use aosk::abi::{Error, ErrorCode, ExitStatus, Resource, Tokens};

use super::node::{Disk, Plan, Running};
use super::programs::{Calls, Children, family};
use super::server::ModelServer;

const CHILDREN: u32 = 1_000;

const SLOTS: u32 = 64;

const LATENCY: Duration = Duration::from_millis(20);

/// What each child asks for.
const CALLS: Calls = Calls { count: 3, output_max: 200 };

/// What all of them may use: about a third of what they want.
const BUDGET: Tokens = Tokens(150_000);

/// What was found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    /// The most tokens used or held beyond the bound.
    pub(super) overshoot: u64,
    /// States of the node that were looked at.
    pub(super) states: u64,
}

/// Runs them all to their end.
///
/// # Errors
/// If the kernel or the server cannot be started, a call fails, or the bound was not reached.
pub(super) async fn measure() -> Result<Bound, Error> {
    let mut server = ModelServer::start(LATENCY).await?;
    let plan = Plan { disk: Disk::Sqlite, slots: SLOTS, continues: false };
    let running = Running::start(plan, &server).await?;
    let parent =
        running.handle.spawn(family(Children { count: CHILDREN, calls: CALLS }, BUDGET)).await?;
    tokio::select! {
        biased;
        failed = running.probe.wait_for(|_| false) => drop(failed?),
        end = running.handle.wait(parent) => drop(end?),
    }
    let ends = running.handle.processes();
    let out = Some(ExitStatus::OutOfBudget(Resource::Tokens));
    let ended = ends.iter().filter(|end| end.status == out).count();
    let used: u64 = ends.iter().map(|end| end.stats.spend.tokens.0).sum();
    let seen = running.watch.seen();
    running.stop().await?;
    let served = server.account().await?.tokens;
    let untrue = |what: String| {
        Err(Error::new(ErrorCode::KernelPanic, format!("measuring budgets: {what}")))
    };
    if ended == 0 || seen.nodes == 0 {
        return untrue("the budget was never reached".to_owned());
    }
    if seen.unread > 0 {
        return untrue(format!("{} rows of the tree cannot be read", seen.unread));
    }
    if used != served {
        return untrue(format!("the kernel counts {used} tokens, the server {served}"));
    }
    let overshoot = seen.overshoot.max(served.saturating_sub(BUDGET.0));
    Ok(Bound { overshoot, states: seen.nodes })
}

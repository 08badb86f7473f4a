//! From a slot that is free and processes that are ready to the request leaving.

use std::time::Duration;

use aosk::abi::Error;

use super::figures::quantile;
use super::node::{Disk, Plan, Running};
use super::probe::{Moment, idle_ms};
use super::programs::{Calls, caller};
use super::server::ModelServer;

/// Processes that are ready.
const PROCESSES: usize = 10_000;

/// Slots of the device: few, so that nearly all processes wait.
const SLOTS: u32 = 4;

/// What an answer takes. Long enough for the machine to be idle between two of them.
const LATENCY: Duration = Duration::from_millis(20);

/// The longest answer in tokens.
const OUTPUT_MAX: u64 = 32;

/// What was measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ready {
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    /// What commits took in the meantime.
    pub(super) commit_p50_ms: f64,
    pub(super) commit_p99_ms: f64,
}

/// Measures `calls` calls.
///
/// # Errors
/// If the kernel or the server cannot be started, or a call fails.
pub(super) async fn measure(disk: Disk, calls: u64) -> Result<Ready, Error> {
    let server = ModelServer::start(LATENCY).await?;
    let running = Running::start(Plan { disk, slots: SLOTS, continues: false }, &server).await?;
    let specs = (0..PROCESSES).map(|number| caller(number, 50, Calls::endless(OUTPUT_MAX)));
    running.spawn_all(specs).await?;
    let began = running.probe.counts();
    let (before, commits) = (running.probe.moments().len(), running.watch.seen().commits_ms.len());
    // The slots that are free at the end are of no call.
    let enough = began.entered + calls;
    running.probe.wait_for(|counts| counts.entered >= enough).await?;
    let moments: Vec<Moment> = running.probe.moments().into_iter().skip(before).collect();
    let commits_ms: Vec<f64> = running.watch.seen().commits_ms.into_iter().skip(commits).collect();
    running.stop().await?;
    let waited = idle_ms(&moments);
    Ok(Ready {
        p50_ms: quantile(&waited, 0.5),
        p99_ms: quantile(&waited, 0.99),
        commit_p50_ms: quantile(&commits_ms, 0.5),
        commit_p99_ms: quantile(&commits_ms, 0.99),
    })
}

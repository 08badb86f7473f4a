//! What `aosk bench sched` measures on real servers: a kernel on an SQLite store, model servers on
//! loopback, the driver that providers are asked with. Nothing is simulated but the time that a model
//! takes.

mod account;
mod answer;
mod figures;
mod flush;
mod node;
mod overshoot;
mod preempt;
mod probe;
mod programs;
mod ready;
mod server;
mod throughput;
mod watched;

use aosk::abi::Error;
use serde::Serialize;

use figures::quantile;
use node::Disk;

pub(crate) use server::serve;

/// What was measured on real servers.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Live {
    /// From the moment a slot is free and a process ready to the request leaving, 10,000 ready
    /// processes: the middle one, ms.
    pub(crate) ready_to_sent_p50_ms: f64,
    /// The same: p99, ms.
    pub(crate) ready_to_sent_p99_ms: f64,
    /// The same with a store that does not flush: the middle one, ms.
    pub(crate) ready_unflushed_p50_ms: f64,
    /// The same with a store that does not flush: p99, ms.
    pub(crate) ready_unflushed_p99_ms: f64,
    /// What a commit took while that was measured, flush included: the middle one, ms.
    pub(crate) commit_p50_ms: f64,
    /// The same: p99, ms.
    pub(crate) commit_p99_ms: f64,
    /// What a flush of as much takes on this disk, without a kernel: the middle one, ms.
    pub(crate) flush_p50_ms: f64,
    /// The same: p99, ms.
    pub(crate) flush_p99_ms: f64,
    /// From an urgent process's arrival to the cancel of the call it takes the slot of: the middle one,
    /// ms.
    pub(crate) preempt_p50_ms: f64,
    /// The same: p99, ms.
    pub(crate) preempt_p99_ms: f64,
    /// From an urgent process's arrival to its request leaving: p99, ms.
    pub(crate) urgent_to_sent_p99_ms: f64,
    /// What a commit took while that was measured, flush included: p99, ms.
    pub(crate) preempt_commit_p99_ms: f64,
    /// Slots that were taken over.
    pub(crate) preemptions: usize,
    /// Calls per second of 1,000 agents behind the kernel, divided by those of 64 plain concurrent
    /// clients.
    pub(crate) throughput_ratio_direct: f64,
    /// Calls per second of the plain clients.
    pub(crate) direct_calls_per_second: f64,
    /// p99 of the time that a slot of the server stands idle between two calls, kernel minus direct,
    /// ms.
    pub(crate) added_p99_ms: f64,
    /// CPU time of one call behind the kernel, ms.
    pub(crate) kernel_cpu_ms_per_call: f64,
    /// CPU time of one call of a plain client, ms.
    pub(crate) direct_cpu_ms_per_call: f64,
    /// Worst case held or used beyond a bound with 1,000 concurrent children on one budget, tokens.
    pub(crate) overshoot: u64,
    /// States of that budget that were looked at: all that were committed.
    pub(crate) overshoot_states: u64,
}

/// How much is measured.
struct Extent {
    ready_calls: u64,
    urgent: usize,
    rounds: u64,
}

/// Measures everything, in about 80 seconds; `quick` in about 15.
///
/// # Errors
/// If a kernel or a server cannot be started, or what is measured does not happen: a call fails,
/// nothing is preempted, a budget is never reached.
pub(crate) async fn measure(quick: bool, progress: &dyn Fn(&str)) -> Result<Live, Error> {
    let extent = if quick {
        Extent { ready_calls: 400, urgent: 100, rounds: 4 }
    } else {
        Extent { ready_calls: 2_000, urgent: 400, rounds: 30 }
    };
    progress("10,000 ready processes, 4 slots");
    let ready = ready::measure(Disk::Sqlite, extent.ready_calls).await?;
    let flushes = Box::pin(flush::measure()).await?;
    progress("the same without a flush");
    let unflushed = ready::measure(Disk::Memory, extent.ready_calls).await?;
    progress("urgent processes, 64 slots full of long streams");
    let preempt = preempt::measure(extent.urgent).await?;
    progress("64 plain clients, answers after 500 ms");
    let direct = throughput::direct(extent.rounds).await?;
    progress("1,000 agents behind the kernel, 64 slots");
    let kernel = throughput::kernel(extent.rounds).await?;
    progress("1,000 children on one budget");
    let bound = overshoot::measure().await?;
    tracing::debug!(?ready, ?unflushed, ?preempt, ?direct, ?kernel, ?bound, "measured");
    Ok(Live {
        ready_to_sent_p50_ms: ready.p50_ms,
        ready_to_sent_p99_ms: ready.p99_ms,
        ready_unflushed_p50_ms: unflushed.p50_ms,
        ready_unflushed_p99_ms: unflushed.p99_ms,
        commit_p50_ms: ready.commit_p50_ms,
        commit_p99_ms: ready.commit_p99_ms,
        flush_p50_ms: quantile(&flushes, 0.5),
        flush_p99_ms: quantile(&flushes, 0.99),
        preempt_p50_ms: preempt.p50_ms,
        preempt_p99_ms: preempt.p99_ms,
        urgent_to_sent_p99_ms: preempt.sent_p99_ms,
        preempt_commit_p99_ms: preempt.commit_p99_ms,
        preemptions: preempt.count,
        throughput_ratio_direct: kernel.calls_per_second / direct.calls_per_second,
        direct_calls_per_second: direct.calls_per_second,
        added_p99_ms: kernel.idle_p99_ms - direct.idle_p99_ms,
        kernel_cpu_ms_per_call: kernel.cpu_ms_per_call,
        direct_cpu_ms_per_call: direct.cpu_ms_per_call,
        overshoot: bound.overshoot,
        overshoot_states: bound.states,
    })
}

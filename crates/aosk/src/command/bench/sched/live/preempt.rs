//! From an urgent process's arrival to the cancel of the call that it takes the slot of.
//!
//! All slots are filled with long streams of little urgency. Urgent processes come one after another;
//! each asks for one short answer. What counts begins before the operator's request is made and ends
//! when the call that is cut off is dropped, which closes its connection; the commit that comes before
//! that is in it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use aosk::abi::{Error, ErrorCode, Pid};

use super::figures::{millis, now, quantile};
use super::node::{Disk, Plan, Running};
use super::probe::{Moment, What};
use super::programs::{Calls, caller};
use super::server::ModelServer;

/// Slots, all of them filled.
const SLOTS: u32 = 64;

/// The longest stream in tokens: ten seconds.
const STREAM_MAX: u64 = 500;

/// The longest answer to an urgent process in tokens.
const URGENT_MAX: u64 = 1;

const LONG_PRIORITY: u8 = 80;
const URGENT_PRIORITY: u8 = 0;

/// What was measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Preempt {
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    /// From the arrival to the urgent request leaving.
    pub(super) sent_p99_ms: f64,
    /// What commits took in the meantime.
    pub(super) commit_p99_ms: f64,
    /// Urgent processes that took a slot.
    pub(super) count: usize,
}

/// Lets `count` urgent processes come.
///
/// # Errors
/// If the kernel or the server cannot be started, a call fails, or nothing was cut off.
pub(super) async fn measure(count: usize) -> Result<Preempt, Error> {
    let server = ModelServer::start(Duration::ZERO).await?;
    let plan = Plan { disk: Disk::Sqlite, slots: SLOTS, continues: true };
    let running = Running::start(plan, &server).await?;
    let streams = usize::try_from(SLOTS).unwrap_or(0);
    let long = |number| caller(number, LONG_PRIORITY, Calls::endless(STREAM_MAX));
    running.spawn_all((0..streams).map(long)).await?;
    running.probe.wait_for(|counts| counts.entered >= u64::from(SLOTS)).await?;
    let commits = running.watch.seen().commits_ms.len();
    let mut arrivals = Vec::with_capacity(count);
    for number in streams..streams + count {
        let calls = Calls { count: 1, output_max: URGENT_MAX };
        let spec = caller(number, URGENT_PRIORITY, calls);
        let arrived = now();
        let pid = running.handle.spawn(spec).await?;
        arrivals.push((pid, arrived));
        running.handle.wait(pid).await?;
    }
    running.probe.check()?;
    let moments = running.probe.moments();
    let commits_ms: Vec<f64> = running.watch.seen().commits_ms.into_iter().skip(commits).collect();
    running.stop().await?;
    let taken = taken(&arrivals, &moments);
    if taken.is_empty() {
        let text = "measuring preemption: no call was cut off for an urgent process";
        return Err(Error::new(ErrorCode::KernelPanic, text));
    }
    let cut: Vec<f64> = taken.iter().map(|one| one.cut_ms).collect();
    let sent: Vec<f64> = taken.iter().map(|one| one.sent_ms).collect();
    Ok(Preempt {
        p50_ms: quantile(&cut, 0.5),
        p99_ms: quantile(&cut, 0.99),
        sent_p99_ms: quantile(&sent, 0.99),
        commit_p99_ms: quantile(&commits_ms, 0.99),
        count: taken.len(),
    })
}

/// A slot that was taken, in milliseconds from the arrival.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Taken {
    cut_ms: f64,
    sent_ms: f64,
}

/// Of the arrivals those that took a slot: a call was cut off between the arrival and its request.
/// Some come just when a stream ends, and need not.
fn taken(arrivals: &[(Pid, Instant)], moments: &[Moment]) -> Vec<Taken> {
    let entered: HashMap<Pid, Instant> = moments
        .iter()
        .filter(|moment| moment.what == What::Entered)
        .map(|moment| (moment.pid, moment.at))
        .collect();
    let dropped: Vec<Instant> = moments
        .iter()
        .filter(|moment| moment.what == What::Dropped)
        .map(|moment| moment.at)
        .collect();
    let of = |(pid, arrived): &(Pid, Instant)| {
        let sent = *entered.get(pid)?;
        let cut = dropped.iter().rev().find(|at| **at <= sent).filter(|at| *at >= arrived)?;
        Some(Taken {
            cut_ms: millis(cut.saturating_duration_since(*arrived)),
            sent_ms: millis(sent.saturating_duration_since(*arrived)),
        })
    };
    arrivals.iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_taken_by_who_came_before_the_cut() {
        let start = now();
        let after = |ms| start + Duration::from_millis(ms);
        let moment = |ms, pid, what| Moment { at: after(ms), pid: Pid(pid), what };
        let moments = [
            moment(0, 1, What::Entered),
            moment(1, 2, What::Entered),
            // For 3, which arrived at 5.
            moment(7, 2, What::Dropped),
            moment(9, 3, What::Entered),
            moment(20, 3, What::Returned),
            moment(21, 2, What::Entered),
            // 4 arrived at 30 and found a slot free.
            moment(29, 2, What::Returned),
            moment(31, 4, What::Entered),
        ];
        let arrivals = [(Pid(3), after(5)), (Pid(4), after(30)), (Pid(5), after(40))];
        assert_eq!(taken(&arrivals, &moments), [Taken { cut_ms: 2.0, sent_ms: 4.0 }]);
    }
}

//! `aosk bench sched`: the scheduler held against its figures, on a virtual clock and on real servers.

mod gantt;
mod live;
mod shares;
mod world;

use std::time::Duration;

use aosk::abi::{Error, ErrorCode};
use serde_json::{Map, Value, json};

use crate::cli::{BenchSchedArgs, SchedPart};
use crate::fail::Done;
use crate::term::{count, json as print_json, line, note, table};

use live::Live;
use shares::{Scale, Shares};

/// The model server that the benchmark starts for itself.
pub(super) async fn serve(latency_ms: u64) -> Result<Done, Error> {
    live::serve(Duration::from_millis(latency_ms)).await.map(|()| Done::Well)
}

pub(super) fn run(args: &BenchSchedArgs) -> Result<Done, Error> {
    let scale = if args.quick {
        Scale { calls: 2_000, crowd: 5_000 }
    } else {
        Scale { calls: 10_000, crowd: 100_000 }
    };
    let is_wanted = |part| args.only.is_none_or(|only| only == part);
    let shares = is_wanted(SchedPart::Simulation).then(|| shares::measure(scale));
    if let (Some(file), Some(shares)) = (&args.svg, &shares) {
        std::fs::write(file, gantt::draw(&shares.stretches)).map_err(|error| {
            let what = format!("writing {}: {error}", file.display());
            Error::new(ErrorCode::Io, what)
        })?;
    }
    let live = if is_wanted(SchedPart::Servers) {
        let measured = async |mut stop: crate::stop::Stop| {
            Box::pin(stop.or(live::measure(args.quick, &note))).await
        };
        Some(crate::on_runtime(measured)?)
    } else {
        None
    };
    if args.json {
        print_json(&object(shares.as_ref(), live.as_ref()));
    } else {
        let rows = live.as_ref().map(live_rows).into_iter().flatten();
        let rows: Vec<_> = shares.iter().flat_map(|of| rows_of(of, scale)).chain(rows).collect();
        line(&table(&["", "measured", "figure", "wanted"], &["figure", "wanted"], rows));
    }
    Ok(Done::Well)
}

/// One flat object. Both parts look for an overshoot; the worse one counts.
fn object(shares: Option<&Shares>, live: Option<&Live>) -> Value {
    let mut all = Map::new();
    if let Some(Ok(Value::Object(figures))) = live.map(serde_json::to_value) {
        let rounded = |figure: Value| match figure.as_f64().filter(|_| figure.is_f64()) {
            Some(figure) => json!(rounded(figure)),
            None => figure,
        };
        all.extend(figures.into_iter().map(|(name, figure)| (name, rounded(figure))));
    }
    if let Some(shares) = shares {
        let overshoot = shares.overshoot.max(live.map_or(0, |live| live.overshoot));
        let figures = [
            ("fairness_error", json!(rounded(shares.fairness_error))),
            ("weighted_error", json!(rounded(shares.weighted_error))),
            ("slot_utilisation", json!(rounded(shares.slot_utilisation))),
            ("overshoot", json!(overshoot)),
            ("decision_us", json!(rounded(shares.decision_us_p50))),
            ("decision_us_p99", json!(rounded(shares.decision_us_p99))),
            ("ready", json!(shares.ready)),
        ];
        all.extend(figures.map(|(name, figure)| (name.to_owned(), figure)));
    }
    Value::Object(all)
}

fn rows_of(shares: &Shares, scale: Scale) -> Vec<Vec<String>> {
    let percent = |share: f64| format!("{:.2} %", share * 100.0);
    let rows = [
        (
            format!("equal agents, heavy-tailed calls, {} calls", scale.calls),
            "furthest from its share".to_owned(),
            percent(shares.fairness_error),
            "1 %",
        ),
        (
            "priorities 20, 50 and 80 together".to_owned(),
            "furthest from its weight".to_owned(),
            percent(shares.weighted_error),
            "2 %",
        ),
        (
            "slots while somebody waits".to_owned(),
            "in use".to_owned(),
            percent(shares.slot_utilisation),
            "over 99 %",
        ),
        (
            "1,000 agents on one budget".to_owned(),
            "tokens beyond it".to_owned(),
            count(shares.overshoot),
            "0",
        ),
        (
            format!("one decision, {} ready", count(shares.ready)),
            "p50, p99".to_owned(),
            format!("{:.1} µs, {:.1} µs", shares.decision_us_p50, shares.decision_us_p99),
            "10 µs",
        ),
    ];
    rows.into_iter().map(|(what, of, got, wanted)| vec![what, of, got, wanted.into()]).collect()
}

fn live_rows(live: &Live) -> Vec<Vec<String>> {
    let times = |p50: f64, p99: f64| format!("{p50:.2} ms, {p99:.2} ms");
    let rows = [
        (
            "10,000 ready, slot free to request sent",
            "p50, p99",
            times(live.ready_to_sent_p50_ms, live.ready_to_sent_p99_ms),
            "1 ms",
        ),
        (
            "of it the commit, with its flush",
            "p50, p99",
            times(live.commit_p50_ms, live.commit_p99_ms),
            "",
        ),
        (
            "a flush of as much on this disk, without a kernel",
            "p50, p99",
            times(live.flush_p50_ms, live.flush_p99_ms),
            "",
        ),
        (
            "slot free to request sent, store in memory",
            "p50, p99",
            times(live.ready_unflushed_p50_ms, live.ready_unflushed_p99_ms),
            "1 ms",
        ),
        (
            "urgent arrival to the cancel of another",
            "p50, p99",
            times(live.preempt_p50_ms, live.preempt_p99_ms),
            "10 ms",
        ),
        (
            "1,000 agents beside 64 plain clients",
            "calls per second",
            format!("{:.2} %", live.throughput_ratio_direct * 100.0),
            "98 %",
        ),
        (
            "the same, a slot idle between two calls",
            "added p99",
            format!("{:.2} ms", live.added_p99_ms),
            "20 ms",
        ),
        (
            "1,000 children on one budget, real calls",
            "tokens beyond it",
            count(live.overshoot),
            "0",
        ),
    ];
    let row = |(what, of, got, wanted): (&str, &str, String, &str)| {
        vec![what.into(), of.into(), got, wanted.into()]
    };
    rows.into_iter().map(row).collect()
}

fn rounded(figure: f64) -> f64 {
    (figure * 1e5).round() / 1e5
}

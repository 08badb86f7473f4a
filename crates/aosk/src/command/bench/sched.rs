//! `aosk bench sched`: the scheduler held against its figures, on a virtual clock and on real servers.

mod gantt;
mod shares;
mod world;

use aosk::abi::{Error, ErrorCode};
use serde_json::json;

use crate::cli::BenchSchedArgs;
use crate::fail::Done;
use crate::term::{json as print_json, line, table};

use shares::{Scale, Shares};

pub(super) fn run(args: &BenchSchedArgs) -> Result<Done, Error> {
    let scale = if args.quick {
        Scale { calls: 2_000, crowd: 5_000 }
    } else {
        Scale { calls: 10_000, crowd: 100_000 }
    };
    let shares = shares::measure(scale);
    if let Some(file) = &args.svg {
        std::fs::write(file, gantt::draw(&shares.stretches)).map_err(|error| {
            let what = format!("writing {}: {error}", file.display());
            Error::new(ErrorCode::Io, what)
        })?;
    }
    if args.json {
        print_json(&object(&shares));
    } else {
        line(&lines(&shares, scale));
    }
    Ok(Done::Well)
}

fn object(shares: &Shares) -> serde_json::Value {
    json!({
        "fairness_error": rounded(shares.fairness_error),
        "weighted_error": rounded(shares.weighted_error),
        "slot_utilisation": rounded(shares.slot_utilisation),
        "overshoot": shares.overshoot,
        "decision_us": rounded(shares.decision_us_p50),
        "decision_us_p99": rounded(shares.decision_us_p99),
        "ready": shares.ready,
    })
}

fn lines(shares: &Shares, scale: Scale) -> String {
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
            shares.overshoot.to_string(),
            "0",
        ),
        (
            format!("one decision, {} ready", shares.ready),
            "p50, p99".to_owned(),
            format!("{:.1} us, {:.1} us", shares.decision_us_p50, shares.decision_us_p99),
            "10 us",
        ),
    ];
    let rows = rows.into_iter().map(|(what, of, got, wanted)| vec![what, of, got, wanted.into()]);
    table(&["", "measured", "figure", "wanted"], &["figure", "wanted"], rows.collect())
}

fn rounded(figure: f64) -> f64 {
    (figure * 1e5).round() / 1e5
}

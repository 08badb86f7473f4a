//! The window over the model calls of a process, as a picture: an SVG of its own, without scripts,
//! fonts or anything else from outside.

use std::path::Path;

use aosk::abi::{Error, ErrorCode, Tokens};

use super::history::History;
use crate::miss;
use crate::term::{line, plural};

mod draw;
mod scale;

use draw::{Lane, Picture, Point, Tick};

/// Points of the areas that are drawn at most.
const POINTS_MAX: usize = 2_000;

/// The picture of a process with this name.
pub(super) fn draw(name: &str, history: &History) -> String {
    let points = points(history);
    let mut keep: Vec<usize> = Vec::new();
    for cut in &history.cuts {
        // What the window was before it, and what it is with it.
        keep.extend([cut.at.saturating_sub(1), cut.at]);
    }
    let values: Vec<u64> = points.iter().map(|point| point.input).collect();
    let kept = scale::thin(&values, &keep, POINTS_MAX);
    Picture {
        name: name.to_owned(),
        calls: points.len(),
        peak: values.iter().copied().max().unwrap_or_default(),
        points: kept.into_iter().filter_map(|at| points.get(at).copied()).collect(),
        limits: limits(history),
        lanes: lanes(history),
    }
    .svg()
}

/// Writes a picture to a file, or to stdout for `-`.
///
/// # Errors
/// If it cannot be written.
pub(super) fn write(file: &Path, svg: &str) -> Result<(), Error> {
    if file.as_os_str() == "-" {
        line(svg);
        return Ok(());
    }
    let failed =
        |what: String| Error::new(ErrorCode::Io, format!("writing {}: {what}", file.display()));
    if file.is_dir() {
        return Err(failed("it is a directory".to_owned()).hint("name a file in it"));
    }
    std::fs::write(file, format!("{svg}\n")).map_err(|error| failed(error.to_string()))
}

/// A point for each call: what the provider counted, or would have.
fn points(history: &History) -> Vec<Point> {
    let mut rate = 1_000;
    let mut points = Vec::with_capacity(history.calls.len());
    for (call, asked) in history.calls.iter().enumerate() {
        points.push(match asked.usage {
            Some(usage) => {
                let counted = usage.input().0.saturating_mul(1_000).checked_div(asked.shown.0);
                rate = counted.filter(|rate| *rate > 0).unwrap_or(rate);
                Point { call, input: usage.input().0, cached: usage.cache_read.0, counted: true }
            }
            None => {
                let input = asked.shown.0.saturating_mul(rate) / 1_000;
                Point { call, input, cached: 0, counted: false }
            }
        });
    }
    points
}

/// Where the limit changes, and to what.
fn limits(history: &History) -> Vec<(usize, Option<u64>)> {
    let mut limits: Vec<(usize, Option<u64>)> = Vec::new();
    for (call, asked) in history.calls.iter().enumerate() {
        let limit = asked.limit.map(|Tokens(limit)| limit);
        if limits.last().is_none_or(|(_, last)| *last != limit) {
            limits.push((call, limit));
        }
    }
    limits
}

/// What happened beside the calls, a lane for each kind.
fn lanes(history: &History) -> Vec<Lane> {
    let number = |at: usize| at.saturating_add(1);
    let cuts = history.cuts.iter().map(|cut| {
        let pages = plural(cut.evicted.len() as u64, "page");
        let freed = plural(cut.freed(), "token");
        let say = format!("cut before call {}: {pages} left, {freed} freed", number(cut.at));
        Tick { call: cut.at, say, size: Some(cut.freed()) }
    });
    let marks = |what: &'static str, marks: &[super::history::Mark]| -> Vec<Tick> {
        let tick = |mark: &super::history::Mark| Tick {
            call: mark.at,
            say: format!(
                "{what} call {}: page {}, {}",
                number(mark.at),
                mark.page.0,
                plural(mark.tokens, "token")
            ),
            size: None,
        };
        marks.iter().map(tick).collect()
    };
    let misses = history.misses.iter().map(|miss| Tick {
        call: miss.at,
        say: format!(
            "cache miss at call {}: {}, {} paid as new",
            number(miss.at),
            miss::why(miss.reason, miss.changed.as_ref()),
            plural(miss.uncached(), "token")
        ),
        size: None,
    });
    vec![
        Lane { name: "cuts", class: "cut", ticks: cuts.collect() },
        Lane { name: "faults", class: "fault", ticks: marks("fault after", &history.faults) },
        Lane {
            name: "recalls",
            class: "recall",
            ticks: marks("recalled before", &history.recalls),
        },
        Lane { name: "cache misses", class: "miss", ticks: misses.collect() },
    ]
}

#[cfg(test)]
mod tests;

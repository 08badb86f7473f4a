//! Why pages left the window: every cut with what was weighed, and what the provider's cache missed.

use std::collections::BTreeMap;

use aosk::abi::{PageId, Tokens};
use aosk::kernel::Memory;
use serde_json::{Value, json};

use super::history::{Cut, Gone, History, Miss, rate, why};
use super::view::elided;
use crate::miss;
use crate::term::{count, cut as shortened, line, plural, table};

/// Characters of the name of a policy.
const NAME_MAX: usize = 40;

const HEAD: [&str; 7] = ["page", "kind", "tokens", "needed again", "in calls", "loss", "since"];
const FIGURES: [&str; 5] = ["page", "tokens", "needed again", "in calls", "loss"];

/// What the figures of a cut are in.
const LEGEND: [&str; 3] = [
    "Tokens are by estimate. A loss is what missing a page is expected to weigh, in tokens of input that",
    "no cache has: the chance that it is needed again, times what it takes to bring it back and what a",
    "fault counts under --prefer. Only the policy priced weighs it; under others it is 0.",
];

/// Prints every cut, newest last, then what caches missed.
pub(super) fn print(history: &History, all: bool) {
    let cuts = &history.cuts;
    if cuts.is_empty() {
        line("no page has left the window: there was no cut");
    } else {
        for text in LEGEND {
            line(text);
        }
        line("");
    }
    let faults = faults(history);
    for (number, cut) in (1..).zip(cuts) {
        line(&title(number, cuts.len(), cut));
        for (name, text) in figures(cut) {
            line(&format!("  {name:<10} {text}"));
        }
        let row = |gone: &Gone| row(gone, cut, &faults);
        let print = |rows| table(&HEAD, &FIGURES, rows);
        let pages = elided(&cut.evicted, all, "page", row, print);
        for row in pages.lines() {
            line(&format!("  {row}"));
        }
        line("");
    }
    print_misses(&history.misses);
}

fn print_misses(misses: &[Miss]) {
    for miss in misses {
        line(&format!(
            "cache miss at c{}: {}; {} as before, {} read from the cache, {} paid as new",
            miss.call,
            miss::why(miss.reason, miss.changed.as_ref()),
            plural(miss.unchanged.0, "token"),
            count(miss.read.0),
            count(miss.uncached()),
        ));
    }
    let uncached: u64 = misses.iter().map(Miss::uncached).sum();
    line(&match misses.len() {
        0 => "no cache miss".to_owned(),
        some => format!(
            "{}: {} paid as new that were sent before",
            plural(some as u64, "cache miss"),
            plural(uncached, "token")
        ),
    });
}

fn title(number: usize, of: usize, cut: &Cut) -> String {
    let nth = count(cut.at.saturating_add(1) as u64);
    let policy = shortened(&cut.policy, NAME_MAX);
    format!("cut {number} of {of}, before model call {nth} (c{}), by {policy}", cut.call)
}

/// What a cut is in figures.
fn figures(cut: &Cut) -> Vec<(&'static str, String)> {
    let stubs = cut.evicted.iter().filter(|gone| gone.was_stub).count() as u64;
    let pages = (cut.evicted.len() as u64).saturating_sub(stubs);
    let merged = match stubs {
        0 => String::new(),
        stubs => format!(", and {} of earlier ones", plural(stubs, "stub")),
    };
    let calls = cut.freed() / cut.growth.max(1);
    let lasts = format!(
        "{} a call: what was freed lasts about {}",
        plural(cut.growth, "token"),
        plural(calls, "call")
    );
    vec![
        ("why", why(cut)),
        ("left", format!("{}{merged}", plural(pages, "page"))),
        (
            "tokens",
            format!(
                "{} before, {} after: {} freed; {}",
                count(cut.before.0),
                count(cut.after.0),
                count(cut.freed()),
                fit(cut)
            ),
        ),
        (
            "rewritten",
            format!(
                "{} to be read anew, weighed as {}: reading takes time too",
                plural(cut.rewritten.0, "token"),
                count(cut.price / 1_000)
            ),
        ),
        ("loss", format!("{}: what faults on these pages are expected to cost", tokens(cut.loss))),
        ("growth", lasts),
    ]
}

/// How much fitted, and why that is not what the provider takes.
fn fit(cut: &Cut) -> String {
    let Some(room) = cut.room else { return "how many fit is not known".to_owned() };
    let fit = count(room.0);
    let Some(window) = cut.window.filter(|window| *window != room) else {
        return format!("{fit} fit");
    };
    let (rate, taken) = (rate(cut.rate), count(window.0));
    if room == Memory::room(window, cut.rate) {
        return format!(
            "{fit} fit by estimate, as the provider takes {taken} and counts {rate} for each"
        );
    }
    format!("{fit} fit by estimate after what the provider refused, though it takes {taken}")
}

/// Thousandths of an input token, as tokens.
fn tokens(thousandths: u64) -> String {
    plural(thousandths.saturating_add(500) / 1_000, "token")
}

/// The calls at which pages were asked for after they had left, by page.
fn faults(history: &History) -> BTreeMap<PageId, Vec<usize>> {
    let mut faults: BTreeMap<PageId, Vec<usize>> = BTreeMap::new();
    for fault in &history.faults {
        faults.entry(fault.page).or_default().push(fault.at);
    }
    faults
}

/// How often a page was asked for since a cut took it.
fn faulted_since(gone: &Gone, cut: &Cut, faults: &BTreeMap<PageId, Vec<usize>>) -> usize {
    let calls = faults.get(&gone.page.page).map(Vec::as_slice).unwrap_or_default();
    calls.iter().filter(|at| **at >= cut.at).count()
}

fn row(gone: &Gone, cut: &Cut, faults: &BTreeMap<PageId, Vec<usize>>) -> Vec<String> {
    let page = &gone.page;
    let stub = if gone.was_stub { " (stub)" } else { "" };
    let since = match faulted_since(gone, cut, faults) {
        0 => String::new(),
        1 => "asked for once".to_owned(),
        times => format!("asked for {} times", count(times as u64)),
    };
    vec![
        page.page.0.to_string(),
        format!("{}{stub}", page.kind.word()),
        count(u64::from(page.tokens)),
        chance(page.chance_ppm),
        tenths(u64::from(page.gap_16ths).saturating_mul(10).saturating_add(8) / 16),
        count(page.loss.saturating_add(500) / 1_000),
        since,
    ]
}

/// Millionths as a percentage with a decimal.
fn chance(ppm: u32) -> String {
    format!("{} %", tenths(u64::from(ppm).saturating_add(500) / 1_000))
}

fn tenths(tenths: u64) -> String {
    format!("{}.{}", count(tenths / 10), tenths % 10)
}

/// The cuts as JSON.
pub(super) fn cuts(history: &History) -> Value {
    let faults = faults(history);
    history.cuts.iter().map(|cut| object(cut, &faults)).collect()
}

fn object(cut: &Cut, faults: &BTreeMap<PageId, Vec<usize>>) -> Value {
    let evicted = cut.evicted.iter().map(|gone| {
        let page = &gone.page;
        json!({
            "page": page.page,
            "kind": page.kind,
            "tokens": page.tokens,
            "was_stub": gone.was_stub,
            "chance_percent": f64::from(page.chance_ppm) / 10_000.0,
            "calls_until": f64::from(page.gap_16ths) / 16.0,
            "loss_tokens": milli(page.loss),
            "faults_since": faulted_since(gone, cut, faults),
        })
    });
    json!({
        "call": cut.call,
        "model_call": cut.at.saturating_add(1),
        "policy": cut.policy,
        "cause": cut.cause,
        "why": why(cut),
        "window": cut.window,
        "room_tokens": cut.room,
        "full_percent": cut.fullness().map(|full| milli(full.saturating_mul(100))),
        "before": cut.before,
        "after": cut.after,
        "freed": cut.freed(),
        "rewritten": cut.rewritten,
        "price_tokens": milli(cut.price),
        "loss_tokens": milli(cut.loss),
        "growth": cut.growth,
        "evicted": evicted.collect::<Vec<_>>(),
    })
}

/// Thousandths as a number.
#[expect(clippy::cast_precision_loss, reason = "figures of tokens are far below 2^52")]
pub(super) fn milli(thousandths: u64) -> f64 {
    thousandths as f64 / 1_000.0
}

/// What caches missed, as JSON.
pub(super) fn misses(history: &History) -> Value {
    let object = |miss: &Miss| {
        json!({
            "call": miss.call,
            "model_call": miss.at.saturating_add(1),
            "reason": miss.reason,
            "why": miss::why(miss.reason, miss.changed.as_ref()),
            "changed": miss.changed,
            "unchanged": miss.unchanged,
            "read": miss.read,
            "uncached": Tokens(miss.uncached()),
        })
    };
    history.misses.iter().map(object).collect()
}

#[cfg(test)]
mod tests;

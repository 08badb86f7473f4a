//! Measures an index of many pages: time to add, search and remove, and memory.
//!
//! ```text
//! cargo run --release -p aosk-search --example measure -- CONVERSATIONS.jsonl [PAGES]
//! ```
//!
//! The turns are added over and over, as sessions of their own, until there are enough; every
//! question is asked. Linux only: the memory is read from `/proc/self/statm`.

#![expect(clippy::print_stdout, reason = "the figures are what the example is for")]
#![expect(clippy::disallowed_methods, reason = "the clock of a measurement")]

use std::time::Instant;

use anyhow::{Context, Result};
use aosk_search::evaluate;
use aosk_search::{Day, Index, Page, Query, Ranker};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().context("usage: measure CONVERSATIONS.jsonl [PAGES]")?;
    let pages: u64 = arguments.next().map_or(Ok(10_000), |number| number.parse())?;
    let conversations = evaluate::read(&std::fs::read_to_string(path)?)?;
    let turns: Vec<_> = conversations.iter().flat_map(|all| &all.turns).collect();
    let before = resident()?;
    let mut index = Index::new();
    let start = Instant::now();
    for (id, turn) in (0..pages).zip(turns.iter().cycle()) {
        let round = id / turns.len() as u64;
        index.add(&Page {
            id,
            text: &turn.text,
            who: Some(&turn.speaker),
            when: Day::parse(&turn.time),
            group: round * 1_000 + turn.session,
            order: id,
            ..Page::default()
        });
    }
    let bytes = resident()?.saturating_sub(before);
    println!("{pages} pages, {} terms", index.terms());
    println!("add {:.1} us a page", start.elapsed().as_secs_f64() * 1e6 / pages as f64);
    println!("memory {} KiB, {} bytes a page", bytes / 1024, bytes / pages.max(1));

    let ranker = Ranker::fitted();
    let mut times = Vec::new();
    for question in conversations.iter().flat_map(|all| &all.questions) {
        let query = Query { text: &question.question, ..Query::default() };
        let start = Instant::now();
        let hits = index.search(&query, &ranker, 10);
        times.push(start.elapsed().as_micros());
        anyhow::ensure!(hits.len() == 10, "ten pages are found");
    }
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
    println!("query p50 {} us, p99 {} us, {} queries", at(50), at(99), times.len());

    let start = Instant::now();
    for id in (0..pages).step_by(2) {
        index.remove(id);
    }
    let removed = pages.div_ceil(2).max(1);
    println!("remove {:.1} us a page", start.elapsed().as_secs_f64() * 1e6 / removed as f64);
    Ok(())
}

/// The memory that this process holds, in bytes.
fn resident() -> Result<u64> {
    let pages = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = pages.split(' ').nth(1).context("the second field")?.parse()?;
    Ok(pages * 4_096)
}

//! How long a page fault takes: from the address of a message that is nowhere in memory to the text of
//! the page that it holds, read from the embedded store.

use std::time::Duration;

use aosk_runtime::abi::{Body, Message};
use aosk_runtime::store::{Batch, Sqlite, Store};

use crate::measure::Stopwatch;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Pages in the store.
    #[arg(long, default_value_t = 10_000)]
    pages: u32,
    /// Bytes of a page. The largest that are made have some 16,000: 4,000 tokens.
    #[arg(long, default_value_t = 16_000)]
    bytes: usize,
    /// Faults.
    #[arg(long, default_value_t = 5_000)]
    faults: u32,
}

/// Pages in one commit.
const COMMIT: u32 = 256;

#[expect(clippy::print_stdout, reason = "the figures")]
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut store = Sqlite::open(dir.path())?;
    let mut hashes = Vec::new();
    for first in (0..args.pages).step_by(COMMIT as usize) {
        let numbers = first..first.saturating_add(COMMIT).min(args.pages);
        let bodies: Vec<Body> = numbers.map(|number| page(number, args.bytes)).collect();
        hashes.extend(bodies.iter().map(Body::hash));
        store.commit(&[Batch { bodies, ..Batch::default() }])?;
    }
    let reader = store.reader();
    let mut times = Vec::new();
    for fault in 0..args.faults {
        // Far apart each time, so that neighbours are not read along.
        let at = u64::from(fault).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let at = usize::try_from(at)? % hashes.len().max(1);
        let Some(hash) = hashes.get(at) else { continue };
        let watch = Stopwatch::start();
        let bytes = reader.body(*hash)?.ok_or_else(|| anyhow::anyhow!("it is gone: {hash}"))?;
        let text = Body::from_bytes(&bytes)?.message().text();
        times.push(watch.read().wall);
        anyhow::ensure!(text.len() >= args.bytes, "it is not the page that was written");
    }
    let [p50, p95, p99] = [50, 95, 99].map(|percent| percentile(&mut times, percent));
    println!(
        "{} pages of {} bytes: {} faults, p50 {p50:.1?} p95 {p95:.1?} p99 {p99:.1?}",
        hashes.len(),
        args.bytes,
        times.len()
    );
    Ok(())
}

fn page(number: u32, bytes: usize) -> Body {
    let mut text = format!("page {number}\n");
    while text.len() < bytes {
        text.push_str("a line of what a tool returned, as they are\n");
    }
    Body::new(Message::returned("call", "read_file", text))
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    let at = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(at).copied().unwrap_or_default()
}

//! How long the kernel thinks about what leaves the window before a call.
//!
//! A page table is kept at so many rendered entries, most of them resident; each call appends a
//! message of the model and a result. Calls that cut are measured with the rest, and by themselves.

use std::time::Duration;

use aosk_runtime::abi::{MessageIndex, TEXT_END, Timestamp, Tokens};
use aosk_runtime::kernel::memory::{
    AddressSpace, ArenaId, BlockId, GroupId, Learner, Memo, NeedTable, NewPage, Page, PageId,
    PageKind, Prefer, Situation, replacement, rules,
};

use crate::measure::Stopwatch;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Entries of the page table.
    #[arg(long, default_value_t = 2_000)]
    entries: u32,
    /// Calls.
    #[arg(long, default_value_t = 5_000)]
    calls: u32,
    /// The policy.
    #[arg(long, default_value = "priced")]
    policy: String,
}

/// Tokens of a page.
const PAGE: u32 = 100;

#[expect(clippy::print_stdout, reason = "the figures")]
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    println!("an entry has {} bytes", size_of::<Page>());
    for prefer in [Prefer::Cost, Prefer::Quality, Prefer::Utilisation] {
        for cache in ["anthropic5m", "vllm16"] {
            measure(args, prefer, cache)?;
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the figures")]
fn measure(args: &Args, prefer: Prefer, cache: &str) -> anyhow::Result<()> {
    let rules = rules(cache).ok_or_else(|| anyhow::anyhow!("no such cache: {cache}"))?;
    let policy = replacement(&args.policy).map_err(|error| anyhow::anyhow!(error.message))?;
    let (mut table, mut learner) = (NeedTable::seeded().clone(), Learner::default());
    let (mut space, mut memo) = (AddressSpace::new(20), Memo::default());
    let window = u64::from(args.entries) * u64::from(PAGE);
    space.append(page(PageKind::System, 0, 0));
    let (mut times, mut cuts, mut entries) = (Vec::new(), Vec::new(), 0);
    for call in 0..args.entries / 2 + args.calls {
        space.append(page(PageKind::Assistant, 2 * call + 1, call + 1));
        space.append(page(PageKind::ToolResult, 2 * call + 2, call + 1));
        // A few of the newest pages are used by each answer.
        let newest = space.pages_u32();
        learner.call(&space, &mut table);
        let now = Timestamp(u64::from(call) * 15_000);
        let window = Tokens(window);
        let situation = Situation { space: &space, window, rules, needs: &table, prefer, now };
        let watch = Stopwatch::start();
        let plan = policy.plan(&situation, &mut memo);
        let took = watch.read().wall;
        space.apply(&plan);
        for back in [1, 3, call % 40] {
            learner.touch(&mut space, &mut table, PageId(newest.saturating_sub(back + 1)));
        }
        memo.sent(&space, &plan.breakpoints, now);
        space.sent();
        if call >= args.entries / 2 {
            times.push(took);
            cuts.extend((!plan.evict.is_empty()).then_some(took));
            entries = entries.max(space.entries());
        }
    }
    println!(
        "{prefer:?} {cache}: up to {entries} entries, {} cuts in {} calls; all p50 {:.1?} p99 {:.1?}, cuts p50 {:.1?} p99 {:.1?}",
        cuts.len(),
        times.len(),
        percent(&mut times, 50),
        percent(&mut times, 99),
        percent(&mut cuts, 50),
        percent(&mut cuts, 99),
    );
    Ok(())
}

fn page(kind: PageKind, block: u32, group: u32) -> NewPage {
    NewPage {
        kind,
        tokens: PAGE,
        group: GroupId(group),
        block: BlockId(block),
        arena: ArenaId(0),
        source: MessageIndex(block),
        part: 0,
        end: TEXT_END,
        importance: 500,
        pinned: false,
    }
}

fn percent(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    let at = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(at).copied().unwrap_or_default()
}

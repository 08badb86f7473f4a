//! Sessions at random under every policy: what is planned fits, holds together and comes back from what
//! is kept; and that something does not fit is said only when nothing could have gone.

use std::collections::BTreeSet;

use aosk_abi::{MessageIndex, PageId, PageKind, Piece, TEXT_END, Timestamp, Tokens};

use super::{Memory, Terms};
use crate::memory::{NeedTable, Prefer, Shown, replacement, rules};

/// SplitMix64.
struct Rng(u64);

impl Rng {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end.max(1)
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).expect("small")]
    }
}

/// A log that grows, and what of it the page table does not have yet.
#[derive(Default)]
struct Log {
    messages: u32,
    new: Vec<Piece>,
}

impl Log {
    fn push(&mut self, kind: PageKind, tokens: u64, answers: bool) {
        let source = MessageIndex(self.messages);
        self.messages += 1;
        let may_be_cut = matches!(kind, PageKind::ToolResult | PageKind::User);
        let parts = if may_be_cut { tokens.div_ceil(3_000).max(1) } else { 1 };
        for part in 1..=parts {
            let end =
                if part == parts { TEXT_END } else { u32::try_from(part * 100).expect("few") };
            let tokens = u32::try_from(tokens / parts).expect("small");
            self.new.push(Piece { source, kind, tokens, end, answers, copy_of: None });
        }
    }

    /// A turn: an answer, results of its calls in no particular size, and now and then something that
    /// somebody says, also between the results.
    fn turn(&mut self, rng: &mut Rng, limit: u64) {
        let long = rng.below(10) == 0;
        let answer = if long { rng.below(limit / 2) } else { 5 + rng.below(200) };
        self.push(PageKind::Assistant, answer, false);
        for _ in 0..rng.below(5) {
            if rng.below(20) == 0 {
                self.push(PageKind::User, 30, false);
            }
            let most = rng.pick(&[30, limit / 8, limit / 8, limit]);
            self.push(PageKind::ToolResult, 3 + rng.below(most), true);
        }
        if rng.below(4) == 0 {
            self.push(PageKind::User, rng.below(limit / 6), false);
        }
    }
}

fn session(policy: &str, seed: u64) -> Result<(), String> {
    let mut rng = Rng(seed);
    let limit = 8_000 + rng.below(30_000);
    let prefer = rng.pick(&[Prefer::Cost, Prefer::Quality, Prefer::Utilisation]);
    let cache = rules(rng.pick(&["anthropic5m", "openai", "vllm16", "none"])).expect("known");
    let policy = replacement(policy).expect("known");
    let mut memory = Memory::new();
    let mut log = Log::default();
    log.push(PageKind::System, limit / 20, false);
    log.push(PageKind::User, limit / 30, false);
    for turn in 0..20 + rng.below(60) {
        memory.take_in(MessageIndex(log.messages), &std::mem::take(&mut log.new))?;
        let uses: Vec<PageId> = (0..rng.below(4))
            .map(|_| PageId(u32::try_from(rng.below(memory.space().pages_u32().into())).expect("")))
            .collect();
        let terms = Terms {
            policy,
            prefer,
            limit: Some(Tokens(limit)),
            cache,
            long_cache: None,
            seeds: NeedTable::seeded(),
            now: Timestamp(turn * 100_000),
            asks_summaries: false,
        };
        let planned = memory.plan(Tokens(limit / 40), &uses, &terms);
        let wrong = |what: String| Err(format!("seed {seed}, turn {turn}: {what}"));
        let excess = planned.plan.excess.0;
        if excess > 0 {
            let could_go = evictable(&memory);
            if could_go > excess {
                return wrong(format!("{excess} too many of {limit}, and {could_go} could go"));
            }
            // Such a call is not made, and the process ends.
            return Ok(());
        }
        if memory.space().total() > Tokens(limit) {
            return wrong("the window is overrun".to_owned());
        }
        if let Some(page) = torn(&memory) {
            return wrong(format!("page {} is shown without what it belongs to", page.0));
        }
        if rng.below(5) == 0 {
            let mut restored = Memory::new();
            for source in (0..log.messages).map(MessageIndex) {
                restored.restore(source, &memory.entries(source))?;
            }
            if restored != memory {
                return wrong("what is kept makes another page table".to_owned());
            }
        }
        memory.space.sent();
        log.turn(&mut rng, limit);
    }
    Ok(())
}

fn answers(one: &Shown<'_>) -> bool {
    one.id != PageId(0) && one.page.group.0 != one.page.source.0 + 1
}

/// Tokens that could still leave: all but what is fixed, pinned, a stub or the newest page, and calls
/// of these.
fn evictable(memory: &Memory) -> u64 {
    let shown: Vec<Shown<'_>> = memory.space().shown().collect();
    let newest = shown.last().map(|one| one.id);
    let stays = |one: &&Shown<'_>| one.page.pinned || Some(one.id) == newest;
    let groups: BTreeSet<_> = shown.iter().filter(stays).map(|one| one.page.group).collect();
    let rest =
        shown.iter().skip(memory.space().fixed()).filter(|one| !stays(one) && !one.is_stub());
    let free = rest
        .filter(|one| one.page.kind != PageKind::Assistant || !groups.contains(&one.page.group));
    free.map(|one| u64::from(one.tokens.saturating_sub(super::STUB_TOKENS))).sum()
}

/// A result that is shown without its call, or a call without a trace of one of its results.
fn torn(memory: &Memory) -> Option<PageId> {
    let shown: Vec<Shown<'_>> = memory.space().shown().collect();
    let sources: BTreeSet<_> = shown.iter().map(|one| one.page.source).collect();
    let calls: BTreeSet<_> = shown
        .iter()
        .filter(|one| one.page.kind == PageKind::Assistant && !one.is_stub())
        .map(|one| one.page.group)
        .collect();
    let orphan =
        shown.iter().find(|one| answers(one) && !one.is_stub() && !calls.contains(&one.page.group));
    let unanswered = || {
        let pages = memory.space().pages().filter(|(_, page)| page.kind == PageKind::ToolResult);
        let mut of_calls = pages.filter(|(_, page)| calls.contains(&page.group));
        of_calls.find(|(_, page)| !sources.contains(&page.source)).map(|(id, _)| id)
    };
    orphan.map(|one| one.id).or_else(unanswered)
}

#[test]
fn sessions_at_random_fit_and_hold_together() {
    let mut found = Vec::new();
    for policy in ["priced", "fifo-batch", "lru", "sliding", "summarise"] {
        let failed = (0..120).filter_map(|seed| session(policy, seed).err());
        found.extend(failed.map(|what| format!("{policy}: {what}")));
    }
    assert!(found.is_empty(), "{found:#?}");
}

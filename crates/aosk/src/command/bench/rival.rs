//! The policy of a README: the context is sorted by use at every call, and the worst page leaves when
//! it is full. It is here to be measured, not to be used.

use std::time::Duration;

use aosk::abi::Error;

use super::keeper::{Entry, Keeper, Planned};
use super::pages::{Role, TracePage};
use super::provider::Sent;

/// Tokens that it keeps free.
const RESERVE: u64 = 200;
/// Seconds in which what is unused comes to count half.
const HALF_LIFE: f64 = 600.0;
/// Seconds that a call takes it on.
const CALL: f64 = 15.0;
/// Beyond those of pages of the history.
const COPIES: u64 = 1 << 32;
/// Where blocks of copies are numbered from.
const COPY_BLOCKS: u32 = 1 << 30;

#[derive(Debug, Clone)]
struct Held {
    at: usize,
    entry: Entry,
    importance: f64,
    refs: u32,
    last: u32,
}

/// The context under that policy.
#[derive(Debug)]
pub(crate) struct Sorted {
    window: u64,
    fixed: Entry,
    held: Vec<Held>,
    /// Tokens of pages of the history, with how important they are.
    known: Vec<(u32, f64)>,
    step: u32,
    copies: u32,
}

impl Sorted {
    pub(crate) fn new(window: u64, fixed: u32) -> Self {
        let sent = Sent { key: u64::MAX, tokens: fixed.max(1), block: u32::MAX };
        let fixed = Entry { sent, carries: None, handle: u32::MAX };
        Self { window, fixed, held: Vec::new(), known: Vec::new(), step: 0, copies: 0 }
    }

    fn hold(&mut self, at: usize, sent: Sent, importance: f64) {
        let entry = Entry { sent, carries: Some(at), handle: 0 };
        self.held.push(Held { at, entry, importance, refs: 0, last: self.step });
    }

    fn total(&self) -> u64 {
        let held: u64 = self.held.iter().map(|held| u64::from(held.entry.sent.tokens)).sum();
        held + u64::from(self.fixed.sent.tokens)
    }

    /// How well a page can be missed.
    fn staleness(&self, held: &Held) -> f64 {
        let idle = f64::from(self.step.saturating_sub(held.last)) * CALL;
        let old = 1.0 - (-idle / HALF_LIFE).exp2();
        old * (1.0 - 0.5 * held.importance) / (1.0 + 0.25 * f64::from(held.refs))
    }
}

impl Keeper for Sorted {
    fn append(&mut self, at: usize, page: &TracePage) -> Result<(), Error> {
        let importance = match page.role {
            Role::User => 0.8,
            Role::Assistant => 0.6,
            Role::Tool => 0.5,
        };
        self.known.push((page.tokens, importance));
        let sent = Sent { key: at as u64, tokens: page.tokens, block: page.message };
        self.hold(at, sent, importance);
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "what is measured is the time of planning")]
    fn plan(&mut self, _: f64) -> Result<Planned, Error> {
        let began = std::time::Instant::now();
        let limit = self.window.saturating_sub(RESERVE);
        let newest = self.held.last().map(|held| held.entry.sent.block);
        let mut order: Vec<(f64, usize)> = Vec::new();
        let mut total = self.total();
        if total > limit {
            let old = self.held.iter().enumerate();
            let old = old.filter(|(_, held)| Some(held.entry.sent.block) != newest);
            order.extend(old.map(|(at, held)| (self.staleness(held), at)));
            order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        }
        let mut gone = vec![false; self.held.len()];
        for (_, at) in order {
            let (Some(gone), Some(held)) = (gone.get_mut(at), self.held.get(at)) else { continue };
            if total <= limit {
                break;
            }
            *gone = true;
            total -= u64::from(held.entry.sent.tokens);
        }
        let evicted = gone.iter().filter(|gone| **gone).count() as u64;
        let mut gone = gone.into_iter();
        self.held.retain(|_| !gone.next().unwrap_or_default());
        let worth = |held: &Held| f64::from(held.refs) * held.importance;
        self.held.sort_by(|a, b| worth(b).total_cmp(&worth(a)));
        let thought: Duration = began.elapsed();
        Ok(Planned { evicted, cut: evicted > 0, thought, ..Planned::default() })
    }

    fn entries(&self) -> Vec<Entry> {
        let held = self.held.iter().zip(0_u32..);
        let held = held.map(|(held, handle)| Entry { handle, ..held.entry });
        std::iter::once(self.fixed).chain(held).collect()
    }

    fn breakpoints(&self) -> Vec<usize> {
        vec![0, self.held.len()]
    }

    fn unchanged(&self) -> Option<usize> {
        None
    }

    fn sent(&mut self, _: f64) {
        self.step = self.step.saturating_add(1);
    }

    fn touch(&mut self, entry: &Entry) {
        let at = usize::try_from(entry.handle).unwrap_or(usize::MAX);
        if let Some(held) = self.held.get_mut(at) {
            held.refs = held.refs.saturating_add(1);
            held.last = self.step;
        }
    }

    fn recall(&mut self, pages: &[usize], _: &[u32]) -> Result<(), Error> {
        self.copies = self.copies.saturating_add(1);
        for at in pages {
            let Some((tokens, importance)) = self.known.get(*at).copied() else { continue };
            if self.held.iter().any(|held| held.at == *at) {
                continue;
            }
            let key = COPIES * u64::from(self.copies) + *at as u64;
            let block = COPY_BLOCKS.saturating_add(self.copies);
            self.hold(*at, Sent { key, tokens, block }, importance.min(0.5));
        }
        Ok(())
    }
}

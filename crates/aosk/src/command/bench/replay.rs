//! A history replayed through a keeper of the context, and the account of it.

use std::collections::BTreeMap;

use aosk::abi::Error;
use aosk::kernel::memory::CacheRules;

use super::keeper::{Entry, Keeper, Planned};
use super::pages::{History, Role};
use super::provider::{Provider, Request};

/// Seconds between calls where the history has no times.
const PAUSE: f64 = 15.0;

/// Seconds that a fault takes, and a summary.
const FAULT_PAUSE: f64 = 2.0;
const SUMMARY_PAUSE: f64 = 20.0;

/// Pages that one fault brings back at most.
pub(crate) const FAULT_PAGES_MAX: usize = 8;

/// The part of the window that a client without a kernel fills, and the part from which on the window
/// counts as full.
const FILLED_PERCENT: u64 = 97;
const FULL: f64 = 0.98;

/// The account of a replay.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) providers: Vec<Provider>,
    /// Requests, faults and summaries among them.
    pub(crate) requests: u64,
    /// Input tokens of a client without a cache.
    pub(crate) plain: u64,
    /// Parts of the window filled, summed over `full_calls`.
    filled: f64,
    full_calls: u64,
    pub(crate) needs: u64,
    pub(crate) missed: u64,
    /// The same with what occurred in other tasks too.
    pub(crate) needs_anywhere: u64,
    pub(crate) missed_anywhere: u64,
    pub(crate) faults: u64,
    pub(crate) evicted: u64,
    pub(crate) cuts: u64,
    /// Tokens that ever entered.
    pub(crate) entered: u64,
    /// Requests that do not begin with the one before, though nothing was planned to leave, or not from
    /// there on.
    pub(crate) breaks: u64,
    /// Requests larger than the window.
    pub(crate) overruns: u64,
    /// Nanoseconds of each plan.
    pub(crate) thought: Vec<u64>,
}

impl Account {
    /// The part of the window that was filled when something had left it; none if nothing did.
    pub(crate) fn occupancy(&self) -> Option<f64> {
        (self.full_calls > 0).then(|| self.filled / self.full_calls as f64)
    }

    /// The part of the input that was read from a cache.
    pub(crate) fn hit_rate(&self, cache: usize) -> f64 {
        let provider = self.providers.get(cache);
        provider.map_or(0.0, |one| one.cached.0 as f64 / one.input.0.max(1) as f64)
    }

    /// What was paid, in parts of what a client without a cache pays.
    pub(crate) fn cost_ratio(&self, cache: usize) -> f64 {
        let paid = self.providers.get(cache).map_or(0.0, |one| one.cost as f64 / 1000.0);
        paid / self.plain.max(1) as f64
    }

    /// How often what entered was read by the model anew.
    pub(crate) fn amplification(&self, cache: usize) -> f64 {
        let read =
            self.providers.get(cache).map_or(0, |one| one.input.saturating_sub(one.cached).0);
        read as f64 / self.entered.max(1) as f64
    }

    /// Takes in the account of another history under the same policy.
    pub(crate) fn add(&mut self, other: Self) {
        for (one, more) in self.providers.iter_mut().zip(&other.providers) {
            one.input += more.input;
            one.cached += more.cached;
            one.cost += more.cost;
        }
        self.requests += other.requests;
        self.plain += other.plain;
        self.filled += other.filled;
        self.full_calls += other.full_calls;
        self.needs += other.needs;
        self.missed += other.missed;
        self.needs_anywhere += other.needs_anywhere;
        self.missed_anywhere += other.missed_anywhere;
        self.faults += other.faults;
        self.evicted += other.evicted;
        self.cuts += other.cuts;
        self.entered += other.entered;
        self.breaks += other.breaks;
        self.overruns += other.overruns;
        self.thought.extend(other.thought);
    }

    pub(crate) fn resident(&self) -> f64 {
        1.0 - self.missed as f64 / self.needs.max(1) as f64
    }

    pub(crate) fn resident_anywhere(&self) -> f64 {
        1.0 - self.missed_anywhere as f64 / self.needs_anywhere.max(1) as f64
    }

    /// Microseconds of planning that so many of a hundred calls stay below.
    pub(crate) fn thought(&self, percent: usize) -> f64 {
        let mut sorted = self.thought.clone();
        sorted.sort_unstable();
        let at = sorted.len().saturating_mul(percent) / 100;
        let at = at.min(sorted.len().saturating_sub(1));
        sorted.get(at).map_or(0.0, |nanoseconds| *nanoseconds as f64 / 1000.0)
    }
}

/// Replays a history. Without `faults` nothing that is missing is brought back.
pub(crate) fn replay(
    history: &History,
    window: u64,
    caches: &[&'static CacheRules],
    keeper: &mut dyn Keeper,
) -> Result<Account, Error> {
    let providers = caches.iter().copied().map(Provider::new).collect();
    let mut run = Run {
        history,
        window: window as f64,
        filled: window.saturating_mul(FILLED_PERCENT) / 100,
        keeper,
        account: Account { providers, entered: u64::from(history.fixed), ..Account::default() },
        request: Request::default(),
        planned: false,
        now: 0.0,
        carried_by: BTreeMap::new(),
        summaries: BTreeMap::new(),
        size: u64::from(history.fixed),
    };
    for range in history.messages() {
        run.message(range)?;
    }
    Ok(run.account)
}

struct Run<'a> {
    history: &'a History,
    window: f64,
    /// What a client without a kernel sends at most.
    filled: u64,
    keeper: &'a mut dyn Keeper,
    account: Account,
    request: Request,
    /// Whether the keeper has planned a change of what was sent last.
    planned: bool,
    now: f64,
    /// The pages that carry an identifier, in order.
    carried_by: BTreeMap<u32, Vec<usize>>,
    /// Identifiers that summaries keep, by the entry that holds the summary.
    summaries: BTreeMap<u32, u32>,
    /// Tokens of the whole history so far.
    size: u64,
}

impl Run<'_> {
    fn message(&mut self, range: std::ops::Range<usize>) -> Result<(), Error> {
        let pages = self.history.pages.get(range.clone()).unwrap_or_default();
        let Some(first) = pages.first() else { return Ok(()) };
        if let Some(time) = first.time {
            self.now = self.now.max(time);
        }
        if first.role == Role::Assistant {
            self.call(range.clone())?;
            if first.time.is_none() {
                self.now += PAUSE;
            }
        }
        for (at, page) in range.zip(pages) {
            self.keeper.append(at, page)?;
            self.size += u64::from(page.tokens);
            self.account.entered += u64::from(page.tokens);
            for id in &page.ids {
                self.carried_by.entry(*id).or_default().push(at);
            }
        }
        Ok(())
    }

    fn call(&mut self, range: std::ops::Range<usize>) -> Result<(), Error> {
        if !self.plan()? {
            return Ok(());
        }
        let needs = self.needs(range);
        let entries = self.keeper.entries();
        let missing = self.missing(&needs, &entries);
        self.account.needs += needs.len() as u64;
        self.account.missed += missing.len() as u64;
        if !missing.is_empty() && !self.fault(&missing)? {
            return Ok(());
        }
        self.send();
        self.touch(&needs);
        self.keeper.sent(self.now);
        self.account.plain += self.size.min(self.filled);
        Ok(())
    }

    /// Whether a request can be made.
    fn plan(&mut self) -> Result<bool, Error> {
        let planned = self.keeper.plan(self.now)?;
        let Planned { evicted, cut, anew, summary, thought, refused } = planned;
        self.planned |= cut || anew || refused;
        self.account.evicted += evicted;
        self.account.cuts += u64::from(cut);
        self.account.thought.push(u64::try_from(thought.as_nanos()).unwrap_or(u64::MAX));
        if let Some((tokens, pages)) = summary {
            self.send();
            self.keeper.sent(self.now);
            self.now += SUMMARY_PAUSE;
            self.account.cuts += 1;
            self.account.evicted += pages.len() as u64;
            self.summarise(tokens, &pages);
            self.keeper.summarised();
            self.planned = true;
        }
        self.account.overruns += u64::from(refused);
        Ok(!refused)
    }

    /// A summary keeps the identifiers that occur most, one for every eight of its tokens.
    fn summarise(&mut self, tokens: u32, pages: &[usize]) {
        let mut counts: BTreeMap<u32, u32> = std::mem::take(&mut self.summaries);
        for page in pages.iter().filter_map(|at| self.history.pages.get(*at)) {
            for id in &page.ids {
                *counts.entry(*id).or_default() += 1;
            }
        }
        let mut by_count: Vec<(u32, u32)> = counts.into_iter().map(|(id, n)| (n, id)).collect();
        by_count.sort_unstable_by(|a, b| b.cmp(a));
        by_count.truncate(usize::try_from(tokens / 8).unwrap_or_default());
        self.summaries = by_count.into_iter().map(|(n, id)| (id, n)).collect();
    }

    /// The identifiers in an answer that occurred earlier in its task.
    fn needs(&mut self, range: std::ops::Range<usize>) -> Vec<u32> {
        let pages = self.history.pages.get(range).unwrap_or_default();
        let mut ids: Vec<u32> = pages.iter().flat_map(|page| &page.ids).copied().collect();
        ids.sort_unstable();
        ids.dedup();
        let task = pages.first().map(|page| page.task);
        let last_task = |id: &u32| {
            let last = *self.carried_by.get(id)?.last()?;
            self.history.pages.get(last).map(|page| page.task)
        };
        let entries = self.keeper.entries();
        let anywhere: Vec<u32> =
            ids.iter().copied().filter(|id| self.carried_by.contains_key(id)).collect();
        self.account.needs_anywhere += anywhere.len() as u64;
        self.account.missed_anywhere += self.missing(&anywhere, &entries).len() as u64;
        ids.retain(|id| last_task(id).is_some() && last_task(id) == task);
        ids
    }

    fn missing(&self, needs: &[u32], entries: &[Entry]) -> Vec<u32> {
        let mut left: Vec<u32> =
            needs.iter().copied().filter(|id| !self.summaries.contains_key(id)).collect();
        for entry in entries.iter().rev() {
            if left.is_empty() {
                break;
            }
            let ids = self.keeper.ids(self.history, entry);
            left.retain(|id| !ids.contains(id));
        }
        left
    }

    /// One call more that asks for what is missing, and brings it back.
    fn fault(&mut self, missing: &[u32]) -> Result<bool, Error> {
        let mut wanted: Vec<usize> = Vec::new();
        for id in missing {
            let last = self.carried_by.get(id).and_then(|pages| pages.last()).copied();
            let Some(last) = last else { continue };
            let has =
                |at: &usize| self.history.pages.get(*at).is_some_and(|page| page.ids.contains(id));
            if !wanted.iter().any(has) {
                wanted.push(last);
            }
        }
        wanted.truncate(FAULT_PAGES_MAX);
        self.account.faults += 1;
        self.send();
        self.keeper.sent(self.now);
        self.now += FAULT_PAUSE;
        self.keeper.recall(&wanted, missing)?;
        self.plan()
    }

    fn send(&mut self) {
        let entries = self.keeper.entries();
        let before = self.request.entries();
        let same = self.request.set(entries.iter().map(|entry| entry.sent));
        let unplanned = match self.keeper.unchanged() {
            Some(unchanged) => same < unchanged || same < before && !self.planned,
            None => same < before,
        };
        self.account.breaks += u64::from(unplanned);
        self.planned = false;
        let breakpoints = self.keeper.breakpoints();
        for provider in &mut self.account.providers {
            provider.call(&self.request, &breakpoints, self.now);
        }
        let tokens = self.request.tokens() as f64;
        self.account.requests += 1;
        self.account.overruns += u64::from(tokens > self.window);
        if self.size as f64 > self.window * FULL {
            self.account.filled += tokens / self.window;
            self.account.full_calls += 1;
        }
    }

    /// What the answer used: for each identifier the newest page that carries it.
    fn touch(&mut self, needs: &[u32]) {
        let mut left = needs.to_vec();
        let entries = self.keeper.entries();
        for entry in entries.iter().rev() {
            if left.is_empty() {
                break;
            }
            let before = left.len();
            let ids = self.keeper.ids(self.history, entry);
            left.retain(|id| !ids.contains(id));
            if left.len() < before {
                self.keeper.touch(entry);
            }
        }
    }
}

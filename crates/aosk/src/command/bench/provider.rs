//! What a provider's prefix cache would answer: tokens read, written and neither, for each request.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use aosk::abi::Tokens;
use aosk::kernel::memory::{CacheRules, Matching};

/// An entry of a request as a provider sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Stands for its bytes.
    pub(crate) key: u64,
    pub(crate) tokens: u32,
    /// The content block it is in.
    pub(crate) block: u32,
}

/// A request, with what all caches need of it.
#[derive(Debug, Default)]
pub(crate) struct Request {
    sent: Vec<Sent>,
    /// For each entry, a hash of all up to it and their tokens.
    prefixes: Vec<(u64, u64)>,
    /// Entries that end a block.
    ends: Vec<usize>,
}

impl Request {
    /// Takes the next request. Returns how many leading entries are those of the last one.
    pub(crate) fn set(&mut self, entries: impl Iterator<Item = Sent>) -> usize {
        let mut at = 0;
        let mut same = None;
        for entry in entries {
            if same.is_none() && self.sent.get(at) != Some(&entry) {
                same = Some(at);
                self.sent.truncate(at);
                self.prefixes.truncate(at);
            }
            if same.is_some() {
                let (before, tokens) = self.prefixes.last().copied().unwrap_or_default();
                let mut hasher = DefaultHasher::new();
                (before, entry.key).hash(&mut hasher);
                self.prefixes.push((hasher.finish(), tokens + u64::from(entry.tokens)));
                self.sent.push(entry);
            }
            at += 1;
        }
        self.sent.truncate(at);
        self.prefixes.truncate(at);
        self.ends.clear();
        let blocks = self.sent.chunk_by(|a, b| a.block == b.block);
        self.ends.extend(blocks.scan(0, |end, block| {
            *end += block.len();
            Some(*end - 1)
        }));
        same.unwrap_or(at)
    }

    /// How many entries it has.
    pub(crate) fn entries(&self) -> usize {
        self.sent.len()
    }

    pub(crate) fn tokens(&self) -> u64 {
        self.prefixes.last().map_or(0, |(_, tokens)| *tokens)
    }

    fn tokens_to(&self, at: usize) -> u64 {
        self.prefixes.get(at).map_or(0, |(_, tokens)| *tokens)
    }

    fn hash_to(&self, at: usize) -> Option<u64> {
        self.prefixes.get(at).map(|(hash, _)| *hash)
    }
}

/// The cache of one provider for one history, and the account of it.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) rules: &'static CacheRules,
    /// Prefixes in the cache with the time of their last use, in seconds.
    entries: HashMap<u64, f64>,
    pub(crate) input: Tokens,
    pub(crate) cached: Tokens,
    /// What the input cost, in thousandths of an input token.
    pub(crate) cost: u64,
}

impl Provider {
    pub(crate) fn new(rules: &'static CacheRules) -> Self {
        let (input, cached) = (Tokens::ZERO, Tokens::ZERO);
        Self { rules, entries: HashMap::new(), input, cached, cost: 0 }
    }

    /// Answers a request with breakpoints behind these entries, in order. Returns the tokens read and
    /// those written.
    pub(crate) fn call(
        &mut self,
        request: &Request,
        breakpoints: &[usize],
        now: f64,
    ) -> (u64, u64) {
        let total = request.tokens();
        let (read, written) = match self.rules.matching {
            Matching::Blocks { tokens } => (self.by_block(request, tokens, now), 0),
            Matching::Breakpoints { max, look_back } => {
                let last = request.ends.last().copied().unwrap_or_default();
                let mut places: Vec<usize> =
                    breakpoints.iter().copied().filter(|at| *at < last).chain([last]).collect();
                places.dedup();
                let places = places.get(places.len().saturating_sub(max)..).unwrap_or_default();
                self.by_breakpoint(request, places, look_back, now)
            }
        };
        // What is neither read nor written costs the plain price; where writing costs nothing
        // extra, that is the price of writing.
        let plain = match self.rules.matching {
            Matching::Blocks { .. } => self.rules.write,
            Matching::Breakpoints { .. } => 1000,
        };
        self.input += Tokens(total);
        self.cached += Tokens(read);
        self.cost += read * self.rules.read
            + written * self.rules.write
            + total.saturating_sub(read + written) * plain;
        (read, written)
    }

    fn by_block(&mut self, request: &Request, block: u32, now: f64) -> u64 {
        let block = u64::from(block.max(1));
        let total = request.tokens();
        let found = request.prefixes.iter().rev().find(|(hash, _)| self.is_alive(*hash, now));
        let tokens = found.map_or(0, |(_, tokens)| *tokens);
        // The last token is always computed.
        let tokens = tokens.min(total.saturating_sub(1)) / block * block;
        for (hash, _) in &request.prefixes {
            self.entries.insert(*hash, now);
        }
        if tokens < u64::from(self.rules.minimum) { 0 } else { tokens }
    }

    fn by_breakpoint(
        &mut self,
        request: &Request,
        places: &[usize],
        look_back: usize,
        now: f64,
    ) -> (u64, u64) {
        let minimum = u64::from(self.rules.minimum);
        let best = places.iter().rev().filter_map(|place| {
            let end = request.ends.partition_point(|end| end <= place);
            let ends = request.ends.get(..end)?.iter().rev().take(look_back + 1);
            ends.take_while(|end| request.tokens_to(**end) >= minimum)
                .find(|end| request.hash_to(**end).is_some_and(|hash| self.is_alive(hash, now)))
                .copied()
        });
        let best = best.max();
        let read = best.map_or(0, |at| request.tokens_to(at));
        let writes = places.iter().filter(|place| request.tokens_to(**place) >= minimum);
        for hash in writes.chain(&best).filter_map(|at| request.hash_to(*at)) {
            self.entries.insert(hash, now);
        }
        let last = places.last().map_or(0, |at| request.tokens_to(*at));
        (read, if last >= minimum { last.saturating_sub(read) } else { 0 })
    }

    fn is_alive(&self, hash: u64, now: f64) -> bool {
        let lifetime = self.rules.lifetime.0;
        self.entries
            .get(&hash)
            .is_some_and(|used| lifetime == u64::MAX || (now - used) * 1000.0 <= lifetime as f64)
    }
}

#[cfg(test)]
mod tests;

//! What providers say: how their count compares with the estimate, and whether their cache had what
//! it should.

use std::sync::Arc;

use aosk_abi::{Changed, MissReason, ThinkOptions, Timestamp, Tokens, Usage};

use super::super::ModelCall;
use super::Memory;
use crate::memory::CacheRules;

/// The least and the most that a provider's count is believed to be, for a thousand of the estimate.
const SCALE: std::ops::RangeInclusive<u64> = 500..=2_500;

/// A hit may fall short by so many tokens and still be one: blocks, and what providers put around
/// messages.
const MISS_SLACK: u64 = 2_048;

/// What a call has in common with the one before it.
#[derive(Debug, Default, Clone)]
pub(super) struct Common {
    /// Leading tokens.
    tokens: Tokens,
    /// Why the provider cannot be expected to have them in its cache.
    miss: Option<(MissReason, Changed)>,
    /// What the provider counted as the input of that call.
    input: Option<Tokens>,
}

/// A hit that was expected and did not come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Missed {
    pub(crate) reason: MissReason,
    pub(crate) changed: Option<Changed>,
    /// What the call has in common with the one before.
    pub(crate) unchanged: Tokens,
}

/// What is remembered of a call for the next.
#[derive(Debug, Clone)]
pub(super) struct LastCall {
    pub(super) options: Arc<ThinkOptions>,
    /// The device that was asked, if it is another than the options name.
    device: Option<Arc<str>>,
    /// What was sent, in tokens of the estimate.
    sent: Tokens,
    /// What the provider counted as its input; none before the answer.
    input: Option<Tokens>,
}

impl Memory {
    /// The tokens a provider is expected to count for so many of the estimate; never fewer than the
    /// estimate.
    pub(crate) fn scaled(&self, estimate: Tokens) -> Tokens {
        Tokens(estimate.0.saturating_mul(self.scale.max(1_000)).div_ceil(1_000))
    }

    /// An attempt of a call leaves with what is shown.
    pub(crate) fn sent(
        &mut self,
        call: &ModelCall,
        rules: &CacheRules,
        limit: Option<Tokens>,
        now: Timestamp,
    ) {
        // A call that was planned before a crash brings its window along.
        self.window = self.window.or_else(|| limit.map(|limit| Self::room(limit, self.scale)));
        // Nobody knows what a failed attempt left in the cache.
        self.common = match call.attempt {
            1 => self.common(call, rules, now),
            _ => Common::default(),
        };
        self.warm_up(call, now);
        self.memo.sent(&self.space, &call.breakpoints, now);
        self.space.sent();
        self.last = Some(LastCall {
            options: call.options.clone(),
            device: call.device.clone(),
            sent: self.space.total(),
            input: None,
        });
    }

    fn common(&self, call: &ModelCall, rules: &CacheRules, now: Timestamp) -> Common {
        let Some(last) = &self.last else { return Common::default() };
        let idle = self.memo.last.map(|at| now.since(at)).unwrap_or_default();
        let (was, is) = (last.device.as_deref().unwrap_or(&last.options.model), call.device());
        let (before, tools) = (&last.options.tools, &call.options.tools);
        let miss = if was != is {
            let changed = Changed::Model { was: was.to_owned(), is: is.to_owned() };
            Some((MissReason::Model, changed))
        } else if before != tools {
            let only = |some: &[String], other: &[String]| {
                some.iter().filter(|name| !other.contains(name)).cloned().collect()
            };
            let (gone, new) = (only(before, tools), only(tools, before));
            Some((MissReason::Tools, Changed::Tools { gone, new }))
        } else {
            let lifetime = rules.lifetime;
            (idle > lifetime).then_some((MissReason::Expired, Changed::Time { idle, lifetime }))
        };
        // Other tools stand before all else, so nothing would be the same.
        let tokens = if miss.is_some() { last.sent } else { self.space.unchanged().tokens };
        Common { tokens, miss, input: last.input }
    }

    /// What a provider read less from its cache than the call has in common with the one before; none
    /// if it read what could be expected.
    pub(crate) fn missed(&self, usage: &Usage, rules: &CacheRules) -> Option<Missed> {
        let Common { tokens, miss, input } = &self.common;
        let scaled = tokens.0.saturating_mul(self.scale) / 1_000;
        let scaled = input.map_or(scaled, |input| scaled.min(input.0));
        let slack = MISS_SLACK.max(scaled / 10);
        let is_cached = scaled >= u64::from(rules.minimum);
        // Many servers never say what they read from a cache.
        let is_told = self.told_reads || rules.breakpoints() > 0;
        let missed = usage.cache_read.0 < scaled.saturating_sub(slack);
        if !(is_cached && is_told && missed && !usage.estimated) {
            return None;
        }
        let (reason, changed) = match miss {
            Some((reason, changed)) => (*reason, Some(changed.clone())),
            None => (MissReason::Provider, self.first_anew(usage.cache_read)),
        };
        Some(Missed { reason, changed, unchanged: *tokens })
    }

    /// The first page of what was sent that the provider did not read from its cache.
    fn first_anew(&self, read: Tokens) -> Option<Changed> {
        let read = read.0.saturating_mul(1_000);
        let mut end = 0_u64;
        let first = self.space.shown().find(|one| {
            end = end.saturating_add(u64::from(one.tokens).saturating_mul(self.scale));
            end > read
        })?;
        let (page, source, kind) = (first.id, first.page.source, first.page.kind);
        Some(Changed::Page { page, source, kind })
    }

    /// A call was answered: what the provider counted corrects the estimate.
    pub(crate) fn counted(&mut self, estimate: Tokens, usage: &Usage) {
        self.told_reads |= usage.cache_read > Tokens::ZERO;
        if let Some(last) = self.last.as_mut().filter(|_| !usage.estimated) {
            last.input = Some(usage.input());
        }
        self.scale = Self::corrected(self.scale, estimate, usage);
    }

    /// What a provider is expected to count for a thousand tokens of the estimate after it has said
    /// what it counted, having been expected to count `scale`. It begins at a thousand.
    #[must_use]
    pub fn corrected(scale: u64, estimate: Tokens, usage: &Usage) -> u64 {
        let input = usage.input();
        if usage.estimated || estimate == Tokens::ZERO || input == Tokens::ZERO {
            return scale;
        }
        let ratio = input.0.saturating_mul(1_000) / estimate.0;
        // No tokenizer is so far from the estimate: this counts something else, such as only what no
        // cache had.
        if !SCALE.contains(&ratio) {
            return scale;
        }
        // The longer the request, the less what stands around messages weighs in it.
        let scale = if scale == 1_000 { ratio } else { (scale * 3 + ratio) / 4 };
        scale.clamp(*SCALE.start(), *SCALE.end())
    }
}

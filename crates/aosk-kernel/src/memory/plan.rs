//! What a policy sees before a call, and what it answers.

use std::fmt::Debug;

use aosk_abi::{CutCause, Timestamp, Tokens};
use serde::{Deserialize, Serialize};

use super::anchor::Anchors;
use super::cache::CacheRules;
use super::page::PageId;
use super::space::{AddressSpace, Leave};
use super::value::Needs;

/// What matters most.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prefer {
    /// What is paid.
    #[default]
    Cost,
    /// That nothing that is needed is missing.
    Quality,
    /// That the window is full.
    Utilisation,
}

impl Prefer {
    /// The name it is chosen by.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cost => "cost",
            Self::Quality => "quality",
            Self::Utilisation => "utilisation",
        }
    }
}

/// What a policy sees before a call.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The page table, with all that the call is to send.
    pub space: &'a AddressSpace,
    /// What a request may take: the model's limit less what is reserved for the answer.
    pub window: Tokens,
    /// How the provider caches.
    pub rules: &'a CacheRules,
    /// What is known of the future of pages.
    pub needs: &'a dyn Needs,
    /// What matters most.
    pub prefer: Prefer,
    /// The time of the call.
    pub now: Timestamp,
}

/// What a policy remembers of a process from call to call. Nothing but quality is lost with it.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memo {
    /// Entries of the provider's cache.
    pub anchors: Anchors,
    /// Breakpoints to keep alive: the last one before the next cut, and before the last cut.
    pub spare: Vec<PageId>,
    /// What a call adds to the log, in sixteenths of a token, averaged over the last dozens.
    pub growth_16ths: u64,
    /// What had been appended to the log at the last request.
    pub appended: Tokens,
    /// When that was.
    pub last: Option<Timestamp>,
    /// How often so much time passed between calls that the shorter lifetime of the cache was over and
    /// the longer one was not, in millionths of the calls, averaged over the last dozen.
    pub waits_ppm: u64,
}

/// Calls over which waits are averaged.
const WAIT_CALLS: u64 = 8;

/// Breakpoints to spare; a request has place for two or three.
const SPARES_MAX: usize = 3;

/// Calls over which growth is averaged.
const GROWTH_CALLS: u64 = 32;

impl Memo {
    /// Has a breakpoint kept behind a page, before all others to spare.
    pub(super) fn keep_alive(&mut self, page: PageId) {
        self.spare.retain(|spare| *spare != page);
        self.spare.insert(0, page);
        self.spare.truncate(SPARES_MAX);
    }

    /// Notes that all that ended tasks left from a page on leaves.
    pub(crate) fn closed(&mut self, from: PageId, rules: &CacheRules, now: Timestamp) {
        self.anchors.expire(Some(from), rules.lifetime, now);
        self.spare.retain(|page| *page < from);
    }

    /// What a call adds to the log, in tokens; at least one.
    #[must_use]
    pub fn growth(&self) -> u64 {
        (self.growth_16ths / 16).max(1)
    }

    /// Notes how long it was since the last call, before the next, for a provider with two lifetimes.
    pub fn waited(&mut self, short: &CacheRules, long: &CacheRules, now: Timestamp) {
        let Some(last) = self.last else { return };
        let wait = now.since(last);
        let outlived = wait > short.lifetime && wait <= long.lifetime;
        let rest = self.waits_ppm.saturating_mul(WAIT_CALLS - 1);
        self.waits_ppm = rest.saturating_add(u64::from(outlived) * 1_000_000) / WAIT_CALLS;
    }

    /// Whether the longer lifetime pays: what waits are expected to make the provider read anew costs
    /// more than what it costs more to write each call's growth.
    #[must_use]
    pub fn wants_long(&self, short: &CacheRules, long: &CacheRules, sent: Tokens) -> bool {
        let saved = u128::from(self.waits_ppm) * u128::from(sent.0) * u128::from(short.rewrite());
        let dearer = u128::from(long.write.saturating_sub(short.write));
        saved > 1_000_000 * u128::from(self.growth()) * dearer
    }

    /// Notes that a call was made with these breakpoints. To be called before
    /// [`AddressSpace::sent`].
    pub fn sent(&mut self, space: &AddressSpace, breakpoints: &[PageId], now: Timestamp) {
        self.anchors.written(breakpoints, now);
        let appended = space.appended();
        if self.last.is_some() {
            let gained = appended.saturating_sub(self.appended).0.saturating_mul(16);
            let rest = self.growth_16ths.saturating_mul(GROWTH_CALLS - 1);
            self.growth_16ths = match self.growth_16ths {
                0 => gained,
                _ => rest.saturating_add(gained) / GROWTH_CALLS,
            };
        }
        self.appended = appended;
        self.last = Some(now);
    }
}

/// The figures of a cut. Prices are in thousandths of an input token.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// Why it is made.
    pub cause: CutCause,
    /// Tokens that it frees.
    pub freed: Tokens,
    /// Tokens of survivors that the provider has to read anew.
    pub rewritten: Tokens,
    /// What that costs.
    pub price: u64,
    /// What faults on the evicted pages are expected to cost.
    pub loss: u64,
    /// Tokens a call adds.
    pub growth: u64,
}

impl Cut {
    /// The figures of this cut and another behind it, for whose reason both are told.
    #[must_use]
    pub fn and(self, more: &Self) -> Self {
        Self {
            cause: more.cause,
            freed: self.freed + more.freed,
            rewritten: self.rewritten.max(more.rewritten),
            price: self.price.max(more.price),
            loss: self.loss.saturating_add(more.loss),
            growth: more.growth,
        }
    }
}

/// A page that is to go, and why it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Eviction {
    /// Which.
    pub page: PageId,
    /// Tokens that it takes.
    pub tokens: u32,
    /// The chance that it is needed again, in millionths.
    pub chance_ppm: u32,
    /// Calls until then, if it is, in sixteenths.
    pub gap_16ths: u32,
    /// What a fault on it is expected to cost, in thousandths of an input token.
    pub loss: u64,
}

/// What is to be done before a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What goes, in order.
    pub evict: Vec<Eviction>,
    /// What is left in its place.
    #[serde(skip, default = "stub")]
    pub leave: Leave,
    /// The figures of it.
    pub cut: Option<Cut>,
    /// First and last page that a summary is to replace, with [`AddressSpace::summarise`].
    pub summarise: Option<(PageId, PageId)>,
    /// The pages behind which breakpoints of the cache go, in order.
    pub breakpoints: Vec<PageId>,
    /// Tokens that are too many even so: what must stay does not fit.
    pub excess: Tokens,
}

fn stub() -> Leave {
    Leave::Stub
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            evict: Vec::new(),
            leave: Leave::Stub,
            cut: None,
            summarise: None,
            breakpoints: Vec::new(),
            excess: Tokens::ZERO,
        }
    }
}

/// A way to choose what leaves the window.
pub trait Replacement: Debug + Send + Sync {
    /// The name it is chosen by.
    fn name(&self) -> &'static str;

    /// What is to be done before a call.
    fn plan(&self, situation: &Situation<'_>, memo: &mut Memo) -> Plan;

    /// Whether its plans ever ask for a summary.
    fn has_summaries_made(&self) -> bool {
        false
    }
}

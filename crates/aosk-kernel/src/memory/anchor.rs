//! Which cache entries of the provider should be alive.
//!
//! A provider that caches at breakpoints finds a prefix again only where a breakpoint stood within the
//! lifetime. What is cut just behind a live entry costs little; what is cut elsewhere is written anew
//! from the last live entry before it.

use aosk_abi::{Millis, Timestamp};
use serde::{Deserialize, Serialize};

use super::page::PageId;

/// Entries that are remembered. More than a lifetime of five minutes sees.
const ANCHORS_MAX: usize = 64;

/// An entry that was written: the prefix that ends with a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Anchor {
    page: PageId,
    used: Timestamp,
}

/// The entries of one process, by page.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchors {
    anchors: Vec<Anchor>,
}

impl Anchors {
    /// Notes the breakpoints of a request.
    pub fn written(&mut self, pages: &[PageId], now: Timestamp) {
        for page in pages {
            match self.anchors.binary_search_by_key(page, |anchor| anchor.page) {
                Ok(at) => {
                    if let Some(anchor) = self.anchors.get_mut(at) {
                        anchor.used = now;
                    }
                }
                Err(at) => self.anchors.insert(at, Anchor { page: *page, used: now }),
            }
        }
        while self.anchors.len() > ANCHORS_MAX {
            let oldest = self.anchors.iter().enumerate().min_by_key(|(_, anchor)| anchor.used);
            let Some((at, _)) = oldest else { break };
            self.anchors.remove(at);
        }
    }

    /// Forgets what has expired, and every prefix that reaches `changed` or beyond.
    pub fn expire(&mut self, changed: Option<PageId>, lifetime: Millis, now: Timestamp) {
        self.anchors.retain(|anchor| {
            now.since(anchor.used) <= lifetime && changed.is_none_or(|first| anchor.page < first)
        });
    }

    /// The pages with which prefixes end that are alive, in order.
    pub fn live(
        &self,
        lifetime: Millis,
        now: Timestamp,
    ) -> impl DoubleEndedIterator<Item = PageId> {
        let live = move |anchor: &&Anchor| now.since(anchor.used) <= lifetime;
        self.anchors.iter().filter(live).map(|anchor| anchor.page)
    }
}

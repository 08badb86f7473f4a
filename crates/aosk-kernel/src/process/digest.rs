//! What a log must be, told in a few bytes: how long it is, and a hash over its pages in order.
//!
//! The pages of a log are rows of their own. The digest stands in the row of the process, so a log
//! that lost a page or got another one is told from the one that was written. The hash of an empty
//! log is zeros; a page makes of it BLAKE3 over 64 bytes: the hash so far, then the page's address.

use aosk_abi::{Hash, MessageIndex};
use serde::{Deserialize, Serialize};

/// The digest of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogDigest {
    /// How many pages it has.
    pub pages: MessageIndex,
    /// The hash over their addresses.
    pub hash: Hash,
}

impl LogDigest {
    /// The digest of the log of these pages.
    pub fn of(pages: impl IntoIterator<Item = Hash>) -> Self {
        let mut digest = Self::default();
        for page in pages {
            digest.push(page);
        }
        digest
    }

    /// Adds a page at the end.
    pub fn push(&mut self, page: Hash) {
        let mut bytes = [0; 64];
        let (before, added) = bytes.split_at_mut(32);
        before.copy_from_slice(&self.hash.0);
        added.copy_from_slice(&page.0);
        self.hash = Hash::of(&bytes);
        self.pages = MessageIndex(self.pages.0.saturating_add(1));
    }

    /// What is wrong with a log that has this digest and should have the `expected` one.
    #[must_use]
    pub fn flaw(&self, expected: &Self) -> Option<String> {
        if self.pages != expected.pages {
            let (found, expected) = (self.pages.0, expected.pages.0);
            return Some(format!("its log should have {expected} pages and has {found}"));
        }
        (self.hash != expected.hash).then(|| "its log has a page that was not written".to_owned())
    }
}

impl Default for LogDigest {
    /// Of an empty log.
    fn default() -> Self {
        Self { pages: MessageIndex(0), hash: Hash::ZERO }
    }
}

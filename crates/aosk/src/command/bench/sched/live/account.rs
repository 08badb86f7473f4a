//! What a model server was asked, seen from its side.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::figures::{millis, now};

/// What was asked since the account was read last.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(super) struct Books {
    /// How long slots stood idle between two calls, in milliseconds.
    pub(super) idle_ms: Vec<f64>,
    /// Tokens of requests and answers.
    pub(super) tokens: u64,
    /// The most calls at once.
    pub(super) busy_max: u32,
}

/// An account.
#[derive(Debug, Default)]
pub(super) struct Account {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    books: Books,
    busy: u32,
    /// Since when slots are free that were in use, the longest first.
    free: VecDeque<Instant>,
    calls: u64,
}

impl Account {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what is in it; it goes on empty.
    pub(super) fn take(&self) -> Books {
        let mut kept = self.kept();
        let busy_max = kept.busy;
        std::mem::replace(&mut kept.books, Books { busy_max, ..Books::default() })
    }
}

/// A call that is being answered. It is over when this is dropped.
#[derive(Debug)]
pub(super) struct Serving {
    account: Arc<Account>,
    /// The how-manieth call it is.
    pub(super) number: u64,
}

impl Serving {
    /// A call came: it takes the slot that has been free longest.
    pub(super) fn begin(account: Arc<Account>) -> Self {
        let mut kept = account.kept();
        kept.busy += 1;
        kept.calls += 1;
        kept.books.busy_max = kept.books.busy_max.max(kept.busy);
        if let Some(since) = kept.free.pop_front() {
            kept.books.idle_ms.push(millis(since.elapsed()));
        }
        let number = kept.calls;
        drop(kept);
        Self { account, number }
    }

    /// Tokens were read or written.
    pub(super) fn count(&self, tokens: u64) {
        self.account.kept().books.tokens += tokens;
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let mut kept = self.account.kept();
        kept.busy = kept.busy.saturating_sub(1);
        kept.free.push_back(now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_idle_from_one_call_to_the_next() {
        let account = Arc::new(Account::default());
        let first = Serving::begin(account.clone());
        let second = Serving::begin(account.clone());
        first.count(7);
        drop(first);
        let third = Serving::begin(account.clone());
        let books = account.take();
        assert_eq!((books.idle_ms.len(), books.tokens, books.busy_max), (1, 7, 2));
        drop((second, third));
        let fourth = Serving::begin(account.clone());
        assert_eq!(fourth.number, 4);
        let books = account.take();
        assert_eq!((books.idle_ms.len(), books.tokens, books.busy_max), (1, 0, 2));
    }
}

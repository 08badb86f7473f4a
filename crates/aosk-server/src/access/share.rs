//! What each caller has of what all share: connections, and answers that are not read.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use super::caller::Share;
use crate::limits::{CALLER_CONNECTIONS_MAX, UNREAD_BYTES_MAX};

/// How much everybody has of something, and how much one may have.
#[derive(Debug)]
pub(crate) struct Counts<K> {
    most: usize,
    held: Mutex<HashMap<K, usize>>,
}

impl<K: Clone + Eq + Hash> Counts<K> {
    /// Nobody has anything, and may have so much.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, held: Mutex::default() })
    }

    /// Takes `amount` until what this returns is dropped; none if that were more than one may have.
    /// Who has nothing may have one thing of any size.
    pub(crate) fn take(self: &Arc<Self>, key: K, amount: usize) -> Option<Taken<K>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let before = held.get(&key).copied().unwrap_or(0);
        let after = before.saturating_add(amount);
        if before > 0 && after > self.most {
            return None;
        }
        held.insert(key.clone(), after);
        Some(Taken { counts: Arc::clone(self), key, amount })
    }
}

/// What somebody has.
#[derive(Debug)]
pub(crate) struct Taken<K: Clone + Eq + Hash> {
    counts: Arc<Counts<K>>,
    key: K,
    amount: usize,
}

impl<K: Clone + Eq + Hash> Taken<K> {
    /// Who has it.
    pub(crate) fn key(&self) -> &K {
        &self.key
    }
}

impl<K: Clone + Eq + Hash> Drop for Taken<K> {
    fn drop(&mut self) {
        let mut held = self.counts.held.lock().unwrap_or_else(PoisonError::into_inner);
        let before = held.get(&self.key).copied().unwrap_or(0);
        let after = before.saturating_sub(self.amount);
        if after == 0 {
            held.remove(&self.key);
        } else {
            held.insert(self.key.clone(), after);
        }
    }
}

/// What callers have.
#[derive(Debug)]
pub(crate) struct Shares {
    /// Connections.
    pub(crate) connections: Arc<Counts<Share>>,
    /// Bytes of answers that were made and are not read.
    pub(crate) unread: Arc<Counts<Share>>,
}

impl Default for Shares {
    fn default() -> Self {
        let connections = Counts::new(CALLER_CONNECTIONS_MAX);
        Self { connections, unread: Counts::new(UNREAD_BYTES_MAX) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_so_much_and_gets_it_again_when_it_is_given_back() {
        let counts = Counts::new(10);
        let first = counts.take("a", 6).expect("there is room");
        assert!(counts.take("a", 5).is_none());
        let second = counts.take("a", 4).expect("there is room");
        assert!(counts.take("b", 10).is_some(), "another has its own");
        drop(first);
        assert!(counts.take("a", 7).is_none());
        assert!(counts.take("a", 6).is_some());
        drop(second);
        assert_eq!(counts.held.lock().expect("nobody panicked").len(), 0, "nobody is kept");
    }

    #[test]
    fn one_thing_may_be_larger_than_the_bound() {
        let counts = Counts::new(10);
        let large = counts.take("a", 11).expect("it has nothing yet");
        assert!(counts.take("a", 1).is_none());
        drop(large);
        assert!(counts.take("a", 1).is_some());
    }
}

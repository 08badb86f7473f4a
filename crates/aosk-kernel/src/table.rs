//! A table of live things by id. Whatever is borrowed mutably is marked as touched, so nothing can
//! change without its row being written and its place in the queues being found anew.

use std::collections::{BTreeMap, BTreeSet};

/// A table that remembers which entries were touched.
#[derive(Debug, Clone)]
pub(crate) struct Table<K, V> {
    entries: BTreeMap<K, V>,
    touched: BTreeSet<K>,
}

impl<K: Ord + Copy, V> Table<K, V> {
    pub(crate) fn new() -> Self {
        Self { entries: BTreeMap::new(), touched: BTreeSet::new() }
    }

    pub(crate) fn get(&self, id: K) -> Option<&V> {
        self.entries.get(&id)
    }

    /// The entry, to be changed; it counts as touched whether it is changed or not.
    pub(crate) fn get_mut(&mut self, id: K) -> Option<&mut V> {
        let entry = self.entries.get_mut(&id)?;
        self.touched.insert(id);
        Some(entry)
    }

    pub(crate) fn insert(&mut self, id: K, entry: V) {
        self.touched.insert(id);
        self.entries.insert(id, entry);
    }

    pub(crate) fn remove(&mut self, id: K) -> Option<V> {
        self.touched.insert(id);
        self.entries.remove(&id)
    }

    pub(crate) fn contains(&self, id: K) -> bool {
        self.entries.contains_key(&id)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        self.entries.iter().map(|(id, entry)| (*id, entry))
    }

    pub(crate) fn ids(&self) -> Vec<K> {
        self.entries.keys().copied().collect()
    }

    /// Changes what was touched since it was last taken. It is marked already.
    pub(crate) fn change_touched(&mut self, mut change: impl FnMut(&mut V)) {
        for id in &self.touched {
            if let Some(entry) = self.entries.get_mut(id) {
                change(entry);
            }
        }
    }

    /// What was touched since the last call, in id order; also what has been removed.
    pub(crate) fn take_touched(&mut self) -> BTreeSet<K> {
        std::mem::take(&mut self.touched)
    }
}

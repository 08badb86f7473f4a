//! The inverted index: which pages hold a term, and which page stands beside which.
//!
//! Pages come and go one by one; nothing is ever rebuilt. The maps are ordered, so that the same
//! pages and the same query give the same result, and no choice of words can make them slow.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use crate::page::{self, Kept, Page};

/// A posting: the slot of a page and how often it holds the term.
type Posting = (u32, u16);

/// One term of the vocabulary.
#[derive(Debug, Default)]
struct Entry {
    text: Arc<str>,
    /// By slot.
    postings: Vec<Posting>,
}

/// Pages that can be searched.
#[derive(Debug, Default)]
pub struct Index {
    vocabulary: BTreeMap<Arc<str>, u32>,
    entries: Vec<Entry>,
    free_entries: Vec<u32>,
    slots: Vec<Option<Kept>>,
    free_slots: Vec<u32>,
    ids: BTreeMap<u64, u32>,
    /// Slots by group, order and id.
    line: Vec<u32>,
    /// Where in `line` a slot stands.
    places: Vec<u32>,
    /// Who speaks, with how many pages.
    speakers: BTreeMap<Arc<str>, u32>,
    kinds: BTreeMap<Arc<str>, u32>,
    length: u64,
}

impl Index {
    /// An index without pages.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many pages there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Whether there is a page of this id.
    #[must_use]
    pub fn contains(&self, id: u64) -> bool {
        self.ids.contains_key(&id)
    }

    /// How many distinct terms the pages hold.
    #[must_use]
    pub fn terms(&self) -> usize {
        self.vocabulary.len()
    }

    /// Adds a page, in the place of the one of the same id if there is one.
    pub fn add(&mut self, page: &Page<'_>) {
        self.remove(page.id);
        let read = page::read(page.text, page.when, &mut |text| self.number(text));
        let counts = counts(read.all);
        let kept = Kept {
            id: page.id,
            who: page.who.map(|who| count_in(&mut self.speakers, who)),
            when: page.when,
            kind: page.kind.map(|kind| count_in(&mut self.kinds, kind)),
            group: page.group,
            order: page.order,
            vector: page.vector.and_then(page::unit),
            sequence: read.sequence.into(),
            counts,
            length: read.length,
            mentions: read.mentions.into(),
            signs: read.signs,
        };
        let slot = self.free_slots.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.places.push(0);
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        for (term, count) in &kept.counts {
            if let Some(entry) = self.entries.get_mut(*term as usize) {
                let at = entry.postings.partition_point(|posting| posting.0 < slot);
                entry.postings.insert(at, (slot, *count));
            }
        }
        self.length += u64::from(kept.length);
        self.ids.insert(kept.id, slot);
        let key = key(&kept);
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Some(kept);
        }
        let at = self.line.partition_point(|other| self.key_of(*other) < key);
        self.line.insert(at, slot);
        self.number_places(at);
    }

    /// Gives a page its embedding, in the place of one that it may have. False if there is no page of
    /// this id.
    pub fn set_vector(&mut self, id: u64, vector: &[f32]) -> bool {
        let slot = self.ids.get(&id).and_then(|slot| self.slots.get_mut(*slot as usize));
        let Some(kept) = slot.and_then(Option::as_mut) else { return false };
        kept.vector = page::unit(vector);
        true
    }

    /// Removes a page. False if there is none of this id.
    pub fn remove(&mut self, id: u64) -> bool {
        let Some(slot) = self.ids.remove(&id) else { return false };
        let at = self.places.get(slot as usize).copied().unwrap_or_default() as usize;
        let Some(kept) = self.slots.get_mut(slot as usize).and_then(Option::take) else {
            return false;
        };
        self.line.remove(at);
        self.number_places(at);
        for (term, _) in &kept.counts {
            let Some(entry) = self.entries.get_mut(*term as usize) else { continue };
            if let Ok(at) = entry.postings.binary_search_by_key(&slot, |posting| posting.0) {
                entry.postings.remove(at);
            }
            if entry.postings.is_empty() {
                self.vocabulary.remove(&entry.text);
                *entry = Entry::default();
                self.free_entries.push(*term);
            }
        }
        self.length -= u64::from(kept.length);
        uncount_in(&mut self.speakers, kept.who.as_ref());
        uncount_in(&mut self.kinds, kept.kind.as_ref());
        self.free_slots.push(slot);
        true
    }

    /// The number of a term, given to it now if it is new.
    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.vocabulary.get(text) {
            return *number;
        }
        let text: Arc<str> = text.into();
        let entry = Entry { text: Arc::clone(&text), postings: Vec::new() };
        let number = match self.free_entries.pop() {
            Some(free) => {
                if let Some(place) = self.entries.get_mut(free as usize) {
                    *place = entry;
                }
                free
            }
            None => {
                self.entries.push(entry);
                u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX)
            }
        };
        self.vocabulary.insert(text, number);
        number
    }

    fn key_of(&self, slot: u32) -> (u64, u64, u64) {
        self.slots.get(slot as usize).and_then(Option::as_ref).map(key).unwrap_or_default()
    }

    fn number_places(&mut self, from: usize) {
        for (at, slot) in self.line.iter().enumerate().skip(from) {
            if let Some(place) = self.places.get_mut(*slot as usize) {
                *place = u32::try_from(at).unwrap_or(u32::MAX);
            }
        }
    }
}

/// What a search reads.
impl Index {
    pub(crate) fn line(&self) -> &[u32] {
        &self.line
    }

    pub(crate) fn place(&self, slot: u32) -> usize {
        self.places.get(slot as usize).copied().unwrap_or_default() as usize
    }

    pub(crate) fn at(&self, place: usize) -> Option<&Kept> {
        let slot = self.line.get(place)?;
        self.slots.get(*slot as usize)?.as_ref()
    }

    /// Numbers of terms are below this.
    pub(crate) fn numbers(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn term(&self, text: &str) -> Option<u32> {
        self.vocabulary.get(text).copied()
    }

    pub(crate) fn postings(&self, term: u32) -> &[Posting] {
        self.entries.get(term as usize).map(|entry| entry.postings.as_slice()).unwrap_or_default()
    }

    /// Terms that begin with `prefix`, in order.
    pub(crate) fn terms_from<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, u32)> + 'a {
        let bounds = (Bound::Included(prefix), Bound::Unbounded);
        let from = self.vocabulary.range::<str, _>(bounds);
        let same = from.take_while(move |(text, _)| text.starts_with(prefix));
        same.map(|(text, number)| (text.as_ref(), *number))
    }

    pub(crate) fn speakers(&self) -> impl Iterator<Item = &Arc<str>> {
        self.speakers.keys()
    }

    /// How rare a term is: 0 for one that every page holds.
    pub(crate) fn rarity(&self, pages: usize) -> f32 {
        let (all, pages) = (self.ids.len() as f32, pages as f32);
        (1.0 + (all - pages + 0.5) / (pages + 0.5)).ln()
    }

    pub(crate) fn mean_length(&self) -> f32 {
        (self.length as f32 / self.ids.len().max(1) as f32).max(1.0)
    }
}

fn key(kept: &Kept) -> (u64, u64, u64) {
    (kept.group, kept.order, kept.id)
}

/// Every distinct term with its count.
fn counts(mut terms: Vec<u32>) -> Box<[(u32, u16)]> {
    terms.sort_unstable();
    let mut counts: Vec<(u32, u16)> = Vec::new();
    for term in terms {
        match counts.last_mut() {
            Some((last, count)) if *last == term => *count = count.saturating_add(1),
            _ => counts.push((term, 1)),
        }
    }
    counts.into()
}

fn count_in(table: &mut BTreeMap<Arc<str>, u32>, text: &str) -> Arc<str> {
    let key = table.get_key_value(text).map_or_else(|| text.into(), |(key, _)| Arc::clone(key));
    *table.entry(Arc::clone(&key)).or_default() += 1;
    key
}

fn uncount_in(table: &mut BTreeMap<Arc<str>, u32>, text: Option<&Arc<str>>) {
    let Some(text) = text else { return };
    if let Some(count) = table.get_mut(text) {
        *count -= 1;
        if *count == 0 {
            table.remove(text);
        }
    }
}

#[cfg(test)]
mod tests;

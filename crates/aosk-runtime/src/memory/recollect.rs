//! The pages of one log, ready to be searched.
//!
//! The index lives in memory only: the log is the truth. It is made and searched on threads beside the
//! event loop, which hands over which pages there are and never waits for it.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use aosk_abi::{Error, PageId};
use aosk_search::{Hit, Index, Page, Query, Ranker};
use aosk_store::Reader;

use super::entries::{Entry, Texts};

/// Pages that are read in one go. Others want the thread too, and whoever waits may give up.
const PAGES_AT_ONCE: usize = 256;

/// Characters of each page that are told of it.
const TOLD_CHARS: usize = 240;

/// What is known of the pages of one process.
#[derive(Debug, Default)]
pub(crate) struct Recollection {
    /// Pages that were handed over and are not in the index yet. Locked for moments only.
    inbox: Mutex<VecDeque<Entry>>,
    /// Locked while pages are read or searched, and so never on the event loop.
    known: Mutex<Known>,
    /// Whether it stands in the queue for vectors.
    queued: AtomicBool,
}

#[derive(Debug, Default)]
struct Known {
    index: Index,
    /// The beginning of each page.
    begins: HashMap<u64, Box<str>>,
    /// Pages that may get a vector and have not been taken to be given one.
    bare: VecDeque<Entry>,
    /// How many wait for one, those that were taken included.
    waiting: usize,
}

/// A page that was found.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) hit: Hit,
    /// How it begins.
    pub(crate) begins: Box<str>,
}

impl Recollection {
    /// Hands over pages that are new.
    pub(crate) fn hand_over(&self, entries: Vec<Entry>) {
        if !entries.is_empty() {
            locked(&self.inbox).extend(entries);
        }
    }

    /// Reads the next pages that were handed over. False when there are no more. `vectors` says
    /// whether they are to get some.
    pub(crate) fn read_on(&self, reader: &dyn Reader, vectors: bool) -> Result<bool, Error> {
        let mut known = locked(&self.known);
        let mut texts = Texts::found(reader);
        for _ in 0..PAGES_AT_ONCE {
            let Some(entry) = locked(&self.inbox).pop_front() else { return Ok(false) };
            let text = match texts.of(&entry) {
                Ok(text) => text,
                Err(error) => {
                    // It is read the next time, or fails again.
                    locked(&self.inbox).push_front(entry);
                    return Err(error);
                }
            };
            if text.trim().is_empty() {
                continue;
            }
            let id = u64::from(entry.id.0);
            let kind = Some(entry.kind.word());
            known.index.add(&Page { id, text, kind, order: id, ..Page::default() });
            let begins: String = text.chars().take(TOLD_CHARS).collect();
            known.begins.insert(id, begins.into());
            if vectors {
                known.bare.push_back(entry);
                known.waiting = known.waiting.saturating_add(1);
            }
        }
        Ok(!locked(&self.inbox).is_empty())
    }

    /// The pages that fit best, best first.
    pub(crate) fn search(&self, text: &str, vector: Option<&[f32]>, limit: usize) -> Vec<Found> {
        let known = locked(&self.known);
        let query = Query { text, vector, ..Query::default() };
        let hits = known.index.search(&query, &Ranker::fitted(), limit);
        let begins = |hit: &Hit| known.begins.get(&hit.id).cloned().unwrap_or_default();
        hits.into_iter().map(|hit| Found { begins: begins(&hit), hit }).collect()
    }

    /// Takes so many pages that wait for a vector.
    pub(crate) fn take_bare(&self, most: usize) -> Vec<Entry> {
        let mut known = locked(&self.known);
        let most = most.min(known.bare.len());
        known.bare.drain(..most).collect()
    }

    /// Puts pages back that did not get one.
    pub(crate) fn put_back(&self, entries: impl IntoIterator<Item = Entry>) {
        locked(&self.known).bare.extend(entries);
    }

    /// How many pages wait for a vector.
    pub(crate) fn waiting(&self) -> usize {
        locked(&self.known).waiting
    }

    /// Gives pages their vectors. So many of those that were taken wait no longer, with or without one.
    pub(crate) fn settle<'a>(
        &self,
        pages: usize,
        vectors: impl IntoIterator<Item = (PageId, &'a [f32])>,
    ) {
        let mut known = locked(&self.known);
        known.waiting = known.waiting.saturating_sub(pages);
        for (id, vector) in vectors {
            known.index.set_vector(u64::from(id.0), vector);
        }
    }

    /// Whether it is to be put into the queue for vectors: once, until it is taken out.
    pub(crate) fn begin_to_queue(&self) -> bool {
        !self.queued.swap(true, Ordering::AcqRel)
    }

    /// It was taken out of the queue.
    pub(crate) fn end_to_queue(&self) {
        self.queued.store(false, Ordering::Release);
    }

    /// Whether all that was handed over has been read, or is about to be.
    pub(crate) fn is_read(&self) -> bool {
        locked(&self.inbox).is_empty()
    }
}

/// What a lock holds, also after somebody panicked with it: pages are added one by one, so what is
/// there is whole.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Bodies in memory: a bounded cache in front of the store.
//!
//! Two generations: what is used moves to the young one; when a commit is confirmed and the young one
//! is full, it becomes the old one and the old one is dropped. What is dropped is read from the store
//! again when needed, so only what is committed may be dropped: whatever was there at one
//! confirmation is in the store at the next.

use std::collections::HashMap;
use std::sync::Arc;

use aosk_abi::{Body, Error, ErrorCode, Hash};
use aosk_model::tokens;
use aosk_store::Reader;

/// A body and its size in tokens.
#[derive(Debug, Clone)]
pub(crate) struct Cached {
    pub(crate) body: Body,
    /// By estimate.
    pub(crate) tokens: u64,
}

/// The cache.
pub(crate) struct Bodies {
    reader: Arc<dyn Reader>,
    young: HashMap<Hash, Cached>,
    old: HashMap<Hash, Cached>,
    young_bytes: usize,
    bytes_max: usize,
}

/// Bytes that both generations together may hold.
const BYTES_MAX: usize = 128 * 1024 * 1024;

impl Bodies {
    pub(crate) fn new(reader: Arc<dyn Reader>) -> Self {
        Self {
            reader,
            young: HashMap::new(),
            old: HashMap::new(),
            young_bytes: 0,
            bytes_max: BYTES_MAX,
        }
    }

    /// Takes in a body that is new or used.
    pub(crate) fn insert(&mut self, body: &Body) {
        if !self.young.contains_key(&body.hash()) {
            let cached = self.old.remove(&body.hash()).unwrap_or_else(|| Cached {
                tokens: tokens::of_message(body.message()).0,
                body: body.clone(),
            });
            self.put(cached);
        }
    }

    /// The body at this address.
    pub(crate) fn get(&mut self, hash: Hash) -> Result<Cached, Error> {
        if let Some(cached) = self.young.get(&hash) {
            return Ok(cached.clone());
        }
        let cached = match self.old.remove(&hash) {
            Some(cached) => cached,
            None => self.read(hash)?,
        };
        self.put(cached.clone());
        Ok(cached)
    }

    fn read(&self, hash: Hash) -> Result<Cached, Error> {
        let lost = |what: String| {
            Error::new(ErrorCode::StoreCorrupt, format!("reading the body {hash}: {what}"))
                .hint("`aosk audit verify` says whether the journal is whole")
        };
        let bytes =
            self.reader.body(hash)?.ok_or_else(|| lost("it is not in the store".to_owned()))?;
        let body = Body::from_bytes(&bytes).map_err(|error| lost(error.to_string()))?;
        Ok(Cached { tokens: tokens::of_message(body.message()).0, body })
    }

    fn put(&mut self, cached: Cached) {
        self.young_bytes =
            self.young_bytes.saturating_add(cached.body.bytes().len().saturating_mul(2));
        self.young.insert(cached.body.hash(), cached);
    }

    /// A commit is confirmed: what was here when the one before it was is in the store and may go.
    pub(crate) fn committed(&mut self) {
        if self.young_bytes > self.bytes_max / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
    }
}

#[cfg(test)]
mod tests;

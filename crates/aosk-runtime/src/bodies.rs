//! Bodies in memory: a bounded cache in front of the store.
//!
//! Two generations: what is used moves to the young one; when a commit is confirmed and the young one
//! is full, it becomes the old one and the old one is dropped. What is dropped is read from the store
//! again when needed, so only what is committed may be dropped: whatever was there at one
//! confirmation is in the store at the next.

use std::collections::HashMap;
use std::sync::Arc;

use aosk_abi::{Body, Error, ErrorCode, Hash};
use aosk_store::Reader;

/// The cache.
pub(crate) struct Bodies {
    reader: Arc<dyn Reader>,
    young: HashMap<Hash, Body>,
    old: HashMap<Hash, Body>,
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
            let body = self.old.remove(&body.hash()).unwrap_or_else(|| body.clone());
            self.put(body);
        }
    }

    /// The body at this address.
    pub(crate) fn get(&mut self, hash: Hash) -> Result<Body, Error> {
        if let Some(body) = self.young.get(&hash) {
            return Ok(body.clone());
        }
        let body = match self.old.remove(&hash) {
            Some(body) => body,
            None => self.read(hash)?,
        };
        self.put(body.clone());
        Ok(body)
    }

    fn read(&self, hash: Hash) -> Result<Body, Error> {
        let lost = |what: String| {
            Error::new(ErrorCode::StoreCorrupt, format!("reading the body {hash}: {what}"))
                .hint("`aosk audit verify` says whether the journal is whole")
        };
        let bytes =
            self.reader.body(hash)?.ok_or_else(|| lost("it is not in the store".to_owned()))?;
        Body::from_bytes(&bytes).map_err(|error| lost(error.to_string()))
    }

    fn put(&mut self, body: Body) {
        self.young_bytes = self.young_bytes.saturating_add(body.bytes().len().saturating_mul(2));
        self.young.insert(body.hash(), body);
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

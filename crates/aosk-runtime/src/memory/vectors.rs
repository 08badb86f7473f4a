//! Vectors by the text that they are of, in bounded memory, so that a text is embedded once however
//! many pages and processes have it.
//!
//! Two generations: what is used moves to the young one; when that is full it becomes the old one, and
//! the old one is dropped. What is dropped is embedded again when it is met again, and so is all of it
//! after a restart.

use std::collections::HashMap;
use std::sync::Arc;

use aosk_abi::Hash;

/// Bytes that both generations together may hold: some 40,000 texts at 384 numbers each.
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// The vectors.
#[derive(Debug)]
pub(crate) struct Vectors {
    young: HashMap<Hash, Arc<[f32]>>,
    old: HashMap<Hash, Arc<[f32]>>,
    young_bytes: usize,
    bytes_max: usize,
}

impl Default for Vectors {
    fn default() -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), young_bytes: 0, bytes_max: BYTES_MAX }
    }
}

impl Vectors {
    /// The vector of the text with this address.
    pub(crate) fn get(&mut self, text: Hash) -> Option<Arc<[f32]>> {
        if let Some(vector) = self.young.get(&text) {
            return Some(vector.clone());
        }
        let vector = self.old.remove(&text)?;
        self.put(text, vector.clone());
        Some(vector)
    }

    /// Keeps the vector of a text.
    pub(crate) fn put(&mut self, text: Hash, vector: Arc<[f32]>) {
        let bytes = size_of_val(vector.as_ref()).saturating_add(size_of::<Hash>());
        if self.young.insert(text, vector).is_none() {
            self.young_bytes = self.young_bytes.saturating_add(bytes);
        }
        if self.young_bytes > self.bytes_max / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(number: u32) -> Hash {
        Hash::of(&number.to_le_bytes())
    }

    #[test]
    fn what_is_used_stays_and_memory_is_bounded() {
        let mut vectors = Vectors { bytes_max: 4_000, ..Vectors::default() };
        for number in 0..1_000 {
            vectors.put(text(number), Arc::new([1.0; 8]));
            assert!(vectors.get(text(0)).is_some(), "it is used all the time");
            let kept = vectors.young.len() + vectors.old.len();
            assert!(kept <= 4_000 / 64 + 2, "{kept} are kept");
        }
        assert_eq!(vectors.get(text(1)), None);
        assert_eq!(vectors.get(text(999)).as_deref(), Some(&[1.0; 8][..]));
    }
}

//! The face of an embedder: from texts to vectors, of which two are near each other when their texts
//! mean much the same.

use aosk_abi::Failure;
use async_trait::async_trait;

/// Most texts of one call. Servers of one's own take them one after the other, so more of them gain
/// nothing and make whoever waits wait longer.
pub const TEXTS_MAX: usize = 32;

/// Most bytes of one text: some two thousand tokens. Few embedders take more than eight thousand, and
/// what a text is about shows in its beginning.
pub const TEXT_BYTES_MAX: usize = 8_192;

/// Most numbers of one vector. Embedders give 384 to 4,096.
pub const VECTOR_MAX: usize = 8_192;

/// An embedder that can be asked.
#[async_trait]
pub trait Embedder: Send + Sync {
    /// Its name: `provider:model`.
    fn name(&self) -> &str;

    /// Asks once for the vectors of texts, in the order of the texts. All vectors that it ever gives
    /// have the same number of numbers, each of them finite.
    ///
    /// There are at most [`TEXTS_MAX`] texts of at most [`TEXT_BYTES_MAX`] bytes, none of them blank.
    /// How long the call may take in all is up to the caller, and so is whether to try again. Dropping
    /// the future closes the connection.
    ///
    /// # Errors
    /// The failure says whether the same call may be made again and when. Nothing in it is secret.
    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, Failure>;
}

/// The beginning of a text that an embedder takes.
#[must_use]
pub fn start_of(text: &str) -> &str {
    text.get(..text.floor_char_boundary(TEXT_BYTES_MAX)).unwrap_or(text)
}

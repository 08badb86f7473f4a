//! Where the ranker's weights come from.
//!
//! The ranker is fitted offline, on conversations with questions and on recorded runs, by
//! `examples/fit.rs`. Nothing here is used by a search.

mod examples;
mod softmax;

pub use examples::{Example, Message, of_conversation, of_run};
pub use softmax::{Settings, fit};

#[cfg(test)]
mod tests;

//! Retrieval over small documents: the pages of an agent's memory.

pub mod analyse;
mod concept;
pub mod date;
pub mod evaluate;
pub mod feature;
pub mod fit;
pub mod index;
mod matches;
pub mod page;
pub mod query;
pub mod rank;
pub mod search;

pub use index::Index;
pub use page::Page;
pub use query::Query;
pub use rank::Weights;
pub use search::{Candidate, Hit};

//! Retrieval over small documents: the pages of an agent's memory.
//!
//! | room | what it holds |
//! |---|---|
//! | [`analyse`] | from a text to the terms that are looked up |
//! | [`date`] | days, and where texts mention them |
//! | [`page`], [`mod@index`] | a page with what is known of it; pages that can be searched |
//! | [`query`], `concept` | what a query asks for, in its own words and in others |
//! | `matches`, [`feature`] | which page holds which term; what speaks for a page |
//! | [`identifier`] | what identifies things in a text |
//! | [`rank`], [`search`], [`budget`] | weights, pages in order, as many as fit |
//! | [`evaluate`], [`fit`] | how good it is, and where the weights come from |
//!
//! No I/O, no clock, no randomness: the same pages and the same query give the same result. There
//! is no model in here either; embeddings are used where the caller has them.

pub mod analyse;
pub mod budget;
mod concept;
pub mod date;
pub mod evaluate;
pub mod feature;
pub mod fit;
pub mod identifier;
pub mod index;
mod matches;
pub mod page;
pub mod query;
pub mod rank;
pub mod search;

pub use date::Day;
pub use index::Index;
pub use page::Page;
pub use query::Query;
pub use rank::{Ranker, Weights};
pub use search::{Candidate, Hit};

//! Durable state: rows, bodies and the journal, behind one trait.
//!
//! | room | what it holds |
//! |---|---|
//! | [`Store`], [`Reader`] | what a store can do: the one face the rest of the kernel sees |
//! | [`memory`] | a store that lasts as long as its handles, for tests and simulation |
//! | [`sqlite`] | the embedded store: one directory, one writer |
//! | [`journal`] | the hash chain over the journal, and the check of it |
//! | [`committer`] | the thread that commits, so that the kernel goes on meanwhile |
//! | [`fault`] | a store that fails when told to |
//!
//! A store knows nothing of what is in a row: it keeps JSON text under typed keys. It never decides
//! anything, and it never says that something is kept before it is.

pub mod committer;
mod error;
pub mod fault;
pub mod journal;
pub mod limits;
pub mod memory;
pub mod sqlite;
mod store;

pub use committer::Committer;
pub use error::StoreError;
pub use fault::{Faults, Faulty};
pub use journal::{Verified, VerifyError, verify};
pub use memory::Memory;
pub use sqlite::Sqlite;
pub use store::{
    Batch, Damage, Head, JournalQuery, ProcessQuery, ProcessRow, Reader, Store, StoredEntry, Which,
};

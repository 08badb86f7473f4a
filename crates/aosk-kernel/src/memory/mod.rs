//! The memory of a process: what of its log is in the model's window, and what leaves it when.
//!
//! The window is to an agent what RAM is to a program. An [`AddressSpace`] is the page table of one
//! process; a [`Replacement`] plans each call: what is evicted, and where the provider is to keep its
//! cache. The plan is carried out with [`AddressSpace::apply`], and what was sent is noted with
//! [`AddressSpace::sent`]. Content is elsewhere, under the handles that pages carry; nothing here
//! reads it.
//!
//! | room | what it holds |
//! |---|---|
//! | `page` | a page, its kind, its residency |
//! | `space` | the page table: static part and log; the order never changes |
//! | `cache` | the rules by which providers cache prefixes |
//! | `arena` | the tasks of a process, and which pages are theirs |
//! | `anchor` | which cache entries of the provider should be alive |
//! | `value` | the chance that a page is needed again, from data |
//! | `learn` | how that table follows what is seen |
//! | `plan` | what a policy sees and what it answers |
//! | `policy` | the policies |
//!
//! Every change before the end of the log makes the provider read the rest anew, once. So evictions
//! are rare, in batches, and weighed against that price.

mod anchor;
mod arena;
mod cache;
mod learn;
mod page;
mod plan;
mod policy;
mod space;
mod value;

pub use anchor::Anchors;
pub use aosk_abi::CutCause;
pub use arena::Arenas;
pub use cache::{CacheRules, Matching, rules};
pub use learn::Learner;
pub use page::{ArenaId, BlockId, GroupId, NewPage, Page, PageId, PageKind, Residency};
pub use plan::{Cut, Eviction, Memo, Plan, Prefer, Replacement, Situation};
pub use policy::{DEFAULT, Priced, Scan, Setting, Unit, emergency, replacement};
pub(crate) use policy::{Ended, close_what_pays, keep_before_tasks, summarising};
pub use space::{AddressSpace, Kept, Leave, MemoryError, Prefix, Shown};
pub use value::{Class, Feature, Need, NeedTable, Needs};
#[cfg(test)]
mod tests;

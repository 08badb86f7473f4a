//! Memory as content: what the page tables of the core point to.
//!
//! The core decides which pages are shown and sees none of them. Here messages are cut into pages, what
//! an answer used is found, and what is shown is made into messages again.
//!
//! | room | what it does |
//! |---|---|
//! | `paging` | from a message to its pages, with their tokens |
//! | `carried` | which page an identifier was last seen in, and so which pages an answer used |
//! | `render` | from what is shown to messages, byte for byte the same for the same frames |
//! | `stub` | what stands in the place of pages that are not shown |
//! | `summary` | what a model is asked that makes a summary |
//! | `contents` | all that is known of one process, and what the core is told of it |
//! | `log` | a log as content: what is shown of it, and what comes back |
//! | `entries`, `recollect` | a log as it is read beside the event loop, and its pages ready to be searched |
//! | `aside`, `background` | the threads for that, and the work that is under way on them |
//! | `embedding`, `vectors` | the embedder at work, and what it gave |
//! | `found` | what the model is told of what was found, or gets back unasked |

mod aside;
mod background;
mod carried;
mod contents;
mod embedding;
mod entries;
mod found;
mod log;
mod paging;
mod recollect;
mod render;
mod stub;
mod summary;
mod vectors;

pub(crate) use background::{Background, Done, LOOKED_AT, Searched, Waiting, noted};
pub(crate) use carried::Carried;
pub(crate) use contents::{Contents, Told, calls_back};
pub(crate) use embedding::Embedding;
pub(crate) use entries::Entry;
pub(crate) use found::{FOUND, FOUND_MAX, recalled_message, told, unasked};
pub(crate) use log::{Log, at, brought_back};
pub(crate) use paging::text_of;
pub(crate) use recollect::Recollection;
pub(crate) use render::{Shown, render};

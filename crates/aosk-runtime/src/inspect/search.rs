//! Searching the pages of one process in a store: what its own `search_memory` finds by words.
//!
//! The index is made for one search. A kernel that runs keeps one of each process for its own use,
//! with vectors if it has an embedder; this one asks nothing of it.

use aosk_abi::{Error, PageKind, Pid};
use aosk_kernel::memory::Residency;
use aosk_store::Reader;

use super::pages::{KeptPage, page_table};
use crate::memory::{Entry, FOUND_MAX, LOOKED_AT, Recollection};

/// The most pages that a search tells of.
pub const RESULTS_MAX: usize = FOUND_MAX;

/// Pages that are looked through, the newest of a log. An index of so many takes a fifth of a second.
pub const PAGES_MAX: usize = 10_000;

/// What a search found.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// The pages that fit, the best first.
    pub found: Vec<FoundPage>,
    /// Pages that were looked through.
    pub looked_at: usize,
    /// Whether these are all there are.
    pub complete: bool,
}

/// A page that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundPage {
    /// The page.
    pub page: KeptPage,
    /// How its text begins.
    pub begins: String,
}

/// Searches the log of a process for pages that hold words of the query, or mean the same.
///
/// # Errors
/// If the store cannot be read, or what it has of the pages is not what was written.
pub fn search(reader: &dyn Reader, pid: Pid, query: &str, limit: usize) -> Result<Search, Error> {
    let table = page_table(reader, pid)?;
    let own =
        |page: &&KeptPage| page.entry.kept.copy_of.is_none() && page.entry.kind != PageKind::Tools;
    let pages: Vec<&KeptPage> = table.pages.iter().filter(own).collect();
    let skipped = pages.len().saturating_sub(PAGES_MAX);
    let entries = pages.iter().skip(skipped).map(|page| Entry {
        id: page.page,
        kind: page.entry.kind,
        message: page.body,
        range: page.text,
    });
    let recollection = Recollection::default();
    recollection.hand_over(entries.collect());
    while recollection.read_on(reader, /*vectors*/ false)? {}
    let mut found = Vec::new();
    for one in recollection.search(query, None, LOOKED_AT) {
        let page = u32::try_from(one.hit.id).ok().and_then(|id| {
            // The first has the number 1.
            table.pages.get(usize::try_from(id).ok()?.checked_sub(1)?)
        });
        let Some(page) = page else { continue };
        let is_gone = page.entry.kept.residency == Residency::Forgotten;
        if is_gone || one.hit.cover <= 0.0 || found.len() >= limit.min(RESULTS_MAX) {
            continue;
        }
        found.push(FoundPage { page: *page, begins: one.begins.into() });
    }
    Ok(Search { found, looked_at: pages.len() - skipped, complete: skipped == 0 })
}

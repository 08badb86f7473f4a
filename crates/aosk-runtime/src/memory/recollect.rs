//! Search in a process's own log, and what is brought back unasked.
//!
//! An index is made when it is first needed and lives in memory only: the log is the truth, and reading
//! ten thousand pages takes a fifth of a second.

use aosk_abi::{Content, Error, ErrorCode, Message, PageId, PageKind, Part, Tokens};
use aosk_kernel::Process;
use aosk_kernel::memory::Residency;
use aosk_search::{Hit, Index, Page, Query, Ranker};
use serde_json::json;

use super::paging::{part, spoken, text_of};
use crate::bodies::Bodies;

/// Pages that a search tells of if the model asks for no number, and at most.
pub(crate) const FOUND: usize = 8;
pub(crate) const FOUND_MAX: usize = 32;

/// Characters that are told of each.
const TOLD_CHARS: usize = 240;

/// What is brought back unasked holds so much of what was said, rare words counting more.
const COVER: f32 = 0.5;

/// Pages that are brought back unasked at most, and what they may take: a small part of a large window,
/// or so many tokens, but never more than a larger part.
const UNASKED_MAX: usize = 4;
const UNASKED_SHARE: u64 = 32;
const UNASKED_TOKENS: u64 = 1_000;
const UNASKED_SHARE_MAX: u64 = 8;

/// Bytes of what was said that can call pages back. What is longer brings along what it needs.
const SAID_BYTES_MAX: usize = 4_000;

/// The index of one process.
#[derive(Debug, Default)]
pub(crate) struct Recollection {
    index: Index,
    /// The first page that the index does not have.
    next: u32,
}

impl Recollection {
    /// Takes in the pages that are new.
    fn catch_up(&mut self, process: &Process, bodies: &mut Bodies) -> Result<(), Error> {
        let memory = &process.memory;
        let mut last: Option<(u32, String)> = None;
        for id in (self.next..memory.space().pages_u32()).map(PageId) {
            self.next = id.0.saturating_add(1);
            let Some(page) = memory.space().page(id) else { continue };
            // Copies are found by what they are copies of; nobody searches for descriptions of tools.
            if page.original != id || page.kind == PageKind::Tools {
                continue;
            }
            let said = match last.take() {
                Some((source, said)) if source == page.source.0 => said,
                Some(_) | None => {
                    let at = usize::try_from(page.source.0).unwrap_or(usize::MAX);
                    let hash = process.pages.get(at).map(|page| page.hash);
                    let lost = || {
                        let text = format!("searching page {}: the log ends before it", id.0);
                        Error::new(ErrorCode::StoreCorrupt, text)
                    };
                    spoken(bodies.get(hash.ok_or_else(lost)?)?.message())
                }
            };
            let text = part(&said, memory.text_of(id, page)).unwrap_or_default();
            self.index.add(&Page {
                id: u64::from(id.0),
                text,
                kind: Some(page.kind.word()),
                order: u64::from(id.0),
                ..Page::default()
            });
            last = Some((page.source.0, said));
        }
        Ok(())
    }

    fn hits(&self, text: &str) -> Vec<Hit> {
        let query = Query { text, ..Query::default() };
        self.index.search(&query, &Ranker::fitted(), FOUND_MAX * 2)
    }

    /// What a search finds, as the model is told: JSON text.
    pub(crate) fn search(
        &mut self,
        process: &Process,
        bodies: &mut Bodies,
        query: &str,
        limit: usize,
    ) -> Result<String, Error> {
        self.catch_up(process, bodies)?;
        let mut found = Vec::new();
        for hit in self.hits(query) {
            let Some((id, page)) = page_of(process, &hit) else { continue };
            if page.residency == Residency::Forgotten || hit.cover <= 0.0 {
                continue;
            }
            let text = content(process, bodies, id)?;
            let told: String = text.chars().take(TOLD_CHARS).collect();
            found.push(json!({
                "page": id.0,
                "kind": page.kind.word(),
                "tokens": page.tokens,
                "in_window": process.memory.is_shown(id, &page),
                "begins": told,
            }));
            if found.len() >= limit {
                break;
            }
        }
        Ok(json!({ "found": found }).to_string())
    }

    /// Pages that are not in the window and that what was just said is about, as a message to append;
    /// none if there are none.
    pub(crate) fn unasked(
        &mut self,
        process: &Process,
        bodies: &mut Bodies,
        said: &str,
    ) -> Result<Option<Message>, Error> {
        let Some(window) = process.memory.window().filter(|_| said.len() <= SAID_BYTES_MAX) else {
            return Ok(None);
        };
        self.catch_up(process, bodies)?;
        let most = window.0 / UNASKED_SHARE_MAX;
        let mut left = (window.0 / UNASKED_SHARE).max(UNASKED_TOKENS).min(most);
        let mut pages = Vec::new();
        for hit in self.hits(said).into_iter().filter(|hit| hit.cover >= COVER) {
            let Some((id, page)) = page_of(process, &hit) else { continue };
            let is_away = match page.residency {
                Residency::Stub | Residency::Evicted | Residency::Closed => true,
                Residency::Resident | Residency::Forgotten => false,
            };
            if !is_away || process.memory.is_shown(id, &page) || pages.len() >= UNASKED_MAX {
                continue;
            }
            let Some(rest) = left.checked_sub(u64::from(page.tokens)) else { continue };
            left = rest;
            pages.push((id, content(process, bodies, id)?));
        }
        // As they stand in the log.
        pages.sort_by_key(|(id, _)| *id);
        let why = "brought back, as it may be about what was just said";
        let content = Content::Parts(parts(&pages, why));
        Ok((!pages.is_empty()).then_some(Message::User { content, name: None }))
    }
}

fn page_of(process: &Process, hit: &Hit) -> Option<(PageId, aosk_kernel::memory::Page)> {
    let id = PageId(u32::try_from(hit.id).ok()?);
    Some((id, *process.memory.space().page(id)?))
}

/// The text of a page of a process.
fn content(process: &Process, bodies: &mut Bodies, id: PageId) -> Result<String, Error> {
    let lost = || {
        let text = format!("reading page {}: it is not in the log", id.0);
        Error::new(ErrorCode::StoreCorrupt, text)
    };
    let page = process.memory.space().page(id).ok_or_else(lost)?;
    let at = usize::try_from(page.source.0).unwrap_or(usize::MAX);
    let hash = process.pages.get(at).map(|page| page.hash).ok_or_else(lost)?;
    let body = bodies.get(hash)?;
    text_of(body.message(), process.memory.text_of(id, page)).ok_or_else(lost)
}

/// The result of a recall: pages with their text; none for those that are in the window.
pub(crate) fn recalled_message(
    use_id: String,
    tool: String,
    pages: &[(PageId, Option<String>)],
) -> Message {
    let away: Vec<(PageId, String)> =
        pages.iter().filter_map(|(id, text)| Some((*id, text.clone()?))).collect();
    let mut content = parts(&away, "as it was");
    for (id, _) in pages.iter().filter(|(_, text)| text.is_none()) {
        content.push(Part::Text { text: format!("[page {} is in the window already]\n", id.0) });
    }
    Message::Tool {
        tool_call_id: use_id,
        name: Some(tool),
        content: Content::Parts(content),
        is_error: false,
    }
}

fn parts(pages: &[(PageId, String)], how: &str) -> Vec<Part> {
    let mut parts = Vec::with_capacity(pages.len().saturating_mul(2));
    for (at, (page, text)) in pages.iter().enumerate() {
        let gap = if at > 0 { "\n" } else { "" };
        parts.push(Part::Text { text: format!("{gap}[page {} {how}]\n", page.0) });
        parts.push(Part::Page { page: *page, text: text.clone() });
    }
    parts
}

/// Whether a process has pages that are not shown.
pub(crate) fn has_evicted(process: &Process) -> bool {
    let space = process.memory.space();
    Tokens(u64::from(space.pages_u32())) > Tokens(space.entries() as u64)
        || space.shown().any(|one| one.is_stub())
}

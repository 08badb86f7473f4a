//! From what was found in a log to what the model is told of it, as its window stands then.

use aosk_abi::{Content, Error, ErrorCode, Message, PageId, Part, Tokens};
use aosk_kernel::Process;
use aosk_kernel::memory::{Page, Residency};
use serde_json::json;

use super::paging::text_of;
use super::recollect::Found;
use crate::bodies::Bodies;

/// Pages that a search tells of if the model asks for no number, and at most.
pub(crate) const FOUND: usize = 8;
pub(crate) const FOUND_MAX: usize = 32;

/// A page without a word of the query is told of if its vector is so near to the query's, where 1 is
/// the nearest of all.
const SIMILAR: f32 = 0.5;

/// What is brought back unasked holds so much of what was said, rare words counting more.
const COVER: f32 = 0.5;

/// Pages that are brought back unasked at most, and what they may take: a small part of a large window,
/// or so many tokens, but never more than a larger part.
const UNASKED_MAX: usize = 4;
const UNASKED_SHARE: u64 = 32;
const UNASKED_TOKENS: u64 = 1_000;
const UNASKED_SHARE_MAX: u64 = 8;

/// What a search found, as the model is told: JSON text. `note` says what was missing from the search.
pub(crate) fn told(process: &Process, found: &[Found], limit: usize, note: Option<&str>) -> String {
    let mut pages = Vec::new();
    for Found { hit, begins } in found {
        let Some((id, page)) = page_of(process, hit.id) else { continue };
        let fits = hit.cover > 0.0 || hit.similar >= SIMILAR;
        if page.residency == Residency::Forgotten || !fits {
            continue;
        }
        pages.push(json!({
            "page": id.0,
            "kind": page.kind.word(),
            "tokens": page.tokens,
            "in_window": process.memory.is_shown(id, &page),
            "begins": begins,
        }));
        if pages.len() >= limit {
            break;
        }
    }
    let mut told = json!({ "found": pages });
    if let (Some(told), Some(note)) = (told.as_object_mut(), note) {
        told.insert("note".to_owned(), note.into());
    }
    told.to_string()
}

/// Pages that are not in the window and that what was just said is about, as a message to append; none
/// if there are none.
pub(crate) fn unasked(
    process: &Process,
    bodies: &mut Bodies,
    found: &[Found],
) -> Result<Option<Message>, Error> {
    let Some(window) = process.memory.window() else { return Ok(None) };
    let most = window.0 / UNASKED_SHARE_MAX;
    let mut left = (window.0 / UNASKED_SHARE).max(UNASKED_TOKENS).min(most);
    let mut pages = Vec::new();
    for Found { hit, .. } in found.iter().filter(|found| found.hit.cover >= COVER) {
        let Some((id, page)) = page_of(process, hit.id) else { continue };
        let is_away = match page.residency {
            Residency::Stub | Residency::Evicted | Residency::Closed => true,
            Residency::Resident | Residency::Forgotten => false,
        };
        if !is_away || process.memory.is_shown(id, &page) || pages.len() >= UNASKED_MAX {
            continue;
        }
        let Some(rest) = left.checked_sub(u64::from(page.tokens)) else { continue };
        left = rest;
        pages.push((id, content(process, bodies, id, &page)?));
    }
    // As they stand in the log.
    pages.sort_by_key(|(id, _)| *id);
    let content =
        Content::Parts(parts(&pages, "brought back, as it may be about what was just said"));
    Ok((!pages.is_empty()).then_some(Message::User { content, name: None }))
}

fn page_of(process: &Process, id: u64) -> Option<(PageId, Page)> {
    let id = PageId(u32::try_from(id).ok()?);
    Some((id, *process.memory.space().page(id)?))
}

/// The text of a page of a process.
fn content(
    process: &Process,
    bodies: &mut Bodies,
    id: PageId,
    page: &Page,
) -> Result<String, Error> {
    let lost = || {
        let text = format!("reading page {}: it is not in the log", id.0);
        Error::new(ErrorCode::StoreCorrupt, text)
    };
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

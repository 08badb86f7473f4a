//! From a message to the pages that it becomes.
//!
//! What the model said is one page, since its tool calls must not be torn, and so are instructions.
//! What tools return and people say is cut into pages of a few thousand tokens, at natural borders. A
//! page that was brought back is a page again.

use aosk_abi::{Content, Message, MessageIndex, PageKind, Part, Piece, TEXT_END, Tokens, limits};
use aosk_model::Tokenizer;

/// Tokens that a page has at most, and in a small window.
pub(crate) const PAGE_TOKENS_MAX: u64 = 4_000;
const PAGE_TOKENS_MIN: u64 = 400;

/// The part of a window that a page takes at most.
const PAGE_SHARE: u64 = 8;

/// The tokens that a page has at most where so many may be shown.
pub(crate) fn page_tokens(window: Option<Tokens>) -> u64 {
    window.map_or(PAGE_TOKENS_MAX, |window| {
        (window.0 / PAGE_SHARE).clamp(PAGE_TOKENS_MIN, PAGE_TOKENS_MAX)
    })
}

/// The pages of a message, the one of this number in its log, of so many tokens at most.
pub(crate) fn pieces(
    message: &Message,
    source: MessageIndex,
    count: Tokenizer,
    most: u64,
) -> Vec<Piece> {
    let answers = matches!(message, Message::Tool { .. });
    let piece = |kind, tokens: u64, end: u32| Piece {
        source,
        kind,
        tokens: u32::try_from(tokens).unwrap_or(u32::MAX),
        end,
        answers,
        copy_of: None,
    };
    let whole = count.of_message(message).0;
    let (kind, content) = match message {
        Message::System { .. } => return vec![piece(PageKind::System, whole, TEXT_END)],
        Message::Assistant { .. } => return vec![piece(PageKind::Assistant, whole, TEXT_END)],
        Message::User { content, .. } => (PageKind::User, content),
        Message::Tool { content, .. } => (PageKind::ToolResult, content),
    };
    if let Content::Parts(parts) = content {
        if parts.iter().any(|part| matches!(part, Part::Page { .. })) {
            return copies(parts, piece(PageKind::Recalled, 0, 0), whole, count);
        }
        // Pictures and the like are no text that could be cut.
        if parts.iter().any(|part| matches!(part, Part::Image { .. } | Part::Other { .. })) {
            return vec![piece(kind, whole, TEXT_END)];
        }
    }
    if whole <= most {
        return vec![piece(kind, whole, TEXT_END)];
    }
    let text = content.text();
    // Somewhat less is aimed at, so that the last page is no crumb.
    // No message has more pages than the page table takes of one.
    let aim = (most / 4 * 3).max(whole / u64::from(limits::PIECES_MAX / 2));
    let ends = cut(&text, whole, aim);
    let mut from = 0;
    let mut pieces: Vec<Piece> = Vec::with_capacity(ends.len());
    for end in ends {
        let tokens = count.of_text(text.get(from..end).unwrap_or_default()).0;
        let at = u32::try_from(end).unwrap_or(TEXT_END);
        pieces.push(piece(kind, tokens, if end == text.len() { TEXT_END } else { at }));
        from = end;
    }
    // What stands around the message goes with its first page.
    let frame = whole.saturating_sub(count.of_text(&text).0);
    if let Some(first) = pieces.first_mut() {
        first.tokens = first.tokens.saturating_add(u32::try_from(frame).unwrap_or(u32::MAX));
    }
    pieces
}

/// A message of pages that were brought back: each a page again, with what stands before it.
fn copies(parts: &[Part], blank: Piece, whole: u64, count: Tokenizer) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let (mut end, mut pending, mut counted) = (0_usize, 0_u64, 0_u64);
    for part in parts {
        let (text, page) = match part {
            Part::Text { text } => (text, None),
            Part::Page { text, page } => (text, Some(*page)),
            Part::Image { .. } | Part::Other { .. } => continue,
        };
        end = end.saturating_add(text.len());
        pending = pending.saturating_add(count.of_text(text).0);
        let Some(page) = page else { continue };
        let tokens = std::mem::take(&mut pending);
        counted = counted.saturating_add(tokens);
        pieces.push(Piece {
            tokens: u32::try_from(tokens).unwrap_or(u32::MAX),
            end: u32::try_from(end).unwrap_or(TEXT_END),
            copy_of: Some(page),
            ..blank
        });
    }
    if let Some(last) = pieces.last_mut() {
        last.end = TEXT_END;
        let rest = u32::try_from(whole.saturating_sub(counted)).unwrap_or(u32::MAX);
        last.tokens = last.tokens.saturating_add(rest);
    }
    pieces
}

/// Where the pages of a text of so many tokens end, if each is to have about `aim` of them, in bytes; the last with the text.
fn cut(text: &str, tokens: u64, aim: u64) -> Vec<usize> {
    let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
    let target = bytes.saturating_mul(aim) / tokens.max(1);
    let target = usize::try_from(target).unwrap_or(usize::MAX).max(1);
    let mut ends = Vec::new();
    let mut from = 0;
    while text.len().saturating_sub(from) > target.saturating_add(target / 3) {
        let end = border(text, from, from.saturating_add(target));
        if end <= from {
            break;
        }
        ends.push(end);
        from = end;
    }
    ends.push(text.len());
    ends
}

/// The last natural border of a text before `to`, within the last third: the end of a paragraph, else
/// of a line, of a sentence, of a word; else anywhere between characters.
fn border(text: &str, from: usize, to: usize) -> usize {
    let to = text.floor_char_boundary(to);
    let low = text.ceil_char_boundary(to.saturating_sub(to.saturating_sub(from) / 3));
    let Some(part) = text.get(low..to) else { return to };
    for border in ["\n\n", "\n", "。", ". ", " "] {
        if let Some(at) = part.rfind(border) {
            return low.saturating_add(at).saturating_add(border.len());
        }
    }
    if to > from { to } else { text.ceil_char_boundary(from.saturating_add(1)) }
}

/// The part of a message's text between two places in it, in bytes; none if they are not between
/// characters.
pub(crate) fn text_of(message: &Message, range: (u32, u32)) -> Option<String> {
    part(&spoken(message), range).map(str::to_owned)
}

/// The same of a text that [`spoken`] made.
pub(crate) fn part(text: &str, (from, to): (u32, u32)) -> Option<&str> {
    let at = |place: u32| usize::try_from(place).unwrap_or(usize::MAX).min(text.len());
    text.get(at(from)..at(to))
}

/// The text of a message, and the tool calls that it makes. Made once for all of its pages: the text
/// may have megabytes.
pub(crate) fn spoken(message: &Message) -> String {
    let mut text = message.text();
    for call in message.tool_calls() {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&format!("{}({})", call.name, call.arguments));
    }
    text
}

#[cfg(test)]
mod tests;

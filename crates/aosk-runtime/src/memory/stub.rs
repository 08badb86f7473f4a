//! What stands in the place of pages that are not shown: a line that says what is there and how it
//! comes back. It depends on the frame and the message alone, so it is the same in every call.

use aosk_abi::{Form, Frame, Message};
use aosk_model::Tokenizer;

use super::paging::text_of;

/// Tokens that the quotation in a stub has at most.
const QUOTED_TOKENS: u64 = 5;

/// Characters that are looked at for it.
const QUOTED_CHARS: usize = 60;

/// Tokens that a line of a summary has at most.
const LINE_TOKENS: u64 = 40;
const LINE_CHARS: usize = 200;

/// The line of a stub. `message` is the one that holds the first of the pages.
pub(crate) fn stub(frame: &Frame, message: &Message) -> String {
    let page = frame.page.0;
    let kind = frame.kind.word();
    let quoted = quote(frame, message, QUOTED_CHARS, QUOTED_TOKENS);
    match frame.form {
        Form::Content => String::new(),
        Form::Stub { pages: 0 | 1, tokens } => {
            format!("[page {page} left out: {kind}, {tokens} tokens{quoted}]")
        }
        Form::Stub { pages, .. } | Form::Summary { pages, .. } => {
            let more = pages.saturating_sub(1);
            format!("[page {page} and {more} more left out: {kind}{quoted}]")
        }
    }
}

/// A summary of pages without a model: a line for each, as many as fit.
pub(crate) fn summary(frame: &Frame, pages: &[(Frame, &Message)]) -> String {
    let (Form::Summary { tokens, .. } | Form::Stub { tokens, .. }) = frame.form else {
        return String::new();
    };
    let mut text =
        format!("[pages {} and {} more in short]", frame.page.0, pages.len().saturating_sub(1));
    // What stands around a message counts too.
    let most = u64::from(tokens).saturating_sub(40);
    let mut left = most.saturating_sub(Tokenizer::ESTIMATE.of_text(&text).0);
    for (frame, message) in pages {
        let quoted = quote(frame, message, LINE_CHARS, LINE_TOKENS);
        if quoted.is_empty() {
            continue;
        }
        let line = format!("\n{} {}{quoted}", frame.page.0, frame.kind.word());
        let tokens = Tokenizer::ESTIMATE.of_text(&line).0.saturating_add(1);
        let Some(rest) = left.checked_sub(tokens) else { break };
        left = rest;
        text.push_str(&line);
    }
    text
}

/// A summary that a model made, as much of it as may stand there.
pub(crate) fn told(frame: &Frame, text: &str) -> String {
    let (Form::Summary { pages, tokens, .. } | Form::Stub { pages, tokens }) = frame.form else {
        return String::new();
    };
    let more = pages.saturating_sub(1);
    let mut shown = format!("[page {} and {more} more left out; in short:]\n", frame.page.0);
    // What stands around a message counts too.
    let most = u64::from(tokens).saturating_sub(24);
    let head = shown.len();
    shown.extend(text.trim().chars().filter(|c| !c.is_control() || *c == '\n'));
    while shown.len() > head && Tokenizer::ESTIMATE.of_text(&shown).0 > most {
        // A twentieth at a time, so that a long text is not counted a thousand times.
        let body = shown.len().saturating_sub(head);
        let keep = shown.len().saturating_sub(body.div_ceil(20).max(1));
        shown.truncate(shown.floor_char_boundary(keep));
    }
    shown
}

/// The beginning of a page in quotation marks, after a colon; nothing if it says nothing.
fn quote(frame: &Frame, message: &Message, chars: usize, tokens: u64) -> String {
    let text = text_of(message, frame.text).unwrap_or_default();
    let words = text.split_whitespace().take(chars);
    let mut quoted = String::new();
    for word in words {
        let before = quoted.len();
        if before > 0 {
            quoted.push(' ');
        }
        quoted.extend(word.chars().filter(|c| !c.is_control()).take(chars));
        let too_long =
            quoted.chars().count() > chars || Tokenizer::ESTIMATE.of_text(&quoted).0 > tokens;
        if too_long {
            shorten(&mut quoted, before, chars, tokens);
            quoted.push('…');
            break;
        }
    }
    if quoted.is_empty() { quoted } else { format!(": “{quoted}”") }
}

/// Takes characters off until the rest fits, no more than back to `least` unless even that is too long.
fn shorten(text: &mut String, least: usize, chars: usize, tokens: u64) {
    if least > 0 {
        text.truncate(least);
        return;
    }
    // A single long word, as paths and Chinese sentences are.
    while text.chars().count() > chars || Tokenizer::ESTIMATE.of_text(text).0 > tokens {
        if text.pop().is_none() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;

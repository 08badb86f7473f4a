//! Recorded conversations as a history: messages in pages of at most 512 tokens, with what identifies
//! things in them.
//!
//! An identifier is a path, a number, a snake or camel word, an e-mail, a dotted name, or a rare
//! word; it has at least four characters and is not too common in the history.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aosk::abi::Message;
use aosk::model::{Record, Tokenizer};
use aosk::search::identifier::{identifiers, is_plain};

use super::pages::{History, Role, Talk, TracePage};

/// Tokens of a page.
const PAGE_TOKENS_MAX: u64 = 512;

/// A plain word is rare if it occurs in so many pages; an identifier is too common if it occurs in
/// more than one page of so many, and in more than a few.
const RARE_PAGES_MAX: usize = 6;
const COMMON_SHARE: usize = 20;
const COMMON_PAGES_MIN: usize = 40;

/// What is added to the pages of a message for its role and framing.
const MESSAGE_TOKENS: u64 = 3;

/// A page before its identifiers are numbered.
struct Draft {
    page: TracePage,
    words: BTreeSet<String>,
}

/// One history of all conversations, one task each; or a history of each.
pub(crate) fn histories(records: &[Record], chain: bool) -> Vec<History> {
    if chain {
        return vec![history(records)];
    }
    records.iter().map(|record| history(std::slice::from_ref(record))).collect()
}

fn history(records: &[Record]) -> History {
    let mut drafts: Vec<Draft> = Vec::new();
    let mut fixed_words = BTreeSet::new();
    let mut fixed_text: Option<String> = None;
    let mut talk = Talk::default();
    let (mut fixed, mut message, mut group) = (0, 0, 0);
    // The static part of a chain is that of its first conversation; so are the tools.
    if let Some(offered) = records.iter().map(|one| &one.tools).find(|tools| !tools.is_empty()) {
        talk.tools = tokenizer().of_tools(offered);
        fixed += talk.tools.0;
        for tool in offered {
            fixed_words.extend(words(&tool.name));
            fixed_words.extend(words(&tool.description));
            fixed_words.extend(words(&tool.parameters.to_string()));
        }
    }
    for (task, record) in (0_u32..).zip(records) {
        let times = record.times.iter().copied().chain(std::iter::repeat(None));
        for (one, time) in record.messages.iter().zip(times) {
            message += 1;
            let time = time.map(|time| Duration::from_millis(time.0).as_secs_f64());
            let text = text(one);
            let role = match one {
                Message::System { .. } => {
                    if fixed_text.is_none() {
                        fixed += count(&text);
                        fixed_words.extend(words(&text));
                        fixed_text = Some(text);
                        talk.instructions = Some(one.clone());
                        continue;
                    }
                    if fixed_text.as_ref() == Some(&text) {
                        continue;
                    }
                    Role::User
                }
                Message::User { .. } => Role::User,
                Message::Assistant { .. } => Role::Assistant,
                Message::Tool { .. } => Role::Tool,
            };
            talk.messages.insert(message, one.clone());
            // Results stay or go with the calls before them.
            if role != Role::Tool {
                group += 1;
            }
            for (at, piece) in pieces(&text).into_iter().enumerate() {
                let frame = if at == 0 { MESSAGE_TOKENS } else { 0 };
                let tokens = u32::try_from(count(piece) + frame).unwrap_or(u32::MAX);
                let page = TracePage { role, tokens, message, task, ids: Vec::new(), time, group };
                drafts.push(Draft { page, words: words(piece) });
            }
        }
    }
    number(&drafts, &fixed_words, u32::try_from(fixed).unwrap_or(u32::MAX), talk)
}

/// Numbers the identifiers, and leaves out what tells nothing.
fn number(drafts: &[Draft], fixed_words: &BTreeSet<String>, fixed: u32, mut talk: Talk) -> History {
    let mut pages_with: BTreeMap<&str, usize> = BTreeMap::new();
    for word in drafts.iter().flat_map(|draft| &draft.words) {
        *pages_with.entry(word).or_default() += 1;
    }
    let common = (drafts.len() / COMMON_SHARE).max(COMMON_PAGES_MIN);
    let mut numbers: BTreeMap<&str, u32> = BTreeMap::new();
    for (word, pages) in &pages_with {
        let most = if is_plain(word) { RARE_PAGES_MAX } else { common };
        if *pages <= most && !fixed_words.contains(*word) {
            let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
            numbers.insert(word, next);
        }
    }
    let ids = |draft: &Draft| {
        draft.words.iter().filter_map(|word| numbers.get(word.as_str()).copied()).collect()
    };
    let pages: Vec<TracePage> =
        drafts.iter().map(|draft| TracePage { ids: ids(draft), ..draft.page.clone() }).collect();
    talk.numbers = numbers.into_iter().map(|(word, number)| (word.to_owned(), number)).collect();
    History { fixed, pages, talk: Some(talk), counted: None }
}

/// All that a message says, its tool calls included.
fn text(message: &Message) -> String {
    let mut text = message.text();
    for call in message.tool_calls() {
        text.push('\n');
        text.push_str(&call.name);
        text.push('\n');
        text.push_str(&call.arguments);
    }
    text
}

/// The model whose tokens are counted: the vocabulary of OpenAI's models, whoever made the conversation.
const COUNTED_AS: &str = "gpt-4o";

/// What counts the tokens.
pub(crate) fn tokenizer() -> Tokenizer {
    Tokenizer::of_model(COUNTED_AS)
}

/// The tokens of a text.
fn count(text: &str) -> u64 {
    tokenizer().of_text(text).0.max(1)
}

/// The text in pieces of about a page at most, cut at ends of lines where there are any.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut from, mut end, mut held) = (0, 0, 0);
    for line in text.split_inclusive('\n').flat_map(halves) {
        let tokens = count(line);
        if held + tokens > PAGE_TOKENS_MAX && end > from {
            pieces.extend(text.get(from..end));
            (from, held) = (end, 0);
        }
        end += line.len();
        held += tokens;
    }
    pieces.extend(text.get(from..end).filter(|last| !last.is_empty() || pieces.is_empty()));
    pieces
}

/// Bytes of a line that is taken whole. A token has more than a byte, but for rare scripts.
const LINE_BYTES_MAX: usize = 1_024;

/// A line in parts that are no longer than a page.
fn halves(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let most = rest.floor_char_boundary(LINE_BYTES_MAX);
        // What identifies something is not torn, or both halves would be identifiers of nothing.
        let part = rest.get(..most).filter(|_| most < rest.len());
        let end = part.and_then(|part| part.rfind(' ')).map_or(most, |space| space + 1);
        let (part, after) = rest.split_at(end);
        rest = after;
        Some(part)
    })
}

/// What could be identifiers in a text.
fn words(text: &str) -> BTreeSet<String> {
    identifiers(text).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;

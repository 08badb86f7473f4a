//! Which messages end in a breakpoint of the prefix cache, and how one is written.
//!
//! A text that is marked becomes a list of one part. The model reads the same tokens either way, and
//! it is tokens that providers compare, so a mark that has moved on costs nothing.

use std::collections::BTreeSet;

use aosk_abi::{Content, Message, Part};
use serde::Serialize;

use super::Breakpoints;
use crate::driver::Request;

/// Breakpoints that providers take in one request.
const MARKS_MAX: usize = 4;

/// A breakpoint as a field of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mark {
    PromptCacheBreakpoint { mode: &'static str },
    CacheControl { r#type: &'static str },
}

impl Mark {
    /// How a breakpoint is written.
    pub(super) fn of(breakpoints: Breakpoints) -> Option<Self> {
        match breakpoints {
            Breakpoints::Nowhere => None,
            Breakpoints::PromptCache => Some(Self::PromptCacheBreakpoint { mode: "explicit" }),
            Breakpoints::CacheControl => Some(Self::CacheControl { r#type: "ephemeral" }),
        }
    }
}

/// The places of the messages to mark: those asked for or, where one cannot carry a mark, the
/// nearest before it that can.
pub(super) fn places(request: &Request, breakpoints: Breakpoints) -> BTreeSet<usize> {
    if breakpoints == Breakpoints::Nowhere {
        return BTreeSet::new();
    }
    let nearest = request.cache.breakpoints.iter().filter_map(|&at| {
        let upto = request.messages.get(..=at)?;
        upto.iter().rposition(|body| can_carry(body.message()))
    });
    let all: BTreeSet<usize> = nearest.collect();
    all.into_iter().rev().take(MARKS_MAX).collect()
}

/// Whether the message has a text that can be marked. An answer that only calls tools has none.
fn can_carry(message: &Message) -> bool {
    let content = match message {
        Message::System { content }
        | Message::User { content, name: _ }
        | Message::Tool { tool_call_id: _, name: _, content, is_error: _ } => Some(content),
        Message::Assistant { content, reasoning: _, tool_calls: _ } => content.as_ref(),
    };
    match content {
        Some(Content::Text(text)) => !text.is_empty(),
        Some(Content::Parts(parts)) => parts.iter().any(is_markable),
        None => false,
    }
}

/// Whether the part can carry a mark.
pub(super) fn is_markable(part: &Part) -> bool {
    match part {
        Part::Text { text } | Part::Page { text, .. } => !text.is_empty(),
        Part::Image { .. } | Part::Other { .. } => false,
    }
}

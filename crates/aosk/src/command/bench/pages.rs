//! A history as pages: what is replayed.
//!
//! The file form has no text: `{"static": tokens, "pages": [{"r", "n", "g", "k", "ids"}]}`, where `r` is u
//! (user), a (assistant) or t (tool result), `n` tokens, `g` the message, `k` the task, and `ids` the
//! identifiers that the page carries. `tm`, if there, is the time of a message in seconds.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use aosk::abi::{Error, ErrorCode, Message, Tokens};
use aosk::kernel::memory::NeedTable;
use serde::Deserialize;

use super::table;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Role {
    #[serde(rename = "u")]
    User,
    #[serde(rename = "a")]
    Assistant,
    #[serde(rename = "t")]
    Tool,
}

/// One page of a history.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TracePage {
    #[serde(rename = "r")]
    pub(crate) role: Role,
    #[serde(rename = "n")]
    pub(crate) tokens: u32,
    /// The message it is of.
    #[serde(rename = "g")]
    pub(crate) message: u32,
    /// The task it belongs to.
    #[serde(rename = "k", default)]
    pub(crate) task: u32,
    /// The identifiers that occur in it.
    #[serde(default)]
    pub(crate) ids: Vec<u32>,
    /// When, in seconds.
    #[serde(rename = "tm")]
    pub(crate) time: Option<f64>,
    /// What it stays or goes with: pages with the same number, next to each other.
    #[serde(skip)]
    pub(crate) group: u32,
}

/// A history.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct History {
    /// Tokens of the static part.
    #[serde(rename = "static")]
    pub(crate) fixed: u32,
    pub(crate) pages: Vec<TracePage>,
    /// What was said, if that is known.
    #[serde(skip)]
    pub(crate) talk: Option<Talk>,
    /// What the study has counted for it, if that stands beside it.
    #[serde(skip)]
    pub(crate) counted: Option<(String, NeedTable)>,
}

/// The conversation behind a history.
#[derive(Debug, Clone, Default)]
pub(crate) struct Talk {
    /// What it begins with.
    pub(crate) instructions: Option<Message>,
    /// The rest, by number.
    pub(crate) messages: BTreeMap<u32, Message>,
    /// The numbers of identifiers.
    pub(crate) numbers: HashMap<String, u32>,
    /// What the tools take that are offered.
    pub(crate) tools: Tokens,
}

/// Whether a file is a page trace rather than conversations.
pub(crate) fn is_trace(text: &str) -> bool {
    #[derive(Deserialize)]
    struct Shape {
        pages: Option<serde::de::IgnoredAny>,
    }
    serde_json::from_str::<Shape>(text).is_ok_and(|shape| shape.pages.is_some())
}

impl History {
    /// Reads a page trace.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let failed = |what: String| {
            Error::new(ErrorCode::TraceInvalid, format!("reading {}: {what}", path.display())).hint(
                "a page trace is {\"static\", \"pages\": [{\"r\", \"n\", \"g\", \"k\", \"ids\"}]}",
            )
        };
        let text = super::read_text(path)?;
        let mut history: Self =
            serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
        // A page trace does not say which results belong to which calls.
        for (at, page) in history.pages.iter_mut().enumerate() {
            page.group = u32::try_from(at).unwrap_or(u32::MAX);
        }
        if history.pages.is_empty() {
            return Err(failed("there is no page in it".to_owned()));
        }
        history.counted = table::beside(path)?;
        Ok(history)
    }

    /// The messages, as ranges of pages.
    pub(crate) fn messages(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        let mut from = 0;
        self.pages.chunk_by(|a, b| a.message == b.message).map(move |chunk| {
            let range = from..from + chunk.len();
            from = range.end;
            range
        })
    }

    /// Model calls: messages of the assistant.
    pub(crate) fn calls(&self) -> usize {
        let is_call = |range: &std::ops::Range<usize>| {
            self.pages.get(range.start).is_some_and(|page| page.role == Role::Assistant)
        };
        self.messages().filter(is_call).count()
    }
}

//! Why a provider's cache was hit less than it might have been, and what of the request was not found.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::MessageIndex;
use crate::memory::{PageId, PageKind};
use crate::unit::Millis;

/// Why a provider's cache was hit less than it might have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissReason {
    /// Another model answers than before: the process asks another, or the name it asks leads to
    /// several.
    Model,
    /// The tools offered are others than before.
    Tools,
    /// More time has passed since the last call than entries of the cache live.
    Expired,
    /// What was sent is the same: the provider dropped the entry, or another machine answered.
    Provider,
}

/// What is other than at the last call, or from where on nothing was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Changed {
    /// The device that was asked. No device finds what another was sent.
    Model {
        /// The one before.
        was: String,
        /// The one now.
        is: String,
    },
    /// The tools that were offered, which stand before all else. If none is gone and none is new, they
    /// stand in another order.
    Tools {
        /// Those that are offered no more.
        gone: Vec<String>,
        /// Those that were not offered before.
        new: Vec<String>,
    },
    /// The time: no entry is left.
    Time {
        /// What had passed since the last call.
        idle: Millis,
        /// How long entries live.
        lifetime: Millis,
    },
    /// Nothing. The page that the provider read anew first, and all behind it.
    Page {
        /// Which.
        page: PageId,
        /// The message it is of.
        source: MessageIndex,
        /// What it holds.
        kind: PageKind,
    },
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model { was, is } => write!(f, "{is} was asked, and {was} before"),
            Self::Tools { gone, new } if gone.is_empty() && new.is_empty() => {
                f.write_str("the tools, which stand before all else, came in another order")
            }
            Self::Tools { gone, new } => {
                f.write_str("the tools, which stand before all else, came")?;
                let lists = [(" without ", gone), (" with ", new)];
                let lists = lists.into_iter().filter(|(_, names)| !names.is_empty());
                for (at, (word, names)) in lists.enumerate() {
                    let and = if at > 0 { " and" } else { "" };
                    write!(f, "{and}{word}{}", names.join(", "))?;
                }
                Ok(())
            }
            Self::Time { idle, lifetime } => {
                write!(f, "the last call was {idle} before, and entries live {lifetime}")
            }
            Self::Page { kind: PageKind::Tools, .. } => {
                f.write_str("nothing changed, and it was read anew from the tools on")
            }
            Self::Page { page, source, kind } => write!(
                f,
                "nothing changed, and it was read anew from page {} on ({}, message {})",
                page.0,
                kind.word(),
                source.0
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_said_by_name() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let tools =
            |gone: &[&str], new: &[&str]| Changed::Tools { gone: names(gone), new: names(new) };
        let page = |kind| Changed::Page { page: PageId(12), source: MessageIndex(7), kind };
        let said = [
            Changed::Model { was: "openai:a".into(), is: "openai:b".into() },
            tools(&["write_file", "b"], &[]),
            tools(&["write_file"], &["read_file"]),
            tools(&[], &[]),
            Changed::Time { idle: Millis(301_000), lifetime: Millis(300_000) },
            page(PageKind::ToolResult),
            page(PageKind::Tools),
        ]
        .map(|changed| changed.to_string());
        assert_eq!(
            said,
            [
                "openai:b was asked, and openai:a before",
                "the tools, which stand before all else, came without write_file, b",
                "the tools, which stand before all else, came without write_file and with read_file",
                "the tools, which stand before all else, came in another order",
                "the last call was 301.0 s before, and entries live 300.0 s",
                "nothing changed, and it was read anew from page 12 on (tool result, message 7)",
                "nothing changed, and it was read anew from the tools on",
            ]
        );
    }
}

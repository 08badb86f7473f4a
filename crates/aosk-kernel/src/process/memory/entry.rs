//! What is kept of a page table: new messages are taken into it, and it is made again of its rows.

use aosk_abi::{MessageIndex, PageId, PageKind, Piece, TEXT_END, limits};
use serde::{Deserialize, Serialize};

use super::super::ModelCall;
use super::Memory;
use crate::memory::{ArenaId, BlockId, GroupId, Kept, NewPage, Page, Residency};

/// What is kept of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What it holds.
    pub kind: PageKind,
    /// Its tokens in a request.
    pub tokens: u32,
    /// Where it ends in the text of the message, in bytes.
    #[serde(default = "text_end", skip_serializing_if = "is_text_end")]
    pub end: u32,
    /// Whether it is pinned.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pinned: bool,
    /// Whether it answers a call of the model's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub answers: bool,
    /// The task that it belongs to.
    #[serde(default, skip_serializing_if = "is_of_no_task")]
    pub arena: ArenaId,
    /// Where it is.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub kept: Kept,
}

fn text_end() -> u32 {
    TEXT_END
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_text_end(end: &u32) -> bool {
    *end == TEXT_END
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_of_no_task(arena: &ArenaId) -> bool {
    *arena == ArenaId::NONE
}

fn is_usual(kept: &Kept) -> bool {
    *kept == Kept::default()
}

impl Entry {
    /// Whether these can be the pages of a message.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check(entries: &[Self]) -> Result<(), String> {
        if entries.len() > usize::from(limits::PIECES_MAX) {
            return Err("it has too many pages".to_owned());
        }
        let mut from = 0;
        for entry in entries {
            if entry.end < from || (entry.end == from && from > 0) {
                return Err("a page of it ends before it begins".to_owned());
            }
            from = entry.end;
            let Kept { residency, extent, .. } = entry.kept;
            if (residency == Residency::Stub) != (extent > 0) {
                return Err("a page of it is a stub of nothing".to_owned());
            }
        }
        if !entries.is_empty() && from != TEXT_END {
            return Err("its pages have no end".to_owned());
        }
        Ok(())
    }
}

impl Memory {
    /// Takes new messages into the table. Returns the copies among them, with their originals.
    ///
    /// # Errors
    /// What is wrong with them, if the log has other messages.
    pub(crate) fn take_in(
        &mut self,
        log: MessageIndex,
        pieces: &[Piece],
    ) -> Result<Vec<(PageId, PageId)>, String> {
        self.check_pieces(log, pieces)?;
        let mut copies = Vec::new();
        let (mut before, mut part) = (None, 0_u16);
        for piece in pieces {
            part = if before == Some(piece.source) { part.saturating_add(1) } else { 0 };
            before = Some(piece.source);
            // A page that is no longer known is no copy of anything.
            let copy_of = piece.copy_of.filter(|page| self.is_of_log(*page));
            let original = copy_of.and_then(|page| self.space.page(page)).map(|page| page.original);
            let new = self.new_page(part, piece);
            let id = match original {
                Some(original) => self.space.recall_as(original, new),
                None => self.space.append(new),
            };
            copies.extend(original.map(|original| (original, id)));
        }
        self.taken = log;
        // What is new is written with the rest of it.
        Ok(copies)
    }

    fn check_pieces(&self, log: MessageIndex, pieces: &[Piece]) -> Result<(), String> {
        let mut source = self.taken;
        let mut end = TEXT_END;
        let mut count = 0_u16;
        for piece in pieces {
            if end == TEXT_END {
                count = 0;
                if piece.source != source {
                    return Err(format!(
                        "the page table wants message {source} of the log and gets {}",
                        piece.source
                    ));
                }
                source = MessageIndex(source.0.saturating_add(1));
                end = 0;
            } else if piece.source.0.saturating_add(1) != source.0 {
                return Err(format!(
                    "message {} of the log has no end",
                    source.0.saturating_sub(1)
                ));
            }
            count = count.saturating_add(1);
            if count > limits::PIECES_MAX {
                let most = limits::PIECES_MAX;
                return Err(format!("message {} has more than {most} pages", piece.source));
            }
            if piece.end < end || (piece.end == end && end > 0) {
                return Err(format!("a page of message {} ends before it begins", piece.source));
            }
            end = piece.end;
        }
        if source != log || end != TEXT_END {
            return Err(format!("the page table has {source} messages, the log {log}"));
        }
        Ok(())
    }

    /// Takes in a message as it was kept.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn restore(
        &mut self,
        source: MessageIndex,
        entries: &[Entry],
    ) -> Result<(), String> {
        if entries.is_empty() {
            return Ok(());
        }
        if source != self.taken {
            return Err("the page table has a gap before it".to_owned());
        }
        Entry::check(entries)?;
        for (part, entry) in (0..=limits::PIECES_MAX).zip(entries) {
            if entry.kept.copy_of.is_some_and(|page| !self.is_of_log(page)) {
                return Err("a page is a copy of one that is not there".to_owned());
            }
            if !self.space.arenas().knows(entry.arena) {
                return Err("a page of it belongs to a task that was never begun".to_owned());
            }
            let Entry { kind, tokens, end, pinned, answers, arena, kept } = *entry;
            let piece = Piece { source, kind, tokens, end, answers, copy_of: None };
            let new = self.new_page(part, &piece);
            if kind == PageKind::Assistant {
                self.calls.1 = arena;
            }
            let id = self.space.restore(NewPage { arena, ..new }, &kept);
            if pinned {
                // There is such a page.
                let _set = self.space.pin(id, true);
            }
        }
        self.taken = MessageIndex(source.0.saturating_add(1));
        self.space.take_changed();
        Ok(())
    }

    /// Takes it over from the call that a process waits for how much its tools take.
    pub(crate) fn restore_tools(&mut self, call: &ModelCall) {
        let tools = match &call.summary {
            Some(summary) => summary.tools,
            None => call.estimate.saturating_sub(self.space.total()),
        };
        self.space.resize(PageId(0), u32::try_from(tools.0).unwrap_or(u32::MAX));
    }

    /// What is kept of the pages of a message; nothing if the table does not have it yet.
    pub(crate) fn entries(&self, source: MessageIndex) -> Vec<Entry> {
        let entry = |(id, page): (PageId, &Page)| Entry {
            kind: page.kind,
            tokens: page.tokens,
            end: page.end,
            pinned: page.pinned,
            answers: page.group.0 != page.source.0.saturating_add(1),
            arena: page.arena,
            kept: self.space.kept(id),
        };
        self.space.pages_of(source).map(entry).collect()
    }

    fn new_page(&mut self, part: u16, piece: &Piece) -> NewPage {
        let number = piece.source.0.saturating_add(1);
        let own = GroupId(number);
        let arena = self.space.arenas().of(piece.source);
        if piece.kind == PageKind::Assistant {
            self.calls = (own, arena);
        }
        let answers = piece.answers && self.calls.0 != GroupId(0);
        // What a call brings belongs where the call does.
        let (group, arena) = if answers { self.calls } else { (own, arena) };
        NewPage {
            kind: piece.kind,
            tokens: piece.tokens,
            group,
            block: BlockId(number),
            arena,
            source: piece.source,
            part,
            end: piece.end,
            importance: 500,
            pinned: false,
        }
    }
}

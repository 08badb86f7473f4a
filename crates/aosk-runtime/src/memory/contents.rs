//! What the shell knows of the content of one process, and what it tells the core of it.

use std::sync::Arc;

use aosk_abi::{Body, Error, Message, MessageIndex, PageId, PageKind, Piece, Tokens};
use aosk_kernel::Process;
use aosk_model::Tokenizer;

use super::carried::Carried;
use super::entries::{Entry, entries};
use super::found::has_evicted;
use super::paging::{page_tokens, part, pieces, spoken};
use super::recollect::Recollection;
use crate::bodies::Bodies;

/// What a process uses is watched once its log takes this part of its window: before that nothing
/// leaves it.
const WATCHED_SHARE: u64 = 4;

/// Bytes of what was said that can call pages back. What is longer brings along what it needs.
const SAID_BYTES_MAX: usize = 4_000;

/// What the core is told with a question to the model, and what is left to be read for later ones.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) pieces: Vec<Piece>,
    pub(crate) uses: Vec<PageId>,
    /// Pages of which is yet to be noted what they carry, as they are watched from now on.
    pub(crate) older: Vec<Entry>,
}

/// What is known of the content of one process. All of it can be made anew from its log.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    carried: Option<Carried>,
    recollection: Arc<Recollection>,
    /// The first page that was not handed over to be searched.
    next: u32,
}

impl Contents {
    /// What the core is told of a log when its process asks the model, of which so much may be shown.
    pub(crate) fn tell(
        &mut self,
        bodies: &mut Bodies,
        process: &Process,
        append: &[Body],
        count: Tokenizer,
        window: Option<Tokens>,
    ) -> Result<Told, Error> {
        let taken = process.memory.taken();
        let first = usize::try_from(taken.0).unwrap_or(usize::MAX);
        let mut new = Vec::new();
        for page in process.pages.iter().skip(first) {
            new.push(bodies.get(page.hash)?);
        }
        new.extend(append.iter().cloned());
        let mut told = Told::default();
        for (source, body) in (taken.0..).map(MessageIndex).zip(&new) {
            told.pieces.extend(pieces(body.message(), source, count, page_tokens(window)));
        }
        if self.is_to_watch(process, &told) {
            self.carried = Some(Carried::default());
            told.older = entries(process, PageId(0));
            told.older.retain(|entry| entry.kind != PageKind::System);
        }
        if let Some(carried) = &mut self.carried {
            told.uses = watch(carried, process, &told.pieces, &new);
        }
        Ok(told)
    }

    /// Whether there is reason to note what pages carry, from now on.
    fn is_to_watch(&self, process: &Process, told: &Told) -> bool {
        let new: u64 = told.pieces.iter().map(|piece| u64::from(piece.tokens)).sum();
        let log = process.memory.space().appended().0.saturating_add(new);
        let watched = process.memory.window().is_some_and(|window| log > window.0 / WATCHED_SHARE);
        self.carried.is_none() && watched
    }

    /// What pages carry that were there before it was noted.
    pub(crate) fn put_behind(&mut self, older: Carried) {
        if let Some(carried) = &mut self.carried {
            carried.put_behind(older);
        }
    }

    /// The pages of a log, to be searched, with those that are new.
    pub(crate) fn hand_over(&mut self, process: &Process) -> Arc<Recollection> {
        self.recollection.hand_over(entries(process, PageId(self.next)));
        self.next = process.memory.space().pages_u32();
        self.recollection.clone()
    }
}

/// What was just said to the process, if pages of its log that are not shown may be about it.
pub(crate) fn calls_back(process: &Process, append: &[Body]) -> Option<String> {
    let said = said_last(append).filter(|said| said.len() <= SAID_BYTES_MAX)?;
    (process.memory.window().is_some() && has_evicted(process)).then_some(said)
}

/// The pages that new answers use; what new messages carry is noted. New pages are numbered on from
/// those that the table has, as the core numbers them.
fn watch(carried: &mut Carried, process: &Process, pieces: &[Piece], new: &[Body]) -> Vec<PageId> {
    let taken = process.memory.taken().0;
    let space = process.memory.space();
    let idle =
        |id: PageId| space.page(id).map_or(0, |page| space.step().saturating_sub(page.last_used));
    let mut uses = Vec::new();
    let mut before: Option<Piece> = None;
    let mut text = None;
    for (id, piece) in (space.pages_u32()..).map(PageId).zip(pieces) {
        let from = before.filter(|one| one.source == piece.source).map_or(0, |one| one.end);
        before = Some(*piece);
        let at = usize::try_from(piece.source.0.saturating_sub(taken)).unwrap_or(usize::MAX);
        let Some(body) = new.get(at) else { continue };
        let message = body.message();
        if from == 0 {
            text = told_text(message);
        }
        if let Message::Assistant { .. } = message.as_ref() {
            uses.extend(carried.used_by(message, idle));
        }
        if let Some(text) = &text {
            note(carried, id, text, (from, piece.end));
        }
    }
    uses.sort_unstable();
    uses.dedup();
    uses
}

/// What a message carries. Instructions are always shown: that they are used tells nothing.
fn told_text(message: &Message) -> Option<String> {
    match message {
        Message::System { .. } => None,
        Message::User { .. } | Message::Assistant { .. } | Message::Tool { .. } => {
            Some(spoken(message))
        }
    }
}

/// Notes what a page carries.
fn note(carried: &mut Carried, id: PageId, text: &str, range: (u32, u32)) {
    if let Some(text) = part(text, range) {
        carried.add(id, text);
    }
}

/// What somebody just said to the process.
fn said_last(append: &[Body]) -> Option<String> {
    match append.last()?.message().as_ref() {
        Message::User { content, .. } => Some(content.text()),
        Message::System { .. } | Message::Assistant { .. } | Message::Tool { .. } => None,
    }
}

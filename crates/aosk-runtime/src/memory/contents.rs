//! What the shell knows of the content of one process, and what it tells the core of it.

use aosk_abi::{Body, Error, Message, MessageIndex, PageId, Piece, Tokens};
use aosk_kernel::Process;
use aosk_model::Tokenizer;

use super::carried::Carried;
use super::paging::{page_tokens, part, pieces, spoken};
use super::recollect::{Recollection, has_evicted};
use crate::bodies::Bodies;

/// What a process uses is watched once its log takes this part of its window: before that nothing
/// leaves it.
const WATCHED_SHARE: u64 = 4;

/// What the core is told with a question to the model.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) pieces: Vec<Piece>,
    pub(crate) uses: Vec<PageId>,
}

/// What is known of the content of one process. All of it can be made anew from its log.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    carried: Option<Carried>,
    recollection: Recollection,
}

impl Contents {
    /// What the core is told of a log when its process asks the model, of which so much may be shown. What is brought back unasked is
    /// appended first.
    pub(crate) fn tell(
        &mut self,
        bodies: &mut Bodies,
        process: &Process,
        append: &mut Vec<Body>,
        count: Tokenizer,
        window: Option<Tokens>,
    ) -> Result<Told, Error> {
        if let Some(said) = said_last(append).filter(|_| has_evicted(process)) {
            let back = self.recollection.unasked(process, bodies, &said)?;
            append.extend(back.map(Body::new));
        }
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
        self.begin_to_watch(bodies, process, &told)?;
        if let Some(carried) = &mut self.carried {
            told.uses = watch(carried, process, &told.pieces, &new);
        }
        Ok(told)
    }

    /// Notes what all pages so far carry, once there is reason to.
    fn begin_to_watch(
        &mut self,
        bodies: &mut Bodies,
        process: &Process,
        told: &Told,
    ) -> Result<(), Error> {
        let space = process.memory.space();
        let new: u64 = told.pieces.iter().map(|piece| u64::from(piece.tokens)).sum();
        let log = space.appended().0.saturating_add(new);
        let watched = process.memory.window().is_some_and(|window| log > window.0 / WATCHED_SHARE);
        if self.carried.is_some() || !watched {
            return Ok(());
        }
        let mut carried = Carried::default();
        for (at, page) in (0..process.memory.taken().0).map(MessageIndex).zip(&process.pages) {
            let Some(text) = told_text(bodies.get(page.hash)?.message()) else { continue };
            for (id, page) in space.pages_of(at) {
                note(&mut carried, id, &text, process.memory.text_of(id, page));
            }
        }
        self.carried = Some(carried);
        Ok(())
    }

    /// See [`Recollection::search`].
    pub(crate) fn search(
        &mut self,
        process: &Process,
        bodies: &mut Bodies,
        query: &str,
        limit: usize,
    ) -> Result<String, Error> {
        self.recollection.search(process, bodies, query, limit)
    }
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

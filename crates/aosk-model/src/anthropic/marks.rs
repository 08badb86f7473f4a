//! Where the marks of the prefix cache go: on the last block that belongs to a breakpoint.
//!
//! A mark is no part of what is cached, so the same prefix is found again when marks have moved on.

use std::collections::BTreeSet;

use aosk_abi::Message;
use serde::Serialize;

use super::request::{Placed, Prompt};
use crate::driver::Request;

/// Marks that Anthropic takes in one request.
const MARKS_MAX: usize = 4;

/// A mark: what stands up to here is to be cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct CacheControl {
    #[serde(rename = "type")]
    kind: &'static str,
    /// How long; five minutes if not said. Longer ones would have to stand before shorter ones, so
    /// all marks of a request have the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<&'static str>,
}

/// A place where a mark may go, in the order in which the model reads.
struct Slot<'p> {
    origin: Origin,
    /// None if the block cannot carry a mark.
    mark: Option<&'p mut Option<CacheControl>>,
}

/// What a block is of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Tools,
    /// Instructions, and the message they are of.
    System(usize),
    /// The conversation, and the message.
    Turn(usize),
}

/// Puts the request's marks on the prompt.
pub(super) fn place(prompt: &mut Prompt<'_>, request: &Request) {
    let hints = &request.cache;
    let mut slots = slots(prompt);
    let ends: Vec<usize> = if hints.breakpoints.is_empty() {
        let system = slots.iter().rposition(|slot| matches!(slot.origin, Origin::System(_)));
        let turns = slots.iter().rposition(|slot| matches!(slot.origin, Origin::Turn(_)));
        system.into_iter().chain(turns).collect()
    } else {
        let messages = &request.messages;
        let ends = hints.breakpoints.iter().filter_map(|&at| {
            let is_system = matches!(messages.get(at)?.message().as_ref(), Message::System { .. });
            end_of(&slots, at, is_system)
        });
        ends.collect()
    };
    let markable: BTreeSet<usize> = ends
        .into_iter()
        .filter_map(|end| slots.get(..=end)?.iter().rposition(|slot| slot.mark.is_some()))
        .collect();
    let mark = CacheControl { kind: "ephemeral", ttl: hints.long_lived.then_some("1h") };
    for at in markable.into_iter().rev().take(MARKS_MAX) {
        if let Some(Slot { mark: Some(place), .. }) = slots.get_mut(at) {
            **place = Some(mark);
        }
    }
}

fn slots<'p>(prompt: &'p mut Prompt<'_>) -> Vec<Slot<'p>> {
    fn slot<'p>(placed: &'p mut Placed<'_>, origin: impl Fn(usize) -> Origin) -> Slot<'p> {
        Slot { origin: origin(placed.message), mark: placed.block.mark() }
    }
    let tools = prompt.tools.last_mut();
    let tools =
        tools.map(|tool| Slot { origin: Origin::Tools, mark: Some(&mut tool.cache_control) });
    let system = prompt.system.iter_mut().map(|placed| slot(placed, Origin::System));
    let turns = prompt.turns.iter_mut().flat_map(|turn| &mut turn.content);
    tools.into_iter().chain(system).chain(turns.map(|placed| slot(placed, Origin::Turn))).collect()
}

/// The last block of a message or, where it has none, of what the model reads before it.
fn end_of(slots: &[Slot<'_>], message: usize, is_system: bool) -> Option<usize> {
    let own = if is_system { Origin::System(message) } else { Origin::Turn(message) };
    let last = slots.iter().rposition(|slot| slot.origin == own);
    last.or_else(|| {
        slots.iter().rposition(|slot| match slot.origin {
            Origin::Tools => true,
            Origin::System(of) => !is_system || of < message,
            Origin::Turn(of) => !is_system && of < message,
        })
    })
}

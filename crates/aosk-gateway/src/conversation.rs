//! Which process has which conversation.
//!
//! A conversation is known by what was said in it. A request brings all of it along; if it begins with what
//! a process has, that process asks, and its log gets what is new. Reasoning does not count, as clients do
//! not send it back. A process that asks is not here until it is answered, so two requests at once never
//! share one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aosk_abi::{Content, ErrorCode, Hash, Message, Part, Pid, Tokens};
use aosk_server::App;
use serde_json::{Map, Value};

use crate::limits::{IDLE, SWEEP_EVERY, WAITING_MAX, WAITING_OF_SESSION_MAX};

/// What was said in a conversation up to each of its messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Thread(Vec<Hash>);

impl Thread {
    /// Of a session, that nothing was said in.
    pub(crate) fn begin(session: &str) -> Self {
        Self(vec![Hash::of(session.as_bytes())])
    }

    /// Adds a message.
    pub(crate) fn say(&mut self, message: &Message) {
        let mut bytes = self.end().0.to_vec();
        bytes.extend_from_slice(&said(message).0);
        self.0.push(Hash::of(&bytes));
    }

    /// All that was said.
    fn end(&self) -> Hash {
        self.0.last().copied().unwrap_or(Hash::ZERO)
    }
}

/// What was said in a message. An answer is what was said and called: in which form its text comes, what
/// the model thought before, and how the JSON of arguments is written is not sent back as it was. Some
/// clients write a text as a list of one part once they mark it for a cache.
fn said(message: &Message) -> Hash {
    let text = match message {
        Message::Assistant { tool_calls, .. } => {
            let calls: Vec<_> = tool_calls
                .iter()
                .map(|call| (&call.id, &call.name, arguments(&call.arguments)))
                .collect();
            serde_json::to_string(&(message.text(), calls))
        }
        Message::System { content: Content::Parts(parts) }
        | Message::User { content: Content::Parts(parts), .. }
        | Message::Tool { content: Content::Parts(parts), .. } => match parts.as_slice() {
            [Part::Text { text }] => serde_json::to_string(&in_one(message, text)),
            _ => serde_json::to_string(message),
        },
        Message::System { .. } | Message::User { .. } | Message::Tool { .. } => {
            serde_json::to_string(message)
        }
    };
    // A message always has a JSON form.
    Hash::of(text.unwrap_or_default().as_bytes())
}

/// The arguments of a call, however they are written. Clients are given an empty object for none.
fn arguments(text: &str) -> Value {
    if text.trim().is_empty() {
        return Value::Object(Map::new());
    }
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// The message with this text in place of its parts.
fn in_one(message: &Message, text: &str) -> Message {
    let mut one = message.clone();
    match &mut one {
        Message::System { content }
        | Message::User { content, .. }
        | Message::Tool { content, .. } => *content = Content::Text(text.to_owned()),
        Message::Assistant { .. } => {}
    }
    one
}

/// A conversation whose process waits for its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// The process.
    pub(crate) pid: Pid,
    /// How many messages its log has.
    pub(crate) messages: usize,
    /// What they take, by estimate.
    pub(crate) tokens: Tokens,
    session: Hash,
    since: Duration,
}

/// All that wait, by what was said in them.
#[derive(Debug, Default)]
pub(crate) struct Conversations {
    waiting: Mutex<HashMap<Hash, Waiting>>,
    /// Processes that are to end, and that the kernel had no room to be told of.
    untold: Mutex<Vec<Left>>,
}

/// A process that its client left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// While it waited for its client.
    Waiting(Pid),
    /// In the middle of an answer.
    Asking(Pid),
}

impl Conversations {
    /// Takes the one that `thread` goes on with, if there is one: of several, the one with the most of it.
    pub(crate) fn take(&self, thread: &Thread) -> Option<Waiting> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let said = thread.0.iter().skip(1).rev();
        let known: Vec<&Hash> = said.filter(|said| waiting.contains_key(*said)).collect();
        known.first().and_then(|said| waiting.remove(*said))
    }

    /// Has the process that was asked wait for its client. Returns those that are to end in its place.
    pub(crate) fn put(
        &self,
        thread: &Thread,
        (pid, tokens): (Pid, Tokens),
        now: Duration,
    ) -> Vec<Pid> {
        let session = thread.0.first().copied().unwrap_or(Hash::ZERO);
        let messages = thread.0.len().saturating_sub(1);
        let one = Waiting { pid, messages, tokens, session, since: now };
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // Another process may have come to say the same.
        let mut left: Vec<Pid> =
            waiting.insert(thread.end(), one).map(|old| old.pid).into_iter().collect();
        let of_session = waiting.values().filter(|one| one.session == session).count();
        if of_session > WAITING_OF_SESSION_MAX {
            left.extend(take_oldest(&mut waiting, |one| one.session == session));
        }
        if waiting.len() > WAITING_MAX {
            left.extend(take_oldest(&mut waiting, |_| true));
        }
        left
    }

    /// Takes those that have waited for too long.
    fn take_idle(&self, now: Duration) -> Vec<Pid> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = waiting.extract_if(|_, one| now.saturating_sub(one.since) >= IDLE);
        idle.map(|(_, one)| one.pid).collect()
    }

    fn take_all(&self) -> Vec<Pid> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.drain().map(|(_, one)| one.pid).collect()
    }
}

fn take_oldest(
    waiting: &mut HashMap<Hash, Waiting>,
    among: impl Fn(&Waiting) -> bool,
) -> Option<Pid> {
    let oldest = waiting.iter().filter(|(_, one)| among(one)).min_by_key(|(_, one)| one.since);
    let said = *oldest?.0;
    waiting.remove(&said).map(|one| one.pid)
}

/// Ends processes whose clients stay away, and all of them when the server is stopped.
pub(crate) async fn keep(app: App, conversations: Arc<Conversations>) {
    loop {
        let stops = tokio::select! { biased;
            () = app.stopping() => true,
            () = tokio::time::sleep(SWEEP_EVERY) => false,
        };
        let left = if stops {
            conversations.take_all()
        } else {
            conversations.take_idle(app.clock().elapsed())
        };
        let mut untold = conversations.untold.lock().unwrap_or_else(PoisonError::into_inner);
        let again = std::mem::take(&mut *untold);
        drop(untold);
        conversations.leave(&app, again);
        conversations.leave(&app, left.into_iter().map(Left::Waiting));
        if stops {
            return;
        }
    }
}

impl Conversations {
    /// Ends these processes. Where the kernel has as many requests as it takes, they are ended a little
    /// later; those of a kernel that stops end at its next start, when nobody knows them.
    pub(crate) fn leave(&self, app: &App, left: impl IntoIterator<Item = Left>) {
        for one in left {
            let told = match one {
                Left::Waiting(pid) => app.handle().leave(pid),
                Left::Asking(pid) => app.handle().abandon(pid),
            };
            if told.is_err_and(|error| error.code == ErrorCode::Busy) {
                self.untold.lock().unwrap_or_else(PoisonError::into_inner).push(one);
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! How good retrieval is on conversations with questions whose evidence is known.

use serde::Deserialize;

use crate::date::Day;
use crate::index::Index;
use crate::page::Page;

/// One conversation.
#[derive(Debug, Clone, Deserialize)]
pub struct Conversation {
    /// Its name.
    pub id: String,
    /// What was said, in order.
    pub turns: Vec<Turn>,
    /// What is asked of it.
    pub questions: Vec<Question>,
}

/// One turn.
#[derive(Debug, Clone, Deserialize)]
pub struct Turn {
    /// Its name.
    pub id: String,
    /// The session it belongs to, from 1.
    pub session: u64,
    /// When the session was, as text.
    #[serde(default)]
    pub time: String,
    /// Who speaks.
    #[serde(default)]
    pub speaker: String,
    /// What is said.
    pub text: String,
}

/// One question.
#[derive(Debug, Clone, Deserialize)]
pub struct Question {
    /// The question.
    pub question: String,
    /// The names of the turns that hold the answer.
    pub evidence: Vec<String>,
    /// Its kind.
    #[serde(default)]
    pub category: u32,
}

impl Conversation {
    /// An index of the turns; the id of a page is its turn's place.
    #[must_use]
    pub fn index(&self) -> Index {
        let mut index = Index::new();
        for (at, turn) in self.turns.iter().enumerate() {
            let at = at as u64;
            index.add(&Page {
                id: at,
                text: &turn.text,
                who: Some(turn.speaker.as_str()).filter(|who| !who.is_empty()),
                when: Day::parse(&turn.time),
                group: turn.session,
                order: at,
                ..Page::default()
            });
        }
        index
    }
}

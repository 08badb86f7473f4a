//! How good retrieval is on conversations with questions whose evidence is known.
//!
//! A question is asked of its own conversation. Recall is the share of its evidence in the result,
//! and the mean over questions is reported: over all that have evidence, and over the categories 1
//! to 4, without those whose question names the wrong speaker on purpose (category 5).

use serde::{Deserialize, Deserializer};

use crate::budget;
use crate::date::Day;
use crate::index::Index;
use crate::page::Page;
use crate::query::Query;
use crate::rank::Ranker;
use crate::search::CANDIDATES_MAX;

/// One conversation.
#[derive(Debug, Clone, Deserialize)]
pub struct Conversation {
    /// Its name.
    #[serde(default, deserialize_with = "name")]
    pub id: String,
    /// What was said, in order.
    pub turns: Vec<Turn>,
    /// What is asked of it.
    pub questions: Vec<Question>,
    /// An embedding for each turn, if there are any.
    #[serde(skip)]
    pub turn_vectors: Vec<Vec<f32>>,
    /// An embedding for each question, likewise.
    #[serde(skip)]
    pub question_vectors: Vec<Vec<f32>>,
}

/// One turn.
#[derive(Debug, Clone, Deserialize)]
pub struct Turn {
    /// Its name.
    #[serde(deserialize_with = "name")]
    pub id: String,
    /// The session it belongs to.
    #[serde(default, deserialize_with = "session")]
    pub session: u64,
    /// When the session was, as text; empty if that is not known.
    #[serde(default, deserialize_with = "name")]
    pub time: String,
    /// Who speaks; empty if that is not known.
    #[serde(default, deserialize_with = "name")]
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
    #[serde(default, deserialize_with = "names")]
    pub evidence: Vec<String>,
    /// Its kind, from 1; 0 if it is not known or no number.
    #[serde(default, deserialize_with = "category")]
    pub category: u32,
}

/// A name as files have it: a text, a number or nothing.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a text or a number")]
enum Name {
    Text(String),
    Number(u64),
    Nothing(()),
}

impl Name {
    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
            Self::Nothing(()) => String::new(),
        }
    }
}

/// One name or a list of them.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected the name of a turn, or a list of them")]
enum Names {
    Many(Vec<Name>),
    One(Name),
}

fn name<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(Name::deserialize(from)?.into_text())
}

fn names<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let names = match Names::deserialize(from)? {
        Names::Many(names) => names,
        Names::One(name) => vec![name],
    };
    Ok(names.into_iter().map(Name::into_text).filter(|name| !name.is_empty()).collect())
}

/// A session: a number, or the digits of a name such as `session_12`.
fn session<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let digits: String =
        name(from)?.chars().filter(char::is_ascii_digit).take(SESSION_DIGITS_MAX).collect();
    Ok(digits.parse().unwrap_or_default())
}

fn category<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    Ok(name(from)?.parse().unwrap_or_default())
}

/// Digits of a session that are read, so that every number of so many is one.
const SESSION_DIGITS_MAX: usize = 18;

/// Why conversations could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read conversations: line {line}: {cause}")]
pub struct ReadError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub cause: serde_json::Error,
}

/// Reads conversations, one a line.
///
/// # Errors
/// If a line is no conversation.
pub fn read(text: &str) -> Result<Vec<Conversation>, ReadError> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let read = lines.map(|(at, line)| {
        serde_json::from_str(line).map_err(|cause| ReadError { line: at + 1, cause })
    });
    read.collect()
}

impl Conversation {
    /// An index of the turns; the id of a page is its turn's place.
    #[must_use]
    pub fn index(&self) -> Index {
        let mut index = Index::new();
        for ((at, turn), id) in self.turns.iter().enumerate().zip(0..) {
            index.add(&Page {
                id,
                text: &turn.text,
                who: Some(turn.speaker.as_str()).filter(|who| !who.is_empty()),
                when: Day::parse(&turn.time),
                kind: None,
                group: turn.session,
                order: id,
                vector: self.turn_vectors.get(at).map(Vec::as_slice),
            });
        }
        index
    }

    /// The places of the questions that have evidence among the turns, with the evidence as ids of
    /// pages.
    #[must_use]
    pub fn asked(&self) -> Vec<(usize, Vec<u64>)> {
        let page = |name: &String| -> Option<u64> {
            (0..).zip(&self.turns).find(|(_, turn)| turn.id == *name).map(|(id, _)| id)
        };
        let evidence = |question: &Question| -> Option<Vec<u64>> {
            let mut pages: Vec<u64> = question.evidence.iter().map(page).collect::<Option<_>>()?;
            pages.sort_unstable();
            pages.dedup();
            (!pages.is_empty()).then_some(pages)
        };
        let all = self.questions.iter().enumerate();
        all.filter_map(|(at, question)| Some((at, evidence(question)?))).collect()
    }

    /// A question as a query.
    #[must_use]
    pub fn query(&self, question: usize) -> Query<'_> {
        Query {
            text: self.questions.get(question).map_or("", |question| &question.question),
            vector: self.question_vectors.get(question).map(Vec::as_slice),
            ..Query::default()
        }
    }
}

/// The tokens within which evidence is counted.
const BUDGET: u32 = 4_000;

/// Means over questions.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Recall {
    /// How many questions.
    pub questions: usize,
    /// Share of the evidence that is the first page.
    pub at_1: f64,
    /// Share of the evidence in the first ten pages.
    pub at_10: f64,
    /// Share of the evidence in the first 4,000 tokens.
    pub at_4000_tokens: f64,
}

/// How retrieval did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// Over all questions that have evidence.
    pub all: Recall,
    /// Over those of the categories 1 to 4.
    pub answerable: Recall,
    /// Questions without evidence, or with evidence that is no turn.
    pub skipped: usize,
    /// What each query took, in whatever the clock counts, smallest first.
    pub times: Vec<u64>,
}

impl Report {
    /// The median of what a query took.
    #[must_use]
    pub fn median_time(&self) -> u64 {
        self.times.get(self.times.len() / 2).copied().unwrap_or_default()
    }

    /// This report and another as one.
    #[must_use]
    pub fn and(mut self, other: &Report) -> Report {
        self.all.join(other.all);
        self.answerable.join(other.answerable);
        self.skipped += other.skipped;
        self.times.extend(&other.times);
        self.times.sort_unstable();
        self
    }
}

impl Recall {
    fn join(&mut self, other: Recall) {
        let questions = self.questions + other.questions;
        let share = other.questions as f64 / questions.max(1) as f64;
        let mean = |mine: f64, theirs: f64| mine + (theirs - mine) * share;
        *self = Recall {
            questions,
            at_1: mean(self.at_1, other.at_1),
            at_10: mean(self.at_10, other.at_10),
            at_4000_tokens: mean(self.at_4000_tokens, other.at_4000_tokens),
        };
    }
}

/// Asks every question of a conversation. `tokens` is the size of a text for a model; `clock` is
/// read before and after each query and may count anything.
pub fn evaluate(
    conversation: &Conversation,
    ranker: &Ranker,
    tokens: &dyn Fn(&str) -> u32,
    clock: &mut dyn FnMut() -> u64,
) -> Report {
    let index = conversation.index();
    let costs: Vec<u32> = conversation.turns.iter().map(|turn| tokens(&turn.text)).collect();
    let cost = |id: u64| {
        usize::try_from(id).ok().and_then(|id| costs.get(id)).copied().unwrap_or(u32::MAX)
    };
    let asked = conversation.asked();
    let mut report =
        Report { skipped: conversation.questions.len() - asked.len(), ..Report::default() };
    for (question, evidence) in &asked {
        let query = conversation.query(*question);
        let start = clock();
        let hits = index.search(&query, ranker, CANDIDATES_MAX);
        report.times.push(clock().saturating_sub(start));
        let share = |found: &mut dyn Iterator<Item = u64>| {
            let found = found.filter(|id| evidence.contains(id)).count();
            found as f64 / evidence.len() as f64
        };
        let fitting = budget::within(&hits, BUDGET, &cost);
        let recall = Recall {
            questions: 1,
            at_1: share(&mut hits.iter().take(1).map(|hit| hit.id)),
            at_10: share(&mut hits.iter().take(10).map(|hit| hit.id)),
            at_4000_tokens: share(&mut fitting.iter().map(|hit| hit.id)),
        };
        report.all.join(recall);
        let category = conversation.questions.get(*question).map_or(0, |asked| asked.category);
        if category <= 4 {
            report.answerable.join(recall);
        }
    }
    report.times.sort_unstable();
    report
}

#[cfg(test)]
mod tests;

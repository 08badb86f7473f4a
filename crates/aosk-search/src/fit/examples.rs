//! What weights are fitted on: questions with candidates of which some are evidence.

use std::collections::BTreeMap;

use crate::analyse::{Analyser, Kind};
use crate::evaluate::Conversation;
use crate::feature::Features;
use crate::index::Index;
use crate::page::Page;
use crate::query::Query;
use crate::search::Candidate;

/// Most candidates of one question that are kept beside the evidence. Those behind them are easy
/// to tell from evidence and teach nothing.
const CANDIDATES_MAX: usize = 150;

/// The candidates of one question, and which of them are evidence.
#[derive(Debug, Clone)]
pub struct Example {
    /// How much it counts.
    pub weight: f32,
    /// The features of every candidate.
    pub features: Vec<Features>,
    /// The places of the evidence among them; not empty.
    pub evidence: Vec<usize>,
}

impl Example {
    fn new(weight: f32, mut candidates: Vec<Candidate>, evidence: &[u64]) -> Option<Self> {
        let plain = |candidate: &Candidate| candidate.features.iter().take(PLAIN).sum::<f32>();
        candidates.sort_by(|a, b| plain(b).total_cmp(&plain(a)).then(a.id.cmp(&b.id)));
        let mut at = 0;
        candidates.retain(|candidate| {
            at += 1;
            at <= CANDIDATES_MAX || evidence.contains(&candidate.id)
        });
        let ids: Vec<u64> = candidates.iter().map(|candidate| candidate.id).collect();
        let evidence: Vec<usize> =
            evidence.iter().filter_map(|id| ids.iter().position(|other| other == id)).collect();
        let features = candidates.into_iter().map(|candidate| candidate.features).collect();
        (!evidence.is_empty()).then_some(Example { weight, features, evidence })
    }
}

/// The first features speak of the words of a page and of those around it.
const PLAIN: usize = 12;

/// The questions of a conversation, each asked of its own pages.
#[must_use]
pub fn of_conversation(conversation: &Conversation, weight: f32) -> Vec<Example> {
    let index = conversation.index();
    let asked = conversation.asked();
    let examples = asked.iter().filter_map(|(question, evidence)| {
        let candidates = index.candidates(&conversation.query(*question));
        Example::new(weight, candidates, evidence)
    });
    examples.collect()
}

/// One message of a recorded run.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// The run it belongs to.
    pub run: u64,
    /// Whether the agent wrote it; if not, it is a task, an answer or the result of a tool.
    pub agent: bool,
    /// What it says.
    pub text: &'a str,
}

/// Fewest pages among which a search is worth learning from.
const PAGES_MIN: usize = 30;

/// Longest query in bytes: about a paragraph.
const QUERY_BYTES: usize = 600;

/// Most pages that hold a name which still says what is meant.
const HOLDERS_MAX: usize = 2;

/// Recorded runs as examples: what an agent writes is the query, and evidence is every earlier page
/// that holds a name or number of it which hardly any page holds.
#[must_use]
pub fn of_run(messages: &[Message<'_>], weight: f32) -> Vec<Example> {
    let mut index = Index::new();
    let mut holders: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut examples = Vec::new();
    for (id, message) in (0..).zip(messages) {
        let names = names(message.text);
        if message.agent && index.len() >= PAGES_MIN {
            let held = names.iter().filter_map(|name| holders.get(name));
            let mut evidence: Vec<u64> =
                held.filter(|pages| pages.len() <= HOLDERS_MAX).flatten().copied().collect();
            evidence.sort_unstable();
            evidence.dedup();
            let end = message.text.floor_char_boundary(QUERY_BYTES);
            let text = message.text.get(..end).unwrap_or_default();
            let candidates = index.candidates(&Query { text, ..Query::default() });
            examples.extend(Example::new(weight, candidates, &evidence));
        }
        index.add(&Page {
            id,
            text: message.text,
            group: message.run,
            order: id,
            ..Page::default()
        });
        for name in names {
            holders.entry(name).or_default().push(id);
        }
    }
    examples
}

/// The distinct whole names and long numbers of a text.
fn names(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    Analyser::default().analyse(text, &mut |term| {
        if matches!(term.kind, Kind::Whole | Kind::Number) && term.text.len() > 4 {
            names.push(term.text.to_owned());
        }
    });
    names.sort_unstable();
    names.dedup();
    names
}

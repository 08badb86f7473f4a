//! What a query asks for, understood against an index: terms with their weight, who and when it
//! names, and what kind of answer it wants.

mod expect;

use std::sync::Arc;

use crate::analyse::{Analyser, Kind, Term};
use crate::concept;
use crate::date::{self, Day, Mention};
use crate::index::Index;
use crate::page::unit;

pub(crate) use expect::Expect;

/// Most distinct terms of a query. They are a bit each in the masks of [`crate::matches`], and a
/// question has a dozen; of a long text the rarest are kept.
pub const QUERY_TERMS_MAX: usize = 64;

/// Most terms that stand for a term of the query that is spelt otherwise or means nearly the same.
const RELATED_MAX: usize = 256;

/// A search.
#[derive(Debug, Clone, Copy, Default)]
pub struct Query<'a> {
    /// The question, or any text whose like is wanted.
    pub text: &'a str,
    /// Today, for "yesterday" and the like.
    pub now: Option<Day>,
    /// The query's embedding, by the same model as the pages'.
    pub vector: Option<&'a [f32]>,
    /// Only pages of these kinds; empty for all.
    pub kinds: &'a [&'a str],
}

/// One term of a query.
#[derive(Debug)]
pub(crate) struct Column {
    /// None if no page holds it.
    pub(crate) term: Option<u32>,
    pub(crate) rarity: f32,
    pub(crate) kind: Kind,
    /// Terms nearly as good.
    pub(crate) related: Vec<u32>,
    /// The rarity of it and the related ones together.
    pub(crate) related_rarity: f32,
}

/// A query as the index sees it.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) columns: Vec<Column>,
    /// Columns whose terms follow each other in the query.
    pub(crate) pairs: Vec<(usize, usize)>,
    /// Who of those that speak is named.
    pub(crate) speakers: Vec<Arc<str>>,
    pub(crate) mentions: Vec<Mention>,
    pub(crate) expect: Expect,
    pub(crate) vector: Option<Box<[f32]>>,
    pub(crate) kinds: &'a [&'a str],
    /// All rarities together, at least a little more than nothing.
    pub(crate) weight: f32,
}

impl<'a> Asked<'a> {
    pub(crate) fn new(index: &Index, query: &Query<'a>) -> Self {
        let mut builder = Builder {
            index,
            speakers: speaker_words(index),
            terms: Vec::new(),
            named: Vec::new(),
            order: Vec::new(),
            words: Vec::new(),
        };
        Analyser::default().analyse(query.text, &mut |term| builder.take(term));
        let Builder { terms, order, words, named, .. } = builder;
        let mut kept: Vec<usize> = (0..terms.len()).collect();
        let rarity = |at: &usize| terms.get(*at).map_or(0.0, |term: &Found| term.column.rarity);
        kept.sort_by(|a, b| rarity(b).total_cmp(&rarity(a)).then(a.cmp(b)));
        kept.truncate(QUERY_TERMS_MAX);
        kept.sort_unstable();
        let renumbered: Vec<Option<usize>> =
            (0..terms.len()).map(|at| kept.binary_search(&at).ok()).collect();
        let new = |at: &usize| renumbered.get(*at).copied().flatten();
        let pairs = order
            .windows(2)
            .filter_map(|two| match two {
                [Some(a), Some(b)] if a != b => Some((new(a)?, new(b)?)),
                _ => None,
            })
            .collect();
        let columns: Vec<Column> = terms
            .into_iter()
            .enumerate()
            .filter(|(at, _)| kept.binary_search(at).is_ok())
            .map(|(_, found)| found.column)
            .collect();
        let weight = columns.iter().map(|column| column.rarity).sum::<f32>().max(0.01);
        Asked {
            columns,
            pairs,
            speakers: named,
            mentions: date::mentions(query.text, query.now),
            expect: Expect::of(query.text, &words),
            vector: query.vector.and_then(unit),
            kinds: query.kinds,
            weight,
        }
    }
}

struct Found {
    text: String,
    column: Column,
}

struct Builder<'i> {
    index: &'i Index,
    speakers: Vec<(String, Arc<str>)>,
    terms: Vec<Found>,
    named: Vec<Arc<str>>,
    /// The term at each place of the query; none for stop words and names.
    order: Vec<Option<usize>>,
    words: Vec<String>,
}

impl Builder<'_> {
    fn take(&mut self, term: Term<'_>) {
        if matches!(term.kind, Kind::Stop | Kind::Word) && self.words.len() < QUERY_TERMS_MAX {
            self.words.push(term.word.to_owned());
        }
        if term.kind == Kind::Stop {
            return;
        }
        let before = self.named.len();
        for (word, who) in &self.speakers {
            if word == term.word && !self.named.contains(who) {
                self.named.push(Arc::clone(who));
            }
        }
        if self.named.len() > before || self.speakers.iter().any(|(word, _)| word == term.word) {
            self.order.push(None);
            return;
        }
        let at = self.terms.iter().position(|found| found.text == term.text);
        let at = at.unwrap_or_else(|| {
            let column = column(self.index, &term);
            self.terms.push(Found { text: term.text.to_owned(), column });
            self.terms.len() - 1
        });
        if matches!(term.kind, Kind::Word | Kind::Number | Kind::Character) {
            self.order.push(Some(at));
        }
    }
}

/// Every word of the names of those who speak.
fn speaker_words(index: &Index) -> Vec<(String, Arc<str>)> {
    let mut words = Vec::new();
    for who in index.speakers() {
        Analyser::default().analyse(who, &mut |term| {
            if matches!(term.kind, Kind::Word | Kind::Pair) {
                words.push((term.word.to_owned(), Arc::clone(who)));
            }
        });
    }
    words
}

fn column(index: &Index, term: &Term<'_>) -> Column {
    let number = index.term(term.text);
    let pages = number.map_or(0, |number| index.postings(number).len());
    let mut related = Vec::new();
    if term.kind == Kind::Word {
        related.extend(concept::related(term.text).iter().filter_map(|other| index.term(other)));
        if let Some(prefix) = spelling_prefix(term.text) {
            let near = index.terms_from(prefix).filter(|(text, _)| near(term.text, text));
            related.extend(near.map(|(_, other)| other));
        }
        related.sort_unstable();
        related.dedup();
        related.retain(|other| Some(*other) != number);
        related.truncate(RELATED_MAX);
    }
    let rarity = index.rarity(pages);
    let others: usize = related.iter().map(|other| index.postings(*other).len()).sum();
    let related_rarity = index.rarity((pages + others).min(index.len())).min(rarity);
    Column { term: number, rarity, kind: term.kind, related, related_rarity }
}

/// What another spelling of a word is taken to begin with; short words have none.
fn spelling_prefix(stem: &str) -> Option<&str> {
    stem.get(..4).filter(|_| stem.is_ascii())
}

/// Whether two stems are likely to be of one family, or one a misspelling of the other: they share
/// their first letters, all but the last three at most.
fn near(a: &str, b: &str) -> bool {
    let shared = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    let longer = a.len().max(b.len());
    shared + 3 >= longer && shared * 3 >= longer * 2 && b.is_ascii()
}

//! What a query asks for, understood against an index: terms with their weight, who and when it
//! names, and what kind of answer it wants.

mod expect;

use std::sync::Arc;

use crate::analyse::{Analyser, Kind, Term};
use crate::concept;
use crate::date::{self, Day, Mention};
use crate::index::Index;
use crate::page::{start_of, unit};

pub(crate) use expect::Expect;

/// Most distinct terms of a query. They are a bit each in the masks of `matches`, and a
/// question has a dozen; of a long text the rarest are kept.
pub const QUERY_TERMS_MAX: usize = 64;

/// Weights are divided by no less.
const LEAST: f32 = 0.01;

/// Most bytes that are read of a query. Two pages of text say what is wanted.
pub const QUERY_BYTES_MAX: usize = 8_192;

/// Most terms that stand for one term of a query; the longest line of `concepts.txt` has fewer.
const RELATED_MAX: usize = 256;

/// Most terms that are looked at because they begin like a term of the query.
const ALIKE_MAX: usize = 1_000;

/// Most speakers among whom a query can name one, and most bytes of a name. A conversation has a
/// handful.
const SPEAKERS_MAX: usize = 256;
const NAME_BYTES_MAX: usize = 256;

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
    /// Columns whose terms stand beside each other in the query, the smaller one first.
    pub(crate) pairs: Vec<(usize, usize)>,
    /// Who of those that speak is named.
    pub(crate) speakers: Vec<Arc<str>>,
    pub(crate) mentions: Vec<Mention>,
    pub(crate) expect: Expect,
    pub(crate) vector: Option<Box<[f32]>>,
    pub(crate) kinds: &'a [&'a str],
    /// All rarities together, at least a little more than nothing.
    pub(crate) weight: f32,
    /// The largest rarity of a term that some page holds, likewise.
    pub(crate) rarest: f32,
    /// A bit for each column that is a number or a whole name.
    pub(crate) exact_names: u64,
}

impl<'a> Asked<'a> {
    pub(crate) fn new(index: &Index, query: &Query<'a>) -> Self {
        let text = start_of(query.text, QUERY_BYTES_MAX);
        let found = Found::in_text(index, text);
        let kept = found.rarest();
        let new = |at: usize| kept.binary_search(&at).ok();
        let follow = found.order.windows(2).filter_map(|two| match two {
            [Some(a), Some(b)] if a != b => Some((new(*a)?, new(*b)?)),
            _ => None,
        });
        let mut pairs: Vec<(usize, usize)> = follow.map(|(a, b)| (a.min(b), a.max(b))).collect();
        pairs.sort_unstable();
        pairs.dedup();
        let terms = kept.iter().filter_map(|at| found.terms.get(*at));
        let columns: Vec<Column> = terms.map(|term| term.column(index)).collect();
        let weight = columns.iter().map(|column| column.rarity).sum::<f32>().max(LEAST);
        let held = columns.iter().filter(|column| column.term.is_some());
        let rarest = held.map(|column| column.rarity).fold(LEAST, f32::max);
        let names = columns.iter().enumerate().filter(|(_, column)| column.kind.is_name());
        let exact_names = names.fold(0, |mask, (at, _)| mask | 1 << at);
        Asked {
            columns,
            pairs,
            mentions: date::mentions(text, query.now),
            expect: Expect::of(text, &found.words),
            speakers: found.named,
            vector: query.vector.and_then(unit),
            kinds: query.kinds,
            weight,
            rarest,
            exact_names,
        }
    }
}

/// A distinct term of a query.
struct Wanted {
    text: String,
    kind: Kind,
    term: Option<u32>,
    pages: usize,
    rarity: f32,
}

impl Wanted {
    fn column(&self, index: &Index) -> Column {
        let mut related = Vec::new();
        if self.kind == Kind::Word {
            let others = concept::related(&self.text).iter();
            related.extend(others.filter_map(|other| index.term(other)));
            if let Some(prefix) = spelling_prefix(&self.text) {
                let begin_alike = index.terms_from(prefix).take(ALIKE_MAX);
                let near = begin_alike.filter(|(text, _)| near(&self.text, text));
                related.extend(near.map(|(_, other)| other));
            }
            related.sort_unstable();
            related.dedup();
            related.retain(|other| Some(*other) != self.term);
            related.truncate(RELATED_MAX);
        }
        let others: usize = related.iter().map(|other| index.postings(*other).len()).sum();
        let together = index.rarity((self.pages + others).min(index.len()));
        Column {
            term: self.term,
            rarity: self.rarity,
            kind: self.kind,
            related,
            related_rarity: together.min(self.rarity),
        }
    }
}

/// What a query's text is made of.
#[derive(Default)]
struct Found {
    terms: Vec<Wanted>,
    /// The term at each place of the query; none for stop words and names.
    order: Vec<Option<usize>>,
    /// The speakers that it names.
    named: Vec<Arc<str>>,
    /// Its words, stop words too, in lower case.
    words: Vec<String>,
}

impl Found {
    fn in_text(index: &Index, text: &str) -> Self {
        let speakers = speaker_words(index);
        let mut found = Found::default();
        Analyser::default().analyse(text, &mut |term| found.take(index, &speakers, term));
        found
    }

    fn take(&mut self, index: &Index, speakers: &[(String, Arc<str>)], term: Term<'_>) {
        if matches!(term.kind, Kind::Stop | Kind::Word) {
            self.words.push(term.word.to_owned());
        }
        if term.kind == Kind::Stop {
            return;
        }
        let mut names = speakers.iter().filter(|(word, _)| word == term.word).peekable();
        if names.peek().is_some() {
            for (_, who) in names {
                if !self.named.contains(who) {
                    self.named.push(Arc::clone(who));
                }
            }
            self.order.push(None);
            return;
        }
        let known = self.terms.iter().position(|wanted| wanted.text == term.text);
        let at = known.unwrap_or_else(|| {
            let number = index.term(term.text);
            let pages = number.map_or(0, |number| index.postings(number).len());
            let (text, rarity) = (term.text.to_owned(), index.rarity(pages));
            self.terms.push(Wanted { text, kind: term.kind, term: number, pages, rarity });
            self.terms.len() - 1
        });
        if matches!(term.kind, Kind::Word | Kind::Number | Kind::Character) {
            self.order.push(Some(at));
        }
    }

    /// The places of the rarest terms, as many as are kept, in order.
    fn rarest(&self) -> Vec<usize> {
        let mut places: Vec<(usize, f32)> =
            self.terms.iter().enumerate().map(|(at, term)| (at, term.rarity)).collect();
        places.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let mut kept: Vec<usize> =
            places.into_iter().take(QUERY_TERMS_MAX).map(|(at, _)| at).collect();
        kept.sort_unstable();
        kept
    }
}

/// Every word of the names of those who speak.
fn speaker_words(index: &Index) -> Vec<(String, Arc<str>)> {
    let mut words = Vec::new();
    for who in index.speakers().take(SPEAKERS_MAX) {
        Analyser::default().analyse(start_of(who, NAME_BYTES_MAX), &mut |term| {
            if matches!(term.kind, Kind::Word | Kind::Pair) {
                words.push((term.word.to_owned(), Arc::clone(who)));
            }
        });
    }
    words
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

#[cfg(test)]
mod tests;

//! What speaks for a page as the answer to a query, as numbers around 0 to 1.
//!
//! A feature that knows nothing (no date in the query, no speaker, no vector) is 0 for every page
//! and so changes no order.

mod context;
mod facts;
mod lexical;
mod style;
mod vector;

use vector::Similar;

use crate::index::Index;
use crate::matches::Matches;
use crate::page::Kept;
use crate::query::Asked;

/// The names of the features, in the order of their numbers.
pub const FEATURES: [&str; 29] = [
    "bm25",
    "bm25_share",
    "cover",
    "cover_related",
    "rarest",
    "pairs",
    "exact_names",
    "before",
    "window",
    "window_cover",
    "wide",
    "wide_cover",
    "speaker",
    "day",
    "day_mentioned",
    "late",
    "length",
    "substance",
    "asks",
    "answers",
    "answers_match",
    "first_person",
    "second_person",
    "opening",
    "quotes",
    "time_told",
    "name_told",
    "vector",
    "vector_window",
];

/// How many features there are.
pub const COUNT: usize = FEATURES.len();

/// The features of one page for one query.
pub type Features = [f32; COUNT];

/// Everything that features are computed from.
pub(crate) struct Scene<'a> {
    pub(crate) index: &'a Index,
    pub(crate) asked: &'a Asked<'a>,
    pub(crate) matches: &'a Matches,
    best: Plain,
    similar: Similar,
    rarities: Vec<f32>,
}

/// Nothing is divided by less.
const LEAST: f32 = 0.01;

/// The BM25 scores of one page; or the largest ones of all candidates.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plain {
    pub(crate) own: f32,
    /// With those beside it.
    pub(crate) window: f32,
    /// With more of those around it.
    pub(crate) wide: f32,
}

/// Pages that hold a term, up to which its rarity is reckoned ahead.
const RARITIES: usize = 1_024;

impl<'a> Scene<'a> {
    pub(crate) fn new(index: &'a Index, asked: &'a Asked<'a>, matches: &'a Matches) -> Self {
        let best = Plain { own: LEAST, window: LEAST, wide: LEAST };
        let rarities = (0..=index.len().min(RARITIES)).map(|pages| index.rarity(pages)).collect();
        Scene { index, asked, matches, best, similar: Similar::of(index, asked), rarities }
    }

    /// The scores of the candidates, and the largest of them to measure the others by.
    pub(crate) fn measure(&mut self, places: &[usize]) -> Vec<Plain> {
        let scores = places.iter().map(|place| Plain {
            own: lexical::bm25(self, *place),
            window: context::around(self, *place, context::NEAR),
            wide: context::around(self, *place, context::WIDE),
        });
        let scores: Vec<Plain> = scores.collect();
        self.best = scores.iter().fold(self.best, |best, plain| Plain {
            own: best.own.max(plain.own),
            window: best.window.max(plain.window),
            wide: best.wide.max(plain.wide),
        });
        scores
    }

    /// How rare a term is that so many pages hold.
    pub(crate) fn rarity(&self, pages: usize) -> f32 {
        self.rarities.get(pages).copied().unwrap_or_else(|| self.index.rarity(pages))
    }

    /// A plain score, cheap enough for every page.
    pub(crate) fn plain(&self, place: usize) -> f32 {
        let (exact, related) = (self.matches.exact(place), self.matches.related(place));
        let similar = self.similar.at(place);
        if exact | related == 0 {
            return similar;
        }
        similar
            + lexical::bm25(self, place) / self.asked.weight
            + lexical::ask_related(self.asked, exact, related)
    }

    /// The page so many places away, if it is of the same group.
    pub(crate) fn beside(&self, place: usize, steps: isize) -> Option<(usize, &'a Kept)> {
        let there = place.checked_add_signed(steps)?;
        let (here, other) = (self.index.at(place)?, self.index.at(there)?);
        (here.group == other.group).then_some((there, other))
    }

    /// All features of the page at `place`, whose scores are `plain`.
    pub(crate) fn features(&self, place: usize, plain: Plain) -> Features {
        let mut features = [0.0; COUNT];
        let Some(page) = self.index.at(place) else { return features };
        let own = lexical::Own::of(self, place, page, plain.own);
        let near = context::Near::of(self, place, page, plain);
        let facts = facts::Facts::of(self, place, page);
        let style = style::Style::of(self, page, &near);
        let values = [
            own.bm25,
            own.bm25_share,
            own.cover,
            own.cover_related,
            own.rarest,
            own.pairs,
            own.exact_names,
            near.before,
            near.window,
            near.window_cover,
            near.wide,
            near.wide_cover,
            facts.speaker,
            facts.day,
            facts.mentioned,
            facts.late,
            own.length,
            own.substance,
            style.asks,
            style.answers,
            style.answers * near.before_cover,
            style.first_person,
            style.second_person,
            style.opening,
            style.quotes,
            style.time_told,
            style.name_told,
            self.similar.at(place),
            self.similar.beside(self, place),
        ];
        features.copy_from_slice(&values);
        features
    }
}

//! From a query to pages in order.
//!
//! Two passes. Plain scores over every page choose the candidates; only they are looked at closely.

use crate::feature::{FEATURES, Features, Scene};
use crate::index::Index;
use crate::matches::Matches;
use crate::query::{Asked, Query};
use crate::rank::Ranker;

/// Most pages that are looked at closely, and so the most that a search finds. A conversation has
/// fewer; of more pages those behind have little of the query in them or beside them.
pub const CANDIDATES_MAX: usize = 1_024;

/// A page that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// The page's id.
    pub id: u64,
    /// What speaks for it, on a scale of this search alone.
    pub score: f32,
    /// The share of the query, rare terms counting more, that the page holds by itself: from 0 to
    /// 1 in any search. Whoever brings pages in unasked wants a bound on it.
    pub cover: f32,
    /// How near its embedding is to the query's: 1 for the nearest of all pages, 0 for one like any or
    /// if one of the two has none, less for one that is farther than most.
    pub similar: f32,
}

/// A page with its features: what a ranker is fitted on.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The page's id.
    pub id: u64,
    /// Its features.
    pub features: Features,
}

impl Index {
    /// The pages that fit a query best, best first, `limit` at most.
    ///
    /// Pages that have nothing of the query come last, but come: they may be what was meant by
    /// other words. Their [`Hit::cover`] is 0.
    #[must_use]
    pub fn search(&self, query: &Query<'_>, ranker: &Ranker, limit: usize) -> Vec<Hit> {
        let weights = ranker.weights(query.vector.is_some());
        let place = |name| FEATURES.iter().position(|feature| *feature == name);
        let (cover, similar) = (place("cover"), place("vector"));
        let at = |features: &Features, place: Option<usize>| {
            place.and_then(|at| features.get(at)).copied().unwrap_or_default()
        };
        let mut hits: Vec<Hit> = self
            .candidates(query)
            .iter()
            .map(|candidate| Hit {
                id: candidate.id,
                score: weights.score(&candidate.features),
                cover: at(&candidate.features, cover),
                similar: at(&candidate.features, similar),
            })
            .collect();
        // Of two that are equal the one with the smaller id comes first, so that the order is one.
        hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
        hits.truncate(limit);
        hits
    }

    /// The pages worth a closer look with their features, in no order of worth.
    #[must_use]
    pub fn candidates(&self, query: &Query<'_>) -> Vec<Candidate> {
        let asked = Asked::new(self, query);
        let matches = Matches::new(self, &asked);
        let mut scene = Scene::new(self, &asked, &matches);
        let places = choose(&scene);
        let scores = scene.measure(&places);
        let found = places.into_iter().zip(scores).filter_map(|(place, plain)| {
            Some(Candidate { id: self.at(place)?.id, features: scene.features(place, plain) })
        });
        found.collect()
    }
}

/// The places of the candidates in line, by plain scores.
fn choose(scene: &Scene<'_>) -> Vec<usize> {
    let mut places: Vec<usize> = (0..scene.index.len()).filter(|at| wanted(scene, *at)).collect();
    if places.len() <= CANDIDATES_MAX {
        return places;
    }
    let own: Vec<f32> = (0..scene.index.len()).map(|place| scene.plain(place)).collect();
    let score = |place: usize| {
        let at = |place: Option<usize>| place.and_then(|at| own.get(at)).copied().unwrap_or(0.0);
        at(Some(place)) + 0.5 * at(place.checked_sub(1)).max(at(place.checked_add(1)))
    };
    let mut scored: Vec<(usize, f32)> = places.iter().map(|at| (*at, score(*at))).collect();
    scored.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    places = scored.into_iter().take(CANDIDATES_MAX).map(|(place, _)| place).collect();
    places.sort_unstable();
    places
}

/// Whether a page is of a kind that the query asks for.
fn wanted(scene: &Scene<'_>, place: usize) -> bool {
    let kinds = scene.asked.kinds;
    let kind = || scene.index.at(place).and_then(|page| page.kind.as_deref());
    kinds.is_empty() || kind().is_some_and(|kind| kinds.contains(&kind))
}

#[cfg(test)]
mod tests;

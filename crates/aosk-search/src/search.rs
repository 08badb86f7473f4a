//! From a query to pages in order.

use crate::feature::{Features, Scene, context_scores, own_score};
use crate::index::Index;
use crate::matches::Matches;
use crate::query::{Asked, Query};
use crate::rank::Weights;

/// Most pages that are looked at closely. The others keep the order of their plain scores, behind.
pub const CANDIDATES_MAX: usize = 1_024;

/// A page that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// The page's id.
    pub id: u64,
    /// What speaks for it. Comparable within one search only.
    pub score: f32,
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
    #[must_use]
    pub fn search(&self, query: &Query<'_>, weights: &Weights, limit: usize) -> Vec<Hit> {
        let candidates = self.candidates(query);
        let mut hits: Vec<Hit> = candidates
            .iter()
            .map(|candidate| Hit { id: candidate.id, score: weights.score(&candidate.features) })
            .collect();
        // Of two that are equal the earlier page comes first, so that the order is one.
        hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
        hits.truncate(limit);
        hits
    }

    /// The pages worth a closer look, with their features.
    #[must_use]
    pub fn candidates(&self, query: &Query<'_>) -> Vec<Candidate> {
        let asked = Asked::new(self, query);
        let matches = Matches::new(self, &asked);
        let mut scene = Scene::new(self, &asked, &matches);
        let places = choose(&mut scene);
        let found = places.into_iter().filter_map(|place| {
            Some(Candidate { id: self.at(place)?.id, features: scene.features(place) })
        });
        found.collect()
    }
}

/// The places of the candidates, by plain scores.
fn choose(scene: &mut Scene<'_>) -> Vec<usize> {
    let mut scored: Vec<(usize, f32)> = Vec::new();
    let own: Vec<f32> = (0..scene.index.line().len()).map(|place| own_score(scene, place)).collect();
    scene.best.own = own.iter().copied().fold(0.01, f32::max);
    for (place, score) in own.iter().enumerate() {
        let Some(page) = scene.index.at(place) else { continue };
        let wanted = scene.asked.kinds.is_empty()
            || page.kind.as_ref().is_some_and(|kind| scene.asked.kinds.contains(&kind.as_ref()));
        if !wanted {
            continue;
        }
        let (window, wide) = context_scores(scene, place);
        scene.best.window = scene.best.window.max(window);
        scene.best.wide = scene.best.wide.max(wide);
        scored.push((place, score + 0.5 * window));
    }
    if scored.len() > CANDIDATES_MAX {
        scored.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        scored.truncate(CANDIDATES_MAX);
    }
    scored.into_iter().map(|(place, _)| place).collect()
}

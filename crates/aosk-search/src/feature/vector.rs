//! How near the meaning of a page is to the query's, where embeddings were given.

use crate::index::Index;
use crate::query::Asked;

use super::Scene;

/// The similarity of every page, on a scale of the query's own: 0 for a page like any, 1 for the
/// most similar. Models differ in what cosine they give to texts that have nothing in common.
#[derive(Debug)]
pub(crate) struct Similar(Vec<f32>);

impl Similar {
    pub(crate) fn of(index: &Index, asked: &Asked<'_>) -> Self {
        let Some(query) = &asked.vector else { return Similar(Vec::new()) };
        let cosines: Vec<Option<f32>> = (0..index.line().len())
            .map(|place| {
                let own = index.at(place)?.vector.as_ref()?;
                let product = query.iter().zip(own).map(|(a, b)| a * b).sum();
                (query.len() == own.len()).then_some(product)
            })
            .collect();
        let known = || cosines.iter().flatten().copied();
        let mean = known().sum::<f32>() / known().count().max(1) as f32;
        let top = known().fold(mean, f32::max);
        let scale = 1.0 / (top - mean).max(0.01);
        Similar(cosines.iter().map(|c| c.map_or(0.0, |c| (c - mean) * scale)).collect())
    }

    pub(crate) fn at(&self, place: usize) -> f32 {
        self.0.get(place).copied().unwrap_or_default()
    }

    /// The larger one of the two neighbours.
    pub(crate) fn beside(&self, scene: &Scene<'_>, place: usize) -> f32 {
        let one = |steps| scene.beside(place, steps).map_or(0.0, |(there, _)| self.at(there));
        if self.0.is_empty() { 0.0 } else { one(-1).max(one(1)) }
    }
}

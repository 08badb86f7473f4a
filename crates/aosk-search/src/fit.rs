//! Fits the weights: a softmax over the pages of each question, with the evidence to be likely.
//!
//! Plain gradient steps over all questions from zero, in a fixed order: the same data give the same
//! weights.

use crate::feature::{COUNT, FEATURES, Features};
use crate::rank::Weights;

/// The candidates of one question, and which of them are evidence.
#[derive(Debug, Clone)]
pub struct Example {
    /// The conversation it belongs to.
    pub group: usize,
    /// How much it counts.
    pub weight: f32,
    /// The features of every candidate.
    pub features: Vec<Features>,
    /// The places of the evidence among them; not empty.
    pub evidence: Vec<usize>,
}

/// Features that can only speak for a page: a negative weight is an accident of the examples.
const NEVER_AGAINST: [&str; 19] = [
    "bm25", "bm25_share", "cover", "cover_related", "rarest", "pairs", "exact_names", "before",
    "window", "window_cover", "wide", "wide_cover", "speaker", "speaker_cover", "speaker_window",
    "day", "day_mentioned", "late", "vector",
];

/// How weights are fitted.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Steps.
    pub steps: usize,
    /// How large a step is.
    pub rate: f32,
    /// How much large weights are held back.
    pub ridge: f32,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { steps: 250, rate: 0.08, ridge: 0.002 }
    }
}

/// The weights that make the evidence of `examples` likely.
#[must_use]
pub fn fit<'a>(
    examples: impl Iterator<Item = &'a Example> + Clone,
    settings: Settings,
) -> Weights {
    let count = examples.clone().map(|example| example.weight).sum::<f32>().max(1.0);
    let mut weights = Weights([0.0; COUNT]);
    let (mut mean, mut square) = ([0.0_f32; COUNT], [0.0_f32; COUNT]);
    for step in 1..=settings.steps {
        let mut slope = [0.0_f32; COUNT];
        for example in examples.clone() {
            add_slope(&weights, example, &mut slope);
        }
        let step = i32::try_from(step).unwrap_or(i32::MAX);
        let (fade_mean, fade_square) = (1.0 - 0.9_f32.powi(step), 1.0 - 0.99_f32.powi(step));
        let moments = mean.iter_mut().zip(square.iter_mut());
        for ((weight, slope), (mean, square)) in weights.0.iter_mut().zip(slope).zip(moments) {
            let slope = slope / count + 2.0 * settings.ridge * *weight;
            *mean = 0.9 * *mean + 0.1 * slope;
            *square = 0.99 * *square + 0.01 * slope * slope;
            *weight -= settings.rate * (*mean / fade_mean) / ((*square / fade_square).sqrt() + 1e-8);
        }
        for (weight, name) in weights.0.iter_mut().zip(FEATURES) {
            if NEVER_AGAINST.contains(&name) {
                *weight = weight.max(0.0);
            }
        }
    }
    weights
}

/// Adds how the loss of one example changes with the weights.
fn add_slope(weights: &Weights, example: &Example, slope: &mut [f32; COUNT]) {
    let scores: Vec<f32> = example.features.iter().map(|page| weights.score(page)).collect();
    let top = scores.iter().copied().fold(f32::MIN, f32::max);
    let chances: Vec<f32> = scores.iter().map(|score| (score - top).exp()).collect();
    let total: f32 = chances.iter().sum();
    for (chance, features) in chances.iter().zip(&example.features) {
        let chance = example.weight * chance / total;
        if chance > 1e-6 {
            for (slope, feature) in slope.iter_mut().zip(features) {
                *slope += chance * feature;
            }
        }
    }
    let share = example.weight / example.evidence.len().max(1) as f32;
    for features in example.evidence.iter().filter_map(|at| example.features.get(*at)) {
        for (slope, feature) in slope.iter_mut().zip(features) {
            *slope -= share * feature;
        }
    }
}

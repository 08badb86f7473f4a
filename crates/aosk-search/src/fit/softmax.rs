//! Fits weights: of the pages that a question could mean, the evidence is to be likely.
//!
//! A softmax over the candidates of each question, a ridge that holds the weights small, and
//! gradient steps (Adam) over all examples in a fixed order: the same data give the same weights.

use crate::feature::{COUNT, FEATURES};
use crate::rank::Weights;

use super::Example;

/// Features that can only speak for a page: a negative weight is an accident of the examples.
const NEVER_AGAINST: [&str; 17] = [
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
    "vector",
];

/// How weights are fitted.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Steps.
    pub steps: u16,
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
pub fn fit(examples: &[&Example], settings: Settings) -> Weights {
    let count = examples.iter().map(|example| example.weight).sum::<f32>().max(f32::MIN_POSITIVE);
    let mut weights = Weights([0.0; COUNT]);
    let mut moments = [Moments::default(); COUNT];
    for step in 1..=settings.steps {
        let mut slope = [0.0_f32; COUNT];
        for example in examples {
            add_slope(&weights, example, &mut slope);
        }
        let all = weights.0.iter_mut().zip(&mut moments).zip(slope).zip(FEATURES);
        for (((weight, moments), slope), name) in all {
            let slope = slope / count + 2.0 * settings.ridge * *weight;
            *weight -= settings.rate * moments.step(slope, step);
            if NEVER_AGAINST.contains(&name) {
                *weight = weight.max(0.0);
            }
        }
    }
    weights
}

/// Running means of one slope and of its square.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    mean: f32,
    square: f32,
}

impl Moments {
    /// How far to go, as a share of the rate.
    fn step(&mut self, slope: f32, step: u16) -> f32 {
        const MEAN: f32 = 0.9;
        const SQUARE: f32 = 0.99;
        self.mean = MEAN * self.mean + (1.0 - MEAN) * slope;
        self.square = SQUARE * self.square + (1.0 - SQUARE) * slope * slope;
        let mean = self.mean / (1.0 - MEAN.powi(i32::from(step)));
        let square = self.square / (1.0 - SQUARE.powi(i32::from(step)));
        mean / (square.sqrt() + 1e-8)
    }
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

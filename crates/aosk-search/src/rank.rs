//! The linear ranker: a weight for each feature.

use crate::feature::{COUNT, FEATURES, Features};

/// The weights that come along. The file says where they are from.
const FITTED: &str = include_str!("weights.txt");

/// A weight for each feature.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights(pub [f32; COUNT]);

impl Weights {
    /// What speaks for a page.
    #[must_use]
    pub fn score(&self, features: &Features) -> f32 {
        self.0.iter().zip(features).map(|(weight, feature)| weight * feature).sum()
    }

    /// Weight 1 for one feature and 0 for all others; a plain method to compare with.
    #[must_use]
    pub fn only(name: &str) -> Self {
        Weights(FEATURES.map(|feature| f32::from(u8::from(feature == name))))
    }
}

/// Weights for queries with and without a vector.
///
/// Two sets, because a vector takes over some of what words must do without it.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranker {
    /// Where the query has no vector.
    pub words: Weights,
    /// Where it has one.
    pub vectors: Weights,
}

/// Why weights could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WeightsError {
    /// A line is not a name and two numbers.
    #[error("cannot read weights: line {line} is not a feature and two numbers")]
    Line {
        /// The line, from 1.
        line: usize,
    },
    /// A line names what is no feature.
    #[error("cannot read weights: there is no feature `{name}`")]
    Unknown {
        /// The name.
        name: String,
    },
}

impl Ranker {
    /// The weights that come along.
    #[must_use]
    pub fn fitted() -> Self {
        // A test reads the file; were it broken, plain BM25 would still find something.
        Self::parse(FITTED).unwrap_or_else(|_| Self::of(Weights::only("bm25")))
    }

    /// The same weights for all queries.
    #[must_use]
    pub fn of(weights: Weights) -> Self {
        Ranker { words: weights, vectors: weights }
    }

    /// Reads lines of a feature, its weight without and its weight with vectors. `#` begins a
    /// comment; what is not named weighs 0.
    ///
    /// # Errors
    /// If a line is something else, or names no feature.
    pub fn parse(text: &str) -> Result<Self, WeightsError> {
        let mut ranker = Self::of(Weights([0.0; COUNT]));
        for (at, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default();
            let words: Vec<&str> = line.split_whitespace().collect();
            if words.is_empty() {
                continue;
            }
            let malformed = || WeightsError::Line { line: at + 1 };
            let [name, first, second] = words.as_slice() else { return Err(malformed()) };
            let number = |text: &str| -> Result<f32, WeightsError> {
                text.parse().ok().filter(|number: &f32| number.is_finite()).ok_or_else(malformed)
            };
            let place = FEATURES.iter().position(|feature| feature == name);
            let unknown = || WeightsError::Unknown { name: (*name).to_owned() };
            let place = place.ok_or_else(unknown)?;
            for (weights, text) in [(&mut ranker.words, first), (&mut ranker.vectors, second)] {
                *weights.0.get_mut(place).ok_or_else(unknown)? = number(text)?;
            }
        }
        Ok(ranker)
    }

    /// The form that [`Ranker::parse`] reads.
    #[must_use]
    pub fn print(&self) -> String {
        let lines = FEATURES.iter().zip(self.words.0).zip(self.vectors.0);
        lines.map(|((name, words), vectors)| format!("{name} {words:.3} {vectors:.3}\n")).collect()
    }

    /// The weights for a query.
    #[must_use]
    pub fn weights(&self, vector: bool) -> &Weights {
        if vector { &self.vectors } else { &self.words }
    }
}

#[cfg(test)]
mod tests;

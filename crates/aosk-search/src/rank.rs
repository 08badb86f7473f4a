//! The linear ranker: a weight for each feature.

use crate::feature::{COUNT, FEATURES, Features};

/// The weights that come along. The file says where they are from.
const FITTED: &str = include_str!("weights.txt");

/// A weight for each feature.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights(pub [f32; COUNT]);

/// Why weights could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WeightsError {
    /// A line is not a name and a number.
    #[error("cannot read weights: line {line} is not a feature and a number")]
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

impl Weights {
    /// The weights that come along.
    #[must_use]
    pub fn fitted() -> Self {
        Self::parse(FITTED).unwrap_or(Weights([0.0; COUNT]))
    }

    /// Reads lines of a feature and its weight. `#` begins a comment; what is not named is 0.
    ///
    /// # Errors
    /// If a line is neither, or names no feature.
    pub fn parse(text: &str) -> Result<Self, WeightsError> {
        let mut weights = [0.0; COUNT];
        for (at, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let malformed = || WeightsError::Line { line: at + 1 };
            let (name, number) = line.split_once(char::is_whitespace).ok_or_else(malformed)?;
            let number: f32 = number.trim().parse().map_err(|_| malformed())?;
            let feature = FEATURES.iter().position(|feature| *feature == name);
            let place = feature.and_then(|feature| weights.get_mut(feature));
            *place.ok_or_else(|| WeightsError::Unknown { name: name.to_owned() })? = number;
        }
        Ok(Weights(weights))
    }

    /// What speaks for a page.
    #[must_use]
    pub fn score(&self, features: &Features) -> f32 {
        self.0.iter().zip(features).map(|(weight, feature)| weight * feature).sum()
    }
}

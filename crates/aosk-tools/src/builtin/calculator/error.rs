//! Why an expression has no value.

use crate::limits::EXPRESSION_DEPTH_MAX;

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum MathError {
    /// Something else was expected at this character, counted from 1.
    #[error("expected {expected} at character {at}, found {found}")]
    Syntax {
        /// What would have been right.
        expected: &'static str,
        /// Where.
        at: usize,
        /// What is there.
        found: String,
    },
    /// Parentheses, signs or powers are nested too deeply.
    #[error("the expression is nested more than {EXPRESSION_DEPTH_MAX} deep")]
    TooDeep,
    /// A name that is neither a constant nor a function.
    #[error("{0:?} is neither a constant nor a function")]
    UnknownName(String),
    /// A function was given the wrong number of arguments.
    #[error("{0} takes {1}")]
    Arity(String, &'static str),
    /// Division by zero.
    #[error("division by zero")]
    DivisionByZero,
    /// The result is no real number, or too large.
    #[error("the result is not a real number or is too large")]
    Undefined,
    /// The factorial of something else than a small whole number.
    #[error("a factorial needs a whole number from 0 to 170")]
    Factorial,
    /// A function needs whole numbers.
    #[error("{0} needs whole numbers")]
    NotWhole(&'static str),
    /// A number with more digits than fit.
    #[error("{0:?} is not a number")]
    BadNumber(String),
}

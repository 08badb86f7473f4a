//! Days, spans of days, and where texts mention them.
//!
//! Nothing here asks what day it is: whoever wants "yesterday" understood says when it was said.

mod calendar;
mod mention;
mod relative;
mod words;

pub use calendar::Day;
pub(crate) use mention::in_year;
pub use mention::{Mention, mentions};

/// Days from the first to the last, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The first day.
    pub first: Day,
    /// The last day, not before the first.
    pub last: Day,
}

impl Span {
    /// The span of one day.
    #[must_use]
    pub fn day(day: Day) -> Span {
        Span { first: day, last: day }
    }

    /// How many days it has.
    #[must_use]
    pub fn days(self) -> i32 {
        self.last.0 - self.first.0 + 1
    }

    /// How many days lie between two spans; 0 if they touch or overlap.
    #[must_use]
    pub fn gap(self, other: Span) -> i32 {
        (self.first.0 - other.last.0).max(other.first.0 - self.last.0).max(0)
    }
}

#[cfg(test)]
mod tests;

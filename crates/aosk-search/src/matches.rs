//! Which page holds which term of a query: the one table that all features read.
//!
//! A row for each page in line, so that neighbours stand side by side, and a bit for each term.

use crate::index::Index;
use crate::query::Asked;

/// Occurrences of the query's terms.
#[derive(Debug)]
pub(crate) struct Matches {
    columns: usize,
    /// Occurrences, row by row.
    counts: Vec<u16>,
    /// A bit for each term that the page holds.
    exact: Vec<u64>,
    /// A bit for each term of which the page holds a related one.
    related: Vec<u64>,
    /// The column of each term of the vocabulary; [`NO_COLUMN`] for nearly all.
    column_of: Vec<u8>,
}

/// No column has this number.
const NO_COLUMN: u8 = u8::MAX;

/// The numbers of the bits that are set.
pub(crate) fn bits(mut mask: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lowest = mask.trailing_zeros();
        mask &= mask.wrapping_sub(1);
        (lowest < u64::BITS).then_some(lowest as usize)
    })
}

impl Matches {
    pub(crate) fn new(index: &Index, asked: &Asked<'_>) -> Self {
        let (rows, columns) = (index.line().len(), asked.columns.len());
        let mut table = Matches {
            columns,
            counts: vec![0; rows * columns],
            exact: vec![0; rows],
            related: vec![0; rows],
            column_of: vec![NO_COLUMN; index.numbers()],
        };
        for (at, column) in asked.columns.iter().enumerate() {
            if let Some(term) = column.term {
                if let Some(number) = table.column_of.get_mut(term as usize) {
                    *number = u8::try_from(at).unwrap_or(NO_COLUMN);
                }
                for (slot, count) in index.postings(term) {
                    let place = index.place(*slot);
                    if let Some(cell) = table.counts.get_mut(place * columns + at) {
                        *cell = *count;
                    }
                    if let Some(mask) = table.exact.get_mut(place) {
                        *mask |= 1 << at;
                    }
                }
            }
            for term in &column.related {
                for (slot, _) in index.postings(*term) {
                    if let Some(mask) = table.related.get_mut(index.place(*slot)) {
                        *mask |= 1 << at;
                    }
                }
            }
        }
        table
    }

    /// How often the page holds each term.
    pub(crate) fn row(&self, place: usize) -> &[u16] {
        let from = place * self.columns;
        self.counts.get(from..from + self.columns).unwrap_or_default()
    }

    /// The column of a term, if the query has it.
    pub(crate) fn column_of(&self, term: u32) -> Option<usize> {
        let column = self.column_of.get(term as usize).copied();
        column.filter(|column| *column != NO_COLUMN).map(usize::from)
    }

    pub(crate) fn exact(&self, place: usize) -> u64 {
        self.exact.get(place).copied().unwrap_or_default()
    }

    pub(crate) fn related(&self, place: usize) -> u64 {
        self.related.get(place).copied().unwrap_or_default()
    }
}

//! The sparse index of tables that only grow: which blocks of rows hold any of a process.
//!
//! A block is 256 rows that stand together, numbered from 1; SQL that reads one has the number in it.
//! The index need not be told of every row: a process is marked once in a block.

use std::collections::BTreeSet;

/// Rows in a block.
const ROWS: i64 = 256;

/// The block in which the row with this number stands, the first row being 1.
pub(super) fn block_of(row: i64) -> i64 {
    row.saturating_sub(1).div_euclid(ROWS)
}

/// What was marked in the newest block of each table. Forgetting it costs a few marks that are there
/// already; after a failed commit it must be forgotten, since its marks are not kept.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// Of the pages.
    pub(super) page: Newest,
    /// Of the journal.
    pub(super) journal: Newest,
}

/// The newest block of a table and the processes marked in it.
#[derive(Debug, Default)]
pub(super) struct Newest {
    block: i64,
    pids: BTreeSet<i64>,
}

impl Newest {
    /// Whether the process must be marked in this block.
    pub(super) fn is_new(&mut self, pid: i64, block: i64) -> bool {
        if self.block != block {
            self.block = block;
            self.pids.clear();
        }
        self.pids.insert(pid)
    }
}

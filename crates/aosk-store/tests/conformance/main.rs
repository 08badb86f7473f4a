//! What every store must do, run over each of them, and what only the embedded one can do.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "everything here is a test")]

mod crash;
mod sample;
mod sqlite;
mod suite;

use aosk_store::{Faults, Faulty, Memory, Sqlite, Store};
use tempfile::TempDir;

/// A place where a store lives on between openings.
trait Place {
    fn new() -> Self;
    /// Opens the store. The one before must be dropped.
    fn open(&self) -> Box<dyn Store>;
}

struct InMemory(Memory);

impl Place for InMemory {
    fn new() -> Self {
        Self(Memory::new())
    }
    fn open(&self) -> Box<dyn Store> {
        Box::new(self.0.clone())
    }
}

struct InDirectory(TempDir);

impl Place for InDirectory {
    fn new() -> Self {
        Self(TempDir::new().expect("a temporary directory"))
    }
    fn open(&self) -> Box<dyn Store> {
        Box::new(Sqlite::open(self.0.path()).expect("opens"))
    }
}

struct Wrapped(Memory);

impl Place for Wrapped {
    fn new() -> Self {
        Self(Memory::new())
    }
    fn open(&self) -> Box<dyn Store> {
        Box::new(Faulty::new(Box::new(self.0.clone()), &Faults::none()))
    }
}

macro_rules! conformance {
    ($($test:ident)*) => {
        conformance!(@ memory, InMemory, $($test)*);
        conformance!(@ directory, InDirectory, $($test)*);
        conformance!(@ wrapped, Wrapped, $($test)*);
    };
    (@ $name:ident, $place:ident, $($test:ident)*) => {
        mod $name {
            use super::{$place, Place, suite};
            $(#[test] fn $test() { suite::$test(&$place::new()); })*
        }
    };
}

conformance! {
    an_empty_store_is_empty
    every_kind_of_row_comes_back
    every_kind_of_row_can_be_deleted
    changes_apply_in_order
    a_refused_commit_leaves_nothing
    archived_processes_are_read_and_not_loaded
    pages_without_a_process_are_not_loaded
    bodies_are_kept_once
    large_and_foreign_text_comes_back
    the_journal_goes_on_after_a_restart
    the_journal_is_read_in_parts
    processes_are_read_in_parts
    budgets_are_read_in_order
    ten_thousand_rows_load_in_order
    a_reader_sees_commits_of_others
    random_batches_leave_what_a_model_says
    the_largest_numbers_come_back
}

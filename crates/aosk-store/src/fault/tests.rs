//! Tests of `fault`.

use aosk_abi::{RowChange, RowKey, RowOp};

use super::*;
use crate::Memory;

fn full() -> StoreError {
    StoreError::Full { attempted: "commit", reason: "as planned".into() }
}

fn put(value: &str) -> Batch {
    let row = RowChange { key: RowKey::Kernel, op: RowOp::Put(value.into()) };
    Batch { rows: vec![row], ..Batch::default() }
}

fn kernel(store: &dyn Store) -> Option<String> {
    store.reader().row(RowKey::Kernel).expect("reads")
}

#[test]
fn commits_fail_as_scripted_before_or_after_the_write() {
    let (memory, faults) = (Memory::new(), Faults::none());
    faults.on_commit(2, CommitFault::Refused(full()));
    faults.on_commit(3, CommitFault::Unacknowledged);
    let mut store = Faulty::new(Box::new(memory.clone()), &faults);
    store.commit(&[put("1")]).expect("commits");
    assert_eq!(store.commit(&[put("2")]), Err(full()));
    assert_eq!(kernel(&store), Some("1".into()));
    let error = store.commit(&[put("3")]).expect_err("is not acknowledged");
    assert!(!error.is_transient(), "it must not be tried again: {error}");
    assert_eq!(kernel(&store), Some("3".into()));
    // The plan counts on when the store is opened again.
    faults.on_commit(5, CommitFault::Refused(full()));
    let mut store = Faulty::new(Box::new(memory), &faults);
    store.commit(&[put("4")]).expect("commits");
    assert_eq!(store.commit(&[put("5")]), Err(full()));
    faults.on_next_commit(CommitFault::Refused(full()));
    assert_eq!(store.commit(&[put("6")]), Err(full()));
    assert_eq!((faults.commits(), kernel(&store)), (6, Some("4".into())));
}

#[test]
fn loads_fail_as_scripted() {
    let faults = Faults::none();
    let error = StoreError::Corrupt { attempted: "load", reason: "as planned".into() };
    faults.on_load(1, error.clone());
    let mut store = Faulty::new(Box::new(Memory::new()), &faults);
    assert_eq!(store.load(), Err(error));
    assert_eq!(store.load(), Ok(Image::default()));
    assert_eq!(faults.loads(), 2);
}

#[test]
fn seeds_repeat_and_keep_to_their_odds() {
    let run = |seed| -> Vec<Option<StoreError>> {
        let odds = Odds { full: 100, io: 50, unacknowledged: 50 };
        let mut store = Faulty::new(Box::new(Memory::new()), &Faults::seeded(seed, odds));
        (0..1_000).map(|_| store.commit(&[]).err()).collect()
    };
    let first = run(1);
    assert_eq!(first, run(1));
    assert_ne!(first, run(2));
    let failed = first.iter().flatten().count();
    let full = first.iter().flatten().filter(|error| error.is_transient()).count();
    assert!((150..250).contains(&failed), "{failed} of 1000 failed");
    assert!((60..140).contains(&full), "{full} of 1000 were full");
}

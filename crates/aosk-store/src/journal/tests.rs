//! Tests of `journal`.

use std::path::Path;

use aosk_abi::{Fact, Signal};
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::store::{Batch, Store};
use crate::{Memory, Sqlite};

const LENGTH: u64 = 12;

fn write(store: &mut dyn Store) -> Head {
    let entry = |number: u64| Entry {
        at: Timestamp(1_000 + number),
        pid: number.is_multiple_of(2).then_some(Pid(number)),
        fact: Fact::PolicySet { policy: format!("policy {number}") },
    };
    let journal = (1..=LENGTH).map(entry).collect();
    store.commit(&[Batch { journal, ..Batch::default() }]).expect("commits")
}

fn broken(seq: u64, flaw: Flaw) -> Result<Verified, VerifyError> {
    Err(VerifyError::Broken(Break { seq, flaw }))
}

/// Checks a memory store after `change` was done to its journal and its head.
fn memory(change: impl FnOnce(&mut Vec<StoredEntry>, &mut Head)) -> Result<Verified, VerifyError> {
    let mut store = Memory::new();
    write(&mut store);
    store.tamper(change);
    verify(store.reader().as_ref(), None)
}

/// Checks a store in a directory after `sql` was run on its database.
fn sqlite(sql: &str) -> Result<Verified, VerifyError> {
    let dir = TempDir::new().expect("a temporary directory");
    let mut store = Sqlite::open(dir.path()).expect("opens");
    write(&mut store);
    edit(dir.path(), sql);
    verify(store.reader().as_ref(), None)
}

fn edit(dir: &Path, sql: &str) {
    let database = Connection::open(dir.join("aosk.db")).expect("opens");
    database.execute_batch(sql).expect("runs");
}

#[test]
fn what_is_written_verifies() {
    let head = memory(|_, _| ()).expect("verifies").head;
    assert_eq!(head.length, LENGTH);
    assert_eq!(sqlite("").expect("verifies").head, head);
}

/// The layout is a promise to whoever checks a journal without this program.
#[test]
fn the_layout_is_as_documented() {
    let mut chain = Chain::at(Head { length: 6, hash: Hash::of(b"before") });
    let fact = Fact::Signalled { signal: Signal::Term };
    let (head, data) =
        chain.append(&Entry { at: Timestamp(5), pid: Some(Pid(9)), fact }).expect("is JSON");
    assert_eq!(data, r#"{"signal":"TERM"}"#);
    let mut bytes = Hash::of(b"before").0.to_vec();
    bytes.extend([7, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend([5, 0, 0, 0, 0, 0, 0, 0]);
    bytes.push(1);
    bytes.extend([9, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend([17, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend(b"process.signalled");
    bytes.extend([17, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend(br#"{"signal":"TERM"}"#);
    assert_eq!(head, Head { length: 7, hash: Hash::of(&bytes) });
}

#[test]
fn an_edit_of_any_field_is_found() {
    let at_five = broken(5, Flaw::Edited);
    assert_eq!(memory(|journal, _| journal[4].data.insert(2, 'x')), at_five);
    assert_eq!(memory(|journal, _| journal[4].kind.push('x')), at_five);
    assert_eq!(memory(|journal, _| journal[4].at.0 += 1), at_five);
    assert_eq!(memory(|journal, _| journal[4].pid = Some(Pid(0))), at_five);
    assert_eq!(memory(|journal, _| journal[4].hash.0[31] ^= 1), at_five);
    assert_eq!(sqlite("UPDATE journal SET data = replace(data, '5', '6') WHERE seq = 5"), at_five);
    assert_eq!(sqlite("UPDATE journal SET kind = 'other' WHERE seq = 5"), at_five);
    assert_eq!(sqlite("UPDATE journal SET at = at + 1 WHERE seq = 5"), at_five);
    assert_eq!(sqlite("UPDATE journal SET pid = 0 WHERE seq = 5"), at_five);
    assert_eq!(sqlite("UPDATE journal SET hash = zeroblob(32) WHERE seq = 5"), at_five);
}

#[test]
fn the_first_and_the_last_entry_are_no_exceptions() {
    assert_eq!(memory(|journal, _| journal[0].at.0 += 1), broken(1, Flaw::Edited));
    assert_eq!(memory(|journal, _| journal[11].at.0 += 1), broken(12, Flaw::Edited));
    assert_eq!(sqlite("DELETE FROM journal WHERE seq = 1"), broken(1, Flaw::Deleted));
}

#[test]
fn a_deletion_is_found() {
    let deleted = |journal: &mut Vec<StoredEntry>, _: &mut Head| drop(journal.remove(4));
    assert_eq!(memory(deleted), broken(5, Flaw::Deleted));
    assert_eq!(sqlite("DELETE FROM journal WHERE seq = 5"), broken(5, Flaw::Deleted));
    // Later ones moved up to hide the gap.
    let closed = "DELETE FROM journal WHERE seq = 5;
                  UPDATE journal SET seq = -seq WHERE seq > 5;
                  UPDATE journal SET seq = -seq - 1 WHERE seq < 0";
    assert_eq!(sqlite(closed), broken(5, Flaw::Edited));
}

#[test]
fn a_swap_is_found() {
    for (i, j) in [(4_usize, 5_usize), (2, 8)] {
        let (a, b) = (i as u64 + 1, j as u64 + 1);
        let moved = broken(a, Flaw::Moved { written_at: b });
        let swapped = |journal: &mut Vec<StoredEntry>, _: &mut Head| {
            journal.swap(i, j);
            (journal[i].seq, journal[j].seq) = (a, b);
        };
        assert_eq!(memory(swapped), moved);
        let swapped = format!(
            "UPDATE journal SET seq = -1 WHERE seq = {a};
             UPDATE journal SET seq = {a} WHERE seq = {b};
             UPDATE journal SET seq = {b} WHERE seq = -1"
        );
        assert_eq!(sqlite(&swapped), moved);
        // The content only, with the hashes left in place.
        let swapped = |journal: &mut Vec<StoredEntry>, _: &mut Head| {
            journal.swap(i, j);
            (journal[i].seq, journal[j].seq) = (a, b);
            let hash = journal[i].hash;
            journal[i].hash = journal[j].hash;
            journal[j].hash = hash;
        };
        assert_eq!(memory(swapped), moved);
    }
}

#[test]
fn swapped_hashes_are_no_moved_entry() {
    let swapped = |journal: &mut Vec<StoredEntry>, _: &mut Head| {
        let hash = journal[4].hash;
        journal[4].hash = journal[5].hash;
        journal[5].hash = hash;
    };
    assert_eq!(memory(swapped), broken(5, Flaw::Edited));
}

#[test]
fn a_cut_tail_is_found() {
    let cut = broken(10, Flaw::Truncated { length: LENGTH });
    assert_eq!(memory(|journal, _| journal.truncate(9)), cut);
    assert_eq!(sqlite("DELETE FROM journal WHERE seq >= 10"), cut);
    assert_eq!(sqlite("DELETE FROM journal"), broken(1, Flaw::Truncated { length: LENGTH }));
}

#[test]
fn a_cut_of_tail_and_head_is_found_by_a_head_kept_elsewhere() {
    let mut store = Memory::new();
    let noted = write(&mut store);
    store.tamper(|journal, head| {
        journal.truncate(9);
        *head = Head { length: 9, hash: journal[8].hash };
    });
    let reader = store.reader();
    assert!(verify(reader.as_ref(), None).is_ok(), "inside, nothing tells");
    let cut = broken(10, Flaw::Truncated { length: LENGTH });
    assert_eq!(verify(reader.as_ref(), Some(noted)), cut);
}

#[test]
fn a_chain_made_anew_is_found_by_a_head_kept_elsewhere() {
    let (mut ours, mut theirs) = (Memory::new(), Memory::new());
    let noted = write(&mut ours);
    let other =
        Entry { at: Timestamp(0), pid: None, fact: Fact::PolicySet { policy: "other".into() } };
    theirs.commit(&[Batch { journal: vec![other], ..Batch::default() }]).expect("commits");
    write(&mut theirs);
    assert!(verify(theirs.reader().as_ref(), None).is_ok(), "inside, nothing tells");
    assert_eq!(verify(theirs.reader().as_ref(), Some(noted)), broken(12, Flaw::Rewritten));
    // A journal that only grew since is fine.
    write(&mut ours);
    assert!(verify(ours.reader().as_ref(), Some(noted)).is_ok());
}

#[test]
fn entries_and_head_that_do_not_belong_together_are_found() {
    let appended = memory(|journal, head| {
        *head = Head { length: 9, hash: journal[8].hash };
    });
    assert_eq!(appended, broken(10, Flaw::Appended));
    let other_head = memory(|_, head| head.hash = Hash::ZERO);
    assert_eq!(other_head, broken(12, Flaw::Rewritten));
    assert_eq!(sqlite("DELETE FROM node WHERE kind = 0"), broken(1, Flaw::Appended));
}

#[test]
fn entries_beyond_either_end_are_found() {
    let at = |seq: i64| {
        sqlite(&format!("INSERT INTO journal VALUES ({seq}, 0, 5, 'x', '{{}}', zeroblob(32))"))
    };
    for seq in [0, -1, i64::MIN] {
        assert_eq!(at(seq), broken(seq.cast_unsigned(), Flaw::Planted));
    }
    for seq in [LENGTH.cast_signed() + 1, 9_999, i64::MAX] {
        let found = at(seq);
        if seq == LENGTH.cast_signed() + 1 {
            assert_eq!(found, broken(13, Flaw::Edited));
        } else {
            assert_eq!(found, broken(seq.cast_unsigned(), Flaw::Appended));
        }
    }
    let not_text = "INSERT INTO journal VALUES (-3, 0, 5, CAST(x'ff' AS TEXT), '', zeroblob(32))";
    assert_eq!(sqlite(not_text), broken(0, Flaw::Planted));
    assert_eq!(
        memory(|journal, _| {
            let first = StoredEntry { seq: 0, ..journal[0].clone() };
            journal.insert(0, first);
        }),
        broken(0, Flaw::Planted)
    );
    let told = at(-7).expect_err("is broken").to_string();
    assert_eq!(told, "verify the journal: an entry stands before the first: -7");
}

#[test]
fn an_entry_that_cannot_be_read_is_found_at_its_place() {
    let not_text = "UPDATE journal SET data = CAST(x'7bff7d' AS TEXT) WHERE seq = 5";
    assert_eq!(sqlite(not_text), broken(5, Flaw::Unreadable));
    let short_hash = "UPDATE journal SET hash = x'00' WHERE seq = 5";
    assert_eq!(sqlite(short_hash), broken(5, Flaw::Unreadable));
}

#[test]
fn a_long_journal_is_checked_in_chunks() {
    let mut store = Memory::new();
    for _ in 0..300 {
        write(&mut store);
    }
    assert_eq!(verify(&store, None).expect("verifies").head.length, 300 * LENGTH);
    store.tamper(|journal, _| journal[2_500].at.0 += 1);
    assert_eq!(verify(&store, None), broken(2_501, Flaw::Edited));
}

#[test]
fn a_break_is_told_in_one_line() {
    let error = broken(5, Flaw::Moved { written_at: 6 }).expect_err("is broken").public();
    assert_eq!(error.code, ErrorCode::JournalBroken);
    let message = "verify the journal: an entry was moved here from place 6: 5";
    assert_eq!(error.message, message);
}

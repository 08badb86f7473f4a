//! What only a store in a directory can do: be locked, be foreign, be full.

use std::fs;
use std::path::Path;

use aosk_abi::{ErrorCode, Hash, RowKey};
use aosk_store::sqlite::SqliteOptions;
use aosk_store::{Batch, Sqlite, Store, StoreError, verify};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::sample::{body, fact, facts, put, rows};

fn directory() -> TempDir {
    TempDir::new().expect("a temporary directory")
}

#[test]
fn a_second_opener_is_refused() {
    let dir = directory();
    let store = Sqlite::open(dir.path()).expect("opens");
    let error = Sqlite::open(dir.path()).expect_err("is locked");
    let holder = Some(std::process::id());
    assert_eq!(error, StoreError::Locked { dir: dir.path().into(), holder });
    let public = error.public();
    assert_eq!(public.code, ErrorCode::StoreLocked);
    let path = dir.path().display();
    let message = format!(
        "open the data directory: another kernel (process {}) has it: {path}",
        std::process::id()
    );
    assert_eq!(public.message, message);
    assert!(!public.hint.is_empty());
    drop(store);
    Sqlite::open(dir.path()).expect("opens again");
}

#[cfg(unix)]
#[test]
fn the_directory_is_made_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let dir = directory();
    let inner = dir.path().join("a/b");
    drop(Sqlite::open(&inner).expect("opens"));
    let mode = fs::metadata(&inner).expect("is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let dir = directory();
    drop(Sqlite::open(dir.path()).expect("opens"));
    let database = Connection::open(dir.path().join("aosk.db")).expect("opens");
    database.pragma_update(None, "user_version", 99).expect("writes");
    drop(database);
    let newer = StoreError::Newer { found: 99, known: 1 };
    assert_eq!(Sqlite::open(dir.path()).expect_err("is newer"), newer);
    assert_eq!(Sqlite::open_reader(dir.path()).err(), Some(newer.clone()));
    assert_eq!(newer.public().code, ErrorCode::StoreNewer);
}

#[test]
fn a_foreign_file_is_refused_and_left_alone() {
    let dir = directory();
    let path = dir.path().join("aosk.db");
    let foreign = StoreError::Foreign { path: path.clone() };

    let database = Connection::open(&path).expect("opens");
    database.execute_batch("CREATE TABLE photos (id INTEGER)").expect("writes");
    drop(database);
    let before = fs::read(&path).expect("reads");
    assert_eq!(Sqlite::open(dir.path()).expect_err("is foreign"), foreign);
    assert_eq!(Sqlite::open_reader(dir.path()).err(), Some(foreign.clone()));
    assert!(fs::read(&path).expect("reads") == before, "the file was changed");

    let text = "a letter that happens to have this name\n".repeat(50);
    fs::write(&path, &text).expect("writes");
    assert_eq!(Sqlite::open(dir.path()).expect_err("is foreign"), foreign);
    assert_eq!(fs::read_to_string(&path).expect("reads"), text);
}

#[test]
fn a_reader_needs_a_store_and_no_lock() {
    let dir = directory();
    let absent = StoreError::Absent { dir: dir.path().into() };
    assert_eq!(Sqlite::open_reader(dir.path()).err(), Some(absent.clone()));
    assert!(fs::read_dir(dir.path()).expect("reads").next().is_none(), "it makes nothing");
    fs::write(dir.path().join("aosk.db"), "").expect("writes");
    assert_eq!(Sqlite::open_reader(dir.path()).err(), Some(absent));

    let mut store = Sqlite::open(dir.path()).expect("opens");
    store.commit(&[rows([put(RowKey::Kernel, "1")])]).expect("commits");
    let reader = Sqlite::open_reader(dir.path()).expect("opens beside the writer");
    assert_eq!(reader.row(RowKey::Kernel), Ok(Some("1".into())));
    store.commit(&[rows([put(RowKey::Kernel, "2")])]).expect("commits");
    assert_eq!(reader.row(RowKey::Kernel), Ok(Some("2".into())));
    drop(store);
    assert_eq!(reader.row(RowKey::Kernel), Ok(Some("2".into())));
    drop(reader);
    let reader = Sqlite::open_reader(dir.path()).expect("opens without a writer");
    assert_eq!(reader.row(RowKey::Kernel), Ok(Some("2".into())));
}

#[test]
fn a_full_disk_keeps_what_was_committed() {
    let dir = directory();
    let options = SqliteOptions { pages_max: Some(200), ..SqliteOptions::default() };
    let mut store = Sqlite::open_with(dir.path(), &options).expect("opens");
    let batch = |number: u64| Batch {
        rows: vec![put(RowKey::Kernel, number.to_string())],
        journal: vec![fact(number, None)],
        bodies: vec![body(&format!("{number} {}", "x".repeat(20_000)))],
    };
    let mut kept = 0;
    let error = loop {
        match store.commit(&[batch(kept + 1)]) {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    assert!(error.is_transient());
    assert_eq!(error.public().code, ErrorCode::StoreFull);
    assert!(kept > 5, "the disk was full at once");
    // The smaller one after it fits: the failed transaction holds nothing.
    let head = store.commit(&[facts([fact(0, None)])]).expect("commits");
    assert_eq!(head.length, kept + 1);
    drop(store);

    let mut store = Sqlite::open(dir.path()).expect("opens");
    let image = store.load().expect("loads");
    assert_eq!(image.rows, [(RowKey::Kernel, kept.to_string())]);
    assert_eq!(verify(store.reader().as_ref(), None).expect("verifies").head, head);
    store.commit(&[batch(kept + 1)]).expect("there is room again");
}

#[test]
fn damage_is_told_from_absence() {
    let dir = directory();
    let (whole, damaged) = (body("whole"), body("damaged"));
    let mut store = Sqlite::open(dir.path()).expect("opens");
    let batch = Batch { bodies: vec![whole.clone(), damaged.clone()], ..Batch::default() };
    store.commit(&[batch]).expect("commits");
    let database = Connection::open(dir.path().join("aosk.db")).expect("opens");
    let changed = database
        .execute("UPDATE blob SET bytes = 'other' WHERE hash = ?1", [damaged.hash().0])
        .expect("writes");
    assert_eq!(changed, 1);
    let reader = store.reader();
    assert!(reader.body(whole.hash()).expect("reads").is_some());
    let error = reader.body(damaged.hash()).expect_err("is damaged");
    assert_eq!(error.public().code, ErrorCode::StoreCorrupt);
    assert_eq!(reader.body(Hash::ZERO), Ok(None));
}

/// The files of a store: the database, its log and the rest.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(dir).expect("reads").map(|entry| entry.expect("reads"));
    let named = entries.map(|entry| {
        let name = entry.file_name().into_string().expect("is text");
        (name, fs::read(entry.path()).expect("reads"))
    });
    named.filter(|(name, _)| name != "lock").collect()
}

/// A copy of a store that was killed with everything still in its log.
fn killed() -> TempDir {
    let (dir, copy) = (directory(), directory());
    let mut store = Sqlite::open(dir.path()).expect("opens");
    for number in 1..=20 {
        let bodies = vec![body(&format!("{number} {}", "x".repeat(2_000)))];
        let journal = vec![fact(number, None)];
        store.commit(&[Batch { journal, bodies, ..Batch::default() }]).expect("commits");
    }
    for (name, bytes) in files(dir.path()) {
        fs::write(copy.path().join(name), bytes).expect("writes");
    }
    copy
}

#[test]
fn a_log_that_lost_commits_is_noticed() {
    let whole = killed();
    assert_eq!(Sqlite::open_reader(whole.path()).expect("opens").head().expect("reads").length, 20);
    type Damage = fn(&mut Vec<u8>);
    let cut: Damage = |log| log.truncate(log.len() / 2);
    let scribbled: Damage = |log| log[5_000..9_000].fill(7);
    let gone: Damage = Vec::clear;
    for damage in [cut, scribbled, gone] {
        let dir = killed();
        let path = dir.path().join("aosk.db-wal");
        let mut log = fs::read(&path).expect("reads");
        assert!(log.len() > 20_000, "everything is in the log");
        damage(&mut log);
        fs::write(&path, log).expect("writes");
        let reading = Sqlite::open_reader(dir.path()).err().expect("is damaged");
        let writing = Sqlite::open(dir.path()).expect_err("is damaged");
        for error in [reading, writing] {
            let error = error.public();
            assert_eq!(error.code, ErrorCode::StoreCorrupt, "{error}");
            assert!(error.message.contains("20 were kept"), "{error}");
        }
        // Whoever means it goes on without.
        fs::remove_file(dir.path().join("head")).expect("removes");
        Sqlite::open(dir.path()).expect("opens");
    }
}

#[test]
fn a_store_that_was_closed_is_whole_in_its_database_file() {
    let dir = killed();
    drop(Sqlite::open(dir.path()).expect("opens"));
    let log = dir.path().join("aosk.db-wal");
    assert_eq!(log.metadata().map_or(0, |log| log.len()), 0);
    let copy = directory();
    fs::copy(dir.path().join("aosk.db"), copy.path().join("aosk.db")).expect("copies");
    assert_eq!(Sqlite::open_reader(copy.path()).expect("opens").head().expect("reads").length, 20);
}

//! Tests of `sqlite`.

use aosk_abi::{RowChange, RowKey, RowOp};
use tempfile::TempDir;

use super::*;
use crate::limits::{LOG_AHEAD_BUSY, LOG_AHEAD_IDLE};

#[test]
fn the_log_is_moved_between_commits_once_it_is_long() {
    let dir = TempDir::new().expect("a temporary directory");
    let mut store = Sqlite::open(dir.path()).expect("opens");
    let row = |number: u64| RowChange {
        key: RowKey::Mail(aosk_abi::Pid(1), number),
        op: RowOp::Put("x".repeat(100_000)),
    };
    for number in 0..20 {
        store.commit(&[Batch { rows: vec![row(number)], ..Batch::default() }]).expect("commits");
        store.maintain(/*idle*/ true).expect("maintains");
    }
    let short = store.frames().expect("reads").1;
    assert!((1..WAL_FRAMES_IDLE).contains(&short), "commits and idle time left {short} frames");
    for number in 20..80 {
        store.commit(&[Batch { rows: vec![row(number)], ..Batch::default() }]).expect("commits");
        store.maintain(/*idle*/ false).expect("maintains");
    }
    let long = store.frames().expect("reads").1;
    assert!(long > WAL_FRAMES_IDLE, "a busy store does not stop for {long} frames");
    store.maintain(/*idle*/ true).expect("maintains");
    assert_eq!(store.frames().expect("reads").1, 0);
}

#[test]
fn the_log_of_a_busy_store_is_moved_beside_its_commits_and_begins_anew() {
    let dir = TempDir::new().expect("a temporary directory");
    let options = SqliteOptions { log_frames: 100, ..SqliteOptions::default() };
    let mut store = Sqlite::open_with(dir.path(), &options).expect("opens");
    let row = |number: u64| RowChange {
        key: RowKey::Mail(aosk_abi::Pid(1), number),
        op: RowOp::Put(number.to_string().repeat(2_000)),
    };
    let (mut beside, mut longest, mut begun_anew, mut before) = (0, 0, 0, 0);
    for number in 0..800 {
        store.commit(&[Batch { rows: vec![row(number)], ..Batch::default() }]).expect("commits");
        let (written, _) = store.frames().expect("reads");
        begun_anew += u32::from(written < before);
        (before, longest) = (written, longest.max(written));
        store.maintain(/*idle*/ false).expect("maintains");
        beside += u32::from(store.mover.thread.is_some());
    }
    assert!(beside > 5, "it was under way at {beside} commits");
    assert!(begun_anew > 5, "the log began anew {begun_anew} times");
    assert!(longest <= 2 * 100 + WAL_FRAMES_REST, "the log had {longest} frames");
    drop(store);
    let mut store = Sqlite::open(dir.path()).expect("opens");
    let found = store.load().expect("loads").rows;
    let found: Vec<_> =
        found.into_iter().filter(|(key, _)| matches!(key, RowKey::Mail(..))).collect();
    assert_eq!(found.len(), 800);
    assert!(found.iter().zip(0_u64..).all(|((key, text), number)| {
        *key == RowKey::Mail(aosk_abi::Pid(1), number) && *text == number.to_string().repeat(2_000)
    }));
}

#[test]
fn a_reader_in_the_way_of_a_move_loses_nothing_and_holds_up_nobody() {
    let dir = TempDir::new().expect("a temporary directory");
    let options = SqliteOptions { log_frames: 50, ..SqliteOptions::default() };
    let mut store = Sqlite::open_with(dir.path(), &options).expect("opens");
    let row = |number: u64| RowChange {
        key: RowKey::Mail(aosk_abi::Pid(1), number),
        op: RowOp::Put("x".repeat(5_000)),
    };
    let commit = |store: &mut Sqlite, number| {
        store.commit(&[Batch { rows: vec![row(number)], ..Batch::default() }]).expect("commits");
        store.maintain(/*idle*/ false).expect("maintains");
    };
    commit(&mut store, 0);
    let mut reader = Connection::open(dir.path().join(DATABASE)).expect("opens");
    let reading = reader.transaction().expect("begins");
    let count = |reading: &Connection| {
        reading.query_row("SELECT count(*) FROM mail", [], |row| row.get::<_, i64>(0))
    };
    assert_eq!(count(&reading), Ok(1));
    (1..200).for_each(|number| commit(&mut store, number));
    assert_eq!(count(&reading), Ok(1), "it reads what it began with");
    drop(reading);
    assert_eq!(count(&reader), Ok(200));
    store.maintain(/*idle*/ true).expect("maintains");
    (200..400).for_each(|number| commit(&mut store, number));
    assert!(store.frames().expect("reads").0 < 400, "the log never began anew");
}

#[test]
fn commits_are_written_into_room_that_was_made_before() {
    let dir = TempDir::new().expect("a temporary directory");
    let length = || dir.path().join(LOG).metadata().expect("a log").len();
    let row = |number: u64, size: usize| RowChange {
        key: RowKey::Mail(aosk_abi::Pid(1), number),
        op: RowOp::Put("x".repeat(size)),
    };
    let commit = |store: &mut Sqlite, number, size| {
        let rows = vec![row(number, size)];
        store.commit(&[Batch { rows, ..Batch::default() }]).expect("commits");
    };
    let mut store = Sqlite::open(dir.path()).expect("opens");
    commit(&mut store, 0, 10);
    let bare = length();
    store.maintain(/*idle*/ false).expect("maintains");
    let made = length();
    assert!(made >= bare + LOG_AHEAD_BUSY, "{bare} and then {made}");
    for number in 1..20 {
        commit(&mut store, number, 10_000);
        store.maintain(/*idle*/ false).expect("maintains");
    }
    assert_eq!(length(), made, "the log grew although there was room");
    store.maintain(/*idle*/ true).expect("maintains");
    assert!(length() > LOG_AHEAD_IDLE, "{} with nothing to do", length());
    // A copy of the files as a crash leaves them has every commit, and nothing else.
    let copy = TempDir::new().expect("a temporary directory");
    for file in [DATABASE, LOG, "head"] {
        std::fs::copy(dir.path().join(file), copy.path().join(file)).expect("copies");
    }
    let rows = |store: &mut Sqlite| store.load().expect("loads").rows;
    let mut found = Sqlite::open(copy.path()).expect("opens");
    assert_eq!(
        found.connection.query_row("SELECT count(*) FROM mail", [], |row| row.get(0)),
        Ok(20)
    );
    assert_eq!(rows(&mut found), rows(&mut store));
    drop(store);
    assert_eq!(dir.path().join(LOG).metadata().map_or(0, |log| log.len()), 0);
}

#[test]
fn live_processes_are_found_by_index() {
    let dir = TempDir::new().expect("a temporary directory");
    let store = Sqlite::open(dir.path()).expect("opens");
    let plan = |sql: &str| -> String {
        let sql = format!("EXPLAIN QUERY PLAN {sql}");
        let mut statement = store.connection.prepare(&sql).expect("prepares");
        let params = vec![1; statement.parameter_count()];
        let steps = rusqlite::params_from_iter(params);
        let steps = statement.query_map(steps, |row| row.get::<_, String>(3)).expect("runs");
        steps.map(|step| step.expect("reads")).collect::<Vec<_>>().join("; ")
    };
    let spec = plan(
        "SELECT s.body FROM process p JOIN spec s ON s.pid = p.pid WHERE p.live = 1 ORDER BY p.pid",
    );
    assert!(spec.contains("p USING COVERING INDEX process_live"), "{spec}");
    assert!(!spec.contains("TEMP B-TREE"), "{spec}");
    for sql in [read::JOURNAL_OF_PROCESS, read::PAGES_OF_PROCESS] {
        let steps = plan(sql);
        assert!(steps.contains("SEARCH b USING PRIMARY KEY (pid=?"), "{steps}");
        assert!(steps.contains("USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"), "{steps}");
        assert!(!steps.contains("TEMP B-TREE"), "{steps}");
    }
    let pages = plan(read::PAGES_LIVE);
    assert!(pages.contains("USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"), "{pages}");
    assert!(!pages.contains("AUTOMATIC"), "{pages}");
}

#[test]
fn a_failed_commit_forgets_its_marks() {
    let dir = TempDir::new().expect("a temporary directory");
    let mut store = Sqlite::open(dir.path()).expect("opens");
    let pid = aosk_abi::Pid(1);
    let page = |index| RowChange {
        key: RowKey::Message(pid, aosk_abi::MessageIndex(index)),
        op: RowOp::Put("{}".to_owned()),
    };
    let bad = RowChange { key: RowKey::Kernel, op: RowOp::Archive };
    let refused = Batch { rows: vec![page(0), bad], ..Batch::default() };
    store.commit(&[refused]).expect_err("cannot be archived");
    store.commit(&[Batch { rows: vec![page(0)], ..Batch::default() }]).expect("commits");
    assert_eq!(store.reader().pages(pid).expect("reads").len(), 1);
}

#[test]
fn what_belongs_to_a_process_is_found_across_blocks() {
    let dir = TempDir::new().expect("a temporary directory");
    let mut store = Sqlite::open(dir.path()).expect("opens");
    let pids = || (1..=7_u64).map(aosk_abi::Pid);
    let fact = |pid| aosk_abi::Entry {
        at: aosk_abi::Timestamp(1),
        pid: Some(pid),
        fact: aosk_abi::Fact::Signalled { signal: aosk_abi::Signal::Cont },
    };
    for round in 0..100 {
        // Opened anew now and then: what was marked is then unknown.
        if round % 30 == 29 {
            drop(store);
            store = Sqlite::open(dir.path()).expect("opens");
        }
        let rows = pids()
            .map(|pid| RowChange {
                key: RowKey::Message(pid, aosk_abi::MessageIndex(round)),
                op: RowOp::Put(round.to_string()),
            })
            .collect();
        let journal = pids().map(fact).collect();
        store.commit(&[Batch { rows, journal, bodies: Vec::new() }]).expect("commits");
    }
    let reader = store.reader();
    for pid in pids() {
        let pages = reader.pages(pid).expect("reads");
        let expected = (0..100).map(|at| (aosk_abi::MessageIndex(at), at.to_string()));
        assert_eq!(pages, expected.collect::<Vec<_>>());
        for (from, limit) in [(1, 100), (256, 9), (257, 9), (650, 100)] {
            let query = crate::JournalQuery { from, limit, pid: Some(pid) };
            let found = reader.journal(&query).expect("reads");
            let seqs: Vec<_> = found.iter().map(|entry| entry.seq).collect();
            let all = (0..100).map(|round| round * 7 + pid.0).filter(|seq| *seq >= from);
            let expected: Vec<_> = all.take(limit as usize).collect();
            assert_eq!(seqs, expected, "{pid} from {from}");
        }
    }
    let blocks: i64 = store
        .connection
        .query_row("SELECT count(*) FROM journal_block", [], |row| row.get(0))
        .expect("reads");
    assert_eq!(blocks, 7 * 3, "one mark for a process and a block");
}

/// Pages, specs and facts of two processes in a directory, as many as fill two blocks.
fn two_processes() -> (TempDir, Sqlite) {
    let dir = TempDir::new().expect("a temporary directory");
    let mut store = Sqlite::open(dir.path()).expect("opens");
    for pid in [1, 2].map(aosk_abi::Pid) {
        let put = |key| RowChange { key, op: RowOp::Put("{}".to_owned()) };
        let mut rows = vec![put(RowKey::Spec(pid)), put(RowKey::Process(pid))];
        rows.extend((0..200).map(|index| put(RowKey::Message(pid, aosk_abi::MessageIndex(index)))));
        let fact = aosk_abi::Fact::Signalled { signal: aosk_abi::Signal::Cont };
        let entry = aosk_abi::Entry { at: aosk_abi::Timestamp(1), pid: Some(pid), fact };
        let journal = vec![entry; 200];
        store.commit(&[Batch { rows, journal, bodies: Vec::new() }]).expect("commits");
    }
    (dir, store)
}

#[test]
fn rows_that_an_index_does_not_lead_to_are_damage() {
    let damage = |sql: &str| -> Vec<(u64, String)> {
        let (_dir, store) = two_processes();
        store.connection.execute_batch(sql).expect("runs");
        let found = store.reader().damage().expect("reads").into_iter();
        found.map(|damage| (damage.pid.expect("is of one process").0, damage.what)).collect()
    };
    let is = |pid: u64, what: &str| vec![(pid, what.to_owned())];
    assert_eq!(damage(""), []);
    let journal = "the index of the journal does not lead to all it did; entries missed: ";
    assert_eq!(damage("DELETE FROM journal_block WHERE pid = 2"), is(2, &format!("{journal}200")));
    let second = "DELETE FROM journal_block WHERE pid = 2 AND block = 1";
    assert_eq!(damage(second), is(2, &format!("{journal}144")));
    let pages = "the index of pages does not lead to all of its log; pages missed: ";
    assert_eq!(
        damage("UPDATE page_block SET pid = 9 WHERE pid = 1"),
        is(1, &format!("{pages}200"))
    );
    let orphans = "its row is missing, and others that belong to it are there: 201";
    assert_eq!(damage("DELETE FROM process WHERE pid = 1"), is(1, orphans));
    // A mark too many hides nothing.
    assert_eq!(damage("INSERT INTO page_block VALUES (1, 77)"), []);
}

#[test]
fn a_database_without_its_format_or_a_table_is_damaged() {
    let corrupt = |error: &StoreError| {
        let public = error.public();
        assert_eq!(public.code, aosk_abi::ErrorCode::StoreCorrupt, "{error}");
        let line = public.message;
        let has_sql = ["CREATE", "SELECT", "INSERT", "\n"].iter().any(|word| line.contains(word));
        assert!(!has_sql, "{line}");
        line
    };
    let opened = |sql: &str| {
        let (dir, store) = two_processes();
        store.connection.execute_batch(sql).expect("runs");
        drop(store);
        let read = Sqlite::open_reader(dir.path()).err().expect("is damaged");
        let written = Sqlite::open(dir.path()).expect_err("is damaged");
        assert_eq!(corrupt(&read), corrupt(&written));
        corrupt(&read)
    };
    let damaged = "open the data directory: the store is damaged: the database";
    assert_eq!(
        opened("PRAGMA user_version = 0"),
        format!("{damaged} has tables and no format number")
    );
    let (_dir, store) = two_processes();
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table'";
    let mut tables = store.connection.prepare(tables).expect("prepares");
    let tables: Vec<String> = tables
        .query_map([], |row| row.get(0))
        .expect("reads")
        .map(|name| name.expect("is text"))
        .collect();
    assert_eq!(tables.len(), 9);
    for table in tables {
        let lacks = format!("{damaged} lacks a table: {table}");
        assert_eq!(opened(&format!("DROP TABLE {table}")), lacks);
    }
    // One that goes while the store is open.
    let (_dir, mut store) = two_processes();
    store.connection.execute_batch("DROP TABLE page").expect("runs");
    let line = corrupt(&store.reader().pages(aosk_abi::Pid(1)).expect_err("is damaged"));
    assert_eq!(line, "read the store: the store is damaged: no such table: page");
    corrupt(&store.load().expect_err("is damaged"));
    let page = RowKey::Message(aosk_abi::Pid(1), aosk_abi::MessageIndex(200));
    let rows = vec![RowChange { key: page, op: RowOp::Put("{}".to_owned()) }];
    let batch = Batch { rows, ..Batch::default() };
    corrupt(&store.commit(&[batch]).expect_err("is damaged"));
}

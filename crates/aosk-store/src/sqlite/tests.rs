//! Tests of `sqlite`.

use aosk_abi::{RowChange, RowKey, RowOp};
use tempfile::TempDir;

use super::*;

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
    let short = store.frames_waiting().expect("reads");
    assert!((1..WAL_FRAMES_IDLE).contains(&short), "commits and idle time left {short} frames");
    for number in 20..80 {
        store.commit(&[Batch { rows: vec![row(number)], ..Batch::default() }]).expect("commits");
        store.maintain(/*idle*/ false).expect("maintains");
    }
    let long = store.frames_waiting().expect("reads");
    assert!(long > WAL_FRAMES_IDLE, "a busy store does not stop for {long} frames");
    store.maintain(/*idle*/ true).expect("maintains");
    assert_eq!(store.frames_waiting(), Ok(0));
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
        key: RowKey::Page(pid, aosk_abi::PageIndex(index)),
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
                key: RowKey::Page(pid, aosk_abi::PageIndex(round)),
                op: RowOp::Put(round.to_string()),
            })
            .collect();
        let journal = pids().map(fact).collect();
        store.commit(&[Batch { rows, journal, bodies: Vec::new() }]).expect("commits");
    }
    let reader = store.reader();
    for pid in pids() {
        let pages = reader.pages(pid).expect("reads");
        let expected = (0..100).map(|at| (aosk_abi::PageIndex(at), at.to_string()));
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

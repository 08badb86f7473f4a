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
        let steps = statement.query_map([], |row| row.get::<_, String>(3)).expect("runs");
        steps.map(|step| step.expect("reads")).collect::<Vec<_>>().join("; ")
    };
    let spec = plan(
        "SELECT s.body FROM process p JOIN spec s ON s.pid = p.pid WHERE p.live = 1 ORDER BY p.pid",
    );
    assert!(spec.contains("p USING COVERING INDEX process_live"), "{spec}");
    assert!(!spec.contains("TEMP B-TREE"), "{spec}");
    let journal = plan("SELECT data FROM journal WHERE pid = 1 AND seq >= 5 ORDER BY seq LIMIT 9");
    assert!(journal.contains("INDEX journal_pid (pid=? AND rowid>?)"), "{journal}");
    assert!(!journal.contains("TEMP B-TREE"), "{journal}");
}

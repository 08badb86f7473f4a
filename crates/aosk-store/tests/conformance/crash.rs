//! A process is killed while it commits: everything acknowledged is kept, and nothing by halves.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use aosk_abi::{MessageIndex, Pid, RowKey};
use aosk_store::sqlite::SqliteOptions;
use aosk_store::{Batch, Committer, Head, Sqlite, Store, StoreError, verify};
use tempfile::TempDir;

use crate::sample::{body, fact, put};

/// Tells the test below that it is the process to be killed, and where to write.
const VICTIM: &str = "AOSK_STORE_TEST_VICTIM";

/// The batch with this number. All its parts are there or none is.
fn batch(number: u64) -> Batch {
    let pid = Pid(number);
    Batch {
        rows: vec![
            put(RowKey::Kernel, number.to_string()),
            put(RowKey::Process(pid), number.to_string()),
            put(RowKey::Message(pid, MessageIndex(0)), "p".repeat(3_000)),
        ],
        journal: vec![fact(number, Some(number)), fact(number, None)],
        bodies: vec![body(&number.to_string())],
    }
}

/// Commits until it is killed, and writes a line for each acknowledgement. As an ordinary test it
/// has nothing to do.
#[test]
fn victim() {
    let Ok(dir) = std::env::var(VICTIM) else { return };
    let mut store = Sqlite::open(Path::new(&dir)).expect("opens");
    let before = store.load().expect("loads").journal_length / 2;
    let acknowledge = move |kept: Result<Head, StoreError>| {
        let kept = kept.expect("commits").length / 2;
        let mut out = std::io::stdout().lock();
        // A parent that has enough closes the pipe.
        drop(writeln!(out, "\nkept {kept}").and_then(|()| out.flush()));
    };
    let committer = Committer::start(Box::new(store), Box::new(acknowledge)).expect("starts");
    let mut number = before;
    loop {
        number += 1;
        committer.submit(batch(number)).expect("is accepted");
    }
}

#[test]
fn a_killed_process_loses_nothing_acknowledged() {
    let dir = TempDir::new().expect("a temporary directory");
    for lines in [1, 2, 5, 20, 3] {
        let acknowledged = kill_after(lines, dir.path());
        let mut store = Sqlite::open(dir.path()).expect("the lock went with the process");
        let image = store.load().expect("loads");
        let kept = image.journal_length / 2;
        assert!(kept >= acknowledged, "kept {kept} of {acknowledged} acknowledged");
        assert_eq!(image.journal_length % 2, 0);
        let expected = (1..=kept).flat_map(|number| batch(number).rows).map(|change| change.key);
        let mut expected: Vec<_> = expected.collect();
        expected.sort();
        expected.dedup();
        assert!(image.rows.iter().map(|(key, _)| *key).eq(expected), "rows of {kept} batches");
        assert_eq!(image.rows[0], (RowKey::Kernel, kept.to_string()));
        let reader = store.reader();
        for number in 1..=kept {
            let body = body(&number.to_string());
            assert_eq!(reader.body(body.hash()), Ok(Some(body.bytes().to_string())));
        }
        verify(reader.as_ref(), None).expect("verifies");
    }
}

/// Starts the victim, kills it after some acknowledgements and gives back the last one.
#[expect(clippy::disallowed_methods, reason = "the test starts itself a second time")]
fn kill_after(lines: usize, dir: &Path) -> u64 {
    let mut victim = std::process::Command::new(std::env::current_exe().expect("has a path"))
        .args(["--exact", "crash::victim", "--nocapture"])
        .env(VICTIM, dir)
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let out = BufReader::new(victim.stdout.take().expect("is piped"));
    let numbers = out.lines().map_while(Result::ok);
    let numbers = numbers.filter_map(|line| line.strip_prefix("kept ")?.parse().ok());
    let last = numbers.take(lines).last();
    // On Unix this is SIGKILL: the process does nothing more.
    victim.kill().expect("is killed");
    victim.wait().expect("is gone");
    last.expect("it committed something")
}

#[test]
fn a_commit_after_a_failed_one_goes_on_from_what_is_kept() {
    let dir = TempDir::new().expect("a temporary directory");
    let options = SqliteOptions { busy_timeout: Duration::ZERO, ..SqliteOptions::default() };
    let mut store = Sqlite::open_with(dir.path(), &options).expect("opens");
    store.commit(&[batch(1)]).expect("commits");
    let other = rusqlite::Connection::open(dir.path().join("aosk.db")).expect("opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("begins");
    let error = store.commit(&[batch(2)]).expect_err("is busy");
    assert!(matches!(error, StoreError::Busy { .. }), "{error:?}");
    other.execute_batch("ROLLBACK").expect("ends");
    let head = store.commit(&[batch(2)]).expect("commits");
    assert_eq!(head.length, 4);
    verify(store.reader().as_ref(), Some(head)).expect("verifies");
}

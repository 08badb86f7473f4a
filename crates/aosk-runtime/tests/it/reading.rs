//! Reading a store from outside, while a node runs on it and after.

use aosk_runtime::abi::{ErrorCode, Hash, Pid};
use aosk_runtime::inspect;
use aosk_runtime::store::{JournalQuery, Memory, Which};

use crate::scene::{Say, Scene, code, text, tool};

/// One process that has ended and one that lives.
async fn scene() -> (crate::scene::Running, Pid, Pid) {
    let scene = Scene::new(|request| match (request.process.as_str(), request.messages.len()) {
        ("lives", _) => Say::Hang,
        (_, 1) => tool("write", "{}"),
        _ => text("done"),
    });
    let node = scene.start();
    let ended = node.agent("ended").await;
    node.end(ended).await;
    let lives = node.agent("lives").await;
    node.trace.until("ask lives.1").await;
    (node, ended, lives)
}

fn states(memory: &Memory, which: Which) -> Vec<(Pid, String, &'static str)> {
    let all = inspect::processes(memory, which).unwrap();
    all.into_iter().map(|p| (p.pid, p.spec.name.clone(), p.state)).collect()
}

#[tokio::test]
async fn processes_are_listed_archived_ones_too() {
    let (node, ended, lives) = scene().await;
    let running = (lives, "lives".to_owned(), "running");
    assert_eq!(states(&node.memory, Which::Live), std::slice::from_ref(&running));
    let exited = (ended, "ended".to_owned(), "exited");
    assert_eq!(states(&node.memory, Which::All), [exited, running]);
    let one = inspect::process(&node.memory, ended).unwrap();
    assert_eq!((one.state, one.has_ended, one.stats.model_calls), ("exited", true, 2));
    assert!(!inspect::process(&node.memory, lives).unwrap().has_ended);
    for pid in [Pid(0), Pid(3), Pid(u64::MAX)] {
        let error = inspect::process(&node.memory, pid);
        assert_eq!(code(error), Some(ErrorCode::NoSuchProcess), "{pid}");
    }
}

#[tokio::test]
async fn the_log_of_an_archived_process_is_readable() {
    let (node, ended, _) = scene().await;
    let log = inspect::log(&node.memory, ended).unwrap();
    let log: Vec<_> =
        log.iter().map(|body| (body.message().role(), body.message().text())).collect();
    let expected =
        [("user", "you are ended"), ("assistant", ""), ("tool", "{}"), ("assistant", "done")];
    assert_eq!(log, expected.map(|(role, text)| (role, text.to_owned())));
    assert!(inspect::log(&node.memory, Pid(9)).unwrap().is_empty());
}

#[tokio::test]
async fn a_body_that_is_missing_is_a_damaged_store() {
    let (node, ended, _) = scene().await;
    let result = inspect::process(&node.memory, ended).unwrap().result.unwrap();
    assert_eq!(inspect::body(&node.memory, result).unwrap().message().text(), "done");
    let missing = inspect::body(&node.memory, Hash::of(b"nothing"));
    assert_eq!(code(missing), Some(ErrorCode::StoreCorrupt));
}

#[tokio::test]
async fn the_journal_is_read_in_pieces() {
    let (node, ended, _) = scene().await;
    let read = |query: JournalQuery, most: usize| {
        let mut seen = Vec::new();
        let each = |entry: aosk_runtime::store::StoredEntry| {
            seen.push((entry.seq, entry.kind, entry.pid));
            seen.len() < most
        };
        inspect::journal(&node.memory, &query, each).unwrap();
        seen
    };
    let whole = read(JournalQuery::default(), usize::MAX);
    assert!(whole.iter().map(|entry| entry.0).eq(1..=whole.len() as u64));
    let pieces = read(JournalQuery { limit: 2, ..JournalQuery::default() }, usize::MAX);
    assert_eq!(pieces, whole);
    let few = read(JournalQuery { limit: 2, ..JournalQuery::default() }, 3);
    assert_eq!(few, whole[..3]);
    let late = read(JournalQuery { from: 4, ..JournalQuery::default() }, usize::MAX);
    assert_eq!(late, whole[3..]);
    let of_one = read(JournalQuery { pid: Some(ended), ..JournalQuery::default() }, usize::MAX);
    assert!(of_one.len() > 5 && of_one.iter().all(|entry| entry.2 == Some(ended)));
}

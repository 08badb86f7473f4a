//! Reading a store from outside, while a node runs on it and after.

use aosk_runtime::abi::{
    BudgetId, ErrorCode, Hash, MessageIndex, PageKind, Pid, RowChange, RowKey, RowOp, Timestamp,
};
use aosk_runtime::inspect::{self, Checked, Damage, PageTable};
use aosk_runtime::kernel::memory::Residency;
use aosk_runtime::store::{
    Batch, Head, JournalQuery, Memory, ProcessQuery, ProcessRow, Reader, Store, StoreError,
    StoredEntry, Which,
};

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
        let each = |entry: StoredEntry| {
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

/// A store with an entry in its journal where none can be, which reads give as the database would.
struct Planted {
    inner: Memory,
    seq: u64,
}

impl Reader for Planted {
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    fn body(&self, hash: Hash) -> Result<Option<String>, StoreError> {
        self.inner.body(hash)
    }

    fn journal(&self, query: &JournalQuery) -> Result<Vec<StoredEntry>, StoreError> {
        let mut entries = self.inner.journal(query)?;
        let (kind, data) = ("x".to_owned(), "{}".to_owned());
        let (at, pid, hash) = (Timestamp(0), Some(Pid(1)), Hash::ZERO);
        entries.push(StoredEntry { seq: self.seq, at, pid, kind, data, hash });
        Ok(entries)
    }

    fn head(&self) -> Result<Head, StoreError> {
        self.inner.head()
    }

    fn row(&self, key: RowKey) -> Result<Option<String>, StoreError> {
        self.inner.row(key)
    }

    fn processes(&self, query: &ProcessQuery) -> Result<Vec<ProcessRow>, StoreError> {
        self.inner.processes(query)
    }

    fn budgets(&self) -> Result<Vec<(BudgetId, String)>, StoreError> {
        self.inner.budgets()
    }

    fn pages(&self, pid: Pid) -> Result<Vec<(MessageIndex, String)>, StoreError> {
        self.inner.pages(pid)
    }
}

#[tokio::test]
async fn a_planted_entry_ends_the_way_through_the_journal() {
    let (node, ended, _) = scene().await;
    let length = node.memory.head().unwrap().length;
    for seq in [length + 100, i64::MAX.cast_unsigned(), u64::MAX] {
        let planted = Planted { inner: node.memory.snapshot(), seq };
        let mut seen = Vec::new();
        let read = inspect::journal(&planted, &JournalQuery::default(), |entry| {
            seen.push(entry.seq);
            seen.len() < 10_000
        });
        assert_eq!(seen, (1..=length).collect::<Vec<_>>());
        let error = read.unwrap_err();
        assert_eq!(error.code, ErrorCode::StoreCorrupt);
        let what = "an entry stands out of place, the end being";
        let seq = seq.cast_signed();
        assert_eq!(error.message, format!("reading the journal: {what} {length}: {seq}"));
        let of_one = JournalQuery { pid: Some(ended), ..JournalQuery::default() };
        assert!(inspect::journal(&planted, &of_one, |_| true).is_err());
    }
}

/// The store of the scene after someone changed rows in it.
fn changed(memory: &Memory, rows: Vec<RowChange>) -> Memory {
    let mut store = memory.snapshot();
    store.commit(&[Batch { rows, ..Batch::default() }]).unwrap();
    store
}

fn put(key: RowKey, text: impl Into<String>) -> RowChange {
    RowChange { key, op: RowOp::Put(text.into()) }
}

fn delete(key: RowKey) -> RowChange {
    RowChange { key, op: RowOp::Delete }
}

fn findings(memory: &Memory) -> Vec<(Option<Pid>, String)> {
    let damage = inspect::check(memory).unwrap().damage.into_iter();
    damage.map(|Damage { pid, what }| (pid, what)).collect()
}

#[tokio::test]
async fn what_is_whole_has_no_damage() {
    let (node, _, _) = scene().await;
    let checked = inspect::check(&node.memory).unwrap();
    assert_eq!(checked, Checked { processes: 2, bodies: 5, damage: Vec::new() });
}

#[tokio::test]
async fn a_log_that_is_not_the_one_that_was_written_is_not_read() {
    let (node, ended, lives) = scene().await;
    let page = |pid, index| RowKey::Message(pid, MessageIndex(index));
    let text = |key| node.memory.row(key).unwrap().unwrap();
    let other = "its log has a page that was not written";
    let swapped =
        vec![put(page(ended, 1), text(page(ended, 2))), put(page(ended, 2), text(page(ended, 1)))];
    let cases = [
        (ended, vec![delete(page(ended, 3))], "its log should have 4 pages and has 3"),
        (lives, vec![delete(page(lives, 0))], "its log should have 1 pages and has 0"),
        (ended, vec![delete(page(ended, 1))], "page 1 of its log is missing"),
        (ended, vec![put(page(ended, 3), text(page(ended, 0)))], other),
        (ended, swapped, other),
        (
            ended,
            vec![put(page(ended, 4), text(page(ended, 0)))],
            "its log should have 4 pages and has 5",
        ),
    ];
    for (pid, rows, flaw) in cases {
        let store = changed(&node.memory, rows);
        let error = inspect::log(&store, pid).unwrap_err();
        assert_eq!(error.code, ErrorCode::StoreCorrupt);
        assert_eq!(error.message, format!("reading the log of {pid}: {flaw}"));
        assert_eq!(findings(&store), [(Some(pid), flaw.to_owned())]);
    }
}

#[tokio::test]
async fn a_check_holds_rows_against_the_journal_and_each_other() {
    let (node, ended, lives) = scene().await;
    let spec = |pid| node.memory.row(RowKey::Spec(pid)).unwrap().unwrap();
    let process = |pid| node.memory.row(RowKey::Process(pid)).unwrap().unwrap();
    let with_parent = |parent: u64| {
        let spec = spec(lives).replace(r#""parent":null"#, &format!(r#""parent":{parent}"#));
        vec![put(RowKey::Spec(lives), spec)]
    };
    let zeros = Hash::of(b"nothing");
    let page = format!(r#"{{"v":1,"row":{{"hash":"{zeros}"}}}}"#);
    let digest = aosk_runtime::kernel::LogDigest::of([zeros]);
    let forged = format!(r#""log":{}}}}}"#, serde_json::to_string(&digest).unwrap());
    let row = process(ended);
    let (before, _) = row.split_once(r#""log":"#).unwrap();
    let mut cut = vec![put(RowKey::Process(ended), format!("{before}{forged}"))];
    cut.push(put(RowKey::Message(ended, MessageIndex(0)), page));
    cut.extend((1..4).map(|index| delete(RowKey::Message(ended, MessageIndex(index)))));
    let lost = "page 0 of its log names a message that is damaged: ";
    let lost = format!("{lost}reading the body {zeros}: it is not in the store");
    let gone = "the journal tells of it, and its row is missing".to_owned();
    let cases = [
        (with_parent(2), lives, vec!["its parent p2 is not older than it".to_owned()]),
        (vec![delete(RowKey::Process(ended))], ended, vec![gone]),
        (
            cut,
            ended,
            vec!["the journal tells of 4 pages at its end, its row of 1".to_owned(), lost],
        ),
        (
            vec![put(RowKey::Process(lives), "{")],
            lives,
            vec![
                "its row cannot be read: EOF while parsing an object at line 1 column 1".to_owned(),
            ],
        ),
    ];
    for (rows, pid, expected) in cases {
        let found = findings(&changed(&node.memory, rows));
        let expected: Vec<_> = expected.into_iter().map(|what| (Some(pid), what)).collect();
        assert_eq!(found, expected);
    }
}

/// The row of a message with more or other pages: `table` stands for what is kept of them.
fn with_table(memory: &Memory, key: RowKey, table: &str) -> RowChange {
    let text = memory.row(key).unwrap().unwrap();
    let (before, _) = text.split_once(r#""table":"#).unwrap();
    put(key, format!(r#"{before}"table":{table}}}}}"#))
}

#[tokio::test]
async fn the_pages_of_a_log_are_numbered_through_its_messages() {
    let (node, ended, lives) = scene().await;
    let table = inspect::page_table(&node.memory, ended).unwrap();
    // Nothing was asked after the last answer, so it is no page.
    assert_eq!((table.messages, table.taken), (MessageIndex(4), MessageIndex(3)));
    let told = |table: &PageTable| -> Vec<(u32, u32, PageKind, String)> {
        let pages = table.pages.iter().map(|page| {
            let body = inspect::body(&node.memory, page.body).unwrap();
            let text = inspect::page_text(&body, page).unwrap();
            (page.page.0, page.source.0, page.entry.kind, text)
        });
        pages.collect()
    };
    let expected = [
        (1, 0, PageKind::User, "you are ended".to_owned()),
        (2, 1, PageKind::Assistant, "write({})".to_owned()),
        (3, 2, PageKind::ToolResult, "{}".to_owned()),
    ];
    assert_eq!(told(&table), expected);
    assert!(table.pages.iter().all(|page| page.entry.tokens > 0));

    let two = r#"[{"kind":"user","tokens":3,"end":8},
        {"kind":"user","tokens":2,"kept":{"residency":"stub","extent":1,"stand_in":48}}]"#;
    let first = RowKey::Message(ended, MessageIndex(0));
    let store = changed(&node.memory, vec![with_table(&node.memory, first, two)]);
    let table = inspect::page_table(&store, ended).unwrap();
    let expected = [
        (1, 0, PageKind::User, "you are ".to_owned()),
        (2, 0, PageKind::User, "ended".to_owned()),
        (3, 1, PageKind::Assistant, "write({})".to_owned()),
        (4, 2, PageKind::ToolResult, "{}".to_owned()),
    ];
    assert_eq!(told(&table), expected);
    assert_eq!(table.pages[1].entry.kept.residency, Residency::Stub);
    assert_eq!(inspect::page_table(&store, lives).unwrap().pages.len(), 1);
    assert!(inspect::page_table(&store, Pid(9)).unwrap().pages.is_empty());
}

#[tokio::test]
async fn pages_that_were_not_written_are_not_read() {
    let (node, ended, _) = scene().await;
    let memory = &node.memory;
    let page = |index| RowKey::Message(ended, MessageIndex(index));
    let backwards = r#"[{"kind":"user","tokens":3,"end":8},{"kind":"user","tokens":3,"end":7}]"#;
    let open = r#"[{"kind":"user","tokens":3,"end":8}]"#;
    let nothing = r#"[{"kind":"user","tokens":3,"kept":{"residency":"stub","stand_in":48}}]"#;
    let cases = [
        (with_table(memory, page(0), nothing), "message 0: a page of it is a stub of nothing"),
        (with_table(memory, page(0), backwards), "message 0: a page of it ends before it begins"),
        (with_table(memory, page(0), open), "message 0: its pages have no end"),
        (with_table(memory, page(1), "[]"), "message 1 has no pages"),
        (
            put(page(3), memory.row(page(0)).unwrap().unwrap()),
            "its log has a page that was not written",
        ),
    ];
    for (row, flaw) in cases {
        let store = changed(memory, vec![row]);
        let error = inspect::page_table(&store, ended).unwrap_err();
        assert_eq!(error.code, ErrorCode::StoreCorrupt);
        assert_eq!(error.message, format!("reading the pages of {ended}: {flaw}"));
        // What a reader stumbles over, the audit names.
        let damage = inspect::check(&store).unwrap().damage;
        assert!(damage.iter().any(|damage| damage.what.contains(flaw)), "{flaw}: {damage:?}");
    }
}

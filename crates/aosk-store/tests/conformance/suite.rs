//! What every store must do. Each function is one test, given a new place for a store.

use std::collections::{BTreeMap, BTreeSet};

use aosk_abi::{BudgetId, Hash, Image, MessageIndex, Pid, RowChange, RowKey, RowOp};
use aosk_store::{Batch, Head, JournalQuery, ProcessQuery, ProcessRow, StoreError, Which, verify};

use crate::Place;
use crate::sample::{Dice, archive, body, delete, every_key, fact, facts, put, rows};

pub(crate) fn an_empty_store_is_empty(place: &impl Place) {
    let mut store = place.open();
    assert_eq!(store.load(), Ok(Image::default()));
    let reader = store.reader();
    assert_eq!(reader.head(), Ok(Head::default()));
    assert_eq!(reader.journal(&JournalQuery::default()), Ok(vec![]));
    assert_eq!(reader.processes(&ProcessQuery::default()), Ok(vec![]));
    assert_eq!(reader.pages(Pid(1)), Ok(vec![]));
    assert_eq!(reader.body(Hash::of(b"nothing")), Ok(None));
    assert_eq!(store.commit(&[]), Ok(Head::default()));
    assert_eq!(verify(reader.as_ref(), None).expect("verifies").head, Head::default());
}

pub(crate) fn every_kind_of_row_comes_back(place: &impl Place) {
    let keys = every_key();
    let mut store = place.open();
    let written = keys.iter().rev().map(|key| put(*key, format!("\"{key:?}\"")));
    store.commit(&[rows(written)]).expect("commits");
    let expected: Vec<_> = keys.iter().map(|key| (*key, format!("\"{key:?}\""))).collect();
    let image = store.load().expect("loads");
    assert_eq!(image.rows, expected);
    drop(store);

    let mut store = place.open();
    assert_eq!(store.load(), Ok(image));
    for (key, value) in expected {
        assert_eq!(store.reader().row(key), Ok(Some(value)), "{key:?}");
    }
    let changed = keys.map(|key| put(key, "2"));
    store.commit(&[rows(changed)]).expect("commits");
    assert_eq!(store.load().expect("loads").rows, keys.map(|key| (key, "2".to_owned())));
}

pub(crate) fn every_kind_of_row_can_be_deleted(place: &impl Place) {
    for key in every_key() {
        let mut store = place.open();
        store.commit(&[rows(every_key().map(|key| put(key, "1")))]).expect("commits");
        store.commit(&[rows([delete(key)])]).expect("commits");
        let reader = store.reader();
        for other in every_key() {
            assert_eq!(reader.row(other).expect("reads").is_some(), other != key, "{other:?}");
        }
    }
}

pub(crate) fn changes_apply_in_order(place: &impl Place) {
    let [kernel, _, _, page, mail, budget] = every_key();
    let mut store = place.open();
    let first = rows([put(mail, "1"), delete(mail), put(budget, "1"), put(budget, "2")]);
    let second = rows([put(kernel, "1"), delete(page)]);
    let third = rows([put(kernel, "2"), delete(budget), put(mail, "3")]);
    store.commit(&[first, second, third]).expect("commits");
    let expected = vec![(kernel, "2".to_owned()), (mail, "3".to_owned())];
    assert_eq!(store.load().expect("loads").rows, expected);
}

pub(crate) fn a_refused_commit_leaves_nothing(place: &impl Place) {
    let mut store = place.open();
    let good = Batch {
        rows: vec![put(RowKey::Kernel, "1")],
        journal: vec![fact(1, None)],
        bodies: vec![body("kept")],
    };
    store.commit(&[good]).expect("commits");
    let before = store.load();
    let bad = RowChange { key: RowKey::Kernel, op: RowOp::Archive };
    let lost = Batch {
        rows: vec![put(RowKey::Kernel, "2"), put(RowKey::Budget(BudgetId(1)), "1"), bad],
        journal: vec![fact(2, None)],
        bodies: vec![body("lost")],
    };
    let innocent = rows([put(RowKey::Process(Pid(1)), "1")]);
    assert_eq!(
        store.commit(&[innocent, lost]),
        Err(StoreError::NotArchivable { key: RowKey::Kernel })
    );
    assert_eq!(store.load(), before);
    assert_eq!(store.reader().body(body("lost").hash()), Ok(None));
    // What comes after continues from what was kept.
    let head = store.commit(&[facts([fact(3, None)])]).expect("commits");
    assert_eq!(head.length, 2);
    assert_eq!(verify(store.reader().as_ref(), Some(head)).expect("verifies").head, head);
}

pub(crate) fn archived_processes_are_read_and_not_loaded(place: &impl Place) {
    let mut store = place.open();
    let of = |pid| {
        let page = |index| RowKey::Message(Pid(pid), MessageIndex(index));
        let mail = RowKey::Mail(Pid(pid), 1);
        let keys = [RowKey::Spec(Pid(pid)), RowKey::Process(Pid(pid)), page(0), page(1), mail];
        rows(keys.map(|key| put(key, pid.to_string())))
    };
    store.commit(&[of(1), of(2), of(3)]).expect("commits");
    store.commit(&[rows([archive(Pid(2)), archive(Pid(9))])]).expect("commits");
    drop(store);

    let mut store = place.open();
    let loaded: BTreeSet<_> =
        store.load().expect("loads").rows.iter().filter_map(|(key, _)| key.pid()).collect();
    assert_eq!(loaded, BTreeSet::from([Pid(1), Pid(3)]));
    let reader = store.reader();
    assert_eq!(reader.row(RowKey::Spec(Pid(2))), Ok(Some("2".into())));
    assert_eq!(reader.row(RowKey::Mail(Pid(2), 1)), Ok(None));
    assert_eq!(reader.row(RowKey::Mail(Pid(3), 1)), Ok(Some("3".into())));
    let pages = vec![(MessageIndex(0), "2".to_owned()), (MessageIndex(1), "2".to_owned())];
    assert_eq!(reader.pages(Pid(2)), Ok(pages));
    let process = |pid: u64| ProcessRow {
        pid: Pid(pid),
        live: pid != 2,
        spec: pid.to_string(),
        process: pid.to_string(),
    };
    assert_eq!(reader.processes(&ProcessQuery::default()), Ok(vec![process(1), process(3)]));
    let all = ProcessQuery { which: Which::All, ..ProcessQuery::default() };
    assert_eq!(reader.processes(&all), Ok(vec![process(1), process(2), process(3)]));
}

pub(crate) fn pages_without_a_process_are_not_loaded(place: &impl Place) {
    let mut store = place.open();
    let [_, spec, process, page, _, _] = every_key();
    store.commit(&[rows([put(spec, "1"), put(page, "1")])]).expect("commits");
    assert_eq!(store.load().expect("loads").rows, vec![]);
    store.commit(&[rows([put(process, "1")])]).expect("commits");
    assert_eq!(store.load().expect("loads").rows.len(), 3);
}

pub(crate) fn bodies_are_kept_once(place: &impl Place) {
    let mut store = place.open();
    let (a, b) = (body("a"), body("b"));
    let batch = Batch { bodies: vec![a.clone(), b.clone(), a.clone()], ..Batch::default() };
    store.commit(&[batch.clone(), batch.clone()]).expect("commits");
    store.commit(&[batch]).expect("commits");
    drop(store);
    let reader = place.open().reader();
    for body in [a, b] {
        assert_eq!(reader.body(body.hash()), Ok(Some(body.bytes().to_string())));
    }
}

pub(crate) fn large_and_foreign_text_comes_back(place: &impl Place) {
    let texts = [
        "x".repeat(8 << 20),
        "进程 процесс \u{1f980} e\u{301} \u{0}\u{1}\u{7f}\u{2028}\u{feff}\\\"'".to_owned(),
        String::new(),
    ];
    let mut store = place.open();
    for (index, text) in (0..).zip(&texts) {
        let key = RowKey::Message(Pid(1), MessageIndex(index));
        let batch = Batch {
            rows: vec![put(RowKey::Process(Pid(1)), "1"), put(key, text.as_str())],
            journal: vec![],
            bodies: vec![body(text)],
        };
        store.commit(&[batch]).expect("commits");
    }
    drop(store);
    let mut store = place.open();
    let pages: Vec<_> = (0..).map(MessageIndex).zip(texts.iter().cloned()).collect();
    assert!(store.reader().pages(Pid(1)) == Ok(pages), "pages differ");
    assert_eq!(store.load().expect("loads").rows.len(), 4);
    for text in &texts {
        let body = body(text);
        let stored = store.reader().body(body.hash()).expect("reads").expect("is there");
        assert!(*stored == **body.bytes(), "bodies differ");
    }
}

pub(crate) fn the_journal_goes_on_after_a_restart(place: &impl Place) {
    let mut head = Head::default();
    let mut heads = BTreeSet::new();
    for round in 0..4_u64 {
        let mut store = place.open();
        let image = store.load().expect("loads");
        assert_eq!(image.journal_length, round * 3);
        assert_eq!(image.journal_head, (round > 0).then_some(head.hash));
        let entries = [fact(round, None), fact(round, Some(7))];
        head = store.commit(&[facts(entries), facts([fact(0, None)])]).expect("commits");
        assert_eq!(store.reader().head(), Ok(head));
        assert!(heads.insert(head.hash), "equal facts in other places have other hashes");
    }
    let reader = place.open().reader();
    assert_eq!(verify(reader.as_ref(), Some(head)).expect("verifies").head, head);
    let entries = reader.journal(&JournalQuery::default()).expect("reads");
    let second = &entries[1];
    assert_eq!((second.seq, second.at.0, second.pid), (2, 0, Some(Pid(7))));
    assert_eq!(second.kind, "process.signalled");
    assert_eq!(second.data, r#"{"signal":"CONT"}"#);
    assert_eq!(entries[11].hash, head.hash);
}

pub(crate) fn the_journal_is_read_in_parts(place: &impl Place) {
    let mut store = place.open();
    let owner = |at: u64| (!at.is_multiple_of(3)).then_some(at % 3);
    store.commit(&[facts((1..=100).map(|at| fact(at, owner(at))))]).expect("commits");
    let reader = store.reader();
    let seqs = |from, limit, pid: Option<u64>| -> Vec<u64> {
        let query = JournalQuery { from, limit, pid: pid.map(Pid) };
        reader.journal(&query).expect("reads").iter().map(|entry| entry.seq).collect()
    };
    assert_eq!(seqs(1, 3, None), [1, 2, 3]);
    assert_eq!(seqs(0, 2, None), [1, 2]);
    assert_eq!(seqs(99, 10, None), [99, 100]);
    assert_eq!(seqs(101, 10, None), [0; 0]);
    assert_eq!(seqs(u64::MAX, 10, None), [0; 0]);
    assert_eq!(seqs(1, 0, None), [0; 0]);
    assert_eq!(seqs(5, 3, Some(2)), [5, 8, 11]);
    assert_eq!(seqs(1, 10, Some(3)), [0; 0]);
    assert_eq!(seqs(1, u32::MAX, None).len(), 100);
}

pub(crate) fn processes_are_read_in_parts(place: &impl Place) {
    let mut store = place.open();
    let processes = (1..=10).map(|pid| put(RowKey::Process(Pid(pid)), "1"));
    let even = (1..=5).map(|half| archive(Pid(half * 2)));
    store.commit(&[rows(processes), rows(even)]).expect("commits");
    let reader = store.reader();
    let pids = |which, after, limit| -> Vec<u64> {
        let query = ProcessQuery { which, after: Pid(after), limit };
        reader.processes(&query).expect("reads").iter().map(|process| process.pid.0).collect()
    };
    assert_eq!(pids(Which::Live, 0, 3), [1, 3, 5]);
    assert_eq!(pids(Which::Live, 5, 9), [7, 9]);
    assert_eq!(pids(Which::All, 8, 9), [9, 10]);
    assert_eq!(pids(Which::All, 10, 9), [0; 0]);
    assert_eq!(pids(Which::All, u64::MAX, 9), [0; 0]);
}

pub(crate) fn budgets_are_read_in_order(place: &impl Place) {
    let mut store = place.open();
    let nodes = [u64::MAX, 10, 2].map(|id| put(RowKey::Budget(BudgetId(id)), format!("{id}")));
    let others = [put(RowKey::Kernel, "k"), put(RowKey::Process(Pid(2)), "p")];
    store.commit(&[rows(nodes), rows(others)]).expect("commits");
    let read = store.reader().budgets().expect("reads");
    let expected = [2, 10, u64::MAX].map(|id| (BudgetId(id), format!("{id}")));
    assert_eq!(read, expected);
}

pub(crate) fn ten_thousand_rows_load_in_order(place: &impl Place) {
    let mut store = place.open();
    let mut dice = Dice(42);
    let mut expected = BTreeMap::new();
    let processes = (1..=100).map(|pid| RowKey::Process(Pid(pid)));
    let pages = (0..10_000).map(|_| {
        RowKey::Message(Pid(u64::from(dice.below(100)) + 1), MessageIndex(dice.below(1 << 20)))
    });
    for key in processes.chain(pages) {
        expected.insert(key, format!("{key:?}"));
    }
    let mut shuffled: Vec<_> = expected.clone().into_iter().collect();
    shuffled.sort_by_key(|(_, value)| Hash::of(value.as_bytes()));
    for part in shuffled.chunks(1_000) {
        let batch = rows(part.iter().map(|(key, value)| put(*key, value.as_str())));
        store.commit(&[batch]).expect("commits");
        store.maintain(/*idle*/ true).expect("maintains");
    }
    drop(store);
    let loaded = place.open().load().expect("loads").rows;
    assert!(loaded == expected.into_iter().collect::<Vec<_>>(), "rows differ");
}

pub(crate) fn a_reader_sees_commits_of_others(place: &impl Place) {
    let mut store = place.open();
    let reader = store.reader();
    let (committed, heads) = std::sync::mpsc::sync_channel(0);
    let (checked, checks) = std::sync::mpsc::sync_channel(0);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for (round, head) in (1_u64..).zip(heads) {
                assert_eq!(reader.head(), Ok(head));
                assert_eq!(reader.row(RowKey::Kernel), Ok(Some(round.to_string())));
                checked.send(()).expect("the writer runs");
            }
        });
        for round in 1..=3_u64 {
            let batch = Batch {
                rows: vec![put(RowKey::Kernel, round.to_string())],
                journal: vec![fact(round, None)],
                bodies: vec![],
            };
            committed.send(store.commit(&[batch]).expect("commits")).expect("the reader runs");
            checks.recv().expect("the reader agrees");
        }
        drop(committed);
    });
}

/// Holds a store against the plainest model of one.
pub(crate) fn random_batches_leave_what_a_model_says(place: &impl Place) {
    let mut dice = Dice(7);
    let mut model: BTreeMap<RowKey, String> = BTreeMap::new();
    let mut archived = BTreeSet::new();
    let mut journal_length = 0;
    for _ in 0..20 {
        let mut store = place.open();
        let mut batches = Vec::new();
        for _ in 0..dice.below(4) + 1 {
            let mut batch = Batch::default();
            for _ in 0..dice.below(12) {
                let pid = Pid(u64::from(dice.below(8)) + 1);
                if archived.contains(&pid) {
                    continue;
                }
                let key = match dice.below(6) {
                    0 => RowKey::Kernel,
                    1 => RowKey::Spec(pid),
                    2 => RowKey::Process(pid),
                    3 => RowKey::Message(pid, MessageIndex(dice.below(4))),
                    4 => RowKey::Mail(pid, dice.below(4).into()),
                    _ => RowKey::Budget(BudgetId(pid.0)),
                };
                let process = RowKey::Process(pid);
                let op = match dice.below(10) {
                    0 if model.contains_key(&process) && archived.insert(pid) => {
                        model.retain(|key, _| !matches!(key, RowKey::Mail(p, _) if *p == pid));
                        batch.rows.push(archive(pid));
                        continue;
                    }
                    0..3 => {
                        model.remove(&key);
                        RowOp::Delete
                    }
                    _ => {
                        let value = dice.below(1 << 30).to_string();
                        model.insert(key, value.clone());
                        RowOp::Put(value)
                    }
                };
                batch.rows.push(RowChange { key, op });
            }
            batch.journal.extend((0..dice.below(3)).map(|at| fact(at.into(), None)));
            journal_length += batch.journal.len() as u64;
            batches.push(batch);
        }
        store.commit(&batches).expect("commits");
        drop(store);

        let loaded = |key: &RowKey| match key {
            RowKey::Spec(pid) | RowKey::Process(pid) | RowKey::Message(pid, _) => {
                model.contains_key(&RowKey::Process(*pid)) && !archived.contains(pid)
            }
            RowKey::Kernel | RowKey::Mail(..) | RowKey::Budget(_) => true,
        };
        let expected: Vec<_> =
            model.iter().filter(|(key, _)| loaded(key)).map(|(k, v)| (*k, v.clone())).collect();
        let mut store = place.open();
        let image = store.load().expect("loads");
        assert_eq!((image.rows, image.journal_length), (expected, journal_length));
        for (key, value) in &model {
            assert_eq!(store.reader().row(*key), Ok(Some(value.clone())), "{key:?}");
        }
    }
    assert!(!archived.is_empty(), "the test archives");
}

pub(crate) fn the_largest_numbers_come_back(place: &impl Place) {
    let keys = [
        RowKey::Spec(Pid(u64::MAX)),
        RowKey::Process(Pid(u64::MAX)),
        RowKey::Message(Pid(u64::MAX), MessageIndex(u32::MAX)),
        RowKey::Mail(Pid(u64::MAX), u64::MAX),
        RowKey::Budget(BudgetId(u64::MAX)),
    ];
    let mut store = place.open();
    let mut batch = rows(keys.map(|key| put(key, "1")));
    batch.journal.push(fact(u64::MAX, Some(u64::MAX)));
    let head = store.commit(&[batch]).expect("commits");
    assert_eq!(store.load().expect("loads").rows, keys.map(|key| (key, "1".to_owned())));
    assert_eq!(verify(store.reader().as_ref(), None).expect("verifies").head, head);
}

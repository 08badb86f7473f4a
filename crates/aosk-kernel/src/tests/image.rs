//! The durable form. Every other test checks on the way that rows make the same kernel again; here
//! is what they look like and which of them are refused.

use std::collections::BTreeSet;

use aosk_abi::{BudgetId, Image, MessageIndex, Pid, RowKey, Spend};
use expect_test::expect;

use super::scene::*;
use super::script::*;
use crate::{BudgetView, Kernel, LogDigest, RestoreError};

#[test]
fn every_state_comes_back_from_its_rows() {
    let mut words = BTreeSet::new();
    let living = LIVING.into_iter().map(scene).chain(LIVING.into_iter().map(stopped));
    for s in living.chain(["exiting", "zombie"].into_iter().map(scene)) {
        let restored =
            Kernel::restore(s.kernel.config.clone(), &s.image()).expect("rows are whole");
        for (pid, process) in s.kernel.processes() {
            assert_eq!(restored.process(pid), Some(process));
            words.insert(process.state.word());
        }
        assert_eq!(restored.process_count(), s.kernel.process_count());
        assert_eq!(restored.next_deadline(), s.kernel.next_deadline());
        assert_eq!(restored.check(), Ok(()));
        let read =
            Kernel::read_process(IT, &s.rows[&RowKey::Spec(IT)], &s.rows[&RowKey::Process(IT)])
                .expect("rows are whole");
        assert_eq!(read.state, s.process(IT).state);
        assert_eq!(read.spec, s.process(IT).spec);
    }
    assert_eq!(words.len(), LIVING.len() + 3, "{words:?}");
}

#[test]
fn a_budget_is_read_from_its_row() {
    let mut s = Script::new(config());
    let a = s.spawn(with_limits("a", tokens(1_000)));
    s.step(a, think("m"));
    let id = s.process(a).spec.budget;
    let image = s.image();
    let row = |id| image.rows.iter().find(|(key, _)| *key == RowKey::Budget(id)).expect("is kept");
    let node = s.kernel.budgets.get(id).expect("is bounded");
    assert_ne!(node.reserved, Spend::default());
    assert_eq!(Kernel::read_budget(id, &row(id).1), Ok(BudgetView::of(node)));
    let newer = row(id).1.replace(r#""v":3"#, r#""v":4"#);
    assert!(Kernel::read_budget(id, &newer).is_err());
}

/// The rows of a kernel with mail, budgets, a child and a call in flight.
fn image() -> Image {
    let mut s = Script::new(config());
    let a = s.spawn(with_limits("a", tokens(1_000)));
    let b = s.child(a, with_limits("b", tokens(500)));
    s.step(a, send(b, "hello"));
    s.step(a, think("m"));
    s.image()
}

#[test]
fn rows_look_like_this() {
    let rows: String =
        image().rows.iter().map(|(key, text)| format!("{key:?}\n    {text}\n")).collect();
    expect![[r#"
        Kernel
            {"v":3,"row":{"next_pid":3,"next_budget":4,"next_since":2,"boots":1}}
        Spec(p1)
            {"v":3,"row":{"name":"a","label":"","program":{"name":"test","param":"null"},"parent":null,"depth":0,"capabilities":{"tools":"all","risk_max":"high","models":"all","spawn":true,"send_anywhere":true},"budget":2,"spawned":0}}
        Spec(p2)
            {"v":3,"row":{"name":"b","label":"","program":{"name":"test","param":"null"},"parent":1,"depth":1,"capabilities":{"tools":"all","risk_max":"high","models":"all","spawn":true,"send_anywhere":true},"budget":3,"spawned":0}}
        Process(p1)
            {"v":3,"row":{"state":{"running":{"call":{"number":1,"options":{"model":"m","output_max":90},"estimate":10,"input":10,"needs":["tools"],"attempt":1,"failures":0,"since":1,"start":0,"service":1900,"started":0},"held":{"tokens":100,"calls":1,"micro_usd":190,"steps":1,"children":0},"deadline":60000}},"priority":50,"termination":"none","program_state":"null","turn":3,"calls":1,"mail_count":0,"stats":{"spend":{"tokens":0,"calls":0,"micro_usd":0,"steps":0,"children":0},"model_calls":0,"model_retries":0,"tool_calls":0,"input":0,"cached":0,"output":0,"summaries":0,"times":{"waited":0,"ran":0,"throttled":0,"phase":["runs",0]},"preempted":0,"lost":0,"faults":0,"sent":1,"received":0},"served":{"m":121600},"guard":{"repeats":0,"peer":2,"exchanges":1,"refused":0},"log":{"pages":1,"hash":"f16aa697f53ef9b486081fe4a4a686d617724e90c0059f196cff07f3fee2cd08"}}}
        Process(p2)
            {"v":3,"row":{"state":{"program":{"wake":"started"}},"priority":50,"termination":"none","program_state":"null","turn":1,"calls":0,"mail_count":1,"stats":{"spend":{"tokens":0,"calls":0,"micro_usd":0,"steps":0,"children":0},"model_calls":0,"model_retries":0,"tool_calls":0,"input":0,"cached":0,"output":0,"summaries":0,"preempted":0,"lost":0,"faults":0,"sent":0,"received":0},"served":{},"guard":null,"log":{"pages":1,"hash":"f16aa697f53ef9b486081fe4a4a686d617724e90c0059f196cff07f3fee2cd08"}}}
        Message(p1, @0)
            {"v":3,"row":{"hash":"49ea2f1f77d6f7dc323882e278970b781b1903e9da390c66fac1ed9d28b4d0ea","table":[{"kind":"message","tokens":0}]}}
        Message(p2, @0)
            {"v":3,"row":{"hash":"49ea2f1f77d6f7dc323882e278970b781b1903e9da390c66fac1ed9d28b4d0ea"}}
        Mail(p2, 1)
            {"v":3,"row":{"from":1,"body":"627af7fefc90c050ddcbb8b4a69664f89c27d4ed98bdb332fa4fa7ec5bf0b23f"}}
        Budget(b1)
            {"v":3,"row":{"parent":null,"limits":{},"used":{"tokens":0,"calls":0,"micro_usd":0,"steps":0,"children":2},"reserved":{"tokens":100,"calls":1,"micro_usd":190,"steps":1,"children":0},"overdraft":{"tokens":0,"calls":0,"micro_usd":0,"steps":0,"children":0},"expires":null,"expired":false,"members":1,"standing":{"m":{"served":0,"clock":0,"ahead":0}}}}
        Budget(b2)
            {"v":3,"row":{"parent":1,"limits":{"tokens":1000},"used":{"tokens":0,"calls":0,"micro_usd":0,"steps":0,"children":1},"reserved":{"tokens":100,"calls":1,"micro_usd":190,"steps":1,"children":0},"overdraft":{"tokens":0,"calls":0,"micro_usd":0,"steps":0,"children":0},"expires":null,"expired":false,"members":2}}
        Budget(b3)
            {"v":3,"row":{"parent":2,"limits":{"tokens":500},"used":{"tokens":0,"calls":0,"micro_usd":0,"steps":0,"children":0},"reserved":{"tokens":0,"calls":0,"micro_usd":0,"steps":0,"children":0},"overdraft":{"tokens":0,"calls":0,"micro_usd":0,"steps":0,"children":0},"expires":null,"expired":false,"members":1}}
    "#]].assert_eq(&rows);
}

fn refusal(change: impl FnOnce(&mut Vec<(RowKey, String)>)) -> RestoreError {
    let mut image = image();
    let rows = image.rows.len();
    change(&mut image.rows);
    assert_ne!((rows, &image), (image.rows.len(), &self::image()), "something was changed");
    Kernel::restore(config(), &image).expect_err("the rows are not whole")
}

fn row(rows: &mut [(RowKey, String)], key: RowKey) -> &mut String {
    &mut rows.iter_mut().find(|(of, _)| *of == key).expect("there is such a row").1
}

fn without(key: RowKey) -> RestoreError {
    refusal(|rows| rows.retain(|(of, _)| *of != key))
}

#[test]
fn rows_of_a_newer_version_are_refused() {
    for (key, _) in image().rows {
        let error = refusal(|rows| {
            let text = row(rows, key);
            *text = text.replacen(r#""v":3"#, r#""v":4"#, 1);
        });
        let what = "written by a newer version: 4, known up to 3".to_owned();
        assert_eq!(error, RestoreError { key, what });
    }
}

#[test]
fn rows_that_do_not_parse_are_refused() {
    for (key, _) in image().rows {
        for wrong in ["", "{", "null", r#"{"v":1}"#, r#"{"row":{}}"#] {
            let error = refusal(|rows| *row(rows, key) = wrong.to_owned());
            assert_eq!(error.key, key, "{wrong}");
        }
    }
    let error = refusal(|rows| *row(rows, RowKey::Kernel) = r#"{"v":1,"row":7}"#.to_owned());
    let error = aosk_abi::Error::from(error);
    assert_eq!(error.code, aosk_abi::ErrorCode::StoreCorrupt);
}

#[test]
fn rows_that_lack_others_are_refused() {
    let missing = |key, what: &str| RestoreError { key, what: what.to_owned() };
    let page = |index| RowKey::Message(Pid(1), MessageIndex(index));
    assert_eq!(
        refusal(|rows| {
            let text = row(rows, page(0)).clone();
            rows.retain(|(key, _)| *key != page(0));
            let at = rows.partition_point(|(key, _)| *key < page(1));
            rows.insert(at, (page(1), text));
        }),
        missing(page(1), "a page is missing before it")
    );
    assert_eq!(
        without(RowKey::Spec(Pid(1))),
        missing(RowKey::Process(Pid(1)), "its process is missing")
    );
    assert_eq!(without(RowKey::Process(Pid(1))), missing(page(0), "its process is missing"));
    assert_eq!(
        refusal(|rows| {
            let of = Pid(2);
            rows.retain(|(key, _)| {
                *key != RowKey::Process(of) && *key != RowKey::Message(of, MessageIndex(0))
            });
        }),
        missing(RowKey::Mail(Pid(2), 1), "its process is missing")
    );
    assert_eq!(
        without(RowKey::Budget(BudgetId(2))),
        missing(RowKey::Process(Pid(1)), "its budget b2 is missing")
    );
    assert_eq!(
        refusal(|rows| {
            rows.retain(|(key, _)| *key != RowKey::Budget(BudgetId(2)) && key.pid().is_none());
        }),
        missing(RowKey::Budget(BudgetId(3)), "its parent b2 is missing")
    );
    for key in [RowKey::Kernel, RowKey::Budget(BudgetId(1))] {
        assert_eq!(without(key), missing(key, "it is missing"));
    }
    assert_eq!(
        refusal(|rows| rows.retain(|(key, _)| key.pid() != Some(Pid(1)))),
        missing(RowKey::Process(Pid(2)), "its parent p1 is missing")
    );
}

type Rows = Vec<(RowKey, String)>;

/// A log of another length or with another page would make the model see another conversation.
#[test]
fn a_log_that_is_not_the_one_that_was_written_is_refused() {
    let mut s = Script::new(config());
    let a = s.spawn(spec("a"));
    let append = vec![user("one"), user("two")];
    s.step_of(a, 1, aosk_abi::Step { append, call: sleep(1), state: "1".into() });
    let page = |index| RowKey::Message(a, MessageIndex(index));
    let refusal = |change: &dyn Fn(&mut Rows)| {
        let mut image = s.image();
        change(&mut image.rows);
        let error = Kernel::restore(config(), &image).expect_err("the log is not whole");
        assert_eq!(error.key, RowKey::Process(a));
        error.what
    };
    let left =
        |left: u32| refusal(&|rows| rows.retain(|(key, _)| *key < page(left) || *key > page(9)));
    assert_eq!(left(2), "its log should have 3 pages and has 2");
    assert_eq!(left(0), "its log should have 3 pages and has 0");
    let other = "its log has a page that was not written";
    let replaced = refusal(&|rows| {
        let text = row(rows, page(0)).clone();
        *row(rows, page(2)) = text;
    });
    assert_eq!(replaced, other);
    let swapped = refusal(&|rows| {
        let (one, two) = (row(rows, page(1)).clone(), row(rows, page(2)).clone());
        *row(rows, page(1)) = two;
        *row(rows, page(2)) = one;
    });
    assert_eq!(swapped, other);
    let added = refusal(&|rows| {
        let text = row(rows, page(2)).clone();
        let at = rows.partition_point(|(key, _)| *key <= page(2));
        rows.insert(at, (page(3), text));
    });
    assert_eq!(added, "its log should have 3 pages and has 4");
}

#[test]
fn a_digest_is_as_documented() {
    let [one, two] = [b"one", b"two"].map(|bytes| aosk_abi::Hash::of(bytes));
    let hash = |before: aosk_abi::Hash, page: aosk_abi::Hash| {
        aosk_abi::Hash::of(&[before.0, page.0].concat())
    };
    let digest = LogDigest::of([one, two]);
    let expected = hash(hash(aosk_abi::Hash::ZERO, one), two);
    assert_eq!(digest, LogDigest { pages: MessageIndex(2), hash: expected });
    assert_eq!(digest.flaw(&digest), None);
}

/// A way up the tree that does not end would be followed for ever.
#[test]
fn a_parent_that_is_not_older_is_refused() {
    let refused = |key, what: &str| RestoreError { key, what: what.to_owned() };
    for (parent, wrong) in [(r#""parent":1"#, 2), (r#""parent":null"#, 1), (r#""parent":null"#, 2)]
    {
        let pid = if parent.ends_with('1') { Pid(2) } else { Pid(1) };
        let error = refusal(|rows| {
            let spec = row(rows, RowKey::Spec(pid));
            *spec = spec.replacen(parent, &format!(r#""parent":{wrong}"#), 1);
        });
        let what = format!("its parent p{wrong} is not older than it");
        assert_eq!(error, refused(RowKey::Process(pid), &what));
    }
    let error = refusal(|rows| {
        let budget = row(rows, RowKey::Budget(BudgetId(2)));
        *budget = budget.replacen(r#""parent":1"#, r#""parent":3"#, 1);
    });
    assert_eq!(error, refused(RowKey::Budget(BudgetId(2)), "its parent b3 is not older than it"));
}

#[test]
fn an_empty_image_is_a_new_kernel() {
    let restored = Kernel::restore(config(), &Image::default()).expect("nothing is whole");
    assert_eq!(restored.rows(), Kernel::new(config()).rows());
    assert_eq!(restored.process_count(), 0);
}

#[test]
fn a_process_that_lived_within_one_batch_is_archived_whole() {
    let mut s = Script::new(config());
    let mut pid = None;
    s.batch(|s| {
        let a = s.spawn(spec("a"));
        let append = vec![user("more")];
        s.operate("send", aosk_abi::Command::Send { pid: a, body: user("unread") });
        s.step_of(a, 1, aosk_abi::Step { append, call: exit(), state: "7".into() });
        pid = Some(a);
    });
    let pid = pid.expect("spawned");
    assert_eq!(s.kernel.process_count(), 0);
    assert!(s.rows.keys().all(|key| key.pid().is_none()));
    let archived: Vec<_> = s.archived.keys().copied().collect();
    let pages = [0, 1].map(|index| RowKey::Message(pid, MessageIndex(index)));
    assert_eq!(archived, [RowKey::Spec(pid), RowKey::Process(pid), pages[0], pages[1]]);
    let read = Kernel::read_process(pid, &s.archived[&archived[0]], &s.archived[&archived[1]])
        .expect("rows are whole");
    assert_eq!(read.state.word(), "zombie");
    assert_eq!(&*read.program_state, "7");
    let first = Kernel::read_page(pages[0], &s.archived[&pages[0]]).expect("a row is whole");
    assert_eq!(first, user("task").hash());
}

#[test]
fn only_what_changed_is_written() {
    let mut s = Script::new(config());
    let (a, b) = (s.spawn(spec("a")), s.spawn(spec("b")));
    s.step(b, sleep(1));
    let turn = s.process(a).turn;
    let step = aosk_abi::Step { append: Vec::new(), call: sleep(5), state: "1".into() };
    let mut fx = aosk_abi::Effects::default();
    s.kernel.apply(s.now, &aosk_abi::Input::Syscall { pid: a, turn, step }, &mut fx);
    assert!(!s.kernel.is_flushed());
    assert_eq!(s.kernel.changed().collect::<Vec<_>>(), [a]);
    s.kernel.flush(&mut fx);
    let keys: Vec<_> = fx.rows.iter().map(|change| change.key).collect();
    assert_eq!(keys, [RowKey::Process(a)]);
    assert!(s.kernel.is_flushed());
}

#[test]
fn rows_of_the_version_before_are_read() {
    let mut s = Script::new(config());
    let a = s.spawn(spec("a"));
    s.step(a, think("m"));
    s.crash();
    // Before there were page tables, a call said how many pages it shows and a page had no table.
    for text in s.rows.values_mut() {
        *text =
            text.replacen(r#""v":3"#, r#""v":1"#, 1).replace(r#""estimate":10"#, r#""pages":1"#);
        if let Some(at) = text.find(r#","table":"#) {
            text.truncate(at);
            text.push_str("}}");
        }
    }
    s.crash();
    let released = s.effects.iter().rev().flat_map(|fx| &fx.releases);
    let shown = released.filter_map(|release| match release {
        aosk_abi::Release::Think { window, .. } => Some(window.frames.len()),
        aosk_abi::Release::Tool(_)
        | aosk_abi::Release::Cancel { .. }
        | aosk_abi::Release::Yield { .. }
        | aosk_abi::Release::Reply { .. } => None,
    });
    assert_eq!(shown.take(1).collect::<Vec<_>>(), [1], "it is made again with its whole log");
    s.answer(a, 10, 5);
    s.step(a, think("m"));
    assert_eq!(s.process(a).memory.taken(), s.process(a).page_count());
}

#[test]
fn rows_of_before_there_were_tasks_are_read() {
    let mut s = Script::new(config());
    let a = s.spawn(spec("a"));
    s.step(a, think("m"));
    let before = s.process(a).memory.clone();
    for text in s.rows.values_mut() {
        *text = text.replacen(r#""v":3"#, r#""v":2"#, 1);
    }
    s.crash();
    assert_eq!(s.process(a).memory, before);
    assert!(s.process(a).memory.space().arenas().is_unused());
}

#[test]
fn page_tables_that_cannot_be_are_refused() {
    let key = RowKey::Message(Pid(1), MessageIndex(0));
    for (wrong, what) in [
        (r#"{"kind":"user","tokens":3,"end":8}"#, "its pages have no end"),
        (
            r#"{"kind":"user","tokens":3,"end":8},{"kind":"user","tokens":3,"end":7}"#,
            "a page of it ends before it begins",
        ),
        (
            r#"{"kind":"user","tokens":3,"kept":{"residency":"stub","stand_in":48}}"#,
            "a page of it is a stub of nothing",
        ),
        (
            r#"{"kind":"user","tokens":3,"kept":{"copy_of":9}}"#,
            "a page is a copy of one that is not there",
        ),
    ] {
        let error = refusal(|rows| {
            let text = row(rows, key);
            *text = text.replace(r#"{"kind":"message","tokens":0}"#, wrong);
        });
        assert_eq!(error, RestoreError { key, what: what.to_owned() });
    }
}

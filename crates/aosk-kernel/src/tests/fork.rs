//! A process that begins with the log and the window of its parent.

use aosk_abi::{MessageIndex, PageId, PageKind, SpawnSpec, Syscall};

use super::script::*;

fn fork(name: &str) -> SpawnSpec {
    SpawnSpec { fork: true, pages: vec![user("go on")], ..spec(name) }
}

/// A process that has asked once, and pinned the answer's page.
fn parent(s: &mut Script) -> aosk_abi::Pid {
    let a = s.spawn(spec("a"));
    s.step(a, think("n"));
    s.answer(a, 10, 5);
    s.step(a, think("n"));
    s.answer(a, 20, 5);
    s.step(a, Syscall::Pin { page: PageId(2), pinned: true });
    a
}

#[test]
fn a_fork_has_the_log_and_the_pages_of_its_parent() {
    let mut s = Script::new(config());
    let a = parent(&mut s);
    let log = s.log(a);
    let b = s.child(a, fork("b"));
    assert_eq!(s.log(b), [log, vec!["user: go on".to_owned()]].concat());
    let (of_a, of_b) = (&s.process(a).memory, &s.process(b).memory);
    assert_eq!(of_a, of_b);
    assert!(of_b.space().page(PageId(2)).expect("there").pinned);
    // Each goes on by itself, also over a crash.
    s.step(b, Syscall::Pin { page: PageId(2), pinned: false });
    s.crash();
    let pinned =
        |s: &Script, pid| s.process(pid).memory.space().page(PageId(2)).expect("there").pinned;
    assert_eq!((pinned(&s, a), pinned(&s, b)), (true, false));
    s.step(b, think("n"));
    assert_eq!(s.process(b).memory.taken(), s.process(b).page_count());
    assert!(s.process(a).memory.taken() < s.process(b).memory.taken());
}

#[test]
fn a_fork_of_nobody_is_a_process_like_any_other() {
    let mut s = Script::new(config());
    let a = s.spawn(fork("a"));
    assert_eq!(s.log(a), ["user: go on"]);
    assert_eq!(s.process(a).memory.taken(), MessageIndex(0));
    assert_eq!(s.process(a).memory.space().page(PageId(0)).expect("tools").kind, PageKind::Tools);
}

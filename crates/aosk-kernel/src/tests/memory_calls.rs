//! Calls on the memory: pages brought back, kept, and let go.

use aosk_abi::{MessageIndex, PageId, Pid, Piece, Syscall, TEXT_END, limits};
use expect_test::expect;

use super::memory::*;
use super::script::*;
use crate::memory::Residency;

fn recall(s: &mut Script, pid: Pid, pages: &[u32]) {
    s.step(pid, Syscall::Recall { pages: pages.iter().copied().map(PageId).collect() });
}

fn pin(s: &mut Script, pid: Pid, page: u32, pinned: bool) {
    s.step(pid, Syscall::Pin { page: PageId(page), pinned });
}

fn forget(s: &mut Script, pid: Pid, page: u32) {
    s.step(pid, Syscall::Forget { page: PageId(page) });
}

/// Asks with the answer of the model and a message that brings a page back for it.
fn bring_back(s: &mut Script, pid: Pid, page: u32) {
    let first = s.process(pid).memory.taken();
    let second = MessageIndex(first.0 + 1);
    let copy = Piece {
        answers: true,
        copy_of: Some(PageId(page)),
        ..piece(second, aosk_abi::PageKind::Recalled, 100)
    };
    let append = vec![user("here it is")];
    ask_with(s, pid, "m", append, vec![piece(first, ANSWER, 10), copy]);
}

/// A process of whose log pages 2 to 6 have left. The model has answered.
fn with_a_cut(s: &mut Script) -> Pid {
    let a = talk(s, "m", 5);
    ask(s, a, "m", 1, &[&[(ANSWER, 100)], &[(USER, 100)]]);
    answered(s, a);
    s.forget();
    a
}

fn residency(s: &Script, pid: Pid, page: u32) -> Residency {
    s.process(pid).memory.space().page(PageId(page)).expect("there is one").residency
}

#[test]
fn a_page_that_left_is_a_fault_and_comes_back_at_the_end() {
    let mut s = Script::new(small("fifo-batch"));
    let a = with_a_cut(&mut s);
    recall(&mut s, a, &[3, 11]);
    bring_back(&mut s, a, 3);
    s.expect(&expect![[r#"
        0s p1#7 recall [PageId(3), PageId(11)]
            * p1 page.faulted PageId(3) 100
            p1#8 <- recalled [Recalled { page: PageId(3), source: @2, text: (0, 4294967295), resident: false }, Recalled { page: PageId(11), source: @10, text: (0, 4294967295), resident: true }]
        0s p1#8 think m 10+90
            * p1 page.recalled PageId(3) as PageId(13) 100
            * p1 model.called p1.c7 m with 13 pages 668+90
            think p1.c7/1 m with 8 pages
    "#]]);
    expect!["1 user, 2 assistant stub of 6, 8 assistant, 9 user, 10 assistant, 11 user, 12 assistant, 13 recalled; unchanged 6"].assert_eq(&shown(&s));
    assert_eq!(s.process(a).stats.faults, 1);
}

#[test]
fn only_pages_that_are_there_come_back() {
    let mut s = Script::new(small("fifo-batch"));
    let a = with_a_cut(&mut s);
    let b = s.spawn(spec("b"));
    ask(&mut s, b, "n", 0, &[&[(USER, 1)]]);
    s.answer(b, 1, 1);
    s.forget();
    // A page of another process, what the tools take, one too many at once, and one that is forgotten.
    recall(&mut s, b, &[3]);
    recall(&mut s, a, &[0]);
    recall(&mut s, a, &[3; limits::RECALL_MAX + 1]);
    forget(&mut s, a, 3);
    recall(&mut s, a, &[2, 3]);
    s.expect(&expect![[r#"
        0s p2#2 recall [PageId(3)]
            * p2 syscall.refused recall memory.no_page
            p2#3 <- refused: recalling a page of p2: no such page: 3 [memory.no_page]
        0s p1#7 recall [PageId(0)]
            * p1 syscall.refused recall memory.no_page
            p1#8 <- refused: recalling a page of p1: no such page: 0 [memory.no_page]
        0s p1#8 recall [PageId(3), PageId(3), PageId(3), PageId(3), PageId(3), PageId(3), PageId(3), PageId(3), PageId(3), PageId(3), PageId(3), PageId(3), PageId(3), PageId(3), PageId(3), PageId(3), PageId(3)]
            * p1 syscall.refused recall kernel.bad_syscall
            p1#9 <- refused: recalling 17 pages: 16 at a time [kernel.bad_syscall]
        0s p1#9 forget PageId(3)
            * p1 page.forgotten PageId(3) 0
            p1#10 <- forgotten 0
        0s p1#10 recall [PageId(2), PageId(3)]
            * p1 syscall.refused recall memory.no_page
            p1#11 <- refused: recalling a page of p1: page 3 was forgotten [memory.no_page]
    "#]]);
    recall(&mut s, a, &[2; limits::RECALL_MAX]);
    assert_eq!(s.process(a).stats.faults, 16);
}

#[test]
fn pins_take_half_of_what_the_static_part_leaves_of_a_window() {
    let mut s = Script::new(small("fifo-batch"));
    let a = with_a_cut(&mut s);
    ask(&mut s, a, "m", 1, &[&[(ANSWER, 100)], &[(USER, 100)]]);
    answered(&mut s, a);
    for page in 8..=10 {
        pin(&mut s, a, page, true);
    }
    s.forget();
    // With the task, 400 tokens are pinned.
    pin(&mut s, a, 12, true);
    pin(&mut s, a, 10, true);
    pin(&mut s, a, 9, false);
    pin(&mut s, a, 12, true);
    s.expect(&expect![[r#"
        0s p1#11 pin PageId(12)
            * p1 syscall.refused pin memory.pins_full
            p1#12 <- refused: pinning page 12: it takes 100 tokens, 400 are pinned already, and at most 495 may be [memory.pins_full]
        0s p1#12 pin PageId(10)
            * p1 page.pinned PageId(10) true
            p1#13 <- pinned
        0s p1#13 unpin PageId(9)
            * p1 page.pinned PageId(9) false
            p1#14 <- pinned
        0s p1#14 pin PageId(12)
            * p1 page.pinned PageId(12) true
            p1#15 <- pinned
    "#]]);
}

#[test]
fn only_what_is_in_the_window_can_be_kept_there() {
    let mut s = Script::new(small("fifo-batch"));
    let a = with_a_cut(&mut s);
    pin(&mut s, a, 3, true);
    pin(&mut s, a, 99, true);
    pin(&mut s, a, 0, true);
    pin(&mut s, a, 3, false);
    s.expect(&expect![[r#"
        0s p1#7 pin PageId(3)
            * p1 syscall.refused pin memory.no_page
            p1#8 <- refused: pinning a page of p1: page 3 is not in the window [memory.no_page]
        0s p1#8 pin PageId(99)
            * p1 syscall.refused pin memory.no_page
            p1#9 <- refused: pinning a page of p1: no such page: 99 [memory.no_page]
        0s p1#9 pin PageId(0)
            * p1 syscall.refused pin memory.no_page
            p1#10 <- refused: pinning a page of p1: no such page: 0 [memory.no_page]
        0s p1#10 unpin PageId(3)
            * p1 syscall.refused pin memory.no_page
            p1#11 <- refused: unpinning a page of p1: page 3 is not in the window [memory.no_page]
    "#]]);
}

#[test]
fn what_is_pinned_stays_when_older_pages_leave() {
    let mut s = Script::new(small("fifo-batch"));
    let a = talk(&mut s, "m", 5);
    pin(&mut s, a, 3, true);
    ask(&mut s, a, "m", 1, &[&[(ANSWER, 100)], &[(USER, 100)]]);
    expect!["1 user, 2 assistant stub of 1, 3 user, 4 assistant stub of 5, 9 user, 10 assistant, 11 user; unchanged 1"].assert_eq(&shown(&s));
    s.crash();
    expect!["1 user, 2 assistant stub of 1, 3 user, 4 assistant stub of 5, 9 user, 10 assistant, 11 user; unchanged 0"].assert_eq(&shown(&s));
}

#[test]
fn what_is_forgotten_is_gone_for_good() {
    let mut s = Script::new(small("fifo-batch"));
    let a = with_a_cut(&mut s);
    forget(&mut s, a, 8);
    // A stub that stands for others too: another takes its place.
    forget(&mut s, a, 2);
    forget(&mut s, a, 8);
    forget(&mut s, a, 99);
    s.expect(&expect![[r#"
        0s p1#7 forget PageId(8)
            * p1 page.forgotten PageId(8) 100
            p1#8 <- forgotten 100
        0s p1#8 forget PageId(2)
            * p1 page.forgotten PageId(2) 0
            p1#9 <- forgotten 0
        0s p1#9 forget PageId(8)
            * p1 page.forgotten PageId(8) 0
            p1#10 <- forgotten 0
        0s p1#10 forget PageId(99)
            * p1 syscall.refused forget memory.no_page
            p1#11 <- refused: forgetting a page of p1: no such page: 99 [memory.no_page]
    "#]]);
    ask(&mut s, a, "m", 0, &[&[(ANSWER, 10)]]);
    expect!["1 user, 3 user stub of 5, 9 user, 10 assistant, 11 user, 12 assistant; unchanged 1"]
        .assert_eq(&shown(&s));
    s.crash();
    assert_eq!(residency(&s, a, 8), Residency::Forgotten);
}

#[test]
fn what_is_forgotten_takes_along_the_calls_that_brought_it_back() {
    let mut s = Script::new(small("fifo-batch"));
    let a = with_a_cut(&mut s);
    recall(&mut s, a, &[3]);
    bring_back(&mut s, a, 3);
    answered(&mut s, a);
    // The model's answer is page 12, the copy that it asked for page 13.
    forget(&mut s, a, 3);
    assert_eq!([3, 12, 13].map(|page| residency(&s, a, page)), [Residency::Forgotten; 3]);
    assert_eq!(residency(&s, a, 2), Residency::Stub);
}

#[test]
fn what_a_log_begins_with_is_not_forgotten() {
    let mut s = Script::new(small("fifo-batch"));
    let a = s.spawn(spec("a"));
    let system = aosk_abi::PageKind::System;
    // A message of which only a part is instructions.
    ask(&mut s, a, "m", 0, &[&[(system, 10), (USER, 20)]]);
    answered(&mut s, a);
    recall(&mut s, a, &[1]);
    bring_back(&mut s, a, 1);
    answered(&mut s, a);
    s.forget();
    forget(&mut s, a, 1);
    // A copy of it.
    forget(&mut s, a, 4);
    forget(&mut s, a, 2);
    s.expect(&expect![[r#"
        0s p1#4 forget PageId(1)
            * p1 syscall.refused forget memory.no_page
            p1#5 <- refused: forgetting a page of p1: page 1 is part of the static part [memory.no_page]
        0s p1#5 forget PageId(4)
            * p1 syscall.refused forget memory.no_page
            p1#6 <- refused: forgetting a page of p1: page 1 is part of the static part [memory.no_page]
        0s p1#6 forget PageId(2)
            * p1 page.forgotten PageId(2) 20
            p1#7 <- forgotten 20
    "#]]);
    assert_eq!(residency(&s, a, 1), Residency::Resident);
    let first = s.process(a).memory.space().page(PageId(2)).expect("there is one");
    assert_eq!((first.residency, first.end), (Residency::Forgotten, TEXT_END));
}

#[test]
fn only_its_own_program_changes_what_a_process_has_in_its_window() {
    let mut s = Script::new(small("fifo-batch"));
    let a = with_a_cut(&mut s);
    let turn = s.process(a).turn;
    let before = s.process(a).memory.clone();
    let step = |call| aosk_abi::Step { append: Vec::new(), call, state: "null".into() };
    s.step_of(a, turn - 1, step(Syscall::Forget { page: PageId(8) }));
    s.step_of(a, turn + 1, step(Syscall::Pin { page: PageId(8), pinned: true }));
    assert_eq!(s.process(a).memory, before);
    assert_eq!(s.kernel.ignored(), 2);
}

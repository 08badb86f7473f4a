//! Tasks: begun, ended, and their pages gone for their results.

use aosk_abi::{PageId, Pid, Syscall, Tokens, limits};
use expect_test::expect;

use super::memory::*;
use super::script::*;
use crate::Config;
use crate::memory::{Residency, rules};

/// A kernel whose model `m` has a window of 10,000 tokens at a provider with these rules.
fn cached(name: &str, policy: &str) -> Config {
    let mut config = small(policy);
    let model = config.models.get_mut("m").expect("there is one");
    model.context = Some(Tokens(10_090));
    model.cache = rules(name).expect("there are some");
    config
}

fn begin(s: &mut Script, pid: Pid, goal: &str) {
    s.step(pid, Syscall::BeginTask { goal: user(goal) });
}

fn end(s: &mut Script, pid: Pid, result: &str) {
    s.step(pid, Syscall::EndTask { result: user(result) });
}

/// The model says something that calls a tool, and is asked again with the result.
fn exchange(s: &mut Script, pid: Pid, answer: u32, result: u32) {
    answered(s, pid);
    ask(s, pid, "m", 1, &[&[(ANSWER, answer)], &[(RESULT, result)]]);
}

/// A process that has said `exchanges` things, and whose model has just asked for a task.
fn before_a_task(s: &mut Script, exchanges: u32) -> Pid {
    let pid = s.spawn(spec("a"));
    ask(s, pid, "m", 0, &[&[(USER, 100)]]);
    for _ in 0..exchanges {
        exchange(s, pid, 100, 400);
    }
    answered(s, pid);
    pid
}

/// A task of three exchanges, which has just ended. The call that begins it and the call that ends it
/// are 30 tokens with their results.
fn a_task(s: &mut Script, pid: Pid) {
    begin(s, pid, "find it");
    ask(s, pid, "m", 1, &[&[(ANSWER, 20)], &[(RESULT, 10)]]);
    for _ in 0..3 {
        exchange(s, pid, 100, 400);
    }
    answered(s, pid);
    s.forget();
    end(s, pid, "it is in the attic");
}

fn where_is(s: &Script, pid: Pid, page: u32) -> Residency {
    s.process(pid).memory.space().page(PageId(page)).expect("there is one").residency
}

#[test]
fn what_belongs_to_a_task_leaves_when_it_has_ended() {
    let ended = |name| {
        let mut s = Script::new(cached(name, "priced"));
        let a = before_a_task(&mut s, 2);
        a_task(&mut s, a);
        ask(&mut s, a, "m", 1, &[&[(ANSWER, 20)], &[(RESULT, 10)]]);
        assert_eq!(where_is(&s, a, 8), Residency::Closed, "{name}");
        s
    };
    let mut s = ended("anthropic5m");
    s.expect(&expect![[r#"
        0s p1#9 end task "it is in the attic"
            * p1 task.ended 1 6 pages 1500
            p1#10 <- task 1 ended: 8 to 13
        0s p1#10 think m 10+90
            * p1 memory.cut p1.c8 Task 6 pages, 2670 to 1170
            * p1 model.called p1.c8 m with 15 pages 1170+90
            think p1.c8/1 m with 9 pages
    "#]]);
    // The calls that begin and end it stay with their results, and nothing before them changed.
    let left = shown(&s);
    expect!["1 user, 2 assistant, 3 tool result, 4 assistant, 5 tool result, 6 assistant, 7 tool result, 14 assistant, 15 tool result; unchanged 7"].assert_eq(&left);
    // So it does where reading costs little, and where it costs nothing.
    assert_eq!(shown(&ended("deepseek")), left);
    assert_eq!(shown(&ended("vllm16")), left);
}

#[test]
fn a_task_that_is_open_stays_and_is_cut_like_anything_else() {
    let mut s = Script::new(cached("anthropic5m", "priced"));
    let a = before_a_task(&mut s, 2);
    begin(&mut s, a, "find it");
    ask(&mut s, a, "m", 1, &[&[(ANSWER, 20)], &[(RESULT, 10)]]);
    for _ in 0..30 {
        exchange(&mut s, a, 100, 400);
    }
    let space = s.process(a).memory.space();
    let away = |residency| space.pages().filter(|(_, page)| page.residency == residency).count();
    assert!(away(Residency::Stub) > 0 && away(Residency::Closed) == 0);
}

#[test]
fn what_is_pinned_outlives_its_task() {
    let mut s = Script::new(cached("deepseek", "priced"));
    let a = before_a_task(&mut s, 1);
    begin(&mut s, a, "find it");
    ask(&mut s, a, "m", 1, &[&[(ANSWER, 20)], &[(RESULT, 10)]]);
    exchange(&mut s, a, 100, 400);
    exchange(&mut s, a, 100, 400);
    answered(&mut s, a);
    s.step(a, Syscall::Pin { page: PageId(7), pinned: true });
    end(&mut s, a, "page 7 says it");
    ask(&mut s, a, "m", 1, &[&[(ANSWER, 20)], &[(RESULT, 10)]]);
    expect!["1 user, 2 assistant, 3 tool result, 4 assistant, 5 tool result, 6 assistant, 7 tool result, 10 assistant, 11 tool result; unchanged 7"].assert_eq(&shown(&s));
    // Let go, it does not leave at once: what came behind it would have to be read anew.
    answered(&mut s, a);
    s.step(a, Syscall::Pin { page: PageId(7), pinned: false });
    ask(&mut s, a, "m", 1, &[&[(ANSWER, 100)], &[(USER, 100)]]);
    assert_eq!(where_is(&s, a, 7), Residency::Resident);
    // It does with the next cut.
    for _ in 0..25 {
        exchange(&mut s, a, 100, 400);
    }
    assert_eq!([6, 7].map(|page| where_is(&s, a, page)), [Residency::Closed; 2]);
}

#[test]
fn a_task_within_a_task_leaves_first_and_the_outer_takes_the_rest_along() {
    let mut s = Script::new(cached("anthropic5m", "fifo-batch"));
    let a = before_a_task(&mut s, 1);
    begin(&mut s, a, "the whole");
    ask(&mut s, a, "m", 1, &[&[(ANSWER, 20)], &[(RESULT, 10)]]);
    exchange(&mut s, a, 100, 400);
    answered(&mut s, a);
    begin(&mut s, a, "a part");
    ask(&mut s, a, "m", 1, &[&[(ANSWER, 20)], &[(RESULT, 10)]]);
    exchange(&mut s, a, 100, 400);
    answered(&mut s, a);
    end(&mut s, a, "the part is done");
    ask(&mut s, a, "m", 1, &[&[(ANSWER, 20)], &[(RESULT, 10)]]);
    expect!["1 user, 2 assistant, 3 tool result, 4 assistant, 5 tool result, 6 assistant, 7 tool result, 8 assistant, 9 tool result, 12 assistant, 13 tool result; unchanged 9"].assert_eq(&shown(&s));
    answered(&mut s, a);
    end(&mut s, a, "all is done");
    ask(&mut s, a, "m", 1, &[&[(ANSWER, 20)], &[(RESULT, 10)]]);
    expect!["1 user, 2 assistant, 3 tool result, 4 assistant, 5 tool result, 14 assistant, 15 tool result; unchanged 5"].assert_eq(&shown(&s));
}

#[test]
fn one_answer_ends_a_task_and_begins_the_next() {
    let mut s = Script::new(cached("deepseek", "priced"));
    let a = before_a_task(&mut s, 1);
    a_task(&mut s, a);
    begin(&mut s, a, "and the next");
    ask(&mut s, a, "m", 1, &[&[(ANSWER, 20)], &[(RESULT, 10)]]);
    exchange(&mut s, a, 100, 400);
    answered(&mut s, a);
    end(&mut s, a, "done");
    ask(&mut s, a, "m", 1, &[&[(ANSWER, 20)], &[(RESULT, 10)]]);
    expect!["1 user, 2 assistant, 3 tool result, 4 assistant, 5 tool result, 12 assistant, 13 tool result, 16 assistant, 17 tool result; unchanged 7"].assert_eq(&shown(&s));
}

#[test]
fn a_task_survives_a_crash_and_a_fork() {
    let mut s = Script::new(cached("deepseek", "priced"));
    let a = before_a_task(&mut s, 1);
    begin(&mut s, a, "find it");
    ask(&mut s, a, "m", 1, &[&[(ANSWER, 20)], &[(RESULT, 10)]]);
    exchange(&mut s, a, 100, 400);
    let before = s.process(a).memory.clone();
    s.crash();
    assert_eq!(s.process(a).memory, before);
    answered(&mut s, a);
    let fork = s.child(a, aosk_abi::SpawnSpec { fork: true, ..spec("b") });
    s.crash();
    let mut shown_last: Vec<String> = Vec::new();
    for pid in [fork, a] {
        end(&mut s, pid, "it is in the attic");
        s.forget();
        // The fork has its own goal behind the answer.
        let goal: &[Pages<'_>] = if pid == fork { &[&[(USER, 10)]] } else { &[] };
        let messages: Vec<Pages<'_>> =
            [&[(ANSWER, 20)]].into_iter().map(|one| &one[..]).chain(goal.iter().copied()).collect();
        ask(&mut s, pid, "m", 0, &messages);
        shown_last.push(shown(&s));
        answered(&mut s, pid);
    }
    expect![[r#"
        1 user, 2 assistant, 3 tool result, 4 assistant, 5 tool result, 8 assistant, 9 user; unchanged 0
        1 user, 2 assistant, 3 tool result, 4 assistant, 5 tool result, 8 assistant; unchanged 0"#]].assert_eq(&shown_last.join("\n"));
}

#[test]
fn what_cannot_be_begun_or_ended_is_refused() {
    let mut s = Script::new(config());
    let a = s.spawn(spec("a"));
    s.forget();
    end(&mut s, a, "nothing was begun");
    for _ in 0..=limits::TASK_DEPTH_MAX {
        begin(&mut s, a, "deeper");
    }
    end(&mut s, a, " \n");
    s.expect(&expect![[r#"
        0s p1#1 end task "nothing was begun"
            * p1 syscall.refused end_task memory.task
            p1#2 <- refused: ending a task of p1: none is open [memory.task]
        0s p1#2 begin task "deeper"
            * p1 task.begun 1 within 0
            p1#3 <- task 1 begun
        0s p1#3 begin task "deeper"
            * p1 task.begun 2 within 1
            p1#4 <- task 2 begun
        0s p1#4 begin task "deeper"
            * p1 task.begun 3 within 2
            p1#5 <- task 3 begun
        0s p1#5 begin task "deeper"
            * p1 task.begun 4 within 3
            p1#6 <- task 4 begun
        0s p1#6 begin task "deeper"
            * p1 task.begun 5 within 4
            p1#7 <- task 5 begun
        0s p1#7 begin task "deeper"
            * p1 task.begun 6 within 5
            p1#8 <- task 6 begun
        0s p1#8 begin task "deeper"
            * p1 task.begun 7 within 6
            p1#9 <- task 7 begun
        0s p1#9 begin task "deeper"
            * p1 task.begun 8 within 7
            p1#10 <- task 8 begun
        0s p1#10 begin task "deeper"
            * p1 syscall.refused begin_task memory.task
            p1#11 <- refused: beginning a task of p1: 8 are open within one another [memory.task]
        0s p1#11 end task " \n"
            * p1 syscall.refused end_task memory.task
            p1#12 <- refused: ending a task of p1: its result is empty [memory.task]
    "#]]);
    assert_eq!(s.process(a).memory.space().arenas().open().len(), limits::TASK_DEPTH_MAX);
}

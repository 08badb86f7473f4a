//! What becomes of facts, told one by one.

use aosk::abi::{CallId, FinishReason, MicroUsd, PageKind, Pid};

use super::*;

const PID: Pid = Pid(1);

fn called(number: u32, pages: u32, input: u64) -> Fact {
    Fact::ModelCalled {
        call: CallId { pid: PID, number },
        model: "scripted:x".to_owned(),
        pages: MessageIndex(pages),
        input: Tokens(input),
        output_max: Tokens(10),
        window: Some(Tokens(1_000)),
        room: None,
        policy: None,
        prefer: None,
    }
}

fn answered(number: u32, usage: Usage) -> Fact {
    Fact::ModelAnswered {
        call: CallId { pid: PID, number },
        page: MessageIndex(0),
        body: Hash::of(b""),
        usage,
        cost: MicroUsd(0),
        finish: FinishReason::Stop,
    }
}

fn counted(input: u64) -> Usage {
    Usage { input_uncached: Tokens(input), ..Usage::default() }
}

fn cut(number: u32, (before, after): (u64, u64), pages: &[u32]) -> Fact {
    let evicted = |page: &u32| Evicted {
        page: PageId(*page),
        kind: PageKind::ToolResult,
        tokens: 100,
        chance_ppm: 20_000,
        gap_16ths: 40,
        loss: 5_000,
    };
    Fact::MemoryCut {
        call: CallId { pid: PID, number },
        policy: "priced".to_owned(),
        cause: CutCause::Pressure,
        window: Some(Tokens(1_000)),
        room: None,
        before: Tokens(before),
        after: Tokens(after),
        rewritten: Tokens(50),
        price: 62_500,
        loss: 5_000,
        growth: 40,
        evicted: pages.iter().map(evicted).collect(),
    }
}

fn told(facts: Vec<Fact>) -> History {
    let mut history = History::default();
    for fact in facts {
        history.note(fact);
    }
    history
}

#[test]
fn a_cut_belongs_to_the_call_that_comes_after_it_or_was_refused() {
    let history = told(vec![
        called(1, 2, 500),
        cut(3, (990, 600), &[3, 4]),
        called(3, 6, 600),
        cut(3, (600, 450), &[4, 5]),
        cut(5, (980, 700), &[6]),
    ]);
    let at: Vec<_> = history.cuts.iter().map(|cut| (cut.at, cut.call, cut.freed())).collect();
    assert_eq!(at, [(1, 3, 390), (1, 3, 150), (2, 5, 280)]);
    let stubs: Vec<Vec<bool>> = history
        .cuts
        .iter()
        .map(|cut| cut.evicted.iter().map(|gone| gone.was_stub).collect())
        .collect();
    assert_eq!(stubs, [vec![false, false], vec![true, false], vec![false]]);
    assert_eq!(history.shown(), Some(Shown { tokens: Tokens(700), messages: None }));
}

#[test]
fn a_window_is_as_full_as_its_provider_counts() {
    let estimated = Usage { estimated: true, ..counted(9_999) };
    let history = told(vec![
        called(1, 1, 500),
        answered(1, counted(1_000)),
        called(2, 3, 450),
        answered(2, estimated),
        cut(3, (480, 300), &[3]),
    ]);
    assert_eq!(history.rate, 2_000);
    assert_eq!(history.cuts[0].fullness(), Some(979));
    assert_eq!(why(&history.cuts[0]), "pressure: the window was 98 % full");
    assert_eq!(told(vec![called(1, 1, 500)]).rate, 1_000);
}

/// A call by a kernel that says what it planned with.
fn planned(number: u32, pages: u32, input: u64, fits: u64) -> Fact {
    Fact::ModelCalled {
        call: CallId { pid: PID, number },
        model: "scripted:x".to_owned(),
        pages: MessageIndex(pages),
        input: Tokens(input),
        output_max: Tokens(10),
        window: Some(Tokens(1_000)),
        room: Some(Tokens(fits)),
        policy: Some("lru".to_owned()),
        prefer: Some("quality".to_owned()),
    }
}

#[test]
fn what_fits_is_what_the_kernel_planned_with() {
    // The provider counts double, and has refused more than 450.
    let mut facts = vec![called(1, 1, 500), answered(1, counted(1_000)), planned(2, 3, 400, 450)];
    let history = told(facts.clone());
    assert_eq!((history.plan.window, history.room()), (Some(Tokens(1_000)), Some(Tokens(450))));
    let by = (history.plan.policy.as_deref(), history.plan.prefer.as_deref());
    assert_eq!(by, (Some("lru"), Some("quality")));
    // What is answered since changes the next plan, not this one.
    facts.push(answered(2, counted(600)));
    assert_eq!(told(facts.clone()).room(), Some(Tokens(450)));
    // A journal that does not say it is read as before.
    assert_eq!(told(facts[..2].to_vec()).room(), Some(Tokens(490)));
    // One that was started anew plans with all of the limit.
    facts.push(planned(3, 4, 400, 1_000));
    let history = told(facts);
    assert_eq!((history.room(), history.rate), (Some(Tokens(1_000)), 1_000));
}

#[test]
fn the_journal_of_an_older_kernel_is_read() {
    let old = r#"{"call":{"pid":1,"number":1},"model":"scripted:x","pages":2,"input":500,"output_max":10,"window":1000}"#;
    let read = Fact::read("model.called", old);
    assert_eq!(read, Some(called(1, 2, 500)));
    let old = r#"{"call":{"pid":1,"number":2},"policy":"priced","cause":"pressure","window":1000,"before":990,
        "after":600,"rewritten":50,"price":62500,"loss":5000,"growth":40,"evicted":[]}"#;
    assert_eq!(Fact::read("memory.cut", old), Some(cut(2, (990, 600), &[])));
}

#[test]
fn a_call_that_never_fitted_tells_what_must_be_shown() {
    let history = told(vec![Fact::WindowExceeded {
        model: "m".to_owned(),
        pages: MessageIndex(2),
        input: Tokens(900),
        window: Some(Tokens(400)),
        room: Tokens(300),
        policy: "lru".to_owned(),
        prefer: "cost".to_owned(),
    }]);
    let shown = Shown { tokens: Tokens(900), messages: Some(MessageIndex(2)) };
    assert_eq!((history.calls.len(), history.shown()), (0, Some(shown)));
    assert_eq!((history.plan.window, history.room()), (Some(Tokens(400)), Some(Tokens(300))));
}

#[test]
fn what_came_back_was_asked_for_or_not() {
    let fault = |page| Fact::PageFaulted { page: PageId(page), tokens: 100 };
    let back =
        |page, copy| Fact::PageRecalled { page: PageId(page), copy: PageId(copy), tokens: 110 };
    let history = told(vec![
        called(1, 1, 500),
        fault(4),
        back(4, 9),
        called(2, 3, 610),
        back(5, 10),
        called(3, 4, 620),
        // The copy was asked for, and what it is a copy of comes back.
        fault(9),
        back(4, 12),
        back(4, 13),
    ]);
    assert_eq!((history.faults.len(), history.recalls.len(), history.unasked), (2, 4, 2));
    let at: Vec<_> = history.recalls.iter().map(|mark| mark.at).collect();
    assert_eq!(at, [1, 2, 3, 3]);
    assert_eq!(history.faults[1], Mark { at: 2, page: PageId(9), tokens: 100 });
}

#[test]
fn a_message_is_as_old_as_the_calls_that_showed_it() {
    let history = told(vec![called(1, 2, 10), called(2, 4, 10), called(4, 6, 10)]);
    let ages: Vec<_> = [0, 1, 2, 3, 5, 6].map(|page| history.age(MessageIndex(page))).into();
    assert_eq!(ages, [Some(2), Some(2), Some(1), Some(1), Some(0), None]);
    assert_eq!(History::default().age(MessageIndex(0)), None);
}

#[test]
fn what_is_forgotten_is_no_longer_shown() {
    let forgotten = Fact::PageForgotten { page: PageId(3), freed: Tokens(70) };
    let history = told(vec![called(1, 2, 500), forgotten]);
    let shown = Shown { tokens: Tokens(430), messages: Some(MessageIndex(2)) };
    assert_eq!(history.shown(), Some(shown));
}

#[test]
fn tasks_are_open_until_they_end() {
    let begun = |task, within| Fact::TaskBegun {
        task: ArenaId(task),
        within: ArenaId(within),
        goal: Hash::of(b"goal"),
    };
    let (task, result) = (ArenaId(2), Hash::of(b"result"));
    let ended = Fact::TaskEnded { task, result, pages: 3, tokens: Tokens(30) };
    let history = told(vec![begun(1, 0), begun(2, 1), ended]);
    let results: Vec<_> = history.tasks.iter().map(|one| (one.task.0, one.result)).collect();
    assert_eq!(results, [(1, None), (2, Some(result))]);
}

#[test]
fn every_cause_is_said_in_words() {
    let history = told(vec![cut(1, (900, 400), &[3])]);
    let mut cut = history.cuts[0].clone();
    let mut said = Vec::new();
    for cause in [
        CutCause::Pressure,
        CutCause::Price,
        CutCause::Emergency,
        CutCause::Refused,
        CutCause::Task,
    ] {
        cut.cause = cause;
        said.push(why(&cut));
    }
    let full = "the window was 90 % full";
    let expected = [
        format!("pressure: {full}"),
        format!("price: {full}, and carrying the dead costs more than rewriting what stays"),
        format!("emergency: {full}, and what the policy found did not suffice, so the oldest go"),
        format!("refused by the provider: the request was too long; by estimate {full}"),
        format!("task: one has ended, and its result stands for it; {full}"),
    ];
    assert_eq!(said, expected);
    cut.room = None;
    cut.cause = CutCause::Pressure;
    assert_eq!(why(&cut), "pressure: how much fits is not known");
}

#[test]
fn a_call_that_no_budget_allows_is_none() {
    let failed = |number, code| Fact::ModelFailed {
        call: CallId { pid: PID, number },
        code,
        message: String::new(),
    };
    let mut history = History::default();
    history.note(called(1, 2, 100));
    history.note(failed(1, ErrorCode::ModelServer));
    history.note(called(2, 3, 200));
    history.note(failed(2, ErrorCode::BudgetExceeded));
    let numbers: Vec<_> = history.calls.iter().map(|call| call.number).collect();
    assert_eq!(numbers, [1]);
}

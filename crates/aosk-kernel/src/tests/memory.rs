//! What a model is shown of a log that does not fit its window, and what is said of what it is not.

use aosk_abi::{
    Body, ErrorCode, FailureClass, Form, Frame, Message, MessageIndex, Millis, PageId, PageKind,
    Pid, Piece, Release, Step, Syscall, TEXT_END, ThinkOptions, Tokens, Usage, Window, limits,
};
use expect_test::expect;

use super::script::*;
use crate::memory::{replacement, rules};
use crate::{Choice, Config, Route};

/// The kind and the tokens of the pages of one message.
pub(super) type Pages<'a> = &'a [(PageKind, u32)];

pub(super) const USER: PageKind = PageKind::User;
pub(super) const ANSWER: PageKind = PageKind::Assistant;
pub(super) const RESULT: PageKind = PageKind::ToolResult;

/// A kernel with this policy of replacement, where `m` takes 1000 tokens and an answer of 90, and `n`
/// whatever there is.
pub(super) fn small(policy: &str) -> Config {
    let mut config = config();
    let model = config.models.get_mut("m").expect("there is one");
    model.context = Some(Tokens(1_090));
    config.replacement = replacement(policy).expect("there is one");
    config
}

/// Asks `model`, with the messages that the page table does not have yet as these pages; results are
/// answers. What it appends, text messages, is among them.
pub(super) fn ask(s: &mut Script, pid: Pid, model: &str, append: usize, messages: &[Pages<'_>]) {
    let first = s.process(pid).memory.taken().0;
    let mut pieces = Vec::new();
    for (at, pages) in (first..).zip(messages) {
        let mut end = 0;
        for (part, (kind, tokens)) in pages.iter().enumerate() {
            end = if part + 1 == pages.len() { TEXT_END } else { end + 10 };
            let (source, tokens, answers) = (MessageIndex(at), *tokens, *kind == RESULT);
            pieces.push(Piece { source, kind: *kind, tokens, end, answers, copy_of: None });
        }
    }
    let append = (0..append).map(|at| user(&format!("message {at}"))).collect();
    ask_with(s, pid, model, append, pieces);
}

pub(super) fn ask_with(
    s: &mut Script,
    pid: Pid,
    model: &str,
    append: Vec<Body>,
    pieces: Vec<Piece>,
) {
    let Syscall::Think { options, uses, .. } = think(model) else { panic!("it asks a model") };
    let call = Syscall::Think { options, tools: Tokens(10), pieces, uses };
    let turn = s.process(pid).turn;
    s.step_of(pid, turn, Step { append, call, state: "null".into() });
}

/// The model answers, and its provider counts what the kernel estimated.
pub(super) fn answered(s: &mut Script, pid: Pid) {
    let estimate = s.process(pid).state.call().expect("it asks a model").estimate;
    s.answer(pid, estimate.0, 1);
}

/// A process whose page table has so many exchanges of a question and an answer, 100 tokens each.
pub(super) fn talk(s: &mut Script, model: &str, exchanges: u32) -> Pid {
    let pid = s.spawn(spec("a"));
    ask(s, pid, model, 0, &[&[(USER, 100)]]);
    answered(s, pid);
    for _ in 1..exchanges {
        ask(s, pid, model, 1, &[&[(ANSWER, 100)], &[(USER, 100)]]);
        answered(s, pid);
    }
    s.forget();
    pid
}

/// What left for a model last.
pub(super) fn window(s: &Script) -> Window {
    let releases = s.effects.iter().rev().flat_map(|effects| effects.releases.iter().rev());
    let mut windows = releases.filter_map(|release| match release {
        Release::Think { window, .. } => Some(window.clone()),
        Release::Tool(_)
        | Release::Cancel { .. }
        | Release::Yield { .. }
        | Release::Reply { .. } => None,
    });
    windows.next().expect("a model was asked")
}

/// A window in words.
pub(super) fn shown(s: &Script) -> String {
    let window = window(s);
    let frame = |frame: &Frame| {
        let Frame { page, kind, form, .. } = frame;
        let form = match form {
            Form::Content => String::new(),
            Form::Stub { pages, .. } => format!(" stub of {pages}"),
            Form::Summary { pages, tokens, body } => {
                let by = if body.is_some() { " by a model" } else { "" };
                format!(" summary of {pages} in {tokens}{by}")
            }
        };
        format!("{} {}{form}", page.0, kind.word())
    };
    let frames: Vec<_> = window.frames.iter().map(frame).collect();
    format!("{}; unchanged {}", frames.join(", "), window.unchanged)
}

/// The provider says that the request is too long.
fn too_long(s: &mut Script, pid: Pid) {
    s.fail(pid, failure(FailureClass::Final, ErrorCode::ModelContextLength, None));
}

#[test]
fn pages_leave_before_a_call_that_they_do_not_fit() {
    let mut s = Script::new(small("fifo-batch"));
    let a = talk(&mut s, "m", 5);
    // 910 and the tools are there; 970 is where a cut is made, 600 what it leaves.
    ask(&mut s, a, "m", 1, &[&[(ANSWER, 100)], &[(USER, 100)]]);
    s.expect(&expect![[r#"
        0s p1#6 think m 10+90
            * p1 memory.cut p1.c6 Pressure 6 pages, 1110 to 558
            * p1 model.called p1.c6 m with 11 pages 558+90
            think p1.c6/1 m with 6 pages
    "#]]);
    expect![
        "1 user, 2 assistant stub of 6, 8 assistant, 9 user, 10 assistant, 11 user; unchanged 1"
    ]
    .assert_eq(&shown(&s));
}

#[test]
fn what_must_stay_and_does_not_fit_is_refused_and_nothing_is_lost() {
    let mut s = Script::new(small("priced"));
    let a = s.spawn(spec("a"));
    s.forget();
    ask(&mut s, a, "m", 0, &[&[(USER, 991)]]);
    s.expect(&expect![[r#"
        0s p1#1 think m 10+90
            * p1 window.exceeded m with 1 pages 1001, of which 1000 fit
            * p1 syscall.refused think model.context_length
            p1#2 <- refused: asking m: what must be in the window takes 1001 tokens, and 1000 fit beside an answer of 90 [model.context_length]
    "#]]);
    assert_eq!(s.process(a).memory.taken(), MessageIndex(1));
    // A model that takes more is asked with all of it.
    ask(&mut s, a, "n", 0, &[]);
    expect!["1 user; unchanged 0"].assert_eq(&shown(&s));
    // To the last token it fits.
    let b = s.spawn(spec("b"));
    ask(&mut s, b, "m", 0, &[&[(USER, 990)]]);
    assert_eq!(s.word(b), "running");
}

#[test]
fn wrong_pieces_are_refused_and_change_nothing() {
    let mut s = Script::new(small("priced"));
    let a = s.spawn(spec("a"));
    let before = s.process(a).memory.clone();
    s.forget();
    let fine = piece(MessageIndex(0), USER, 5);
    for pieces in [
        vec![Piece { source: MessageIndex(1), ..fine }],
        vec![Piece { end: 7, ..fine }],
        vec![Piece { end: 7, ..fine }, Piece { end: 6, ..fine }],
        vec![Piece { end: 7, ..fine }, Piece { end: 7, ..fine }],
        vec![Piece { end: 7, ..fine }, Piece { source: MessageIndex(1), ..fine }],
        vec![fine, Piece { source: MessageIndex(1), ..fine }],
        vec![fine, fine],
    ] {
        ask_with(&mut s, a, "m", Vec::new(), pieces);
    }
    s.expect(&expect![[r#"
        0s p1#1 think m 10+90
            * p1 syscall.refused think kernel.bad_syscall
            p1#2 <- refused: asking the model for p1: the page table wants message @0 of the log and gets @1 [kernel.bad_syscall]
        0s p1#2 think m 10+90
            * p1 syscall.refused think kernel.bad_syscall
            p1#3 <- refused: asking the model for p1: the page table has @1 messages, the log @1 [kernel.bad_syscall]
        0s p1#3 think m 10+90
            * p1 syscall.refused think kernel.bad_syscall
            p1#4 <- refused: asking the model for p1: a page of message @0 ends before it begins [kernel.bad_syscall]
        0s p1#4 think m 10+90
            * p1 syscall.refused think kernel.bad_syscall
            p1#5 <- refused: asking the model for p1: a page of message @0 ends before it begins [kernel.bad_syscall]
        0s p1#5 think m 10+90
            * p1 syscall.refused think kernel.bad_syscall
            p1#6 <- refused: asking the model for p1: message 0 of the log has no end [kernel.bad_syscall]
        0s p1#6 think m 10+90
            * p1 syscall.refused think kernel.bad_syscall
            p1#7 <- refused: asking the model for p1: the page table has @2 messages, the log @1 [kernel.bad_syscall]
        0s p1#7 think m 10+90
            * p1 syscall.refused think kernel.bad_syscall
            p1#8 <- refused: asking the model for p1: the page table wants message @1 of the log and gets @0 [kernel.bad_syscall]
    "#]]);
    assert_eq!(s.process(a).memory, before);
}

#[test]
fn a_message_has_so_many_pages_and_no_more() {
    let mut s = Script::new(config());
    let fine = piece(MessageIndex(0), USER, 1);
    let pieces = |count: u32| -> Vec<Piece> {
        let mut pieces: Vec<_> = (1..=count).map(|end| Piece { end, ..fine }).collect();
        pieces.last_mut().expect("there is one").end = TEXT_END;
        pieces
    };
    let a = s.spawn(spec("a"));
    let most = u32::from(limits::PIECES_MAX);
    ask_with(&mut s, a, "n", Vec::new(), pieces(most + 1));
    assert_eq!((s.word(a), s.process(a).memory.taken()), ("program", MessageIndex(0)));
    ask_with(&mut s, a, "n", Vec::new(), pieces(most));
    assert_eq!((s.word(a), s.process(a).memory.taken()), ("running", MessageIndex(1)));
    s.crash();
    assert_eq!(window(&s).frames.len(), usize::from(limits::PIECES_MAX));
}

#[test]
fn a_provider_that_refuses_a_request_is_asked_again_once_with_less() {
    let mut s = Script::new(small("fifo-batch"));
    let a = talk(&mut s, "m", 4);
    ask(&mut s, a, "m", 1, &[&[(ANSWER, 100)], &[(USER, 100)]]);
    too_long(&mut s, a);
    s.expect(&expect![[r#"
        0s p1#5 think m 10+90
            * p1 model.called p1.c5 m with 9 pages 910+90
            think p1.c5/1 m with 9 pages
        0s p1.c5/1 failed
            * p1 memory.cut p1.c5 Refused 6 pages, 910 to 358
            think p1.c5/2 m with 4 pages
    "#]]);
    expect!["1 user, 2 assistant stub of 6, 8 assistant, 9 user; unchanged 1"]
        .assert_eq(&shown(&s));
    too_long(&mut s, a);
    s.expect(&expect![[r#"
        0s p1.c5/2 failed
            * p1 model.failed p1.c5 model.context_length: it broke
            p1#6 <- model failed: it broke [model.context_length]
    "#]]);
    // What the provider said is remembered: the next call is cut to what it took.
    assert_eq!(s.process(a).memory.window(), Some(Tokens(728)));
}

#[test]
fn a_provider_that_refuses_what_must_stay_is_believed() {
    let mut s = Script::new(small("priced"));
    let a = s.spawn(spec("a"));
    s.forget();
    ask(&mut s, a, "m", 0, &[&[(USER, 400)]]);
    too_long(&mut s, a);
    s.expect(&expect![[r#"
        0s p1#1 think m 10+90
            * p1 model.called p1.c1 m with 1 pages 410+90
            think p1.c1/1 m with 1 pages
        0s p1.c1/1 failed
            * p1 model.failed p1.c1 model.context_length: it broke
            p1#2 <- model failed: it broke [model.context_length]
    "#]]);
}

#[test]
fn what_a_provider_counts_corrects_the_estimate() {
    let mut s = Script::new(small("priced"));
    let a = s.spawn(spec("a"));
    ask(&mut s, a, "m", 0, &[&[(USER, 90)]]);
    assert_eq!(s.process(a).memory.window(), Some(Tokens(1_000)));
    // Twice the estimate of 100.
    s.answer(a, 200, 1);
    s.forget();
    ask(&mut s, a, "m", 1, &[&[(ANSWER, 5)], &[(USER, 5)]]);
    // A fiftieth is left free, and half of the rest fits. Twice the estimate is reserved.
    assert_eq!(s.process(a).memory.window(), Some(Tokens(490)));
    assert_eq!(spent(&s.budget(a).reserved), "310 tokens, 1 calls, 400 micro-dollars, 1 steps");
    // Figures that are the kernel's own guess say nothing.
    s.model_done(a, answer(Usage { estimated: true, ..usage(9_000, 1) }));
    ask(&mut s, a, "m", 1, &[&[(ANSWER, 5)], &[(USER, 5)]]);
    assert_eq!(s.process(a).memory.window(), Some(Tokens(490)));
}

#[test]
fn a_process_may_ask_for_a_smaller_window() {
    let mut s = Script::new(small("lru"));
    let a = talk(&mut s, "n", 4);
    let pieces = vec![piece(MessageIndex(7), ANSWER, 100)];
    let Syscall::Think { options, uses, .. } = think("n") else { panic!("it asks a model") };
    let options = ThinkOptions { window: Some(Tokens(500)), ..options };
    let call = Syscall::Think { options, tools: Tokens(10), pieces, uses };
    s.step(a, call);
    s.expect(&expect![[r#"
        0s p1#5 think n 10+90
            * p1 memory.cut p1.c5 Emergency 5 pages, 810 to 358
            * p1 model.called p1.c5 n with 8 pages 358+90
            think p1.c5/1 n with 4 pages
    "#]]);
    assert_eq!(s.process(a).memory.window(), Some(Tokens(500)));
}

#[test]
fn results_do_not_slide_out_before_their_call() {
    let mut s = Script::new(Config { models: config().models, ..small("sliding") });
    let a = s.spawn(spec("a"));
    ask(&mut s, a, "n", 0, &[&[(USER, 10)]]);
    s.answer(a, 10, 1);
    // A call with more results than there are blocks in the window.
    let results: Vec<Pages<'_>> = vec![&[(RESULT, 100)]; 21];
    let mut messages: Vec<Pages<'_>> = vec![&[(ANSWER, 10)]];
    messages.extend(results);
    ask(&mut s, a, "n", 21, &messages);
    let form = |page: u32| {
        let frames = window(&s).frames;
        frames.iter().find(|frame| frame.page.0 == page).map(|frame| frame.form)
    };
    let stub = |tokens| Some(Form::Stub { pages: 1, tokens });
    assert_eq!(
        [form(1), form(2), form(3), form(4)],
        [Some(Form::Content), Some(Form::Content), stub(100), Some(Form::Content)]
    );
}

#[test]
fn what_leaves_for_a_summary_is_told() {
    let mut s = Script::new(small("summarise"));
    let a = talk(&mut s, "m", 5);
    ask(&mut s, a, "m", 1, &[&[(ANSWER, 100)], &[(USER, 100)]]);
    s.expect(&expect![[r#"
        0s p1#6 think m 10+90
            * p1 memory.cut p1.c6 Pressure 8 pages, 1110 to 435
            * p1 model.called p1.c6 m with 11 pages 435+90
            think p1.c6/1 m with 4 pages
    "#]]);
    expect!["1 user, 2 assistant summary of 8 in 125, 10 assistant, 11 user; unchanged 1"]
        .assert_eq(&shown(&s));
}

#[test]
fn what_leaves_is_the_same_after_a_crash() {
    let mut s = Script::new(small("fifo-batch"));
    let a = talk(&mut s, "m", 5);
    ask(&mut s, a, "m", 1, &[&[(ANSWER, 100)], &[(USER, 100)]]);
    let before = window(&s).frames;
    s.crash();
    let after = window(&s);
    // Nobody knows what the provider has.
    assert_eq!((after.frames, after.unchanged), (before, 0));
    // The task is pinned since the first call.
    let pinned = |s: &Script| {
        let pages = s.process(a).memory.space().pages();
        pages.filter(|(_, page)| page.pinned).map(|(id, _)| id.0).collect::<Vec<_>>()
    };
    assert_eq!(pinned(&s), [1]);
    // What the tools take is known from the call, so that a provider that refuses it is believed.
    let total = s.process(a).memory.space().total();
    assert_eq!(Some(total), s.process(a).state.call().map(|call| call.estimate));
    s.forget();
    too_long(&mut s, a);
    s.expect(&expect![[r#"
        0s p1.c6/2 failed
            * p1 memory.cut p1.c6 Refused 3 pages, 558 to 258
            think p1.c6/3 m with 3 pages
    "#]]);
}

#[test]
fn instructions_in_the_middle_of_a_log_are_no_beginning_after_a_crash() {
    let mut s = Script::new(config());
    let a = s.spawn(spec("a"));
    ask(&mut s, a, "n", 1, &[&[(USER, 10)], &[(PageKind::System, 10)]]);
    s.answer(a, 30, 1);
    // Now they are the first that is shown.
    s.step(a, Syscall::Forget { page: PageId(1) });
    let fixed = s.process(a).memory.space().fixed();
    s.crash();
    assert_eq!((fixed, s.process(a).memory.space().fixed()), (1, 1));
}

/// A conversation whose second call has 5010 tokens in common with the first, and reads so many.
fn reads(s: &mut Script, pid: Pid, model: &str, tools: &[&str], read: u64) {
    let first = s.process(pid).memory.taken().0;
    let log = s.process(pid).page_count().0;
    let pieces = (first..log).map(|at| piece(MessageIndex(at), USER, 5_000)).collect();
    let Syscall::Think { options, uses, .. } = think(model) else { panic!("it asks a model") };
    let tools = tools.iter().map(|tool| (*tool).to_owned()).collect();
    let options = ThinkOptions { tools, ..options };
    s.step(pid, Syscall::Think { options, tools: Tokens(10), pieces, uses });
    let input = s.process(pid).memory.space().total().0;
    let cached = Usage { cache_read: Tokens(read), ..usage(input - read, 1) };
    s.model_done(pid, answer(cached));
}

#[test]
fn a_cache_that_is_missed_is_told_with_the_reason() {
    let mut with_cache = config();
    for model in with_cache.models.values_mut() {
        model.cache = rules("anthropic5m").expect("there are some");
    }
    let told = |tools: &[&str], model: &str, wait: Millis, read: u64| {
        let mut s = Script::new(with_cache.clone());
        let a = s.spawn(spec("a"));
        reads(&mut s, a, "m", &[], 0);
        s.after(wait.0);
        s.forget();
        reads(&mut s, a, model, tools, read);
        let transcript = s.take();
        let missed = transcript.lines().find(|line| line.contains("cache.missed"));
        missed.map(|line| line.trim().to_owned()).unwrap_or_default()
    };
    let soon = Millis(1);
    let minutes = Millis::from_secs(301);
    let all = [
        told(&[], "m", soon, 5_010),
        told(&[], "m", soon, 0),
        told(&[], "n", soon, 0),
        told(&["read"], "m", soon, 0),
        told(&[], "m", minutes, 0),
        // Blocks, and what stands around messages: that is no miss.
        told(&[], "m", soon, 5_010 - 2_048),
        told(&[], "m", soon, 5_010 - 2_049),
    ];
    expect![[r#"

        * p1 cache.missed p1.c2 Provider 0 of 5010: nothing changed, and it was read anew from the tools on
        * p1 cache.missed p1.c2 Model 0 of 5010: n was asked, and m before
        * p1 cache.missed p1.c2 Tools 0 of 5010: the tools, which stand before all else, came with read
        * p1 cache.missed p1.c2 Expired 0 of 5010: the last call was 301.0 s before, and entries live 300.0 s

        * p1 cache.missed p1.c2 Provider 2961 of 5010: nothing changed, and it was read anew from page 1 on (user, message 0)"#]]
    .assert_eq(&all.join("\n"));
}

#[test]
fn a_process_that_waits_has_its_prefix_kept_for_longer() {
    let mut config = config();
    let model = config.models.get_mut("n").expect("there is one");
    model.cache = rules("anthropic5m").expect("there are some");
    model.long_cache = rules("anthropic1h");
    let mut s = Script::new(config);
    let a = s.spawn(spec("a"));
    let mut asks = |wait: Millis, messages: &[Pages<'_>]| {
        s.after(wait.0);
        ask(&mut s, a, "n", messages.len().saturating_sub(1), messages);
        let long_lived = window(&s).long_lived;
        answered(&mut s, a);
        long_lived
    };
    let (soon, late) = (Millis(1), Millis::from_secs(301));
    let turn: &[Pages<'_>] = &[&[(ANSWER, 100)], &[(USER, 100)]];
    assert!(!asks(soon, &[&[(USER, 40_000)]]));
    assert_eq!([asks(soon, turn), asks(late, turn), asks(soon, turn)], [false, true, true]);
}

#[test]
fn behind_a_route_a_miss_is_of_the_device_that_was_asked() {
    let mut config = config();
    for model in config.models.values_mut() {
        model.cache = rules("anthropic5m").expect("there are some");
    }
    let route = |choice, names: &[&str]| Route {
        backends: names.iter().map(|name| ((*name).to_owned(), 1)).collect(),
        choice,
        ..Route::default()
    };
    config.routes.insert("turns".to_owned(), route(Choice::ByWeight, &["m", "n"]));
    config.routes.insert("alone".to_owned(), route(Choice::InOrder, &["m"]));
    let told = |first: &str, second: &str| {
        let mut s = Script::new(config.clone());
        let a = s.spawn(spec("a"));
        reads(&mut s, a, first, &[], 0);
        s.forget();
        reads(&mut s, a, second, &[], 0);
        let transcript = s.take();
        let missed = transcript.lines().find(|line| line.contains("cache.missed"));
        missed.map(|line| line.trim().to_owned()).unwrap_or_default()
    };
    let all = [told("turns", "turns"), told("m", "alone"), told("alone", "n")];
    expect![[r#"
        * p1 cache.missed p1.c2 Model 0 of 5010: n was asked, and m before
        * p1 cache.missed p1.c2 Provider 0 of 5010: nothing changed, and it was read anew from the tools on
        * p1 cache.missed p1.c2 Model 0 of 5010: n was asked, and m before"#]]
    .assert_eq(&all.join("\n"));
}

#[test]
fn pages_of_a_message_are_all_of_it() {
    let mut s = Script::new(small("priced"));
    let a = s.spawn(spec("a"));
    ask(&mut s, a, "m", 0, &[&[(USER, 10), (USER, 20), (USER, 30)]]);
    let texts: Vec<_> = window(&s).frames.iter().map(|frame| frame.text).collect();
    assert_eq!(texts, [(0, 10), (10, 20), (20, TEXT_END)]);
    let bodies = window(&s).frames;
    let task = Body::new(Message::user("task")).hash();
    assert!(bodies.iter().all(|frame| frame.body == task));
}

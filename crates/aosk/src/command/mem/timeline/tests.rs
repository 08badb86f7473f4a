//! From a journal to points, and files written.

use aosk::abi::{CallId, Fact, FinishReason, Hash, MessageIndex, MicroUsd, Pid, Usage};

use super::*;

fn called(number: u32, input: u64, limit: Option<u64>) -> Fact {
    Fact::ModelCalled {
        call: CallId { pid: Pid(1), number },
        model: "m".to_owned(),
        pages: MessageIndex(number),
        input: Tokens(input),
        output_max: Tokens(1),
        window: limit.map(Tokens),
        room: None,
        policy: None,
        prefer: None,
    }
}

fn answered(number: u32, (fresh, cached): (u64, u64)) -> Fact {
    let usage =
        Usage { input_uncached: Tokens(fresh), cache_read: Tokens(cached), ..Usage::default() };
    Fact::ModelAnswered {
        call: CallId { pid: Pid(1), number },
        page: MessageIndex(0),
        body: Hash::of(b""),
        usage,
        cost: MicroUsd(0),
        finish: FinishReason::Stop,
    }
}

#[test]
fn a_call_without_an_answer_is_drawn_as_its_provider_would_count_it() {
    let mut history = History::default();
    for fact in [
        called(1, 100, Some(900)),
        answered(1, (30, 20)),
        called(2, 200, Some(900)),
        called(3, 300, None),
        answered(3, (100, 500)),
    ] {
        history.note(fact);
    }
    let expected = [
        Point { call: 0, input: 50, cached: 20, counted: true },
        Point { call: 1, input: 100, cached: 0, counted: false },
        Point { call: 2, input: 600, cached: 500, counted: true },
    ];
    assert_eq!(points(&history), expected);
    assert_eq!(limits(&history), [(0, Some(900)), (2, None)]);
}

#[test]
fn a_long_life_is_thinned() {
    let mut history = History::default();
    for number in 1..=10_000_u32 {
        history.note(called(number, u64::from(number % 100) * 10 + 10, Some(2_000)));
        history.note(answered(number, (10, u64::from(number % 100) * 10)));
    }
    let svg = draw("p1 agent", &history);
    let area =
        svg.lines().find(|line| line.contains("class=\"cached\" fill") && line.contains("<path"));
    let steps = area.expect("an area").matches('H').count();
    assert!((1_000..=POINTS_MAX).contains(&steps), "{steps}");
    assert!(svg.len() < 200_000, "{}", svg.len());
}

#[test]
fn a_directory_is_not_written_over() {
    let dir = tempfile::tempdir().expect("a directory");
    let error = write(dir.path(), "<svg/>").expect_err("it is a directory");
    assert_eq!(error.code, ErrorCode::Io);
    assert!(error.message.ends_with(": it is a directory"), "{}", error.message);
    let file = dir.path().join("a.svg");
    for svg in ["<svg>old and longer</svg>", "<svg/>"] {
        write(&file, svg).expect("writes");
    }
    assert_eq!(std::fs::read_to_string(&file).expect("reads"), "<svg/>\n");
}

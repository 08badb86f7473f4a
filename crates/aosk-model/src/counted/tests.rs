//! Tests of `counted`.

use std::sync::Arc;

use aosk_abi::{Body, CallId, Pid, ThinkOptions};

use super::*;

fn request(messages: Vec<Message>) -> Request {
    Request {
        call: CallId { pid: Pid(1), number: 1 },
        attempt: 1,
        process: String::new(),
        label: String::new(),
        options: Arc::new(ThinkOptions {
            model: "test:m".into(),
            output_max: Tokens(100),
            tools: vec![],
            temperature_milli: None,
            window: None,
        }),
        messages: messages.into_iter().map(Body::new).collect(),
        begun: None,
        tools: Arc::new([]),
        cache: crate::CacheHints::default(),
        wishes: Arc::default(),
        answers: 0,
        on_rates: crate::OnRates::default(),
    }
}

fn counted(input: u64, output: u64) -> Option<Counted> {
    let usage = Usage { cache_read: Tokens(input), output: Tokens(output), ..Usage::default() };
    Some(Counted { usage, output_is_final: true })
}

#[test]
fn figures_that_cannot_be_are_none() {
    let request = request(vec![Message::user("hi")]);
    let answer = Message::assistant("yes");
    let estimate = tokens::of_call(&request, &answer);
    assert!(estimate.estimated);
    let of = |input, output| usage(counted(input, output), &request, 50, &answer);
    let (input_max, output_max) = (50 + ADDED_INPUT_MAX, 100 + 3 + HIDDEN_OUTPUT_MAX);
    assert_eq!(of(input_max, output_max), counted(input_max, output_max).expect("some").usage);
    assert_eq!(of(input_max + 1, 1), estimate);
    assert_eq!(of(1, output_max + 1), estimate);
    assert_eq!(of(u64::MAX, u64::MAX), estimate);
    let parts = Usage { input_uncached: Tokens(u64::MAX), ..counted(9, 9).expect("some").usage };
    let parts = Counted { usage: parts, output_is_final: true };
    assert_eq!(usage(Some(parts), &request, 50, &answer), estimate);
}

#[test]
fn a_part_that_is_no_text_may_be_long() {
    let image = Part::Other { json: serde_json::json!({"type": "file", "file": {"id": "f"}}) };
    let seen = Message::User { content: Content::Parts(vec![image]), name: None };
    let request = request(vec![seen]);
    let of = |input| usage(counted(input, 1), &request, 50, &Message::assistant("a")).estimated;
    assert!(!of(1_000_000));
    assert!(of(50 + ADDED_INPUT_MAX + OTHER_PART_MAX + 1));
}

#[test]
fn an_output_that_went_on_is_estimated() {
    let request = request(vec![Message::user("hi")]);
    let answer = Message::assistant("word ".repeat(1000));
    let begun = Counted { output_is_final: false, ..counted(7, 1).expect("some") };
    let estimate = tokens::of_call(&request, &answer).output;
    assert!(estimate > Tokens(1000));
    assert_eq!(
        usage(Some(begun), &request, 50, &answer),
        Usage { output: estimate, estimated: true, ..begun.usage }
    );
}

//! Which process a request goes on with.

use aosk_abi::{Content, Part, ToolUse};

use super::*;

const NOW: Duration = Duration::from_secs(1_000);

fn thread(session: &str, said: &[Message]) -> Thread {
    let mut thread = Thread::begin(session);
    said.iter().for_each(|message| thread.say(message));
    thread
}

fn talk(texts: &[&str]) -> Vec<Message> {
    let turn = |(at, text): (usize, &&str)| match at % 2 {
        0 => Message::user(*text),
        _ => Message::assistant(*text),
    };
    texts.iter().enumerate().map(turn).collect()
}

fn put(all: &Conversations, texts: &[&str], pid: u64, now: Duration) -> Vec<Pid> {
    all.put(&thread("s", &talk(texts)), (Pid(pid), Tokens(pid)), now)
}

fn take(all: &Conversations, texts: &[&str]) -> Option<u64> {
    all.take(&thread("s", &talk(texts))).map(|one| one.pid.0)
}

fn answer(reasoning: Option<&str>, arguments: &str) -> Message {
    let call = ToolUse { id: "t".into(), name: "look".into(), arguments: arguments.into() };
    Message::Assistant {
        content: Some(Content::Text("b".into())),
        reasoning: reasoning.map(Into::into),
        tool_calls: vec![call],
    }
}

#[test]
fn what_waits_is_known_by_all_that_was_said() {
    let all = Conversations::default();
    assert_eq!(put(&all, &["a", "b"], 7, NOW), []);
    let waiting = all.take(&thread("s", &talk(&["a", "b", "c"]))).expect("it waits");
    assert_eq!((waiting.pid, waiting.messages, waiting.tokens), (Pid(7), 2, Tokens(7)));
}

#[test]
fn the_longest_beginning_goes_on() {
    let all = Conversations::default();
    put(&all, &["a"], 1, NOW);
    put(&all, &["a", "b", "c"], 3, NOW);
    put(&all, &["a", "b"], 2, NOW);
    let asked = ["a", "b", "c", "d", "e"];
    assert_eq!(
        [take(&all, &asked), take(&all, &asked), take(&all, &asked)],
        [Some(3), Some(2), Some(1)]
    );
    assert_eq!(take(&all, &asked), None);
}

#[test]
fn nothing_but_the_same_beginning_goes_on() {
    let all = Conversations::default();
    put(&all, &["a", "b"], 1, NOW);
    for other in [&["a"][..], &["a", "B", "c"], &["b", "a"], &["ab"], &["a", "b c"], &[]] {
        assert_eq!(take(&all, other), None, "{other:?}");
    }
    assert_eq!(all.take(&thread("t", &talk(&["a", "b", "c"]))), None);
    // The same words by another.
    let by_user = [Message::user("a"), Message::user("b"), Message::user("c")];
    assert_eq!(all.take(&thread("s", &by_user)), None);
    assert_eq!(take(&all, &["a", "b"]), Some(1));
}

#[test]
fn reasoning_that_is_not_sent_back_changes_nothing() {
    let all = Conversations::default();
    let said = [Message::user("a"), answer(Some("hm"), "{}")];
    all.put(&thread("s", &said), (Pid(1), Tokens(1)), NOW);
    let back = [Message::user("a"), answer(None, "{}"), Message::tool("t", "seen")];
    assert_eq!(all.take(&thread("s", &back)).map(|one| one.pid), Some(Pid(1)));
}

#[test]
fn arguments_are_the_same_however_they_are_written() {
    let said = |arguments| thread("s", &[answer(None, arguments)]);
    assert_eq!(said(r#"{"a":1,"b":[2]}"#), said("{ \"b\": [ 2 ],\n\"a\": 1 }"));
    assert_ne!(said(r#"{"a":1}"#), said(r#"{"a":"1"}"#));
    assert_ne!(said("{\"a\":"), said("{\"a\" :"));
}

/// Some clients write a text as a list of parts once they mark it for the cache.
#[test]
fn a_text_is_the_same_in_one_part() {
    let parts = |texts: &[&str]| Message::User {
        content: Content::Parts(
            texts.iter().map(|text| Part::Text { text: (*text).into() }).collect(),
        ),
        name: None,
    };
    let said = |message: Message| thread("s", &[message]);
    assert_eq!(said(parts(&["a"])), said(Message::user("a")));
    assert_ne!(said(parts(&["a", "b"])), said(Message::user("ab")));
    assert_ne!(said(parts(&["a"])), said(Message::system("a")));
    assert_ne!(said(parts(&[])), said(Message::user("a")));
}

#[test]
fn a_process_that_asks_is_nobody_elses() {
    let all = Conversations::default();
    put(&all, &["a", "b"], 1, NOW);
    assert_eq!(take(&all, &["a", "b", "c"]), Some(1));
    assert_eq!(take(&all, &["a", "b", "c"]), None);
}

#[test]
fn of_two_that_came_to_say_the_same_the_first_ends() {
    let all = Conversations::default();
    assert_eq!(put(&all, &["a", "b"], 1, NOW), []);
    assert_eq!(put(&all, &["a", "b"], 2, NOW), [Pid(1)]);
    assert_eq!(take(&all, &["a", "b"]), Some(2));
}

#[test]
fn a_session_leaves_its_oldest_beyond_its_bound() {
    let all = Conversations::default();
    let other = thread("t", &talk(&["a"]));
    all.put(&other, (Pid(999), Tokens(1)), Duration::ZERO);
    for at in 0..WAITING_OF_SESSION_MAX {
        let now = NOW + Duration::from_secs(at as u64);
        assert_eq!(put(&all, &[&format!("q{at}")], at as u64, now), []);
    }
    assert_eq!(put(&all, &["more"], 500, NOW * 2), [Pid(0)]);
    assert_eq!(put(&all, &["again"], 501, NOW * 2), [Pid(1)]);
    assert_eq!((take(&all, &["q0"]), take(&all, &["q2"])), (None, Some(2)));
    assert!(all.take(&other).is_some());
}

#[test]
fn all_sessions_leave_the_oldest_beyond_the_bound_of_all() {
    let all = Conversations::default();
    for at in 0..WAITING_MAX {
        let now = NOW + Duration::from_secs(at as u64);
        let one = thread(&format!("s{at}"), &talk(&["a"]));
        assert_eq!(all.put(&one, (Pid(at as u64), Tokens(1)), now), []);
    }
    assert_eq!(put(&all, &["a"], 9_999, NOW * 20), [Pid(0)]);
}

#[test]
fn those_who_wait_too_long_are_idle() {
    let all = Conversations::default();
    put(&all, &["a"], 1, NOW);
    put(&all, &["b"], 2, NOW + Duration::from_secs(1));
    assert_eq!(all.take_idle(NOW + IDLE.saturating_sub(Duration::from_nanos(1))), []);
    assert_eq!(all.take_idle(NOW + IDLE), [Pid(1)]);
    assert_eq!(all.take_all(), [Pid(2)]);
    assert_eq!(all.take_all(), []);
}

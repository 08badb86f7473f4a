//! `replay`, events in and actions out.

use std::sync::Arc;

use aosk_abi::{FinishReason, PermissionLevel, Pid, Tokens};

use super::*;

fn options() -> ThinkOptions {
    ThinkOptions {
        model: "m".to_owned(),
        output_max: Tokens(100),
        tools: Vec::new(),
        temperature_milli: None,
        window: None,
    }
}

/// Feeds events to a replay of these turns and gives back the actions.
fn play(turns: &str, events: Vec<Event>) -> Vec<Action> {
    let param =
        format!(r#"{{"options":{},"turns":{turns}}}"#, serde_json::to_string(&options()).unwrap());
    let may = PermissionLevel::Standard.capabilities();
    let view = ProcessView {
        pid: Pid(1),
        name: "r",
        label: "L",
        param: &param,
        priority: 50,
        parent: None,
        capabilities: &may,
        answer: None,
    };
    let mut state = State::default();
    let mut next = |event| {
        let text = serde_json::to_string(&state).unwrap();
        state = serde_json::from_str(&text).unwrap();
        Replay.next(&mut state, &view, event)
    };
    events.into_iter().map(&mut next).collect()
}

fn call(id: &str) -> ToolUse {
    ToolUse { id: id.to_owned(), name: "t".to_owned(), arguments: "{}".to_owned() }
}

fn answer(calls: &[&str]) -> Event {
    let tool_calls = calls.iter().map(|id| call(id)).collect();
    let message = Message::Assistant { content: None, reasoning: None, tool_calls };
    Event::Answered { message: Arc::new(message), finish: FinishReason::Stop }
}

fn mail(text: &str) -> Event {
    Event::Received { from: None, message: Arc::new(Message::user(text)) }
}

fn ends(status: ExitStatus) -> Action {
    Action::call(Call::Exit { status, result: None })
}

#[test]
fn it_goes_through_the_turns_in_order() {
    let events =
        vec![Event::Started, answer(&["a", "b"]), Event::ToolsReturned(Vec::new()), mail("next")];
    let actions = play(r#"["a",{"t":[1,0]},"u"]"#, events);
    let think = Action::call(Call::Think(options()));
    let tools = Action::call(Call::CallTools(vec![call("b"), call("a")]));
    let receive = Action::call(Call::Receive { from: None, timeout: None });
    let last = Action { append: vec![Message::user("next")], ..ends(ExitStatus::Finished) };
    assert_eq!(actions, [think, tools, receive, last]);
}

#[test]
fn the_calls_of_one_answer_may_be_made_in_parts() {
    let events = vec![Event::Started, answer(&["a", "b"]), Event::ToolsReturned(Vec::new())];
    let actions = play(r#"["a",{"t":[1]},{"t":[0]}]"#, events);
    assert_eq!(actions[1], Action::call(Call::CallTools(vec![call("b")])));
    assert_eq!(actions[2], Action::call(Call::CallTools(vec![call("a")])));
}

#[test]
fn a_call_that_the_answer_does_not_have_is_a_difference() {
    let actions = play(r#"["a",{"t":[2]}]"#, vec![Event::Started, answer(&["a", "b"])]);
    assert_eq!(actions[1], ends(ExitStatus::Failed(ErrorCode::ReplayDiffers)));
}

#[test]
fn an_empty_record_ends_at_once() {
    assert_eq!(play("[]", vec![Event::Started]), [ends(ExitStatus::Finished)]);
}

#[test]
fn a_parameter_that_does_not_parse_ends_the_process() {
    let actions = play("7", vec![Event::Started]);
    assert_eq!(actions, [ends(ExitStatus::Failed(ErrorCode::ProgramInvalid))]);
}

#[test]
fn what_a_record_cannot_hold_ends_the_process() {
    let events = [Event::Sent, Event::Slept, Event::TimedOut, Event::Spawned(Pid(2))];
    for event in events {
        let actions = play(r#"["a"]"#, vec![event.clone()]);
        assert_eq!(actions, [ends(ExitStatus::Failed(ErrorCode::ProgramFailed))], "{event:?}");
    }
    let actions = play(r#"["a"]"#, vec![Event::Terminated]);
    assert_eq!(actions, [ends(ExitStatus::Signalled(aosk_abi::Signal::Term))]);
}

//! The record, read from stores that hold a few facts.

use std::sync::Arc;

use aosk::abi::{Content, Entry, Message, Risk, Timestamp};
use aosk::store::{Batch, Memory, Store};

use super::*;

const PID: Pid = Pid(3);
const CALL: CallId = CallId { pid: PID, number: 2 };
const ARGUMENTS: &str = r#"{"command":"cargo test"}"#;

/// A store that has these facts of one agent and these bodies.
fn store(facts: Vec<Fact>, bodies: Vec<Body>) -> Arc<dyn Reader> {
    let mut store = Memory::new();
    let entry = |fact| Entry { at: Timestamp(1), pid: Some(PID), fact };
    let journal = facts.into_iter().map(entry).collect();
    store.commit(&[Batch { journal, bodies, ..Batch::default() }]).expect("commits");
    store.reader()
}

fn asking() -> Body {
    let wish = ToolUse { id: "c".into(), name: "run_command".into(), arguments: ARGUMENTS.into() };
    let content = Some(Content::Text("I test.".into()));
    Body::new(Message::Assistant { content, reasoning: None, tool_calls: vec![wish] })
}

fn answered(body: &Body) -> Fact {
    Fact::ModelAnswered {
        call: CallId { pid: PID, number: 1 },
        page: aosk::abi::MessageIndex(2),
        body: body.hash(),
        usage: aosk::abi::Usage::default(),
        cost: aosk::abi::MicroUsd(1),
        finish: aosk::abi::FinishReason::ToolCalls,
    }
}

fn called() -> Fact {
    let arguments = Hash::of(ARGUMENTS.as_bytes());
    Fact::ToolCalled { call: CALL, tool: "run_command".into(), risk: Risk::High, arguments }
}

#[test]
fn a_call_has_its_command_and_is_in_flight_until_it_ends() {
    let (asking, result) = (asking(), Body::new(Message::tool("c", "exit code 0\n")));
    let facts = vec![answered(&asking), called()];
    let bodies = vec![asking, result.clone()];
    let record = Record::read(store(facts.clone(), bodies.clone()).as_ref()).expect("reads");
    let call = Call {
        device: "run_command".into(),
        object: "cargo test".into(),
        begun: 1,
        ended: 0,
        result: String::new(),
    };
    assert_eq!(record.in_flight().collect::<Vec<_>>(), [(&CALL, &call)]);

    let returned = Fact::ToolReturned { call: CALL, body: result.hash(), is_error: false };
    let facts = facts.into_iter().chain([returned]).collect();
    let record = Record::read(store(facts, bodies).as_ref()).expect("reads");
    assert_eq!(record.in_flight().count(), 0);
    let call = Call { ended: 1, result: "exit code 0\n".into(), ..call };
    assert_eq!(record.tool_calls.get(&CALL), Some(&call));
}

#[test]
fn a_second_look_takes_in_only_what_is_new() {
    let asking = asking();
    let reader = store(vec![answered(&asking), called()], vec![asking]);
    let mut record = Record::default();
    let mut news = Vec::new();
    for _ in 0..2 {
        record
            .catch_up(reader.as_ref(), |_, entry, what| news.push((entry.seq, what)))
            .expect("reads");
    }
    assert_eq!(news, [(1, News::Said { pid: PID, text: "I test.".into() })]);
    assert_eq!((record.entries, record.tool_calls[&CALL].begun), (2, 1));
}

#[test]
fn a_body_that_is_missing_is_an_error() {
    let error =
        Record::read(store(vec![answered(&asking())], vec![]).as_ref()).expect_err("no body");
    assert_eq!(error.code, ErrorCode::StoreCorrupt);
}

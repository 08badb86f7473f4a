//! Real recorded conversations, where the machine has them.

use std::collections::BTreeMap;
use std::path::Path;

use aosk_abi::Body;
use aosk_model::{Driver, Replay, parse_line};

use crate::server::request;
use crate::skip::skip;

const TRACES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/traces");

/// Every line is read, and every answer of it is given when the conversation is played.
#[tokio::test]
async fn recorded_conversations_play_to_their_end() {
    for (file, lines) in [("tau-airline-100.jsonl", 100), ("coding-terminal.jsonl", 92)] {
        let Ok(text) = std::fs::read_to_string(Path::new(TRACES).join(file)) else {
            skip(file, "it is not on this machine");
            continue;
        };
        let records: Vec<_> =
            text.lines().map(|line| parse_line(line).expect("a conversation")).collect();
        assert_eq!(records.len(), lines);
        let labelled = records.iter().map(|record| (record.id.clone(), record.clone()));
        let replay = Replay::new(labelled.collect::<BTreeMap<_, _>>());
        let mut calls = 0;
        for record in &records {
            let bodies: Vec<_> = record.messages.iter().cloned().map(Body::new).collect();
            let mut ordinal = 0;
            for (index, message) in record.messages.iter().enumerate() {
                for call in message.tool_calls() {
                    let (replayed, result) =
                        replay.tool_result(&record.id, ordinal).expect("each call has its result");
                    assert_eq!(replayed, call);
                    assert_eq!(result.role(), "tool");
                    ordinal += 1;
                }
                if message.role() == "assistant" {
                    let mut asked = request(vec![], vec![]);
                    asked.messages = bodies[..index].to_vec();
                    asked.label.clone_from(&record.id);
                    let reply = replay.complete(asked, None).await.expect("plays");
                    assert_eq!(reply.body.message().as_ref(), message);
                }
            }
            calls += ordinal;
        }
        println!("{file}: {} conversations, {calls} tool calls", records.len());
    }
}

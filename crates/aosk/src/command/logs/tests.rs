//! Tests of `aosk logs`.

use std::fmt::Write;

use aosk::abi::{
    Ability, Body, BudgetId, ErrorCode, Fact, FailureClass, FinishReason, Limits, MessageIndex,
    Reason, Resource, Risk, RowChange, RowKey, RowOp, Signal, Spend, Timestamp, Tokens, ToolUse,
};
use aosk::store::{Batch, Memory, Store};
use expect_test::expect;

use super::*;

fn entry(fact: &Fact) -> StoredEntry {
    StoredEntry {
        seq: 7,
        at: Timestamp(0),
        pid: Some(Pid(3)),
        kind: fact.kind().to_owned(),
        data: serde_json::to_string(fact).expect("serialises"),
        hash: Hash::ZERO,
    }
}

/// One of each.
fn facts() -> Vec<Fact> {
    let call = CallId { pid: Pid(3), number: 2 };
    let (body, from) = (Hash::of(b"body"), Some(Pid(1)));
    let usage = Usage {
        input_uncached: Tokens(1_000),
        cache_read: Tokens(9_000),
        output: Tokens(50),
        ..Usage::default()
    };
    let message = "overloaded\u{1b}[2J".to_owned();
    vec![
        Fact::Spawned {
            name: "ann\u{1b}[31m".to_owned(),
            parent: from,
            program: "react".to_owned(),
            priority: 50,
            pages: vec![body],
            limits: Limits::default(),
            forked: None,
        },
        Fact::ModelCalled {
            call,
            model: "openai:small".to_owned(),
            pages: MessageIndex(4),
            input: Tokens(12_345),
            output_max: Tokens(4_096),
            window: Some(Tokens(28_672)),
            room: None,
            policy: None,
            prefer: None,
        },
        Fact::ModelRouted {
            call,
            attempt: 1,
            device: "openai:small".to_owned(),
            by: Choice::ByCost,
            figure: Some(1_234),
            cached: Tokens(9_000),
            waited: Millis(2_500),
            passed: vec![
                PassedOver {
                    device: "openai:tiny".to_owned(),
                    why: Reason::Busy,
                    figure: Some(999),
                },
                PassedOver {
                    device: "openai:blind".to_owned(),
                    why: Reason::Lacks(Ability::Images),
                    figure: None,
                },
            ],
        },
        Fact::ModelRouted {
            call,
            attempt: 2,
            device: "openai:quick".to_owned(),
            by: Choice::ByLatency,
            figure: Some(1_500),
            cached: Tokens(0),
            waited: Millis(0),
            passed: Vec::new(),
        },
        Fact::ModelAnswered {
            call,
            page: MessageIndex(4),
            body,
            usage,
            cost: MicroUsd(1_234),
            finish: FinishReason::ToolCalls,
        },
        Fact::ModelRetried {
            call,
            failure: 1,
            class: FailureClass::Transient,
            code: ErrorCode::ModelServer,
            message: message.clone(),
            wait: Millis(1_500),
        },
        Fact::ModelFailed { call, code: ErrorCode::ModelServer, message: message.clone() },
        Fact::ModelCharged {
            call,
            spend: Spend { tokens: Tokens(3_000), micro_usd: MicroUsd(4_500), ..Spend::default() },
        },
        Fact::ToolCalled { call, tool: "read_file".to_owned(), risk: Risk::Low, arguments: body },
        Fact::ToolReturned { call, body, is_error: true },
        Fact::Refused { syscall: "spawn".to_owned(), code: ErrorCode::Forbidden, message },
        Fact::MessageSent { from, body },
        Fact::MessageReceived { from: None, body },
        Fact::Signalled { signal: Signal::Term },
        Fact::Reniced { priority: 10 },
        Fact::Exited {
            status: ExitStatus::OutOfBudget(Resource::MicroUsd),
            result: None,
            pages: 9,
        },
        Fact::BudgetExpired { budget: BudgetId(4) },
        Fact::PolicySet { policy: "fifo".to_owned() },
        Fact::Reconfigured {
            changes: vec![Change { key: "slots".to_owned(), from: None, to: Some("2".to_owned()) }],
        },
        Fact::Booted {
            boots: 1,
            processes: 2,
            asked_again: vec![call],
            called_again: Vec::new(),
            interrupted: vec![call],
        },
    ]
}

#[test]
fn every_fact_has_a_line() {
    let mut lines = String::new();
    for fact in facts() {
        let data = serde_json::to_value(&fact).expect("serialises");
        let figures = figures(fact.kind(), &Fields(&data)).expect("this kind is known");
        assert!(!figures.contains(char::is_control), "{figures:?}");
        writeln!(lines, "{:<17} {figures}", fact.kind()).expect("writes");
    }
    expect![[r#"
        process.spawned   ann [31m, program react, priority 50, by p1
        model.called      c2 openai:small, 4 messages, about 12,345 tokens in, at most 4,096 out
        model.routed      c2 to openai:small by cost $0.0013, 9,000 cached there, after 2.5 s; not openai:tiny $0.0010 (busy), openai:blind (sees no images)
        model.routed      c2 to openai:quick by latency 1.5 s
        model.answered    c2 tool_calls, 10,000 in (9,000 cached), 50 out, $0.0013
        model.retried     c2 failure 1 [model.server], again in 1.5 s: overloaded [2J
        model.failed      c2 [model.server] overloaded [2J
        model.charged     c2 without an answer: 3,000 tokens, $0.0045
        tool.called       c2 read_file (low risk)
        tool.returned     c2 failed
        syscall.refused   spawn [kernel.forbidden] overloaded [2J
        message.sent      into the mailbox, from p1
        message.received  taken, from the operator
        process.signalled TERM
        process.reniced   priority 10
        process.exited    out of budget (money), 9 messages
        budget.expired    b4
        scheduler.policy  fifo
        node.reconfigured slots from nothing to 2
        node.booted       start 2, 2 live processes, 1 model call asked again, 0 tool calls made again, 1 interrupted
    "#]]
    .assert_eq(&lines);
}

#[test]
fn a_fact_of_another_version_shows_as_it_is_kept() {
    let other = StoredEntry {
        kind: "process.swapped".to_owned(),
        data: "{\"pages\":\"\u{9b}2J\"}".to_owned(),
        ..entry(&Fact::Reniced { priority: 1 })
    };
    let line = text(&other, None);
    assert!(line.ends_with("process.swapped    {\"pages\":\" 2J\"}"), "{line:?}");
    let less = StoredEntry { data: "{}".to_owned(), ..entry(&Fact::Reniced { priority: 1 }) };
    assert!(text(&less, None).ends_with("process.reniced    priority 0"));
}

#[test]
fn an_answer_shows_its_text_and_what_it_asks_for() {
    let answer = Body::new(Message::Assistant {
        content: Some(aosk::abi::Content::Text("one\nmoment".to_owned())),
        reasoning: None,
        tool_calls: vec![ToolUse {
            id: "a".to_owned(),
            name: "read_file".to_owned(),
            arguments: "{\"path\":\"\u{1b}x\"}".to_owned(),
        }],
    });
    let sent = Fact::MessageSent { from: None, body: answer.hash() };
    let mut store = Memory::default();
    let rows = vec![RowChange { key: RowKey::Kernel, op: RowOp::Put("{}".to_owned()) }];
    store
        .commit(&[Batch { rows, journal: Vec::new(), bodies: vec![answer.clone()] }])
        .expect("commits");
    let reader = store.reader();
    let line = text(&entry(&sent), Some(reader.as_ref()));
    let end = "from the operator: one moment  read_file({\"path\":\" x\"})";
    assert!(line.ends_with(end), "{line:?}");
    let lost = Fact::MessageSent { from: None, body: Hash::of(b"lost") };
    assert!(
        text(&entry(&lost), Some(reader.as_ref())).ends_with("(its text is missing or damaged)")
    );
    let json = object(&entry(&sent), message(reader.as_ref(), answer.hash()));
    assert_eq!(json.pointer("/message/content"), Some(&json!("one\nmoment")));
}

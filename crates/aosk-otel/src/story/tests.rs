//! Tests of the story: facts in, spans out.

use aosk_abi::{
    BudgetId, Capabilities, ErrorCode, ExitStatus, FailureClass, FinishReason, Message, MicroUsd,
    Millis, PermissionLevel, ProgramSpec, Risk, Tokens,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;

use super::*;
use crate::figures::Figures;

const CLIENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A kernel with processes that were started like this, and what is told of it.
struct Told {
    specs: BTreeMap<Pid, Arc<Spec>>,
    content: bool,
    story: Story,
    figures: Figures,
    spans: Vec<Span>,
}

fn spec(name: &str, parent: Option<Pid>, param: &str) -> Arc<Spec> {
    let capabilities: Capabilities = PermissionLevel::Restricted.capabilities();
    Arc::new(Spec {
        name: name.to_owned(),
        label: String::new(),
        program: ProgramSpec { name: "react".to_owned(), param: param.into() },
        parent,
        depth: 0,
        capabilities,
        budget: BudgetId(1),
        group: "acme".to_owned(),
        spawned: Timestamp(1_000),
    })
}

fn kept(client: &str) -> String {
    format!(r#"{{"traceparent":"{client}"}}"#)
}

fn call(pid: u64, number: u32) -> CallId {
    CallId { pid: Pid(pid), number }
}

impl Told {
    fn new(specs: [Arc<Spec>; 2]) -> Self {
        let [one, two] = specs;
        Self {
            specs: [(Pid(1), one), (Pid(2), two)].into(),
            content: false,
            story: Story::new(Ids(Hash::of(b"journal"))),
            figures: Figures::new(Timestamp(0)),
            spans: Vec::new(),
        }
    }

    fn take(&mut self, at: u64, pid: u64, fact: Fact) {
        let (specs, content) = (&self.specs, self.content);
        let said = |text: &str| Body::new(Message::user(text));
        let library = Library {
            spec: &|pid| specs.get(&pid).cloned(),
            log: &|_, before| vec![said(&format!("before {}", before.0))],
            body: &|_| content.then(|| said("the answer")),
        };
        let entry = Entry { at: Timestamp(at), pid: Some(Pid(pid)), fact };
        self.story.take(&entry, &library, (&mut self.figures, &mut self.spans));
    }

    fn asks(&mut self, at: u64, id: CallId) {
        let called = Fact::ModelCalled {
            call: id,
            model: "fast".to_owned(),
            pages: MessageIndex(1),
            input: Tokens(10),
            output_max: Tokens(100),
            window: None,
            room: None,
            policy: None,
            prefer: None,
        };
        self.take(at, id.pid.0, called);
    }

    fn slot(&mut self, at: u64, id: CallId, parent: Option<&str>) {
        let what = Happening::Slot {
            at: Timestamp(at),
            device: "gemini:g3".to_owned(),
            attempt: 1,
            waited: Millis(250),
            parent: parent.and_then(TraceParent::parse),
        };
        self.story.hear(Moment { call: id, what });
    }

    fn answers(&mut self, at: u64, id: CallId) {
        let usage = Usage {
            input_uncached: Tokens(3),
            cache_read: Tokens(7),
            output: Tokens(5),
            reasoning: Tokens(2),
            ..Usage::default()
        };
        let answered = Fact::ModelAnswered {
            call: id,
            page: MessageIndex(1),
            body: Hash::ZERO,
            usage,
            cost: MicroUsd(40),
            finish: FinishReason::ToolCalls,
        };
        self.take(at, id.pid.0, answered);
    }

    fn exits(&mut self, at: u64, pid: u64, status: ExitStatus) {
        self.take(at, pid, Fact::Exited { status, result: None, pages: 1 });
    }

    fn span(&self, name: &str) -> &Span {
        self.spans
            .iter()
            .find(|span| span.name == name)
            .unwrap_or_else(|| panic!("{:?}", self.spans))
    }
}

fn attribute(of: &[KeyValue], key: &str) -> Option<Value> {
    of.iter().find(|one| one.key == key)?.value.clone()?.value
}

fn said(span: &Span, key: &str) -> String {
    match attribute(&span.attributes, key) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(Value::BoolValue(is)) => is.to_string(),
        other => panic!("{key} is {other:?}"),
    }
}

#[test]
fn a_process_is_a_span_under_its_parent_with_its_calls_under_it() {
    let mut told = Told::new([spec("one", None, "{}"), spec("two", Some(Pid(1)), "{}")]);
    told.asks(2_000, call(2, 1));
    told.slot(2_300, call(2, 1), None);
    let first = Happening::FirstToken(std::time::Duration::from_millis(50));
    told.story.hear(Moment { call: call(2, 1), what: first });
    told.answers(3_000, call(2, 1));
    told.exits(4_000, 2, ExitStatus::Finished);
    told.exits(5_000, 1, ExitStatus::Failed(ErrorCode::Deadlock));
    let names: Vec<_> = told.spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["chat g3", "invoke_agent two", "invoke_agent one"]);
    let [chat, two, one] = told.spans.as_slice() else { panic!("three") };
    assert_eq!((&chat.parent_span_id, &two.parent_span_id), (&two.span_id, &one.span_id));
    assert!(one.parent_span_id.is_empty() && chat.span_id != two.span_id);
    assert!(told.spans.iter().all(|span| span.trace_id == one.trace_id));
    assert_eq!((chat.kind, two.kind), (3, 1), "a client, and something internal");
    assert_eq!(
        (chat.start_time_unix_nano, chat.end_time_unix_nano),
        (2_000_000_000, 3_000_000_000)
    );
    assert_eq!((two.start_time_unix_nano, two.end_time_unix_nano), (1_000_000_000, 4_000_000_000));
    let expected = [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "gcp.gemini"),
        ("gen_ai.request.model", "g3"),
        ("gen_ai.request.max_tokens", "100"),
        ("gen_ai.usage.input_tokens", "10"),
        ("gen_ai.usage.output_tokens", "5"),
        ("gen_ai.usage.cache_read.input_tokens", "7"),
        ("gen_ai.usage.reasoning.output_tokens", "2"),
        ("gen_ai.response.time_to_first_chunk", "0.05"),
        ("aosk.cost_micro_usd", "40"),
        ("aosk.asked", "fast"),
    ];
    for (key, value) in expected {
        assert_eq!(said(chat, key), value, "{key}");
    }
    let [slot] = chat.events.as_slice() else { panic!("{:?}", chat.events) };
    assert_eq!((slot.name.as_str(), slot.time_unix_nano), ("aosk.slot", 2_300_000_000));
    assert_eq!(attribute(&slot.attributes, "aosk.waited_ms"), Some(Value::IntValue(250)));
    assert_eq!(said(two, "gen_ai.usage.input_tokens"), "10");
    assert_eq!(said(two, "aosk.group"), "acme");
    assert_eq!(two.status, Some(Default::default()));
    assert_eq!(said(one, "error.type"), "kernel.deadlock");
    assert_eq!(one.status.as_ref().map(|status| status.code), Some(2));
}

#[test]
fn what_a_client_says_of_its_trace_is_above() {
    let client = TraceParent::parse(CLIENT).unwrap();
    let mut told = Told::new([spec("one", None, &kept(CLIENT)), spec("two", Some(Pid(1)), "{}")]);
    told.exits(4_000, 2, ExitStatus::Finished);
    told.asks(5_000, call(1, 1));
    let other = CLIENT.replace("00f067aa0ba902b7", "1111111111111111");
    told.slot(5_000, call(1, 1), Some(&other));
    told.answers(6_000, call(1, 1));
    told.exits(7_000, 1, ExitStatus::Finished);
    let (one, two) = (told.span("invoke_agent one"), told.span("invoke_agent two"));
    assert_eq!(one.parent_span_id, client.span);
    assert_eq!(two.parent_span_id, one.span_id);
    assert!(told.spans.iter().all(|span| span.trace_id == client.trace));
    // The request that asked is above its call, and the process is linked.
    let chat = told.span("chat g3");
    assert_eq!(chat.parent_span_id, [0x11; 8]);
    assert_eq!(chat.links[0].span_id, one.span_id);
}

#[test]
fn a_trace_that_nobody_records_is_not_told() {
    let quiet = CLIENT.replace("b7-01", "b7-00");
    let mut told = Told::new([spec("one", None, &kept(&quiet)), spec("two", Some(Pid(1)), "{}")]);
    told.asks(2_000, call(2, 1));
    told.answers(3_000, call(2, 1));
    told.exits(4_000, 2, ExitStatus::Finished);
    told.exits(4_000, 1, ExitStatus::Finished);
    assert_eq!(told.spans, []);
    assert!(!told.figures.metrics(Timestamp(1)).is_empty(), "it is counted all the same");
}

#[test]
fn failures_and_retries_are_told() {
    let mut told = Told::new([spec("one", None, "{}"), spec("two", None, "{}")]);
    let id = call(1, 1);
    told.asks(2_000, id);
    let retried = Fact::ModelRetried {
        call: id,
        failure: 1,
        class: FailureClass::RateLimited,
        code: ErrorCode::ModelRateLimited,
        message: "what the provider wrote".to_owned(),
        wait: Millis(500),
    };
    told.take(2_100, 1, retried);
    let message = "what the provider wrote".to_owned();
    told.take(2_600, 1, Fact::ModelFailed { call: id, code: ErrorCode::ModelServer, message });
    let chat = told.span("chat fast");
    assert_eq!(said(chat, "error.type"), "model.server");
    assert_eq!(chat.status.as_ref().map(|status| status.code), Some(2));
    let [retry] = chat.events.as_slice() else { panic!("{chat:?}") };
    assert_eq!(
        attribute(&retry.attributes, "error.type"),
        Some(Value::StringValue("model.rate_limited".to_owned()))
    );
    // What a provider writes may repeat what it was asked.
    assert!(!format!("{chat:?}").contains("what the provider wrote"));
}

#[test]
fn a_tool_is_a_span_and_what_is_under_way_ends_with_its_process() {
    let mut told = Told::new([spec("one", None, "{}"), spec("two", None, "{}")]);
    for number in [1, 2] {
        let (call, tool) = (call(1, number), format!("tool{number}"));
        let called = Fact::ToolCalled { call, tool, risk: Risk::Low, arguments: Hash::ZERO };
        told.take(2_000, 1, called);
    }
    let returned = Fact::ToolReturned { call: call(1, 1), body: Hash::ZERO, is_error: false };
    told.take(2_500, 1, returned);
    told.exits(3_000, 1, ExitStatus::Finished);
    let (done, cut) = (told.span("execute_tool tool1"), told.span("execute_tool tool2"));
    assert_eq!(said(done, "gen_ai.operation.name"), "execute_tool");
    assert_eq!(said(done, "gen_ai.tool.name"), "tool1");
    assert_eq!(said(done, "gen_ai.tool.call.id"), "p1.c1");
    assert_eq!(attribute(&done.attributes, "error.type"), None);
    assert_eq!(said(cut, "error.type"), "cancelled");
    assert!(told.story.calls.is_empty() && told.story.agents.is_empty());
}

#[test]
fn what_is_said_is_told_only_if_somebody_asks_for_it() {
    for content in [false, true] {
        let mut told = Told::new([spec("one", None, "{}"), spec("two", None, "{}")]);
        told.content = content;
        told.asks(2_000, call(1, 1));
        told.answers(3_000, call(1, 1));
        let chat = told.span("chat fast");
        let input = attribute(&chat.attributes, "gen_ai.input.messages");
        assert_eq!(input.is_some(), content);
        let all = format!("{chat:?}");
        assert_eq!((all.contains("before 1"), all.contains("the answer")), (content, content));
    }
}

#[test]
fn a_call_that_began_before_anybody_followed_begins_with_its_slot() {
    let mut told = Told::new([spec("one", None, "{}"), spec("two", None, "{}")]);
    told.slot(2_300, call(1, 1), None);
    told.answers(3_000, call(1, 1));
    assert_eq!(told.span("chat g3").start_time_unix_nano, 2_300_000_000);
    told.answers(3_000, call(1, 2));
    assert_eq!(told.spans.len(), 1, "nobody knows anything of the other");
}

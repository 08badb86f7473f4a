//! `react`, events in and actions out. Nothing here waits for anything.

use std::sync::Arc;

use aosk_abi::{
    Capabilities, Error, Failure, FailureClass, PermissionLevel, Resource, Tokens, limits,
};
use expect_test::{Expect, expect};

use super::*;

fn param(chat: bool) -> String {
    let options = ThinkOptions {
        model: "m".to_owned(),
        output_max: Tokens(100),
        tools: vec!["calculator".to_owned()],
        temperature_milli: None,
        window: None,
    };
    let param = Param {
        options,
        workspace: Some("/w".to_owned()),
        base_url: None,
        replacement: None,
        prefer: None,
        chat,
    };
    serde_json::to_string(&param).unwrap()
}

/// A process under the program.
struct Scene {
    state: State,
    param: String,
    may: Capabilities,
    answer: Option<Arc<Message>>,
}

impl Scene {
    fn new() -> Self {
        let may = PermissionLevel::Standard.capabilities();
        Self { state: State::default(), param: param(false), may, answer: None }
    }

    fn chat() -> Self {
        Self { param: param(true), ..Self::new() }
    }

    fn next(&mut self, event: Event) -> Action {
        if let Event::Answered { message, .. } = &event {
            self.answer = Some(message.clone());
        }
        let view = ProcessView {
            pid: Pid(7),
            name: "worker",
            label: "L",
            param: &self.param,
            priority: 40,
            parent: Some(Pid(1)),
            capabilities: &self.may,
            answer: self.answer.as_deref(),
        };
        // The state is written and read between two steps, as it is in a kernel.
        let text = serde_json::to_string(&self.state).unwrap();
        self.state = serde_json::from_str(&text).unwrap();
        React.next(&mut self.state, &view, event)
    }
}

fn wants(calls: &[(&str, &str)]) -> Message {
    let tool_calls = calls.iter().enumerate().map(|(index, (name, arguments))| ToolUse {
        id: format!("c{index}"),
        name: (*name).to_owned(),
        arguments: (*arguments).to_owned(),
    });
    Message::Assistant { content: None, reasoning: None, tool_calls: tool_calls.collect() }
}

fn answered(message: Message) -> Event {
    Event::Answered { message: Arc::new(message), finish: FinishReason::Stop }
}

fn received(text: &str) -> Event {
    Event::Received { from: None, message: Arc::new(Message::user(text)) }
}

fn refused() -> Event {
    Event::Refused(Error::new(ErrorCode::Busy, "no room"))
}

fn show(action: &Action) -> String {
    let mut shown = String::new();
    for message in &action.append {
        match message {
            Message::Tool { tool_call_id, content, is_error, .. } => {
                let mark = if *is_error { "!" } else { "" };
                shown.push_str(&format!("{tool_call_id}{mark}={} ", content.text()));
            }
            Message::System { .. } | Message::User { .. } | Message::Assistant { .. } => {
                shown.push_str(&format!("{}={} ", message.role(), message.text()));
            }
        }
    }
    let call = match &action.call {
        Call::Think(options) => format!("think {} {:?}", options.model, options.tools),
        Call::CallTools(calls) => {
            let calls = calls.iter().map(|call| format!(" {}:{}", call.id, call.name));
            format!("tools{}", calls.collect::<String>())
        }
        Call::Recall(pages) => format!("recall {pages:?}"),
        Call::Pin { page, pinned } => format!("pin {page:?} {pinned}"),
        Call::Forget(page) => format!("forget {page:?}"),
        Call::BeginTask { goal } => format!("begin task {:?}", goal.text()),
        Call::EndTask { result } => format!("end task {:?}", result.text()),
        Call::Spawn(spec) => format!("spawn {}", spec.name),
        Call::Wait { child, timeout } => format!("wait {child:?} {timeout:?}"),
        Call::Send { to, message } => format!("send {to:?} {:?}", message.text()),
        Call::Receive { from, timeout } => format!("receive {from:?} {timeout:?}"),
        Call::Sleep(span) => format!("sleep {span:?}"),
        Call::Exit { status, result } => {
            format!("exit {status} {:?}", result.as_ref().map(Message::text))
        }
    };
    format!("{shown}-> {call}")
}

fn check(action: &Action, expected: &Expect) {
    expected.assert_eq(&show(action));
}

#[test]
fn it_thinks_first_and_ends_with_the_answer() {
    let mut scene = Scene::new();
    check(&scene.next(Event::Started), &expect![[r#"-> think m ["calculator"]"#]]);
    check(
        &scene.next(answered(Message::assistant("42"))),
        &expect![[r#"-> exit finished Some("42")"#]],
    );
}

/// Every event, in every phase a process can be in.
fn every_event() -> Vec<(&'static str, Event)> {
    let failure = Failure {
        class: FailureClass::Final,
        code: ErrorCode::ModelUnauthorized,
        message: "no".to_owned(),
        hint: "set a key".to_owned(),
        retry_after: None,
        usage: None,
    };
    let exited = |status, result: Option<&str>| Event::ChildExited {
        pid: Pid(9),
        status,
        result: result.map(|text| Arc::new(Message::assistant(text))),
    };
    let withheld = Event::Answered {
        message: Arc::new(Message::assistant("")),
        finish: FinishReason::Refused,
    };
    vec![
        ("started", Event::Started),
        ("answered", answered(Message::assistant("done"))),
        ("withheld", withheld),
        ("model failed", Event::ModelFailed(failure)),
        ("tools returned", Event::ToolsReturned(Vec::new())),
        ("spawned", Event::Spawned(Pid(9))),
        ("child exited", exited(ExitStatus::Finished, Some("r"))),
        ("child killed", exited(ExitStatus::Signalled(aosk_abi::Signal::Kill), None)),
        ("sent", Event::Sent),
        ("received", received("hi")),
        ("slept", Event::Slept),
        ("timed out", Event::TimedOut),
        ("refused", refused()),
        ("out of budget", Event::OutOfBudget(Resource::Tokens)),
        ("terminated", Event::Terminated),
    ]
}

fn check_every_event(scene: impl Fn() -> Scene, expected: &Expect) {
    let mut table = String::new();
    for (name, event) in every_event() {
        table.push_str(&format!("{name:<15} {}\n", show(&scene().next(event))));
    }
    expected.assert_eq(&table);
}

#[test]
fn every_event_while_it_asks_the_model() {
    check_every_event(
        Scene::new,
        &expect![[r#"
            started         -> think m ["calculator"]
            answered        -> exit finished Some("done")
            withheld        -> exit failed (model.refused) Some("model.refused: asking m: the provider withheld the answer\nhint: change the task or the model; `aosk logs` shows what was asked")
            model failed    -> exit failed (model.unauthorized) Some("model.unauthorized: no\nhint: set a key")
            tools returned  -> think m ["calculator"]
            spawned         -> think m ["calculator"]
            child exited    -> think m ["calculator"]
            child killed    -> think m ["calculator"]
            sent            -> think m ["calculator"]
            received        user=hi -> think m ["calculator"]
            slept           -> think m ["calculator"]
            timed out       -> think m ["calculator"]
            refused         -> exit failed (kernel.busy) Some("kernel.busy: no room")
            out of budget   -> exit out of budget (tokens) None
            terminated      -> exit terminated None
        "#]],
    );
}

#[test]
fn every_event_while_it_chats() {
    check_every_event(
        Scene::chat,
        &expect![[r#"
            started         -> think m ["calculator"]
            answered        -> receive None None
            withheld        -> exit failed (model.refused) Some("model.refused: asking m: the provider withheld the answer\nhint: change the task or the model; `aosk logs` shows what was asked")
            model failed    -> exit failed (model.unauthorized) Some("model.unauthorized: no\nhint: set a key")
            tools returned  -> think m ["calculator"]
            spawned         -> think m ["calculator"]
            child exited    -> think m ["calculator"]
            child killed    -> think m ["calculator"]
            sent            -> think m ["calculator"]
            received        user=hi -> think m ["calculator"]
            slept           -> think m ["calculator"]
            timed out       -> think m ["calculator"]
            refused         -> exit failed (kernel.busy) Some("kernel.busy: no room")
            out of budget   -> exit out of budget (tokens) None
            terminated      -> exit terminated None
        "#]],
    );
}

#[test]
fn every_event_while_a_system_call_runs() {
    let scene = || {
        let mut scene = Scene::new();
        scene.next(answered(wants(&[("sleep", r#"{"seconds":1}"#)])));
        scene
    };
    check_every_event(
        scene,
        &expect![[r#"
            started         -> think m ["calculator"]
            answered        -> exit finished Some("done")
            withheld        -> exit failed (model.refused) Some("model.refused: asking m: the provider withheld the answer\nhint: change the task or the model; `aosk logs` shows what was asked")
            model failed    -> exit failed (model.unauthorized) Some("model.unauthorized: no\nhint: set a key")
            tools returned  -> think m ["calculator"]
            spawned         c0={"pid":"p9"} -> think m ["calculator"]
            child exited    c0={"pid":"p9","result":"r","status":"finished"} -> think m ["calculator"]
            child killed    c0={"pid":"p9","result":null,"status":"killed"} -> think m ["calculator"]
            sent            c0={"sent":true} -> think m ["calculator"]
            received        c0={"from":"operator","text":"hi"} -> think m ["calculator"]
            slept           c0={"slept":true} -> think m ["calculator"]
            timed out       c0={"timed_out":true} -> think m ["calculator"]
            refused         c0!=kernel.busy: no room -> think m ["calculator"]
            out of budget   -> exit out of budget (tokens) None
            terminated      -> exit terminated None
        "#]],
    );
}

#[test]
fn every_event_while_a_system_call_runs_and_tools_wait() {
    let scene = || {
        let mut scene = Scene::new();
        let calls = [("sleep", r#"{"seconds":1}"#), ("calculator", "{}")];
        scene.next(answered(wants(&calls)));
        scene
    };
    check_every_event(
        scene,
        &expect![[r#"
            started         -> think m ["calculator"]
            answered        -> exit finished Some("done")
            withheld        -> exit failed (model.refused) Some("model.refused: asking m: the provider withheld the answer\nhint: change the task or the model; `aosk logs` shows what was asked")
            model failed    -> exit failed (model.unauthorized) Some("model.unauthorized: no\nhint: set a key")
            tools returned  -> tools c1:calculator
            spawned         c0={"pid":"p9"} -> tools c1:calculator
            child exited    c0={"pid":"p9","result":"r","status":"finished"} -> tools c1:calculator
            child killed    c0={"pid":"p9","result":null,"status":"killed"} -> tools c1:calculator
            sent            c0={"sent":true} -> tools c1:calculator
            received        c0={"from":"operator","text":"hi"} -> tools c1:calculator
            slept           c0={"slept":true} -> tools c1:calculator
            timed out       c0={"timed_out":true} -> tools c1:calculator
            refused         c0!=kernel.busy: no room -> tools c1:calculator
            out of budget   -> exit out of budget (tokens) None
            terminated      -> exit terminated None
        "#]],
    );
}

#[test]
fn every_event_while_it_starts_a_child_to_wait_for() {
    let scene = || {
        let mut scene = Scene::new();
        let arguments = r#"{"name":"kid","task":"t","wait":true}"#;
        scene.next(answered(wants(&[("spawn_agent", arguments)])));
        scene
    };
    check_every_event(
        scene,
        &expect![[r#"
            started         -> think m ["calculator"]
            answered        -> exit finished Some("done")
            withheld        -> exit failed (model.refused) Some("model.refused: asking m: the provider withheld the answer\nhint: change the task or the model; `aosk logs` shows what was asked")
            model failed    -> exit failed (model.unauthorized) Some("model.unauthorized: no\nhint: set a key")
            tools returned  -> think m ["calculator"]
            spawned         -> wait Some(Pid(p9)) None
            child exited    c0={"pid":"p9","result":"r","status":"finished"} -> think m ["calculator"]
            child killed    c0={"pid":"p9","result":null,"status":"killed"} -> think m ["calculator"]
            sent            c0={"sent":true} -> think m ["calculator"]
            received        c0={"from":"operator","text":"hi"} -> think m ["calculator"]
            slept           c0={"slept":true} -> think m ["calculator"]
            timed out       c0={"timed_out":true} -> think m ["calculator"]
            refused         c0!=kernel.busy: no room -> think m ["calculator"]
            out of budget   -> exit out of budget (tokens) None
            terminated      -> exit terminated None
        "#]],
    );
}

#[test]
fn kernel_calls_become_system_calls() {
    let one =
        |name: &str, arguments: &str| Scene::new().next(answered(wants(&[(name, arguments)])));
    let calls = [
        ("wait_agent", r"{}"),
        ("wait_agent", r#"{"pid":"p3","timeout_s":2.5}"#),
        ("send_message", r#"{"to":"p3","text":"hi"}"#),
        ("send_message", r#"{"to":"boss","text":"hi"}"#),
        ("receive_message", r"{}"),
        ("receive_message", r#"{"from":"boss","timeout_s":1}"#),
        ("sleep", r#"{"seconds":0.25}"#),
        ("finish", r#"{"result":"all done"}"#),
        ("spawn_agent", r#"{"name":"kid","task":"t"}"#),
    ];
    let mut table = String::new();
    for (name, arguments) in calls {
        table.push_str(&format!("{name} {arguments}: {}\n", show(&one(name, arguments))));
    }
    expect![[r#"
        wait_agent {}: -> wait None None
        wait_agent {"pid":"p3","timeout_s":2.5}: -> wait Some(Pid(p3)) Some(Millis(2500))
        send_message {"to":"p3","text":"hi"}: -> send Pid(p3) "Message from worker (p7): hi"
        send_message {"to":"boss","text":"hi"}: -> send Name("boss") "Message from worker (p7): hi"
        receive_message {}: -> receive None None
        receive_message {"from":"boss","timeout_s":1}: -> receive Some(Name("boss")) Some(Millis(1000))
        sleep {"seconds":0.25}: -> sleep Millis(250)
        finish {"result":"all done"}: c0={"finished":true} -> exit finished Some("all done")
        spawn_agent {"name":"kid","task":"t"}: -> spawn kid
    "#]].assert_eq(&table);
}

#[test]
fn wrong_arguments_come_back_to_the_model_and_the_others_are_made() {
    let mut scene = Scene::new();
    let calls = [
        ("sleep", r#"{"seconds":"long"}"#),
        ("send_message", "{not json"),
        ("finish", r"{}"),
        ("calculator", r#"{"expression":"1"}"#),
    ];
    check(
        &scene.next(answered(wants(&calls))),
        &expect![[
            r#"c0!=tool.arguments: argument `seconds`: the value is not of type "number" but a string. The tool takes seconds (number, required) c1!=tool.arguments: the arguments are not a valid JSON object: key must be a string at line 1 column 2. The tool takes text (string, required), to (string, required) c2!=tool.arguments: argument `result` is missing. The tool takes result (string, required) -> tools c3:calculator"#
        ]],
    );
    check(
        &scene.next(Event::ToolsReturned(Vec::new())),
        &expect![[r#"-> think m ["calculator"]"#]],
    );
}

#[test]
fn a_child_is_as_its_parent_unless_told_otherwise() {
    let spawn = |arguments: &str| {
        let call = Scene::new().next(answered(wants(&[("spawn_agent", arguments)]))).call;
        let Call::Spawn(spec) = call else { panic!("no spawn: {call:?}") };
        *spec
    };
    let plain = spawn(r#"{"name":"kid","task":"do it"}"#);
    assert_eq!((plain.name.as_str(), plain.label.as_str(), plain.priority), ("kid", "L", 40));
    assert_eq!(plain.limits, Limits::default());
    assert_eq!(plain.capabilities, PermissionLevel::Standard.capabilities());
    assert_eq!(plain.program.name, "react");
    assert_eq!(*plain.program.param, *param(false), "it asks as its parent does");
    let pages: Vec<_> = plain.pages.iter().map(|page| page.message().as_ref().clone()).collect();
    assert_eq!(pages, [Message::system(SYSTEM), Message::user("do it")]);

    let told = spawn(
        r#"{"name":"kid","task":"t","system":"s","tools":["read_file"],"priority":60,
            "model":"other","budget_tokens":500,"budget_usd":0.25}"#,
    );
    let param: Param = serde_json::from_str(&told.program.param).unwrap();
    let tools =
        ["read_file", "send_message", "receive_message", "recall", "search_memory", "finish"];
    assert_eq!((param.options.model.as_str(), told.priority), ("other", 60));
    assert_eq!(param.options.tools, tools);
    assert_eq!(told.capabilities.tools, Grant::only(tools));
    assert_eq!(told.limits.tokens, Some(Tokens(500)));
    assert_eq!(told.limits.micro_usd, Some(aosk_abi::MicroUsd(250_000)));
    assert_eq!(told.pages[0].message().text(), "s");
}

#[test]
fn who_works_in_tasks_has_children_that_do() {
    let mut param: Param = serde_json::from_str(&param(false)).unwrap();
    param.options.tools.extend(["begin_task".to_owned(), "end_task".to_owned()]);
    let param = serde_json::to_string(&param).unwrap();
    let arguments = r#"{"name":"kid","task":"t","tools":["read_file"]}"#;
    let mut scene = Scene { param, ..Scene::new() };
    let call = scene.next(answered(wants(&[("spawn_agent", arguments)]))).call;
    let Call::Spawn(spec) = call else { panic!("no spawn: {call:?}") };
    let child: Param = serde_json::from_str(&spec.program.param).unwrap();
    for name in ["begin_task", "end_task"] {
        assert!(child.options.tools.iter().any(|tool| tool == name), "{:?}", child.options.tools);
        assert!(spec.capabilities.tools.allows(name));
    }
}

#[test]
fn spawn_with_wait_waits_and_reports_once() {
    let mut scene = Scene::new();
    let calls = [("spawn_agent", r#"{"name":"kid","task":"t","wait":true}"#), ("calculator", "{}")];
    check(&scene.next(answered(wants(&calls))), &expect!["-> spawn kid"]);
    check(&scene.next(Event::Spawned(Pid(9))), &expect!["-> wait Some(Pid(p9)) None"]);
    let result = Some(Arc::new(Message::assistant("found")));
    let exited = Event::ChildExited { pid: Pid(9), status: ExitStatus::Finished, result };
    check(
        &scene.next(exited),
        &expect![[
            r#"c0={"pid":"p9","result":"found","status":"finished"} -> tools c1:calculator"#
        ]],
    );
    check(
        &scene.next(Event::ToolsReturned(Vec::new())),
        &expect![[r#"-> think m ["calculator"]"#]],
    );
}

#[test]
fn a_chat_waits_for_the_next_message() {
    let mut scene = Scene::chat();
    scene.next(Event::Started);
    check(&scene.next(answered(Message::assistant("hello"))), &expect!["-> receive None None"]);
    check(
        &scene.next(received("and now?")),
        &expect![[r#"user=and now? -> think m ["calculator"]"#]],
    );
}

#[test]
fn more_calls_than_a_turn_may_have_are_made_in_several_turns() {
    let mut scene = Scene::new();
    let many = vec![("calculator", "{}"); limits::TOOL_CALLS_PER_TURN_MAX + 1];
    let first = scene.next(answered(wants(&many))).call;
    let then = scene.next(Event::ToolsReturned(Vec::new())).call;
    let count = |call: &Call| {
        let Call::CallTools(calls) = call else { panic!("no tools: {call:?}") };
        calls.len()
    };
    assert_eq!((count(&first), count(&then)), (limits::TOOL_CALLS_PER_TURN_MAX, 1));
    check(
        &scene.next(Event::ToolsReturned(Vec::new())),
        &expect![[r#"-> think m ["calculator"]"#]],
    );
}

#[test]
fn a_parameter_that_does_not_parse_ends_the_process() {
    let mut scene = Scene { param: "{}".to_owned(), ..Scene::new() };
    check(&scene.next(Event::Started), &expect!["-> exit failed (program.invalid) None"]);
}

/// What a kernel does with one action until the model is asked again: the log grows, and the next
/// event comes. None when the process has ended.
fn carry_out(log: &mut Vec<Message>, action: Action) -> Option<Event> {
    log.extend(action.append);
    Some(match action.call {
        Call::CallTools(calls) => {
            log.extend(calls.iter().map(|call| Message::tool(call.id.clone(), "out")));
            Event::ToolsReturned(Vec::new())
        }
        Call::Spawn(spec) if spec.name == "toomany" => refused(),
        Call::Spawn(_) => Event::Spawned(Pid(9)),
        Call::Wait { .. } => {
            Event::ChildExited { pid: Pid(9), status: ExitStatus::Finished, result: None }
        }
        Call::Send { to: Peer::Name(_), .. } => refused(),
        Call::Send { .. } => Event::Sent,
        Call::Receive { timeout: Some(_), .. } => Event::TimedOut,
        Call::Receive { .. } => received("hi"),
        Call::Sleep(_) => Event::Slept,
        Call::Recall(pages) => {
            Event::Recalled(pages.into_iter().map(|page| (page, Some("text".to_owned()))).collect())
        }
        Call::Pin { .. } => Event::Pinned,
        Call::Forget(_) => refused(),
        Call::BeginTask { .. } => Event::TaskBegun(ArenaId(1)),
        Call::EndTask { .. } => Event::TaskEnded { task: ArenaId(1), pages: None },
        Call::Think(_) | Call::Exit { .. } => return None,
    })
}

/// Providers refuse a conversation in which a call is not followed by its result: whatever a model
/// calls at once, in whatever order, each result follows, in the order of the calls.
#[test]
fn the_log_stays_well_formed_whatever_is_called_together() {
    let kinds = [
        ("calculator", "{}"),
        ("no_such_tool", "{}"),
        ("sleep", r#"{"seconds":1}"#),
        ("sleep", "wrong"),
        ("spawn_agent", r#"{"name":"kid","task":"t","wait":true}"#),
        ("spawn_agent", r#"{"name":"toomany","task":"t"}"#),
        ("send_message", r#"{"to":"p3","text":"hi"}"#),
        ("send_message", r#"{"to":"nobody","text":"hi"}"#),
        ("receive_message", r#"{"timeout_s":1}"#),
        ("receive_message", r"{}"),
        ("wait_agent", r"{}"),
        ("begin_task", r#"{"goal":"g"}"#),
        ("end_task", r#"{"result":"r"}"#),
        ("finish", r#"{"result":"r"}"#),
    ];
    for a in kinds {
        for b in kinds {
            for c in kinds {
                let calls = [a, b, c];
                let mut scene = Scene::new();
                let mut log = Vec::new();
                let mut event = answered(wants(&calls));
                let mut steps = 0;
                while let Some(next) = carry_out(&mut log, scene.next(event)) {
                    event = next;
                    steps += 1;
                    assert!(steps < 20, "{calls:?} goes on for ever");
                }
                let ids: Vec<_> = log
                    .iter()
                    .map(|message| match message {
                        Message::Tool { tool_call_id, .. } => tool_call_id.as_str(),
                        Message::System { .. }
                        | Message::User { .. }
                        | Message::Assistant { .. } => message.role(),
                    })
                    .collect();
                assert_eq!(ids, ["c0", "c1", "c2"], "{calls:?}");
            }
        }
    }
}

/// The calls that are left are in the answer, not in the state: a state has a bound, and one long
/// argument behind a system call passed it.
#[test]
fn the_state_is_small_however_much_is_asked() {
    let mut scene = Scene::new();
    let long =
        format!(r#"{{"path":"a","text":"{}"}}"#, "x".repeat(limits::PROGRAM_STATE_BYTES_MAX));
    scene.next(answered(wants(&[("sleep", r#"{"seconds":0}"#), ("write_file", &long)])));
    assert!(serde_json::to_string(&scene.state).unwrap().len() < 1_000);
    check(&scene.next(Event::Slept), &expect![[r#"c0={"slept":true} -> tools c1:write_file"#]]);
    check(&scene.next(Event::ToolsReturned(vec![])), &expect![[r#"-> think m ["calculator"]"#]]);
}

#[test]
fn a_task_is_begun_and_ended_like_any_call() {
    let mut scene = Scene::new();
    scene.next(Event::Started);
    let begin = wants(&[("begin_task", r#"{"goal":"find it"}"#)]);
    check(&scene.next(answered(begin)), &expect![[r#"-> begin task "find it""#]]);
    check(
        &scene.next(Event::TaskBegun(ArenaId(1))),
        &expect![[r#"c0={"begun":1} -> think m ["calculator"]"#]],
    );
    let end = wants(&[("end_task", r#"{"result":"in the attic"}"#)]);
    check(&scene.next(answered(end)), &expect![[r#"-> end task "in the attic""#]]);
    let pages = Some((PageId(4), PageId(9)));
    check(
        &scene.next(Event::TaskEnded { task: ArenaId(1), pages }),
        &expect![[r#"c0={"ended":1,"first_page":4,"last_page":9} -> think m ["calculator"]"#]],
    );
}

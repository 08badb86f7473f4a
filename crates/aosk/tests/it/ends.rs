//! Ends of a run that nobody wished for, and going on after them.

use serde_json::json;

use crate::machine::Running;
use crate::model_server::{KEY, Reply};
use crate::run::Scene;

/// The head of a stream that ends with its connection.
const HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

#[test]
fn agents_that_only_wait_for_each_other_are_told_of_and_ended() {
    let scene = Scene::script(vec![
        Reply::call("a", "spawn_agent", &json!({"name": "child", "task": "wait", "wait": true})),
        Reply::call("b", "receive_message", &json!({})),
    ]);
    let ran = scene.run(&["wait"]).expect(1);
    let line = ran.error("kernel.deadlock");
    assert!(line.contains("p1 (agent) for a child, p2 (child) for a message"), "{line}");
    assert!(line.contains("; hint: "), "{line}");
    // They are over, not left behind for the next run.
    let ran = scene.machine.aosk(&["ps", "--json"]).expect(0);
    assert_eq!(ran.json(), json!([]));
}

#[test]
fn a_wait_with_a_time_limit_is_no_deadlock() {
    let scene = Scene::script(vec![
        Reply::call("a", "receive_message", &json!({"timeout_s": 2})),
        Reply::say("nobody wrote"),
    ]);
    let ran = scene.run(&["wait", "--json"]).expect(0);
    assert_eq!(ran.json()["result"], "nobody wrote");
}

#[test]
fn to_go_on_neither_the_model_nor_its_address_need_be_named() {
    let scene = Scene::script(vec![Reply::Stall, Reply::say("the answer, at last")]);
    let running = scene.start(&["wait for it"]);
    scene.server.wait_for_requests(1);
    assert!(running.kill().was_killed());
    let mut command = scene.machine.command(&["run", "--resume", "--json"]);
    command.env("OPENAI_API_KEY", KEY);
    let ran = Running::start(command).finish().expect(0);
    assert_eq!(ran.json()["result"], "the answer, at last");
}

#[test]
fn what_was_decided_at_the_start_cannot_be_changed_by_going_on() {
    let scene = Scene::script(Vec::new());
    for more in [&["--group", "acme"][..], &["--permission", "restricted"], &["--tools", "x"]] {
        let ran = scene.run(&[&["--resume"], more].concat()).expect(2);
        assert!(ran.error("cli.usage").contains("--resume"), "{ran:#?}");
    }
}

#[test]
fn half_an_answer_is_none() {
    let chunk = |delta, finish| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        let chunk = json!({"id": "x", "object": "chat.completion.chunk", "choices": [choice]});
        format!("data: {chunk}\n\n")
    };
    let cut = |reason| {
        let text = chunk(json!({"role": "assistant", "content": "The answer is"}), json!(null));
        let end = chunk(json!({}), json!(reason));
        Reply::Raw(format!("{HEAD}{text}{end}data: [DONE]\n\n"))
    };
    for (reason, code) in [("length", "model.truncated"), ("content_filter", "model.refused")] {
        let scene = Scene::script(vec![cut(reason)]);
        let ran = scene.run(&["ask"]).expect(3);
        assert!(ran.error(code).contains("; hint: "), "{ran:#?}");
        assert_eq!(ran.stdout, "", "what there is of the answer does not pass for one");
    }
}

#[test]
fn arguments_that_are_too_long_go_back_to_the_model() {
    let long = json!({"path": "long.txt", "content": "x".repeat(1_100_000)});
    let scene = Scene::script(vec![Reply::call("a", "write_file", &long), Reply::say("I see")]);
    let ran = scene.run(&["write", "--json"]).expect(0);
    assert_eq!(ran.json()["result"], "I see");
    let requests = scene.server.requests();
    let result = requests[1].messages().last().expect("a result");
    let text = result["content"].as_str().expect("a text");
    assert!(text.starts_with("tool.arguments: "), "{text}");
    assert!(!scene.machine.path("work/long.txt").exists());
}

//! Slots that are given up, rates and budgets, end to end: from the agent to the bytes that a provider
//! gets, and back.

use aosk_runtime::ModelDevice;
use aosk_runtime::abi::{ExitStatus, Millis, Pid, Signal, SpawnSpec, ThinkOptions, Tokens};
use aosk_runtime::model::{Delta, resolve};
use aosk_runtime::program::react;
use serde_json::{Value, json};

use crate::provider::{Answer, Provider, begun, said, text_of};
use crate::scene::{Running, Scene, advance, agent, facts, freeze, options, process, settle, text};

/// What an agent tells when nobody interrupts it, in the pieces in which it comes.
const STORY: [&str; 6] = ["Once ", "there ", "was ", "a ", "sea", "."];

fn pieces(pieces: &[&str]) -> Vec<String> {
    pieces.iter().map(|piece| (*piece).to_owned()).collect()
}

/// A node whose one model is at this provider, under a policy that has calls give up their slots.
async fn node(scene: Scene, provider: &Provider, spec: &str, slots: u32) -> Running {
    let env = |name: &str| name.ends_with("_API_KEY").then(|| "k".to_owned());
    let resolved = resolve(Some(spec), Some(&provider.base_url), &env).await.unwrap();
    let mut scene = scene;
    scene.config.policy = aosk_runtime::kernel::policy("fair").unwrap();
    scene.config.models = vec![ModelDevice {
        slots,
        stream: true,
        continues: resolved.continues,
        ..ModelDevice::new("m", resolved.driver)
    }];
    scene.start()
}

fn scene() -> Scene {
    // Its own model is replaced.
    Scene::new(|_| text(""))
}

fn urgent(name: &str) -> SpawnSpec {
    SpawnSpec { priority: 10, ..agent(name) }
}

/// Waits until so much of the process's answer has come.
async fn grown(node: &Running, name: &str, wanted: &str) -> Pid {
    let mut growth = node.handle.growth();
    let pid = node.agent(name).await;
    let mut so_far = String::new();
    while so_far != wanted {
        let piece = growth.recv().await.unwrap();
        assert_eq!(piece.pid, pid);
        if let Delta::Text(text) = piece.delta {
            so_far += &text;
        }
    }
    pid
}

/// The agent `slow` tells its story until it is cut off, and then the rest of it.
fn told(name: &str, body: &Value) -> Answer {
    match (name, begun(body)) {
        ("slow", None) => Answer::Stalls(pieces(&STORY[..2])),
        ("slow", Some(so_far)) => {
            let story = STORY.concat();
            Answer::Pieces(vec![story.strip_prefix(so_far).unwrap().to_owned()])
        }
        ("calm", None) => Answer::Pieces(pieces(&STORY)),
        _ => Answer::text("at once"),
    }
}

#[tokio::test]
async fn a_call_gives_its_slot_to_an_urgent_one_and_its_answer_is_as_if_it_had_not() {
    let scene = scene();
    let provider = Provider::start(scene.trace.clone(), told).await;
    let node = node(scene, &provider, "llamacpp:m", 1).await;
    let calm = node.agent("calm").await;
    let uninterrupted = node.end(calm).await;
    assert_eq!(uninterrupted, (ExitStatus::Finished, STORY.concat()));

    let slow = grown(&node, "slow", &STORY[..2].concat()).await;
    let hurried = node.handle.spawn(urgent("hurried")).await.unwrap();
    node.trace.until("hung up slow").await;
    assert_eq!(node.end(hurried).await, (ExitStatus::Finished, "at once".to_owned()));
    assert_eq!(node.end(slow).await, uninterrupted);

    let asked = provider.asked("slow");
    let [first, second] = asked.as_slice() else { panic!("asked {} times", asked.len()) };
    assert_eq!((begun(first), begun(second)), (None, Some("Once there ")));
    let mut messages = second["messages"].as_array().unwrap().clone();
    messages.pop();
    assert_eq!(Some(&messages), first["messages"].as_array(), "the rest is as it was");
    let bound = |body: &Value| body["max_tokens"].as_u64().unwrap();
    assert!(bound(second) < bound(first) && bound(second) > 80, "{}", bound(second));
    let memory = node.memory.clone();
    node.shutdown().await.unwrap();
    let facts = facts(&memory);
    let of_slow = facts.get(&slow).unwrap();
    assert_eq!(of_slow.iter().filter(|fact| fact.starts_with("model.answered")).count(), 1);
}

/// A device that cannot go on from what was begun is asked for all of it again.
#[tokio::test]
async fn what_cannot_be_gone_on_from_is_asked_for_again() {
    let scene = scene();
    let trace = scene.trace.clone();
    let provider = Provider::start(scene.trace.clone(), move |name, body| match name {
        "slow" if trace.count("asked slow") > 0 => Answer::Pieces(pieces(&STORY)),
        _ => told(name, body),
    });
    let provider = provider.await;
    // An address of one's own, behind which there may be anything.
    let node = node(scene, &provider, "openai:m", 1).await;
    let slow = grown(&node, "slow", &STORY[..2].concat()).await;
    let hurried = node.handle.spawn(urgent("hurried")).await.unwrap();
    assert_eq!(node.end(hurried).await.1, "at once");
    assert_eq!(node.end(slow).await, (ExitStatus::Finished, STORY.concat()));
    assert_eq!(provider.asked("slow").iter().map(begun).collect::<Vec<_>>(), [None, None]);
    node.shutdown().await.unwrap();
}

/// A provider that refuses to go on from what was begun is asked for all of it again; the agent hears
/// nothing of it.
#[tokio::test]
async fn a_refusal_to_go_on_costs_what_was_begun_and_no_more() {
    let scene = scene();
    let trace = scene.trace.clone();
    let refusal =
        || json!({ "error": { "message": "no prefill", "type": "invalid_request_error" } });
    let provider =
        Provider::start(scene.trace.clone(), move |name, body| match (name, begun(body)) {
            ("slow", Some(_)) => Answer::Whole(400, "", refusal()),
            ("slow", None) if trace.count("asked slow") > 0 => Answer::Pieces(pieces(&STORY)),
            _ => told(name, body),
        });
    let provider = provider.await;
    let node = node(scene, &provider, "llamacpp:m", 1).await;
    let slow = grown(&node, "slow", &STORY[..2].concat()).await;
    let hurried = node.handle.spawn(urgent("hurried")).await.unwrap();
    assert_eq!(node.end(hurried).await.1, "at once");
    assert_eq!(node.end(slow).await, (ExitStatus::Finished, STORY.concat()));
    let asked = provider.asked("slow");
    assert_eq!(asked.iter().map(begun).collect::<Vec<_>>(), [None, Some("Once there "), None]);
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_connection_of_a_killed_process_is_closed() {
    let scene = scene();
    let provider = Provider::start(scene.trace.clone(), told).await;
    let node = node(scene, &provider, "llamacpp:m", 1).await;
    let slow = grown(&node, "slow", &STORY[..2].concat()).await;
    node.handle.signal(slow, Signal::Kill).await.unwrap();
    node.trace.until("hung up slow").await;
    assert_eq!(node.end(slow).await.0, ExitStatus::Signalled(Signal::Kill));
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_refusal_with_retry_after_holds_back_the_other_calls() {
    let _frozen = freeze();
    let scene = scene();
    let trace = scene.trace.clone();
    let provider = Provider::start(scene.trace.clone(), move |name, body| match name {
        "a" if trace.count("asked a") == 0 => {
            Answer::Whole(429, "retry-after: 30\r\n", json!({ "error": { "message": "later" } }))
        }
        _ => told(name, body),
    });
    let provider = provider.await;
    let node = node(scene, &provider, "llamacpp:m", 4).await;
    let a = node.agent("a").await;
    node.state(a, "backoff").await;
    let b = node.agent("b").await;
    node.state(b, "ready").await;
    advance(Millis::from_secs(29)).await;
    settle().await;
    assert_eq!((node.trace.count("asked a"), node.trace.count("asked b")), (1, 0));
    advance(Millis::from_secs(2)).await;
    assert_eq!(node.end(b).await.0, ExitStatus::Finished);
    advance(Millis::from_secs(10)).await;
    assert_eq!(node.end(a).await.0, ExitStatus::Finished);
    node.shutdown().await.unwrap();
}

/// A provider that says that nothing is left is not asked until it says there is more.
async fn waits_for_the_rate(spec: &str, headers: &'static str, answer: fn() -> Value) {
    let scene = scene();
    let script = move |_: &str, _: &Value| Answer::Whole(200, headers, answer());
    let provider = Provider::start(scene.trace.clone(), script).await;
    let node = node(scene, &provider, spec, 4).await;
    let a = node.agent("a").await;
    assert_eq!(node.end(a).await, (ExitStatus::Finished, "hi".to_owned()));
    let b = node.agent("b").await;
    node.state(b, "ready").await;
    advance(Millis::from_secs(19)).await;
    settle().await;
    assert_eq!(node.trace.count("asked b"), 0, "{spec}");
    advance(Millis::from_secs(2)).await;
    node.trace.until("asked b").await;
    assert_eq!(node.end(b).await.0, ExitStatus::Finished);
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_rate_that_a_provider_tells_of_in_openais_style_is_waited_for() {
    let _frozen = freeze();
    let headers = "x-ratelimit-limit-requests: 10\r\nx-ratelimit-remaining-requests: 0\r\nx-ratelimit-reset-requests: 20s\r\n";
    waits_for_the_rate("openai:gpt-5.4-mini", headers, || said("hi")).await;
}

#[tokio::test]
async fn a_rate_that_a_provider_tells_of_in_anthropics_style_is_waited_for() {
    let _frozen = freeze();
    let headers = "date: Sat, 21 Nov 2026 17:00:00 GMT\r\nanthropic-ratelimit-tokens-limit: 4000\r\nanthropic-ratelimit-tokens-remaining: 0\r\nanthropic-ratelimit-tokens-reset: 2026-11-21T17:00:20Z\r\n";
    let answer = || {
        let usage = json!({ "input_tokens": 10, "output_tokens": 5 });
        let content = json!([{ "type": "text", "text": "hi" }]);
        json!({ "content": content, "stop_reason": "end_turn", "usage": usage })
    };
    waits_for_the_rate("anthropic:claude-haiku-4-5", headers, answer).await;
}

/// The notice of a last step is at the end of a request and not in the log: the request after it has
/// the notice once more at its end, and none in its midst.
#[tokio::test]
async fn a_last_step_is_told_at_the_end_of_the_request_alone() {
    let scene = scene();
    let provider = Provider::start(scene.trace.clone(), |_, body| {
        let said = match body["messages"].as_array().unwrap().len() {
            6.. => json!({ "content": "done" }),
            _ => {
                let call = json!({ "name": "think_hard", "arguments": "{}" });
                json!({ "content": null, "tool_calls": [{ "index": 0, "function": call }] })
            }
        };
        let usage = json!({ "prompt_tokens": 1_000, "completion_tokens": 5_000 });
        let choice = json!({ "message": said, "finish_reason": null });
        Answer::Whole(200, "", json!({ "choices": [choice], "usage": usage }))
    });
    let provider = provider.await;
    let node = node(scene, &provider, "llamacpp:m", 1).await;
    let options = ThinkOptions {
        output_max: Tokens(10_000),
        tools: vec!["think_hard".to_owned()],
        ..options()
    };
    let param = react::Param {
        options,
        workspace: None,
        base_url: None,
        replacement: None,
        prefer: None,
        chat: false,
    };
    // Room for two calls at worst; a call takes 6,000.
    let mut spec = process("a", "react", &serde_json::to_string(&param).unwrap());
    spec.limits.tokens = Some(Tokens(25_000));
    let pid = node.handle.spawn(spec).await.unwrap();
    assert_eq!(node.end(pid).await, (ExitStatus::Finished, "done".to_owned()));
    let notices: Vec<Vec<bool>> = provider
        .asked("a")
        .iter()
        .map(|body| {
            let messages = body["messages"].as_array().unwrap().iter();
            messages.map(|one| text_of(one).contains("This is your last step")).collect()
        })
        .collect();
    assert_eq!(
        notices,
        [
            vec![false],
            vec![false, false, false, true],
            vec![false, false, false, false, false, true]
        ]
    );
    node.shutdown().await.unwrap();
}

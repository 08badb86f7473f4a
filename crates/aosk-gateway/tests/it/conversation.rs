//! Which process asks for what: one for each conversation, and never one for two at once.

use aosk_server::access::Role;

use crate::provider::{Act, Gate, Provider, chat, json};
use crate::scene::{Plan, Scene, chat_model};

fn said(log: &[(&str, &str)]) -> Vec<(String, String)> {
    log.iter().map(|(role, text)| ((*role).to_owned(), (*text).to_owned())).collect()
}

/// A request of this conversation: what the user and the model said in turns.
fn request(said: &[&str]) -> String {
    let turn = |(at, text): (usize, &&str)| {
        let role = if at % 2 == 0 { "user" } else { "assistant" };
        format!(r#"{{"role":"{role}","content":"{text}"}}"#)
    };
    let turns: Vec<String> = said.iter().enumerate().map(turn).collect();
    format!(r#"{{"model":"test:m","messages":[{}]}}"#, turns.join(","))
}

#[tokio::test]
async fn three_turns_are_one_process_with_one_log() {
    let provider = Provider::start().await;
    let scene = Scene::chat(&provider).await;
    let mut client = scene.client().await;
    provider.json(200, &chat("b")).json(200, &chat("d")).json(200, &chat("f"));
    let first = client.chat(&request(&["a"])).await.pid();
    assert_eq!(client.chat(&request(&["a", "b", "c"])).await.pid(), first);
    assert_eq!(client.chat(&request(&["a", "b", "c", "d", "e"])).await.pid(), first);
    let expected = [
        ("user", "a"),
        ("assistant", "b"),
        ("user", "c"),
        ("assistant", "d"),
        ("user", "e"),
        ("assistant", "f"),
    ];
    let handle = scene.handle();
    let mut journal = handle.journal();
    while scene.log(first).len() < expected.len() {
        journal.changed().await.unwrap();
    }
    assert_eq!(scene.log(first), said(&expected));
    assert_eq!(scene.handle().live_count(), 1);
}

/// Many clients are quicker than the disk: the next request comes before the answer is kept.
#[tokio::test]
async fn clients_that_do_not_pause_stay_with_their_process() {
    let provider = Provider::start().await;
    let scene = Scene::chat(&provider).await;
    let mut client = scene.client().await;
    let mut talk = vec!["a"];
    let mut pids = Vec::new();
    for _ in 0..20 {
        provider.json(200, &chat("b"));
        pids.push(client.chat(&request(&talk)).await.pid());
        talk.extend(["b", "c"]);
    }
    pids.dedup();
    assert_eq!(pids.len(), 1);
    assert_eq!(scene.handle().live_count(), 1);
}

#[tokio::test]
async fn a_changed_past_begins_another_process() {
    let provider = Provider::start().await;
    let scene = Scene::chat(&provider).await;
    let mut client = scene.client().await;
    (0..3).for_each(|_| _ = provider.json(200, &chat("b")));
    let first = client.chat(&request(&["a"])).await.pid();
    let edited = client.chat(&request(&["a", "B", "c"])).await.pid();
    assert_ne!(edited, first);
    // The first still waits for what it has.
    assert_eq!(client.chat(&request(&["a", "b", "c"])).await.pid(), first);
}

#[tokio::test]
async fn a_request_that_is_made_again_is_the_same_process() {
    let provider = Provider::start().await;
    let scene = Scene::chat(&provider).await;
    let mut client = scene.client().await;
    provider.json(400, r#"{"error":{"message":"no"}}"#).json(200, &chat("b"));
    let refused = client.chat(&request(&["a"])).await;
    assert_eq!(refused.status, 400);
    let answered = client.chat(&request(&["a"])).await;
    assert_eq!(answered.header("x-aosk-process"), refused.header("x-aosk-process"));
    let pid = answered.pid();
    let handle = scene.handle();
    let mut journal = handle.journal();
    while scene.log(pid).len() < 2 {
        journal.changed().await.unwrap();
    }
    assert_eq!(scene.log(pid), said(&[("user", "a"), ("assistant", "b")]));
}

#[tokio::test]
async fn two_at_once_with_one_past_have_a_process_each() {
    let provider = Provider::start().await;
    let scene = Scene::chat(&provider).await;
    let (mut one, mut other) = (scene.client().await, scene.client().await);
    provider.json(200, &chat("b"));
    let first = one.chat(&request(&["a"])).await.pid();
    let gate = Gate::new();
    for text in ["d", "D"] {
        let answer = Act::Write(json(200, "", &chat(text)));
        provider.then(vec![Act::Wait(gate.clone()), answer]);
    }
    let again = request(&["a", "b", "c"]);
    let both = async { tokio::join!(one.chat(&again), other.chat(&again)) };
    let opened = async {
        provider.until_asked(3).await;
        gate.open();
    };
    let ((one, other), ()) = tokio::join!(both, opened);
    let mut pids = [one.pid(), other.pid()];
    pids.sort_unstable();
    assert_eq!(pids[0], first);
    assert_ne!(pids[0], pids[1]);
    for pid in pids {
        assert_eq!(scene.log(pid)[..3], said(&[("user", "a"), ("assistant", "b"), ("user", "c")]));
    }
}

/// The same asked by many at once and answered alike leaves one process that waits, not many.
#[tokio::test]
async fn of_processes_that_came_to_say_the_same_one_waits() {
    let provider = Provider::start().await;
    let scene = Scene::chat(&provider).await;
    let gate = Gate::new();
    let mut clients = Vec::new();
    for _ in 0..6 {
        let answer = Act::Write(json(200, "", &chat("b")));
        provider.then(vec![Act::Wait(gate.clone()), answer]);
        clients.push(scene.client().await);
    }
    let mut asking = tokio::task::JoinSet::new();
    for mut client in clients {
        asking.spawn(async move { client.chat(&request(&["a"])).await.pid() });
    }
    provider.until_asked(6).await;
    gate.open();
    let mut pids = asking.join_all().await;
    pids.sort_unstable();
    pids.dedup();
    assert_eq!(pids.len(), 6);
    scene.until_live(1).await;
}

#[tokio::test]
async fn sessions_and_tokens_do_not_share() {
    let provider = Provider::start().await;
    let scene = Plan::of(vec![chat_model("test:m", &provider)]).start().await;
    (0..6).for_each(|_| _ = provider.json(200, &chat("b")));
    let mut one = scene.with("one", Role::Operator, None).await;
    let mut two = scene.with("two", Role::Operator, None).await;
    let ask = |turns: &[&str]| request(turns).replacen('{', r#"{"user":"u","#, 1);
    let first = one.chat(&ask(&["a"])).await.pid();
    // Who knows all that was said and the session's name, and is somebody else.
    assert_ne!(two.chat(&ask(&["a", "b", "c"])).await.pid(), first);
    let mut named = scene.with("three", Role::Operator, None).await.with("x-aosk-session", "x");
    let in_session = named.chat(&ask(&["a"])).await.pid();
    let mut other = scene.with("four", Role::Operator, None).await.with("x-aosk-session", "x");
    assert_ne!(other.chat(&ask(&["a", "b", "c"])).await.pid(), in_session);
    assert_eq!(one.chat(&ask(&["a", "b", "c"])).await.pid(), first);
    let name = |pid| scene.handle().process(aosk_runtime::abi::Pid(pid)).unwrap().spec.name.clone();
    assert_eq!((&*name(first), &*name(in_session)), ("u", "x"));
}

/// Libraries write the arguments of calls anew, with white space of their own.
#[tokio::test]
async fn arguments_that_are_written_differently_are_the_same() {
    let provider = Provider::start().await;
    let scene = Scene::chat(&provider).await;
    let mut client = scene.client().await;
    let called = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"t1","type":"function","function":{"name":"look","arguments":"{\"at\":1,\"in\":[2]}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":9,"completion_tokens":3}}"#;
    provider.json(200, called).json(200, &chat("b"));
    let first = client.chat(&request(&["a"])).await.pid();
    let back = r#"{"model":"test:m","messages":[{"role":"user","content":"a"},{"role":"assistant","content":null,"tool_calls":[{"id":"t1","type":"function","function":{"name":"look","arguments":"{ \"at\": 1, \"in\": [2] }"}}]},{"role":"tool","tool_call_id":"t1","content":"seen"}]}"#;
    assert_eq!(client.chat(back).await.pid(), first);
}

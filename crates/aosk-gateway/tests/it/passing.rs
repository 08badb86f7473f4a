//! What goes through as it came: the request to the provider, the answer to the client.

use serde_json::{Value, json};

use crate::provider::{Act, Provider, USAGE, chat, chat_events, chunk, end, message, stream_head};
use crate::scene::{KEY, Plan, Scene, chat_model, messages_model, responses_model};

/// A request with fields that nobody knows, in an order and with white space of its own.
const ASKED: &str = "{ \"zeta\":{\"b\":1.50,  \"a\":[ ]},\n\"messages\":[{\"content\":\"h\\u00e9\",\"role\":\"user\",\"mine\":null}], \"model\":\"test:m\",\"seed\":7 }";

#[tokio::test]
async fn a_whole_answer_is_the_providers_byte_for_byte() {
    let provider = Provider::start().await;
    let scene = Scene::chat(&provider).await;
    let mut client = scene.client().await;
    let said = "{ \"zeta\" : [1.0,2e1],\n\"choices\":[{\"finish_reason\":\"length\",\"message\":{\"content\":\"\\u00e9\",\"role\":\"assistant\",\"new\":{}},\"index\":0}], \"usage\":{\"completion_tokens\":1,\"prompt_tokens\":2,\"mine\":null}, \"model\":\"its-m-2\" }\n";
    provider.json(200, said);
    let answer = client.chat(ASKED).await;
    assert_eq!(answer.text, said);
    assert_eq!(answer.header("content-type"), "application/json");
    let asked = provider.bodies().remove(0);
    let expected = "{\"zeta\":{\"b\":1.50,  \"a\":[ ]},\"messages\":[{\"content\":\"h\\u00e9\",\"role\":\"user\",\"mine\":null}],\"model\":\"its-m\",\"seed\":7}";
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn a_stream_is_the_providers_event_by_event() {
    let provider = Provider::start().await;
    let scene = Scene::chat(&provider).await;
    let mut client = scene.client().await;
    let events = "data: {\"choices\":[{ \"delta\":{\"role\":\"assistant\"},\"x\":1}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"\\u00e9 \"}}],\"obfuscation\":\"z\"}\n\ndata: {\"choices\":[{\"delta\":{},\"finish_reason\":\"content_filter\"}]}\n\ndata: [DONE]\n\n";
    provider.events(events);
    let answer = client
        .chat(r#"{"model":"test:m","stream":true,"messages":[{"role":"user","content":"a"}]}"#)
        .await;
    assert_eq!((answer.status, answer.text.as_str()), (200, events));
    assert_eq!(answer.header("content-type"), "text/event-stream");
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn usage_is_asked_for_and_taken_out_again_for_those_who_did_not_ask() {
    let provider = Provider::start().await;
    let scene = Scene::chat(&provider).await;
    let mut client = scene.client().await;
    let ask = |more: &str, text: &str| {
        format!(
            r#"{{"model":"test:m","stream":true{more},"messages":[{{"role":"user","content":"{text}"}}]}}"#
        )
    };
    let options =
        |body: &str| serde_json::from_str::<Value>(body).unwrap()["stream_options"].clone();

    provider.events(&chat_events("b"));
    let answer = client.chat(&ask("", "one")).await;
    assert_eq!(answer.text, chat_events("b").replace(USAGE, ""));
    let pid = answer.pid();
    assert_eq!(options(&provider.bodies()[0]), json!({ "include_usage": true }));

    provider.events(&chat_events("b"));
    let wants = ask(r#","stream_options":{"include_usage":true}"#, "two");
    assert_eq!(client.chat(&wants).await.text, chat_events("b"));
    assert_eq!(options(&provider.bodies()[1]), json!({ "include_usage": true }));

    provider.events(&chat_events("b"));
    let other = ask(r#","stream_options":{"include_obfuscation":false}"#, "three");
    assert_eq!(client.chat(&other).await.text, chat_events("b").replace(USAGE, ""));
    let both = json!({ "include_obfuscation": false, "include_usage": true });
    assert_eq!(options(&provider.bodies()[2]), both);

    // It was counted all the same.
    let handle = scene.handle();
    let mut journal = handle.journal();
    let used = || handle.process(aosk_runtime::abi::Pid(pid)).unwrap().stats.spend.tokens.0;
    while used() == 0 {
        journal.changed().await.unwrap();
    }
    assert_eq!(used(), 12);
}

const MESSAGE: &str =
    r#"{"model":"test:a","max_tokens":9,"messages":[{"role":"user","content":"a"}]}"#;

#[tokio::test]
async fn messages_are_marked_for_the_cache_where_the_client_marks_nothing() {
    let provider = Provider::start().await;
    let scene = Plan::of(vec![messages_model("test:a", &provider)]).start().await;
    let mut client = scene.client().await;
    provider.json(200, &message("b")).json(200, &message("b"));
    assert_eq!(client.messages(MESSAGE).await.text, message("b"));
    let added = r#"{"model":"its-a","max_tokens":9,"messages":[{"role":"user","content":"a"}],"cache_control":{"type":"ephemeral"}}"#;
    assert_eq!(provider.bodies()[0], added);
    let own = r#"{"model":"test:a","max_tokens":9,"system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":"a"}]}"#;
    client.messages(own).await;
    assert_eq!(provider.bodies()[1], own.replace("test:a", "its-a"));
}

#[tokio::test]
async fn what_a_client_says_of_itself_stays_here() {
    let provider = Provider::start().await;
    let scene = Plan::of(vec![messages_model("test:a", &provider)]).start().await;
    let client = scene.with("t", aosk_server::access::Role::Operator, None).await;
    let mut client = client
        .with("cookie", "c=1")
        .with("anthropic-beta", "one,two")
        .with("anthropic-version", "2099-01-01")
        .with("x-aosk-session", "mine")
        .with("user-agent", "sdk/1");
    provider.json(200, &message("b"));
    let answer = client.messages(MESSAGE).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let asked = provider.all().remove(0);
    assert_eq!(asked.header("anthropic-beta"), ["one,two"]);
    assert_eq!(asked.header("anthropic-version"), ["2099-01-01"]);
    assert_eq!(asked.header("x-api-key"), [KEY]);
    for name in ["authorization", "cookie", "x-aosk-session"] {
        assert!(asked.header(name).is_empty(), "{name}: {asked:?}");
    }
    assert!(!asked.header("user-agent").contains(&"sdk/1"), "{asked:?}");
    assert!(!format!("{answer:?}").contains(KEY), "{answer:?}");
}

/// Nothing of the pieces that a body comes in is seen: not even the half of a character.
#[tokio::test]
async fn a_stream_is_the_same_however_it_is_cut() {
    let provider = Provider::start().await;
    let scene = Scene::chat(&provider).await;
    let mut client = scene.client().await;
    let events = chat_events("日本");
    let mut acts = vec![Act::Write(stream_head())];
    for byte in events.as_bytes() {
        acts.push(Act::Write([b"1\r\n", &[*byte][..], b"\r\n"].concat()));
    }
    acts.push(Act::Write(end()));
    provider.then(acts);
    let answer = client.chat(r#"{"model":"test:m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"a"}]}"#).await;
    assert_eq!(answer.text, events);
}

#[tokio::test]
async fn responses_pass_too() {
    let provider = Provider::start().await;
    let scene = Plan::of(vec![responses_model("test:r", &provider)]).start().await;
    let mut client = scene.client().await;
    let whole = r#"{"id":"resp_1","object":"response","status":"completed","mine": 1,"output":[{"type":"message","id":"m1","role":"assistant","status":"completed","content":[{"type":"output_text","text":"b","annotations":[]}]}],"usage":{"input_tokens":9,"output_tokens":3,"total_tokens":12}}"#;
    provider.json(200, whole);
    let asked = r#"{"model":"test:r","input":"a","store":false,"mine":[]}"#;
    assert_eq!(client.post("/v1/responses", asked).await.text, whole);
    assert_eq!(provider.bodies()[0], asked.replace("test:r", "its-r"));
    assert!(provider.all()[0].head.starts_with("POST /responses "), "{:?}", provider.all());

    let events = format!(
        "event: response.created\ndata: {{\"type\":\"response.created\",\"response\":{{}}}}\n\nevent: response.output_text.delta\ndata: {{\"type\":\"response.output_text.delta\",\"delta\":\"b\",\"new\": 1}}\n\nevent: response.completed\ndata: {{\"type\":\"response.completed\",\"response\":{whole}}}\n\n"
    );
    provider.then(vec![Act::Write(stream_head()), Act::Write(chunk(&events)), Act::Write(end())]);
    let answer =
        client.post("/v1/responses", r#"{"model":"test:r","input":"c","stream":true}"#).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, events.as_str()));
}

/// Nobody goes on with vectors, so nothing of them waits.
#[tokio::test]
async fn vectors_pass_and_leave_no_process() {
    let provider = Provider::start().await;
    let scene = Scene::chat(&provider).await;
    let said = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.50,-1e-3],"mine":1}],"model":"its","usage":{"prompt_tokens":2,"total_tokens":2}}"#;
    provider.json(200, said);
    let asked = r#"{"input":["a"],"mine":[ ],"model":"test:m"}"#;
    let answer = scene.client().await.post("/v1/embeddings", asked).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, said));
    assert_eq!(provider.bodies(), [asked.replace("test:m", "its-m")]);
    assert!(provider.all()[0].head.starts_with("POST /embeddings "), "{:?}", provider.all());
    scene.ended(answer.pid()).await;
}

/// The name of a provider's model alone is enough where only one has it.
#[tokio::test]
async fn a_model_is_found_by_its_own_name() {
    let provider = Provider::start().await;
    let scene = Plan::of(vec![chat_model("test:m", &provider)]).start().await;
    provider.json(200, &chat("b"));
    let asked = r#"{"model":"m","messages":[{"role":"user","content":"a"}]}"#;
    assert_eq!(scene.client().await.chat(asked).await.text, chat("b"));
}

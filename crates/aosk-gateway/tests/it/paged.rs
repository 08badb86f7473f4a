//! Conversations that the kernel keeps within a window.

use aosk_runtime::ModelDevice;
use aosk_runtime::abi::Tokens;
use serde_json::{Value, json};

use crate::provider::{Provider, chat};
use crate::scene::{Plan, Scene, chat_model};

/// Asks with one more turn, of some three hundred tokens.
async fn turn(
    (provider, client): (&Provider, &mut crate::client::Client),
    talk: &mut Vec<Value>,
    number: usize,
) -> u64 {
    let text = format!("turn {number}: {}", format!("fact {number} of many. ").repeat(60));
    talk.push(json!({ "role": "user", "content": text }));
    let said = format!("noted {number}");
    provider.json(200, &chat(&said));
    let body = json!({ "model": "test:m", "max_tokens": 50, "messages": talk }).to_string();
    let answer = client.chat(&body).await;
    assert_eq!(answer.status, 200, "turn {number}: {answer:?}");
    talk.push(json!({ "role": "assistant", "content": said }));
    answer.pid()
}

/// A kernel whose model takes so much in all.
async fn with_context(provider: &Provider, tokens: u64) -> Scene {
    let model = ModelDevice { context: Some(Tokens(tokens)), ..chat_model("test:m", provider) };
    Plan::of(vec![model]).start().await
}

#[tokio::test]
async fn a_conversation_goes_on_beyond_its_window() {
    let provider = Provider::start().await;
    let scene = with_context(&provider, 8_000).await;
    let client = scene.client().await;
    let mut client = client.with("x-aosk-context", "paged").with("x-aosk-window", "2000");
    let (mut talk, mut pids) = (Vec::new(), Vec::new());
    for number in 0..16 {
        pids.push(turn((&provider, &mut client), &mut talk, number).await);
    }
    pids.dedup();
    assert_eq!(pids.len(), 1);
    let sizes: Vec<usize> = provider.bodies().iter().map(String::len).collect();
    let whole = serde_json::to_string(&talk).unwrap().len();
    assert!(sizes.iter().all(|size| *size < whole / 2), "{sizes:?} of {whole}");
    let last = provider.bodies().pop().unwrap();
    assert!(last.contains("turn 15:") && !last.contains("turn 5: fact"), "{last}");
}

/// What was said before it was paged is known then too.
#[tokio::test]
async fn a_conversation_may_become_paged() {
    let provider = Provider::start().await;
    let scene = with_context(&provider, 8_000).await;
    let mut client = scene.client().await;
    let mut talk = Vec::new();
    let first = turn((&provider, &mut client), &mut talk, 0).await;
    let mut client = client.with("x-aosk-context", "paged");
    let second = turn((&provider, &mut client), &mut talk, 1).await;
    assert_eq!(second, first);
    let asked = provider.bodies().pop().unwrap();
    for part in ["turn 0:", "noted 0", "turn 1:"] {
        assert!(asked.contains(part), "{part}: {asked}");
    }
}

#[tokio::test]
async fn what_a_page_cannot_hold_is_refused() {
    let provider = Provider::start().await;
    let scene = with_context(&provider, 8_000).await;
    let mut client = scene.client().await.with("x-aosk-context", "paged");
    let asked = r#"{"model":"test:m","n":2,"messages":[{"role":"user","content":"a"}]}"#;
    let answer = client.chat(asked).await;
    assert_eq!((answer.status, provider.all().len()), (400, 0), "{answer:?}");
    let mut client = client.with("x-aosk-window", "0");
    let asked = r#"{"model":"test:m","messages":[{"role":"user","content":"a"}]}"#;
    let answer = client.chat(asked).await;
    assert_eq!((answer.status, provider.all().len()), (400, 0), "{answer:?}");
}

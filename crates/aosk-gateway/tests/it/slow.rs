//! A client that does not read.

use crate::provider::{Act, Gate, Provider, chat, chunk, end, stream_head};
use crate::scene::Scene;

const MIB: usize = 1024 * 1024;

/// What is kept for it is bounded, and nobody else waits for it.
#[tokio::test]
async fn a_client_that_falls_behind_is_left() {
    let provider = Provider::start().await;
    let scene = Scene::chat(&provider).await;
    // Little text with much around it: what is told of an answer is bounded for all.
    let pad = "pad ".repeat(16_000);
    let event = format!(
        "data: {{\"choices\":[{{\"delta\":{{\"content\":\"word\"}}}}],\"pad\":\"{pad}\"}}\n\n"
    );
    let written = Gate::new();
    let mut acts = vec![Act::Write(stream_head())];
    acts.extend((0..448).map(|_| Act::Write(chunk(&event))));
    let last =
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    acts.extend([Act::Tell(written.clone()), Act::Write(chunk(last)), Act::Write(end())]);
    provider.then(acts);
    let asked = r#"{"model":"test:m","stream":true,"messages":[{"role":"user","content":"a"}]}"#;
    let mut stream = scene.client().await.stream(asked).await;
    stream.until("word").await;
    let pid = scene.handle().processes()[0].pid;
    // The kernel takes all that comes, although nobody reads it.
    written.passed().await;
    provider.json(200, &chat("b"));
    let other = r#"{"model":"test:m","messages":[{"role":"user","content":"c"}]}"#;
    assert_eq!(scene.client().await.chat(other).await.text, chat("b"));
    let text = stream.rest().await;
    assert!(text.len() > 8 * MIB && text.len() < 20 * MIB, "{}", text.len());
    assert!(!text.contains("[DONE]"));
    let (_, end) = text.rsplit_once("\n\ndata: ").unwrap();
    assert!(end.contains("kernel_code"), "{end}");
    // Nobody knows its process any more, so it does not wait for its client.
    scene.ended(pid.0).await;
}

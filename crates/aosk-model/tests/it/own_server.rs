//! What servers of one's own say of their windows, in the form of each make.

use std::sync::{Arc, Mutex};

use aosk_abi::{MicroUsd, Price, Tokens};
use aosk_model::{Resolved, resolve};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::server::{json, read_request};

/// A server that answers each path with its JSON and others with 404. It ends with the test.
struct Routes {
    host: String,
    asked: Arc<Mutex<Vec<String>>>,
    _task: JoinSet<()>,
}

impl Routes {
    async fn start(routes: &'static [(&'static str, &'static str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let host = listener.local_addr().expect("has an address").to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let mut task = JoinSet::new();
        task.spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.expect("accepts");
                let request = read_request(&mut stream).await;
                let line = request.lines().next().unwrap_or_default();
                let path = line.trim_end_matches(" HTTP/1.1").to_owned();
                let found = routes.iter().find(|(route, _)| *route == path);
                let (status, body) = found.map_or((404, "{}"), |(_, body)| (200, body));
                seen.lock().expect("not poisoned").push(path);
                let answer = json(status, "connection: close\r\n", body);
                stream.write_all(&answer).await.expect("writes");
            }
        });
        Self { host, asked, _task: task }
    }

    fn base_url(&self) -> String {
        format!("http://{}/v1", self.host)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("not poisoned").clone()
    }
}

async fn resolved(spec: &str, base_url: &str) -> Resolved {
    let key = |name: &str| name.ends_with("_API_KEY").then(|| "k".to_owned());
    resolve(Some(spec), Some(base_url), &key).await.expect("resolves")
}

const VLLM: &str = r#"{"object":"list","data":[{"id":"Qwen/Qwen3-8B","owned_by":"vllm","max_model_len":40960},{"id":"adapter","max_model_len":8192}]}"#;

#[tokio::test]
async fn vllm_says_it_in_the_list_of_models() {
    let routes: &[_] = &[("GET /v1/models", VLLM)];
    let server = Routes::start(routes).await;
    for (spec, context) in [
        ("vllm:Qwen/Qwen3-8B", Some(Tokens(40_960))),
        ("openai:adapter", Some(Tokens(8_192))),
        ("anthropic:adapter", Some(Tokens(8_192))),
        ("vllm:other", None),
    ] {
        let resolved = resolved(spec, &server.base_url()).await;
        assert_eq!((resolved.context, resolved.cache), (context, "vllm16"), "{spec}");
    }
    // Where no model is named, the list is asked for once and has it all.
    let server = Routes::start(routes).await;
    let first = resolved("vllm", &server.base_url()).await;
    assert_eq!(
        (first.device.as_str(), first.context),
        ("vllm:Qwen/Qwen3-8B", Some(Tokens(40_960)))
    );
    assert_eq!(server.asked(), ["GET /v1/models"]);
}

#[tokio::test]
async fn llama_cpp_says_it_of_itself() {
    let server = Routes::start(&[
        ("GET /v1/models", r#"{"data":[{"id":"tiny.gguf","meta":{"n_ctx_train":131072}}]}"#),
        ("GET /props", r#"{"default_generation_settings":{"n_ctx":6144},"total_slots":4}"#),
    ])
    .await;
    for spec in ["llamacpp", "llamacpp:any", "openai:any", "anthropic:any"] {
        let resolved = resolved(spec, &server.base_url()).await;
        assert_eq!(resolved.context, Some(Tokens(6_144)), "{spec}");
    }
}

#[tokio::test]
async fn an_ollama_says_what_a_model_was_loaded_with_or_asks_for() {
    const SHOW: &str = "POST /api/show";
    const LOADED: (&str, &str) = (
        "GET /api/ps",
        r#"{"models":[{"model":"qwen3:8b","context_length":32768},{"model":"old:latest"}]}"#,
    );
    const WANTED: &str = r#"{"parameters":"stop \"<x>\"\nnum_ctx                        16384","model_info":{"general.architecture":"llama","llama.context_length":131072}}"#;
    const TRAINED: &str =
        r#"{"model_info":{"general.architecture":"llama","llama.context_length":131072}}"#;
    const SMALL: &str =
        r#"{"parameters":"num_ctx 16384","model_info":{"bert.context_length":2048}}"#;
    const UNSAID: &str = r#"{"parameters":"","model_info":{"bert.context_length":2048}}"#;
    let cases: [(&'static [_], &str, Option<u64>); 7] = [
        (&[LOADED], "qwen3:8b", Some(32_768)),
        (&[LOADED, (SHOW, WANTED)], "old", Some(16_384)),
        (&[(SHOW, WANTED)], "qwen3:8b", Some(16_384)),
        (&[(SHOW, SMALL)], "m", Some(2_048)),
        (&[(SHOW, UNSAID)], "m", Some(2_048)),
        // What it was trained for is more than what it gets.
        (&[(SHOW, TRAINED)], "m", None),
        (&[], "m", None),
    ];
    for (routes, model, context) in cases {
        let server = Routes::start(routes).await;
        let resolved = resolved(&format!("ollama:{model}"), &server.base_url()).await;
        assert_eq!(resolved.context, context.map(Tokens), "{model} {routes:?}");
        assert_eq!(resolved.price, Some(Price::default()));
    }
}

#[tokio::test]
async fn what_is_no_answer_leaves_the_window_unknown() {
    let cases: [&'static [(&str, &str)]; 4] = [
        &[("GET /v1/models", "no JSON"), ("GET /props", "[]")],
        &[("GET /props", r#"{"default_generation_settings":{"n_ctx":0}}"#)],
        &[("GET /props", r#"{"default_generation_settings":{}}"#)],
        &[("GET /v1/models", r#"{"data":[{"id":"m","max_model_len":-1}]}"#)],
    ];
    for routes in cases {
        let server = Routes::start(routes).await;
        assert_eq!(resolved("openai:m", &server.base_url()).await.context, None, "{routes:?}");
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_is_not_waited_for() {
    // It accepts, and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let base_url = format!("http://{}/v1", listener.local_addr().expect("has an address"));
    let resolved = resolved("vllm:m", &base_url).await;
    assert_eq!((resolved.device.as_str(), resolved.context), ("vllm:m", None));
}

/// Whoever hangs up is not asked again, in another way.
#[tokio::test]
async fn a_server_that_cannot_be_asked_is_asked_once() {
    for spec in ["vllm:m", "ollama:m"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let base_url = format!("https://{}/v1", listener.local_addr().expect("has an address"));
        let count = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&count);
        let mut task = JoinSet::new();
        task.spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.expect("accepts");
                *counted.lock().expect("not poisoned") += 1;
                stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("writes");
            }
        });
        assert_eq!(resolved(spec, &base_url).await.context, None);
        assert_eq!(*count.lock().expect("not poisoned"), 1, "{spec}");
    }
}

/// What is published is not asked for, and a provider is not asked at all.
#[tokio::test]
async fn only_what_is_not_known_is_asked() {
    let server = Routes::start(&[("GET /v1/models", VLLM)]).await;
    let known = resolved("anthropic:claude-haiku-4-5", &server.base_url()).await;
    assert_eq!(known.context, Some(Tokens(200_000)));
    assert_eq!((known.cache, known.long_cache), ("anthropic5m", Some("anthropic1h")));
    let write = |price: Option<Price>| price.map(|price| price.usual.cache_write);
    assert_eq!(write(known.price), Some(MicroUsd(1_250_000)));
    assert_eq!(write(known.long_price), Some(MicroUsd(2_000_000)));
    assert_eq!(server.asked(), [""; 0]);
}

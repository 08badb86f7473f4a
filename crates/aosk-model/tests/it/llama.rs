//! The drivers against llama.cpp's own server, where the machine has one: `AOSK_LLAMA`, or
//! `shared/llama` beside the checkout, holds `llama-server` and two models of random weights.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use aosk_abi::{Body, ErrorCode, FailureClass, FinishReason, Message, Tokens};
use aosk_model::client::{Format, understand};
use aosk_model::{Delta, Driver, resolve};

use crate::server::{ask_streaming, calculator, request};
use crate::skip::skip;

/// A server that ends with the test.
struct Llama {
    child: Child,
    base_url: String,
}

impl Drop for Llama {
    fn drop(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }
}

fn folder() -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/llama");
    let folder =
        std::env::var_os("AOSK_LLAMA").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    folder.join("llama-server").is_file().then_some(folder)
}

/// Starts the server on a port of the system's choosing and waits until it says that it listens.
fn start(folder: &Path, model: &str, context: &str) -> Llama {
    start_with(folder, model, context, &[])
}

fn start_with(folder: &Path, model: &str, context: &str, options: &[&str]) -> Llama {
    #[expect(clippy::disallowed_methods, reason = "the test's server is a program")]
    let mut command = Command::new(folder.join("llama-server"));
    command.arg("-m").arg(folder.join(model)).args(["--host", "127.0.0.1", "--port", "0"]);
    command.args(["-c", context, "-np", "1", "-t", "1", "--jinja", "--offline", "--no-ui"]);
    command.args(options);
    let command =
        command.args(["--api-key", "sekret"]).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("starts");
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    let address = lines
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| {
            let (_, rest) = line.split_once("listening on http://")?;
            rest.split_whitespace().next().map(str::to_owned)
        })
        .expect("it listens");
    // The pipe must be read on, or the server stops when it is full.
    std::thread::spawn(move || lines.map_while(Result::ok).count());
    Llama { child, base_url: format!("http://{address}/v1") }
}

async fn driver(llama: &Llama, provider: &str, key: &'static str) -> Arc<dyn Driver> {
    let env = move |name: &str| name.ends_with("_API_KEY").then(|| key.to_owned());
    let spec = format!("{provider}:any");
    resolve(Some(&spec), Some(&llama.base_url), &env).await.expect("resolves").driver
}

const PROVIDERS: [&str; 3] = ["llamacpp", "anthropic", "openai-responses"];

#[tokio::test(flavor = "multi_thread")]
async fn a_real_server_streams_calls_tools_caches_and_refuses() {
    let Some(folder) = folder() else {
        skip("llama-server", "it is not here; set AOSK_LLAMA");
        return;
    };
    let chat = start(&folder, "random-tiny.gguf", "2048");
    for provider in PROVIDERS {
        answers_and_caches(&*driver(&chat, provider, "sekret").await, provider).await;
        refuses(&chat, provider).await;
    }
    drop(chat);
    let tool = start(&folder, "random-tool.gguf", "4096");
    for provider in PROVIDERS {
        calls_tools(&*driver(&tool, provider, "sekret").await, provider).await;
    }
}

async fn answers_and_caches(driver: &dyn Driver, provider: &str) {
    let long = format!("{provider} {}", "tell me a story of the sea ".repeat(30));
    let asked = request(vec![Message::system("Be brief."), Message::user(long)], vec![]);
    let first = driver.complete(asked.clone(), None).await.expect("answers");
    assert!(!first.usage.estimated, "{:?}", first.usage);
    assert!(first.usage.input() > Tokens(100), "{:?}", first.usage);
    let (again, deltas) = ask_streaming(driver, asked.clone()).await;
    let again = again.expect("streams");
    assert_eq!(again.usage.input(), first.usage.input());
    assert!(again.usage.cache_read > Tokens(100), "{provider}: {:?}", again.usage);
    let shown: String = deltas
        .iter()
        .map(|delta| match delta {
            Delta::Text(text) => text.as_str(),
            Delta::Reasoning(_) | Delta::ToolCall { .. } | Delta::Arguments(_) => "",
        })
        .collect();
    assert_eq!(shown, again.body.message().text());
    // What the model said is taken back.
    let next = [again.body.clone(), Body::new(Message::user("And then?"))];
    let next = aosk_model::Request { messages: [asked.messages, next.into()].concat(), ..asked };
    let next = driver.complete(next, None).await.expect("goes on");
    assert!(next.usage.input() > again.usage.input(), "{provider}: {:?}", next.usage);
}

/// What a client asks in any format, a server of another one does.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_server_does_what_clients_wish() {
    let Some(folder) = folder() else {
        skip("llama-server", "it is not here; set AOSK_LLAMA");
        return;
    };
    let server = start(&folder, "random-tiny.gguf", "2048");
    let driver = driver(&server, "llamacpp", "sekret").await;
    let said = |wishes: aosk_model::Wishes| async {
        let asked = request(vec![Message::user("tell me a story of the sea")], vec![]);
        let mut options = aosk_abi::ThinkOptions::clone(&asked.options);
        (options.output_max, options.temperature_milli) = (Tokens(64), Some(0));
        let asked =
            aosk_model::Request { options: Arc::new(options), wishes: Arc::new(wishes), ..asked };
        driver.complete(asked, None).await
    };
    // A model of random weights answers with JSON only if it is held to it.
    let schema = r#"{"type":"object","properties":{"sea":{"type":"boolean"},"deep":{"enum":["a","b"]}},"required":["sea","deep"],"additionalProperties":false}"#;
    let chat = format!(
        r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}],"response_format":{{"type":"json_schema","json_schema":{{"name":"n","schema":{schema}}}}}}}"#
    );
    let responses = format!(
        r#"{{"model":"m","input":"x","text":{{"format":{{"type":"json_schema","name":"n","schema":{schema}}}}}}}"#
    );
    let messages = format!(
        r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"x"}}],"output_config":{{"format":{{"type":"json_schema","schema":{schema}}}}}}}"#
    );
    for (format, body) in
        [(Format::Chat, chat), (Format::Responses, responses), (Format::Messages, messages)]
    {
        let asked = understand(format, body.as_bytes()).expect("understood");
        let text = said(asked.wishes).await.expect("answers").body.message().text();
        let answer: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert!(answer["sea"].is_boolean() && answer["deep"].is_string(), "{format:?}: {text}");
        assert_eq!(answer.as_object().map(serde_json::Map::len), Some(2), "{text}");
    }
    // Warm, so that chance decides how much it says, and chance begins the same.
    let warm = |seed: i64, stop: &[&str]| {
        let stop = stop.iter().map(ToString::to_string).collect();
        let (temperature, seed) = (Some(1.0), Some(seed));
        said(aosk_model::Wishes { temperature, seed, stop, ..Default::default() })
    };
    let text = |reply: aosk_abi::ModelReply| reply.body.message().text();
    // Two letters that stand behind something else where they stand first.
    let behind = |whole: &str| {
        let letters: Vec<char> = whole.chars().collect();
        let mut pairs = letters.windows(2).map(|pair| pair.iter().collect::<String>());
        pairs.find(|pair| !whole.starts_with(pair.as_str()))
    };
    let mut told = Vec::new();
    for seed in 1..=12 {
        let whole = warm(seed, &[]).await.map(text).unwrap_or_default();
        told.push((seed, whole));
    }
    let (seed, whole, stop) = told
        .iter()
        .find_map(|(seed, whole)| Some((*seed, whole, behind(whole)?)))
        .unwrap_or_else(|| panic!("it says one letter at most: {told:?}"));
    assert_eq!(warm(seed, &[]).await.map(text).as_ref(), Ok(whole));
    assert!(told.iter().any(|(_, other)| other != whole), "{told:?}");
    let stopped = warm(seed, &[&stop]).await.expect("answers");
    assert_eq!(stopped.finish, FinishReason::Stop);
    let expected = whole.split(&stop).next().unwrap_or_default();
    assert_eq!(text(stopped), expected, "{whole:?} up to {stop:?}");
}

/// What the model says whole it says in two parts too, the second of which goes on from the first.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_server_goes_on_from_what_was_begun() {
    let Some(folder) = folder() else {
        skip("llama-server", "it is not here; set AOSK_LLAMA");
        return;
    };
    let server = start(&folder, "random-tiny.gguf", "2048");
    let env = |name: &str| name.ends_with("_API_KEY").then(|| "sekret".to_owned());
    let resolved = resolve(Some("llamacpp:any"), Some(&server.base_url), &env).await;
    let resolved = resolved.expect("resolves");
    assert!(resolved.continues);
    let asked = |output_max| {
        let mut asked = request(vec![Message::user("tell me a story of the sea")], vec![]);
        let mut options = aosk_abi::ThinkOptions::clone(&asked.options);
        (options.output_max, options.temperature_milli) = (Tokens(output_max), Some(0));
        asked.options = Arc::new(options);
        asked
    };
    let said = |request| async {
        let (reply, deltas) = ask_streaming(&*resolved.driver, request).await;
        let text = reply.expect("answers").body.message().text();
        let shown = deltas.iter().map(|delta| match delta {
            Delta::Text(text) => text.as_str(),
            Delta::Reasoning(_) | Delta::ToolCall { .. } | Delta::Arguments(_) => "",
        });
        assert_eq!(shown.collect::<String>(), text);
        text
    };
    let whole = said(asked(64)).await;
    let first = said(asked(24)).await;
    let begun = Some(Body::new(Message::assistant(first.clone())));
    let rest = said(aosk_model::Request { begun, ..asked(40) }).await;
    assert!(!first.is_empty() && !rest.is_empty(), "{first:?} {rest:?}");
    assert_eq!(first + &rest, whole);
}

async fn refuses(llama: &Llama, provider: &str) {
    let hello = || request(vec![Message::user("hello")], vec![]);
    let stranger = driver(llama, provider, "wrong").await;
    let failure = stranger.complete(hello(), None).await.expect_err("a wrong key");
    assert_eq!((failure.class, failure.code), (FailureClass::Final, ErrorCode::ModelUnauthorized));
    let driver = driver(llama, provider, "sekret").await;
    let long = request(vec![Message::user("word ".repeat(5000))], vec![]);
    let failure = driver.complete(long, None).await.expect_err("longer than the window");
    assert_eq!(
        (failure.class, failure.code),
        (FailureClass::Final, ErrorCode::ModelContextLength),
        "{provider}: {}",
        failure.message
    );
}

async fn calls_tools(driver: &dyn Driver, provider: &str) {
    let mut asked = request(vec![Message::user("What is 1+1?")], vec![calculator()]);
    let (reply, deltas) = ask_streaming(driver, asked.clone()).await;
    let reply = reply.expect("streams");
    let message = reply.body.message();
    let calls = message.tool_calls();
    assert!(!calls.is_empty(), "{provider}: {message:?}");
    for (index, call) in calls.iter().enumerate() {
        assert_eq!(call.name, "calculator");
        assert!(!call.id.is_empty());
        // Only the last call can be cut by the bound of the answer.
        if reply.finish == FinishReason::ToolCalls || index + 1 < calls.len() {
            let arguments: serde_json::Value = serde_json::from_str(&call.arguments).expect("JSON");
            let expression = arguments.get("expression");
            assert!(expression.is_some_and(serde_json::Value::is_string), "{arguments}");
        }
    }
    assert!(deltas.contains(&Delta::ToolCall { index: 0, name: "calculator".into() }));
    // The calls are taken back, also one that was cut, and so are their results.
    asked.messages.push(reply.body.clone());
    asked.messages.extend(calls.iter().map(|call| Body::new(Message::tool(&call.id, "2"))));
    let next = driver.complete(asked, None).await.expect("takes the result");
    assert!(next.usage.input() > reply.usage.input());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_server_says_what_it_holds() {
    let Some(folder) = folder() else {
        skip("llama-server", "it is not here; set AOSK_LLAMA");
        return;
    };
    let server = start(&folder, "random-tiny.gguf", "2048");
    for (provider, key, context) in [
        ("llamacpp", "sekret", Some(Tokens(2048))),
        ("openai", "sekret", Some(Tokens(2048))),
        ("anthropic", "sekret", Some(Tokens(2048))),
        ("llamacpp", "wrong", None),
    ] {
        let env = move |name: &str| name.ends_with("_API_KEY").then(|| key.to_owned());
        let spec = format!("{provider}:any");
        let resolved = resolve(Some(&spec), Some(&server.base_url), &env).await.expect("resolves");
        assert_eq!((resolved.context, resolved.cache), (context, "vllm16"), "{provider} {key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_server_embeds() {
    let Some(folder) = folder() else {
        skip("llama-server", "it is not here; set AOSK_LLAMA");
        return;
    };
    let options = ["--embeddings", "--pooling", "mean"];
    let server = start_with(&folder, "random-tiny.gguf", "512", &options);
    let embedder = |key: &'static str| {
        let env = move |name: &str| (name == "LLAMA_API_KEY").then(|| key.to_owned());
        resolve::embedder("llamacpp", Some(&server.base_url), &env).expect("resolves")
    };
    let asked = ["the sea".to_owned(), "a ship".to_owned(), "the sea".to_owned()];
    let vectors = embedder("sekret").embed(&asked).await.expect("embeds");
    assert_eq!(vectors.iter().map(Vec::len).collect::<Vec<_>>(), [64; 3]);
    let near = |a: usize, b: usize| -> f32 {
        vectors[a].iter().zip(&vectors[b]).map(|(x, y)| x * y).sum()
    };
    assert!((near(0, 2) - 1.0).abs() < 1e-3, "of one text: {}", near(0, 2));
    assert!(near(0, 1) < 0.999, "of two: {}", near(0, 1));
    let failure = embedder("wrong").embed(&asked).await.expect_err("a wrong key");
    assert_eq!(failure.code, ErrorCode::ModelUnauthorized);
    let long = ["word ".repeat(1_500)];
    let failure = embedder("sekret").embed(&long).await.expect_err("longer than it takes");
    assert_eq!(
        (failure.class, failure.code),
        (FailureClass::Final, ErrorCode::ModelContextLength),
        "{}",
        failure.message
    );
}

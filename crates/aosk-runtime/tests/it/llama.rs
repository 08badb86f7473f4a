//! A session of two hundred turns with llama.cpp's own server, where the machine has one: `AOSK_LLAMA`,
//! or `shared/llama` beside the checkout. What the server says that it found in its cache must be what
//! the kernel holds to be unchanged.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aosk_runtime::abi::{
    Body, ErrorCode, ExitStatus, Failure, FinishReason, Message, ModelReply, Price, Signal, Tokens,
};
use aosk_runtime::model::{Driver, OnDelta, Request, resolve};
use aosk_runtime::program::react;
use aosk_runtime::store::{JournalQuery, Memory};
use aosk_runtime::{ModelDevice, inspect};
use async_trait::async_trait;
use serde_json::{Value, json};

use crate::scene::{Do, Say, Scene, Trace, options, process, text, tool};
use crate::skip::skip;

/// Turns of the session, and the tokens that the server takes at once.
const TURNS: usize = 200;
const CONTEXT: &str = "4096";

/// Tokens of an answer that is long enough to be cut off, and what the server takes for it.
const LONG: Tokens = Tokens(3_000);
const LONG_CONTEXT: &str = "8192";

/// Tokens that the cache is counted in.
const BLOCK: u64 = 16;

/// A server that ends with the test.
struct Llama {
    child: Child,
    address: String,
}

impl Drop for Llama {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn folder() -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/llama");
    let folder =
        std::env::var_os("AOSK_LLAMA").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    folder.join("llama-server").is_file().then_some(folder)
}

/// Starts the server on a port of the system's choosing and waits until it says that it listens.
fn start(folder: &Path) -> Llama {
    start_with(folder, &[])
}

fn start_with(folder: &Path, options: &[&str]) -> Llama {
    #[expect(clippy::disallowed_methods, reason = "the test's server is a program")]
    let mut command = Command::new(folder.join("llama-server"));
    command.arg("-m").arg(folder.join("random-tiny.gguf"));
    command.args(["--host", "127.0.0.1", "--port", "0", "-c", CONTEXT, "-np", "1", "-t", "1"]);
    command.args(options);
    command.args(["--jinja", "--offline", "--no-ui"]).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = lines.by_ref().map_while(Result::ok).find_map(|line| {
        let (_, rest) = line.split_once("listening on http://")?;
        rest.split_whitespace().next().map(str::to_owned)
    });
    // The pipe must be read on, or the server stops when it is full.
    std::thread::spawn(move || lines.map_while(Result::ok).count());
    Llama { child, address: address.unwrap() }
}

/// A driver that notes what was asked and what the server said that it used.
struct Noted {
    inner: Arc<dyn Driver>,
    calls: Arc<Mutex<Vec<Call>>>,
}

struct Call {
    /// What the answer goes on from, as it was asked.
    begun: Option<Request>,
    messages: Vec<Message>,
    /// Leading messages that are as in the last call, as the kernel has it.
    unchanged: usize,
    cached: u64,
    input: u64,
    /// Tokens of the answer, if what the server said was kept.
    output: Option<u64>,
}

#[async_trait]
impl Driver for Noted {
    async fn complete(
        &self,
        request: Request,
        on_delta: OnDelta<'_>,
    ) -> Result<ModelReply, Failure> {
        let begun = request.begun.is_some().then(|| request.clone());
        let messages = request.messages.iter().map(|body| body.message().as_ref().clone());
        let (messages, unchanged) = (messages.collect(), request.cache.unchanged);
        let mut is_kept = true;
        let mut reply = match self.inner.complete(request, on_delta).await {
            // The model knows nothing, and now and then it says nothing.
            Err(Failure { code: ErrorCode::ModelMalformed, usage: Some(usage), .. }) => {
                let body = Body::new(Message::assistant("-"));
                is_kept = false;
                ModelReply { body, usage, finish: FinishReason::Stop }
            }
            other => other?,
        };
        // However it ends, the session goes on.
        reply.finish = FinishReason::Stop;
        let (cached, input) = (reply.usage.cache_read.0, reply.usage.input().0);
        let output = is_kept.then_some(reply.usage.output.0);
        self.calls.lock().unwrap().push(Call { begun, messages, unchanged, cached, input, output });
        Ok(reply)
    }
}

/// The tokens of messages as the server counts them, with what begins the next of a user.
async fn counted(llama: &Llama, messages: &[Message]) -> u64 {
    if messages.is_empty() {
        return 0;
    }
    let client = reqwest::Client::builder().timeout(Duration::from_secs(60)).build().unwrap();
    let ask = |path: &str, body: Value| {
        client.post(format!("http://{}{path}", llama.address)).body(body.to_string()).send()
    };
    let read = |text: String| serde_json::from_str::<Value>(&text).unwrap();
    // A message that ends a request is rendered otherwise than one within.
    let next = Message::user("NEXT");
    let wire: Vec<Value> = messages
        .iter()
        .chain([&next])
        .map(|message| json!({ "role": message.role(), "content": message.text() }))
        .collect();
    let applied = ask("/apply-template", json!({ "messages": wire }));
    let prompt = read(applied.await.unwrap().text().await.unwrap());
    let (prompt, _) = prompt["prompt"].as_str().unwrap().rsplit_once("NEXT").unwrap();
    let tokens = ask("/tokenize", json!({ "content": prompt, "parse_special": true }));
    let tokens = read(tokens.await.unwrap().text().await.unwrap());
    tokens["tokens"].as_array().unwrap().len() as u64
}

/// What somebody says in one turn: some dozens of words that are in no other turn.
fn said(turn: usize) -> String {
    let words = (0..12 + turn % 30).map(|word| format!("word{turn}x{word}"));
    words.collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_of_a_real_server_holds_what_the_kernel_says() {
    let Some(folder) = folder() else {
        skip("llama-server", "it is not here; set AOSK_LLAMA");
        return;
    };
    let llama = start(&folder);
    let base = format!("http://{}/v1", llama.address);
    let resolved = resolve(Some("llamacpp:any"), Some(&base), &|_| None).await.unwrap();
    let (memory, calls) = (Memory::new(), Arc::<Mutex<Vec<Call>>>::default());
    let mut scene = Scene::on(memory.clone(), Trace::new(), Arc::new(|_: &Request| text("")));
    let driver = Noted { inner: resolved.driver, calls: Arc::clone(&calls) };
    scene.config.models = vec![ModelDevice {
        price: Price::default(),
        context: resolved.context,
        tokenizer: resolved.tokenizer,
        ..ModelDevice::new("m", Arc::new(driver))
    }];
    assert_eq!(resolved.context, Some(Tokens(4096)), "the server says what it takes");
    let node = scene.start();
    let options = aosk_runtime::abi::ThinkOptions { output_max: Tokens(16), ..options() };
    let param = react::Param {
        options,
        workspace: None,
        base_url: None,
        replacement: None,
        prefer: None,
        chat: true,
    };
    let spec = process("talker", "react", &serde_json::to_string(&param).unwrap());
    let pid = node.handle.spawn(spec).await.unwrap();
    let waits = |snapshot: &aosk_runtime::Snapshot| {
        assert!(!snapshot.has_ended, "it ended: {:?}", snapshot.status);
        snapshot.state == "message"
    };
    for turn in 1..TURNS {
        crate::scene::until(&node.handle, pid, waits).await;
        node.handle.send(pid, Message::user(said(turn))).await.unwrap();
        // The message was taken, so the next wait is for the answer to it.
        let taken = |snapshot: &aosk_runtime::Snapshot| snapshot.stats.received == turn as u64;
        crate::scene::until(&node.handle, pid, taken).await;
    }
    crate::scene::until(&node.handle, pid, waits).await;
    node.handle.signal(pid, Signal::Term).await.unwrap();
    assert_eq!(node.end(pid).await.0, ExitStatus::Signalled(Signal::Term));
    node.shutdown().await.unwrap();

    let mut cuts = 0;
    let each = |entry: aosk_runtime::store::StoredEntry| {
        cuts += usize::from(entry.kind == "memory.cut");
        true
    };
    inspect::journal(&memory, &JournalQuery::default(), each).unwrap();
    let calls = std::mem::take(&mut *calls.lock().unwrap());
    assert_eq!(calls.len(), TURNS, "no call was refused");
    assert!(cuts >= 3, "{cuts} cuts");
    let (mut broken, mut by_count) = (0, 0);
    for (before, call) in calls.iter().zip(calls.iter().skip(1)) {
        let same = call.messages.iter().zip(&before.messages).take_while(|(a, b)| a == b).count();
        assert_eq!(call.unchanged, same, "the kernel knows what it changed");
        broken += usize::from(same < before.messages.len());
        // The answer before is in the server's cache too: it wrote it.
        let answer = usize::from(same == before.messages.len());
        let expected = counted(&llama, &call.messages[..same + answer]).await;
        let off = call.cached.abs_diff(expected);
        assert!(off <= BLOCK, "{} cached of {}, expected {expected}", call.cached, call.input);
        // Where nothing was cut, that is what the server counted itself: the request before, and its
        // answer.
        let counted = before.output.map(|output| before.input + output);
        if let Some(counted) = counted.filter(|_| same == before.messages.len()) {
            let off = call.cached.abs_diff(counted);
            assert!(off <= BLOCK, "{} cached, {counted} counted before", call.cached);
            by_count += 1;
        }
    }
    assert!(by_count > TURNS / 2, "{by_count} calls that go on with one whose answer was kept");
    // What was never sent can be cut without a change of what was.
    assert!(broken > 0 && broken <= cuts, "{broken} prefixes changed with {cuts} cuts");
}

/// Pages and queries get their vectors from a real server, which takes 512 tokens of a text.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_server_embeds_the_memory_of_an_agent() {
    let Some(folder) = folder() else {
        skip("llama-server", "it is not here; set AOSK_LLAMA");
        return;
    };
    let llama = start_with(&folder, &["--embeddings", "--pooling", "mean"]);
    let url = format!("http://{}/v1", llama.address);
    let script = |request: &Request| {
        let messages = &request.messages;
        let is_found = |text: &String| text.starts_with("{\"found\"");
        let told = messages.iter().rev().map(|body| body.message().text()).find(is_found);
        match (messages.len(), told) {
            (1, _) => Say::Tools((0..6).map(|_| ("fetch", "{}".to_owned())).collect()),
            (_, Some(told)) if !told.contains("as yet") => text(&told),
            // No word of it is in any page: what is found is found by its vector. Another limit each
            // time, as a process that does the same without end is ended.
            _ => {
                let limit = 1 + messages.len() / 2 % 32;
                tool("search_memory", &format!(r#"{{"query":"zyzzyva","limit":{limit}}}"#))
            }
        }
    };
    let mut scene = Scene::on(Memory::new(), Trace::new(), Arc::new(script));
    let embedder = resolve::embedder("llamacpp", Some(&url), &|_| None).unwrap();
    scene.config.embedder = Some(embedder);
    let line =
        |n: u32| format!("{n}: {}", ["sea", "rain", "gold", "wheat"][n as usize % 4].repeat(900));
    scene.tool("fetch", Do::Make(line), |traits| traits.idempotent = true);
    let node = scene.start();
    let pid = node.agent("reader").await;
    let (status, told) = node.end(pid).await;
    assert_eq!(status, ExitStatus::Finished);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert!(told.get("note").is_none(), "{told}");
    assert!(!told["found"].as_array().unwrap().is_empty(), "{told}");
    node.shutdown().await.unwrap();
}

/// An answer that is cut off for an urgent agent goes on from there as the server says that it does. (As
/// it would have gone on uncut, only where the server finds the same tokens in the text so far.)
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_a_real_server_is_cut_off_and_gone_on_with() {
    let Some(folder) = folder() else {
        skip("llama-server", "it is not here; set AOSK_LLAMA");
        return;
    };
    let llama = start_with(&folder, &["-c", LONG_CONTEXT]);
    let base = format!("http://{}/v1", llama.address);
    let resolved = resolve(Some("llamacpp:any"), Some(&base), &|_| None).await.unwrap();
    let mut scene = Scene::new(|_| text(""));
    scene.config.policy = aosk_runtime::kernel::policy("fair").unwrap();
    let calls = Arc::<Mutex<Vec<Call>>>::default();
    let driver = Noted { inner: resolved.driver.clone(), calls: Arc::clone(&calls) };
    scene.config.models = vec![ModelDevice {
        context: resolved.context,
        continues: resolved.continues,
        stream: true,
        ..ModelDevice::new("m", Arc::new(driver))
    }];
    let node = scene.start();
    let spec = |output_max, priority| {
        let temperature_milli = Some(0);
        let options =
            aosk_runtime::abi::ThinkOptions { output_max, temperature_milli, ..options() };
        let param = react::Param {
            options,
            workspace: None,
            base_url: None,
            replacement: None,
            prefer: None,
            chat: false,
        };
        let spec = process("teller", "react", &serde_json::to_string(&param).unwrap());
        aosk_runtime::abi::SpawnSpec { priority, ..spec }
    };
    let calm = node.handle.spawn(spec(LONG, 50)).await.unwrap();
    let (status, whole) = node.end(calm).await;
    assert_eq!(status, ExitStatus::Finished);
    let mut growth = node.handle.growth();
    let slow = node.handle.spawn(spec(LONG, 50)).await.unwrap();
    assert_eq!(growth.recv().await.unwrap().pid, slow);
    let hurried = node.handle.spawn(spec(Tokens(8), 10)).await.unwrap();
    node.end(hurried).await;
    let (status, told) = node.end(slow).await;
    assert_eq!(status, ExitStatus::Finished);
    assert_eq!(node.handle.process(slow).unwrap().stats.preempted, 1);
    let again = calls.lock().unwrap().iter().find_map(|call| call.begun.clone()).unwrap();
    let begun = again.begun.as_ref().unwrap().message().text();
    assert!(!begun.is_empty() && whole.starts_with(&begun) && begun.len() < whole.len(), "{begun}");
    let rest = resolved.driver.complete(again, None).await.unwrap();
    assert_eq!(told, begun + &rest.body.message().text());
    node.shutdown().await.unwrap();
}

//! The memory of an agent with an embedder: what is found by meaning, that each text is embedded once,
//! and that nothing waits for an embedder that fails or hangs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aosk_runtime::abi::{
    ErrorCode, ExitStatus, Failure, FailureClass, Message, Millis, Pid, SpawnSpec, ThinkOptions,
    Tokens,
};
use aosk_runtime::model::{Embedder, Request};
use aosk_runtime::program::react;
use aosk_runtime::store::Memory;
use async_trait::async_trait;
use serde_json::Value;

use crate::scene::{
    Do, Running, Say, Scene, Trace, advance, freeze, last, options, process, text, tool,
};

/// Words of one meaning each.
const TOPICS: [&[&str]; 3] =
    [&["feline", "kitten", "cat"], &["stocks", "shares", "market"], &["rain", "storm"]];

/// What the embedder does when it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Works,
    /// It fails, and would again.
    Fails,
    /// It never answers to a text that has this word.
    HangsAt(&'static str),
    /// It takes no text of more bytes.
    Takes(usize),
}

/// An embedder that knows three topics. It tells `embed` when it is asked.
struct Topics {
    trace: Trace,
    mode: Mutex<Mode>,
    /// How often each text was embedded.
    texts: Mutex<BTreeMap<String, usize>>,
}

impl Topics {
    fn new(mode: Mode) -> Arc<Self> {
        let (mode, texts) = (Mutex::new(mode), Mutex::default());
        Arc::new(Self { trace: Trace::new(), mode, texts })
    }

    fn texts(&self) -> BTreeMap<String, usize> {
        self.texts.lock().unwrap().clone()
    }
}

fn refusal(code: ErrorCode, message: &str) -> Failure {
    Failure {
        class: FailureClass::Final,
        code,
        message: message.to_owned(),
        hint: String::new(),
        retry_after: None,
        usage: None,
    }
}

#[async_trait]
impl Embedder for Topics {
    fn name(&self) -> &str {
        "test:topics"
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, Failure> {
        let mode = *self.mode.lock().unwrap();
        self.trace.tell("embed");
        match mode {
            Mode::Works => {}
            Mode::Fails => return Err(refusal(ErrorCode::ModelUnauthorized, "no such key")),
            Mode::HangsAt(word) if texts.iter().any(|text| text.contains(word)) => {
                self.trace.tell("hangs");
                std::future::pending::<()>().await;
            }
            Mode::Takes(bytes) if texts.iter().any(|text| text.len() > bytes) => {
                self.trace.tell("refused");
                return Err(refusal(ErrorCode::ModelContextLength, "it is too long"));
            }
            Mode::HangsAt(_) | Mode::Takes(_) => {}
        }
        let mut embedded = self.texts.lock().unwrap();
        let vector = |text: &String| {
            *embedded.entry(text.clone()).or_default() += 1;
            let about = |words: &[&str]| words.iter().any(|word| text.contains(word));
            let mut vector = vec![0.1];
            vector.extend(TOPICS.map(|words| if about(words) { 1.0 } else { 0.0 }));
            vector
        };
        Ok(texts.iter().map(vector).collect())
    }
}

/// The result of call number `n`; that of the third is about a cat.
fn result(n: u32) -> String {
    let said = if n == 2 { "the feline slept on the mat" } else { "nothing of note here" };
    format!("entry {n}: {said}\n{}", "and a line that says little\n".repeat(20))
}

fn scene(
    memory: &Memory,
    embedder: Option<&Arc<Topics>>,
    answer: impl Fn(usize, &Request) -> Say + Send + Sync + 'static,
) -> Scene {
    let asked = Mutex::new(0_usize);
    let script = move |request: &Request| {
        if request.process != "reader" {
            return text("that was all");
        }
        let mut asked = asked.lock().unwrap();
        let n = *asked;
        *asked += 1;
        drop(asked);
        answer(n, request)
    };
    let mut scene = Scene::on(memory.clone(), Trace::new(), Arc::new(script));
    scene.config.models[0].context = Some(Tokens(4_000));
    scene.config.embedder = embedder.map(|embedder| embedder.clone() as Arc<dyn Embedder>);
    scene.tool("fetch", Do::Make(result), |traits| traits.idempotent = true);
    scene
}

fn reader(chat: bool) -> SpawnSpec {
    let options = ThinkOptions { output_max: Tokens(300), ..options() };
    let param = react::Param {
        options,
        workspace: None,
        base_url: None,
        replacement: None,
        prefer: None,
        chat,
    };
    process("reader", "react", &serde_json::to_string(&param).unwrap())
}

async fn run(node: &Running) -> (ExitStatus, String) {
    let pid = node.handle.spawn(reader(false)).await.unwrap();
    node.end(pid).await
}

/// Another limit at each step, as a process that does the same without end is ended.
fn kitten(n: usize) -> Say {
    tool("search_memory", &format!(r#"{{"query":"kitten","limit":{}}}"#, 8 + n % 24))
}

/// Calls `fetch` so often, and then searches for the kitten until all pages have their vectors. The
/// agent ends with what was found.
fn fetch_and_search(times: usize) -> impl Fn(usize, &Request) -> Say + Send + Sync + 'static {
    move |n, request| {
        if n < times {
            return tool("fetch", "{}");
        }
        let told = last(request);
        match serde_json::from_str::<Value>(&told) {
            Ok(Value::Object(found)) if found.contains_key("found") => {
                if told.contains("as yet") {
                    kitten(n)
                } else {
                    text(&told)
                }
            }
            _ => kitten(n),
        }
    }
}

fn begins(told: &str) -> Vec<String> {
    let told: Value = serde_json::from_str(told).unwrap();
    let found = told["found"].as_array().unwrap().iter();
    found.map(|page| page["begins"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn what_shares_no_word_with_the_query_is_found_by_meaning() {
    let embedder = Topics::new(Mode::Works);
    let node = scene(&Memory::new(), Some(&embedder), fetch_and_search(12)).start();
    let (status, told) = run(&node).await;
    assert_eq!(status, ExitStatus::Finished);
    assert!(begins(&told).first().is_some_and(|one| one.contains("the feline slept")), "{told}");
    let texts = embedder.texts();
    let twice: Vec<_> = texts.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "each text is embedded once: {twice:?}");
    for n in 0..12 {
        assert!(texts.contains_key(&result(n)), "the result of call {n} was embedded");
    }
    node.shutdown().await.unwrap();
    // Without an embedder no word of it leads there, and nothing is said of one.
    let node = scene(&Memory::new(), None, fetch_and_search(12)).start();
    let (_, told) = run(&node).await;
    assert_eq!(begins(&told), [""; 0], "{told}");
    assert!(!told.contains("note"), "{told}");
    node.shutdown().await.unwrap();
}

/// Neither the words of a search nor what it found is there to be found: only what they are about.
#[tokio::test]
async fn searches_do_not_find_themselves() {
    let node = scene(&Memory::new(), None, |n, request| match n {
        0..6 => tool("fetch", "{}"),
        // Not the same call in a row, of which the model would be told at the end.
        6..10 => tool("search_memory", &format!(r#"{{"query":"feline","limit":{}}}"#, n + 1)),
        _ => text(&last(request)),
    })
    .start();
    let (_, told) = run(&node).await;
    let begins = begins(&told);
    assert!(begins.len() == 1 && begins[0].contains("the feline slept"), "{told}");
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn with_an_embedder_that_fails_words_still_find() {
    let embedder = Topics::new(Mode::Fails);
    let node = scene(&Memory::new(), Some(&embedder), |n, request| match n {
        0..6 => tool("fetch", "{}"),
        6 => tool("search_memory", r#"{"query":"feline"}"#),
        _ => text(&last(request)),
    })
    .start();
    let (status, told) = run(&node).await;
    assert_eq!(status, ExitStatus::Finished);
    assert!(begins(&told).first().is_some_and(|one| one.contains("the feline slept")), "{told}");
    let note = serde_json::from_str::<Value>(&told).unwrap()["note"].to_string();
    assert!(note.contains("by words alone") && note.contains("no such key"), "{note}");
    assert!(embedder.trace.count("embed") < 6, "it is left alone for a while");
    node.shutdown().await.unwrap();
}

/// While an embedder does not answer, the agent takes its steps and others theirs; a search gives it up.
#[tokio::test]
async fn nothing_waits_long_for_an_embedder_that_hangs() {
    let _frozen = freeze();
    let embedder = Topics::new(Mode::HangsAt(""));
    let node = scene(&Memory::new(), Some(&embedder), |n, request| match n {
        0..12 => tool("fetch", "{}"),
        12 => kitten(12),
        _ => text(&last(request)),
    })
    .start();
    let pid = node.handle.spawn(reader(false)).await.unwrap();
    // The first hangs at the pages, the second at the query.
    embedder.trace.until_times("hangs", 2).await;
    let other = node.agent("other").await;
    assert_eq!(node.end(other).await, (ExitStatus::Finished, "that was all".to_owned()));
    assert!(!node.handle.process(pid).unwrap().has_ended, "the search waits");
    advance(Millis::from_secs(3)).await;
    let (status, told) = node.end(pid).await;
    assert_eq!(status, ExitStatus::Finished);
    assert!(told.contains("did not answer within 2 s"), "{told}");
    node.shutdown().await.unwrap();
}

/// An embedder of a small context gets as much of each text as it takes, and is not asked in vain for
/// ever.
#[tokio::test]
async fn long_pages_are_embedded_by_their_beginning() {
    let embedder = Topics::new(Mode::Takes(300));
    let node = scene(&Memory::new(), Some(&embedder), fetch_and_search(12)).start();
    let (status, told) = run(&node).await;
    assert_eq!(status, ExitStatus::Finished);
    assert!(begins(&told).first().is_some_and(|one| one.contains("the feline slept")), "{told}");
    let texts = embedder.texts();
    assert!(texts.keys().all(|text| text.len() <= 300), "{texts:?}");
    let cut = texts.keys().filter(|text| text.starts_with("entry ")).count();
    assert_eq!(cut, 12, "{texts:?}");
    node.shutdown().await.unwrap();
}

/// A search that was under way when the node went is made again, and the log is read and embedded anew.
#[tokio::test]
async fn a_search_in_flight_is_made_again_after_a_crash() {
    let memory = Memory::new();
    let embedder = Topics::new(Mode::HangsAt("kitten"));
    let node = scene(&memory, Some(&embedder), fetch_and_search(12)).start();
    node.handle.spawn(reader(false)).await.unwrap();
    embedder.trace.until("hangs").await;
    drop(node);
    let again = Topics::new(Mode::Works);
    let node = scene(&memory, Some(&again), fetch_and_search(0)).start();
    let (status, told) = node.end(Pid(1)).await;
    assert_eq!(status, ExitStatus::Finished);
    assert!(begins(&told).first().is_some_and(|one| one.contains("the feline slept")), "{told}");
    assert_eq!(again.texts().get("kitten"), Some(&1));
    node.shutdown().await.unwrap();
}

/// What is said calls pages back by its words, also while the embedder hangs.
#[tokio::test]
async fn what_is_said_calls_back_by_words() {
    let embedder = Topics::new(Mode::HangsAt(""));
    let node = scene(&Memory::new(), Some(&embedder), |n, request| match n {
        0..24 => tool("fetch", "{}"),
        24 => text("ready"),
        _ => tool("finish", &serde_json::json!({ "result": last(request) }).to_string()),
    })
    .start();
    let pid = node.handle.spawn(reader(true)).await.unwrap();
    node.state(pid, "message").await;
    node.handle.send(pid, Message::user("where was the feline on the mat?")).await.unwrap();
    let (status, said) = node.end(pid).await;
    assert_eq!(status, ExitStatus::Finished);
    assert!(said.starts_with("[page ") && said.contains("the feline slept"), "{said}");
    node.shutdown().await.unwrap();
}

//! An agent whose conversation outgrows its window: what leaves, what it can bring back, and what is
//! there after a restart. The model checks each request as a provider would.

use std::sync::{Arc, Mutex};

use aosk_runtime::ModelDevice;
use aosk_runtime::abi::{
    ErrorCode, ExitStatus, Failure, FailureClass, Message, Pid, SpawnSpec, ThinkOptions, Tokens,
    Usage,
};
use aosk_runtime::inspect::{self, KeptPage};
use aosk_runtime::kernel::Route;
use aosk_runtime::model::{Request, Tokenizer};
use aosk_runtime::program::react;
use aosk_runtime::store::{Memory, StoredEntry};

use crate::scene::{Do, Running, Say, Scene, Trace, last, options, process, text, tool};

/// What a request and its answer may take together.
const CONTEXT: u64 = 4_000;
const OUTPUT: u64 = 300;

/// Everything that was asked, in order.
pub(crate) type Asked = Arc<Mutex<Vec<Vec<Message>>>>;

pub(crate) fn tokens(request: &Request) -> u64 {
    let count = Tokenizer::ESTIMATE;
    let messages = request.messages.iter().map(|body| count.of_message(body.message()).0);
    messages.sum::<u64>() + count.of_tools(&request.tools).0
}

/// What a provider demands of a conversation: it fits, the task is there, and calls and results are
/// in pairs.
fn check(request: &Request) {
    let size = tokens(request);
    assert!(size <= CONTEXT - OUTPUT, "{size} tokens are sent");
    let said: Vec<&Message> = request.messages.iter().map(|body| body.message().as_ref()).collect();
    let is_task =
        |one: &&Message| one.text().starts_with("you are ") || one.text().starts_with("go on ");
    assert!(said.iter().any(is_task), "the task is shown");
    let mut open: Vec<&str> = Vec::new();
    for message in said {
        if let Message::Tool { tool_call_id, .. } = message {
            let at = open.iter().position(|id| id == tool_call_id);
            assert!(at.is_some(), "a result answers no call that is shown: {tool_call_id}");
            open.remove(at.unwrap());
            continue;
        }
        assert!(open.is_empty(), "calls without results: {open:?}");
        open.extend(message.tool_calls().iter().map(|call| call.id.as_str()));
    }
    assert!(open.is_empty(), "calls without results: {open:?}");
}

/// The result of call number `n`: long, with a name of its own in it.
pub(crate) fn result(n: u32) -> String {
    let (before, after) =
        ("words that say nothing\n".repeat(9), "and some more of them\n".repeat(24));
    format!("{before}file_{n}.rs holds secret_{n}x\n{after}")
}

/// A node whose one model has a small window. `answer` is given the number of the call, from 0.
pub(crate) fn scene(
    memory: &Memory,
    asked: &Asked,
    answer: impl Fn(usize, &Request) -> Say + Send + Sync + 'static,
) -> Scene {
    let asked = asked.clone();
    let script = move |request: &Request| {
        check(request);
        let messages = request.messages.iter().map(|body| body.message().as_ref().clone());
        let mut asked = asked.lock().unwrap();
        asked.push(messages.collect());
        let (n, used) = (asked.len() - 1, Tokens(tokens(request)));
        // What a test holds against a request must not poison what others ask.
        drop(asked);
        let say = answer(n, request);
        if let Say::Used(..) = say {
            return say;
        }
        Say::Used(
            Usage { input_uncached: used, output: Tokens(5), ..Usage::default() },
            Box::new(say),
        )
    };
    let mut scene = Scene::on(memory.clone(), Trace::new(), Arc::new(script));
    scene.config.models[0].context = Some(Tokens(CONTEXT));
    scene.tool("fetch", Do::Make(result), |traits| traits.idempotent = true);
    scene
}

/// An agent that may answer in so many tokens; with `chat`, it waits for more after an answer.
pub(crate) fn reader(chat: bool) -> SpawnSpec {
    let options = ThinkOptions { output_max: Tokens(OUTPUT), ..options() };
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

pub(crate) async fn run(node: &Running) -> (Pid, ExitStatus, String) {
    let pid = node.handle.spawn(reader(false)).await.unwrap();
    let (status, said) = node.end(pid).await;
    (pid, status, said)
}

pub(crate) fn kinds(memory: &Memory, kind: &str) -> Vec<serde_json::Value> {
    let mut found = Vec::new();
    let each = |entry: StoredEntry| {
        if entry.kind == kind {
            found.push(serde_json::from_str(&entry.data).unwrap());
        }
        true
    };
    inspect::journal(memory, &aosk_runtime::store::JournalQuery::default(), each).unwrap();
    found
}

/// The pages of the results of the last answer that called more than one tool, counting a page for
/// each message. Nothing may have left before them.
fn pages_of_results(request: &Request) -> std::ops::Range<u32> {
    let messages: Vec<_> = request.messages.iter().map(|body| body.message()).collect();
    let at = messages.iter().rposition(|one| one.tool_calls().len() > 1).unwrap();
    let calls = messages[at].tool_calls().len();
    let number = |length: usize| u32::try_from(length).unwrap();
    let first = number(at) + 2;
    first..first + number(calls)
}

/// Thirty results of 200 tokens go through a window of 3,700, and the agent gets to its end.
#[tokio::test]
async fn a_conversation_outgrows_its_window() {
    let (memory, asked) = (Memory::new(), Asked::default());
    let node = scene(&memory, &asked, |n, _| match n {
        0..30 => tool("fetch", "{}"),
        _ => text("done"),
    })
    .start();
    let (_, status, said) = run(&node).await;
    assert_eq!((status, said.as_str()), (ExitStatus::Finished, "done"));
    let cuts = kinds(&memory, "memory.cut");
    assert!(!cuts.is_empty(), "something left");
    for cut in &cuts {
        assert!(cut["after"].as_u64() < cut["before"].as_u64(), "{cut}");
        assert!(cut["evicted"].as_array().is_some_and(|pages| !pages.is_empty()), "{cut}");
    }
    // Between two cuts every request begins with the one before it, byte for byte.
    let asked = std::mem::take(&mut *asked.lock().unwrap());
    let breaks = asked.windows(2).filter(|two| !two[1].starts_with(&two[0])).count();
    assert!(breaks > 0 && breaks <= cuts.len(), "{breaks} breaks and {} cuts", cuts.len());
    node.shutdown().await.unwrap();
}

/// The pages of an agent that fetches something long from the model that these devices and routes make
/// of the name `m`.
async fn pages_under(
    devices: &[(&str, u64, Tokenizer)],
    routes: impl IntoIterator<Item = (String, Route)>,
) -> Vec<KeptPage> {
    let mut scene = Scene::new(|request| match request.answers {
        0 => tool("fetch_all", "{}"),
        _ => text("done"),
    });
    let device = scene.config.models.remove(0);
    scene.config.models = devices
        .iter()
        .map(|(name, context, tokenizer)| ModelDevice {
            name: (*name).to_owned(),
            context: Some(Tokens(*context)),
            tokenizer: *tokenizer,
            ..device.clone()
        })
        .collect();
    scene.config.routes.extend(routes);
    scene.tool("fetch_all", Do::Make(|n| result(n).repeat(30)), |_| {});
    let node = scene.start();
    let (pid, status, said) = run(&node).await;
    assert_eq!((status, said.as_str()), (ExitStatus::Finished, "done"));
    let table = inspect::page_table(node.handle.reader().as_ref(), pid).unwrap();
    node.shutdown().await.unwrap();
    table.pages
}

/// Behind a route, pages are counted and cut as for its first model and its largest window.
#[tokio::test]
async fn a_route_has_the_tokenizer_and_the_window_of_its_models() {
    let exact = Tokenizer::of_model("gpt-5.4-mini");
    let blank = " ".repeat(200);
    assert_ne!(exact.of_text(&blank), Tokenizer::ESTIMATE.of_text(&blank));
    let alone = pages_under(&[("m", CONTEXT, exact)], []).await;
    assert!(alone.len() > 5, "the result is many pages: {alone:#?}");
    let backends = ["gone", "first", "second"].map(|name| (name.to_owned(), 1)).to_vec();
    let route = ("m".to_owned(), Route { backends, ..Route::default() });
    let (first, second) = (("first", CONTEXT / 2, exact), ("second", CONTEXT, Tokenizer::ESTIMATE));
    assert_eq!(pages_under(&[first, second], [route.clone()]).await, alone);
    // A route hides a device of its name.
    let hidden = ("m", 100_000, Tokenizer::ESTIMATE);
    assert_eq!(pages_under(&[first, second, hidden], [route]).await, alone);
}

/// What left is found by search, comes back by recall, as it was, and is counted as a fault.
#[tokio::test]
async fn what_left_is_found_and_comes_back() {
    let (memory, asked) = (Memory::new(), Asked::default());
    let node = scene(&memory, &asked, |n, request| match n {
        0..20 => tool("fetch", "{}"),
        20 => {
            let shown =
                request.messages.iter().any(|body| body.message().text().contains("secret_2x"));
            assert!(!shown, "the third result has left");
            tool("search_memory", r#"{"query":"secret_2x","limit":3}"#)
        }
        21 => {
            let found: serde_json::Value = serde_json::from_str(&last(request)).unwrap();
            let first = &found["found"][0];
            assert_eq!(first["in_window"], false, "{found}");
            assert_eq!(first["kind"], "tool result", "{found}");
            tool("recall", &format!(r#"{{"pages":[{}]}}"#, first["page"]))
        }
        22 => {
            assert!(last(request).ends_with(&result(2)), "{}", last(request));
            text("done")
        }
        _ => panic!("asked once more"),
    })
    .start();
    let (pid, status, _) = run(&node).await;
    assert_eq!(status, ExitStatus::Finished);
    let faults = kinds(&memory, "page.faulted");
    let recalls = kinds(&memory, "page.recalled");
    assert_eq!((faults.len(), recalls.len()), (1, 1));
    assert_eq!(faults[0]["page"], recalls[0]["page"]);
    assert_ne!(recalls[0]["copy"], recalls[0]["page"]);
    let ended = inspect::process(&memory, pid).unwrap();
    assert_eq!(ended.stats.faults, 1);
    node.shutdown().await.unwrap();
}

/// Pages of others, forgotten pages and too many pinned ones are refused, and the agent is told.
#[tokio::test]
async fn mistakes_with_pages_are_told() {
    let (memory, asked) = (Memory::new(), Asked::default());
    let node = scene(&memory, &asked, |n, request| {
        let told = last(request);
        match n {
            0 => tool("fetch", "{}"),
            1 => tool("recall", r#"{"pages":[4000000000]}"#),
            2 => {
                assert!(told.starts_with("memory.no_page: "), "{told}");
                tool("recall", r#"{"pages":[0]}"#)
            }
            3 => {
                assert!(told.starts_with("tool.arguments: "), "the tools are no page: {told}");
                tool("forget", r#"{"page":2}"#)
            }
            4 => {
                assert!(told.contains("freed_tokens"), "{told}");
                tool("recall", r#"{"pages":[2]}"#)
            }
            5 => {
                assert!(told.starts_with("memory.no_page: "), "{told}");
                let gone = request
                    .messages
                    .iter()
                    .all(|body| !body.message().text().contains("secret_0x"));
                assert!(gone, "what was forgotten is not shown");
                tool("search_memory", r#"{"query":"secret_0x"}"#)
            }
            6 => {
                let found: serde_json::Value = serde_json::from_str(&told).unwrap();
                let pages = found["found"].as_array().unwrap();
                assert!(pages.iter().all(|page| page["page"] != 2), "nor found: {told}");
                Say::Tools((0..9).map(|_| ("fetch", "{}".to_owned())).collect())
            }
            // Each is more than 200 of the 1,850 tokens that may be pinned.
            7..16 if !told.starts_with("memory.pins_full") => {
                let pages = pages_of_results(request);
                tool(
                    "pin",
                    &format!(r#"{{"page":{}}}"#, usize::try_from(pages.start).unwrap() + n - 7),
                )
            }
            _ => text(&told),
        }
    })
    .start();
    let (_, status, said) = run(&node).await;
    assert_eq!(status, ExitStatus::Finished);
    assert!(said.starts_with("memory.pins_full: "), "{said}");
    node.shutdown().await.unwrap();
}

/// A node that ends while the window has been cut goes on with the same pages in it.
#[tokio::test]
async fn what_has_left_stays_away_after_a_restart() {
    let (memory, asked) = (Memory::new(), Asked::default());
    let node = scene(&memory, &asked, |n, _| match n {
        0..18 => tool("fetch", "{}"),
        _ => Say::Hang,
    })
    .start();
    node.handle.spawn(reader(false)).await.unwrap();
    node.trace.until_times("ask reader.1", 19).await;
    let before = asked.lock().unwrap().last().unwrap().clone();
    let cuts = kinds(&memory, "memory.cut").len();
    assert!(cuts > 0, "something left");
    // The call is in flight when the node goes, and is made again by the next.
    drop(node);
    let again = Asked::default();
    let node = scene(&memory, &again, |n, _| match n {
        0 => tool("search_memory", r#"{"query":"secret_1x"}"#),
        1 => tool("recall", r#"{"pages":[4]}"#),
        _ => text("done"),
    })
    .start();
    let (status, _) = node.end(Pid(1)).await;
    assert_eq!(status, ExitStatus::Finished);
    let again = std::mem::take(&mut *again.lock().unwrap());
    assert_eq!(again[0], before, "it is shown what it was shown before");
    let cuts = kinds(&memory, "memory.cut").len() - cuts;
    let breaks = again.windows(2).filter(|two| !two[1].starts_with(&two[0])).count();
    assert!(breaks <= cuts, "{breaks} breaks and {cuts} cuts");
    node.shutdown().await.unwrap();
}

/// What must be shown and does not fit is told before a call is made that must fail.
#[tokio::test]
async fn what_cannot_fit_is_refused_before_it_is_sent() {
    let (memory, asked) = (Memory::new(), Asked::default());
    let node = scene(&memory, &asked, |_, _| panic!("nothing is asked")).start();
    let mut spec = reader(false);
    spec.pages.insert(
        0,
        aosk_runtime::abi::Body::new(Message::system("always be very polite ".repeat(2_000))),
    );
    let pid = node.handle.spawn(spec).await.unwrap();
    let (status, said) = node.end(pid).await;
    assert_eq!(status, ExitStatus::Failed(ErrorCode::ModelContextLength));
    assert!(said.contains("tokens, and 3700 fit beside an answer of 300"), "{said}");
    assert!(said.contains("make them shorter"), "{said}");
    node.shutdown().await.unwrap();
}

/// A result of a hundred thousand tokens does not end an agent: as much of it as fits is shown, and
/// the rest can be brought back.
#[tokio::test]
async fn a_result_larger_than_the_window_is_shown_in_part() {
    let (memory, asked) = (Memory::new(), Asked::default());
    let mut scene = scene(&memory, &asked, |n, request| match n {
        0 => tool("flood", "{}"),
        _ => {
            let shown = last(request);
            assert!(shown.contains(" left out: tool result"), "{}", &shown[..200]);
            text("done")
        }
    });
    scene.tool("flood", Do::Make(|_| "数据 line of a very long result\n".repeat(6_000)), |_| {});
    let node = scene.start();
    let (_, status, said) = run(&node).await;
    assert_eq!((status, said.as_str()), (ExitStatus::Finished, "done"));
    node.shutdown().await.unwrap();
}

/// A provider that counts otherwise and says that it is too long is asked once more, with less.
#[tokio::test]
async fn a_provider_that_counts_more_is_asked_once_more_with_less() {
    let (memory, asked) = (Memory::new(), Asked::default());
    let sizes: Arc<Mutex<Vec<(bool, u64)>>> = Arc::default();
    let seen = sizes.clone();
    let node = scene(&memory, &asked, move |n, request| {
        // To this one every token is one and a half.
        let too_long = tokens(request) * 3 / 2 > CONTEXT - OUTPUT;
        seen.lock().unwrap().push((too_long, tokens(request)));
        if too_long {
            return Say::Fail(Failure {
                class: FailureClass::Final,
                code: ErrorCode::ModelContextLength,
                message: "maximum context length".to_owned(),
                hint: String::new(),
                retry_after: None,
                usage: None,
            });
        }
        let say = if n < 30 { tool("fetch", "{}") } else { text("done") };
        // It sends no figures.
        Say::Used(Usage { estimated: true, ..Usage::default() }, Box::new(say))
    })
    .start();
    let (_, status, said) = run(&node).await;
    assert_eq!((status, said.as_str()), (ExitStatus::Finished, "done"));
    let sizes = std::mem::take(&mut *sizes.lock().unwrap());
    let refused: Vec<usize> = (0..sizes.len()).filter(|at| sizes[*at].0).collect();
    assert_eq!(refused.len(), 1, "what it learned, it keeps to: {sizes:?}");
    assert!(sizes[refused[0] + 1].1 < sizes[refused[0]].1);
    let cuts = kinds(&memory, "memory.cut");
    assert_eq!(cuts.iter().filter(|cut| cut["cause"] == "refused").count(), 1);
    node.shutdown().await.unwrap();
}

/// What a provider says that it counted corrects the estimate, before it has to refuse anything.
#[tokio::test]
async fn what_a_provider_counts_corrects_the_estimate() {
    let (memory, asked) = (Memory::new(), Asked::default());
    let node = scene(&memory, &asked, move |n, request| {
        // To this one every token is one and a half.
        let counted = tokens(request) * 3 / 2;
        assert!(counted <= CONTEXT - OUTPUT, "{counted} tokens by its own count");
        let say = if n < 30 { tool("fetch", "{}") } else { text("done") };
        let usage =
            Usage { input_uncached: Tokens(counted), output: Tokens(5), ..Usage::default() };
        Say::Used(usage, Box::new(say))
    })
    .start();
    let (_, status, said) = run(&node).await;
    assert_eq!((status, said.as_str()), (ExitStatus::Finished, "done"));
    node.shutdown().await.unwrap();
}

/// A child that is a fork begins with all that its parent is shown, byte for byte, and what has left its
/// parent's window it can bring back too.
#[tokio::test]
async fn a_fork_begins_with_the_window_of_its_parent() {
    let (memory, asked) = (Memory::new(), Asked::default());
    let node = scene(&memory, &asked, |n, request| match (request.process.as_str(), n) {
        ("reader", 0..16) => tool("fetch", "{}"),
        ("reader", 16) => {
            let child = r#"{"name":"kid","task":"go on from here","fork":true,"wait":true}"#;
            Say::Tools(vec![("spawn_agent", child.to_owned()), ("fetch", "{}".to_owned())])
        }
        ("kid", 17) => {
            assert_eq!(last(request), "go on from here");
            tool("search_memory", r#"{"query":"secret_1x"}"#)
        }
        ("kid", 18) => {
            let found: serde_json::Value = serde_json::from_str(&last(request)).unwrap();
            tool("recall", &format!(r#"{{"pages":[{}]}}"#, found["found"][0]["page"]))
        }
        ("kid", _) => {
            assert!(last(request).ends_with(&result(1)), "{}", last(request));
            text("kid is done")
        }
        _ => text("done"),
    })
    .start();
    let (_, status, said) = run(&node).await;
    assert_eq!((status, said.as_str()), (ExitStatus::Finished, "done"));
    assert!(!kinds(&memory, "memory.cut").is_empty(), "something had left before");
    let asked = std::mem::take(&mut *asked.lock().unwrap());
    let (parent, child) = (&asked[16], &asked[17]);
    assert!(child.starts_with(parent), "what the provider has in its cache serves both");
    let told: Vec<String> = child[parent.len()..].iter().map(Message::text).collect();
    assert_eq!(told[1], r#"{"forked":true,"you_are":"kid"}"#);
    assert!(told[2].starts_with("tool.interrupted"), "{told:?}");
    assert_eq!(told[3], "go on from here");
    // The parent goes on with the results of its own calls.
    let after = asked.last().unwrap();
    assert!(after.iter().any(|message| message.text().contains("kid is done")));
    node.shutdown().await.unwrap();
}

/// What a person says calls back what has left and is about it.
#[tokio::test]
async fn what_is_said_calls_back_what_left() {
    let (memory, asked) = (Memory::new(), Asked::default());
    let node = scene(&memory, &asked, |n, request| match n {
        0..20 => tool("fetch", "{}"),
        20 => text("ready"),
        21 => {
            let shown = last(request);
            assert!(shown.starts_with("[page ") && shown.ends_with(&result(1)), "{shown}");
            tool("finish", r#"{"result":"done"}"#)
        }
        _ => panic!("asked once more"),
    })
    .start();
    let pid = node.handle.spawn(reader(true)).await.unwrap();
    node.state(pid, "message").await;
    assert_eq!(kinds(&memory, "page.recalled").len(), 0);
    node.handle.send(pid, Message::user("what was secret_1x in file_1.rs?")).await.unwrap();
    assert_eq!(node.end(pid).await.0, ExitStatus::Finished);
    assert_eq!(kinds(&memory, "page.recalled").len(), 1);
    assert_eq!(kinds(&memory, "page.faulted").len(), 0, "the model did not ask");
    node.shutdown().await.unwrap();
}

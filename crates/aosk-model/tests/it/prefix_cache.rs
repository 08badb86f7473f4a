//! Breakpoints on the wire against Anthropic's prefix cache as its documentation describes it.
//!
//! The rules themselves are held against recorded usage where `aosk bench` predicts it. The server here
//! keeps them over the very bytes it is sent: what is cached ends where an earlier request had a
//! breakpoint; each breakpoint finds such an end among the last twenty blocks, itself the first; a
//! prefix of fewer than 1,024 tokens is not cached; what lies between the longest prefix found and the
//! last breakpoint is written.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use aosk_abi::{Body, Message, Tokens, ToolUse};
use aosk_model::anthropic::{Anthropic, Dialect, PATH, Version};
use aosk_model::endpoint::{Bounds, Endpoint};
use aosk_model::{CacheHints, Driver};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::server::{calculator, json, read_request, request};

const LOOK_BACK: usize = 20;
const BREAKPOINTS_MAX: usize = 4;
const MINIMUM: u64 = 1_024;

/// Tokens of the description of a tool, and of a call, at this server.
const TOOL: u64 = 50;
const CALL: u64 = 10;

/// What the server has cached: prefixes by their content.
#[derive(Default)]
struct Cache {
    ends: BTreeSet<String>,
}

impl Cache {
    /// Takes a request and gives its usage: uncached, read, written.
    fn take(&mut self, body: &Value) -> (u64, u64, u64) {
        let mut blocks: Vec<Value> = Vec::new();
        blocks.extend(list(&body["tools"]));
        blocks.extend(list(&body["system"]));
        let turns = list(&body["messages"]);
        blocks.extend(turns.iter().filter_map(|turn| turn.get("content")).flat_map(list));
        let (mut prefix, mut tokens) = (String::new(), 0);
        let mut prefixes = Vec::new();
        let mut marked = Vec::new();
        for (at, mut block) in blocks.into_iter().enumerate() {
            let mark = block.as_object_mut().expect("an object").remove("cache_control");
            if let Some(mark) = mark {
                assert_eq!(mark, serde_json::json!({"type": "ephemeral"}));
                marked.push(at);
            }
            tokens += size(&block);
            write!(prefix, "{block}").expect("writes");
            prefixes.push((prefix.clone(), tokens));
        }
        assert!(marked.len() <= BREAKPOINTS_MAX, "{marked:?}");
        let found = marked.iter().flat_map(|&at| (0..=at).rev().take(LOOK_BACK));
        let read = found.filter_map(|at| {
            let (prefix, tokens) = prefixes.get(at)?;
            self.ends.contains(prefix).then_some(*tokens)
        });
        let read = read.max().unwrap_or(0);
        let ends = marked.iter().filter_map(|&at| prefixes.get(at));
        let ends: Vec<_> = ends.filter(|(_, tokens)| *tokens >= MINIMUM).collect();
        let last = ends.iter().map(|(_, tokens)| *tokens).max().unwrap_or(0);
        self.ends.extend(ends.into_iter().map(|(prefix, _)| prefix.clone()));
        let upto = last.max(read);
        (tokens - upto, read, upto - read)
    }
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

/// The tokens of a block: a word is one.
fn size(block: &Value) -> u64 {
    let words =
        |value: &Value| value.as_str().map_or(0, |text| text.split_whitespace().count() as u64);
    let kind = block["type"].as_str();
    assert!(matches!(kind, None | Some("text" | "tool_result" | "tool_use")), "{block}");
    match kind {
        Some("text") => words(&block["text"]),
        Some("tool_result") => list(&block["content"]).iter().map(size).sum(),
        Some(_) => CALL,
        None => TOOL,
    }
}

/// A server that keeps the rules, and a driver that asks it.
struct Session {
    driver: Anthropic,
    _server: JoinSet<()>,
}

impl Session {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let base_url = format!("http://{}", listener.local_addr().expect("has an address"));
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut cache = Cache::default();
            loop {
                let (mut stream, _) = listener.accept().await.expect("accepts");
                let request = read_request(&mut stream).await;
                let (_, body) = request.split_once("\r\n\r\n").expect("head and body");
                let (uncached, read, write) =
                    cache.take(&serde_json::from_str(body).expect("JSON"));
                let answer = format!(
                    r#"{{"content":[{{"type":"text","text":"ok"}}],"stop_reason":"end_turn","usage":{{"input_tokens":{uncached},"cache_read_input_tokens":{read},"cache_creation_input_tokens":{write},"output_tokens":1}}}}"#
                );
                let answer = json(200, "connection: close\r\n", &answer);
                stream.write_all(&answer).await.expect("writes");
            }
        });
        let endpoint =
            Endpoint::new("test:m", &base_url, PATH, None, Bounds::default()).expect("an address");
        let dialect = Dialect {
            version: Version::V2026,
            cache_marks: true,
            continuing: aosk_model::continuing::Continuing::NEVER,
        };
        Self { driver: Anthropic::new(endpoint, "m", dialect), _server: server }
    }

    /// The usage of a call: uncached, read, written.
    async fn ask(&self, messages: &[Message], breakpoints: &[usize]) -> (u64, u64, u64) {
        let mut asked = request(vec![], vec![calculator()]);
        asked.messages = messages.iter().cloned().map(Body::new).collect();
        asked.cache = CacheHints { breakpoints: breakpoints.to_vec(), ..CacheHints::default() };
        let usage = self.driver.complete(asked, None).await.expect("answers").usage;
        let Tokens(uncached) = usage.input_uncached;
        (uncached, usage.cache_read.0, usage.cache_write.0)
    }
}

fn words(count: usize, word: &str) -> String {
    vec![word; count].join(" ")
}

/// Appends an answer of 100 tokens with so many calls, and a result of 20 tokens for each.
fn append_turn(messages: &mut Vec<Message>, turn: usize, calls: usize) {
    let id = |call: usize| format!("t{turn}c{call}");
    let use_of = |call: usize| ToolUse {
        id: id(call),
        name: "calculator".into(),
        arguments: r#"{"expression":"1"}"#.into(),
    };
    messages.push(Message::Assistant {
        content: Some(aosk_abi::Content::Text(words(100, &format!("a{turn}")))),
        reasoning: None,
        tool_calls: (0..calls).map(use_of).collect(),
    });
    messages.extend((0..calls).map(|call| Message::tool(id(call), words(20, "r"))));
}

const STATIC: u64 = TOOL + 2_000;

fn opening() -> Vec<Message> {
    vec![Message::system(words(2_000, "s")), Message::user(words(500, "u"))]
}

/// Twelve calls as the kernel makes them: breakpoints at the end of the static part, before the cut
/// that is planned, at the end of the last call and at the end of this one.
#[tokio::test]
async fn a_growing_conversation_is_read_from_the_cache_and_survives_a_cut() {
    let session = Session::start().await;
    let mut messages = opening();
    // Behind the task and two turns: here the cut will be.
    let planned = 5;
    let mut last_end = None;
    let mut usage = Vec::new();
    for call in 0..12 {
        let end = messages.len() - 1;
        let mut breakpoints = vec![0];
        breakpoints.extend((end > planned).then_some(planned));
        breakpoints.extend(last_end.filter(|at| *at > planned));
        breakpoints.push(end);
        usage.push(session.ask(&messages, &breakpoints).await);
        last_end = Some(end);
        // The sixth answer calls twelve tools at once: more blocks than a breakpoint looks back.
        append_turn(&mut messages, call, if call == 5 { 12 } else { 1 });
        if call == 8 {
            // The cut: of what stands behind it only the last turn stays.
            let kept = messages.split_off(messages.len() - 2);
            messages.truncate(planned + 1);
            messages.push(Message::user(words(30, "stub")));
            messages.extend(kept);
            last_end = None;
        }
    }
    // A turn has 130 tokens, or with twelve calls 100 + 12 * 30 = 460.
    let start = STATIC + 500;
    let mut expected = vec![(0, 0, start)];
    let mut total = start;
    for call in 1..=8 {
        let new = if call == 6 { 460 } else { 130 };
        expected.push((0, total, new));
        total += new;
    }
    // After the cut the prefix up to it is there still: the task and two turns.
    let cut = start + 2 * 130;
    expected.push((0, cut, 30 + 130));
    total = cut + 30 + 130;
    for _ in 10..12 {
        expected.push((0, total, 130));
        total += 130;
    }
    assert_eq!(usage, expected);
}

/// Marks at the two ends alone lose the cache when a turn has more blocks than a breakpoint looks
/// back. This is why the kernel says where they go, and that this server tells the difference.
#[tokio::test]
async fn ends_alone_run_past_the_look_back() {
    let session = Session::start().await;
    let mut messages = opening();
    assert_eq!(session.ask(&messages, &[]).await, (0, 0, STATIC + 500));
    append_turn(&mut messages, 0, 9);
    // Nineteen new blocks: the end of the call before is the twentieth.
    assert_eq!(session.ask(&messages, &[]).await, (0, STATIC + 500, 370));
    append_turn(&mut messages, 1, 10);
    assert_eq!(session.ask(&messages, &[]).await, (0, STATIC, 500 + 370 + 400));
}

/// A prefix that is too short is not cached, and costs what input costs.
#[tokio::test]
async fn what_is_short_is_not_cached() {
    let session = Session::start().await;
    let messages = [Message::system(words(900, "s")), Message::user(words(50, "u"))];
    for _ in 0..2 {
        assert_eq!(session.ask(&messages, &[0, 1]).await, (TOOL + 950, 0, 0));
    }
}

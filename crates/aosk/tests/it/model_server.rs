//! A model provider of the test's own on loopback. It checks every request that it gets and answers
//! as the test says.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::machine::PATIENCE;

/// The key that the program must show.
pub(crate) const KEY: &str = "test-key-7c1f";

/// The name of the model.
pub(crate) const MODEL: &str = "test-model";

/// Input and output tokens that every answer says it used.
pub(crate) const USAGE: (u64, u64) = (100, 10);

/// A wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    OpenAi,
    Anthropic,
}

/// A tool call that the model wants: an id, a name, arguments.
pub(crate) type Wish = (&'static str, &'static str, String);

/// What the server answers.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// An answer in words.
    Say(String),
    /// Tool calls.
    Call(Vec<Wish>),
    /// Another status, with more headers and a body.
    Status(u16, &'static str, String),
    /// These bytes and an end.
    Raw(String),
    /// The beginning of an answer, and no more until the other side hangs up.
    Stall,
    /// The reply, once the test has called [`ModelServer::release`].
    Held(Box<Reply>),
    /// An answer that says that it used so many input tokens, of which so many were cached.
    Used { input: u64, cached: u64, reply: Box<Reply> },
}

impl Reply {
    pub(crate) fn say(text: impl Into<String>) -> Self {
        Self::Say(text.into())
    }

    pub(crate) fn call(id: &'static str, name: &'static str, arguments: &Value) -> Self {
        Self::Call(vec![(id, name, arguments.to_string())])
    }
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) head: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Value,
}

impl Asked {
    pub(crate) fn messages(&self) -> &[Value] {
        self.body["messages"].as_array().map(Vec::as_slice).unwrap_or_default()
    }

    /// The roles of the conversation, in order.
    pub(crate) fn roles(&self) -> Vec<&str> {
        self.messages().iter().map(|message| message["role"].as_str().unwrap_or_default()).collect()
    }

    /// The names of the tools that are offered.
    pub(crate) fn tools(&self) -> Vec<&str> {
        let tools = self.body["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
        tools.iter().map(name_of).collect()
    }
}

/// The name of an offered tool, in either wire format.
fn name_of(tool: &Value) -> &str {
    tool["function"]["name"].as_str().or_else(|| tool["name"].as_str()).unwrap_or_default()
}

/// What decides on the reply: the how-manieth request this is, from 0, and the request.
type Answers = dyn Fn(usize, &Asked) -> Reply + Send + Sync;

#[derive(Default)]
struct Seen {
    asked: Vec<Asked>,
    wrong: Vec<String>,
    hung_up: usize,
    released: bool,
}

struct Shared {
    wire: Wire,
    answers: Box<Answers>,
    seen: Mutex<Seen>,
    changed: Condvar,
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen());
        self.changed.notify_all();
    }

    fn wait(&self, what: &str, reached: impl Fn(&Seen) -> bool) {
        let seen = self.seen();
        let (seen, timeout) = self
            .changed
            .wait_timeout_while(seen, PATIENCE, |seen| !reached(seen))
            .unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "waited for {what}; wrong so far: {:?}", seen.wrong);
    }
}

/// The server. What was wrong with the requests fails the test in [`ModelServer::requests`].
pub(crate) struct ModelServer {
    pub(crate) base_url: String,
    shared: Arc<Shared>,
}

impl ModelServer {
    /// A server that asks `answers` for each reply.
    pub(crate) fn start(
        wire: Wire,
        answers: impl Fn(usize, &Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let base_url = format!("http://{}/v1", listener.local_addr().expect("has an address"));
        let shared = Arc::new(Shared {
            wire,
            answers: Box::new(answers),
            seen: Mutex::default(),
            changed: Condvar::new(),
        });
        let of_thread = shared.clone();
        // The threads end with the test program; each connection ends with its client.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = of_thread.clone();
                std::thread::spawn(move || serve(&shared, stream));
            }
        });
        Self { base_url, shared }
    }

    /// A server that gives these replies, one after the other, and wonders at more requests.
    pub(crate) fn script(wire: Wire, replies: Vec<Reply>) -> Self {
        Self::start(wire, move |index, _| {
            let none = || {
                Reply::Status(400, "", "{\"error\":{\"message\":\"one request too many\"}}".into())
            };
            replies.get(index).cloned().unwrap_or_else(none)
        })
    }

    /// Waits until so many requests have come.
    pub(crate) fn wait_for_requests(&self, count: usize) {
        self.shared.wait(&format!("{count} requests"), |seen| seen.asked.len() >= count);
    }

    /// Waits until a client has hung up in the middle of an answer.
    pub(crate) fn wait_for_hang_up(&self) {
        self.shared.wait("a client to hang up", |seen| seen.hung_up > 0);
    }

    /// Lets held replies go.
    pub(crate) fn release(&self) {
        self.shared.note(|seen| seen.released = true);
    }

    /// The requests so far, none of which had anything wrong with it.
    #[track_caller]
    pub(crate) fn requests(&self) -> Vec<Asked> {
        let seen = self.shared.seen();
        assert!(seen.wrong.is_empty(), "requests with faults: {:#?}", seen.wrong);
        seen.asked.clone()
    }
}

/// Serves one connection, request by request.
fn serve(shared: &Shared, stream: TcpStream) {
    stream.set_nodelay(true).expect("sets an option");
    let mut reader = BufReader::new(stream.try_clone().expect("clones"));
    let mut stream = stream;
    while let Some(asked) = read_request(&mut reader) {
        if asked.head.starts_with("GET ") {
            // What a server says of its models: this one says nothing.
            if !answer(shared, &mut stream, Reply::Status(404, "", "{}".into()), (0, 0)) {
                return;
            }
            continue;
        }
        let mut wrong = Vec::new();
        match shared.wire {
            Wire::OpenAi => check_openai(&asked, &mut wrong),
            Wire::Anthropic => check_anthropic(&asked, &mut wrong),
        }
        let index = shared.seen().asked.len();
        let reply = (shared.answers)(index, &asked);
        shared.note(|seen| {
            seen.wrong.extend(wrong.into_iter().map(|what| format!("request {index}: {what}")));
            seen.asked.push(asked);
        });
        if !answer(shared, &mut stream, reply, (USAGE.0, 0)) {
            return;
        }
    }
}

/// Writes a reply that says it used so many input tokens, some of them cached; whether the connection
/// is good for another request.
fn answer(shared: &Shared, stream: &mut TcpStream, reply: Reply, used: (u64, u64)) -> bool {
    match reply {
        Reply::Say(text) => write_stream(stream, &events(shared.wire, &text, &[], used)),
        Reply::Call(wishes) => write_stream(stream, &events(shared.wire, "", &wishes, used)),
        Reply::Used { input, cached, reply } => answer(shared, stream, *reply, (input, cached)),
        Reply::Status(status, headers, body) => {
            let head = format!(
                "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all((head + &body).as_bytes()).is_ok()
        }
        Reply::Raw(bytes) => {
            // Whoever reads it may have had enough.
            drop(stream.write_all(bytes.as_bytes()));
            false
        }
        Reply::Stall => {
            let begun = events(shared.wire, "a beginning of an answer", &[], used);
            let begun: String = begun.split_inclusive("\n\n").take(3).collect();
            drop(stream.write_all((STREAM_HEAD.to_owned() + &chunk(begun.as_bytes())).as_bytes()));
            // Nothing more is to be read: a client that hangs up ends this.
            let read = stream.read(&mut [0; 1]);
            if matches!(read, Ok(0) | Err(_)) {
                shared.note(|seen| seen.hung_up += 1);
            }
            false
        }
        Reply::Held(reply) => {
            shared.wait("the test to release a reply", |seen| seen.released);
            answer(shared, stream, *reply, used)
        }
    }
}

/// The head of an answer that is a stream.
pub(crate) const STREAM_HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

fn chunk(piece: &[u8]) -> String {
    format!("{:x}\r\n{}\r\n", piece.len(), String::from_utf8_lossy(piece))
}

/// Writes events in chunks that end where they like, as the network does.
fn write_stream(stream: &mut TcpStream, events: &str) -> bool {
    let mut bytes = STREAM_HEAD.as_bytes().to_vec();
    for piece in events.as_bytes().chunks(61) {
        bytes.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        bytes.extend_from_slice(piece);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    stream.write_all(&bytes).is_ok()
}

/// The text in pieces, as a model speaks.
fn pieces(text: &str) -> Vec<String> {
    text.chars().collect::<Vec<_>>().chunks(7).map(|piece| piece.iter().collect()).collect()
}

fn events(wire: Wire, text: &str, wishes: &[Wish], used: (u64, u64)) -> String {
    match wire {
        Wire::OpenAi => openai_events(text, wishes, used),
        Wire::Anthropic => anthropic_events(text, wishes, used),
    }
}

fn openai_events(text: &str, wishes: &[Wish], (input, cached): (u64, u64)) -> String {
    let event = |delta: Value, finish: Option<&str>| {
        let chunk = json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        });
        format!("data: {chunk}\n\n")
    };
    let mut all = event(json!({"role": "assistant", "content": ""}), None);
    for piece in pieces(text) {
        all += &event(json!({"content": piece}), None);
    }
    for (index, (id, name, arguments)) in wishes.iter().enumerate() {
        let begin = json!({"index": index, "id": id, "type": "function",
            "function": {"name": name, "arguments": ""}});
        all += &event(json!({"tool_calls": [begin]}), None);
        for piece in pieces(arguments) {
            let more = json!({"index": index, "function": {"arguments": piece}});
            all += &event(json!({"tool_calls": [more]}), None);
        }
    }
    all += &event(json!({}), Some(if wishes.is_empty() { "stop" } else { "tool_calls" }));
    let usage = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "model": MODEL, "choices": [],
        "usage": {"prompt_tokens": input, "completion_tokens": USAGE.1, "total_tokens": input + USAGE.1,
            "prompt_tokens_details": {"cached_tokens": cached}},
    });
    all + &format!("data: {usage}\n\ndata: [DONE]\n\n")
}

fn anthropic_events(text: &str, wishes: &[Wish], (input, cached): (u64, u64)) -> String {
    let event = |data: Value| {
        format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default())
    };
    let mut all = event(json!({"type": "message_start", "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": MODEL, "content": [],
        "stop_reason": null, "usage": {"input_tokens": input - cached, "cache_read_input_tokens": cached, "output_tokens": 1},
    }}));
    let mut index = 0;
    if !text.is_empty() {
        all += &event(json!({"type": "content_block_start", "index": 0,
            "content_block": {"type": "text", "text": ""}}));
        for piece in pieces(text) {
            all += &event(json!({"type": "content_block_delta", "index": 0,
                "delta": {"type": "text_delta", "text": piece}}));
        }
        all += &event(json!({"type": "content_block_stop", "index": 0}));
        index = 1;
    }
    for (id, name, arguments) in wishes {
        all += &event(json!({"type": "content_block_start", "index": index,
            "content_block": {"type": "tool_use", "id": id, "name": name, "input": {}}}));
        for piece in pieces(arguments) {
            all += &event(json!({"type": "content_block_delta", "index": index,
                "delta": {"type": "input_json_delta", "partial_json": piece}}));
        }
        all += &event(json!({"type": "content_block_stop", "index": index}));
        index += 1;
    }
    let reason = if wishes.is_empty() { "end_turn" } else { "tool_use" };
    all += &event(
        json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null},
        "usage": {"output_tokens": USAGE.1}}),
    );
    all + &event(json!({"type": "message_stop"}))
}

/// Reads a request; none when the client is done.
fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut head = String::new();
    if reader.read_line(&mut head).ok()? == 0 {
        return None;
    }
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Some(Asked { head: head.trim_end().to_owned(), headers, body })
}

/// Notes what is not as it must be.
fn demand(wrong: &mut Vec<String>, what: &str, got: Option<&str>, wanted: &str) {
    if got != Some(wanted) {
        wrong.push(format!("{what} is {got:?}, not {wanted:?}"));
    }
}

fn check_common(asked: &Asked, wrong: &mut Vec<String>) {
    let header = |name: &str| asked.headers.get(name).map(String::as_str);
    demand(wrong, "content-type", header("content-type"), "application/json");
    demand(wrong, "accept", header("accept"), "text/event-stream");
    demand(wrong, "model", asked.body["model"].as_str(), MODEL);
    if asked.body["stream"] != true {
        wrong.push("the answer is not wanted as a stream".to_owned());
    }
    // A summary is short.
    let first = asked.messages().first().and_then(|one| one["content"].as_str());
    let is_summary = first.is_some_and(|text| text.starts_with("You make summaries"));
    // What the kernel tells a model beside the conversation is taken off its answer.
    let last = asked.messages().last().and_then(|one| one["content"].as_str());
    let is_told = last.is_some_and(|text| text.starts_with("[kernel]"));
    let notice = if is_told { aosk::abi::limits::NOTICE_TOKENS.0 } else { 0 };
    if asked.body["max_tokens"] != 4096 - notice && !is_summary {
        wrong.push(format!("max_tokens is {}", asked.body["max_tokens"]));
    }
    let tools = asked.tools();
    if tools.len() != tools.iter().collect::<BTreeSet<_>>().len() {
        wrong.push(format!("a tool is offered twice: {tools:?}"));
    }
}

fn check_keys(asked: &Asked, wrong: &mut Vec<String>, known: &[&str]) {
    let keys = asked.body.as_object().map(|object| object.keys().cloned().collect::<Vec<_>>());
    for key in keys.unwrap_or_default() {
        if !known.contains(&key.as_str()) {
            wrong.push(format!("the field {key} is not known"));
        }
    }
}

fn check_schema(wrong: &mut Vec<String>, name: &str, schema: &Value) {
    if schema["type"] != "object" || !schema["properties"].is_object() {
        wrong.push(format!("the schema of {name} is not one of an object: {schema}"));
    }
}

/// The rules of chat completions, as strictly as the strictest server takes them.
fn check_openai(asked: &Asked, wrong: &mut Vec<String>) {
    demand(wrong, "request line", Some(&asked.head), "POST /v1/chat/completions HTTP/1.1");
    let key = asked.headers.get("authorization").map(String::as_str);
    demand(wrong, "authorization", key, &format!("Bearer {KEY}"));
    check_common(asked, wrong);
    check_keys(
        asked,
        wrong,
        &["model", "messages", "max_tokens", "tools", "stream", "stream_options"],
    );
    if asked.body["stream_options"] != json!({"include_usage": true}) {
        wrong.push(format!("stream_options is {}", asked.body["stream_options"]));
    }
    for tool in asked.body["tools"].as_array().into_iter().flatten() {
        demand(wrong, "a tool's type", tool["type"].as_str(), "function");
        let function = &tool["function"];
        check_schema(wrong, &function["name"].to_string(), &function["parameters"]);
    }
    let messages = asked.messages();
    if messages.first().is_none_or(|message| message["role"] != "system") {
        wrong.push("the conversation does not begin with the instructions".to_owned());
    }
    let mut open: Vec<&Value> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        if message["role"] == "tool" {
            let found = open.iter().position(|id| **id == message["tool_call_id"]);
            match found {
                Some(found) => drop(open.remove(found)),
                None => wrong.push(format!("message {at} answers no call")),
            }
            continue;
        }
        if !open.is_empty() {
            wrong.push(format!("before message {at} calls have no result: {open:?}"));
        }
        let calls = message["tool_calls"].as_array().map(Vec::as_slice).unwrap_or_default();
        open = calls.iter().map(|call| &call["id"]).collect();
        for call in calls {
            let arguments = call["function"]["arguments"].as_str().unwrap_or_default();
            if serde_json::from_str::<Value>(arguments).is_err() {
                wrong.push(format!("message {at}: arguments are not JSON: {arguments:?}"));
            }
        }
        if message["content"].is_null() && calls.is_empty() {
            wrong.push(format!("message {at} says nothing"));
        }
    }
    if !open.is_empty() {
        wrong.push(format!("calls have no result: {open:?}"));
    }
}

/// The rules of Messages.
fn check_anthropic(asked: &Asked, wrong: &mut Vec<String>) {
    demand(wrong, "request line", Some(&asked.head), "POST /v1/messages HTTP/1.1");
    demand(wrong, "x-api-key", asked.headers.get("x-api-key").map(String::as_str), KEY);
    let version = asked.headers.get("anthropic-version").map(String::as_str);
    demand(wrong, "anthropic-version", version, "2026-10-21");
    check_common(asked, wrong);
    check_keys(asked, wrong, &["model", "messages", "max_tokens", "tools", "stream", "system"]);
    if asked.body["system"][0]["text"].as_str().is_none_or(str::is_empty) {
        wrong.push(format!("system is {}", asked.body["system"]));
    }
    for tool in asked.body["tools"].as_array().into_iter().flatten() {
        check_schema(wrong, &tool["name"].to_string(), &tool["input_schema"]);
    }
    let mut open: Vec<&Value> = Vec::new();
    for (at, message) in asked.messages().iter().enumerate() {
        let expected = if at % 2 == 0 { "user" } else { "assistant" };
        demand(wrong, &format!("the role of message {at}"), message["role"].as_str(), expected);
        let blocks = message["content"].as_array().map(Vec::as_slice).unwrap_or_default();
        let ids = |kind: &str, key: &str| -> Vec<&Value> {
            blocks.iter().filter(|block| block["type"] == kind).map(|block| &block[key]).collect()
        };
        let answered = ids("tool_result", "tool_use_id");
        if answered != open {
            wrong.push(format!("message {at} answers {answered:?}, not {open:?}"));
        }
        open = ids("tool_use", "id");
    }
    if !open.is_empty() {
        wrong.push(format!("calls have no result: {open:?}"));
    }
}

//! The bytes that providers get of long sessions: as far as the kernel holds messages to be unchanged,
//! each request begins with the very bytes of the one before, in every wire format and under every
//! policy. The sessions are made of a seed: calls and results of all sizes, in several scripts, with
//! pages that are asked for again.

use std::sync::{Arc, Mutex};

use aosk_runtime::abi::{
    Body, CallId, Message, PageId, Pid, ThinkOptions, Timestamp, Tokens, ToolSpec, ToolUse,
};
use aosk_runtime::kernel::memory::{NeedTable, Prefer, Replacement, Residency, replacement, rules};
use aosk_runtime::model::{CacheHints, Driver, OnRates, Request, Tokenizer, Wishes, resolve};
use aosk_runtime::rehearsal::{Conditions, Decision, Question, Rehearsal};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Calls of a session.
const CALLS: usize = 60;

/// What a request of a session may take.
const WINDOW: Tokens = Tokens(6_000);

/// A model of each wire format, and one whose turns are marked nowhere.
const MODELS: [&str; 5] =
    ["openai:m", "anthropic:m", "openai-responses:m", "gemini:gemini-3-pro", "minimax:m"];

/// Numbers that depend on a seed alone.
struct Rng(u64);

impl Rng {
    fn below(&mut self, end: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    /// A text; `long` ones have several pages now and then.
    fn text(&mut self, long: bool) -> String {
        let words = [
            "plain words of a line\n",
            "“quoted” \\ and \t\u{7}odd\n",
            "{\"key\": [1, 2.5, null]}\n",
            "第三页的航班从北京到上海。",
            "🦀 crab, naïve façade\n",
            "src/main.rs:17: error\n",
        ];
        let word = words[usize::try_from(self.below(6)).unwrap()];
        let most = if long && self.below(8) == 0 { 400 } else { 30 };
        format!(
            "{} {}",
            self.below(1_000_000),
            word.repeat(usize::try_from(self.below(most)).unwrap())
        )
    }
}

/// Takes requests, keeps their bytes and refuses them.
async fn listen() -> (String, Arc<Mutex<String>>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let (last, mut server) = (Arc::<Mutex<String>>::default(), JoinSet::new());
    let taken = Arc::clone(&last);
    server.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let body = read(&mut stream).await;
            *taken.lock().unwrap() = body;
            let answer = "HTTP/1.1 400 No\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (base_url, last, server)
}

async fn read(stream: &mut TcpStream) -> String {
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_ascii_lowercase();
            let (_, length) = length.split_once("content-length: ").unwrap_or(("", "0"));
            let length: usize = length.lines().next().unwrap().trim().parse().unwrap();
            if body.len() >= length {
                return body.to_owned();
            }
        }
        let count = stream.read(&mut buffer).await.unwrap();
        assert!(count > 0, "a request breaks off");
        bytes.extend_from_slice(&buffer[..count]);
    }
}

/// A model, and the bytes of its last request.
struct Wire {
    name: &'static str,
    driver: Arc<dyn Driver>,
    last: Arc<Mutex<String>>,
    // It ends with the test.
    _server: JoinSet<()>,
}

impl Wire {
    async fn new(name: &'static str) -> Self {
        let (base_url, last, server) = listen().await;
        let env = |name: &str| name.ends_with("_API_KEY").then(|| "k".to_owned());
        let resolved = resolve(Some(name), Some(&base_url), &env).await.unwrap();
        Self { name, driver: resolved.driver, last, _server: server }
    }

    /// The bytes of a request for these messages, without the marks of the cache, which are no part of
    /// what is cached.
    async fn bytes(&self, messages: &[Body], breakpoints: &[usize]) -> String {
        let breakpoints = breakpoints.iter().copied().filter(|at| *at < messages.len());
        let options = ThinkOptions {
            model: self.name.to_owned(),
            output_max: Tokens(100),
            tools: vec!["read".to_owned()],
            temperature_milli: None,
            window: None,
        };
        let tool = ToolSpec {
            name: "read".to_owned(),
            description: "Reads.".to_owned(),
            parameters: json!({"type": "object", "properties": {}}),
        };
        let request = Request {
            call: CallId { pid: Pid(1), number: 1 },
            attempt: 1,
            process: "p".to_owned(),
            label: String::new(),
            options: Arc::new(options),
            messages: messages.to_vec(),
            begun: None,
            tools: [tool].into(),
            wishes: Arc::new(Wishes::default()),
            cache: CacheHints { breakpoints: breakpoints.collect(), ..CacheHints::default() },
            answers: 0,
            on_rates: OnRates::default(),
        };
        self.driver.complete(request, None).await.unwrap_err();
        let bytes = std::mem::take(&mut *self.last.lock().unwrap());
        assert!(bytes.contains("Reads."), "{}: {bytes}", self.name);
        bytes.replace(r#","cache_control":{"type":"ephemeral"}"#, "")
    }

    /// The bytes up to the end of these messages.
    async fn prefix(&self, messages: &[Body]) -> String {
        let whole = self.bytes(messages, &[]).await;
        // Where something else may follow, of whatever kind, the messages end.
        let mut end = whole.len();
        let returned = Message::returned("next", "read", "NEXT");
        for next in [Message::assistant("NEXT"), Message::user("NEXT"), returned] {
            let longer = self.bytes(&[messages, &[Body::new(next)]].concat(), &[]).await;
            let both = whole.bytes().zip(longer.bytes());
            end = end.min(both.take_while(|(one, other)| one == other).count());
        }
        whole[..end].to_owned()
    }
}

/// A session under a policy: what is asked at each call.
struct Session {
    rng: Rng,
    rehearsal: Rehearsal,
    cuts: usize,
}

impl Session {
    fn new(seed: u64, policy: &'static dyn Replacement) -> Self {
        let conditions = Conditions {
            window: WINDOW,
            count: Tokenizer::ESTIMATE,
            cache: rules("anthropic5m").unwrap(),
            replacement: policy,
            prefer: Prefer::Cost,
            needs: NeedTable::seeded(),
            tools: Tokens(40),
        };
        let system = Message::system("You are asked things.");
        let mut rehearsal = Rehearsal::new(&conditions, Some(system)).unwrap();
        rehearsal.append(Message::user("Find the error in src/main.rs."));
        Self { rng: Rng(seed), rehearsal, cuts: 0 }
    }

    /// The next question.
    fn ask(&mut self, call: usize) -> Question {
        let now = Timestamp(u64::try_from(call).unwrap() * 20_000);
        let told = self.rehearsal.tell(now).unwrap();
        let Decision::Asked { window, left } = self.rehearsal.decide(told).unwrap() else {
            panic!("call {call} is refused");
        };
        self.cuts += usize::from(!left.is_empty());
        self.rehearsal.question(&window).unwrap()
    }

    /// The model answers, and what it asks for is done.
    fn answer(&mut self, call: usize) {
        let input = Tokens(4_000);
        let evicted = self.evicted();
        if !evicted.is_empty() && self.rng.below(5) == 0 {
            let count = self.rng.below(3) + 1;
            let mut pages: Vec<PageId> = (0..count)
                .map(|_| evicted[usize::try_from(self.rng.below(evicted.len() as u64)).unwrap()])
                .collect();
            pages.sort_unstable();
            pages.dedup();
            return self.rehearsal.recall(&pages, input).unwrap();
        }
        let id = |at: u64| format!("call-{call}-{at}");
        let calls = self.rng.below(4);
        let tool_calls = (0..calls).map(|at| {
            let arguments = json!({ "path": self.rng.text(/*long*/ false) }).to_string();
            ToolUse { id: id(at), name: "read".into(), arguments }
        });
        let tool_calls = tool_calls.collect();
        let content = Some(aosk_runtime::abi::Content::Text(self.rng.text(/*long*/ false)));
        let answer = Message::Assistant { content, reasoning: None, tool_calls };
        self.rehearsal.answer(answer, input).unwrap();
        // Results come in any order.
        for at in (0..calls).rev() {
            self.rehearsal.append(Message::returned(id(at), "read", self.rng.text(/*long*/ true)));
        }
        if calls == 0 || self.rng.below(4) == 0 {
            let text = self.rng.text(/*long*/ true);
            self.rehearsal.append(Message::user(text));
        }
    }

    fn evicted(&self) -> Vec<PageId> {
        let space = self.rehearsal.memory().unwrap().space();
        let is_away = |residency| matches!(residency, Residency::Stub | Residency::Evicted);
        let away = space.pages().filter(|(_, page)| is_away(page.residency));
        away.map(|(id, _)| id).collect()
    }
}

#[tokio::test]
async fn what_is_unchanged_is_the_same_bytes_in_every_format() {
    let mut wires = Vec::new();
    for name in MODELS {
        wires.push(Wire::new(name).await);
    }
    for (seed, policy) in ["priced", "fifo-batch", "lru", "sliding", "summarise"].iter().enumerate()
    {
        let mut session = Session::new(seed as u64 + 7, replacement(policy).unwrap());
        let mut before: Vec<String> = vec![String::new(); wires.len()];
        let (mut asked, mut changed) = (0, 0);
        for call in 0..CALLS {
            let question = session.ask(call);
            let messages: Vec<Body> =
                question.messages.iter().map(|one| one.body.clone()).collect();
            let marked = question.messages.iter().enumerate().filter(|(_, one)| one.breakpoint);
            let breakpoints: Vec<usize> = marked.map(|(at, _)| at).collect();
            let unchanged = &messages[..question.unchanged];
            changed += usize::from(question.unchanged < asked);
            for (wire, before) in wires.iter().zip(&mut before) {
                let now = wire.bytes(&messages, &breakpoints).await;
                if question.unchanged > 0 {
                    let prefix = wire.prefix(unchanged).await;
                    let case = format!("{policy}, {}, call {call}", wire.name);
                    assert!(now.starts_with(&prefix), "{case}: {prefix}\nnow {now}");
                    assert!(before.starts_with(&prefix), "{case}: {prefix}\nbefore {before}");
                }
                *before = now;
            }
            asked = messages.len();
            session.answer(call);
        }
        let cuts = session.cuts;
        assert!(cuts >= 5 && changed > 0 && changed <= cuts, "{policy}: {cuts} cuts, {changed}");
    }
}

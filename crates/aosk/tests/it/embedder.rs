//! The program with an embedder on loopback: what is found by meaning, and what becomes of a search that
//! was under way when the program was killed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::machine::Machine;
use crate::model_server::{KEY, ModelServer, Reply, Wire};

/// An embedder that knows one topic.
struct Embedder {
    base_url: String,
    /// The texts that it was sent.
    texts: Arc<(Mutex<Vec<String>>, Condvar)>,
}

impl Embedder {
    /// One that leaves texts with this word unanswered.
    fn start(stalls_at: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let base_url = format!("http://{}/v1", listener.local_addr().expect("has an address"));
        let texts = Arc::<(Mutex<Vec<String>>, Condvar)>::default();
        let seen = texts.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let seen = seen.clone();
                std::thread::spawn(move || serve(connection, &seen, stalls_at));
            }
        });
        Self { base_url, texts }
    }

    fn texts(&self) -> Vec<String> {
        self.texts.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until it was sent this text.
    fn wait_for(&self, text: &str) {
        let (texts, changed) = (&self.texts.0, &self.texts.1);
        let texts = texts.lock().unwrap_or_else(PoisonError::into_inner);
        let lacks = |texts: &mut Vec<String>| !texts.iter().any(|one| one == text);
        drop(changed.wait_while(texts, lacks).unwrap_or_else(PoisonError::into_inner));
    }
}

/// Answers the requests of one connection.
fn serve(
    connection: TcpStream,
    seen: &(Mutex<Vec<String>>, Condvar),
    stalls_at: Option<&'static str>,
) {
    let mut writer = connection.try_clone().expect("a second handle");
    let mut reader = BufReader::new(connection);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
                length = value.trim().parse().expect("a length");
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let asked: Value = serde_json::from_slice(&body).expect("JSON");
        let texts: Vec<&str> =
            asked["input"].as_array().expect("texts").iter().filter_map(Value::as_str).collect();
        let new = texts.iter().map(|text| (*text).to_owned());
        seen.0.lock().unwrap_or_else(PoisonError::into_inner).extend(new);
        seen.1.notify_all();
        if stalls_at.is_some_and(|word| texts.iter().any(|text| text.contains(word))) {
            // Until the other side hangs up.
            drop(reader.read(&mut [0; 1]));
            return;
        }
        let data: Vec<Value> =
            texts.iter().map(|text| json!({ "embedding": vector(text) })).collect();
        let body = json!({ "data": data }).to_string();
        let head = format!("content-type: application/json\r\ncontent-length: {}", body.len());
        if write!(writer, "HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}").is_err() {
            return;
        }
    }
}

/// Near each other for all that is about one thing.
fn vector(text: &str) -> [f32; 3] {
    let is_of_it = ["blorp", "zweeb"].iter().any(|word| text.contains(word));
    if is_of_it { [1.0, 0.0, 0.1] } else { [0.0, 1.0, 0.1] }
}

/// A conversation with a question that shares no word with what answers it.
fn asked() -> String {
    let texts = ["Rain fell on Monday.", "", "The blorp slept there.", "Shares rose again."];
    let turns: Vec<Value> = (1..)
        .zip(texts)
        .map(|(at, text)| json!({"id": format!("D1:{at}"), "session": at, "text": text}))
        .collect();
    let question = json!({"question": "zweeb?", "evidence": ["D1:3"], "category": 1});
    json!({"id": "1", "turns": turns, "questions": [question]}).to_string()
}

#[test]
fn recall_is_counted_with_vectors_too() {
    let (machine, embedder) = (Machine::new(), Embedder::start(None));
    let file = machine.write("asked.jsonl", asked());
    let url = embedder.base_url.as_str();
    let with = ["--embedder", "llamacpp:mini", "--embedder-url", url];
    let words = machine.aosk(&["bench", "recall", &file, "--json"]).expect(0).json();
    assert!(words["embedder"].is_null() && words["embed_ms_p50"].is_null(), "{words}");
    assert_eq!(words["recall_at_1"], 0.0, "{words}");
    let args = [&["bench", "recall", &file, "--json"][..], &with].concat();
    let vectors = machine.aosk(&args).expect(0).json();
    assert_eq!(
        (&vectors["embedder"], &vectors["recall_at_1"]),
        (&"llamacpp:mini".into(), &1.0.into())
    );
    assert!(vectors["embed_ms_p50"].as_f64().expect("a figure") > 0.0, "{vectors}");
    assert_eq!(embedder.texts().len(), 4, "three turns that say something, and a question");
    let table = machine.aosk(&[&["bench", "recall", &file][..], &with].concat()).expect(0);
    assert!(table.stdout.contains("embedder llamacpp:mini"), "{table:#?}");
    let nobody = ["--embedder", "llamacpp", "--embedder-url", "http://127.0.0.1:1/v1"];
    let ran = machine.aosk(&[&["bench", "recall", &file][..], &nobody].concat()).expect(3);
    ran.error("model.unreachable");
    let nameless = ["bench", "recall", &file, "--embedder-url", url];
    machine.aosk(&nameless).expect(2).error("config.invalid");
}

#[test]
fn doctor_tells_of_the_embedder() {
    let (machine, embedder) = (Machine::new(), Embedder::start(None));
    let check = |config: &str| -> Value {
        let json = machine.aosk(&["doctor", "--json", "--config", config]).expect(0).json();
        let checks = json["checks"].as_array().expect("checks").clone();
        checks.into_iter().find(|check| check["check"] == "embedder").expect("it is told")
    };
    let none = machine.write("none.yaml", "");
    assert_eq!(check(&none)["verdict"], "absent");
    let config = |url: &str| format!("embedder: llamacpp:mini\nembedder_url: {url}\n");
    let good = machine.write("good.yaml", config(&embedder.base_url));
    assert_eq!(check(&good)["found"], "llamacpp:mini: vectors of 3 numbers");
    let bad = machine.write("bad.yaml", config("http://127.0.0.1:1/v1"));
    let told = check(&bad);
    assert_eq!(told["verdict"], "warn", "{told}");
    assert!(told["found"].as_str().expect("text").starts_with("model.unreachable: "), "{told}");
}

/// The search is made again, as it only reads, and the agent gets to its end.
#[test]
fn a_search_is_made_again_after_kill_9() {
    let machine = Machine::new();
    let stalled = Embedder::start(Some("zweeb"));
    let models = ModelServer::start(Wire::OpenAi, |_, asked| {
        let last = asked.messages().last().expect("a message");
        if last["role"] == "tool" {
            return Reply::say(last["content"].as_str().unwrap_or_default());
        }
        Reply::call("c", "search_memory", &json!({"query": "remembered zweeb"}))
    });
    let run = |args: &[&str], embedder: &Embedder| {
        let with = ["--embedder", "llamacpp", "--embedder-url", &embedder.base_url];
        let mut command = machine.command(&[&["run"], args, &with[..]].concat());
        command.env("OPENAI_API_KEY", KEY);
        crate::machine::Running::start(command)
    };
    let model = ["--model", "openai:test-model", "--base-url", &models.base_url];
    let task = "the blorp is to be remembered";
    let running = run(&[&[task], &model[..]].concat(), &stalled);
    stalled.wait_for("remembered zweeb");
    running.kill();
    let embedder = Embedder::start(None);
    let ran = run(&["--resume"], &embedder).finish().expect(0);
    embedder.wait_for("remembered zweeb");
    assert!(ran.stdout.contains("the blorp is to be remembered"), "{ran:#?}");
    assert_eq!(models.requests().len(), 2, "the model was not asked again");
    machine.aosk(&["audit", "verify"]).expect(0);
}

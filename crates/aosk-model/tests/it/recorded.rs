//! One conversation with each provider, byte for byte: what is sent and what comes of the answer, for a
//! chat, a stream with a tool call, and an error.
//!
//! The recordings were written from what the providers document and from their official clients, each
//! with its source; nothing was asked of a hosted provider. They hold no key, which is checked too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use aosk_abi::{Failure, FinishReason, Message, ModelReply, Usage};
use aosk_model::{Driver, provider, resolve};
use regex::Regex;
use serde::Deserialize;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::server::{ask_streaming, calculator, read_request, request};

const KEY: &str = "a-key-of-the-test-0123456789";

/// What stands for the key in a recording.
const PLACE_OF_KEY: &str = "[key]";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recording {
    provider: String,
    model: String,
    source: String,
    exchanges: Vec<Exchange>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exchange {
    name: String,
    stream: bool,
    tools: bool,
    ask: Vec<Message>,
    request: Asked,
    response: Answered,
    comes: Comes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    path: String,
    headers: BTreeMap<String, String>,
    body: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answered {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Comes {
    Reply { message: Message, usage: Usage, finish: FinishReason },
    Failure { class: String, code: String, retry_after: Option<u64>, says: String },
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/recordings")
}

/// The recordings with their texts, by provider.
fn all() -> BTreeMap<String, (String, Recording)> {
    let files = std::fs::read_dir(folder()).expect("a folder");
    files
        .map(|file| {
            let path = file.expect("a file").path();
            let text = std::fs::read_to_string(&path).expect("reads");
            let recording: Recording = serde_json::from_str(&text)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert_eq!(path.file_stem(), Some(recording.provider.as_ref()), "{}", path.display());
            (recording.provider.clone(), (text, recording))
        })
        .collect()
}

#[test]
fn every_provider_has_a_recording() {
    let recorded: Vec<String> = all().into_keys().collect();
    let mut known: Vec<_> = provider::PROVIDERS.iter().map(|one| one.name.to_owned()).collect();
    known.sort();
    assert_eq!(recorded, known);
    for (name, (_, recording)) in all() {
        let names: Vec<_> = recording.exchanges.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["chat", "a stream with a tool call", "an error"], "{name}");
        assert!(!recording.source.is_empty(), "{name}");
    }
}

#[tokio::test]
async fn every_conversation_is_had_again() {
    for (name, (_, recording)) in all() {
        for exchange in &recording.exchanges {
            had(&name, &recording.model, exchange).await;
        }
    }
}

async fn had(provider: &str, model: &str, exchange: &Exchange) {
    let what = format!("{provider}, {}", exchange.name);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let base_url = format!("http://{}", listener.local_addr().expect("has an address"));
    let client = async {
        let env = |name: &str| name.ends_with("_API_KEY").then(|| KEY.to_owned());
        let spec = format!("{provider}:{model}");
        let resolved = resolve(Some(&spec), Some(&base_url), &env).await.expect("resolves");
        said(&*resolved.driver, exchange).await
    };
    let mut client = std::pin::pin!(client);
    let asked = tokio::select! {
        biased;
        asked = served(&listener, exchange) => asked,
        came = &mut client => panic!("{what}: it asked elsewhere, and what came is {came:?}"),
    };
    let came = client.await;
    let (head, body) = asked.split_once("\r\n\r\n").expect("head and body");
    let line = format!("POST {} HTTP/1.1", exchange.request.path);
    assert_eq!(head.lines().next(), Some(line.as_str()), "{what}");
    for (name, value) in &exchange.request.headers {
        let header = format!("{name}: {}", value.replace(PLACE_OF_KEY, KEY));
        assert!(head.lines().any(|line| line == header), "{what}: no {header} in\n{head}");
    }
    let body: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(body, exchange.request.body, "{what}");
    match (came, &exchange.comes) {
        (Ok(reply), Comes::Reply { message, usage, finish }) => {
            assert_eq!(reply.body.message().as_ref(), message, "{what}");
            assert_eq!((reply.usage, reply.finish), (*usage, *finish), "{what}");
        }
        (Err(failure), Comes::Failure { class, code, retry_after, says }) => {
            let told = serde_json::to_value(failure.class).expect("JSON");
            assert_eq!((told.as_str(), failure.code.as_str()), (Some(&**class), &**code), "{what}");
            assert_eq!(failure.retry_after.map(|wait| wait.0), *retry_after, "{what}");
            assert!(failure.message.contains(says), "{what}: {}", failure.message);
            assert!(!failure.message.contains(KEY), "{what}: {}", failure.message);
        }
        (came, comes) => panic!("{what}: {comes:?} was recorded, and what came is {came:?}"),
    }
}

/// What the driver makes of the exchange.
async fn said(driver: &dyn Driver, exchange: &Exchange) -> Result<ModelReply, Failure> {
    let tools = if exchange.tools { vec![calculator()] } else { vec![] };
    let asked = request(exchange.ask.clone(), tools);
    if exchange.stream {
        ask_streaming(driver, asked).await.0
    } else {
        driver.complete(asked, None).await
    }
}

/// Answers one question as recorded, and gives the question. What is asked before, of the server itself,
/// it does not know.
async fn served(listener: &TcpListener, exchange: &Exchange) -> String {
    let (line, answer) = (format!("POST {} ", exchange.request.path), &exchange.response);
    loop {
        let (mut stream, _) = listener.accept().await.expect("accepts");
        let asked = read_request(&mut stream).await;
        if !asked.starts_with(&line) {
            let none = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(none).await.expect("writes");
            continue;
        }
        let mut head = format!("HTTP/1.1 {} Status\r\n", answer.status);
        for (name, value) in &answer.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += &format!("content-length: {}\r\n\r\n", answer.body.len());
        stream.write_all(head.as_bytes()).await.expect("writes");
        stream.write_all(answer.body.as_bytes()).await.expect("writes");
        return asked;
    }
}

/// What looks like a secret in a text: keys as vendors make them, long words with figures in them, and
/// headers or addresses that say who asked.
fn secrets(text: &str) -> Vec<String> {
    let patterns = [
        r"\b(sk|rk|pk|gsk|xai|ghp|hf|AIza|AKIA)[-_A-Za-z0-9]{12,}",
        r"(?i)bearer +[^\[\s]\S+",
        r#"(?i)"(x-api-key|x-goog-api-key|api-key|authorization)" *: *"[^"\[]*""#,
        r"(?i)(set-cookie|openai-organization|openai-project|anthropic-organization-id)",
        r"[\w.+-]+@[\w-]+\.\w+",
        r"https?://[^/\s]*:[^/\s]*@",
    ];
    let mut found: Vec<String> = patterns
        .iter()
        .flat_map(|pattern| {
            let pattern = Regex::new(pattern).expect("a pattern");
            pattern.find_iter(text).map(|found| found.as_str().to_owned()).collect::<Vec<_>>()
        })
        .filter(|found| found.to_lowercase() != r#""authorization": "bearer "#)
        .collect();
    let words = Regex::new(r"[A-Za-z0-9_+/=-]{24,}").expect("a pattern");
    let is_dense = |word: &str| word.bytes().filter(u8::is_ascii_digit).count() >= 4;
    found
        .extend(words.find_iter(text).map(|word| word.as_str().to_owned()).filter(|w| is_dense(w)));
    found
}

#[test]
fn no_recording_has_a_secret_in_it() {
    for (name, (text, _)) in all() {
        assert_eq!(secrets(&text), Vec::<String>::new(), "{name}");
    }
    // The check finds what it looks for.
    for planted in [
        r#""authorization": "Bearer abc""#,
        r#""x-api-key": "abc""#,
        "sk-proj-abcdefghijklmnop",
        "AIzaSyAbcdefghijklm",
        "Kf83jd02Lsm48fjW0qpZ7xTb",
        "somebody@example.com",
        "https://user:pass@host/v1",
        "Set-Cookie: __cf_bm",
    ] {
        assert!(!secrets(planted).is_empty(), "{planted}");
    }
}

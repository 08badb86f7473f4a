//! The embeddings driver on the wire.

use aosk_abi::{ErrorCode, Failure, FailureClass, Millis};
use aosk_model::embedder::{Embedder, TEXT_BYTES_MAX, TEXTS_MAX, start_of};
use aosk_model::endpoint::{Bounds, Endpoint, KeyHeader};
use aosk_model::{Embeddings, embeddings, resolve};
use secrecy::SecretString;

use crate::server::{Act, Server, json};

const KEY: &str = "sk-very-secret-0123456789";

fn embedder(base_url: &str) -> Embeddings {
    let key = Some((KeyHeader::Bearer, SecretString::from(KEY)));
    let bounds = Bounds::default();
    let endpoint =
        Endpoint::new("test:e", base_url, embeddings::PATH, key, bounds).expect("an address");
    Embeddings::new(endpoint, "e")
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// What comes of two texts when the server answers this.
async fn answered(status: u16, body: &str) -> Result<Vec<Vec<f32>>, Failure> {
    let server = Server::json(status, body).await;
    embedder(&server.base_url).embed(&texts(&["one", "two"])).await
}

#[tokio::test]
async fn texts_go_out_and_vectors_come_in_their_order() {
    let body = r#"{"object":"list","data":[{"index":1,"embedding":[0.5,-1]},{"index":0,"embedding":[1e-3,2]}],"usage":{"prompt_tokens":2}}"#;
    let server = Server::json(200, body).await;
    let vectors = embedder(&server.base_url).embed(&texts(&["one", "日本"])).await;
    assert_eq!(vectors.expect("answers"), [vec![1e-3, 2.0], vec![0.5, -1.0]]);
    let request = server.request().await;
    let (head, body) = request.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with("POST /embeddings HTTP/1.1\r\n"), "{head}");
    assert!(head.to_lowercase().contains(&format!("authorization: bearer {KEY}")), "{head}");
    assert_eq!(body, r#"{"model":"e","input":["one","日本"]}"#);
}

/// Gemini speaks this format under a path of its own.
#[tokio::test]
async fn gemini_embeds_under_another_path() {
    let server = Server::json(200, r#"{"data":[{"embedding":[1]}]}"#).await;
    let env = |name: &str| (name == "GEMINI_API_KEY").then(|| KEY.to_owned());
    let url = format!("{}/v1beta/", server.base_url);
    let embedder = resolve::embedder("gemini:gemini-embedding-001", Some(&url), &env);
    let embedder = embedder.expect("resolves");
    assert_eq!(embedder.embed(&texts(&["one"])).await.expect("answers"), [[1.0]]);
    let request = server.request().await;
    assert!(request.starts_with("POST /v1beta/openai/embeddings HTTP/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("authorization: Bearer {KEY}\r\n")), "{request}");
    assert!(request.ends_with(r#"{"model":"gemini-embedding-001","input":["one"]}"#), "{request}");
}

#[tokio::test]
async fn vectors_without_numbers_are_of_the_texts_in_order() {
    let vectors = answered(200, r#"{"data":[{"embedding":[1]},{"embedding":[2]}]}"#).await;
    assert_eq!(vectors.expect("answers"), [[1.0], [2.0]]);
}

#[tokio::test]
async fn what_is_no_answer_is_refused() {
    let final_ = FailureClass::Final;
    for (body, class, told) in [
        (r#"{"data":[{"index":0,"embedding":[1]}]}"#, final_, "1 vectors for 2 texts"),
        (
            r#"{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[2]}]}"#,
            final_,
            "two vectors for text 0",
        ),
        (
            r#"{"data":[{"index":0,"embedding":[1]},{"index":7,"embedding":[2]}]}"#,
            final_,
            "a vector for text 7 of 2",
        ),
        (r#"{"data":[{"embedding":[1,2]},{"embedding":[1]}]}"#, final_, "others have 2"),
        (r#"{"data":[{"embedding":[]},{"embedding":[]}]}"#, final_, "0 numbers"),
        (r#"{"data":[{"embedding":[1]},{"embedding":[1e39]}]}"#, final_, "number"),
        (r#"{"data":[{"embedding":"AACAPw=="},{"embedding":"AA"}]}"#, final_, "invalid type"),
        (r#"{"results":[]}"#, final_, "missing field `data`"),
        ("<html>404</html>", final_, "an HTML page"),
        (r#"{"data":[{"embedding":[1"#, FailureClass::Transient, "EOF"),
    ] {
        let failure = answered(200, body).await.expect_err("no answer");
        assert_eq!((failure.class, failure.code), (class, ErrorCode::ModelMalformed), "{body}");
        assert!(failure.message.contains(told), "{told}: {}", failure.message);
    }
    let long = format!("[{}1]", "1,".repeat(9_000));
    let body = format!(r#"{{"data":[{{"embedding":{long}}},{{"embedding":{long}}}]}}"#);
    let failure = answered(200, &body).await.expect_err("longer than any vector");
    assert!(failure.message.contains("9001 numbers"), "{}", failure.message);
}

/// A vector of another length than those before it would be compared with them in vain.
#[tokio::test]
async fn all_vectors_are_of_one_length() {
    let one = |body: &str| json(200, "connection: close\r\n", body);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let base_url = format!("http://{}", listener.local_addr().expect("has an address"));
    let answers = [
        one(r#"{"data":[{"embedding":[1,2]}]}"#),
        one(r#"{"data":[{"embedding":[1,2,3]}]}"#),
        one(r#"{"data":[{"embedding":[3,4]}]}"#),
    ];
    let serve = async {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.expect("accepts");
            crate::server::read_request(&mut stream).await;
            tokio::io::AsyncWriteExt::write_all(&mut stream, &answer).await.expect("writes");
        }
    };
    let embedder = embedder(&base_url);
    let ask = async {
        let hello = texts(&["hello"]);
        assert_eq!(embedder.embed(&hello).await.expect("two numbers"), [[1.0, 2.0]]);
        let failure = embedder.embed(&hello).await.expect_err("three");
        assert!(failure.message.contains("3 numbers and others have 2"), "{}", failure.message);
        assert_eq!(embedder.embed(&hello).await.expect("two again"), [[3.0, 4.0]]);
    };
    tokio::join!(serve, ask);
}

#[tokio::test]
async fn refusals_say_whether_to_ask_again_and_tell_no_key() {
    let said = |said: &str| format!(r#"{{"error":{{"message":"{said}","type":"server_error"}}}}"#);
    let too_large = said("input (3001 tokens) is too large to process. increase the batch size");
    let key = said(&format!("no such key: {KEY}"));
    for (status, body, class, code) in [
        (500, &too_large, FailureClass::Final, ErrorCode::ModelContextLength),
        (401, &key, FailureClass::Final, ErrorCode::ModelUnauthorized),
        (503, &said("busy"), FailureClass::Transient, ErrorCode::ModelServer),
        (429, &said("slower"), FailureClass::RateLimited, ErrorCode::ModelRateLimited),
        // Too late for a status of its own.
        (200, &said("it broke"), FailureClass::Transient, ErrorCode::ModelServer),
    ] {
        let failure = answered(status, body).await.expect_err("refuses");
        assert_eq!((failure.class, failure.code), (class, code), "{}", failure.message);
        assert!(!failure.message.contains(KEY), "{}", failure.message);
    }
    let server = Server::answer(json(429, "retry-after: 7\r\n", &said("slower"))).await;
    let failure = embedder(&server.base_url).embed(&texts(&["x"])).await.expect_err("refuses");
    assert_eq!(failure.retry_after, Some(Millis::from_secs(7)));
}

#[tokio::test]
async fn what_is_too_much_is_not_sent() {
    // Nobody listens there.
    let embedder = embedder("http://127.0.0.1:1");
    assert_eq!(embedder.embed(&[]).await.expect("nothing to ask"), Vec::<Vec<f32>>::new());
    let many = vec!["x".to_owned(); TEXTS_MAX + 1];
    let long = vec!["日".repeat(TEXT_BYTES_MAX / 3 + 1)];
    for texts in [&many, &long] {
        let failure = embedder.embed(texts).await.expect_err("too much");
        assert_eq!(failure.code, ErrorCode::ModelBadRequest, "{}", failure.message);
    }
    let cut = vec![start_of(&long[0]).to_owned()];
    assert!(cut[0].len() > TEXT_BYTES_MAX - 3 && cut[0].ends_with('日'));
    let failure = embedder.embed(&cut).await.expect_err("nobody listens");
    assert_eq!(failure.code, ErrorCode::ModelUnreachable, "{}", failure.message);
}

/// Whoever waits bounds the wait, and the connection is closed when nobody waits any more.
#[tokio::test]
async fn a_call_that_is_given_up_hangs_up() {
    let (tell, told) = tokio::sync::oneshot::channel();
    let server = Server::start(vec![Act::Tell(tell), Act::AwaitHangUp]).await;
    let embedder = embedder(&server.base_url);
    let asked = texts(&["x"]);
    tokio::select! {
        answer = embedder.embed(&asked) => panic!("nothing was answered: {answer:?}"),
        told = told => told.expect("it is asked"),
    }
    assert!(server.request().await.contains(r#""input":["x"]"#));
}

#[test]
fn embedders_are_found_as_models_are() {
    let nothing = |_: &str| None;
    let key = |name: &str| (name == "OPENAI_API_KEY").then(|| KEY.to_owned());
    let name = |spec: &str, url: Option<&str>, env: resolve::Env<'_>| {
        resolve::embedder(spec, url, env)
            .map(|embedder| embedder.name().to_owned())
            .map_err(|error| error.code)
    };
    let own = Some("http://127.0.0.1:9/v1");
    let small = "openai:text-embedding-3-small";
    assert_eq!(name(small, None, &key), Ok(small.to_owned()));
    assert_eq!(name(small, None, &nothing), Err(ErrorCode::ModelKeyMissing));
    assert_eq!(name(small, own, &nothing), Ok(small.to_owned()), "a server of one's own");
    assert_eq!(name("llama.cpp", None, &nothing), Ok("llamacpp:default".to_owned()));
    for unknown in ["openai", "ollama", "anthropic:x", "minimax:x", "scripted", "nobody:x", ""] {
        assert_eq!(name(unknown, None, &key), Err(ErrorCode::ModelUnknown), "{unknown}");
        assert!(resolve::check_embedder(unknown).is_err(), "{unknown}");
    }
    let told = name(small, Some("ftp://x"), &key);
    assert_eq!(told, Err(ErrorCode::ConfigInvalid));
}

//! Choosing a model from what is named and from the environment.

use aosk_abi::{ErrorCode, Message, Price};
use aosk_model::{How, Resolved, resolve};

use crate::server::{Server, json, request};

/// An address where nobody listens, so that no test meets an Ollama of the machine it runs on.
fn nowhere() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    listener.local_addr().expect("has an address").to_string()
}

async fn with(
    spec: Option<&str>,
    base_url: Option<&str>,
    variables: &[(&str, &str)],
) -> Result<Resolved, aosk_abi::Error> {
    let nowhere = nowhere();
    let env = |name: &str| {
        let known = variables.iter().find(|(known, _)| *known == name);
        let value = known.map(|(_, value)| value.to_string());
        value.or_else(|| (name == "OLLAMA_HOST").then(|| nowhere.clone()))
    };
    resolve(spec, base_url, &env).await
}

#[tokio::test]
async fn with_nothing_there_is_the_scripted_model() {
    let resolved = with(None, None, &[]).await.expect("resolves");
    assert_eq!((resolved.device.as_str(), resolved.how), ("scripted", How::ScriptedDefault));
    let asked = request(vec![Message::user("Count the stars")], vec![]);
    let reply = resolved.driver.complete(asked, None).await.expect("answers");
    let text = reply.body.message().text();
    assert!(text.contains("No model provider is configured"), "{text}");
    assert!(text.contains("Count the stars") && text.contains("OPENAI_API_KEY"), "{text}");
}

#[tokio::test]
async fn the_first_key_of_the_list_decides() {
    let keys =
        [("OPENAI_API_KEY", "sk-b"), ("DEEPSEEK_API_KEY", "sk-c"), ("ANTHROPIC_API_KEY", " ")];
    let resolved = with(None, None, &keys).await.expect("resolves");
    assert_eq!(resolved.device, "openai:gpt-5.4-mini");
    assert_eq!(resolved.how, How::FromEnvironment("OPENAI_API_KEY"));
    assert!(resolved.price.is_some_and(|price| price != Price::default()));
    assert!(resolved.context.is_some());
    assert!(!format!("{resolved:?}").contains("sk-"));
}

#[tokio::test]
async fn a_key_may_have_two_names_and_the_first_wins() {
    for (keys, variable, sent) in [
        (&[("GEMINI_API_KEY", "g2-secret")][..], "GEMINI_API_KEY", "g2-secret"),
        (
            &[("GEMINI_API_KEY", "g2-secret"), ("GOOGLE_API_KEY", "g1-secret")],
            "GOOGLE_API_KEY",
            "g1-secret",
        ),
    ] {
        let resolved = with(None, None, keys).await.expect("resolves");
        assert_eq!(resolved.device, "gemini:gemini-3.8-flash");
        assert_eq!(resolved.how, How::FromEnvironment(variable));
        assert!(resolved.price.is_some() && resolved.cache == "gemini");
        let answers = Server::json(200, "{}").await;
        let there = with(Some("google:gemini-3.8-flash"), Some(&answers.base_url), keys).await;
        let driver = there.expect("resolves").driver;
        driver.complete(request(vec![Message::user("a")], vec![]), None).await.expect_err("empty");
        let asked = answers.request().await;
        let line = "POST /v1beta/models/gemini-3.8-flash:generateContent HTTP/1.1\r\n";
        assert!(asked.starts_with(line), "{asked}");
        assert!(asked.contains(&format!("x-goog-api-key: {sent}\r\n")), "{asked}");
    }
}

#[tokio::test]
async fn an_ollama_is_found_by_asking_it() {
    let models = r#"{"object":"list","data":[{"id":"nomic-embed-text:latest"},{"id":"qwen3:8b"}]}"#;
    let server = Server::answer(json(200, "", models)).await;
    let host = server.base_url.trim_start_matches("http://").to_owned();
    let resolved = with(None, None, &[("OLLAMA_HOST", &host)]).await.expect("resolves");
    assert_eq!((resolved.device.as_str(), resolved.how), ("ollama:qwen3:8b", How::LocalOllama));
    assert_eq!(resolved.price, Some(Price::default()));
    assert!(server.request().await.starts_with("GET /v1/models HTTP/1.1\r\n"));
}

#[tokio::test]
async fn what_is_named_is_taken() {
    let resolved = with(Some("ollama:qwen3:8b"), None, &[]).await.expect("resolves");
    assert_eq!((resolved.device.as_str(), resolved.how), ("ollama:qwen3:8b", How::Chosen));
    let key = [("MOONSHOT_API_KEY", "k")];
    let resolved = with(Some("Kimi"), None, &key).await.expect("resolves");
    assert_eq!(resolved.device, "moonshot:kimi-k2.6");
    let resolved = with(Some("openai:anything"), Some("http://127.0.0.1:9/v1"), &[]).await;
    let resolved = resolved.expect("another address needs no key");
    assert_eq!((resolved.device.as_str(), resolved.price), ("openai:anything", None));
    let resolved = with(Some("scripted"), None, &key).await.expect("resolves");
    assert_eq!(resolved.how, How::Chosen);
}

#[tokio::test]
async fn what_cannot_be_had_is_told_with_a_way_out() {
    let cases: [(&str, Option<&str>, ErrorCode, &str); 8] = [
        ("gemini", None, ErrorCode::ModelKeyMissing, "set GOOGLE_API_KEY or GEMINI_API_KEY"),
        ("opnai:gpt-5.4-mini", None, ErrorCode::ModelUnknown, "did you mean openai?"),
        ("gpt-5.4-mini", None, ErrorCode::ModelUnknown, "write openai:gpt-5.4-mini"),
        (
            "xyzzy:m",
            None,
            ErrorCode::ModelUnknown,
            "anthropic, openai, openai-responses, gemini, deepseek",
        ),
        ("openai:", None, ErrorCode::ModelUnknown, "openai alone"),
        ("openai:m", None, ErrorCode::ModelKeyMissing, "set OPENAI_API_KEY"),
        ("openai:m", Some("ftp://x/"), ErrorCode::ConfigInvalid, "http://127.0.0.1:8000/v1"),
        ("ollama", None, ErrorCode::ModelUnreachable, "ollama:MODEL"),
    ];
    for (spec, base_url, code, hint) in cases {
        let error = with(Some(spec), base_url, &[]).await.expect_err(spec);
        assert_eq!(error.code, code, "{spec}: {error}");
        assert!(error.hint.contains(hint), "{spec}: {}", error.hint);
    }
}

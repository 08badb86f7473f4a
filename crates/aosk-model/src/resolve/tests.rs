//! Tests of `resolve`.

use super::wiring::is_newer_openai;
use super::*;
use crate::provider::Wire;

#[test]
fn ollama_host_is_understood_as_ollama_does() {
    let cases = [
        ("127.0.0.1:11500", "http://127.0.0.1:11500/v1"),
        ("box", "http://box:11434/v1"),
        ("0.0.0.0", "http://127.0.0.1:11434/v1"),
        ("http://box:1/", "http://box:1/v1"),
        ("https://ollama.example", "https://ollama.example/v1"),
    ];
    for (host, url) in cases {
        assert_eq!(ollama_url(host), url);
    }
}

#[test]
fn only_the_first_colon_parts_provider_and_model() {
    let parsed = |spec| match parse(spec) {
        Ok(Named::Provider(provider, model)) => Ok((provider.name, model)),
        Ok(Named::Scripted(file)) => Ok(("scripted", file)),
        Err(error) => Err(error.code),
    };
    assert_eq!(parsed("ollama:qwen3:8b"), Ok(("ollama", Some("qwen3:8b"))));
    assert_eq!(parsed("Claude"), Ok(("anthropic", None)));
    assert_eq!(parsed("scripted"), Ok(("scripted", None)));
    assert_eq!(parsed("scripted:/a:b.json"), Ok(("scripted", Some("/a:b.json"))));
    assert_eq!(parsed("ollama: "), Err(ErrorCode::ModelUnknown));
    assert_eq!(parsed("scripted:"), Err(ErrorCode::ModelUnknown));
}

#[test]
fn an_address_with_a_password_is_refused_and_not_repeated() {
    for url in [
        "http://u:SECRETPW@host/v1",
        "https://SECRETPW@host/v1",
        "http://:SECRETPW@host/v1",
        "u:SECRETPW@host/v1",
        "http://u:SECRETPW@host:port/v1",
    ] {
        let error = check_base_url(url, "--base-url").expect_err("refused");
        assert_eq!(error.code, ErrorCode::ConfigInvalid, "{url}");
        assert!(!format!("{error:?}").contains("SECRETPW"), "{error:?}");
    }
    assert_eq!(check_base_url(" https://host:8/v1?version=1 ", "--base-url"), Ok(()));
}

#[tokio::test]
async fn what_the_environment_says_of_an_address_is_checked_too() {
    let resolved = |variable: &'static str, model: Option<&'static str>| async move {
        let env =
            |name: &str| (name == variable).then(|| "http://u:SECRETPW@127.0.0.1:1".to_owned());
        resolve(model, None, &env).await.map(|resolved| resolved.device)
    };
    for (variable, model) in [
        ("OPENAI_BASE_URL", Some("openai:x")),
        ("ANTHROPIC_BASE_URL", Some("anthropic:x")),
        ("OLLAMA_HOST", Some("ollama:x")),
        ("OLLAMA_HOST", None),
    ] {
        let error = resolved(variable, model).await.expect_err("refused");
        assert_eq!(error.code, ErrorCode::ConfigInvalid, "{variable}");
        assert!(error.message.contains(variable), "{error:?}");
        assert!(!format!("{error:?}").contains("SECRETPW"), "{error:?}");
    }
}

/// What takes tools only in one format is asked in that one, where it is known to be there.
#[test]
fn the_format_is_the_models_where_it_wants_one() {
    let wire = |name: &str, model: &str, is_own: bool| {
        let provider = provider::find(name).expect("known");
        let catalogue = Catalogue::default();
        wiring::wire(provider, catalogue.find(provider.models_of(), model), is_own)
    };
    assert_eq!(wire("openai", "gpt-6.1-sol", false), Wire::Responses);
    assert!(matches!(wire("openai", "gpt-6.1-sol", true), Wire::OpenAi { .. }));
    assert!(matches!(wire("openai", "gpt-5.4-mini", false), Wire::OpenAi { .. }));
    assert_eq!(wire("openai-responses", "gpt-5.4-mini", true), Wire::Responses);
}

/// A model may be asked for by a name that newer OpenAI models have, at any address.
#[test]
fn newer_models_are_told_by_name() {
    assert!(is_newer_openai("gpt-5.4-mini") && is_newer_openai("o3-mini"));
    assert!(!is_newer_openai("gpt-4o") && !is_newer_openai("olmo"));
}

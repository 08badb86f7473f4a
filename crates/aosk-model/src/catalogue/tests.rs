//! Tests of `catalogue`.

use aosk_abi::MicroUsd;

use super::*;

const OWN: &str = r#"{"models": [
    {"provider": "openai", "id": "gpt-5.4-mini", "input": 1, "output": 2},
    {"provider": "openai", "id": "tiny", "aliases": ["gpt-5.4-nano"], "input": 1, "output": 2},
    {"provider": "vllm", "id": "house-7b", "aliases": ["house"], "context": 32768,
     "capabilities": ["tools"], "input": 30000, "output": 60000, "as_of": "2026-11-01"}
]}"#;

fn wrong(text: &str) -> Error {
    let error = Catalogue::with(text, "my/models.json").expect_err(text);
    assert_eq!(error.code, ErrorCode::ConfigInvalid);
    assert!(error.message.starts_with("reading my/models.json: "), "{error}");
    assert!(!error.hint.is_empty(), "{error}");
    error
}

#[test]
fn versions_are_found_under_their_model() {
    let catalogue = Catalogue::default();
    let id = |provider, model| catalogue.find(provider, model).map(|model| model.id.as_str());
    assert_eq!(id("anthropic", "claude-haiku-4-5"), Some("claude-haiku-4-5"));
    assert_eq!(id("anthropic", "claude-haiku-4-5-20251001"), Some("claude-haiku-4-5"));
    assert_eq!(id("anthropic", "claude-haiku-4-5-latest"), Some("claude-haiku-4-5"));
    assert_eq!(id("openai", "gpt-5.4-mini-2026-03-17"), Some("gpt-5.4-mini"));
    assert_eq!(id("deepseek", "deepseek-v4-flash"), Some("deepseek-flash"));
    assert_eq!(id("mistral", "mistral-medium-latest"), Some("mistral-medium-2604"));
    assert_eq!(id("openai", "gpt-5.4-mini-turbo"), None);
    assert_eq!(id("openai", "claude-haiku-4-5"), None);
    assert_eq!(id("openai", "12345678"), None);
    assert_eq!(id("openai", ""), None);
}

#[test]
fn what_a_person_says_stands_in_front() {
    let catalogue = Catalogue::with(OWN, "my/models.json").expect("understood");
    let mini = catalogue.find("openai", "gpt-5.4-mini-2026-03-17").expect("known");
    assert_eq!(mini.price().usual.output, MicroUsd(2));
    // As a whole: what it does not say is not known.
    assert_eq!((mini.context, mini.source.as_str()), (None, "my/models.json"));
    let house = catalogue.find("vllm", "house").expect("known");
    assert_eq!(house.price().usual.input, MicroUsd(30_000));
    // So does another name for what is known.
    let nano = catalogue.find("openai", "gpt-5.4-nano").expect("known");
    assert_eq!(nano.id, "tiny");
    let count = price::models().len();
    assert_eq!(catalogue.models().count(), count + 2);
    assert_eq!(Catalogue::default().models().count(), count);
}

#[test]
fn what_cannot_be_is_told_with_its_place() {
    let model = |fields: &str| format!("{{\"models\": [{{{fields}}}]}}");
    let known = r#""provider": "openai", "id": "m", "input": 1, "output": 2"#;
    let hours = |span: &str| {
        format!("{known}, \"off_peak\": {{\"outside\": [\"{span}\"], \"input\": 1, \"output\": 2}}")
    };
    assert!(Catalogue::with(&model(&hours("sat-sun 22:30-24:00")), "it").is_ok());
    let cases = [
        ("{\n  \"models\": [\n    {\"provider\": 7}]}".to_owned(), "at line 3 column 18"),
        ("[".to_owned(), "EOF"),
        ("{}".to_owned(), "missing field `models`"),
        (model(r#""provider": "openai", "id": "m", "input": 1"#), "missing field `output`"),
        (model(&format!("{known}, \"colour\": 1")), "unknown field `colour`"),
        (model(&format!("{known}, \"capabilities\": [\"sing\"]")), "unknown variant `sing`"),
        (model(&known.replace("openai", "opnai")), "no provider is called \"opnai\""),
        (model(&known.replace("openai", "openai-responses")), "no provider is called"),
        (model(&known.replace("\"m\"", "\" \"")), "it has no id"),
        (model(&format!("{known}, \"context\": 0")), "openai:m: context is 0"),
        (model(&format!("{known}, \"as_of\": \"May\"")), "as_of is \"May\" and must be a date"),
        (model(&format!("{known}, \"quality\": \"best\"")), "unknown variant `best`"),
        (model(&hours("mon-fri 1:00-04:00")), "is no span of hours; write, for example"),
        (model(&hours("fri-mon 01:00-04:00")), "is no span of hours"),
        (model(&hours("mon 04:00-01:00")), "is no span of hours"),
        (model(&hours("mon 01:15-04:00")), "is no span of hours"),
        (model(&hours("mon 23:00-24:30")), "is no span of hours"),
        (model(&hours("always")), "is no span of hours"),
        (
            model(&format!("{}, \"cache_write_long_lived\": 3", hours("mon 01:00-04:00"))),
            "off_peak stands beside cache_write_long_lived",
        ),
        (format!("{{\"models\": [{{{known}}}, {{{known}}}]}}"), "openai:m stands twice"),
    ];
    for (text, what) in cases {
        let error = wrong(&text);
        assert!(error.message.contains(what), "{error}");
    }
    assert!(wrong(&model(&known.replace("openai", "opnai"))).hint.contains("did you mean openai?"));
}

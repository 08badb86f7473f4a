//! Tests of the list of models.

use super::super::tree;
use super::*;

fn read_all(text: &str) -> Read<(Vec<Listed>, BTreeMap<String, Device>)> {
    let said = tree::parse(text, &|_| None).expect("parsed");
    let root = Section::root(&said).expect("a mapping");
    let mut devices = device::all(&root.section("devices").expect("a mapping"))?;
    let listed = all(&root.section("llms").expect("a mapping"), &mut devices)?;
    Ok((listed, devices))
}

#[test]
fn each_model_is_a_device() {
    let text = "llms:\n  models:\n  - {name: gemini-3.8-flash, backend: google}\n  \
        - name: qwen3:8b\n    provider: ollama\n    hostname: http://box:8091/\n    slots: 2\n  \
        - {name: m, provider: vllm, backend: vllm, base_url: 'http://box:1/x'}\n";
    let (listed, devices) = read_all(text).expect("read");
    let specs: Vec<_> = listed.iter().map(|model| (&*model.name, &*model.spec)).collect();
    assert_eq!(
        specs,
        [
            ("gemini-3.8-flash", "gemini:gemini-3.8-flash"),
            ("qwen3:8b", "ollama:qwen3:8b"),
            ("m", "vllm:m"),
        ]
    );
    assert_eq!(listed[1].origin, Origin::Line(4));
    let expected = Device {
        base_url: Some("http://box:8091/v1".to_owned()),
        slots: Some(2),
        ..Device::default()
    };
    assert_eq!(devices["ollama:qwen3:8b"], expected);
    assert_eq!(devices["vllm:m"].base_url.as_deref(), Some("http://box:1/x"));
    assert_eq!(devices["gemini:gemini-3.8-flash"], Device::default());
}

#[test]
fn mistakes_are_told() {
    for (text, line, part) in [
        ("llms: {models: {a: b}}", 1, "must be a list"),
        ("llms:\n  models:\n  - {provider: openai}", 3, "llms.models.0.name is missing"),
        ("llms:\n  models:\n  - {name: x}", 3, "llms.models.0.provider is missing"),
        ("llms:\n  models:\n  - {name: x, backend: sglang}", 3, "no provider is called sglang"),
        ("llms:\n  models:\n  - {name: x, backend: 'openai:x'}", 3, "must be a provider"),
        ("llms:\n  models:\n  - {name: x, backend: openai, provider: groq}", 3, "not the same"),
        (
            "llms:\n  models:\n  - {name: x, backend: openai, slots: 0}",
            3,
            "models.0.slots is \"0\"",
        ),
        ("llms:\n  models:\n  - {name: x, backend: openai, hostname: box}", 3, "hostname"),
        ("llms:\n  models:\n  - just a name", 3, "must be names or keys"),
        (
            "devices: {'openai:x': {slots: 1}}\nllms:\n  models:\n  - {name: x, backend: openai}",
            4,
            "names openai:x a second time",
        ),
    ] {
        let (origin, error) = read_all(text).expect_err("refused");
        assert_eq!(origin, Origin::Line(line), "{error:?}");
        assert!(error.message.contains(part) && !error.hint.is_empty(), "{part:?} in {error:?}");
    }
}

#[test]
fn nothing_is_an_empty_list() {
    for text in ["", "llms:", "llms: {models: }", "llms: {models: []}"] {
        assert_eq!(read_all(text).expect("read").0, []);
    }
}

//! Tests of keys.

use super::super::tree;
use super::*;

fn env(name: &str) -> Option<String> {
    (name == "MINE").then(|| "sk-env".to_owned())
}

fn read(text: &str, is_private: bool) -> Read<Keys> {
    all(&Section::root(&tree::parse(text, &env).expect("parsed")).expect("a mapping"), is_private)
}

fn none(_: &str) -> Option<String> {
    None
}

#[test]
fn a_key_stands_in_for_the_variable_of_its_provider() {
    let keys = read("openai: '${MINE}'\ngoogle: sk-file\ngroq: ''\nnovita: {a: ''}\n", true)
        .expect("read");
    assert_eq!(keys.in_place_of("OPENAI_API_KEY", &none).as_deref(), Some("sk-env"));
    assert_eq!(keys.in_place_of("GOOGLE_API_KEY", &none).as_deref(), Some("sk-file"));
    assert_eq!(keys.in_place_of("GROQ_API_KEY", &none), None);
    assert_eq!(keys.in_place_of("HOME", &none), None);
}

#[test]
fn the_environment_goes_before_the_file() {
    let keys = read("google: sk-file\n", true).expect("read");
    let set = |variable: &'static str, value: &'static str| {
        move |name: &str| (name == variable).then(|| value.to_owned())
    };
    let asked = |env: &dyn Fn(&str) -> Option<String>| keys.in_place_of("GOOGLE_API_KEY", env);
    assert_eq!(asked(&set("GOOGLE_API_KEY", "sk-env")).as_deref(), Some("sk-env"));
    assert_eq!(asked(&set("GOOGLE_API_KEY", " ")).as_deref(), Some("sk-file"));
    // Its other variable is looked at next, and found there.
    assert_eq!(asked(&set("GEMINI_API_KEY", "sk-env")), None);
}

#[test]
fn a_key_that_is_written_out_is_taken_from_a_private_file_alone() {
    for text in ["openai: sk-file", "openai: 'sk-file${MINE}'", "openai: '${NONE:-sk-file}'"] {
        let (origin, error) = read(text, false).expect_err("refused");
        assert_eq!(origin, Origin::Line(1));
        assert!(error.hint.contains("chmod 600") && error.hint.contains("${OPENAI_API_KEY}"));
        assert!(!format!("{error:?}").contains("sk-"), "{error:?}");
        assert!(read(text, true).is_ok(), "{text}");
    }
    assert!(read("openai: '${MINE}'", false).is_ok());
}

#[test]
fn mistakes_are_told_without_the_key() {
    for (text, part) in [
        ("opena: sk-file", "no provider is called opena"),
        ("openai: [sk-file]", "must be a text"),
        ("openai: 12345", "must be a text"),
        ("gemini: sk-file\ngoogle: sk-file", "second key for GOOGLE_API_KEY"),
    ] {
        let (_, error) = read(text, true).expect_err("refused");
        assert_eq!(error.code, ErrorCode::ConfigInvalid);
        assert!(error.message.contains(part) && !error.hint.is_empty(), "{error:?}");
        assert!(!format!("{error:?}").contains("sk-file"), "{error:?}");
        assert!(!format!("{error:?}").contains("12345"), "{error:?}");
    }
}

#[test]
fn nothing_prints_a_key() {
    let text = "api_keys: {openai: sk-file, groq: 'sk-file${MINE}', mistral: '${MINE}'}\n";
    let mut said = tree::parse(text, &env).expect("parsed");
    let root = Section::root(&said).expect("a mapping");
    let keys = all(&root.section("api_keys").expect("a mapping"), true).expect("read");
    assert_eq!(format!("{keys:?}"), r#"{"GROQ_API_KEY", "MISTRAL_API_KEY", "OPENAI_API_KEY"}"#);
    forget(&mut said);
    assert!(!format!("{said:?}").contains("sk-"), "{said:?}");
}

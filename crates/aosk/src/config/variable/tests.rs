//! Tests of variables.

use super::*;

fn env(name: &str) -> Option<String> {
    match name {
        "HOST" => Some("box".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

fn text(text: &str, written: Option<&str>, is_literal: bool) -> Text {
    Text { text: text.to_owned(), written: written.map(str::to_owned), is_literal }
}

#[test]
fn variables_are_replaced() {
    for (written, expected) in [
        ("plain", text("plain", None, true)),
        ("${HOST}", text("box", Some("${HOST}"), false)),
        ("${EMPTY}", text("", Some("${EMPTY}"), false)),
        ("${EMPTY:-x}", text("x", Some("${EMPTY:-x}"), true)),
        ("${NONE:-x:-y}", text("x:-y", Some("${NONE:-x:-y}"), true)),
        ("${NONE:-}", text("", Some("${NONE:-}"), false)),
        ("http://${HOST}/v1", text("http://box/v1", Some("http://${HOST}/v1"), true)),
        ("${HOST}${HOST}", text("boxbox", Some("${HOST}${HOST}"), false)),
        ("$${HOST} $1 $", text("${HOST} $1 $", None, true)),
        ("", text("", None, false)),
    ] {
        assert_eq!(replaced(written.to_owned(), &env), Ok(expected), "{written}");
    }
}

#[test]
fn what_is_no_variable_is_refused() {
    for (written, part) in [
        ("${NONE}", "NONE is not set"),
        ("${HOST", "no }"),
        ("${}", "${} names no variable"),
        ("${1A}", "names no variable"),
        ("${A-B}", "names no variable"),
        ("x ${HOST} ${NONE}", "NONE is not set"),
    ] {
        let error = replaced(written.to_owned(), &env).expect_err("refused");
        assert_eq!(error.code, ErrorCode::ConfigInvalid, "{written}");
        assert!(error.message.contains(part), "{error:?}");
        assert!(!error.message.contains("box") && !error.hint.is_empty(), "{error:?}");
    }
}

#[test]
fn names_are_each_once_and_say_whether_they_are_secret() {
    assert_eq!(names("$${A} ${B} ${C:-${D} ${B}"), ["B", "C", "D"]);
    assert!(stands_for_secret("x ${my_api_key:-}") && stands_for_secret("${DB_PASSWORD}"));
    assert!(!stands_for_secret("${HOST} key"));
}

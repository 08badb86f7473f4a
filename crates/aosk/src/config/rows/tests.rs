//! Tests of the rows.

use serde_json::json;

use super::super::{keys, tree};
use super::*;

fn env(name: &str) -> Option<String> {
    Some(format!("value-of-{name}"))
}

/// The value and the variables of a row.
fn shown(text: &str, name: &str) -> (Value, Vec<String>) {
    let rows = rows(&tree::parse(text, &env).expect("parsed"));
    let row = rows.into_iter().find(|row| row.name == name).expect("a row");
    (row.value, row.variables)
}

#[test]
fn what_may_be_secret_is_not_shown() {
    let (value, variables) = shown("base_url: 'https://${HOST}/?key=abc'", "base_url");
    assert_eq!(value, json!("https://value-of-HOST/?[redacted]"));
    assert_eq!(variables, ["HOST"]);
    let (value, _) = shown("base_url: 'https://h/${MY_TOKEN}'", "base_url");
    assert_eq!(value, json!("https://h/${MY_TOKEN}"));
    let (value, _) = shown("routes: {a: ['${MY_KEY}', scripted]}", "routes.a");
    assert_eq!(value, json!(["${MY_KEY}", "scripted"]));
}

#[test]
fn keys_at_the_top_are_all_there() {
    let rows = rows(&Item::nothing());
    let names: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
    let top = KEYS.iter().map(|key| key.path).filter(|path| !path.contains('.'));
    assert_eq!(names, top.collect::<Vec<_>>());
    let slots = rows.iter().find(|row| row.name == keys::SLOTS.path).expect("a row");
    assert_eq!((&slots.value, slots.otherwise.is_empty()), (&Value::Null, false));
}

#[test]
fn a_name_of_which_nothing_is_said_is_shown() {
    assert_eq!(shown("groups: {acme: {}}", "groups.acme").0, json!({}));
    assert_eq!(shown("groups: {acme: }", "groups.acme").0, Value::Null);
}

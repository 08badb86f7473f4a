//! Every setting in force, one row each, with nothing in it that is secret.

use serde_json::Value;

use super::keys::{KEYS, Key, Kind, Usual, is_free};
use super::route;
use super::tree::{Item, Node, Origin};
use super::variable::{names, stands_for_secret};

/// What stands in the place of a secret.
pub(super) const REDACTED: &str = "[redacted]";

/// A setting.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    /// The whole name of the key.
    pub(crate) name: String,
    /// What holds; nothing if only words say it.
    pub(crate) value: Value,
    /// What holds where nobody said anything and it is no value.
    pub(crate) otherwise: &'static str,
    /// Where it comes from.
    pub(crate) origin: Origin,
    /// The variables that stand in it.
    pub(crate) variables: Vec<String>,
}

/// The settings: keys at the top in the order of the table, then what was said below others.
pub(super) fn rows(said: &Item) -> Vec<Row> {
    let entries = match &said.node {
        Node::Map(entries) => entries.as_slice(),
        Node::Scalar(_) | Node::Text(_) | Node::List(_) => &[],
    };
    let under = |name: &str| entries.iter().find(|(known, _)| known.text == name);
    let mut rows = Vec::new();
    let mut seen = Vec::new();
    for key in KEYS {
        let first = key.path.split('.').next().unwrap_or_default();
        if seen.contains(&first) {
            continue;
        }
        seen.push(first);
        match under(first).map(|(_, item)| item).filter(|item| !item.is_nothing()) {
            Some(item) => below(item, &mut vec![first.to_owned()], &mut rows),
            None if first == key.path => rows.push(usual(key)),
            None => {}
        }
    }
    rows
}

/// The row of a key about which nobody said anything.
fn usual(key: &Key) -> Row {
    let (value, otherwise) = match key.usual {
        Usual::Value(text) => {
            (serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())), "")
        }
        Usual::Otherwise(words) => (Value::Null, words),
    };
    let (name, origin) = (key.path.to_owned(), Origin::Default);
    Row { name, value, otherwise, origin, variables: Vec::new() }
}

fn below(item: &Item, way: &mut Vec<String>, rows: &mut Vec<Row>) {
    let key = find(way).filter(|key| key.kind != Kind::Models || !route::has_rule(item));
    match (&item.node, key) {
        (Node::Map(entries), None) if !entries.is_empty() => {
            for (name, item) in entries {
                way.push(name.text.clone());
                below(item, way, rows);
                way.pop();
            }
        }
        (Node::List(items), None) => {
            for (at, item) in items.iter().enumerate() {
                way.push(at.to_string());
                below(item, way, rows);
                way.pop();
            }
        }
        (Node::Scalar(Value::Null), Some(_)) => {}
        (Node::Map(_) | Node::Scalar(_) | Node::Text(_) | Node::List(_), key) => {
            rows.push(row(item, key.map(|key| key.kind), way.join(".")));
        }
    }
}

fn row(item: &Item, kind: Option<Kind>, name: String) -> Row {
    let written = item.value(/*is_written*/ true);
    let hides = item.has_variables() && stands_for_secret(&written.to_string());
    let value = if hides {
        written.clone()
    } else {
        item.value(/*is_written*/ false)
    };
    let value = match (kind, value) {
        (Some(Kind::Secret), _) if item.value(/*is_written*/ false) == "" => Value::Null,
        (Some(Kind::Secret), _) => Value::String(REDACTED.to_owned()),
        (Some(Kind::Address), Value::String(url)) => Value::String(without_query(&url)),
        (Some(Kind::Plain), Value::String(text)) => plain(text),
        (_, value) => value,
    };
    let variables = if item.has_variables() { names(&written.to_string()) } else { Vec::new() };
    let otherwise = if value.is_null() { "nothing" } else { "" };
    Row { name, value, otherwise, origin: item.origin.clone(), variables }
}

/// A number or true and false, if the text is one: so it is read, too.
fn plain(text: String) -> Value {
    match serde_json::from_str::<Value>(&text) {
        Ok(value) if value.is_number() || value.is_boolean() => value,
        Ok(_) | Err(_) => Value::String(text),
    }
}

/// An address without what may be a key in it.
fn without_query(url: &str) -> String {
    match url.split_once('?') {
        Some((address, _)) => format!("{address}?{REDACTED}"),
        None => url.to_owned(),
    }
}

/// The key that these names lead to.
fn find(way: &[String]) -> Option<&'static Key> {
    KEYS.iter().copied().find(|key| {
        let mut parts = key.path.split('.');
        let leads = way
            .iter()
            .all(|part| parts.next().is_some_and(|known| is_free(known) || known == part));
        leads && parts.next().is_none()
    })
}

#[cfg(test)]
mod tests;

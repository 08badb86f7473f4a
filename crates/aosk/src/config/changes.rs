//! What one configuration says otherwise than another, and whether a daemon can put it in force while it
//! runs. Nothing of it is secret.

use std::collections::BTreeMap;

use aosk::abi::Change;
use serde_json::Value;

use super::{Row, Settings};

/// What only a restart puts in force: the pages of processes are made for it, or it is set up once.
const AT_START: [&str; 8] = [
    "default_model",
    "window",
    "replacement",
    "prefer",
    "summary_model",
    "embedder",
    "embedder_url",
    "otel",
];

/// What is said, by the whole names of keys.
pub(crate) type Said = BTreeMap<String, String>;

/// What settings say, but for keys that options of the command line go before.
pub(crate) fn said(settings: &Settings, given: &[&str]) -> Said {
    let rows = settings.rows().into_iter().filter(|row| !given.contains(&row.name.as_str()));
    rows.filter_map(|row| Some((row.name.clone(), text(&row)?))).collect()
}

/// What `after` says otherwise than `before`, in the order of names.
pub(crate) fn between(before: &Said, after: &Said) -> Vec<Change> {
    let gone = before.keys().filter(|key| !after.contains_key(*key));
    let mut names: Vec<&String> = after.keys().chain(gone).collect();
    names.sort_unstable();
    let change = |key: &String| {
        let (from, to) = (before.get(key).cloned(), after.get(key).cloned());
        (from != to).then(|| Change { key: key.clone(), from, to })
    };
    names.into_iter().filter_map(change).collect()
}

/// Whether only a restart puts it in force.
pub(crate) fn is_at_start(key: &str) -> bool {
    AT_START.contains(&key.split('.').next().unwrap_or_default())
}

/// The value of a row; none if it is none.
fn text(row: &Row) -> Option<String> {
    match &row.value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        value @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Some(value.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Written, load};
    use super::*;

    fn settings(text: &str) -> Settings {
        let file = Written { text: text.to_owned(), is_private: true };
        load(&file, Path::new("c.yaml"), &|_| None, &[]).expect("parsed")
    }

    #[test]
    fn changes_are_told_by_key_from_and_to() {
        let before = settings("policy: fair\ngroups:\n  acme:\n    calls: 5\n    usd: 2\n");
        let after = settings("policy: fifo\ngroups:\n  acme:\n    calls: 7\nslots: 3\n");
        let changes = between(&said(&before, &[]), &said(&after, &[]));
        let change = |key: &str, from: Option<&str>, to: Option<&str>| Change {
            key: key.to_owned(),
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
        };
        let expected = [
            change("groups.acme.calls", Some("5"), Some("7")),
            change("groups.acme.usd", Some("2"), None),
            change("policy", Some("fair"), Some("fifo")),
            change("slots", None, Some("3")),
        ];
        assert_eq!(changes, expected);
        let given =
            between(&said(&before, &["slots", "policy"]), &said(&after, &["slots", "policy"]));
        assert_eq!(given, expected[..2]);
        assert!(is_at_start("otel.endpoint") && is_at_start("window") && !is_at_start("slots"));
    }

    #[test]
    fn nothing_secret_is_told() {
        let before = settings("api_keys:\n  openai: sk-one\n");
        let after = settings(
            "api_keys:\n  openai: sk-two\n  groq: sk-three\n\
             otel:\n  headers:\n    api-key: abc\n",
        );
        let changes = between(&said(&before, &[]), &said(&after, &[]));
        let keys: Vec<_> = changes.iter().map(|change| change.key.as_str()).collect();
        assert_eq!(keys, ["api_keys.groq", "otel.headers.api-key"]);
        let told = format!("{changes:?}");
        assert!(!told.contains("sk-") && !told.contains("abc"), "{told}");
    }
}

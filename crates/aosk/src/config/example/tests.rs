//! Tests of the example.

use std::path::Path;

use super::super::{Settings, Written, load};
use super::*;
use crate::config::section::Read;

/// The example with every setting in it switched on.
fn switched_on() -> String {
    let text = text();
    let lines = text.lines().map(|line| line.strip_prefix("# ").unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

fn loaded(text: String) -> Read<Settings> {
    load(&Written { text, is_private: false }, Path::new("c.yaml"), &env, &[])
}

fn env(name: &str) -> Option<String> {
    name.ends_with("_API_KEY").then(|| "the key".to_owned())
}

#[test]
fn the_file_in_the_repository_is_what_is_printed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config.example.yaml");
    expect_test::expect_file![path].assert_eq(&text());
}

#[test]
fn as_it_is_it_says_nothing() {
    let settings = loaded(text()).expect("parsed");
    assert!(settings.said.is_nothing());
}

#[test]
fn with_everything_switched_on_every_key_is_read() {
    let settings = loaded(switched_on()).expect("parsed");
    let rows = settings.rows();
    for key in KEYS {
        let parts: Vec<_> = key.path.split('.').collect();
        let name: Vec<_> = (0..parts.len()).map(|at| stand_in(&parts, at)).collect();
        let name = name.join(".").replace(".N.", ".0.");
        let row = rows.iter().find(|row| row.name == name);
        assert!(row.is_some_and(|row| !row.value.is_null()), "{name} in {rows:#?}");
    }
    let names = [settings.config.devices.len(), settings.config.groups.len()];
    assert_eq!((names, settings.config.routes.len()), ([2, 1], 2));
}

/// No key is only in the table: a value that none can have is refused under each.
#[test]
fn every_key_is_checked() {
    for key in KEYS {
        let text = switched_on();
        let parts: Vec<_> = key.path.split('.').collect();
        let name = stand_in(&parts, parts.len() - 1);
        let (right, wrong) = (format!("{name}: {}", quoted(key.example)), format!("{name}: [[]]"));
        // Of those that are written alike each is tried in its turn.
        let at: Vec<_> = text.match_indices(&right).map(|(at, _)| at).collect();
        assert!(!at.is_empty(), "{right} in {text}");
        for at in at {
            let (before, after) = text.split_at(at);
            let broken = format!("{before}{}", after.replacen(&right, &wrong, 1));
            assert!(loaded(broken).is_err(), "{} at {at}", key.path);
        }
    }
}

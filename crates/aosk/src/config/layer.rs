//! What goes before the file: variables of the environment, and before these options of the command line.

use std::path::Path;

use aosk::tools::near_names;

use super::keys::{KEYS, Key};
use super::tree::{Item, Name, Node, Origin, Text};
use super::variable::Env;

/// A value that an option gives to a key.
pub(crate) type Given = (&'static Key, String);

/// What variables of this program stand for that is no key.
const OTHERS: [&str; 2] = ["data_dir", "config"];

/// Puts the variables that keys have in the place of what was said. An empty one says nothing.
pub(super) fn environment(said: &mut Item, env: Env<'_>) {
    for key in KEYS {
        let Some(variable) = key.variable() else { continue };
        if let Some(text) = env(&variable).filter(|text| !text.is_empty()) {
            put(said, key, text, Origin::Variable(variable));
        }
    }
}

/// Of these names of variables those that look like some of this program's and are none, each with those
/// that are near.
pub(crate) fn strange(set: impl Iterator<Item = String>) -> Vec<(String, Vec<String>)> {
    let keys = KEYS.iter().filter(|key| key.variable().is_some()).map(|key| key.path);
    let known: Vec<&str> = keys.chain(OTHERS).collect();
    let mut strange = Vec::new();
    for name in set {
        let Some(key) = name.strip_prefix("AOSK_").map(str::to_ascii_lowercase) else { continue };
        let near = near_names(&key, known.iter().copied());
        if !known.contains(&key.as_str()) && !near.is_empty() {
            let near = near.iter().map(|key| format!("AOSK_{}", key.to_ascii_uppercase()));
            strange.push((name, near.collect()));
        }
    }
    strange.sort();
    strange
}

/// Puts the options in the place of what was said.
pub(super) fn options(said: &mut Item, given: &[Given]) {
    for (key, text) in given {
        if let Some(flag) = key.flag {
            put(said, key, text.clone(), Origin::Flag(flag));
        }
    }
}

/// Puts a text in the place of what was said under a key at the top.
pub(super) fn put(said: &mut Item, key: &Key, text: String, origin: Origin) {
    let item = Item { node: Node::Text(Text { text, written: None, is_literal: true }), origin };
    if said.is_nothing() {
        said.node = Node::Map(Vec::new());
    }
    let Node::Map(entries) = &mut said.node else { return };
    match entries.iter_mut().find(|(name, _)| name.text == key.path) {
        Some((_, there)) => *there = item,
        None => entries.push((Name { text: key.path.to_owned(), line: 0 }, item)),
    }
}

impl Origin {
    /// As a person reads it; `path` is where the file is.
    pub(crate) fn shown(&self, path: &Path) -> String {
        match self {
            Self::Default => "default".to_owned(),
            Self::Line(line) => format!("{}:{line}", path.display()),
            Self::Variable(name) => name.clone(),
            Self::Flag(flag) => (*flag).to_owned(),
        }
    }
}

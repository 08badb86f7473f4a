//! Keys that the table does not have, found before anything is read.

use aosk::abi::{Error, ErrorCode};
use aosk::tools::near_names;

use super::keys::{KEYS, Kind, is_free};
use super::section::Read;
use super::tree::{Item, Name, Node, Origin};

/// Checks that the table has every key.
pub(super) fn check(root: &Item) -> Read<()> {
    below(root, &mut Vec::new())
}

fn below<'a>(item: &'a Item, way: &mut Vec<&'a str>) -> Read<()> {
    match &item.node {
        Node::Scalar(_) | Node::Text(_) => Ok(()),
        Node::List(items) => items.iter().try_for_each(|item| step(item, "0", way)),
        Node::Map(entries) => entries.iter().try_for_each(|(name, item)| {
            known(name, way)?;
            step(item, &name.text, way)
        }),
    }
}

fn step<'a>(item: &'a Item, part: &'a str, way: &mut Vec<&'a str>) -> Read<()> {
    way.push(part);
    let outcome = below(item, way);
    way.pop();
    outcome
}

/// Checks one key, under those that lead to it.
fn known(name: &Name, way: &[&str]) -> Read<()> {
    let parts = allowed(way);
    // Below a value there are no keys; what the value is, is checked when it is read.
    if parts.is_empty()
        || is_models(way)
        || parts.iter().any(|part| is_free(part) || *part == name.text)
    {
        return Ok(());
    }
    let whole = way.iter().copied().chain([name.text.as_str()]).collect::<Vec<_>>().join(".");
    let near = near_names(&name.text, parts.iter().copied());
    let guess = match near.first() {
        Some(_) => format!("did you mean {}? ", near.join(" or ")),
        None => String::new(),
    };
    let error = Error::new(ErrorCode::ConfigInvalid, format!("there is no key {whole}"))
        .hint(format!("{guess}keys: {}", parts.join(", ")));
    Err((Origin::Line(name.line), error))
}

/// Whether what stands at `way` may be models by name. What else it may be is checked when it is read.
fn is_models(way: &[&str]) -> bool {
    KEYS.iter().filter(|key| key.kind == Kind::Models).any(|key| {
        let mut path = key.path.split('.');
        let leads = way
            .iter()
            .all(|part| path.next().is_some_and(|known| is_free(known) || known == *part));
        leads && path.next().is_none()
    })
}

/// The keys that there are under `way`, each once.
fn allowed(way: &[&str]) -> Vec<&'static str> {
    let mut parts = Vec::new();
    for key in KEYS {
        let mut path = key.path.split('.');
        let leads = way
            .iter()
            .all(|part| path.next().is_some_and(|known| is_free(known) || known == *part));
        if let Some(next) = path.next().filter(|next| leads && !parts.contains(next)) {
            parts.push(next);
        }
    }
    parts
}

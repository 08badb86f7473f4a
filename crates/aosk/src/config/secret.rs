//! Keys of providers in the configuration. They are not printed, and not kept where they were read.

use std::collections::BTreeMap;
use std::fmt;

use aosk::abi::{Error, ErrorCode};
use aosk::model::provider::{self, PROVIDERS, Provider};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::rows::REDACTED;
use super::section::{Read, Section};
use super::tree::{Item, Name, Node, Origin};

/// The keys by the variables that they stand in for.
#[derive(Clone, Default)]
pub(crate) struct Keys(BTreeMap<&'static str, SecretString>);

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Keys {
    /// Whether these are the same keys.
    pub(crate) fn are(&self, other: &Self) -> bool {
        let exposed =
            |(name, key): (&&'static str, &SecretString)| (*name, key.expose_secret().to_owned());
        self.0.iter().map(exposed).eq(other.0.iter().map(exposed))
    }

    /// The value of a variable: the environment's, or else the key that the file has for it.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        self.in_place_of(name, &|name| std::env::var(name).ok())
    }

    /// Whether it is the file that says what a variable has.
    pub(crate) fn has(&self, name: &str) -> bool {
        let is_set = std::env::var(name).is_ok_and(|value| !value.trim().is_empty());
        !is_set && self.variable(name).is_some_and(|value| !value.trim().is_empty())
    }

    fn in_place_of(&self, name: &str, env: &dyn Fn(&str) -> Option<String>) -> Option<String> {
        let said = env(name);
        if said.as_ref().is_some_and(|value| !value.trim().is_empty()) {
            return said;
        }
        let key = self.0.get(name);
        // Another variable of the provider's goes before the file, too.
        let is_set = |name: &str| env(name).is_some_and(|value| !value.trim().is_empty());
        let of = |provider: &&Provider| provider.key_variable == name;
        let is_said =
            PROVIDERS.iter().filter(of).any(|provider| provider.key_variables().any(is_set));
        key.filter(|_| !is_said).map(|key| key.expose_secret().to_owned()).or(said)
    }
}

/// Reads the keys; `is_private` says whether nobody but the owner can read the file.
pub(super) fn all(section: &Section<'_>, is_private: bool) -> Read<Keys> {
    let mut keys = Keys::default();
    for (name, item) in section.names() {
        if says_nothing(item) {
            continue;
        }
        let wrong = |what: String, hint: &str| {
            let error = Error::new(ErrorCode::ConfigInvalid, what).hint(hint);
            Err((item.origin.clone(), error))
        };
        let whole = section.name(&name.text);
        let Some(provider) = provider::find(&name.text) else {
            let near = provider::near(&name.text).join(" or ");
            let near = if near.is_empty() { near } else { format!("did you mean {near}? ") };
            let names: Vec<_> = PROVIDERS.iter().map(|provider| provider.name).collect();
            let error = format!("{whole}: no provider is called {}", name.text);
            let error = Error::new(ErrorCode::ConfigInvalid, error)
                .hint(format!("{near}providers: {}", names.join(", ")));
            return Err((Origin::Line(name.line), error));
        };
        let variable = provider.key_variable;
        let Node::Text(text) = &item.node else {
            let hint = format!("write, for example, {}: \"${{{variable}}}\"", name.text);
            return wrong(format!("{whole} must be a text, a key"), &hint);
        };
        if text.is_literal && !is_private {
            let hint = format!(
                "make the file yours alone with chmod 600, or write {}: \"${{{variable}}}\"",
                name.text
            );
            return wrong(format!("{whole} is a key in a file that others can read"), &hint);
        }
        let key = SecretString::from(text.text.trim());
        if keys.0.insert(variable, key).is_some() {
            let what = format!("{whole} is the second key for {variable}");
            return wrong(what, "give one; some providers have several names");
        }
    }
    Ok(keys)
}

/// Whether nothing is given, as where a file has every provider's name and few keys.
fn says_nothing(item: &Item) -> bool {
    match &item.node {
        Node::Scalar(value) => *value == Value::Null,
        Node::Text(text) => text.text.trim().is_empty(),
        Node::List(_) => false,
        Node::Map(entries) => entries.iter().all(|(_, item)| says_nothing(item)),
    }
}

/// Takes the keys out of what was said, and leaves that there are some.
pub(super) fn forget(said: &mut Item) {
    for (name, item) in entries(said) {
        match name.text.as_str() {
            "api_keys" => blank(item),
            "otel" => {
                let headers = entries(item).iter_mut().filter(|(name, _)| name.text == "headers");
                headers.for_each(|(_, item)| blank(item));
            }
            _ => {}
        }
    }
}

fn entries(item: &mut Item) -> &mut [(Name, Item)] {
    match &mut item.node {
        Node::Map(entries) => entries,
        Node::Scalar(_) | Node::Text(_) | Node::List(_) => &mut [],
    }
}

fn blank(item: &mut Item) {
    match &mut item.node {
        Node::Scalar(_) => {}
        Node::Text(text) => {
            if !text.text.trim().is_empty() {
                REDACTED.clone_into(&mut text.text);
            }
            // What is written may have a part of a key beside a variable.
            if text.is_literal {
                text.written = None;
            }
        }
        Node::List(items) => items.iter_mut().for_each(blank),
        Node::Map(entries) => entries.iter_mut().for_each(|(_, item)| blank(item)),
    }
}

#[cfg(test)]
mod tests;

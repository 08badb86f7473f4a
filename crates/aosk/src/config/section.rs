//! A mapping of the configuration: its keys, by the table of keys, and the names in it.

use aosk::abi::{Error, ErrorCode};
use serde_json::Value;

use super::keys::{Key, Kind};
use super::tree::{Item, Name, Node, Origin};
use crate::term::cut;

/// Characters of a value that are repeated in a message.
const VALUE_MAX: usize = 60;

/// What was read, or what is wrong and where it comes from.
pub(super) type Read<T> = Result<T, (Origin, Error)>;

/// A mapping; one that nobody wrote is empty.
#[derive(Debug, Clone)]
pub(super) struct Section<'a> {
    /// The names that lead to it.
    way: Vec<String>,
    entries: &'a [(Name, Item)],
}

/// The value of a key.
#[derive(Debug)]
pub(super) struct Found<'a> {
    pub(super) key: &'static Key,
    /// The whole name of the key.
    pub(super) name: String,
    pub(super) item: &'a Item,
    pub(super) value: Value,
}

impl<'a> Section<'a> {
    /// The whole file.
    pub(super) fn root(item: &'a Item) -> Read<Self> {
        Self::of(Vec::new(), item)
    }

    fn of(way: Vec<String>, item: &'a Item) -> Read<Self> {
        match &item.node {
            Node::Map(entries) => Ok(Self { way, entries }),
            Node::Scalar(Value::Null) => Ok(Self { way, entries: &[] }),
            Node::Scalar(_) | Node::Text(_) | Node::List(_) => {
                let name =
                    if way.is_empty() { "the configuration".to_owned() } else { way.join(".") };
                let text = format!("{name} must be names or keys, each with what is said of it");
                let error = Error::new(ErrorCode::ConfigInvalid, text)
                    .hint("`aosk config example` prints a configuration");
                Err((item.origin.clone(), error))
            }
        }
    }

    /// The names that lead to it, and `name`.
    pub(super) fn name(&self, name: &str) -> String {
        let mut whole = self.way.join(".");
        if !whole.is_empty() {
            whole.push('.');
        }
        whole + name
    }

    /// What stands under a key or a name.
    pub(super) fn entry(&self, name: &str) -> Option<&'a (Name, Item)> {
        self.entries.iter().find(|(known, _)| known.text == name)
    }

    /// The mapping under a key; an empty one if there is none.
    pub(super) fn section(&self, name: &'static str) -> Read<Self> {
        match self.entry(name) {
            Some((_, item)) => self.under(name, item),
            None => Ok(Self { way: self.way.clone(), entries: &[] }),
        }
    }

    /// The mapping `item`, which stands under `name`.
    pub(super) fn under(&self, name: &str, item: &'a Item) -> Read<Self> {
        let mut way = self.way.clone();
        way.push(name.to_owned());
        Self::of(way, item)
    }

    /// The names in it, in the order of the file.
    pub(super) fn names(&self) -> impl Iterator<Item = (&'a Name, &'a Item)> {
        self.entries.iter().map(|(name, item)| (name, item))
    }

    /// The value of a key, if there is one.
    pub(super) fn key(&self, key: &'static Key) -> Option<Found<'a>> {
        let (_, item) = self.entry(key.last()).filter(|(_, item)| !item.is_nothing())?;
        Some(Found::new(key, self.name(key.last()), item))
    }

    /// The value of a key, checked; none if there is none.
    pub(super) fn read<T>(
        &self,
        key: &'static Key,
        check: impl FnOnce(&Found<'_>) -> Result<T, Error>,
    ) -> Read<Option<T>> {
        self.key(key).map(|found| found.read(check)).transpose()
    }
}

impl<'a> Found<'a> {
    pub(super) fn new(key: &'static Key, name: String, item: &'a Item) -> Self {
        let mut value = item.value(false);
        // What comes out of a variable is text, and may stand for a number.
        let is_said = match item.origin {
            Origin::Variable(_) | Origin::Flag(_) => true,
            Origin::Default | Origin::Line(_) => item.has_variables(),
        };
        if is_said
            && key.kind == Kind::Plain
            && let Some(text) = value.as_str()
            && let Ok(plain) = serde_json::from_str::<Value>(text)
            && (plain.is_number() || plain.is_boolean())
        {
            value = plain;
        }
        Self { key, name, item, value }
    }

    /// The value, checked. An error does not repeat what variables in it stand for.
    pub(super) fn read<T>(self, check: impl FnOnce(&Self) -> Result<T, Error>) -> Read<T> {
        check(&self).map_err(|error| {
            let error = if self.item.has_variables() { self.must() } else { error };
            (self.item.origin.clone(), error)
        })
    }

    /// What the key must be, in words and with an example.
    pub(super) fn must(&self) -> Error {
        let Key { form, example, .. } = self.key;
        let value = self.item.value(/*is_written*/ true);
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let value = cut(&value, VALUE_MAX);
        let text = if self.item.has_variables() && self.key.kind == Kind::Address {
            // It may have a password in the file itself.
            format!("{} with what its variables stand for is not {form}", self.name)
        } else if self.item.has_variables() {
            format!("{} is {value:?}, and what that stands for is not {form}", self.name)
        } else {
            format!("{} is {value:?} and must be {form}", self.name)
        };
        Error::new(ErrorCode::ConfigInvalid, text)
            .hint(format!("write, for example, {}: {example}", self.key.last()))
    }
}

//! The file as a tree of values with their lines, before anything is known of keys.

use aosk::abi::{Error, ErrorCode};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};
use serde_saphyr::Spanned;

use super::variable::{self, Env};

/// Levels of a file. What is deeper is no configuration.
const DEPTH_MAX: usize = 16;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nobody said anything.
    Default,
    /// This line of the file.
    Line(u64),
    /// This variable of the environment.
    Variable(String),
    /// This option of the command line.
    Flag(&'static str),
}

/// A value and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Item {
    pub(crate) node: Node,
    pub(crate) origin: Origin,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    /// Nothing, true and false, a number.
    Scalar(Value),
    /// Text.
    Text(Text),
    /// A list.
    List(Vec<Item>),
    /// Keys or names, each once and with its line, in the order of the file.
    Map(Vec<(Name, Item)>),
}

/// Text, with variables of the environment replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    /// With what variables stand for.
    pub(crate) text: String,
    /// As it is written, if variables stand in it.
    pub(crate) written: Option<String>,
    /// Whether some of it stands in the file itself.
    pub(crate) is_literal: bool,
}

/// A key or a name in a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) line: u64,
}

impl Item {
    /// Nothing, that nobody wrote.
    pub(crate) fn nothing() -> Self {
        Self { node: Node::Scalar(Value::Null), origin: Origin::Default }
    }

    /// Whether nothing follows the key.
    pub(crate) fn is_nothing(&self) -> bool {
        self.node == Node::Scalar(Value::Null)
    }

    /// The value, with what variables stand for or, if `is_written`, as it is written.
    pub(crate) fn value(&self, is_written: bool) -> Value {
        match &self.node {
            Node::Scalar(value) => value.clone(),
            Node::Text(text) => {
                let written = text.written.as_ref().filter(|_| is_written);
                Value::String(written.unwrap_or(&text.text).clone())
            }
            Node::List(items) => items.iter().map(|item| item.value(is_written)).collect(),
            Node::Map(entries) => entries
                .iter()
                .map(|(name, item)| (name.text.clone(), item.value(is_written)))
                .collect(),
        }
    }

    /// Whether variables of the environment stand in it.
    pub(crate) fn has_variables(&self) -> bool {
        match &self.node {
            Node::Scalar(_) => false,
            Node::Text(text) => text.written.is_some(),
            Node::List(items) => items.iter().any(Self::has_variables),
            Node::Map(entries) => entries.iter().any(|(_, item)| item.has_variables()),
        }
    }
}

/// Reads a text as YAML and replaces the variables in it.
///
/// # Errors
/// What is wrong and where, if that is known.
pub(super) fn parse(text: &str, env: Env<'_>) -> Result<Item, (Origin, Error)> {
    if text.trim().is_empty() {
        return Ok(Item::nothing());
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: DEPTH_MAX },
    };
    let raw: Spanned<Raw> =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            let first = first.strip_prefix("error: ").unwrap_or(first);
            let error = Error::new(ErrorCode::ConfigInvalid, first)
                .hint("it is written in YAML; `aosk config example` prints one");
            (Origin::Default, error)
        })?;
    raw_item(raw, env)
}

fn raw_item(raw: Spanned<Raw>, env: Env<'_>) -> Result<Item, (Origin, Error)> {
    let origin = Origin::Line(raw.referenced.line());
    let node = match raw.value {
        Raw::Scalar(Value::String(text)) => {
            Node::Text(variable::replaced(text, env).map_err(|error| (origin.clone(), error))?)
        }
        Raw::Scalar(value) => Node::Scalar(value),
        Raw::List(items) => {
            let items = items.into_iter().map(|item| raw_item(item, env));
            Node::List(items.collect::<Result<_, _>>()?)
        }
        Raw::Map(entries) => {
            let entries = entries.into_iter().map(|(name, item)| {
                let line = name.referenced.line();
                Ok((Name { text: name.value, line }, raw_item(item, env)?))
            });
            Node::Map(entries.collect::<Result<_, _>>()?)
        }
    };
    Ok(Item { node, origin })
}

/// A value as YAML has it.
#[derive(Debug)]
enum Raw {
    Scalar(Value),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Raw;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        // What is no finite number is no value of any key; its name says what stood there.
        let number = Number::from_f64(value).map(Value::Number);
        Ok(Raw::Scalar(number.unwrap_or_else(|| Value::String(value.to_string()))))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::String(value.to_owned())))
    }

    fn visit_string<E>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::String(value)))
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

#[cfg(test)]
mod tests;

//! Reading what a client sent, field by field. Nothing is read that is not asked for, and what is
//! wrong is told with the place where it stands.

use std::borrow::Cow;
use std::fmt;

use aosk_abi::{Error, ErrorCode};
use serde::Deserialize;
use serde::de::{self, DeserializeOwned, Deserializer as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::text::Text;

/// Fields of an object that is read. Every format has fewer; more are an attempt to fill the memory.
const FIELDS_MAX: usize = 256;

/// What comes of reading.
pub(super) type Read<T> = Result<T, Wrong>;

/// What is wrong, and where.
#[derive(Debug)]
pub(super) struct Wrong {
    place: String,
    what: String,
}

impl Wrong {
    /// Something is wrong here.
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { place: String::new(), what: what.into() }
    }

    /// Here stands something else than `wanted`.
    pub(super) fn expected(wanted: &str, found: &RawValue) -> Self {
        let found = match found.get().bytes().next() {
            Some(b'"') => "a string",
            Some(b'{') => "an object",
            Some(b'[') => "a list",
            Some(b't' | b'f') => "true or false",
            Some(b'n') => "null",
            Some(_) | None => "a number",
        };
        Self::new(format!("expected {wanted}, found {found}"))
    }

    /// The same, seen from what the place is in.
    #[must_use]
    pub(super) fn within(mut self, outer: &str) -> Self {
        let is_index = self.place.starts_with('[');
        let dot = if self.place.is_empty() || is_index { "" } else { "." };
        self.place = format!("{outer}{dot}{}", self.place);
        self
    }

    /// The error that a client is told.
    pub(super) fn into_error(self) -> Error {
        let Self { place, what } = self;
        let colon = if place.is_empty() { "" } else { ": " };
        Error::new(ErrorCode::ApiBadRequest, format!("reading the request: {place}{colon}{what}"))
    }
}

/// An object: its fields in their order.
pub(super) struct Object<'j>(Vec<(Cow<'j, str>, &'j RawValue)>);

impl<'j> Object<'j> {
    /// The object that is written so.
    pub(super) fn read(json: &'j RawValue) -> Read<Self> {
        if !json.get().starts_with('{') {
            return Err(Wrong::expected("an object", json));
        }
        serde_json::from_str(json.get()).map_err(|error| Wrong::new(plain(&error)))
    }

    /// The field; none if it is missing or null. Of several with a name the last counts.
    pub(super) fn get(&self, name: &str) -> Option<&'j RawValue> {
        let found = self.0.iter().rfind(|(key, _)| key == name);
        found.map(|(_, json)| *json).filter(|json| json.get() != "null")
    }

    /// Whether one of these fields says anything.
    pub(super) fn has_any(&self, names: &[&str]) -> bool {
        let says = |json: &RawValue| !matches!(json.get(), "false" | "[]" | "{}" | "\"\"");
        names.iter().any(|name| self.get(name).is_some_and(says))
    }

    /// What `read` makes of the field, if it is there.
    pub(super) fn read_with<T>(
        &self,
        name: &str,
        read: impl FnOnce(&'j RawValue) -> Read<T>,
    ) -> Read<Option<T>> {
        self.get(name).map(read).transpose().map_err(|wrong| wrong.within(name))
    }

    /// A text.
    pub(super) fn text(&self, name: &str) -> Read<Option<Cow<'j, str>>> {
        self.read_with(name, text)
    }

    /// A text of one's own.
    pub(super) fn owned(&self, name: &str) -> Read<Option<String>> {
        Ok(self.text(name)?.map(Cow::into_owned))
    }

    /// A text that must be there and say something.
    pub(super) fn needed(&self, name: &str) -> Read<Cow<'j, str>> {
        let found = self.text(name)?.filter(|text| !text.is_empty());
        found.ok_or_else(|| Wrong::new("it is missing or empty").within(name))
    }

    /// What kind of thing it is, by its `type`; empty if it does not say.
    pub(super) fn kind(&self) -> Read<Cow<'j, str>> {
        Ok(self.text("type")?.unwrap_or_default())
    }

    /// A whole number that is not negative.
    pub(super) fn count(&self, name: &str) -> Read<Option<u64>> {
        self.read_with(name, |json| plain_value(json, "a whole number from 0"))
    }

    /// A whole number.
    pub(super) fn integer(&self, name: &str) -> Read<Option<i64>> {
        self.read_with(name, |json| plain_value(json, "a whole number"))
    }

    /// A number.
    pub(super) fn number(&self, name: &str) -> Read<Option<f64>> {
        self.read_with(name, |json| plain_value(json, "a number"))
    }

    /// Whether it is so.
    pub(super) fn flag(&self, name: &str) -> Read<Option<bool>> {
        self.read_with(name, |json| plain_value(json, "true or false"))
    }

    /// An object.
    pub(super) fn object(&self, name: &str) -> Read<Option<Self>> {
        self.read_with(name, Self::read)
    }

    /// Reads the parts of a list in order; says whether there is one.
    pub(super) fn each(
        &self,
        name: &str,
        take: impl FnMut(&'j RawValue) -> Read<()>,
    ) -> Read<bool> {
        Ok(self.read_with(name, |json| each(json, take))?.is_some())
    }
}

/// The text that is written so.
pub(super) fn text(json: &RawValue) -> Read<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Str<'a>(#[serde(borrow)] Cow<'a, str>);
    if !is_text(json) {
        return Err(Wrong::expected("a string", json));
    }
    let text: Str<'_> =
        serde_json::from_str(json.get()).map_err(|error| Wrong::new(plain(&error)))?;
    Ok(text.0)
}

/// Whether it is a text.
pub(super) fn is_text(json: &RawValue) -> bool {
    json.get().starts_with('"')
}

/// Reads the parts of a list in order, up to the first that is wrong.
pub(super) fn each<'j>(list: &'j RawValue, take: impl FnMut(&'j RawValue) -> Read<()>) -> Read<()> {
    if !list.get().starts_with('[') {
        return Err(Wrong::expected("a list", list));
    }
    let mut wrong = None;
    let each = Each { take, wrong: &mut wrong };
    let outcome = serde_json::Deserializer::from_str(list.get()).deserialize_seq(each);
    match (wrong, outcome) {
        (Some(wrong), _) => Err(wrong),
        (None, Err(error)) => Err(Wrong::new(plain(&error))),
        (None, Ok(())) => Ok(()),
    }
}

/// Any JSON, in memory.
pub(super) fn value(json: &RawValue) -> Read<Value> {
    serde_json::from_str(json.get()).map_err(|error| Wrong::new(plain(&error)))
}

/// A value that is no text, list or object.
fn plain_value<T: DeserializeOwned>(json: &RawValue, wanted: &str) -> Read<T> {
    serde_json::from_str(json.get()).map_err(|_| match json.get().bytes().next() {
        Some(b'0'..=b'9' | b'-') => Wrong::new(format!("expected {wanted}, found {}", short(json))),
        Some(_) | None => Wrong::expected(wanted, json),
    })
}

/// The beginning of what is written.
fn short(json: &RawValue) -> &str {
    json.get().get(..json.get().len().min(24)).unwrap_or_default()
}

/// What the parser says, without where: the place that it means is within what is read.
fn plain(error: &serde_json::Error) -> String {
    let said = error.to_string();
    said.split_once(" at line ").map_or(said.as_str(), |(said, _)| said).to_owned()
}

struct Each<'w, F> {
    take: F,
    wrong: &'w mut Option<Wrong>,
}

impl<'j, F: FnMut(&'j RawValue) -> Read<()>> Visitor<'j> for Each<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'j>>(mut self, mut list: A) -> Result<(), A::Error> {
        let mut index = 0_usize;
        while let Some(json) = list.next_element::<&'j RawValue>()? {
            if let Err(wrong) = (self.take)(json) {
                *self.wrong = Some(wrong.within(&format!("[{index}]")));
                return Err(de::Error::custom("a part is wrong"));
            }
            index += 1;
        }
        Ok(())
    }
}

impl<'de: 'j, 'j> Deserialize<'de> for Object<'j> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields).map(Self)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(Text(name)) = map.next_key::<Text<'de>>()? {
            if fields.len() >= FIELDS_MAX {
                return Err(de::Error::custom(format!("it has more than {FIELDS_MAX} fields")));
            }
            fields.push((name, map.next_value::<&'de RawValue>()?));
        }
        Ok(fields)
    }
}
